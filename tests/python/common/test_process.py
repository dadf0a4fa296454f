"""Real processes that do what products do at their worst."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.common import process
from hack.common.process import Captured, End, Ran, Scan, Supervisor

OWNER = 'DOGFOOD_TEST=one'
OTHER = 'DOGFOOD_TEST=two'


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    made = Supervisor()
    yield made
    made.end_owner(OWNER)
    made.end_owner(OTHER)
    assert process.descendants(os.getpid()) == []


def run(supervisor: Supervisor, script: str, seconds: float = 20, owner: str = OWNER, **more: object) -> Ran:
    name, _, value = owner.partition('=')
    environment = {'PATH': os.environ['PATH'], name: value}
    return supervisor.run(('bash', '-c', script), cwd='/', env=environment, seconds=seconds, owner=owner, **more)  # type: ignore[arg-type]


def said(captured: Captured) -> bytes:
    return b''.join(captured.parts())


def alive(pid: int) -> bool:
    found = process.look_up(pid)
    return found is not None and found.state not in 'ZX'


def test_exit_status_and_both_streams(supervisor: Supervisor) -> None:
    ran = run(supervisor, 'echo out; echo err >&2; exit 7')
    assert (ran.end, ran.status, said(ran.out), said(ran.err)) == (End.EXITED, 7, b'out\n', b'err\n')


def test_standard_input_is_empty(supervisor: Supervisor) -> None:
    ran = run(supervisor, 'wc -c')
    assert said(ran.out).strip() == b'0'


@pytest.mark.parametrize('name', ['SIGSEGV', 'SIGKILL', 'SIGABRT'])
def test_death_by_signal(supervisor: Supervisor, name: str) -> None:
    ran = run(supervisor, f'kill -{name[3:]} $$')
    assert (ran.end, ran.status) == (End.SIGNALLED, 128 + signal.Signals[name])


def test_signals_a_shell_ignores_for_us_are_not_ignored_for_the_program(supervisor: Supervisor) -> None:
    """make starts jobs of a background shell with SIGINT ignored; a user's program does not start like that."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        ran = run(supervisor, 'grep SigIgn /proc/self/status')
    finally:
        signal.signal(signal.SIGINT, before)
    ignored = int(said(ran.out).split()[1], 16)
    assert not ignored & (1 << (signal.SIGINT - 1))
    assert not ignored & (1 << (signal.SIGPIPE - 1))


CALLER = """
import signal, sys
sys.path.insert(0, sys.argv[1])
for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGUSR1, signal.SIGTSTP):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
from hack.common.process import Supervisor
ran = Supervisor().run(('grep', 'Sig[BI]', '/proc/self/status'), cwd='/', env={}, seconds=9, owner='A=1')
print(ran.status, b''.join(ran.out.parts()).decode())
"""


def test_what_a_caller_ignores_or_blocks_is_no_business_of_a_program() -> None:
    done = subprocess.run([sys.executable, '-c', CALLER, os.getcwd()], capture_output=True, text=True, check=True)
    status, blocked, ignored = re.findall(r'^\d+|(?<=\t)\S+', done.stdout)
    of_the_c_library = 1 << 31 | 1 << 32
    assert (status, int(blocked, 16), int(ignored, 16) & ~of_the_c_library) == ('0', 0, 0)


def test_one_interrupt_is_outlived_by_what_must_be_done_and_a_second_is_not(supervisor: Supervisor) -> None:
    supervisor.interrupt()
    supervisor.interrupt()  # the same one: a terminal and make both tell of it
    assert supervisor.interrupted
    assert run(supervisor, 'true').end is End.INTERRUPTED
    with supervisor.despite_one_interrupt():
        assert run(supervisor, 'echo down').status == 0
        time.sleep(1.01)
        threading.Timer(0.1, supervisor.interrupt).start()
        assert run(supervisor, 'sleep 300').end is End.INTERRUPTED
    assert supervisor.interrupted


def test_a_program_is_watched_on_though_what_is_done_meanwhile_fails(supervisor: Supervisor) -> None:
    beats: list[float] = []

    def fail() -> None:
        beats.append(time.monotonic())
        raise OSError('no space')

    supervisor.beat = fail
    assert run(supervisor, 'sleep 0.1; echo fine').status == 0
    assert beats


def test_a_program_that_cannot_start_is_no_exit_status(supervisor: Supervisor) -> None:
    ran = supervisor.run(('/nowhere/bash',), cwd='/', env={}, seconds=1, owner=OWNER)
    assert (ran.end, ran.status) == (End.NOT_STARTED, None)
    assert '/nowhere/bash' in ran.why


def test_no_descriptor_of_ours_or_our_parents_reaches_the_program(supervisor: Supervisor) -> None:
    ran = run(supervisor, 'ls /proc/self/fd')
    assert said(ran.out).split() == [b'0', b'1', b'2', b'3']  # 3: the folder that ls lists


def test_inherited_descriptors_are_closed_for_programs(tmp_path: Path) -> None:
    script = (
        'import os, sys; sys.path.insert(0, sys.argv[1])\n'
        'from hack.common.process import Supervisor\n'
        'env = {"PATH": os.environ["PATH"]}\n'
        'ran = Supervisor().run(("ls", "/proc/self/fd"), cwd="/", env=env, seconds=9, owner="A=1")\n'
        'print(b"".join(ran.out.parts()).decode())'
    )
    with open(tmp_path / 'held', 'w') as held:
        os.set_inheritable(held.fileno(), True)
        done = subprocess.run(
            [sys.executable, '-c', script, os.getcwd()], close_fds=False, capture_output=True, text=True, check=True
        )
    assert done.stdout.split() == ['0', '1', '2', '3']


@pytest.mark.parametrize(
    'script',
    [
        'sleep 300',
        'sleep 300 & wait',
        '(sleep 300 &) ; sleep 300',
        'setsid sleep 300 & sleep 300',
        'setsid bash -c "setsid sleep 300 & sleep 300" & sleep 300',
        "trap '' TERM; sleep 300; sleep 300",
        'setsid bash -c "trap \'\' TERM HUP INT; while :; do sleep 1; done" & sleep 300',
        'env -i setsid sleep 300 & sleep 300',
        'kill -STOP $$',
    ],
)
def test_timeout_leaves_nothing_running(supervisor: Supervisor, script: str) -> None:
    started = time.monotonic()
    ran = run(supervisor, script, seconds=0.4)
    assert (ran.end, ran.status) == (End.TIMED_OUT, None)
    assert time.monotonic() - started < 3
    assert process.descendants(os.getpid()) == []


def test_a_program_that_forks_faster_than_it_is_killed_is_ended(supervisor: Supervisor) -> None:
    # Ten doublings: a thousand processes at the most, should we fail to end them.
    again = '(sleep 0.01; f $(($1 - 1))) &'
    script = f'f() {{ if (($1 > 0)); then {again} {again} wait; else sleep 60; fi; }}; f 10'
    ran = run(supervisor, script, seconds=0.15)
    assert ran.end is End.TIMED_OUT
    assert process.descendants(os.getpid()) == []


def test_a_child_that_holds_the_pipe_does_not_prolong_the_run(supervisor: Supervisor) -> None:
    started = time.monotonic()
    ran = run(supervisor, 'sleep 300 & echo done')
    assert (ran.status, said(ran.out)) == (0, b'done\n')
    assert time.monotonic() - started < 2


def test_a_daemon_outlives_its_run_and_later_ones_until_its_owner_is_ended(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    run(supervisor, f'setsid sleep 300 & echo $! >{tmp_path}/pid')
    daemon = int((tmp_path / 'pid').read_text())
    assert run(supervisor, 'sleep 300', seconds=0.2).end is End.TIMED_OUT
    assert run(supervisor, 'sleep 300', seconds=0.2, owner=OTHER).end is End.TIMED_OUT
    assert alive(daemon)
    assert supervisor.end_owner(OTHER) == []
    assert alive(daemon)
    assert [gone.name for gone in supervisor.end_owner(OWNER)] == ['sleep']
    assert not alive(daemon)


def test_what_a_daemon_forks_during_anothers_run_stays_the_daemons(supervisor: Supervisor, tmp_path: Path) -> None:
    worker = f'setsid bash -c "sleep 0.5; setsid sleep 300 & echo \\$! >{tmp_path}/worker; sleep 300" >/dev/null 2>&1 &'
    run(supervisor, worker)
    assert run(supervisor, 'sleep 300', seconds=1.5, owner=OTHER).end is End.TIMED_OUT
    pid = int((tmp_path / 'worker').read_text())
    assert alive(pid)
    assert supervisor.end_owner(OTHER) == []
    assert alive(pid)
    supervisor.end_owner(OWNER)
    assert not alive(pid)


def test_a_daemon_that_writes_to_its_first_pipe_is_drained_not_broken(supervisor: Supervisor, tmp_path: Path) -> None:
    run(supervisor, f'(trap "echo broken >{tmp_path}/broken" PIPE; while sleep 0.005; do echo line || exit; done) &')
    supervisor.idle(0.5)
    run(supervisor, 'sleep 0.2', owner=OTHER)
    assert not (tmp_path / 'broken').exists()
    assert len(supervisor.survivors(OWNER)) >= 1


def test_what_survivors_say_and_die_of_is_heard_once_and_by_owner(supervisor: Supervisor, tmp_path: Path) -> None:
    run(supervisor, f'echo before; (until test -e {tmp_path}/go; do :; done; echo after; kill -SEGV $BASHPID) &')
    run(supervisor, f'(echo mine; kill -KILL $BASHPID) & touch {tmp_path}/go', owner=OTHER)
    words: list[bytes] = []
    died: list[tuple[str, signal.Signals]] = []
    until = time.monotonic() + 20
    while not died and time.monotonic() < until:
        heard = supervisor.heard(OWNER)
        words += [said(captured) for captured in heard.said]
        died += heard.died
    assert b''.join(words) == b'after\n'
    assert [(who.split()[0], number) for who, number in died] == [('bash', signal.SIGSEGV)]
    assert supervisor.heard(OWNER) == process.Heard()
    assert supervisor.heard(OTHER).died == ()


def test_what_ends_beside_a_program_is_gone_for_the_program_too(supervisor: Supervisor, tmp_path: Path) -> None:
    run(supervisor, f'sleep 0.1 & echo $! >{tmp_path}/pid')
    waits = f'while kill -0 $(cat {tmp_path}/pid) 2>/dev/null; do sleep 0.01; done; exit 7'
    assert run(supervisor, waits).status == 7


def test_a_survivor_that_floods_its_pipe_does_not_hold_us(supervisor: Supervisor) -> None:
    started = time.monotonic()
    assert run(supervisor, 'yes & sleep 0.05').status == 0
    assert run(supervisor, 'echo quick', owner=OTHER).status == 0
    assert time.monotonic() - started < 3


def test_zombies_are_not_alive(supervisor: Supervisor) -> None:
    holder = subprocess.Popen(['bash', '-c', 'sleep 0 & exec sleep 3'])
    time.sleep(0.3)  # until its child has become a zombie
    try:
        names = [(found.name, found.state) for found in process.descendants(os.getpid())]
        assert [name for name, _ in names] == ['sleep']
    finally:
        holder.kill()
        holder.wait()


def test_nothing_outside_the_tree_is_signalled() -> None:
    """A process with the same mark in its environment, but not below the supervisor, is none of its business."""
    script = (
        'import os, sys; sys.path.insert(0, sys.argv[1])\n'
        'from hack.common.process import Supervisor\n'
        'one = Supervisor()\n'
        'env = {"PATH": os.environ["PATH"], "DOGFOOD_TEST": "one"}\n'
        'one.run(("bash", "-c", "sleep 300 & sleep 300"), cwd="/", env=env, seconds=0.2, owner="DOGFOOD_TEST=one")\n'
        'one.end_owner("DOGFOOD_TEST=one")'
    )
    stranger = subprocess.Popen(['sleep', '30'], env={'PATH': os.environ['PATH'], 'DOGFOOD_TEST': 'one'})
    subprocess.run([sys.executable, '-c', script, os.getcwd()], check=True)
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_reused_pid_is_not_signalled(supervisor: Supervisor) -> None:
    child = subprocess.Popen(['sleep', '30'])
    found = process.look_up(child.pid)
    assert found
    process.send(found._replace(started=found.started - 1), signal.SIGKILL)
    time.sleep(0.05)
    assert child.poll() is None
    process.send(found, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL


def test_what_dies_of_our_own_interrupt_before_it_began_did_not_die_by_itself(tmp_path: Path) -> None:
    """Ctrl-C goes to a whole process group, and a program that was just started is still in ours."""
    script = """
import os, signal, subprocess, sys
sys.path.insert(0, sys.argv[1])
from hack.common.process import End, Supervisor
signal.signal(signal.SIGINT, lambda *_: None)
storm = subprocess.Popen(['bash', '-c', f'while kill -INT -- -{os.getpid()}; do :; done'], start_new_session=True)
supervisor = Supervisor()
true = ('bash', '-c', 'true')
ends = [supervisor.run(true, cwd='/', env={}, seconds=20, owner='DOGFOOD_TEST=storm').end for _ in range(60)]
storm.kill()
assert set(ends) <= {End.EXITED, End.INTERRUPTED}, ends
assert End.INTERRUPTED in ends, 'no interrupt came in time'
"""
    subprocess.run([sys.executable, '-c', script, os.getcwd()], start_new_session=True, check=True)


def test_a_program_that_dies_of_an_interrupt_of_its_own(supervisor: Supervisor) -> None:
    ran = run(supervisor, 'kill -INT $$')
    assert (ran.end, ran.status) == (End.SIGNALLED, 130)


def test_interrupt_ends_the_running_program_and_starts_no_other(supervisor: Supervisor) -> None:
    threading.Timer(0.2, supervisor.interrupt).start()
    started = time.monotonic()
    assert run(supervisor, 'setsid sleep 300 & sleep 300').end is End.INTERRUPTED
    assert time.monotonic() - started < 3
    assert process.descendants(os.getpid()) == []
    assert run(supervisor, 'echo no').end is End.INTERRUPTED


def test_a_flood_keeps_head_and_tail_within_the_limit_and_says_what_was_cut(supervisor: Supervisor) -> None:
    ran = run(supervisor, 'echo first; head -c 50000000 /dev/zero | tr "\\0" x; echo; echo last')
    head, tail = ran.out.parts()
    assert head.startswith(b'first\n')
    assert tail.endswith(b'\nlast\n')
    assert len(head) + len(tail) + ran.out.dropped == 50_000_000 + len('first\n\nlast\n')
    assert len(head) + len(tail) <= process.KEEP_BYTES // 2


def test_what_is_dropped_is_still_scanned() -> None:
    captured = Captured(1000, Scan(re.compile(b'panic:.*')))
    for _ in range(100):
        captured.add(b'.' * 99 + b'\n')
    captured.add(b'panic: lost\n')
    for _ in range(100):
        captured.add(b'.' * 99 + b'\n')
    captured.parts()
    assert captured.hits == [b'panic: lost']


def test_a_pattern_that_takes_for_ever_is_given_up_and_the_stream_is_taken_all_the_same() -> None:
    captured = Captured(200_000, Scan(re.compile(b'(?:a|aa)+$')))
    for _ in range(10):
        captured.add(b'a' * 100_000 + b'b')
    head, tail = captured.parts()
    assert captured.gave_up
    assert len(head) + len(tail) + captured.dropped == 1_000_010


def test_a_scan_looks_for_its_literals_first_and_finds_the_same() -> None:
    data = b'panic: one, PANIC: two'
    pattern = re.compile(b'panic: (?:one|two)', re.I)
    assert [found.group() for found in Scan(pattern, (b'nic', b'NIC')).finditer(data)] == [b'panic: one', b'PANIC: two']
    assert [*Scan(pattern, (b'no such',)).finditer(data)] == []


def test_the_children_of_one_that_ends_during_the_walk_are_found(supervisor: Supervisor) -> None:
    parent = subprocess.Popen(['bash', '-c', 'sleep 300 & echo; wait'], stdout=subprocess.PIPE)
    assert parent.stdout
    with parent.stdout:
        parent.stdout.readline()

    class EndsParent(frozenset[int]):
        """Asked about a process after its parent's children were listed, and before it is looked up itself."""

        def __contains__(self, pid: object) -> bool:
            if pid == parent.pid and alive(parent.pid):
                parent.kill()
                while alive(parent.pid):
                    time.sleep(0.001)
            return False

    found = process.descendants(os.getpid(), EndsParent())
    parent.wait()
    assert [left.parent for left in found] == [os.getpid()]
    supervisor.end_owner(OWNER)


def enclose(supervisor: Supervisor, script: str, seconds: float = 20) -> process.Process:
    name, _, value = OWNER.partition('=')
    environment = {'PATH': os.environ['PATH'], name: value}
    return supervisor.enclose(('bash', '-c', script), env=environment, owner=OWNER, seconds=seconds)


def test_what_keeps_an_enclosure_is_no_survivor_and_ends_with_its_owner(supervisor: Supervisor) -> None:
    first = enclose(supervisor, '(sleep 301 & echo ready; wait) & wait')
    run(supervisor, 'setsid sleep 300 &')
    run(supervisor, 'setsid sleep 300 &', owner=OTHER)
    assert run(supervisor, 'sleep 300', seconds=0.2).end is End.TIMED_OUT
    assert [left.name for left in supervisor.survivors(OWNER)] == ['sleep', 'sleep']
    assert [gone.name for gone in supervisor.end_owner(OTHER)] == ['sleep']
    assert process.is_alive(first)
    assert [gone.name for gone in supervisor.end_owner(OWNER)] == ['sleep', 'sleep']
    assert not process.is_alive(first)


@pytest.mark.parametrize(
    ('script', 'why'),
    [
        ('echo no room >&2; exit 1', 'no room'),
        ('echo ready', 'ready'),
        ('sleep 300 & wait', 'bash was not ready within 0.3 s'),
    ],
)
def test_an_enclosure_that_does_not_come_to_stand_leaves_nothing(supervisor: Supervisor, script: str, why: str) -> None:
    with pytest.raises(OSError, match=f'^{why}$'):
        enclose(supervisor, script, seconds=0.3)
    assert process.descendants(os.getpid()) == []


@pytest.mark.parametrize('chunk', [1, 7, 64, 5000])
def test_a_match_across_a_cut_is_found_with_its_line(chunk: int) -> None:
    """Wherever it stands: across the end of the head, a later cut, or the beginning of the tail."""
    for before in range(0, 400, 3):
        captured = Captured(200, Scan(re.compile(b'panic:')))
        data = b'.' * before + b'\nnote: panic: lost\n' + b'.' * (1200 - before)
        for start in range(0, len(data), chunk):
            captured.add(data[start : start + chunk])
        kept = captured.parts()
        assert any(b'panic:' in part for part in kept) or b'note: panic: lost' in captured.hits
        assert all(b'\n' not in hit for hit in captured.hits)
        assert kept == (data[:100], data[-100:])


def test_hits_are_bounded_and_each_stands_once() -> None:
    captured = Captured(200, Scan(re.compile(b'panic:')))
    for number in range(5000):
        captured.add(b'panic: %d\n' % number)
        captured.add(b'panic: again\n')
    captured.parts()
    assert captured.hits[:3] == [b'panic: 0', b'panic: again', b'panic: 1']
    assert len(captured.hits) == len(set(captured.hits)) == 1000
    captured = Captured(200, Scan(re.compile(b'panic:')))
    captured.add(b'.' * 1500 + b'panic: far' + b'.' * 1500)
    captured.parts()
    assert captured.hits == [b'.' * 1000 + b'panic: far' + b'.' * 996]


@pytest.mark.parametrize(
    ('data', 'line'),
    [
        (b'panic:', b'panic:'),
        (b'\npanic: x', b'panic: x'),
        (b'a\nb panic: c\nd', b'b panic: c'),
        (b'a\n' + b'b' * 1001 + b'panic:' + b'c' * 1001, b'b' * 1000 + b'panic:' + b'c' * 1000),
        (b'a\n' + b'b' * 1000 + b'panic:' + b'c' * 1000 + b'\n', b'b' * 1000 + b'panic:' + b'c' * 1000),
    ],
)
def test_line_around(data: bytes, line: bytes) -> None:
    match = re.search(b'panic:', data)
    assert match
    assert process.line_around(match) == line


def test_what_a_run_used_and_what_it_was_excused_for(supervisor: Supervisor) -> None:
    ran = run(supervisor, f'{sys.executable} -c "import time\nwhile time.process_time() < 0.2: pass"; sleep 0.3')
    assert 0.2 <= ran.cpu_seconds < ran.seconds - 0.25
    assert ran.excused_seconds == 0
    assert run(supervisor, 'sleep 300', seconds=0.1)[-2:] == (0.0, 0.0)


def test_marked_finds_by_the_whole_value_only() -> None:
    marker = f'DOGFOOD_TEST_MARK={os.getpid()}-x'
    child = subprocess.Popen(
        ['sleep', '30'], env={'PATH': os.environ['PATH'], 'DOGFOOD_TEST_MARK': marker.partition('=')[2]}
    )
    try:
        assert [found.pid for found in process.marked(marker)] == [child.pid]
        assert process.marked(marker[:-1]) == []
    finally:
        child.kill()
        child.wait()


def test_time_in_which_we_were_stopped_is_not_the_programs() -> None:
    """A harness that was suspended must not blame the program for the time that passed."""
    script = (
        'import os, sys; sys.path.insert(0, sys.argv[1])\n'
        'from hack.common.process import Supervisor\n'
        'print("ready", flush=True)\n'
        'ran = Supervisor().run(("sleep", "4"), cwd="/", env={"PATH": os.environ["PATH"]}, seconds=2.5, owner="A=1")\n'
        'print(ran.end.name)'
    )
    command = [sys.executable, '-c', script, os.getcwd()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == 'ready\n'
        time.sleep(0.3)  # it waits by now
        os.kill(child.pid, signal.SIGSTOP)
        time.sleep(3)  # longer than its limit
        os.kill(child.pid, signal.SIGCONT)
        assert child.stdout.read() == 'EXITED\n'


def test_time_in_which_the_machine_was_too_busy_is_not_the_programs(supervisor: Supervisor) -> None:
    """Two seconds of work on a processor shared with three others take eight, and are no timeout of three."""
    processor = min(os.sched_getaffinity(0))
    busy = [subprocess.Popen(['taskset', '-c', str(processor), 'bash', '-c', 'while :; do :; done']) for _ in range(3)]
    try:
        work = 'import time\nwhile time.process_time() < 1.2: pass'
        ran = run(supervisor, f'exec taskset -c {processor} {sys.executable} -c "{work}"', seconds=1.8)
        assert ran.status == 0
        assert ran.seconds - 2 < ran.excused_seconds < ran.seconds
        assert (
            run(supervisor, f'exec taskset -c {processor} bash -c "while :; do :; done"', seconds=0.5).end
            is End.TIMED_OUT
        )
    finally:
        for child in busy:
            child.kill()
            child.wait()


def test_small_programs_are_asked_in_the_environment_that_is_given() -> None:
    asked = (('sh', '-c', 'echo "$GREETING $HOME"'), ('false',), ('no-such-program',))
    assert process.outputs(asked, 20, {'PATH': os.defpath, 'GREETING': 'hi'}) == ['hi', None, None]


def test_as_much_of_an_output_is_kept_as_is_asked_for(supervisor: Supervisor) -> None:
    argv = ('sh', '-c', 'head -c 3000000 /dev/zero')
    for keep, dropped in ((1 << 20, 3_000_000 - (1 << 20)), (1 << 22, 0)):
        ran = supervisor.run(argv, cwd='/', env={'PATH': os.defpath}, seconds=60, owner=OWNER, keep_bytes=keep)
        assert sum(map(len, ran.out.parts())) + ran.out.dropped == 3_000_000
        assert ran.out.dropped == dropped

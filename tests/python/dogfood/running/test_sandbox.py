"""Real sandboxes: what is in one stays in it, and a verdict is the same in it as outside."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hack.common import files, process
from hack.common.machine import Memory
from hack.common.process import End, Ran, Supervisor
from hack.dogfood.judging.secrets import Mask
from hack.dogfood.model import Capability, Corpus, Expect, Feature, FileCheck, Journey, Options, Step, TextCheck
from hack.dogfood.planning import chains
from hack.dogfood.rundir import RunDir
from hack.dogfood.running import attempt, sandbox, start, workspace
from hack.dogfood.running.attempt import Shell
from hack.dogfood.running.start import Asked
from hack.dogfood.running.workspace import Workspace

REPOSITORY = Path(sandbox.__file__).resolve().parents[3]
PYTHON = os.path.realpath(sys.executable)  # a clone below /tmp, with its .venv, is not there in a sandbox
PATH = os.environ['PATH']
NO_BWRAP = 'bwrap, which is not installed (apt-get install bubblewrap)'


class Box:
    """A chain's folder with its sandbox."""

    def __init__(self, supervisor: Supervisor, folder: Path, more: Mapping[str, str] | None = None) -> None:
        self.supervisor = supervisor
        self.space = Workspace(str(folder), folder.name, 1, 'df-', str(folder.parent / 'capabilities'))
        workspace.make(self.space)
        self.environment = {**workspace.chain_environment({'PATH': PATH}, self.space), **(more or {})}
        self.sandbox = sandbox.start(supervisor, self.space, self.environment, PATH)

    def run(self, script: str, seconds: float = 20, inside: bool = True) -> Ran:
        argv: Sequence[str] = ('bash', '-c', script)
        argv = self.sandbox.wrap(argv, self.space.data) if inside else argv
        return self.supervisor.run(
            argv, cwd=self.space.data, env=self.environment, seconds=seconds, owner=self.space.owner
        )

    def survivors(self) -> list[str]:
        return [left.name for left in self.supervisor.survivors(self.space.owner)]

    def end(self) -> list[str]:
        ended = [gone.name for gone in self.supervisor.end_owner(self.space.owner)]
        self.sandbox.close()
        return ended


@pytest.fixture(scope='session')
def needs_bwrap() -> None:
    if why := sandbox.unusable(Supervisor(), PATH):
        pytest.skip(f'needs {why}')


@pytest.fixture
def make_box(needs_bwrap: None, tmp_path: Path) -> Iterator[Callable[..., Box]]:
    supervisor = Supervisor()
    made: list[Box] = []

    def make(name: str = 'chain', more: Mapping[str, str] | None = None) -> Box:
        made.append(Box(supervisor, tmp_path / name, more))
        return made[-1]

    yield make
    for box in made:
        box.end()
    assert process.descendants(os.getpid()) == []


@pytest.fixture
def box(make_box: Callable[..., Box]) -> Box:
    return make_box()


def said(ran: Ran) -> str:
    return b''.join(ran.out.parts()).decode()


def gone(find: Callable[[], list[Any]]) -> bool:
    """Whether nothing is found any more, soon."""
    until = time.monotonic() + 10
    while (found := find()) and time.monotonic() < until:
        time.sleep(0.01)
    return not found


def path_without(tmp_path: Path, *absent: str) -> str:
    """A PATH with all that a shard needs but what is `absent`."""
    folder = tmp_path / 'programs'
    folder.mkdir()
    wanted = {*sandbox.PACKAGES, 'bash', 'sh', 'sleep', 'cat', 'true', 'git'} - set(absent)
    for command in wanted:
        if found := process.which(command, PATH):
            (folder / command).symlink_to(found)
    return str(folder)


# -- one sandbox ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    'script',
    [
        'echo out; echo err >&2',
        'exit 3',
        'exit 126',
        'exit 255',
        'no-such-command',
        *(f'kill -{name} $$' for name in ('SEGV', 'KILL', 'ABRT', 'PIPE', 'TERM', 'INT', 'HUP', 'USR1', 'RTMIN')),
        'bash -c "kill -SEGV \\$\\$"; exit $?',
        'kill -TERM 0; sleep 9',  # its own process group
    ],
)
def test_every_ending_comes_through(box: Box, script: str) -> None:
    inside, outside = box.run(script), box.run(script, inside=False)
    assert (inside.end, inside.status, said(inside)) == (outside.end, outside.status, said(outside))


@pytest.mark.parametrize(
    'script',
    [
        'env | sort',
        'pwd; cd ..; pwd',
        'umask; ulimit -a',
        'id',
        'wc -c',
        'ls -l /proc/self/fd | wc -l',
        'test "$(ps -o sid= -p $$)" -eq $$ && test "$(ps -o pgid= -p $$)" -eq $$ && echo leads its session',
        'awk "/^Sig(Ign|Blk)/" /proc/self/status',
    ],
)
def test_a_step_finds_the_same_surroundings(box: Box, script: str) -> None:
    inside, outside = box.run(script), box.run(script, inside=False)
    assert said(inside) == said(outside) != ''


@pytest.mark.parametrize('folder', [str(REPOSITORY), '/etc', '/var', '/usr/bin'])
def test_the_system_is_read_only(box: Box, folder: str) -> None:
    ran = box.run(f'echo x >{folder}/written-from-inside')
    assert ran.status != 0
    said_so = ran.err.parts()[0]  # a clone below /tmp is not there at all
    assert b'Read-only file system' in said_so or (folder.startswith('/tmp/') and b'No such file' in said_so)
    assert not os.path.exists(f'{folder}/written-from-inside')


def test_the_chains_folder_is_the_one_place_to_write_to(box: Box) -> None:
    writable = 'find / -xdev -maxdepth 2 -type d -writable ! -path "/proc*" ! -path "/dev*" 2>/dev/null | sort'
    assert set(said(box.run(writable)).split()) <= {
        '/tmp',
        '/run',
        '/var/tmp',
        *map(str, Path(box.space.folder).parents),
    }
    assert box.run('echo kept >$DOGFOOD_DATA_DIR/it; echo kept >$HOME/it; mkfifo $TMPDIR/it').status == 0
    assert Path(box.space.data, 'it').read_text() == Path(box.space.home, 'it').read_text() == 'kept\n'


@pytest.mark.parametrize('folder', ['/tmp', '/var/tmp', '/run', '/dev/shm'])
def test_temporary_folders_are_empty_and_the_chains_own(make_box: Callable[..., Box], folder: str) -> None:
    one, other = make_box('one'), make_box('other')
    own = {Path(one.space.folder).parts[2]}
    assert set(said(one.run(f'ls -A {folder}')).split()) <= own
    assert one.run(f'echo x >{folder}/from-inside').status == 0
    assert said(one.run(f'cat {folder}/from-inside')) == 'x\n'
    assert other.run(f'cat {folder}/from-inside').status == 1
    assert not os.path.exists(f'{folder}/from-inside')


def test_the_network_is_a_loopback_that_nobody_shares(make_box: Callable[..., Box]) -> None:
    one, other = make_box('one'), make_box('other')
    with socket.create_server(('127.0.0.1', 0)) as host:
        port = host.getsockname()[1]
        connect = f'exec 3<>/dev/tcp/127.0.0.1/{port}'
        assert one.run(connect, inside=False).status == 0
        assert one.run(connect).status == 1
        serve = (
            f'import socket, time; s = socket.create_server(("127.0.0.1", {port})); print(flush=True); time.sleep(60)'
        )
        assert one.run(f"coproc {PYTHON} -c '{serve}'; read -u ${{COPROC[0]}}; disown").status == 0
        assert one.run(connect).status == 0
        assert other.run(connect).status == 1
    assert one.run(connect, inside=False).status == 1
    assert said(one.run('tail -n +2 /proc/net/route')) == ''
    assert said(one.run("sed -n 's/^ *\\([a-z0-9]*\\):.*/\\1/p' /proc/net/dev")) == 'lo\n'


def test_no_process_outside_is_seen(box: Box) -> None:
    pids = said(box.run('echo /proc/[0-9]*')).split()
    assert len(pids) == 2  # the one that keeps the sandbox, and bash
    assert box.run(f'kill -0 {os.getpid() + 100000}; kill -0 {os.getpid()}').status == 1


@pytest.mark.parametrize(
    'script',
    [
        'sleep 300',
        'trap : TERM; while :; do sleep 1; done',
        'setsid sleep 300 & wait',
        '(setsid bash -c "setsid sleep 300 & trap : TERM; sleep 300" & ); sleep 300',
        'nohup bash -c "exec -a [kworker] sleep 300" >/dev/null 2>&1 & sleep 300',
        'kill -STOP $$',
    ],
)
def test_a_timeout_leaves_nothing_but_what_was_there_before(box: Box, script: str) -> None:
    assert box.run('setsid sleep 299 >/dev/null 2>&1 &').status == 0
    assert box.run(script, seconds=0.3).end is End.TIMED_OUT
    assert box.survivors() == ['sleep']
    assert said(box.run('pgrep -fx "sleep 299" | wc -l; pgrep -x sleep | wc -l')) == '1\n2\n'  # one keeps the sandbox
    assert box.end() == ['sleep']


def test_daemons_of_other_sandboxes_are_left_alone(make_box: Callable[..., Box]) -> None:
    one, other = make_box('one'), make_box('other')
    for its in (one, other):
        its.run('setsid sleep 300 >/dev/null 2>&1 & (setsid env -i sleep 301 >/dev/null 2>&1 &)')
    assert other.run('sleep 300', seconds=0.2).end is End.TIMED_OUT
    assert one.survivors() == other.survivors() == ['sleep', 'sleep']
    assert one.end() == ['sleep', 'sleep']
    assert other.survivors() == ['sleep', 'sleep']


def test_what_ended_is_reaped(box: Box) -> None:
    box.run('for _ in 1 2 3; do (setsid true &); done; sleep 0.1')
    assert said(box.run('ps -eo stat= | grep -c Z')) == '0\n'


def test_a_product_cannot_end_its_sandbox(box: Box) -> None:
    box.run('kill -9 -1; kill -9 1; kill -TERM 1; kill -9 0')
    assert box.sandbox.ended() is None
    assert box.run('exit 5').status == 5


def test_all_inside_ends_with_the_process_that_made_it(needs_bwrap: None, tmp_path: Path) -> None:
    script = (
        'import sys; from pathlib import Path; from hack.common.process import Supervisor\n'
        'from tests.python.dogfood.running.test_sandbox import Box\n'
        'box = Box(Supervisor(), Path(sys.argv[1]))\n'
        'box.run("setsid sleep 300 >/dev/null 2>&1 &")\n'
        'print(*[left.pid for left in box.supervisor.survivors(box.space.owner)], box.sandbox.first.pid, flush=True)\n'
        'box.run("sleep 300", seconds=300)'
    )
    maker = subprocess.Popen(
        [sys.executable, '-c', script, str(tmp_path / 'chain')], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert maker.stdout
    with maker.stdout:
        seen = [process.look_up(int(pid)) for pid in maker.stdout.readline().split()]
    maker.kill()
    maker.wait()
    assert len(seen) == 2
    assert gone(lambda: [one for one in seen if one and process.is_alive(one)])


def test_what_a_step_needs_is_seen_below_a_private_folder_and_stays_as_it_is(
    make_box: Callable[..., Box], tmp_path: Path
) -> None:
    for name in ('build', 'capabilities', 'secret'):
        (tmp_path / name).mkdir()
    (tmp_path / 'build/product').write_text('#!/bin/sh\necho built\n')
    (tmp_path / 'build/product').chmod(0o755)
    (tmp_path / 'capabilities/made.json').write_text('{}')
    (tmp_path / 'other-name').symlink_to('build')
    box = make_box(more={'PATH': f'{tmp_path}/other-name:{PATH}'})
    assert said(box.run('product; cat $DOGFOOD_CAPABILITIES/made.json')) == 'built\n{}'
    assert said(box.run(f'ls {tmp_path}')).split() == ['build', 'capabilities', 'chain', 'other-name']
    for path in ('build/product', 'other-name/new', 'capabilities/made.json', 'capabilities/forged.json'):
        assert b'Read-only' in box.run(f'echo x >{tmp_path}/{path}').err.parts()[0]
    box.run(f'rm -rf {tmp_path}/secret; echo x >{tmp_path}/forged')
    assert sorted(os.listdir(tmp_path)) == ['build', 'capabilities', 'chain', 'other-name', 'secret']


def test_a_folder_reached_by_a_link(make_box: Callable[..., Box], tmp_path: Path) -> None:
    (tmp_path / 'real').mkdir()
    (tmp_path / 'link').symlink_to('real')
    box = make_box('link/chain')
    assert said(box.run('echo x >$DOGFOOD_DATA_DIR/it; pwd -P')).strip().endswith('link/chain/data')
    assert (tmp_path / 'real/chain/data/it').exists()


def test_an_ordinary_user_has_the_same(needs_bwrap: None) -> None:
    if os.geteuid() != 0:
        pytest.skip('all tests here are run by an ordinary user')
    said_by_nobody = as_nobody(
        lambda box: (
            [
                [ran.end.value, ran.status, said(ran)]
                for ran in map(
                    box.run,
                    (
                        'id -un; pwd | sed "s/.*nobody/nobody/"; awk "/^CapEff/" /proc/self/status',
                        'echo x >/tmp/own && echo x >$HOME/own && ls /tmp/own',
                        f'echo x >{REPOSITORY}/written-from-inside',
                        'kill -SEGV $$',
                        'script -qc "tty" /dev/null',
                        'tail -n +2 /proc/net/route; setsid sleep 300 >/dev/null 2>&1 &',
                    ),
                )
            ]
            + [box.run('sleep 300 & sleep 300', seconds=0.2).end.value, box.survivors(), box.end()]
        )
    )
    if isinstance(said_by_nobody, str):
        pytest.skip(f'for an ordinary user: needs {said_by_nobody}')
    assert said_by_nobody == [
        ['exited', 0, 'nobody\nnobody/chain/data\nCapEff:\t0000000000000000\n'],
        ['exited', 0, '/tmp/own\n'],
        ['exited', 1, ''],
        ['signalled', 139, ''],
        ['exited', 0, '/dev/pts/0\r\n'],
        ['exited', 0, ''],
        'timed out',
        ['sleep'],
        ['sleep'],
    ]
    assert not (REPOSITORY / 'written-from-inside').exists()


def as_nobody(act: Callable[[Box], Any]) -> Any:
    """What `act` returns in a process of the user nobody, or why sandboxes are of no use to that user."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE, as in a program that this user started
            os.chdir('/')
            supervisor = Supervisor()
            folder = Path(f'/var/tmp/dogfood-test-{os.getpid()}-nobody')
            folder.mkdir()
            path = '/usr/local/bin:/usr/bin:/bin'
            why = sandbox.unusable(supervisor, path)
            answer = why or act(Box(supervisor, folder / 'chain', {'PATH': path}))
            workspace.remove_tree(str(folder))
        except BaseException as error:  # the parent compares it with what it expects
            answer = [repr(error)]
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    with open(read) as answered:
        text = answered.read()
    os.waitpid(child, 0)
    return json.loads(text)


def test_why_it_cannot_be_used(tmp_path: Path) -> None:
    supervisor = Supervisor()
    path = path_without(tmp_path, 'bwrap')
    assert sandbox.unusable(supervisor, path) == NO_BWRAP
    refusing = Path(path, 'bwrap')
    refusing.write_text('#!/bin/sh\necho bwrap: No permissions to create new namespace >&2\nexit 1\n')
    refusing.chmod(0o755)
    why = 'bwrap, which does not work here: bwrap: No permissions to create new namespace'
    assert sandbox.unusable(supervisor, path) == why
    assert process.descendants(os.getpid()) == []


# -- judged in a sandbox -------------------------------------------------------------------

FEATURE = Feature(name='shell', path='shell.yaml')


def journey(id: str, *steps: str | Step, **said: Any) -> Journey:
    made = tuple(step if isinstance(step, Step) else Step(run=step, core=True) for step in steps)
    return Journey(id, 'It works.', 'shell', 'shell.yaml', 1, made)._replace(**said)


def judgement(box: Box, tmp_path: Path, one: Journey) -> tuple[str, str]:
    never = float('inf')
    shell = Shell(box.supervisor, 'bash', box.space, box.environment, never, tmp_path, Mask({}), Memory(), box.sandbox)
    workspace.enter(box.space, one.id, 1)
    judged = attempt.perform(shell, one, FEATURE, 1, {}, []).judgement
    return judged.verdict, judged.cause


def test_a_file_is_looked_for_where_the_product_wrote_it(box: Box, tmp_path: Path) -> None:
    written = (FileCheck('/tmp/it', True, TextCheck(equals='x\n')), FileCheck('own', True))
    there = journey('there', Step('echo x >/tmp/it; echo x >own', expect=Expect(files=written)))
    assert judgement(box, tmp_path, there) == ('passed', '')


def test_a_sandbox_that_ended_is_not_the_products_fault(box: Box, tmp_path: Path) -> None:
    killing = threading.Timer(0.3, process.send, (box.sandbox.first, signal.SIGKILL))
    killing.start()
    cut_short = judgement(box, tmp_path, journey('cut-short', 'sleep 60'))
    killing.join()
    assert cut_short == ('infra', "step 1 could not be measured: the chain's sandbox has ended")
    later = judgement(box, tmp_path, journey('later', 'true'))
    assert later == ('infra', "step 1 could not be started: the chain's sandbox has ended")


def test_a_temporary_folder_that_is_full_is_not_the_products_fault(box: Box, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip('only root can make the folder small')
    box.run('mount -o remount,size=64k /tmp')
    fill = 'head -c 1M /dev/zero >/tmp/big'
    assert judgement(box, tmp_path, journey('fill', fill))[0] == 'infra'


@pytest.mark.parametrize(
    ('run_asks', 'asked_by', 'expected'),
    [(None, (None, None), False), ('bwrap', (None, None), True), (None, (None, 'strict'), True)],
)
def test_a_chain_is_in_a_sandbox_as_a_whole(
    run_asks: str | None, asked_by: tuple[str | None, ...], expected: bool
) -> None:
    journeys = [journey(f'j{number}', 'true', sandbox=asked) for number, asked in enumerate(asked_by)]
    assert sandbox.wanted(run_asks, journeys) is expected


# -- a whole shard -------------------------------------------------------------------------

RUN_SHARD = """
import os, signal, sys
from pathlib import Path
from hack.common.process import Supervisor
from hack.dogfood.running import shard
from hack.dogfood.rundir import RunDir

def tell(record):
    if record['id'] == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

sys.exit(shard.run(RunDir(Path(sys.argv[1])), 1, Supervisor(), dict(os.environ), tell))
"""


def begin(tmp_path: Path, journeys: Sequence[Journey], **options: Any) -> RunDir:
    corpus = Corpus(
        (),
        {FEATURE.path: FEATURE},
        {token: Capability(token) for one in journeys for token in one.establishes},
        {one.id: one for one in journeys},
    )
    asked = Asked(Options(**options), ['dogfood.sh'], str(tmp_path), None)
    return start.new(RunDir(tmp_path / 'run'), tmp_path, corpus, chains.plan(corpus.journeys, 1, {}), asked)


def work_off(run_dir: RunDir, path: str = PATH, killed_after: str = '') -> list[dict[str, Any]]:
    """The events of a shard that was really run, by a process of its own."""
    ran = subprocess.run(
        [sys.executable, '-c', RUN_SHARD, str(run_dir.path), killed_after],
        cwd=REPOSITORY,
        env={**os.environ, 'PATH': path, 'TMPDIR': str(run_dir.path.parent)},
        check=False,
    )
    assert ran.returncode == (-signal.SIGKILL if killed_after else 0)
    return files.read_jsonl(run_dir.results(1))[0]


def judged(events: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    records = [event['record'] for event in events if event['event'] == 'result']
    return {record['id']: (record['verdict'], record['cause']) for record in records}


def leaks(events: Sequence[Mapping[str, Any]]) -> list[str]:
    return [leak.partition(' ')[0] for event in events if event['event'] == 'chain-end' for leak in event['leaks']]


SERVE = """
import http.server, threading, os
server = http.server.HTTPServer(('127.0.0.1', 8080), http.server.SimpleHTTPRequestHandler)
if os.fork() == 0:
    os.setsid()
    server.serve_forever()
"""


RUN_SERVER = f'exec -a python {PYTHON} serve.py >/dev/null 2>&1'


@pytest.mark.parametrize('run_asks', [None, 'bwrap'])
def test_a_daemon_serves_its_chain_and_is_named_as_the_only_leak(
    needs_bwrap: None, tmp_path: Path, run_asks: str | None
) -> None:
    strict = None if run_asks else 'strict'
    ask = 'exec 3<>/dev/tcp/127.0.0.1/8080; printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; grep -c "200 OK" <&3'
    journeys = [
        journey(
            'serve',
            Step(f'{RUN_SERVER} & wait; echo up >/tmp/state', files={'serve.py': SERVE}),
            establishes=('served',),
            tier='smoke',
        ),
        journey('ask', ask, 'cat /tmp/state', requires=('served',), sandbox=strict),
        journey('ask-again', ask, requires=('served',), tier='deep', teardown=(f'{ask} >>$DOGFOOD_DATA_DIR/../torn',)),
        journey('elsewhere', f'! ({ask}) 2>/dev/null', 'test ! -e /tmp/state', tier='deep', sandbox=strict),
    ]
    events = work_off(begin(tmp_path, journeys, sandbox=run_asks, keep='all'))
    assert judged(events) == {one.id: ('passed', '') for one in journeys}
    assert leaks(events) == [Path(PYTHON).name]
    assert [event.get('sandbox') for event in events if event['event'] == 'chain'] == ['bwrap', 'bwrap']
    assert (tmp_path / 'run/chains/serve/torn').read_text() == '1\n'
    assert process.marked(f'DOGFOOD_CAPABILITIES={tmp_path}/run/capabilities') == []


def test_only_chains_that_ask_are_in_a_sandbox(needs_bwrap: None, tmp_path: Path) -> None:
    journeys = [
        journey('free', 'ls -d /tmp/dogfood-*', 'test $(ls /proc | grep -c "^[0-9]") -gt 2'),
        journey('kept', 'test $(ls /proc | grep -c "^[0-9]") -le 4', sandbox='strict'),
    ]
    events = work_off(begin(tmp_path, journeys))
    assert [event.get('sandbox') for event in events if event['event'] == 'chain'] == [None, 'bwrap']


@pytest.mark.parametrize(('require_all', 'verdict'), [(False, 'skipped'), (True, 'infra')])
def test_a_strict_journey_without_bwrap_is_named(tmp_path: Path, require_all: bool, verdict: str) -> None:
    journeys = [
        journey('set-up', 'true', establishes=('made',)),
        journey('strict', 'true', requires=('made',), establishes=('more',), sandbox='strict'),
        journey('after', 'true', requires=('more',)),
    ]
    events = work_off(begin(tmp_path, journeys, require_all=require_all), path_without(tmp_path, 'bwrap'))
    assert judged(events) == {
        'set-up': ('passed', ''),
        'strict': (verdict, f'needs {NO_BWRAP}'),
        'after': ('blocked', f'more was not established: strict is {verdict}'),
    }


def test_a_run_that_asks_for_sandboxes_does_not_start_without(tmp_path: Path) -> None:
    corpus = tmp_path / 'shell.yaml'
    corpus.write_text(
        'feature: shell\njourneys: [{id: any, promise: It works., steps: [{run: "true", expect: {exit: 0}}]}]\n'
    )
    program = REPOSITORY / 'hack/dogfood/run_journeys.py'
    ran = subprocess.run(
        [sys.executable, program, 'start', '--sandbox', 'bwrap', '--run-dir', 'run', corpus],
        cwd=tmp_path,
        env={**os.environ, 'PATH': path_without(tmp_path, 'bwrap')},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, '')
    assert ran.stderr.splitlines()[-1] == f'--sandbox bwrap: needs {NO_BWRAP}'
    assert sorted(os.listdir(tmp_path)) == ['programs', 'shell.yaml']


def test_a_shard_of_such_a_run_on_a_machine_without_measures_nothing(tmp_path: Path) -> None:
    run_dir = begin(tmp_path, [journey('any', 'true')], sandbox='bwrap', apart=True)
    events = work_off(run_dir, path_without(tmp_path, 'bwrap'))
    assert judged(events) == {'any': ('infra', f'the run is to be sandboxed and needs {NO_BWRAP}')}


def test_a_product_cannot_write_to_the_repository_the_home_or_the_run(needs_bwrap: None, tmp_path: Path) -> None:
    """The product damages all that it finds in folders of ours, and adds to those that are not."""
    home, build, run_dir = tmp_path / 'user', tmp_path / 'build', RunDir(tmp_path / 'run')
    for folder in (home, build):
        folder.mkdir()
    (home / '.profile').write_text('mine\n')
    in_private_folders = [home, build, run_dir.path, run_dir.capabilities, run_dir.shard(1)]
    read_only = [REPOSITORY, Path('/etc')]
    product = ['#!/bin/bash', 'cat $DOGFOOD_CAPABILITIES/made.json']
    product += [f'touch {folder}/forged' for folder in (*in_private_folders, *read_only)]
    product += [f'chmod 777 {folder}; find {folder} -type f -delete' for folder in in_private_folders]
    (build / 'product').write_text('\n'.join([*product, 'exit 0']))
    (build / 'product').chmod(0o755)
    made = Expect(stdout=TextCheck(json=(('journey', 'make'),)))
    journeys = [
        journey('make', 'true', establishes=('made',)),
        journey('forge', Step('product', expect=made), Step('product', expect=made, core=True), requires=('made',)),
    ]
    begin(tmp_path, journeys, sandbox='bwrap', product_path=str(build))
    mine = [path for folder in in_private_folders for path in folder.rglob('*')]
    events = work_off(run_dir)
    try:
        assert [path for path in mine if not path.exists()] == []
        assert [folder for folder in (*in_private_folders, *read_only) if (folder / 'forged').exists()] == []
        assert not any(folder.stat().st_mode & 0o002 for folder in in_private_folders)
        assert judged(events) == {'make': ('passed', ''), 'forge': ('passed', '')}
    finally:
        for folder in read_only:
            (folder / 'forged').unlink(missing_ok=True)


def test_a_chain_starts_afresh_when_its_sandbox_went_with_a_killed_shard(needs_bwrap: None, tmp_path: Path) -> None:
    journeys = [
        journey('make', 'echo state >/tmp/state', establishes=('made',)),
        journey('use', 'cat /tmp/state', requires=('made',)),
    ]
    run_dir = begin(tmp_path, journeys, sandbox='bwrap')
    assert judged(work_off(run_dir, killed_after='make')) == {'make': ('passed', '')}
    assert gone(lambda: process.marked(f'DOGFOOD_CAPABILITIES={run_dir.capabilities}'))
    events = work_off(start.again(run_dir, (), None, None))
    assert judged(events)['use'] == ('passed', '')
    assert [event['chain_attempt'] for event in events if event['event'] == 'chain'] == [1, 2]

"""What steps leave running in whole runs: ended when it is due, named, and nothing else is ever signalled."""

import re
import signal
import subprocess
import time

import pytest

from hack.common import process
from tests.python.runs import Place, journey, need_commands

BACKGROUND = '>/dev/null 2>&1 &'


def test_steps_that_do_not_end_leave_nothing_and_slow_nobody(place: Place) -> None:
    nasty = {
        'sleeps': 'sleep 300',
        'forks': 'sleep 300 & sleep 300 & wait',
        'forks-twice': '(setsid bash -c "sleep 300 & sleep 300 & wait" &) ; sleep 300',
        'ignores-term': "trap '' TERM; (trap '' TERM INT HUP; sleep 300) & sleep 300; sleep 300",
        'hides': 'env -i setsid sleep 300 & sleep 300',
        'stops': 'kill -STOP $$',
    }
    lax = {
        'holds-the-pipe': 'sleep 300 & echo held',
        'floods-later': 'yes & echo flooding',
        'forks-on': 'setsid bash -c "while :; do sleep 0.02 & wait; done" & echo forking',
    }
    flood = journey(
        'floods', 'head -c 30000000 /dev/zero | tr "\\0" x; head -c 5000000 /dev/zero | tr "\\0" y >&2', timeout='20s'
    )
    timed_out = [journey(name, run, timeout='300ms', expect={'exit': 0}) for name, run in nasty.items()]
    loose = [journey(name, run, expect={'stdout': {'contains': run.split()[-1]}}) for name, run in lax.items()]
    quick = [journey(f'quick-{number}', 'true') for number in range(20)]
    started = time.monotonic()
    done = place.run(*timed_out, *loose, flood, *quick)
    took = time.monotonic() - started
    assert place.processes() == []
    assert took < 15
    assert done.exit == 1
    assert {name for name, verdict in done.verdicts.items() if verdict == 'failed'} == set(nasty)
    assert 'infra' not in done.verdicts.values()
    for name in nasty:
        assert [finding['kind'] for finding in done.journeys[name]['findings']] == ['timeout']
        assert done.journeys[name]['duration_seconds'] < 5
    assert max(said['duration_seconds'] for name, said in done.journeys.items() if name.startswith('quick')) < 1
    leaks = {chain['name']: chain['findings'] for chain in done.bundle['chains'] if chain['findings']}
    assert set(leaks) == set(lax)
    assert all(finding['kind'] == 'leak' for findings in leaks.values() for finding in findings)
    step = done.journeys['floods']['steps'][0]
    kept = [(done.run_dir.path / path).stat().st_size for path in step['evidence']]
    assert len(kept) == 2
    assert sum(kept) <= 1_100_000
    assert step['cut_bytes'] >= 33_000_000
    assert 'bytes were cut here' in (done.run_dir.path / step['evidence'][0]).read_text()


def test_a_daemon_lives_until_its_chain_is_done(place: Place) -> None:
    """Across tiers and other chains' ends; then teardown runs, then what is left is ended, and named."""
    pids = '$DOGFOOD_DATA_DIR/{}.pid'
    kind, stubborn = pids.format('kind'), pids.format('stubborn')
    serve = (
        f'echo serve >> @LEDGER@; setsid sleep 300 {BACKGROUND} echo $! > {kind}\n'
        f'setsid bash -c "trap \'\' TERM; sleep 301; sleep 302" {BACKGROUND} echo $! > {stubborn}'
    )
    alive = f'kill -0 $(cat {kind}) $(cat {stubborn})'
    down = f'{alive}; echo down $(cat {stubborn}) >> @LEDGER@; kill $(cat {kind})'
    done = place.run(
        journey('serve', serve, tier='smoke', establishes='served', teardown=[down]),
        journey('use', f'{alive}; echo use >> @LEDGER@', requires='served', timeout='5s'),
        journey('use-late', f'{alive}; echo late >> @LEDGER@', requires='served', tier='deep'),
        journey('other', 'sleep 300 & echo other >> @LEDGER@', tier='core'),
        journey('stuck', f'setsid sleep 300 {BACKGROUND} sleep 300', timeout='300ms'),
        shards=1,
    )
    assert done.exit == 1
    assert {name for name, verdict in done.verdicts.items() if verdict != 'passed'} == {'stuck'}
    assert [name for line in place.ran() if (name := line.split()[0]) != 'other'] == ['serve', 'use', 'late', 'down']
    assert 'other' in place.ran()[1:3]
    leaks = {chain['name']: chain['findings'] for chain in done.bundle['chains']}
    assert f'(pid {place.ran()[-1].split()[1]})' in str(leaks['serve'])
    assert len(leaks['other']) == 1
    assert leaks['stuck'] == []
    assert place.processes() == []


def test_nothing_outside_the_run_is_signalled(place: Place) -> None:
    """Every target of every signal is a process that the run started: seen from outside, by strace."""
    need_commands('strace')
    trace = place.path / 'trace'
    calls = 'kill,tkill,tgkill,pidfd_open,pidfd_send_signal,clone,clone3,fork,vfork'
    strace = ('strace', '-f', '--seccomp-bpf', '-qq', '-y', '-e', f'trace={calls}', '-e', 'signal=none')
    elsewhere = {'DOGFOOD_CAPABILITIES': '/elsewhere/capabilities', 'DOGFOOD_DATA_DIR': '/elsewhere/data'}
    bystanders = [subprocess.Popen(['sleep', '300'], env=elsewhere), subprocess.Popen(['env', '-i', 'sleep', '300'])]
    try:
        done = place.run(
            journey('leaks', f'setsid sleep 300 {BACKGROUND} echo started', expect={'stdout': {'contains': 'started'}}),
            journey('stuck', "trap '' TERM; setsid sleep 300 & sleep 300", timeout='300ms'),
            journey('fine', 'true'),
            before=(*strace, '-o', str(trace)),
        )
        assert [one.poll() for one in bystanders] == [None, None]
    finally:
        for one in bystanders:
            one.kill()
            one.wait()
    assert done.verdicts == {'leaks': 'passed', 'stuck': 'failed', 'fine': 'passed'}
    lines = trace.read_text().splitlines()
    own = {int(line.split()[0]) for line in lines}
    own |= {int(found[1]) for line in lines if (found := re.search(r'(?:clone3?|v?fork)\(?.*= (\d+)$', line))}
    targets = [int(found[1]) for line in lines if (found := re.search(r'\b(?:kill|tkill|pidfd_open)\((-?\d+)', line))]
    targets += [int(found[1]) for line in lines if (found := re.search(r'\btgkill\((\d+)', line))]
    assert {abs(pid) for pid in targets} <= own
    assert len(targets) > 4
    sent = [line for line in lines if 'pidfd_send_signal(' in line]
    assert sent
    assert all(int(found[1]) in own for line in sent if (found := re.search(r'pidfd:(\d+)', line)))


def test_the_survivors_of_a_killed_shard_are_ended_and_no_look_alikes(place: Place) -> None:
    other = {'DOGFOOD_CAPABILITIES': f'{place.path}/another/capabilities', 'DOGFOOD_DATA_DIR': f'{place.path}/another'}
    bystander = subprocess.Popen(['sleep', '300'], env=other)
    try:
        live = place.start(journey('one', f'setsid sleep 300 {BACKGROUND} echo one >> @LEDGER@; sleep 300'))
        live.until(lambda: place.ran())
        process.send(live.shard(1), signal.SIGKILL)
        first = live.wait()
        assert (first.exit, first.verdicts) == (3, {'one': 'infra'})
        assert [its.pid for its in place.processes()] == [bystander.pid]
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize('options', [(), ('--sandbox', 'bwrap')], ids=['plain', 'sandbox'])
def test_a_step_that_waits_until_a_daemon_is_gone(place: Place, options: tuple[str, ...]) -> None:
    """Where nobody collects it, it stays for `kill -0`: anywhere else, init would have done so at once."""
    if options:
        need_commands('bwrap')
    gone = 'kill $(cat pid); while kill -0 $(cat pid) 2>/dev/null; do sleep 0.02; done; echo gone'
    expect = {'stdout': {'equals': 'gone'}}
    start = f"setsid --wait bash -c 'sleep 300 {BACKGROUND} echo $! >pid'"
    done = place.run(
        *options,
        journey('later', start, {'run': gone, 'expect': expect}, timeout='20s'),
        journey('at-once', f'{start}; {gone}', expect=expect, timeout='20s'),
    )
    assert done.verdicts == {'later': 'passed', 'at-once': 'passed'}


def test_a_daemon_that_crashes_while_others_work_with_it(place: Place) -> None:
    """Nobody asks it in time, or who asks tries again: only what it said, or what it died of, tells."""
    need_commands('redis-server', 'redis-cli')
    redis = 'redis-cli -s "$DOGFOOD_DATA_DIR/s"'
    serve = {
        'run': 'redis-server --port 0 --unixsocket "$DOGFOOD_DATA_DIR/s" --enable-debug-command yes --daemonize yes '
        '--pidfile "$PWD/pid"',
        'expect': {'exit': 0},
    }
    ready = {'run': f'{redis} ping; cat pid', 'expect': {'stdout': {'contains': 'PONG'}, 'within': '10s'}}
    linger = f'sleep 300 {BACKGROUND} echo $! > pid'
    gone = 'while kill -0 $pid 2>/dev/null; do sleep 0.02; done'
    tells = '(until test -e go; do sleep 0.02; done; echo "panic: {}" >&2; touch told; sleep 300) &'
    told = 'touch go; until test -e told; do sleep 0.02; done'
    done = place.run(
        journey(
            'dies', serve, ready, {'run': f'pid=$(cat pid); {redis} debug segfault || {gone}', 'expect': {'exit': 0}}
        ),
        journey('killed', linger, f'pid=$(cat pid); kill -KILL $pid; {gone}', 'test -e pid'),
        journey('aborted', linger, f'pid=$(cat pid); kill -ABRT $pid; {gone}', 'test -e pid'),
        journey('panics', tells.format('disk on fire'), told),
        journey('drills', tells.format('a drill'), told),
        crash_markers={'allow': ['a drill']},
    )
    wanted = {'dies': 'failed', 'killed': 'passed', 'aborted': 'passed', 'panics': 'failed', 'drills': 'passed'}
    assert done.verdicts == wanted
    assert re.search(r'step 3: .*observed redis-server \(pid \d+\): death by signal SIGSEGV', done.causes['dies'])
    assert done.causes['panics'].endswith('observed it said: panic: disk on fire')

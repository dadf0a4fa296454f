"""Runs that are told to stop: by Ctrl-C, by signals, by a deadline, or because another run has their directory."""

import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hack.common import process
from hack.dogfood.rundir import RunDir
from tests.python.runs import DOGFOOD, HOUSE, WAIT_SECONDS, Done, Live, Place, journey, need_commands

UNTIL_LET_GO = 'until test -e @LEDGER@.go; do sleep 0.02; done'

# One that is done, one that is at it with children of all kinds, and one that has not begun; a daemon of its chain.
DAEMON = 'setsid sleep 300 >/dev/null 2>&1 & echo $! > $DOGFOOD_DATA_DIR/pid'
HELD = (
    journey(
        'serve',
        f'echo serve >> @LEDGER@; {DAEMON}',
        tier='smoke',
        establishes='served',
        teardown=['kill $(cat $DOGFOOD_DATA_DIR/pid); echo down >> @LEDGER@'],
    ),
    journey(
        'held', f"echo held >> @LEDGER@; (trap '' TERM INT HUP; sleep 300) & {UNTIL_LET_GO}; kill %1", requires='served'
    ),
    journey('later', 'echo later >> @LEDGER@', requires='served', tier='deep'),
    journey('done', 'echo done >> @LEDGER@', tier='smoke'),
)


def held(place: Place, **more: object) -> Live:
    live = place.start(*HELD, '--keep', 'none', **more)  # type: ignore[arg-type]
    live.until(lambda: {'held', 'done'} <= set(place.ran()))
    return live


def check_stopped(place: Place, first: Done) -> None:
    """Children ended, records kept, teardown run, and the run goes on from there."""
    assert (first.exit, first.said_exit) == (130, '130')
    assert first.verdicts == {'serve': 'passed', 'held': 'infra', 'later': 'infra', 'done': 'passed'}
    assert 'interrupted' in first.causes['held']
    assert place.processes() == []
    assert sorted(place.ran()) == ['done', 'down', 'held', 'serve']
    assert list(place.tmp.iterdir()) == []
    Path(f'{place.ledger}.go').touch()
    again = place.resume()
    assert (again.exit, again.said_exit, set(again.verdicts.values())) == (0, '0', {'passed'})
    assert sorted(place.ran()[4:]) == ['down', 'held', 'later', 'serve']


@pytest.mark.parametrize('name', ['TERM', 'HUP', 'QUIT'])
def test_the_script_is_told_to_stop(place: Place, name: str) -> None:
    live = held(place)
    live.script.send_signal(signal.Signals[f'SIG{name}'])
    check_stopped(place, live.wait())


def test_make_is_told_to_stop(place: Place) -> None:
    live = held(place)
    made = [its for its in process.descendants(live.script.pid) if its.name == 'make']
    assert len(made) == 1
    process.send(made[0], signal.SIGTERM)
    check_stopped(place, live.wait())


def test_the_whole_group_is_told_to_stop(place: Place) -> None:
    live = held(place)
    os.killpg(live.script.pid, signal.SIGTERM)
    check_stopped(place, live.wait())


def test_make_dogfood_is_told_to_stop(place: Place) -> None:
    """TERM to make alone, as a build server does it; make says 2, the run directory what it was."""
    place.corpus(*HELD)
    run = place.path / 'run'
    command = ['make', '-C', str(HOUSE), 'dogfood', f'JOURNEYS={place.path}/corpus.yaml', f'RUN_DIR={run}', 'KEEP=none']
    with (place.path / 'made.out').open('wb') as out:
        make = subprocess.Popen(
            [*command, 'SHARDS=2'], stdout=out, stderr=out, cwd=place.path, env=place.environment(), process_group=0
        )
    live = Live(make, RunDir(run), place.path / 'made.out', place.path / 'made.err')
    live.until(lambda: {'held', 'done'} <= set(place.ran()))
    make.terminate()
    stopped = live.wait()
    assert stopped.exit in (2, 128 + signal.SIGTERM)
    live.until_gone()
    check_stopped(place, place.verb('report', str(run), '--interrupted'))


def test_a_signal_before_anything_is_planned(place: Place) -> None:
    live = place.start(journey('never', 'echo never >> @LEDGER@'))
    live.script.terminate()
    done = live.wait()
    assert done.exit in (130, 128 + signal.SIGTERM)
    assert 'Traceback' not in done.err


@pytest.mark.parametrize('pause', [0.1, 0.2, 0.3])
def test_a_signal_while_the_shards_start(place: Place, pause: float) -> None:
    live = place.start(journey('held', f'echo held >> @LEDGER@; {UNTIL_LET_GO}'), journey('done', 'true'))
    time.sleep(pause)
    live.script.terminate()
    done = live.wait()
    assert done.exit in (130, 128 + signal.SIGTERM)
    assert set(done.verdicts.values() if done.bundle else ['infra']) <= {'infra', 'passed'}
    assert place.processes() == []


# -- at a terminal -----------------------------------------------------------------------------


@contextmanager
def at_a_terminal(place: Place) -> Iterator[tuple[Live, int]]:
    """A run in the foreground of a terminal of its own; the terminal's other end is ours."""
    need_commands('setsid')
    place.corpus(*HELD)
    ours, its = pty.openpty()
    command = [
        'setsid',
        '--ctty',
        '--wait',
        str(HOUSE / DOGFOOD),
        '--run-dir',
        'run',
        '--shards',
        '2',
        '--keep',
        'none',
    ]
    script = subprocess.Popen(
        [*command, 'corpus.yaml'], stdin=its, stdout=its, stderr=its, cwd=place.path, env=place.environment()
    )
    os.close(its)
    live = Live(script, RunDir(place.path / 'run'), place.path / 'none', place.path / 'none')
    try:
        live.until(lambda: {'held', 'done'} <= set(place.ran()))
        yield live, ours
    finally:
        script.kill()
        script.wait()


def read_all(terminal: int) -> bytes:
    said = b''
    try:
        while data := os.read(terminal, 1 << 16):
            said += data
    except OSError:  # the other end is closed
        pass
    return said


def test_ctrl_c(place: Place) -> None:
    with at_a_terminal(place) as (live, terminal):
        os.write(terminal, b'\x03')
        said = read_all(terminal)
        done = live.wait()
    os.close(terminal)
    assert b'Interrupted.' in said
    check_stopped(place, done)


def test_the_terminal_goes_away(place: Place) -> None:
    """Nobody hears the report any more, but it is written."""
    with at_a_terminal(place) as (live, terminal):
        os.close(terminal)
        live.script.wait(30)
        live.until_gone()
    check_stopped(place, place.verb('report', 'run'))


def test_a_second_ctrl_c_ends_the_teardown(place: Place) -> None:
    live = place.start(
        journey('held', f'echo held >> @LEDGER@; {UNTIL_LET_GO}', teardown=['echo down >> @LEDGER@; sleep 300']),
        journey('other', f'echo other >> @LEDGER@; {UNTIL_LET_GO}', teardown=['echo down >> @LEDGER@; sleep 300']),
        shards=2,
    )
    live.until(lambda: {'held', 'other'} <= set(place.ran()))
    live.script.terminate()
    live.until(lambda: place.ran().count('down') == 2)
    time.sleep(1.1)  # what comes within a second is the same Ctrl-C
    live.script.terminate()
    started = time.monotonic()
    done = live.wait()
    assert time.monotonic() - started < 5
    assert (done.exit, done.said_exit, set(done.verdicts.values())) == (130, '130', {'infra'})
    assert place.processes() == []


def test_nohup(place: Place) -> None:
    """Who ignores a signal for us wants the run to go on."""
    live = held(place, before=['nohup'])
    os.killpg(live.script.pid, signal.SIGHUP)
    Path(f'{place.ledger}.go').touch()
    done = live.wait()
    assert (done.exit, set(done.verdicts.values())) == (0, {'passed'})


def test_nobody_reads_what_is_said(place: Place) -> None:
    """As with `| head -1`: the run ends as it would, and its files say so."""
    read, write = os.pipe()
    os.close(read)
    place.corpus(journey('one', 'true'), journey('two', 'false'))
    with open(write, 'wb') as nowhere:
        done = subprocess.run(
            [str(HOUSE / DOGFOOD), '--run-dir', 'run', 'corpus.yaml'],
            stdout=nowhere,
            stderr=subprocess.PIPE,
            cwd=place.path,
            env=place.environment(),
        )
    assert (done.returncode, (place.path / 'run/exit').read_text()) == (1, '1\n')
    assert b'Traceback' not in done.stderr


# -- deadlines -----------------------------------------------------------------------------------


def test_a_deadline_in_the_middle(place: Place) -> None:
    first = place.run('--deadline', '1s', *HELD, '--keep', 'none')
    assert (first.exit, first.said_exit) == (3, '3')
    assert first.verdicts == {'serve': 'passed', 'held': 'infra', 'later': 'infra', 'done': 'passed'}
    assert "the run's deadline was reached" in first.causes['held'] + first.causes['later']
    assert place.processes() == []
    assert sorted(place.ran()) == ['done', 'down', 'held', 'serve']
    Path(f'{place.ledger}.go').touch()
    again = place.resume('--deadline', '1m')
    assert (again.exit, set(again.verdicts.values())) == (0, {'passed'})


def test_a_deadline_before_the_first_journey(place: Place) -> None:
    first = place.run('--deadline', '1ms', journey('one', 'echo one >> @LEDGER@'), journey('two', 'true'))
    assert (first.exit, set(first.verdicts.values()), place.ran()) == (3, {'infra'}, [])
    again = place.resume()
    assert (again.exit, set(again.verdicts.values()), place.ran()) == (0, {'passed'}, ['one'])


# -- two at once -----------------------------------------------------------------------------------


@pytest.mark.parametrize('resumed', [False, True])
def test_two_runs_into_one_directory_at_the_same_instant(place: Place, resumed: bool) -> None:
    one = journey('one', f'echo one >> @LEDGER@; {UNTIL_LET_GO}')
    if resumed:
        assert place.run('--deadline', '1ms', one).exit == 3
    rivals = [place.start(*([] if resumed else [one]), resume=resumed) for _ in range(3)]
    last = time.monotonic() + WAIT_SECONDS
    while [live.script.poll() for live in rivals].count(None) > 1 and time.monotonic() < last:
        time.sleep(0.01)
    Path(f'{place.ledger}.go').touch()
    done = [live.wait() for live in rivals]
    assert sorted(one.exit for one in done) == [0, 2, 2]
    assert place.ran() == ['one']
    for refused in (one for one in done if one.exit == 2):
        assert str(place.path / 'run') in refused.err
        assert 'Traceback' not in refused.err


PYTHON_HELD = """python3 -c "import os, time; print(os.getpid(), file=open('@LEDGER@', 'w')); time.sleep(300)\""""


@pytest.mark.parametrize('client', ['echo $$ >> @LEDGER@; sleep 300; test -d .', PYTHON_HELD])
@pytest.mark.parametrize('name', ['TERM', 'INT'])
def test_everything_is_told_to_stop_at_once(place: Place, client: str, name: str) -> None:
    """As systemd ends a service and a server its job: the step hears it too, and may be the first."""
    number = signal.Signals[f'SIG{name}']
    live = place.start(journey('held', client), shards=1)
    live.until(place.ran)
    os.killpg(os.getpgid(int(place.ran()[0])), number)
    time.sleep(0.1)
    os.killpg(live.script.pid, number)
    done = live.wait()
    assert (done.exit, done.verdicts) == (130, {'held': 'infra'})
    assert 'interrupted' in done.causes['held']

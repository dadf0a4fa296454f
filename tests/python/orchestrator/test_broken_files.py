"""Whatever a file was made into: what runs can be seen and stopped, and nobody is lost."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.orchestrator.runtime import supervisor
from tests.python.orchestrator.lives import HEAD, STUBBORN, TWO, Life, eventually, kill, life
from tests.python.orchestrator.projects import PAIR, PAIR_FILES
from tests.python.orchestrator.test_read_only import manifest

BROKEN = {
    'no TOML': ('[defaults\n' + TWO, 'agents.toml:1:10: not TOML'),
    'a key misspelt': (TWO.replace('kind', 'kidn', 1), "unknown key 'kidn' (did you mean 'kind'?)"),
    'a prompt that is gone': (TWO + 'prompt = "gone.md"\n', 'gone.md: No such file or directory'),
    'no file': (None, 'agents.toml: is not there (write one with `'),
}


@pytest.fixture
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with life(tmp_path_factory.mktemp('ao'), TWO + STUBBORN) as there:
        there.up()
        eventually(lambda: len(there.alive('watchdog')) == 2)
        yield there


def spoil(there: Life, text: str | None) -> None:
    if text is None:
        there.there.config.unlink()
    else:
        there.there.config.write_text(text)


def locks() -> list[str]:
    """The kernel's own list; an arrow stands before those that wait."""
    return Path('/proc/locks').read_text().splitlines()


def state(there: Life) -> Path:
    return there.folder / 's/state'


# -- the configuration -----------------------------------------------------------------------


@pytest.mark.parametrize(('text', 'problem'), BROKEN.values(), ids=BROKEN)
def test_a_fleet_can_be_seen_and_stopped_though_its_file_is_no_good(up: Life, text: str | None, problem: str) -> None:
    sound = up.there.config.read_text()
    here = up.there.project
    spoil(up, text)
    try:
        status, out, err = up.verb('status')
        assert (status, out.count('RUNNING')) == (2, 3)
        assert problem in err
        assert err.endswith('agents.toml: going by the last good version, by which agents run\n')
        assert up.verb('doctor')[0] == 1
        assert up.verb('up')[0] == 2, 'nothing is started by a file that is no good'
        status, out, err = up.verb('down')
        assert (status, out) == (0, 'down: all\n')
        assert problem in err
        assert supervisor.processes(here, ['one', 'one-more', 'watchdog']) == []
        assert up.verb('down')[0] == 2, 'now nothing runs by it'
    finally:
        up.there.config.write_text(sound)
    assert set(up.there.states().values()) == {'stopped'}


def test_a_watchdog_can_come_up_though_the_file_is_no_good(up: Life) -> None:
    spoil(up, BROKEN['no TOML'][0])
    try:
        socket = up.pid_by_hand
        before = socket('t-one'), socket('t-watchdog')
        kill(*before)
        eventually(lambda: socket('t-one') not in (0, before[0]) and socket('t-watchdog') not in (0, before[1]))
    finally:
        spoil(up, TWO + STUBBORN)


def test_a_watchdog_that_stood_by_knows_what_has_changed_meanwhile(up: Life) -> None:
    watching = supervisor.watchdog_pid(up.there.project)
    (standing_by,) = {*up.alive('watchdog')} - {watching}
    eventually(lambda: any('->' in line and f' {standing_by} ' in line for line in locks()))
    os.kill(watching, signal.SIGSTOP)
    up.there.config.write_text(TWO + STUBBORN + '[[agent]]\nname = "new"\nkind = "persistent"\n')
    kill(watching)
    eventually(lambda: 'agents.toml: read anew' in up.said())


# -- state files -----------------------------------------------------------------------------


def test_a_torn_state_file_is_shown_with_its_agent_and_the_others_as_ever(up: Life) -> None:
    kill(*up.alive('watchdog'))  # it would mend it
    (state(up) / 'backoff-one.json').write_text('{"versi')
    before = manifest(up.folder)
    status, out, err = up.verb('status')
    assert status == 3
    assert 'RUNNING (state unreadable)' in out.splitlines()[1]
    assert out.splitlines()[2].endswith('RUNNING')
    problem = f'{state(up)}/backoff-one.json: is not a state file of ours (doctor --fix puts it right)\n'
    assert err == problem
    assert manifest(up.folder) == before
    assert 'torn state: backoff-one.json: cannot be read' in up.verb('doctor')[1]
    up.verb('doctor', '--fix')
    assert not (state(up) / 'backoff-one.json').exists()


@pytest.mark.parametrize('holds', ['{"version": 1}', '{"version": 1, "pid": "x", "environment": [1]}', '[]', '\0'])
def test_no_state_file_of_whatever_content_makes_a_verb_crash(up: Life, holds: str) -> None:
    kill(*up.alive('watchdog'))
    for name in ('backoff-one', 'limited-one', 'stalled-one', 'override-one', 'wanted-one', 'done-one', 'server'):
        (state(up) / f'{name}.json').write_text(holds)
    for verb in (['status'], ['doctor'], ['doctor', '--fix'], ['up'], ['status'], ['down']):
        status, _, err = up.verb(*verb)
        assert 'Traceback' not in err, verb
        assert status in (0, 1, 3), verb
    assert status == 0


@pytest.mark.parametrize('name', ['wanted-one.json', 'override-one.json', 'backoff-one.json', 'server.json'])
def test_the_watchdog_mends_what_is_torn_and_loses_nobody(up: Life, name: str) -> None:
    kill(*up.alive('watchdog'))
    (state(up) / name).write_bytes(b'\xff{')
    victim = up.pid('one')
    kill(victim)
    up.up()
    assert up.is_back('one', victim)
    eventually(lambda: len(up.alive('watchdog')) == 2)
    kill(up.pid('one'))
    (state(up) / name).write_text('')
    eventually(lambda: up.is_back('one', victim) and len(up.alive('one')) == 1)
    eventually(lambda: not (state(up) / name).exists() or '"version": 1' in (state(up) / name).read_text())
    assert up.verb('status')[0] == 0


def test_who_is_to_be_up_is_known_though_the_record_is_torn(up: Life) -> None:
    victim = up.pid('one')
    (state(up) / 'wanted-one.json').write_text('{"version": 1')
    kill(*up.alive('watchdog'))
    kill(victim)
    assert up.verb('up', 'one-more')[0] == 0  # starts the watchdog, and not `one`
    eventually(lambda: up.is_back('one', victim))


def test_a_torn_phase_is_that_of_the_loops(tmp_path_factory: pytest.TempPathFactory) -> None:
    head = HEAD + PAIR.partition('model = "none"\n')[2]
    with life(tmp_path_factory.mktemp('ao'), head, PAIR_FILES) as there:
        there.verb('phase', 'set', 'two')
        there.up('builder', RESUME_PHASE='1')
        (state(there) / 'phase-idx').write_text('')
        status, out, err = there.verb('status')
        if status:  # else it is mended already
            assert (status, out.splitlines()[0]) == (3, 'phase: unknown')
            assert "phase-idx: '' is no number (run `phase set N`)" in err
        eventually(lambda: there.verb('phase', 'show')[1].startswith('phase: two [2/2]'))


def test_what_could_not_be_written_is_said_and_tried_again_soon(tmp_path_factory: pytest.TempPathFactory) -> None:
    rarely = TWO.replace('heavy_interval = 0.2', 'heavy_interval = 300')
    with life(tmp_path_factory.mktemp('ao'), rarely) as there:
        there.up()
        eventually(lambda: 'watching' in there.said())
        lock = state(there) / 'acts.lock'
        lock.unlink()
        lock.mkdir()  # stands for a disk that is full
        victim = there.pid('one')
        kill(victim)
        eventually(lambda: 'cannot act: ' in there.said())
        problem = f'{state(there)}: Is a directory (make room there, or name another log_dir)\n'
        assert there.verb('up') == (3, '', problem)
        assert there.verb('down') == (3, '', problem)
        lock.rmdir()
        eventually(lambda: there.is_back('one', victim))


def test_down_works_though_nothing_can_be_written(up: Life) -> None:
    eventually(lambda: 'watching' in up.said())
    up.there.project.tmux.type(up.panes()['one'].id, 'something to keep')
    eventually(lambda: 'something to keep' in up.screen('one'))
    (up.folder / 's/one.log').mkdir()  # stands for a disk that is full
    assert up.verb('down') == (0, 'down: all\n', '')
    assert set(up.there.states().values()) == {'stopped'}


def test_down_works_with_every_file_torn(up: Life) -> None:
    for path in state(up).glob('*.json'):
        if path.name != 'in-force.json':
            path.write_text('torn')
    status, out, err = up.verb('down')
    assert (status, out.splitlines()[-1], err) == (0, 'down: all', '')
    assert set(up.there.states().values()) == {'stopped'}

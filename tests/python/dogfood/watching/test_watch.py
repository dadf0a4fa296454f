"""A run that goes on, looked at from its directory, in whole runs: on no terminal, and for a server's log."""

import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hack.dogfood.watching.watch import Watched
from tests.python.dogfood.reporting.test_annotations import Command, read
from tests.python.runs import HOUSE, JOURNEYS, PYTHON, WAIT_SECONDS, Done, Live, Place, journey

HOLD = 'until test -e @LEDGER@.go; do sleep 0.02; done'
MIXED = (
    journey('good', 'echo good'),
    journey('bad', 'echo "::error::mine"; exit 3', expect={'exit': 0}),
    journey('unmeasured', 'dogfood-infra "no power"'),
    journey('absent', 'dogfood-skip "not here"'),
)


def manifest(path: Path) -> dict[str, tuple[int, int, str]]:
    """Of every file and folder below: its mode, its last change, its contents."""
    return {
        str(one.relative_to(path)): (
            one.lstat().st_mode,
            one.lstat().st_mtime_ns,
            hashlib.sha256(one.read_bytes()).hexdigest() if one.is_file() else '',
        )
        for one in sorted(path.rglob('*'))
    }


@contextmanager
def watching(place: Place, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`watch` from elsewhere, on no terminal."""
    watcher = subprocess.Popen(
        [str(PYTHON), str(HOUSE / JOURNEYS), 'watch', str(place.path / 'run'), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd='/',
        env=place.environment(),
        text=True,
    )
    try:
        yield watcher
    finally:
        watcher.kill()
        watcher.communicate()


def held(place: Place) -> Live:
    """A run of which a journey passed and another one waits to be let go."""
    live = place.start(journey('first', 'echo first >> @LEDGER@'), journey('last', f'echo last >> @LEDGER@; {HOLD}'))
    live.until(lambda: {'first', 'last'} <= set(place.ran()) and 'first' in live.out.read_text())
    return live


def let_go(place: Place, live: Live) -> Done:
    Path(f'{place.ledger}.go').touch()
    return live.wait()


def test_it_tells_each_journey_and_ends_with_the_run(place: Place) -> None:
    live = held(place)
    with watching(place) as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline().split()[:2] == ['passed', 'first']
        assert let_go(place, live).exit == 0
        out, _ = watcher.communicate(timeout=WAIT_SECONDS)
    lines = out.splitlines()
    assert lines[0].split()[:2] == ['passed', 'last']
    assert lines[1].startswith('The product kept what was checked: 2 passed')
    assert lines[2].startswith('bundle: ')
    assert watcher.returncode == 0


def test_it_writes_nothing(place: Place) -> None:
    live = held(place)
    house = place.house()
    with watching(place) as watcher:
        assert watcher.stdout is not None
        watcher.stdout.readline()
        before = manifest(place.path / 'run'), manifest(house)
        watcher.send_signal(signal.SIGTERM)
        watcher.communicate(timeout=WAIT_SECONDS)
        assert (manifest(place.path / 'run'), manifest(house)) == before
    assert let_go(place, live).exit == 0
    before = manifest(place.path / 'run'), manifest(house)
    assert place.verb('watch', 'run', house=house).exit == 0
    assert (manifest(place.path / 'run'), manifest(house)) == before


def test_a_watcher_that_is_killed_is_no_loss(place: Place) -> None:
    live = held(place)
    with watching(place) as watcher:
        assert watcher.stdout is not None
        watcher.stdout.readline()
        watcher.kill()
    assert let_go(place, live).exit == 0


def test_as_json_each_line_is_a_record(place: Place) -> None:
    done = place.run(*MIXED)
    lines = place.verb('watch', 'run', '--format', 'json').out.splitlines()
    assert {record['id']: record['verdict'] for record in map(json.loads, lines)} == done.verdicts


def test_what_is_no_run_and_what_nobody_works_at(place: Place) -> None:
    nowhere = place.verb('watch', 'run')
    assert (nowhere.exit, nowhere.err) == (2, 'run: is not the folder of a run (start one without RESUME)\n')
    place.corpus(journey('one', 'true'))
    place.verb('plan', '--run-dir', 'run', 'corpus.yaml')
    left = place.verb('watch', 'run')
    assert (left.exit, left.err) == (0, '')
    assert 'nobody is at work there, and it was not judged' in left.out


def test_what_the_shards_say_beside_their_lines_is_told(place: Place) -> None:
    done = place.run(journey('one', 'true'))
    done.run_dir.said.write_text('shard 1: had to stop: \x1b[2J\nhalf a li')
    assert Watched(done.run_dir).look().said == ['shard 1: had to stop: \x1b[2J']
    assert 'shard 1: had to stop: \\x1b[2J\n' in place.verb('watch', 'run').out


# -- on no terminal, and for a server's log ----------------------------------------------------------


def test_without_a_terminal_each_journey_has_its_line_as_it_ends(place: Place) -> None:
    done = let_go(place, held(place))
    assert [line.split()[1] for line in done.out.splitlines()[:2]] == ['first', 'last']
    assert '\x1b' not in done.out
    assert '::' not in done.out
    assert not done.run_dir.said.exists()


@pytest.mark.parametrize('name', ['CI', 'GITHUB_ACTIONS'])
def test_for_a_server_lines_are_grouped_and_failures_annotated(place: Place, name: str) -> None:
    (place.path / '.git').mkdir()
    done = place.run(*MIXED, environment={name: 'true'})
    assert done.exit == 1
    log = read(done.out)
    assert log[0] == Command('group', {}, 'Journeys, as they end')
    ended = log.index(Command('endgroup', {}, ''))
    assert sorted(str(line).split()[0] for line in log[1:ended]) == ['failed', 'infra', 'passed', 'skipped']
    names = [one.name for one in log if isinstance(one, Command)]
    assert names == [*['group', 'endgroup'] * 3, 'error', 'warning']
    error, warning = (one for one in log[-2:] if isinstance(one, Command))
    text = (place.path / 'corpus.yaml').read_text().splitlines()
    for one, id in ((error, 'bad'), (warning, 'unmeasured')):
        assert one.properties['file'] == 'corpus.yaml'
        line = int(one.properties['line'])
        assert any(f'"id": "{id}"' in near for near in text[line - 1 : line + 1])


def test_a_server_that_wants_json_gets_json_alone(place: Place) -> None:
    place.run(*MIXED)
    assert json.loads(place.verb('report', 'run', '--format', 'json', CI='true').out)['exit'] == 1
    assert os.path.exists(place.path / 'run/exit')

"""The live view in a real terminal: what is seen while a run goes on, and what is left of it."""

import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.common import process
from tests.python.runs import DOGFOOD, HOUSE, JOURNEYS, PYTHON, WAIT_SECONDS, Place, journey
from tests.python.terminal import Terminal, a_terminal

HOLD = 'echo {0} >> @LEDGER@; until test -e @LEDGER@.go; do sleep 0.05; done; echo {0}'
FAILS = journey('breaks-early', 'echo 漢字; exit 3', expect={'exit': 0}, promise='x' * 60)
BAR = re.compile('^(shard +[0-9]+|all) +[━╸╺ -]')

Opened = Callable[..., Terminal]


@pytest.fixture
def opened(place: Place) -> Iterator[Opened]:
    """Opens the place's one terminal."""
    contexts = []

    def open_one(columns: int = 80, rows: int = 24) -> Terminal:
        contexts.append(a_terminal(place.path, place.environment(), columns, rows))
        return contexts[-1].__enter__()

    yield open_one
    for context in contexts:
        context.__exit__(None, None, None)


def waiting(count: int = 2, **said: Any) -> list[dict[str, Any]]:
    return [journey(f'waits-{number}', HOLD.format(number), **said) for number in range(1, count + 1)]


def begin(place: Place, terminal: Terminal, *journeys: dict[str, Any], shards: int = 2, **changed: str) -> None:
    """dogfood.sh in the terminal, until the journeys that wait are all that is left."""
    place.corpus(*journeys)
    terminal.run(str(HOUSE / DOGFOOD), '--run-dir', 'run', '--shards', str(shards), 'corpus.yaml', **changed)
    held = sum('.go' in str(one) for one in journeys)
    terminal.until(lambda _: len(place.ran()) >= min(held, shards))


def let_go(place: Place) -> None:
    Path(f'{place.ledger}.go').touch()


def bars(screen: str) -> list[str]:
    return [line for line in screen.splitlines() if BAR.match(line)]


def is_whole(screen: str, columns: int, shown: int) -> bool:
    """Whether there are so many bars, none too long, one for all at their end, and nothing is left of others."""
    found = bars(screen)
    drawn = [line for line in screen.splitlines() if '━' in line]
    return len(found) == shown and drawn == found and found[-1][:4] == 'all ' and max(map(len, found)) < columns


def command_line(its: process.Process) -> str:
    return Path(f'/proc/{its.pid}/cmdline').read_text().replace('\0', ' ')


def the_view(place: Place) -> process.Process:
    its = [its for its in place.processes() if ' watch ' in command_line(its)]
    assert len(its) == 1
    return its[0]


@pytest.mark.parametrize('columns', [80, 200])
def test_what_is_seen_and_what_stays(place: Place, opened: Opened, columns: int) -> None:
    terminal = opened(columns)
    begin(place, terminal, FAILS, *waiting())
    seen = terminal.until(lambda screen: '1 failed' in screen)
    assert [line.split()[0] for line in bars(seen)] == ['shard', 'shard', 'all']
    assert [name for name in ('waits-1', 'waits-2') if name in seen] == ['waits-1', 'waits-2']
    assert 'left' in bars(seen)[-1] or 'nearly done' in bars(seen)[-1]
    assert 'failed    breaks-early' in seen
    assert not terminal.shows_cursor
    let_go(place)
    assert terminal.ended() == 1
    all = terminal.screen('-S', '-')
    assert bars(all) == []
    assert all.count('failed    breaks-early') == 1  # as it happened; the table says it in its own columns
    assert 'The product failed 1 of 3 journeys' in all
    assert terminal.shows_cursor


def test_the_final_table_is_the_same_as_without_a_view(place: Place, opened: Opened) -> None:
    terminal = opened(120)
    begin(place, terminal, FAILS, *waiting())
    terminal.until(bars)
    let_go(place)
    terminal.ended()
    with_view = terminal.screen('-S', '-')
    terminal.run(str(PYTHON), str(HOUSE / JOURNEYS), 'report', 'run')
    terminal.ended(2)
    table = terminal.screen()[: terminal.screen().index('bundle: ')].split('run-2.sh\n')[-1]
    assert table.strip() in with_view


def test_what_make_says_stays_as_it_is(place: Place, opened: Opened) -> None:
    house = place.house()
    shutil.copy(HOUSE / 'Makefile', house)
    place.corpus(FAILS, *waiting())
    terminal = opened()
    terminal.run('make', '-C', str(house), 'dogfood', 'SHARDS=2', f'JOURNEYS={place.path}/corpus.yaml')
    terminal.until(lambda screen: len(bars(screen)) == 3)
    let_go(place)
    assert terminal.ended() == 2
    said = terminal.screen().splitlines()
    ending = said.index('make dogfood: exit status 1 (make itself can only say 2)')
    assert re.fullmatch(r'make: \*\*\* \[Makefile:[0-9]+: dogfood\] Error 1', said[ending + 1])
    assert bars(terminal.screen('-S', '-')) == []


def test_a_locale_without_the_characters(place: Place, opened: Opened) -> None:
    terminal = opened()
    begin(place, terminal, FAILS, *waiting(), PYTHONIOENCODING='ascii')
    terminal.until(lambda screen: 'failed    breaks-early' in screen and len(bars(screen)) == 3)
    let_go(place)
    assert terminal.ended() == 1
    assert 'Traceback' not in terminal.screen('-S', '-')


def test_it_follows_the_terminal_when_that_is_resized(place: Place, opened: Opened) -> None:
    terminal = opened(80)
    begin(place, terminal, FAILS, *waiting(4), shards=4)
    terminal.until(lambda screen: len(bars(screen)) == 5)
    for columns, rows, shown in ((200, 30, 5), (60, 30, 5), (120, 6, 3), (40, 24, 5), (100, 24, 5)):
        terminal.resize(columns, rows)
        terminal.until(lambda screen, fits=(columns, shown): is_whole(screen, *fits))  # type: ignore[misc]
    let_go(place)
    assert terminal.ended() == 1
    assert 'failed    breaks-early' in terminal.screen('-S', '-')


@pytest.mark.parametrize('rows', [5, 30])
def test_more_shards_than_rows(place: Place, opened: Opened, rows: int) -> None:
    terminal = opened(80, rows)
    many = [journey(f'j{number}', f'echo {number}; sleep 0.2') for number in range(64)]
    begin(place, terminal, *waiting(2), *many, shards=40)
    seen = terminal.until(lambda screen: 'more shards' in screen and bars(screen))
    assert seen.splitlines()[-1].strip().endswith('passed') or 'no verdict yet' in seen
    assert len(bars(seen)) == rows - 3
    let_go(place)
    assert terminal.ended() == 0
    assert bars(terminal.screen('-S', '-')) == []


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(place: Place, opened: Opened) -> None:
    terminal = opened()
    begin(place, terminal, FAILS, *waiting(), TERM='dumb')
    seen = terminal.until(lambda screen: 'breaks-early' in screen)
    assert bars(seen) == []
    let_go(place)
    assert terminal.ended() == 1
    assert 'passed    waits-1' in terminal.screen('-S', '-')
    assert not (place.path / 'run/stderr.txt').exists()


def test_no_color(place: Place, opened: Opened) -> None:
    terminal = opened()
    begin(place, terminal, FAILS, *waiting(), NO_COLOR='1')
    terminal.until(lambda screen: bars(screen) and '1 failed' in screen)
    assert re.findall('\x1b\\[[0-9;]*m', terminal.screen('-e')) == []
    let_go(place)
    assert terminal.ended() == 1


def test_a_run_that_is_over_at_once_has_no_view(place: Place, opened: Opened) -> None:
    terminal = opened()
    terminal.tmux('pipe-pane', '-t', 'it', f'cat > {place.path}/raw')
    begin(place, terminal, journey('quick', 'echo quick', expect={'stdout': {'contains': 'quick'}}))
    assert terminal.ended() == 0
    terminal.until(lambda screen: '1 passed' in screen)
    assert '━' not in (place.path / 'raw').read_text()


@pytest.mark.parametrize('name', ['KILL', 'STOP'])
def test_a_view_that_is_gone_or_stuck_is_no_loss(place: Place, opened: Opened, name: str) -> None:
    terminal = opened()
    begin(place, terminal, FAILS, *waiting())
    terminal.until(bars)
    process.send(the_view(place), signal.Signals[f'SIG{name}'])
    let_go(place)
    assert terminal.ended() == 1
    seen = terminal.until(lambda screen: 'bundle: ' in screen)
    assert 'The product failed 1 of 3 journeys' in seen
    assert terminal.shows_cursor
    assert not [its for its in place.processes() if ' watch ' in command_line(its)]


def test_ctrl_c(place: Place, opened: Opened) -> None:
    terminal = opened()
    begin(place, terminal, *waiting())
    terminal.until(bars)
    terminal.keys('C-c')
    assert terminal.ended() == 130
    all = terminal.until(lambda screen: 'Interrupted.' in screen, '-S', '-')
    assert bars(all) == []
    assert 'Traceback' not in all
    assert terminal.shows_cursor


def test_what_shards_say_beside_their_lines_stands_above_the_bars(place: Place, opened: Opened) -> None:
    terminal = opened()
    begin(place, terminal, *waiting())
    terminal.until(bars)
    with (place.path / 'run/stderr.txt').open('a') as file:
        file.write('shard 9: had to stop: no room\n')
    terminal.until(lambda screen: 'shard 9: had to stop' in screen)
    let_go(place)
    assert terminal.ended() == 0
    all = terminal.screen('-S', '-')
    assert all.count('shard 9: had to stop: no room') == 1
    assert bars(all) == []


def test_watch_shows_the_same_from_elsewhere_and_can_be_left(place: Place, opened: Opened) -> None:
    live = place.start(FAILS, *waiting())
    live.until(lambda: len(place.ran()) == 2)
    terminal = opened()
    for number in (1, 2):
        terminal.run(str(PYTHON), str(HOUSE / JOURNEYS), 'watch', 'run')
        terminal.until(lambda screen: len(bars(screen)) == 3 and 'failed    breaks-early' in screen)
        if number == 1:
            terminal.keys('C-c')
            assert terminal.ended() == 130
            assert bars(terminal.screen()) == []
            assert terminal.shows_cursor
    let_go(place)
    assert live.wait().exit == 1
    assert terminal.ended(2) == 0
    assert 'The product failed 1 of 3 journeys' in terminal.screen()
    assert bars(terminal.screen()) == []


def test_a_terminal_that_goes_away_takes_the_view_along_and_not_the_run(place: Place) -> None:
    """Here HUP is ignored, as under nohup; where it is not, the run is told to stop."""
    with a_terminal(place.path, place.environment()) as terminal:
        begin(place, terminal, *waiting())
        terminal.until(bars)
    until(lambda: not any(' watch ' in command_line(its) for its in place.processes()))
    let_go(place)
    until(lambda: (place.path / 'run/exit').exists())
    assert (place.path / 'run/exit').read_text() == '0\n'


def until(look: Callable[[], bool]) -> None:
    last = time.monotonic() + WAIT_SECONDS
    while not look():
        assert time.monotonic() < last
        time.sleep(0.05)

"""The live view as rows of cells: never wider or higher than the terminal, whatever it has to show."""

import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hack.common import results
from hack.dogfood.watching import bars
from hack.dogfood.watching.live import Glance, ShardNow

PLAIN = Console(file=io.StringIO(), color_system=None, no_color=True, force_terminal=True, legacy_windows=False)

HOSTILE = ('漢字' * 60, '\x1b[2J\x1b[31m', 'a\nb\tc\r', '\u202eabc', '\U0001f469\u200d\U0001f469\u200d\U0001f467')


def shard(number: int, judged: int = 3, planned: int = 10, **said: object) -> ShardNow:
    made = ShardNow(number, planned, judged, 'passed', 'a-journey', 2.4, 5.0, None)
    return made._replace(**said)  # type: ignore[arg-type]


def glance(*shards: ShardNow, left: float = 72.0, **totals: int) -> Glance:
    return Glance(shards, {**results.totals(()), **totals}, 0, 75.0, left)


def drawn(seen: Glance, columns: int = 80, rows: int = 24) -> list[str]:
    return [line.plain.rstrip() for line in bars.drawn(seen, columns, rows, PLAIN)]


def test_what_is_drawn() -> None:
    seen = glance(
        shard(1),
        shard(2, judged=10, journey='', ending='done'),
        shard(3, journey='', worst='failed'),
        passed=15,
        failed=1,
    )
    assert drawn(seen) == [
        '',
        'shard 1  ━━━━━                3/10    2 s  a-journey',
        'shard 2  ━━━━━━━━━━━━━━━━━━  10/10         done',
        'shard 3  ━━━━━                3/10         waiting',
        'all      ━━━━━━━━━╸          16/30  1:15 min, about 1:12 min left',
        '         15 passed, 1 failed',
    ]


def test_a_run_that_has_just_begun_and_one_that_is_nearly_done() -> None:
    assert drawn(glance(shard(1, judged=0)))[-1].strip() == 'no verdict yet'
    assert drawn(glance(shard(1), left=0.4))[-2].endswith('1:15 min, nearly done')
    assert drawn(glance(shard(1, judged=10, journey='', ending='done'), passed=10))[-2].endswith('1:15 min')


@pytest.mark.parametrize(('rows', 'shards', 'rest'), [(30, 26, 38), (12, 8, 56), (5, 1, 63)])
def test_more_shards_than_rows(rows: int, shards: int, rest: int) -> None:
    lines = drawn(glance(*(shard(number) for number in range(1, 65))), rows=rows)
    assert len(lines) == rows - 1
    assert sum(line.startswith('shard') for line in lines) == shards
    assert lines[-3] == f'… {rest} more shards: {rest} at work'
    assert lines[-2].startswith('all ')


def test_shards_at_work_come_before_those_that_ended() -> None:
    many = (shard(number, ending='done' if number <= 60 else None) for number in range(1, 65))
    lines = drawn(glance(*many), rows=8)
    assert [line.split('  ')[0] for line in lines] == [
        *(f'shard {number}' for number in range(61, 65)),
        '… 60 more shards: 60 ended',
        'all',
        '',
    ]


@given(
    columns=st.integers(1, 250),
    rows=st.integers(1, 70),
    shards=st.integers(1, 70),
    name=st.text(min_size=1, max_size=300) | st.sampled_from(HOSTILE),
)
def test_it_fits_the_terminal_whatever_the_names_are(columns: int, rows: int, shards: int, name: str) -> None:
    endings = itertools.cycle([None, None, 'done', name])
    seen = glance(*(shard(number, journey=name, ending=next(endings)) for number in range(1, shards + 1)), passed=3)
    lines = bars.drawn(seen, columns, rows, PLAIN)
    assert 1 <= len(lines) <= max(1, rows - 1)
    assert all(line.cell_len <= max(1, columns - 1) for line in lines)
    assert all(line.plain.isprintable() for line in lines)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_colours_nothing_is_coloured() -> None:
    for colour in (True, False):
        file = Terminal()
        with bars.Bars(file, colour) as shown:
            shown.show(glance(shard(1, worst='failed')))
        assert ('\x1b[1;31m' in file.getvalue()) is colour
        assert '━' in file.getvalue()
        assert file.getvalue().endswith('\x1b[?25h\r\x1b[1A\x1b[2K\x1b[1A\x1b[2K\x1b[1A\x1b[2K\x1b[1A\x1b[2K')

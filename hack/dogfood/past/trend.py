"""How runs went over time: rates, durations and signal to noise, as values and for a terminal. Pure but for `show`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from hack.common.console import Column, Console, Row
from hack.dogfood.past.history import Entry, Flaky, History, flaky

_BARS: Final = '▁▂▃▄▅▆▇█'
_FLAKY: Final = 20  # a longer list is cut, and says so
_STYLES: Final = {0: 'green', 1: 'bold red', 3: 'magenta', 130: 'yellow'}
_COLUMNS: Final = (
    Column('run'),
    Column('exit', right=True),
    Column('journeys', right=True),
    Column('pass', right=True),
    Column('flaky', right=True),
    Column('infra', right=True),
    Column('time', right=True),
    Column('signal:noise', right=True),
)


class Point(NamedTuple):
    """One run. Rates are from 0 to 1, None where there was nothing to count."""

    run: str
    started: str
    exit: int
    journeys: int
    pass_rate: float | None  # of what was measured: passed / (passed + failed)
    flake_rate: float | None  # of what was measured: what failed and passed, in this run or against another
    infra_rate: float | None  # of all that was planned
    duration_seconds: float | None
    signal: int
    noise: int
    signal_share: float | None  # signal / (signal + noise): of what cried for attention, how much was the product's


class Trend(NamedTuple):
    points: tuple[Point, ...]  # oldest first
    flaky: tuple[Flaky, ...]  # the latest first; of these runs
    complaints: tuple[str, ...] = ()


def of(history: History, last: int) -> Trend:
    """The last runs, and the journeys that contradicted themselves in them."""
    entries = history.entries[-last:]
    found = flaky(entries)
    contradicted: dict[str, set[str]] = {}
    for one in found:
        for run in (*one.failed, *one.retried):
            contradicted.setdefault(run, set()).add(one.journey)
    points = tuple(_point(entry, len(contradicted.get(entry.run, ()))) for entry in entries)
    return Trend(points, tuple(found), history.complaints)


def _point(entry: Entry, flakes: int) -> Point:
    measured = entry.totals['passed'] + entry.totals['failed']
    planned = sum(entry.totals.values())
    return Point(
        run=entry.run,
        started=entry.started,
        exit=entry.exit,
        journeys=planned,
        pass_rate=_rate(entry.totals['passed'], measured),
        flake_rate=_rate(flakes, measured),
        infra_rate=_rate(entry.totals['infra'], planned),
        duration_seconds=entry.duration_seconds,
        signal=entry.signal,
        noise=entry.noise,
        signal_share=_rate(entry.signal, entry.signal + entry.noise),
    )


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def as_json(trend: Trend) -> dict[str, Any]:
    return {
        'runs': [point._asdict() for point in trend.points],
        'flaky': [one._asdict() for one in trend.flaky],
        'complaints': list(trend.complaints),
    }


# -- for a terminal or a pipe --------------------------------------------------------------


def show(trend: Trend, console: Console) -> None:
    """On a terminal a line of bars for each figure, then a table; elsewhere the table alone. Flaky ones last."""
    if console.columns is not None and trend.points:
        console.say(*_bars(trend.points, console.columns), '')
    console.table(_COLUMNS, [Row(cells(point), _STYLES.get(point.exit, '')) for point in trend.points])
    if trend.flaky:
        console.say('', 'flaky: failed and passed while nothing had changed')
        console.say(*(console.fold(f'  {in_words(one)}', '    ') for one in trend.flaky[:_FLAKY]))
    if len(trend.flaky) > _FLAKY:
        console.say(f'  (and {len(trend.flaky) - _FLAKY} more: --format json)')


def in_words(one: Flaky) -> str:
    """The record of a flaky journey, in a line."""
    parts = [f'failed in {", ".join(one.failed)}'] * bool(one.failed)
    parts += [f'passed in {_some(one.passed)}'] * bool(one.passed)
    parts += [f'passed after a failure within {", ".join(one.retried)}'] * bool(one.retried)
    return f'{one.journey}: {"; ".join(parts)}' + (f' (revision {one.revision})' if one.revision else '')


def _some(runs: Sequence[str]) -> str:
    return ', '.join(runs) if len(runs) <= 3 else f'{runs[0]} … {runs[-1]} ({len(runs)} runs)'


def _bars(points: Sequence[Point], columns: int) -> list[str]:
    shown = points[-max(1, columns - 30) :]
    figures: Mapping[str, tuple[Sequence[float | None], str]] = {
        'pass': ([point.pass_rate for point in shown], percent(shown[-1].pass_rate)),
        'flaky': ([point.flake_rate for point in shown], percent(shown[-1].flake_rate)),
        'infra': ([point.infra_rate for point in shown], percent(shown[-1].infra_rate)),
        'time': ([point.duration_seconds for point in shown], duration(shown[-1].duration_seconds)),
        'signal': ([point.signal_share for point in shown], ratio(shown[-1])),
    }
    return [f'{name:6}  {bars(values)}  {last}' for name, (values, last) in figures.items()]


def bars(values: Iterable[float | None]) -> str:
    """A bar for each value, the highest for the greatest of them; a space for None."""
    known = list(values)
    top = max((value for value in known if value is not None), default=0) or 1.0
    return ''.join(' ' if value is None else _BARS[round(value / top * (len(_BARS) - 1))] for value in known)


def cells(point: Point) -> list[str]:
    """As the tables of a terminal and of the page show a run."""
    return [
        point.run,
        str(point.exit),
        str(point.journeys),
        percent(point.pass_rate),
        percent(point.flake_rate),
        percent(point.infra_rate),
        duration(point.duration_seconds),
        ratio(point),
    ]


def percent(rate: float | None) -> str:
    """Never rounded to 0 % or 100 % where it is not."""
    if rate is None:
        return '-'
    if 0 < rate < 0.001:
        return '<0.1%'
    return f'{min(100 * rate, 99.9) if rate < 1 else 100:.1f}%'


def duration(seconds: float | None) -> str:
    if seconds is None:
        return '-'
    return f'{seconds:.1f}s' if seconds < 100 else f'{int(seconds // 60)}m{int(seconds % 60):02d}s'


def ratio(point: Point) -> str:
    return f'{point.signal}:{point.noise}'

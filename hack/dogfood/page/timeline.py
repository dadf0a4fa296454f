"""When each journey ran in its shard, the idle tail of each shard, and the chain that sets the run's length."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from hack.dogfood.model import Json

SLIVERS_WIDE: Final = 100_000
_NARROW: Final = 0.001  # of the whole: a passed journey is then drawn as one with its neighbours
_TICKS: Final = 6
_STEPS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)


class Bar(NamedTuple):
    """A journey. Places and widths are parts of the whole time, 0 to 1."""

    journey: str
    verdict: str
    start: float
    width: float
    seconds: float
    is_critical: bool


class Lane(NamedTuple):
    """A shard."""

    shard: int
    ending: str
    seconds: float
    predicted_seconds: float
    idle_seconds: float
    begins: float  # parts of the whole, as below
    ends: float
    predicted: float
    bars: tuple[Bar, ...]  # those wide enough to be told from their neighbours, and all that did not pass
    slivers: str  # the others, as one SVG path in a box of SLIVERS_WIDE by 1


class Chain(NamedTuple):
    name: str
    shard: int
    seconds: float
    share: float  # of the whole


class Timeline(NamedTuple):
    seconds: float
    predicted_seconds: float
    lanes: tuple[Lane, ...]
    critical: Chain | None  # the one that ran longest: more shards cannot make the run shorter than it
    ticks: tuple[tuple[float, float], ...]  # place, seconds


def of(bundle: Json) -> Timeline | None:
    """None where nothing ran."""
    ran = [journey for journey in bundle['journeys'] if _moment(journey['started']) is not None]
    shards = [shard for shard in bundle['shards'] if _moment(shard['started']) is not None]
    moments = [_start(one) for one in (*ran, *shards)]
    if not ran:
        return None
    begin = min(moments)
    ends = [_start(journey) + journey['duration_seconds'] for journey in ran]
    ends += [end for shard in shards if (end := _moment(shard['ended'])) is not None]
    span = max(max(ends) - begin, 0.001)
    critical = _critical(ran, span)
    by_shard = defaultdict(list)
    for journey in ran:
        by_shard[journey['shard']].append(journey)
    lanes = tuple(_lane(shard, by_shard[shard['shard']], begin, span, critical) for shard in bundle['shards'])
    predicted = max((lane.predicted_seconds for lane in lanes), default=0.0)
    return Timeline(span, predicted, lanes, critical, _ticks(span))


def _moment(said: Any) -> float | None:
    try:
        return datetime.fromisoformat(said).timestamp()
    except (TypeError, ValueError):
        return None


def _start(one: Json) -> float:
    return _moment(one['started']) or 0.0


def _critical(ran: Iterable[Json], span: float) -> Chain | None:
    spent: defaultdict[tuple[str, int], float] = defaultdict(float)
    for journey in ran:
        spent[journey['chain'], journey['shard']] += journey['duration_seconds']
    (name, shard), seconds = max(spent.items(), key=lambda one: one[1])
    return Chain(name, shard, seconds, min(1.0, seconds / span))


def _lane(shard: Json, journeys: Sequence[Json], begin: float, span: float, critical: Chain | None) -> Lane:
    bars = [_bar(journey, begin, span, critical) for journey in journeys]
    begins = (_start(shard) or begin) - begin
    last = max((bar.start + bar.width for bar in bars), default=0.0) * span
    ended = _moment(shard['ended'])
    ends = ended - begin if ended is not None else last
    shown = [bar for bar in bars if not _is_sliver(bar)]
    return Lane(
        shard['shard'],
        shard['ending'],
        max(0.0, ends - begins),
        shard['predicted_seconds'],
        max(0.0, span - ends),
        begins / span,
        min(1.0, ends / span),
        min(1.0, (begins + shard['predicted_seconds']) / span),
        tuple(shown),
        ''.join(_sliver(bar) for bar in bars if _is_sliver(bar)),
    )


def _is_sliver(bar: Bar) -> bool:
    return bar.width < _NARROW and bar.verdict == 'passed' and not bar.is_critical


def _sliver(bar: Bar) -> str:
    left = int(bar.start * SLIVERS_WIDE)
    return f'M{left} 0h{int(bar.width * SLIVERS_WIDE) or 1}v1H{left}z'


def _bar(journey: Json, begin: float, span: float, critical: Chain | None) -> Bar:
    seconds = journey['duration_seconds']
    is_critical = critical is not None and critical.name == journey['chain']
    start = (_start(journey) - begin) / span
    return Bar(journey['id'], journey['verdict'], start, min(seconds / span, 1 - start), seconds, is_critical)


def _ticks(span: float) -> tuple[tuple[float, float], ...]:
    step = next((step for step in _STEPS if span / step <= _TICKS), span)
    return tuple((number * step / span, number * step) for number in range(int(span / step) + 1))

"""When what ran, from plain values."""

from typing import Any

from hack.dogfood.page import timeline


def ran(
    id: str, start: float, seconds: float, shard: int = 1, chain: str = '', verdict: str = 'passed'
) -> dict[str, Any]:
    return {
        'id': id,
        'chain': chain or id,
        'shard': shard,
        'verdict': verdict,
        'started': at(start),
        'duration_seconds': seconds,
    }


def at(seconds: float) -> str:
    return f'2026-01-01T00:00:{seconds:06.3f}Z'


def shard(number: int, start: float, end: float, predicted: float) -> dict[str, Any]:
    return {
        'shard': number,
        'started': at(start),
        'ended': at(end),
        'ending': 'done',
        'predicted_seconds': predicted,
    }


def test_bars_idle_tails_and_the_critical_chain() -> None:
    journeys = [ran('a', 0, 4, chain='a'), ran('b', 4, 6, chain='a', verdict='failed'), ran('c', 0, 5, shard=2)]
    line = timeline.of({'journeys': journeys, 'shards': [shard(1, 0, 10, 8), shard(2, 0, 5, 20)]})
    assert line is not None
    assert (line.seconds, line.predicted_seconds) == (10, 20)
    assert line.critical == timeline.Chain('a', 1, 10, 1)
    first, second = line.lanes
    assert [(bar.journey, bar.start, bar.width, bar.is_critical) for bar in first.bars] == [
        ('a', 0, 0.4, True),
        ('b', 0.4, 0.6, True),
    ]
    assert (first.idle_seconds, second.idle_seconds) == (0, 5)
    assert (first.predicted, second.predicted) == (0.8, 1)  # what goes beyond the run's end is cut there
    assert [seconds for _, seconds in line.ticks] == [0, 2, 4, 6, 8, 10]


def test_passed_journeys_too_short_to_be_told_apart_are_one_path() -> None:
    journeys = [ran('long', 0, 20), *(ran(f'short-{n}', 20 + n / 1000, 0.001) for n in range(50))]
    journeys.append(ran('bad', 21, 0.001, verdict='failed'))
    line = timeline.of({'journeys': journeys, 'shards': [shard(1, 0, 21.1, 1)]})
    assert line is not None
    assert [bar.journey for bar in line.lanes[0].bars] == ['long', 'bad']
    assert line.lanes[0].slivers.count('M') == 50


def test_where_nothing_ran_there_is_no_timeline() -> None:
    never = {**ran('a', 0, 0), 'started': None}
    torn = {**ran('b', 0, 0), 'started': 'yesterday'}
    assert timeline.of({'journeys': [never, torn], 'shards': []}) is None

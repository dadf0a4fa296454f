"""What the events of a run that goes on come to, and the time it may still take."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from hack.dogfood.watching import live
from hack.dogfood.watching.live import Glance, ShardTally
from tests.python.dogfood import samples

NOW = 1795255873.0  # 2026-11-21T10:11:13Z, when the journeys of the samples start


def tallies(*told: Sequence[Mapping[str, Any]], seconds: float = 10.0) -> list[ShardTally]:
    """Two shards with journeys a, b, c and d, e; each a prediction of `seconds`."""
    plan = samples.plan(['a,b', 'c'], ['d', 'e'], **{name: {'seconds': seconds} for name in 'abcde'})
    made = live.tallies(plan)
    for shard, events in zip(made, told, strict=False):
        for event in events:
            shard.hear(event)
    return made


def look(*told: Sequence[Mapping[str, Any]], after: float = 0.0) -> Glance:
    return live.glance(tallies(*told), NOW + after, 60.0)


def test_a_run_of_which_nothing_is_known_yet() -> None:
    seen = look()
    assert (seen.planned, seen.judged, seen.flaky, seen.elapsed_seconds) == (5, 0, 0, 60.0)
    assert set(seen.totals.values()) == {0}
    assert seen.left_seconds == 30.0  # the longest shard, as it was predicted
    assert [(shard.number, shard.planned, shard.journey, shard.ending) for shard in seen.shards] == [
        (1, 3, '', None),
        (2, 2, '', None),
    ]


def test_what_runs_and_for_how_long() -> None:
    seen = look([samples.shard_start(), samples.start('b', 'a')], after=4.0)
    assert (seen.shards[0].journey, seen.shards[0].seconds) == ('b', 4.0)
    assert seen.shards[0].left_seconds == 26.0
    overdue = look([samples.shard_start(), samples.start('b', 'a')], after=400.0)
    assert overdue.shards[0].left_seconds == 20.0


def test_verdicts_are_counted_once() -> None:
    told = [*samples.judged('a', 'failed'), *samples.judged('b', flaky=True), *samples.judged('b'), samples.shard_end()]
    seen = look(told, [samples.result(samples.record('d', 'infra'))])
    assert {verdict: number for verdict, number in seen.totals.items() if number} == {
        'passed': 1,
        'failed': 1,
        'infra': 1,
    }
    assert (seen.judged, seen.flaky) == (3, 1)
    assert [(shard.judged, shard.worst, shard.ending) for shard in seen.shards] == [
        (2, 'failed', 'done'),
        (1, 'infra', None),
    ]


def test_a_shard_that_ended_needs_no_more_time() -> None:
    assert look([samples.shard_end('interrupted')], [samples.shard_end()]).left_seconds == 0.0


def test_what_is_not_final_is_counted_anew_when_the_shard_starts_again() -> None:
    shard = tallies()[0]
    for name, verdict in (('a', 'passed'), ('b', 'infra'), ('c', 'blocked')):
        assert shard.hear(samples.result(samples.record(name, verdict))) is not None
    shard.hear(samples.shard_end('interrupted'))
    shard.hear(samples.shard_start())
    assert (shard.verdicts.total(), shard.ending) == (1, None)
    assert shard.hear(samples.result(samples.record('a', 'failed'))) is None  # built up again: its verdict stands
    assert shard.hear(samples.result(samples.record('b', 'failed'))) is not None
    assert dict(+shard.verdicts) == {'passed': 1, 'failed': 1}


@pytest.mark.parametrize('took', [1.0, 40.0])
def test_the_time_left_follows_the_pace(took: float) -> None:
    """Predicted were ten seconds each: as others take less or more, so will the rest."""
    ran = [event for name in 'ab' for event in samples.judged(name, duration_seconds=took)]
    left = look(ran).shards[1].left_seconds
    assert left == pytest.approx(2 * took, rel=0.5)


def test_what_did_not_run_says_nothing_of_the_pace() -> None:
    skipped = [samples.result(samples.record(name, 'skipped')) for name in 'ab']
    assert look(skipped).shards[1].left_seconds == 20.0


@pytest.mark.parametrize(
    'event',
    [
        {},
        {'event': 'start'},
        {'event': 'start', 'journey': 'of another plan', 'time': '2026-11-21T10:11:13.000Z'},
        {'event': 'result', 'record': {'id': 'a'}},
        {'event': 'result', 'record': samples.record('a', 'splendid')},
        {'event': 'result', 'record': samples.record('of another plan')},
        {'event': 'of tomorrow'},
    ],
)
def test_what_cannot_be_understood_is_passed_over(event: Mapping[str, Any]) -> None:
    shard = tallies()[0]
    assert shard.hear(event) is None
    assert shard.now(NOW, 1.0) == tallies()[0].now(NOW, 1.0)


@pytest.mark.parametrize(
    ('record', 'is_news'),
    [
        (samples.record('a'), False),
        (samples.record('a', flaky=True), True),
        (samples.record('a', 'failed'), True),
        (samples.record('a', 'infra'), True),
        (samples.record('a', 'blocked'), False),
        (samples.record('a', 'skipped'), False),
    ],
)
def test_what_is_said_at_once(record: Mapping[str, Any], is_news: bool) -> None:
    assert live.is_news(record) is is_news

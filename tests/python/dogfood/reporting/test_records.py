from collections.abc import Iterable
from typing import Any

import pytest

from hack.dogfood.model import FINAL_VERDICTS, VERDICTS
from hack.dogfood.reporting.records import Ending, Outcome, Place, ShardHistory
from tests.python.dogfood.samples import FINDING, STEP, judged, record, result, shard_end, shard_start, start

PLACES = {'a': Place(1, 'a'), 'b': Place(1, 'a'), 'c': Place(1, 'c'), 'elsewhere': Place(2, 'elsewhere')}


def history(*events: dict[str, Any] | Iterable[dict[str, Any]], is_running: bool = False) -> ShardHistory:
    flat = [event for one in events for event in ([one] if isinstance(one, dict) else one)]
    return ShardHistory(1, PLACES, flat, is_running)


def outcome(journey: str, told: ShardHistory, if_absent: Ending = 'absent') -> tuple[str, str]:
    said = told.outcome(journey, if_absent).record
    return said['verdict'], said['cause']


def observed(told: ShardHistory) -> list[str]:
    return [problem['observed'] for problem in told.problems]


def test_a_record_stands_as_it_was_written() -> None:
    written = record('a', 'failed', steps=[dict(STEP)], findings=[{**FINDING, 'attempt': 2}])
    told = history(shard_start(), start('a'), result(written, 3), shard_end())
    assert told.outcome('a', 'absent') == Outcome(3, written)
    assert told.problems == []


@pytest.mark.parametrize(
    ('events', 'of_started', 'of_waiting'),
    [
        (
            [shard_start(), start('a')],
            'shard 1 ended while it ran',
            'shard 1 ended before it started, while a ran',
        ),
        (
            [shard_start(), start('a'), shard_end('interrupted')],
            'the run was interrupted while it ran',
            'the run was interrupted before it started',
        ),
        (
            [shard_start(), start('a'), shard_end('deadline')],
            'the deadline was reached while it ran',
            'the deadline was reached before it started',
        ),
        (
            [shard_start(), start('a'), shard_end('done')],
            'shard 1 left no result of it',
            'shard 1 ended without running it',
        ),
        (
            [shard_start(), start('a'), shard_end('a new reason')],
            'shard 1 ended while it ran',
            'shard 1 ended before it started, while a ran',
        ),
        (
            [shard_start(), start('a'), shard_start()],
            'shard 1 ended while it ran',
            'shard 1 ended before it started',
        ),
        (
            [shard_start(), start('a'), shard_start(), shard_end('interrupted')],
            'shard 1 ended while it ran',
            'the run was interrupted before it started',
        ),
    ],
)
def test_without_a_record_the_cause_says_what_is_known(
    events: list[dict[str, Any]], of_started: str, of_waiting: str
) -> None:
    told = history(events)
    assert outcome('a', told) == ('infra', of_started)
    assert outcome('b', told) == ('infra', of_waiting)


def test_a_journey_that_was_cut_off_says_when_it_began() -> None:
    said = history(shard_start(), start('a', attempt=2)).outcome('a', 'absent')
    assert (said.chain_attempt, said.record['started'], said.record['attempts']) == (2, '2026-11-21T10:11:13.000Z', 1)


@pytest.mark.parametrize(
    ('if_absent', 'cause'),
    [
        ('absent', 'shard 1 never started'),
        ('interrupted', 'the run was interrupted before it started'),
        ('missing', 'no part holds results of shard 1'),
    ],
)
def test_a_shard_without_events(if_absent: Ending, cause: str) -> None:
    assert outcome('a', history(), if_absent) == ('infra', cause)
    assert history().ending == 'absent'


def test_a_shard_that_still_runs_is_not_called_ended() -> None:
    told = history(shard_start(), start('a'), is_running=True)
    assert outcome('a', told) == ('infra', 'shard 1 is still running it')
    assert outcome('b', told) == ('infra', 'shard 1 has not come to it yet')
    assert outcome('b', history(is_running=True)) == ('infra', 'shard 1 has not come to it yet')


@pytest.mark.parametrize('final', sorted(FINAL_VERDICTS))
@pytest.mark.parametrize('later', VERDICTS)
def test_the_first_final_verdict_stands(final: str, later: str) -> None:
    told = history(shard_start(), judged('a', final), shard_start(), judged('a', later, attempt=2))
    said = told.outcome('a', 'absent')
    assert (said.record['verdict'], said.chain_attempt) == (final, 1)
    assert said.record['flaky'] is (final == 'passed' and later == 'failed')
    assert told.problems == []


@pytest.mark.parametrize('before', sorted(set(VERDICTS) - FINAL_VERDICTS))
@pytest.mark.parametrize('later', VERDICTS)
def test_what_is_not_final_gives_way(before: str, later: str) -> None:
    for attempt in (1, 2):  # the chain went on, or began again
        told = history(shard_start(), judged('a', before), shard_start(), judged('a', later, attempt=attempt))
        assert told.outcome('a', 'absent').record['verdict'] == later
        assert told.problems == []


def test_judged_again_and_cut_off_the_old_verdict_does_not_stand() -> None:
    told = history(shard_start(), result(record('b', 'blocked', chain='a')), shard_start(), start('b', 'a', 2))
    assert outcome('b', told) == ('infra', 'shard 1 ended while it ran')


def test_a_rebuild_that_was_cut_off_changes_nothing() -> None:
    told = history(shard_start(), judged('a'), shard_start(), start('a', attempt=2))
    assert outcome('a', told) == ('passed', '')
    assert told.outcome('a', 'absent').record['flaky'] is False


def test_a_rebuild_that_was_not_even_begun_is_no_second_result() -> None:
    late = result(record('a', 'infra', cause="the run's deadline was reached"), 1)
    told = history(shard_start(), judged('a'), shard_start(), late)
    assert outcome('a', told) == ('passed', '')
    assert told.problems == []


@pytest.mark.parametrize(
    ('events', 'verdict'),
    [
        ([judged('a'), judged('a', 'failed')], 'passed'),
        ([judged('a', 'failed'), judged('a', attempt=2)], 'failed'),
        ([judged('a', 'infra'), judged('a')], 'passed'),
        ([judged('a'), [shard_start()], judged('a', 'failed')], 'passed'),
    ],
)
def test_a_second_result_is_a_problem(events: list[list[dict[str, Any]]], verdict: str) -> None:
    told = history(shard_start(), *events)
    assert told.outcome('a', 'absent').record['verdict'] == verdict
    assert told.outcome('a', 'absent').record['flaky'] is (events == [judged('a'), judged('a', 'failed', attempt=2)])
    assert len(told.problems) == 1
    assert 'a second result of a' in told.problems[0]['observed']


@pytest.mark.parametrize(
    ('stray', 'problem'),
    [
        (record('unknown'), 'a record of unknown, which is not planned'),
        (record('elsewhere'), 'a record of elsewhere, which the plan puts in shard 2'),
        (record('a', shard=2), 'a record of a that speaks of shard 2 and chain a'),
        (record('a', chain='c'), 'a record of a that speaks of shard 1 and chain c'),
    ],
)
def test_a_record_in_the_wrong_place_is_said_and_not_counted(stray: dict[str, Any], problem: str) -> None:
    told = history(shard_start(), result(stray), shard_end())
    assert observed(told) == [problem]
    assert told.problems[0]['kind'] == 'harness'
    assert told.problems[0]['evidence'] == 'shards/1/results.jsonl'
    assert outcome('a', told) == ('infra', 'shard 1 ended without running it')


@pytest.mark.parametrize(
    ('damage', 'cause'),
    [
        ({'verdict': 'green'}, "shard 1 recorded the unknown verdict 'green'"),
        ({'verdict': ['passed']}, """shard 1 recorded the unknown verdict "['passed']\""""),
        ({'verdict': None}, 'shard 1 recorded no verdict'),
        ({'duration_seconds': 'long'}, "shard 1 left a record that is not whole: `duration_seconds` is 'long'"),
        ({'steps': ['x']}, "shard 1 left a record that is not whole: 'x' in place of a mapping"),
        ({'steps': [{**STEP, 'stdout': None}]}, "shard 1 left a record that is not whole: `stdout` is 'None'"),
        ({'findings': [{'kind': 'exit'}]}, 'shard 1 left a record that is not whole: no `step`'),
    ],
)
def test_a_record_that_says_nothing_usable_is_infra(damage: dict[str, Any], cause: str) -> None:
    told = history(shard_start(), start('a'), result({**record('a'), **damage}), shard_end())
    assert outcome('a', told) == ('infra', cause)


@pytest.mark.parametrize(
    'event',
    [
        {},
        {'event': 'result'},
        {'event': 'result', 'chain_attempt': 1, 'record': 'passed'},
        {'event': 'result', 'chain_attempt': 1, 'record': {'id': ['a']}},
        {'event': 'start'},
        {'event': 'chain', 'chain': 'a'},
        {'event': 'chain-end', 'chain': 'a', 'leaks': None},
        {'event': 'shard-end'},
    ],
)
def test_an_event_that_says_too_little_is_a_problem(event: dict[str, Any]) -> None:
    told = history(shard_start(), event, judged('a'))
    assert [problem.startswith('an event that says too little') for problem in observed(told)] == [True]
    assert outcome('a', told) == ('passed', '')


def test_events_of_another_kind_and_a_lost_first_line_do_no_harm() -> None:
    told = history({'event': 'weather', 'time': 12}, judged('a'), shard_end())
    assert outcome('a', told) == ('passed', '')
    assert (told.problems, told.ending) == ([], 'done')


def test_chains_tell_their_attempts_and_leaks() -> None:
    told = history(
        shard_start(),
        {'event': 'chain', 'chain': 'a', 'chain_attempt': 1, 'folder': '/tmp/x'},
        {'event': 'chain-end', 'chain': 'a', 'chain_attempt': 1, 'leaks': ['redis-server (pid 1)']},
        {'event': 'chain', 'chain': 'a', 'chain_attempt': 2, 'folder': '/tmp/x.2'},
        {'event': 'chain-end', 'chain': 'a', 'chain_attempt': 2, 'leaks': ['redis-server (pid 2)']},
        shard_end(),
    )
    assert told.chain_attempts == {'a': 2}
    assert told.leaks == {'a': ['redis-server (pid 1)', 'redis-server (pid 2)']}

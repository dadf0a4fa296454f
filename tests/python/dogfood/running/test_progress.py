"""Histories of earlier attempts: what is final, and which chain was at rest."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from hack.dogfood.model import Journey
from hack.dogfood.running import progress
from hack.dogfood.running.progress import ChainProgress
from tests.python.dogfood import samples

Event = dict[str, Any]


def begin(boot: str = 'b00t') -> Event:
    return {**samples.shard_start(), 'boot': boot}


def opened(chain: str = 'c', attempt: int = 1) -> Event:
    return {'event': 'chain', 'chain': chain, 'chain_attempt': attempt, 'folder': f'/tmp/{chain}.{attempt}'}


def start(journey: str = 'a', chain: str = 'c', attempt: int = 1) -> Event:
    return samples.start(journey, chain, attempt)


def result(journey: str = 'a', verdict: str = 'passed', chain: str = 'c', attempt: int = 1, **more: Any) -> Event:
    record = samples.record(journey, verdict, chain=chain)
    return {**samples.result(record, attempt), **more}


def ended(chain: str = 'c') -> Event:
    return {'event': 'chain-end', 'chain': chain, 'chain_attempt': 1, 'leaks': []}


def read(*events: Event) -> dict[str, ChainProgress]:
    return progress.read(events, 'b00t')


OPEN = (begin(), opened())
RAN = (start(), result())


@pytest.mark.parametrize(
    ('events', 'at_rest'),
    [
        ([*OPEN], True),
        ([*OPEN, *RAN], True),
        ([*OPEN, *RAN, start('b'), result('b', 'failed')], True),
        ([*OPEN, *RAN, start('b'), result('b', 'skipped')], True),
        ([*OPEN, start()], False),
        ([*OPEN, *RAN, start('b')], False),
        ([*OPEN, start(), result('a', 'infra')], False),
        ([*OPEN, result('a', 'infra')], True),  # it never ran
        ([*OPEN, start(), result('a', alive=['redis-server'])], False),
        ([*OPEN, start(), result('a', alive=[])], True),
        ([*OPEN, start(), result('a', 'failed', alive=['x']), start('b'), result('b')], False),
        ([*OPEN, *RAN, ended()], False),
        ([begin('other'), opened()], False),
        ([begin('other'), opened(), *RAN, begin(), *OPEN], True),
        ([opened()], False),  # nothing tells of which boot it is
        ([{'event': 'shard-start'}, opened()], False),
        # a second turn
        ([*OPEN, start(), begin()], False),
        ([*OPEN, start(), begin(), opened('d'), start('z', 'd'), result('z', 'passed', 'd')], False),
        ([*OPEN, start(), begin(), result('a')], False),
        ([*OPEN, start(), begin(), opened('c', 2)], True),
        ([*OPEN, *RAN, begin(), opened(), start('b'), result('b')], True),
        ([*OPEN, *RAN, start('x', 'd'), result('b')], True),  # the result is of another than the one that ran
        ([*OPEN, start(), result('b')], False),
        ([*OPEN, start(), start('x', 'd'), result('x', 'passed', 'd')], False),
        ([*OPEN, start('b'), result('a', 'infra')], False),
        # events that are missing, or say nothing
        ([begin(), start()], False),
        ([begin(), *RAN], False),
        ([begin(), ended()], False),
        ([*OPEN, *RAN, result('b', 'passed', 'c', 2)], False),
        ([*OPEN, {'event': 'unheard of'}, {'what': 'ever'}, {'event': 'start'}, {'event': 'chain'}], True),
        ([*OPEN, {'event': 'result'}, {'event': 'chain-end'}], True),
    ],
)  # fmt: skip
def test_at_rest(events: list[Event], at_rest: bool) -> None:
    assert read(*events)['c'].at_rest is at_rest


def test_nothing_was_done() -> None:
    assert read() == {}
    assert read(begin(), samples.shard_end()) == {}


def test_where_a_chain_is_and_how_often_it_began() -> None:
    assert read(*OPEN) == {'c': ChainProgress(1, '/tmp/c.1', True, {})}
    assert read(*OPEN, begin(), opened('c', 2))['c'] == ChainProgress(2, '/tmp/c.2', True, {})
    judged = read(begin(), result('a', 'skipped', attempt=0))['c']
    assert judged[:3] == (0, '', False)


def test_the_folder_of_an_attempt_whose_beginning_is_lost_is_not_known() -> None:
    assert read(*OPEN, *RAN, result('b', 'failed', attempt=2))['c'][:3] == (2, '', False)
    assert list(read(*OPEN, *RAN, result('b', 'failed', attempt=2))['c'].finals) == ['a', 'b']


def test_chains_do_not_touch_each_other() -> None:
    found = read(*OPEN, opened('d'), *RAN, start('z', 'd'))
    assert (found['c'].at_rest, found['d'].at_rest) == (True, False)
    found = read(*OPEN, opened('d'), start('z', 'd'), result('z', 'infra', 'd'), ended('d'))
    assert (found['c'].at_rest, found['d'].at_rest) == (True, False)


def test_the_first_final_verdict_of_any_attempt_stays() -> None:
    events = [
        *OPEN,
        start('a'),
        result('a', 'infra'),
        start('b'),
        result('b', 'failed'),
        result('d', 'blocked'),
        result('e', 'deferred'),
        result('f', 'skipped'),
        begin(),
        opened('c', 2),
        start('a', attempt=2),
        result('a', 'passed', attempt=2),
        start('b', attempt=2),
        result('b', 'passed', attempt=2),
        result('f', 'passed', attempt=2),
    ]
    finals = read(*events)['c'].finals
    assert {name: record['verdict'] for name, record in finals.items()} == {
        'b': 'failed',
        'f': 'skipped',
        'a': 'passed',
    }


# -- what must be built up again -------------------------------------------------------------------


def journeys(said: Mapping[str, tuple[str, str]]) -> dict[str, Journey]:
    """Of each: the tokens it establishes, and those it requires, as letters."""
    return {
        name: Journey(name, '', '', '', 1, (), establishes=tuple(establishes), requires=tuple(requires))
        for name, (establishes, requires) in said.items()
    }


LINE = {'a': ('x', ''), 'b': ('y', 'x'), 'c': ('z', 'y'), 'd': ('', 'z')}
TWO = {'a': ('x', ''), 'b': ('x', ''), 'c': ('', 'x')}
BOTH = {'a': ('x', ''), 'b': ('y', ''), 'c': ('z', 'xy'), 'd': ('', 'z')}


@pytest.mark.parametrize(
    ('graph', 'finals', 'again'),
    [
        (LINE, {}, ''),
        (LINE, {'a': 'passed', 'b': 'passed', 'c': 'passed', 'd': 'passed'}, ''),
        (LINE, {'a': 'passed', 'b': 'passed', 'c': 'passed', 'd': 'failed'}, ''),
        (LINE, {'a': 'passed', 'b': 'passed', 'c': 'passed'}, 'abc'),
        (LINE, {'a': 'passed', 'b': 'passed'}, 'ab'),
        (LINE, {'a': 'passed'}, 'a'),
        (LINE, {'a': 'failed'}, ''),
        (LINE, {'a': 'passed', 'b': 'failed'}, ''),  # nobody can go on from there
        (LINE, {'a': 'passed', 'b': 'passed', 'c': 'skipped'}, ''),
        (TWO, {'a': 'passed', 'b': 'passed'}, 'ab'),
        (TWO, {'a': 'passed', 'b': 'failed'}, 'a'),
        (TWO, {'a': 'failed', 'b': 'failed'}, ''),
        (TWO, {'a': 'failed'}, ''),  # b may pass
        (TWO, {'a': 'passed'}, 'a'),
        (BOTH, {'a': 'passed', 'b': 'failed'}, ''),
        (BOTH, {'a': 'passed', 'b': 'passed'}, 'ab'),
        (BOTH, {'a': 'passed', 'b': 'passed', 'c': 'passed'}, 'abc'),
        (BOTH, {'a': 'passed'}, 'a'),
        ({'a': ('x', ''), 'b': ('', '')}, {'a': 'passed'}, ''),  # b does not stand on it
    ],
)
def test_to_build_again(graph: Mapping[str, tuple[str, str]], finals: Mapping[str, str], again: Iterable[str]) -> None:
    records: dict[str, Any] = {name: samples.record(name, verdict) for name, verdict in finals.items()}
    assert progress.to_build_again(list(graph), journeys(graph), records) == set(again)

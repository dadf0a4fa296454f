"""What sets the ceiling of a plan is said in one true line."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.dogfood.corpus import graph
from hack.dogfood.model import Journey
from hack.dogfood.planning import ceiling, chains
from tests.python.dogfood.corpora import by_id, graphs, journey

SPLIT_IN_TWO = (
    journey('a1', 'left'),
    journey('a2', '', 'left', steps=3),
    journey('a3', 'right', 'left'),
    journey('a4', '', 'right', steps=3),
    journey('b', steps=2),
)


@pytest.mark.parametrize(
    ('journeys', 'shards', 'expected'),
    [
        (
            [journey('build', 'tag', steps=2), journey('run', '', 'tag', steps=4), journey('b', steps=4)],
            4,
            'token tag holds 60 % of the work in one chain: more than 2 shards buy nothing',
        ),
        (
            [journey('build', 'tag', steps=2), journey('run', '', 'tag', steps=4), journey('b', steps=4)],
            2,
            'token tag holds 60 % of the work in one chain: more than 2 shards buy nothing',
        ),
        (
            [journey('build', 'tag')],
            2,
            'journey build holds 100 % of the work in one chain: more than 1 shard buys nothing',
        ),
        (
            [journey('build', 'tag'), journey('run', '', 'tag')],
            3,
            'token tag holds 100 % of the work in one chain: more than 1 shard buys nothing',
        ),
        (  # `left` alone leaves a3 and a4 together, 4 steps; `right` leaves a1, a2 and a3, 5 steps
            SPLIT_IN_TWO,
            2,
            'token left holds 80 % of the work in one chain: more than 2 shards buy nothing',
        ),
        (  # neither of two that join the very same journeys would do alone
            [journey('a', 'y x'), journey('b', '', 'x y'), journey('c')],
            2,
            'tokens x and y hold 67 % of the work in one chain: more than 2 shards buy nothing',
        ),
        (  # a ring: without any one of the tokens the others still join all
            [journey('a', 'x y'), journey('b', 'z', 'x'), journey('c', '', 'y z'), journey('d')],
            4,
            'a, which no single token would split, holds 75 % of the work in one chain: more than 2 shards buy nothing',
        ),
        (  # three shards would be enough if pieces were as fine as sand; 6 and 6 do not fit below 10
            [journey('a', steps=10), *(journey(f'b{n}', steps=6) for n in range(3))],
            6,
            'journey a holds 36 % of the work in one chain: more than 4 shards buy nothing',
        ),
    ],
)
def test_advice(journeys: list[Journey], shards: int, expected: str) -> None:
    assert chains.plan(by_id(journeys), shards).advice == (expected,)


@pytest.mark.parametrize(
    ('journeys', 'shards'),
    [
        ([journey('a', steps=9), journey('b')], 1),  # one shard has no use for advice
        ([journey('a'), journey('b')], 2),  # an even share each
        ([journey('a', steps=3), journey('b', steps=2), journey('c', steps=2)], 2),  # the mean is above the longest
        ([journey('a', steps=10), *(journey(f'b{n}', steps=6) for n in range(3))], 3),  # not the chain: the packing
    ],
)
def test_no_advice_where_no_chain_sets_the_ceiling(journeys: list[Journey], shards: int) -> None:
    assert chains.plan(by_id(journeys), shards).advice == ()


@given(graphs(), st.integers(2, 10))
def test_the_advice_is_true(journeys: dict[str, Journey], shards: int) -> None:
    advice = chains.plan(journeys, shards).advice
    longest = round(max(chain.seconds for chain in chains.plan(journeys, 1).shards[0]) * 10)  # in steps
    makespans = [round(chains.plan(journeys, count).makespan * 10) for count in range(1, shards + 1)]
    if advice:
        enough = int(advice[0].split('more than ')[1].split()[0])
        assert [makespan for makespan in makespans if makespan == longest] == makespans[enough - 1 :]
    else:
        assert makespans[-1] > longest or makespans[0] >= longest * shards


@given(graphs())
def test_what_is_left_without_a_token_is_what_components_say(journeys: dict[str, Journey]) -> None:
    costs = {id: len(journey.steps) for id, journey in journeys.items()}
    for chain in graph.components(journeys):
        members = {id: journeys[id] for id in chain}
        found = ceiling.largest_without(chain, journeys, costs)
        assert sorted(token for tokens in found for token in tokens) == sorted(
            {token for journey in members.values() for token in journey.establishes + journey.requires}
        )
        for tokens, heaviest in found.items():
            parts = graph.components({id: without(journey, tokens) for id, journey in members.items()})
            assert heaviest == max(sum(costs[id] for id in part) for part in parts)


def without(journey: Journey, tokens: tuple[str, ...]) -> Journey:
    def left(named: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(token for token in named if token not in tokens)

    return journey._replace(establishes=left(journey.establishes), requires=left(journey.requires))


def test_a_long_row_of_journeys_is_no_deep_recursion() -> None:
    row: Mapping[str, Journey] = by_id(
        journey(f'j{at:05}', f't{at + 1}', f't{at}' if at else '') for at in range(4_000)
    )
    (advice,) = chains.plan(row, 2).advice
    assert advice.startswith('token t2000 holds 100 % ')

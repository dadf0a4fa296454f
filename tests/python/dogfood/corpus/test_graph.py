"""How journeys hang together by their tokens."""

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.dogfood.corpus import graph
from hack.dogfood.model import Journey, Step

Links = Mapping[str, tuple[str, str]]  # id: what it establishes, what it requires, as words


def journeys(links: Links) -> dict[str, Journey]:
    return {
        identity: Journey(
            id=identity,
            promise='It works.',
            feature='f',
            path='f.yaml',
            line=1,
            steps=(Step(run='true'),),
            establishes=tuple(establishes.split()),
            requires=tuple(requires.split()),
        )
        for identity, (establishes, requires) in links.items()
    }


def test_establishers_are_sorted_by_token_then_id() -> None:
    assert graph.establishers(journeys({'b': ('y x', ''), 'a': ('x', '')})) == {'x': ('a', 'b'), 'y': ('b',)}


@pytest.mark.parametrize(
    ('links', 'expected'),
    [
        ({}, ()),
        ({'b': ('', ''), 'a': ('', '')}, (('a',), ('b',))),
        ({'run': ('', 'tag'), 'build': ('tag', ''), 'other': ('x', '')}, (('build', 'run'), ('other',))),
        ({'a': ('x', ''), 'b': ('x', '')}, (('a', 'b'),)),  # one token, one chain, even where none requires it
        ({'a': ('', 'x'), 'b': ('', 'x')}, (('a', 'b'),)),
        ({'c': ('', 'x y'), 'b': ('y', ''), 'a': ('x', '')}, (('a', 'b', 'c'),)),
        ({'x': ('y', ''), 'y': ('x', '')}, (('x',), ('y',))),  # an id and a token of one name are two things
    ],
)
def test_components(links: Links, expected: object) -> None:
    assert graph.components(journeys(links)) == expected


@pytest.mark.parametrize(
    ('links', 'expected'),
    [
        ({'a': ('x', ''), 'b': ('y', 'x'), 'c': ('', 'x y')}, ()),
        ({'a': ('x', 'x')}, (('a', '(x)', 'a'),)),
        ({'b': ('x', 'y'), 'a': ('y', 'x')}, (('a', '(x)', 'b', '(y)', 'a'),)),
        ({'a': ('x', ''), 'b': ('x', 'x')}, (('b', '(x)', 'b'),)),
        (
            {'a': ('x', 'y'), 'b': ('y', 'x'), 'c': ('z', 'z x')},
            (('a', '(y)', 'b', '(x)', 'a'), ('c', '(z)', 'c')),
        ),
        # Two ways round that share a journey are one knot: mending it is one piece of work.
        ({'a': ('x', 'y z'), 'b': ('y', 'x'), 'c': ('z', 'x')}, (('a', '(y)', 'b', '(x)', 'a'),)),
        ({'x': ('y', ''), 'y': ('x', '')}, ()),
    ],
)
def test_cycles(links: Links, expected: object) -> None:
    assert graph.cycles(journeys(links)) == expected


def test_a_long_chain_needs_no_deep_stack() -> None:
    chain = {f'j{n:05}': (f't{n}', f't{n - 1}' if n else '') for n in range(20_000)}
    assert graph.cycles(journeys(chain)) == ()
    assert len(graph.components(journeys(chain))) == 1
    (circle,) = graph.cycles(journeys({**chain, 'j00000': ('t0', 't19999')}))
    assert len(circle) == 2 * 20_000 + 1


words = st.lists(st.sampled_from('tuvwxyz'), max_size=2).map(' '.join)


@given(st.dictionaries(st.sampled_from('abcdefgh'), st.tuples(words, words)), st.randoms(use_true_random=False))
def test_answers_hold_for_any_journeys_in_any_order(links: Links, shuffler: random.Random) -> None:
    given_order = journeys(links)
    items = list(given_order.items())
    shuffler.shuffle(items)
    for answer in (graph.establishers, graph.components, graph.cycles):
        assert answer(dict(items)) == answer(given_order)

    groups = graph.components(given_order)
    assert sorted(sum(groups, ())) == sorted(links)
    tokens = [{token for identity in group for token in ' '.join(links[identity]).split()} for group in groups]
    assert sum(map(len, tokens)) == len(set().union(*tokens))

    for circle in graph.cycles(given_order):
        assert circle[0] == circle[-1]
        for here, token, there in zip(circle[:-1:2], circle[1::2], circle[2::2], strict=True):
            assert token[1:-1] in given_order[here].requires
            assert token[1:-1] in given_order[there].establishes
    assert bool(graph.cycles(given_order)) == (not _can_be_ordered(given_order))


def _can_be_ordered(left: dict[str, Journey]) -> bool:
    while left:
        wanted = {token for journey in left.values() for token in journey.establishes}
        ready = [identity for identity, journey in left.items() if wanted.isdisjoint(journey.requires)]
        if not ready:
            return False
        left = {identity: journey for identity, journey in left.items() if identity not in ready}
    return True

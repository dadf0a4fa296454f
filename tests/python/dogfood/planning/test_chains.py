"""A plan keeps chains whole and in order, deals them out evenly, and depends on its inputs alone."""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.common.errors import UserError
from hack.dogfood.corpus import graph
from hack.dogfood.model import TIERS, Chain, Journey, Plan
from hack.dogfood.planning import chains
from tests.python.dogfood.corpora import by_id, corpus, graphs, journey

IMAGES = (
    journey('build-local-tag', 'local-tag-created', tier='smoke', gating=True),
    journey('inspect-local-tag', '', 'local-tag-created', steps=2),
    journey('run-built-local-tag', '', 'local-tag-created', steps=3),
)
SHARDS = (1, 2, 3, 7, 64)


def members(plan: Plan) -> list[list[str]]:
    """The ids of each shard, in the order of its line."""
    return [[id for chain in line.split(' ') for id in chain.split(',')] for line in chains.lines(plan).splitlines()]


def depth(id: str, journeys: Mapping[str, Journey]) -> int:
    """How many establishers stand in a row before a journey, counted the long way."""
    before = [other.id for other in journeys.values() if set(other.establishes) & set(journeys[id].requires)]
    return max((1 + depth(other, journeys) for other in before), default=0)


# -- what holds for every corpus ---------------------------------------------------------------


@given(graphs(), st.sampled_from(SHARDS))
def test_shards_partition_the_corpus_and_none_is_empty(journeys: dict[str, Journey], shards: int) -> None:
    plan = chains.plan(journeys, shards)
    assert sorted(id for line in members(plan) for id in line) == sorted(journeys)
    assert all(members(plan))
    assert len(plan.shards) == min(shards, len(graph.components(journeys)))


@given(graphs(), st.sampled_from(SHARDS))
def test_whoever_names_a_token_is_in_its_chain(journeys: dict[str, Journey], shards: int) -> None:
    found = [chain for shard in chains.plan(journeys, shards).shards for chain in shard]
    for one in journeys.values():
        for other in journeys.values():
            if {*one.establishes, *one.requires} & {*other.establishes, *other.requires}:
                assert [one.id in chain.journeys for chain in found] == [other.id in chain.journeys for chain in found]


@given(graphs(), st.sampled_from(SHARDS))
def test_lines_are_closed_under_requires_and_establishers_stand_first(
    journeys: dict[str, Journey], shards: int
) -> None:
    for line in members(chains.plan(journeys, shards)):
        for at, id in enumerate(line):
            establishers = {
                other.id for other in journeys.values() if set(other.establishes) & set(journeys[id].requires)
            }
            assert establishers <= set(line[:at])


@given(graphs())
def test_a_chain_is_in_order_of_tier_then_depth_then_id(journeys: dict[str, Journey]) -> None:
    for chain in chains.plan(journeys, 1).shards[0]:
        places = [(TIERS.index(journeys[id].tier), depth(id, journeys), id) for id in chain.journeys]
        assert places == sorted(places)
        assert chain.name == chain.journeys[0]


@given(graphs())
def test_any_number_of_shards_gives_the_same_chains(journeys: dict[str, Journey]) -> None:
    plans = [chains.plan(journeys, shards) for shards in SHARDS]
    assert len({tuple(sorted(chain for shard in plan.shards for chain in shard)) for plan in plans}) == 1


@given(graphs(), st.sampled_from(SHARDS))
def test_the_figures_are_those_of_the_shards(journeys: dict[str, Journey], shards: int) -> None:
    plan = chains.plan(journeys, shards)
    loads = [sum(plan.microseconds[id] for id in line) for line in members(plan)]
    longest = max(round(chain.seconds * 1_000_000) for shard in plan.shards for chain in shard)
    assert loads == sorted(loads, reverse=True)
    assert plan.makespan == loads[0] / 1_000_000
    assert plan.lower_bound == max(-(-sum(loads) // len(loads)), longest) / 1_000_000


@given(graphs(), st.sampled_from(SHARDS), st.randoms(use_true_random=False))
def test_bytes_do_not_depend_on_the_order_of_anything(
    journeys: dict[str, Journey], shards: int, chance: random.Random
) -> None:
    timings = {id: [0.1 * len(id), 0.3] for id in sorted(journeys)[::2]}
    shuffled = by_id(chance.sample(list(journeys.values()), len(journeys)))
    turned = by_id(
        journey._replace(establishes=journey.establishes[::-1], requires=journey.requires[::-1])
        for journey in journeys.values()
    )
    reversed_timings = dict(reversed(timings.items()))
    plan = chains.plan(journeys, shards, timings)
    assert written(shuffled, chains.plan(shuffled, shards, reversed_timings)) == written(journeys, plan)
    assert chains.plan(turned, shards, timings) == plan


def written(journeys: Mapping[str, Journey], plan: Plan) -> str:
    return '\n'.join((chains.lines(plan), chains.summary(plan), json.dumps(chains.as_json(plan, journeys))))


PLAN_AND_WRITE = """
import sys
from tests.python.dogfood.planning import test_chains
journeys = test_chains.thousand()
sys.stdout.write(test_chains.written(journeys, test_chains.chains.plan(journeys, 7)))
"""


def thousand() -> dict[str, Journey]:
    """Chains of many sizes, many of equal length."""
    found = [journey(f'est-{at}', f't{at}', tier='smoke', gating=at % 10 == 0) for at in range(300)]
    for at in range(300):
        tokens = sorted({f't{at * 7919 % 293}', f't{at * 104729 % 299}'} if at % 9 == 0 else {f't{at * 31 % 97}'})
        found.append(journey(f'use-{at}', '', ' '.join(tokens)))
    found += [journey(f'lone-{at}', steps=1 + at % 3) for at in range(400)]
    return by_id(found)


@pytest.mark.parametrize('seed', ['0', '1', '4242'])
def test_bytes_do_not_depend_on_the_hash_seed(seed: str) -> None:
    repository = Path(__file__).resolve().parents[4]
    journeys = thousand()
    planned = subprocess.run(
        [sys.executable, '-c', PLAN_AND_WRITE],
        cwd=repository,
        env={**os.environ, 'PYTHONHASHSEED': seed, 'PYTHONPATH': str(repository), 'PYTHONDONTWRITEBYTECODE': '1'},
        capture_output=True,
        text=True,
        check=True,
    )
    assert planned.stdout == written(journeys, chains.plan(journeys, 7))


def test_bytes_are_the_same_on_every_machine_and_for_good() -> None:
    """A digest written down: a change of it is a change of every plan, and of what a recorded run resumes with."""
    journeys = thousand()
    text = chains.lines(chains.plan(journeys, 7))
    assert (
        hashlib.sha256(text.encode()).hexdigest() == '4c826743b54b251e8ac2e0dcd4257a2d1b90aa5b4207dad0f603c667ceeefe43'
    )


# -- order -------------------------------------------------------------------------------------

SMOKE_IN_A_ROW = (
    journey('s1', 't1', tier='smoke'),
    journey('s2', 't2', 't1', tier='smoke'),
    journey('s3', 't3', 't2', tier='smoke'),
    journey('s4', '', 't3', tier='smoke'),
)


@pytest.mark.parametrize(
    ('journeys', 'shards', 'expected'),
    [
        (IMAGES, 2, 'build-local-tag,inspect-local-tag,run-built-local-tag'),  # one chain, one line
        ([journey('b'), journey('a')], 1, 'a b'),  # equals by name
        ([journey('b'), journey('a')], 2, 'a\nb'),
        ([journey('a'), journey('b', steps=2)], 1, 'b a'),  # the longest first
        ([journey('a'), journey('b', steps=2)], 2, 'b\na'),
        (  # of equal shards the one with the longest chain first
            [journey(name, steps=steps) for name, steps in zip('abcd', (5, 4, 3, 2), strict=True)],
            2,
            'a d\nb c',
        ),
        ([journey('a', steps=9), journey('b', gating=True)], 1, 'b a'),  # gates before all others
        ([journey('a', gating=True), journey('b', gating=True, steps=2), journey('c', steps=3)], 1, 'b a c'),
        (  # a gate anywhere in the chain counts
            [journey('a', 't'), journey('b', '', 't', gating=True), journey('c', steps=3)],
            1,
            'a,b c',
        ),
        ([journey('a', tier='deep'), journey('b', '', 't'), journey('c', 't')], 1, 'c,b a'),
        ([journey('a', 't', tier='core'), journey('b', 't', tier='smoke'), journey('c', '', 't')], 1, 'b,a,c'),
        (  # tier before depth: a needs nothing, but is deep
            [journey('a', 't', tier='deep'), journey('b', 't u', tier='smoke'), journey('c', '', 'u')],
            1,
            'b,c,a',
        ),
        (  # depth before id, and the depth of the deepest of several
            [
                journey('a', '', 'x y'),
                journey('b', 'y', 'z'),
                journey('c', 'z'),
                journey('d', 'x'),
                journey('e', '', 'x'),
            ],
            1,
            'c,d,b,e,a',
        ),
        (  # an establisher of a later tier cannot be waited for
            [journey('a', 't', tier='deep'), journey('b', 't', tier='smoke'), journey('c', '', 't')],
            1,
            'b,c,a',
        ),
        (  # however deep a tier goes, the next one comes after it
            [*SMOKE_IN_A_ROW, journey('c', '', 't1')],
            1,
            's1,s2,s3,s4,c',
        ),
        ([*SMOKE_IN_A_ROW, journey('c', 't1')], 1, 's1,s2,s3,s4,c'),
        (  # 3 + 3 against 2 + 2 + 2
            [journey(f'{name}', steps=steps) for name, steps in zip('abcde', (3, 3, 2, 2, 2), strict=True)],
            2,
            'a b\nc d e',
        ),
    ],
)
def test_lines(journeys: Sequence[Journey], shards: int, expected: str) -> None:
    assert chains.lines(chains.plan(by_id(journeys), shards)) == expected


def test_the_tokens_of_a_chain_are_those_that_hold_it_together() -> None:
    journeys = [journey('a', 'x w'), journey('b', 'y', 'x'), journey('c', 'y'), journey('d', 'z')]
    ((one, other),) = chains.plan(by_id(journeys), 1).shards
    assert one == Chain('a', ('a', 'c', 'b'), 0.3, ('x', 'y'))
    assert other == Chain('d', ('d',), 0.1)


def test_no_journeys_no_shards() -> None:
    plan = chains.plan({}, 3)
    assert plan == Plan((), 0.0, 0.0)
    assert chains.lines(plan) == ''
    assert chains.summary(plan) == (
        '0 shards, 0 chains, 0 journeys: predicted makespan 0.0 s, lower bound 0.0 s, set by the mean load'
    )


@pytest.mark.parametrize('shards', [0, -1])
def test_fewer_than_one_shard_is_refused(shards: int) -> None:
    with pytest.raises(UserError, match=rf'^shards: {shards} is too few \(ask for 1 or more\)$'):
        chains.plan(by_id(IMAGES), shards)


# -- durations ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('timings', 'expected'),
    [
        ({}, {'a': 100_000, 'b': 200_000, 'c': 300_000}),  # a tenth of a second for each step
        ({'a': [5.0]}, {'a': 5_000_000, 'b': 10_000_000, 'c': 15_000_000}),  # what a step costs here
        ({'a': [1.0], 'b': [5.0]}, {'a': 1_000_000, 'b': 5_000_000, 'c': 6_000_000}),  # 6 s for 3 steps
        ({'a': [3.0, 1.0, 2.0], 'b': [1.0], 'c': [1.0]}, {'a': 2_000_000, 'b': 1_000_000, 'c': 1_000_000}),
        ({'a': [1.0, 2.0], 'b': [1.0], 'c': [1.0]}, {'a': 1_500_000, 'b': 1_000_000, 'c': 1_000_000}),
        ({'a': [90.0, 9.0, 1.0, 2.0, 3.0, 7.0], 'b': [1], 'c': [1]}, {'a': 3_000_000, 'b': 1_000_000, 'c': 1_000_000}),
        ({'a': [], 'gone': [7.0]}, {'a': 100_000, 'b': 200_000, 'c': 300_000}),
        ({'a': [0.0], 'b': [1.0], 'c': [1.0]}, {'a': 1, 'b': 1_000_000, 'c': 1_000_000}),  # nothing takes no time
        ({'c': [0.0]}, {'a': 1, 'b': 1, 'c': 1}),
        ({'a': [float('nan')], 'b': [-1.0], 'c': [float('inf')]}, {'a': 100_000, 'b': 200_000, 'c': 300_000}),
    ],
)
def test_prediction(timings: Mapping[str, Sequence[float]], expected: Mapping[str, int]) -> None:
    journeys = by_id([journey('a'), journey('b', steps=2), journey('c', steps=3)])
    assert chains.plan(journeys, 2, timings).microseconds == expected


def test_timings_move_chains() -> None:
    journeys = by_id([journey('a', steps=3), journey('b', steps=2), journey('c')])
    assert chains.lines(chains.plan(journeys, 2)) == 'a\nb c'
    assert chains.lines(chains.plan(journeys, 2, {'a': [1.0], 'b': [1.0], 'c': [3.0]})) == 'c\na b'


# -- selection ---------------------------------------------------------------------------------

CORPUS = corpus(
    *IMAGES,
    journey('push', 'pushed', 'local-tag-created other', tier='deep'),
    journey('other-a', 'other', 'base'),
    journey('other-b', 'other'),
    journey('base', 'base', tier='smoke'),
    journey('lone', tier='smoke'),
)


@pytest.mark.parametrize(
    ('only', 'tiers', 'failed', 'kept'),
    [
        ((), (), (), [*CORPUS.journeys]),
        (['lone'], (), (), ['lone']),
        (['run-built-local-tag'], (), (), ['build-local-tag', 'run-built-local-tag']),
        (['push'], (), (), ['build-local-tag', 'push', 'other-a', 'other-b', 'base']),  # both establishers, and theirs
        ((), ['smoke'], (), ['build-local-tag', 'base', 'lone']),
        ((), ['smoke', 'deep'], (), ['build-local-tag', 'push', 'other-a', 'other-b', 'base', 'lone']),
        (['lone', 'other-b'], ['core'], (), ['other-b']),  # both at once
        (['@failed'], (), ['other-b', 'gone'], ['other-b']),  # one that is no longer there cannot run
        (['@failed', 'lone'], (), ['other-b'], ['other-b', 'lone']),
        (['lone'], (), ['other-b'], ['lone']),
    ],
)
def test_selection(only: list[str], tiers: list[str], failed: list[str], kept: list[str]) -> None:
    selection = chains.select(CORPUS, only, tiers, failed)
    assert [*selection.corpus.journeys] == kept
    assert selection.left_out == tuple(id for id in CORPUS.journeys if id not in kept)
    assert selection.corpus == CORPUS._replace(journeys={id: CORPUS.journeys[id] for id in kept})


@pytest.mark.parametrize(
    ('only', 'tiers', 'problems'),
    [
        (['pusch'], (), ["only: no journey is called 'pusch' (did you mean 'push'?)"]),
        (
            ['zzz'],
            (),
            [
                "only: no journey is called 'zzz' (known are build-local-tag, inspect-local-tag, "
                'run-built-local-tag, push, other-a, …)'
            ],
        ),
        ((), ['smok'], ["tiers: no tier is called 'smok' (did you mean 'smoke'?)"]),
        ((), ['x'], ["tiers: no tier is called 'x' (known are smoke, core, deep)"]),
        (
            ['pusch', 'lonely'],
            ['dep'],
            [
                "only: no journey is called 'lonely' (did you mean 'lone'?)",
                "only: no journey is called 'pusch' (did you mean 'push'?)",
                "tiers: no tier is called 'dep' (did you mean 'deep'?)",
            ],
        ),
        (['lone'], ['deep'], ['only: none of lone is of deep (name another tier)']),
        (['push', 'base'], ['core'], ['only: none of base, push is of core (name another tier)']),
        (['push'], ['smoke', 'core'], ['only: none of push is of smoke or core (name another tier)']),
        (
            ['@failed', 'push'],
            ['smoke'],
            ['only: none of @failed, push is in what was asked for (leave @failed out if nothing failed)'],
        ),
        (
            ['@failed'],
            (),
            ['only: none of @failed is in what was asked for (leave @failed out if nothing failed)'],
        ),
    ],
)
def test_a_selection_of_nothing_is_refused(only: list[str], tiers: list[str], problems: list[str]) -> None:
    with pytest.raises(UserError) as refused:
        chains.select(CORPUS, only, tiers)
    assert list(refused.value.problems) == problems


@pytest.mark.parametrize(('known', 'named'), [('abcde', 'a, b, c, d, e'), ('abcdef', 'a, b, c, d, e, …')])
def test_of_names_that_are_known_five_are_enough(known: str, named: str) -> None:
    assert chains.suggestion('xyz', known) == f' (known are {named})'


def test_unknown_names_are_refused_in_order() -> None:
    with pytest.raises(UserError) as refused:
        chains.select(CORPUS, [f'x{at}' for at in range(9, 0, -1)], [f'y{at}' for at in range(9, 0, -1)])
    named = [problem.split("'")[1] for problem in refused.value.problems]
    assert named == [f'{letter}{at}' for letter in 'xy' for at in range(1, 10)]


def test_a_tier_without_journeys_is_refused() -> None:
    with pytest.raises(UserError, match=r'^tiers: no journey is of core or deep \(name another tier\)$'):
        chains.select(corpus(journey('a', tier='smoke')), tiers=['core', 'deep'])


# -- what is written ---------------------------------------------------------------------------


def test_summary() -> None:
    journeys = by_id([*IMAGES, journey('lone', steps=2)])
    assert chains.summary(chains.plan(journeys, 1)) == (
        '1 shard, 2 chains, 4 journeys: predicted makespan 0.8 s, lower bound 0.8 s, set by the mean load'
    )
    assert chains.summary(chains.plan(journeys, 4)) == (
        '2 shards, 2 chains, 4 journeys: predicted makespan 0.6 s, lower bound 0.6 s, set by chain build-local-tag'
    )
    assert chains.summary(chains.plan(by_id([journey('a'), journey('b')]), 2)).endswith('set by chain a')
    assert chains.summary(chains.plan(by_id(journey(id) for id in 'abc'), 2)).endswith('set by the mean load')
    assert chains.summary(chains.plan({}, 2)).startswith('0 shards, 0 chains, 0 journeys: ')
    assert chains.summary(chains.plan(by_id([journey('a')]), 4)) == (
        '1 shard, 1 chain, 1 journey: predicted makespan 0.1 s, lower bound 0.1 s, set by the mean load'
    )


def test_the_matrix_lists_the_shards() -> None:
    matrix = chains.github_matrix(chains.plan(by_id([*IMAGES, journey('a'), journey('b')]), 2))
    assert matrix == {
        'include': [
            {'shard': 1, 'count': 3, 'journeys': 'build-local-tag,inspect-local-tag,run-built-local-tag'},
            {'shard': 2, 'count': 2, 'journeys': 'a b'},
        ]
    }


def test_a_matrix_too_large_for_an_output_counts_only() -> None:
    journeys = by_id(journey(f'a-journey-with-a-long-name-{at:05}') for at in range(10_000))
    matrix = chains.github_matrix(chains.plan(journeys, 4))
    assert matrix == {'include': [{'shard': shard, 'count': 2500} for shard in (1, 2, 3, 4)]}


@pytest.mark.parametrize(('limit', 'whole'), [(5, True), (4, False)])
def test_what_fits_an_output_to_the_character_is_listed(
    monkeypatch: pytest.MonkeyPatch, limit: int, whole: bool
) -> None:
    monkeypatch.setattr(chains, 'MATRIX_CHARACTERS', limit)
    matrix = chains.github_matrix(chains.plan(by_id([journey('aaa'), journey('bb')]), 2))
    assert ['journeys' in job for job in matrix['include']] == [whole, whole]


def test_a_matrix_has_256_jobs_at_most() -> None:
    journeys = by_id(journey(f'j{at:03}') for at in range(300))
    assert len(chains.github_matrix(chains.plan(journeys, 256))['include']) == 256
    with pytest.raises(UserError, match=r'^shards: 257 is more than a matrix may have \(ask for 256 or fewer\)$'):
        chains.github_matrix(chains.plan(journeys, 257))


def test_plan_json() -> None:
    journeys = by_id([journey('b', '', 'tag', steps=3), journey('a', 'tag', tier='smoke', gating=True), journey('c')])
    document = chains.as_json(chains.plan(journeys, 2), journeys)
    plan_id = document.pop('plan_id')
    common = {'feature': 'images', 'source': {}, 'path': 'journeys/images.yaml', 'line': 7}
    assert document == {
        'format': 1,
        'makespan': 0.4,
        'lower_bound': 0.4,
        'advice': ['token tag holds 80 % of the work in one chain: more than 2 shards buy nothing'],
        'shards': [
            [{'name': 'a', 'journeys': ['a', 'b'], 'seconds': 0.4, 'tokens': ['tag']}],
            [{'name': 'c', 'journeys': ['c'], 'seconds': 0.1, 'tokens': []}],
        ],
        'journeys': {
            'a': {
                **common,
                'tier': 'smoke',
                'promise': 'a keeps its promise.',
                'gating': True,
                'establishes': ['tag'],
                'requires': [],
                'seconds': 0.1,
            },
            'b': {
                **common,
                'tier': 'core',
                'promise': 'b keeps its promise.',
                'gating': False,
                'establishes': [],
                'requires': ['tag'],
                'seconds': 0.3,
            },
            'c': {
                **common,
                'tier': 'core',
                'promise': 'c keeps its promise.',
                'gating': False,
                'establishes': [],
                'requires': [],
                'seconds': 0.1,
            },
        },
    }
    assert list(document['journeys']) == ['a', 'b', 'c']
    canonical = json.dumps(document, sort_keys=True, separators=(',', ':'))
    assert plan_id == hashlib.sha256(canonical.encode()).hexdigest()
    other = by_id([*journeys.values(), journey('d')])
    assert chains.as_json(chains.plan(other, 2), other)['plan_id'] != plan_id

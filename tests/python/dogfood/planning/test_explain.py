"""A journey's place in a plan, told in words."""

from collections.abc import Mapping
from typing import Any

import pytest

from hack.common.errors import UserError
from hack.dogfood.planning import chains
from hack.dogfood.planning.explain import explain
from tests.python.dogfood.corpora import by_id, journey

JOURNEYS = by_id(
    [
        journey('build', 'tag', tier='smoke', gating=True, line=3),
        journey('inspect', '', 'tag'),
        journey('run', 'ran', 'tag'),
        journey('stop', '', 'ran', tier='deep'),
        journey('tar', 'tag', tier='smoke'),
        journey('clean', '', 'ran', tier='deep'),
        journey('lone', tier='core', gating=True),
    ]
)
PLAN = chains.as_json(chains.plan(JOURNEYS, 2), JOURNEYS)


def test_a_journey_in_the_middle() -> None:
    assert explain(PLAN, 'run', {'verdict': 'passed', 'cause': '', 'flaky': False}) == [
        'run: run keeps its promise.',
        'stands in journeys/images.yaml:7, is core',
        'chain: build, 6 journeys, 0.6 s, held together by ran, tag',
        '  run requires tag, which build establishes',
        'shard: 1 of 2, chain 1 of 1 there, journey 4 of 6 in the chain',
        'runs after: build, tar',
        'needed by: clean, stop',
        'waits for the gates: build',
        'last verdict: passed',
    ]


def test_the_first_of_a_chain() -> None:
    assert explain(PLAN, 'build', {'verdict': 'failed', 'cause': 'Step 1 exited 1, not 0.', 'flaky': True}) == [
        'build: build keeps its promise.',
        'stands in journeys/images.yaml:3, is smoke and gating',
        'chain: build, 6 journeys, 0.6 s, held together by ran, tag',
        'shard: 1 of 2, chain 1 of 1 there, journey 1 of 6 in the chain',
        'runs after: nothing',
        'needed by: inspect, run, clean, stop',
        'waits for the gates: nothing',
        'last verdict: failed (flaky): Step 1 exited 1, not 0.',
    ]


@pytest.mark.parametrize(
    ('id', 'way'),
    [
        ('stop', ['  stop requires ran, which run establishes', '  run requires tag, which build establishes']),
        ('inspect', ['  inspect requires tag, which build establishes']),
        ('tar', ['  tar establishes tag, which build establishes too']),
    ],
)
def test_the_way_to_the_name_of_the_chain(id: str, way: list[str]) -> None:
    assert [line for line in explain(PLAN, id) if line.startswith('  ')] == way


def test_a_way_may_lead_down_and_up_again() -> None:
    journeys = by_id([journey('a', 'x'), journey('b', 'y'), journey('c', '', 'x y'), journey('d', '', 'y')])
    plan = chains.as_json(chains.plan(journeys, 1), journeys)
    assert [line for line in explain(plan, 'd') if line.startswith('  ')] == [
        '  d requires y, which c requires too',
        '  c requires x, which a establishes',
    ]
    assert [line for line in explain(plan, 'b') if line.startswith('  ')] == [
        '  b establishes y, which c requires',
        '  c requires x, which a establishes',
    ]


def test_a_journey_of_its_own() -> None:
    assert explain(PLAN, 'lone') == [
        'lone: lone keeps its promise.',
        'stands in journeys/images.yaml:7, is core and gating',
        'chain: its own, it shares no token with another journey',
        'shard: 2 of 2, chain 1 of 1 there, journey 1 of 1 in the chain',
        'runs after: nothing',
        'needed by: nothing',
        'waits for the gates: build',
        'last verdict: none, it has not run yet',
    ]


def test_the_place_in_a_shard_among_others() -> None:
    journeys = by_id([journey('a', steps=3), journey('b'), journey('c'), journey('d')])
    plan = chains.as_json(chains.plan(journeys, 2), journeys)
    assert 'shard: 1 of 2, chain 1 of 1 there, journey 1 of 1 in the chain' in explain(plan, 'a')
    assert 'shard: 2 of 2, chain 3 of 3 there, journey 1 of 1 in the chain' in explain(plan, 'd')


def test_gates_of_its_own_tier_are_not_waited_for() -> None:
    assert 'waits for the gates: build, lone' in explain(PLAN, 'stop')
    assert 'waits for the gates: build' in explain(PLAN, 'inspect')


def test_an_establisher_that_runs_later_is_no_prerequisite() -> None:
    journeys = by_id([journey('a', 't', tier='deep'), journey('b', 't', tier='smoke'), journey('c', '', 't')])
    plan: Mapping[str, Any] = chains.as_json(chains.plan(journeys, 1), journeys)
    assert 'runs after: b' in explain(plan, 'c')
    assert 'needed by: nothing' in explain(plan, 'a')


def test_an_unknown_journey_is_refused() -> None:
    with pytest.raises(UserError, match=r"^explain: no journey is called 'biuld' \(did you mean 'build'\?\)$"):
        explain(PLAN, 'biuld')

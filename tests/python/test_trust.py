"""A hundred cases of known truth, and proof that a wrong verdict among them would be seen."""

import copy
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hack.dogfood.corpus import journeys
from tests.trust import campaign, cases, faults
from tests.trust.campaign import Leg, Table
from tests.trust.model import Fate, Node, exit_status, truths

TRUST = Path(campaign.__file__).with_name('run_trust.py')
BROKEN, UNMEASURED, SKIPS, ABSENT = Fate('failed'), Fate('infra'), Fate('skipped'), Fate('skipped', at_the_door=True)


@pytest.fixture(scope='module')
def short() -> Iterator[Path]:
    """A folder with a short path."""
    with tempfile.TemporaryDirectory(prefix='df-', dir='/tmp') as folder:
        yield Path(folder)


def test_nobody_is_wrongly_blamed_in_a_hundred_cases(short: Path) -> None:
    done = subprocess.run(
        [sys.executable, TRUST, '--cases', '100', '--jobs', '2', '--json', short / 'said.json'],
        env={**os.environ, 'TMPDIR': str(short)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads((short / 'said.json').read_text())
    assert {true for true, given in said['exact'].items() if any(given.values())} == set(said['exact'])


# -- the judge -------------------------------------------------------------------------------------

Records = dict[str, dict[str, Any]]


@pytest.fixture(scope='module')
def judged(short: Path) -> tuple[Table, Leg]:
    """A run of one case in which somebody is blamed for everything, and what was said of it."""
    number = next(number for number in range(1000) if _has_everything(number))
    its_run = cases.run_of(1, number)
    outcome = campaign.run(campaign.REPOSITORY / 'hack/dogfood', short / 'one', 1, its_run, [cases.case(1, number)])
    assert outcome.wrong == []
    table = Table(campaign.REPOSITORY / 'hack/dogfood', short / 'one', its_run, [cases.case(1, number)], Random(1))
    said = json.loads((short / 'one/run/bundle.json').read_text())
    return table, Leg('run', said['exit'], said, exact=True)


def _has_everything(number: int) -> bool:
    true = truths([journey.node for journey in cases.case(1, number).journeys])
    verdicts = {truth.verdict for truth in true.values()}
    its_run = cases.run_of(1, number)
    wanted = its_run.kind == 'plain' and not its_run.report_only
    return wanted and {'passed', 'failed', 'infra', 'blocked', 'skipped'} <= verdicts


def turned(before: str, after: str) -> Callable[[Any], None]:
    """One verdict told as another."""

    def turn(said: Any) -> None:
        next(record for record in said['journeys'] if record['verdict'] == before)['verdict'] = after

    return turn


def the_first(verdict: str, **changed: Any) -> Callable[[Any], None]:
    def change(said: Any) -> None:
        next(record for record in said['journeys'] if record['verdict'] == verdict).update(changed)

    return change


def test_a_true_bundle_is_found_true(judged: tuple[Table, Leg]) -> None:
    table, leg = judged
    assert campaign.judged(table, [leg]).wrong == []


@pytest.mark.parametrize(
    'lie',
    [
        turned('infra', 'failed'),
        turned('failed', 'infra'),
        turned('failed', 'passed'),
        turned('passed', 'failed'),
        turned('passed', 'infra'),
        turned('blocked', 'failed'),
        turned('blocked', 'deferred'),
        turned('skipped', 'passed'),
        the_first('blocked', root='somebody-else'),
        the_first('failed', findings=[]),
        the_first('passed', flaky=True),
        lambda said: said['journeys'].pop(),
        lambda said: said.update(exit=0),
        lambda said: said.update(problems=['a line that is no record']),
    ],
)
def test_a_lie_is_found(judged: tuple[Table, Leg], lie: Callable[[Any], None]) -> None:
    table, leg = judged
    said = copy.deepcopy(leg.said)
    lie(said)
    assert campaign.judged(table, [leg._replace(said=said)]).wrong != []


def test_a_wrong_exit_status_is_found(judged: tuple[Table, Leg]) -> None:
    table, leg = judged
    assert [wrong.case for wrong in campaign.judged(table, [leg._replace(exit=3)]).wrong] == [-1]


@pytest.mark.parametrize(
    ('lie', 'is_wrong'),
    [
        (turned('passed', 'infra'), False),
        (turned('passed', 'blocked'), False),
        (turned('failed', 'infra'), False),
        (turned('infra', 'failed'), True),
        (turned('passed', 'failed'), True),
        (turned('failed', 'passed'), True),
        (turned('blocked', 'passed'), True),
        (turned('passed', 'skipped'), True),
    ],
)
def test_what_a_disturbance_excuses(judged: tuple[Table, Leg], lie: Callable[[Any], None], is_wrong: bool) -> None:
    table, leg = judged
    said = copy.deepcopy(leg.said)
    lie(said)
    outcome = campaign.judged(table, [leg._replace(said=said, exact=False)])
    assert bool([wrong for wrong in outcome.wrong if wrong.case >= 0]) is is_wrong


# -- the model -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('nodes', 'wanted'),
    [
        ([Node('a', 'core', ['t']), Node('b', 'core', [], ['t'])], {'a': 'passed', 'b': 'passed'}),
        (
            [
                Node('a', 'core', ['t'], fate=BROKEN),
                Node('b', 'core', ['u'], ['t'], fate=UNMEASURED),
                Node('c', 'core', [], ['u'], fate=BROKEN),
            ],
            {'a': 'failed', 'b': 'blocked by a', 'c': 'blocked by a'},
        ),
        (
            [Node('a', 'core', ['t'], fate=BROKEN), Node('b', 'core', ['t']), Node('c', 'core', [], ['t'])],
            {'a': 'failed', 'b': 'passed', 'c': 'passed'},
        ),
        (
            [Node('a', 'smoke', ['t'], fate=UNMEASURED), Node('b', 'deep', ['t']), Node('c', 'core', [], ['t'])],
            {'a': 'infra', 'b': 'passed', 'c': 'blocked by a'},
        ),
        (
            [Node('a', 'smoke', ['t'], fate=SKIPS), Node('b', 'core', ['u'], ['t'], fate=ABSENT)],
            {'a': 'skipped', 'b': 'skipped'},
        ),
        (
            [Node('a', 'smoke', ['t'], fate=BROKEN), Node('b', 'core', [], ['t'], fate=SKIPS)],
            {'a': 'failed', 'b': 'blocked by a'},
        ),
        (
            [
                Node('a', 'smoke', gating=True, fate=BROKEN),
                Node('b', 'smoke'),
                Node('c', 'core', gating=True),
                Node('d', 'deep', fate=BROKEN),
            ],
            {'a': 'failed', 'b': 'passed', 'c': 'deferred by a', 'd': 'deferred by a'},
        ),
        ([Node('a', 'smoke', gating=True, fate=SKIPS), Node('b', 'core')], {'a': 'skipped', 'b': 'passed'}),
        (
            [
                Node('a', 'core', ['t']),
                Node('b', 'core', ['x'], ['t'], spoils='t', spoilt=UNMEASURED),
                Node('c', 'core', ['u'], ['t', 'x'], fate=BROKEN),
                Node('d', 'core', [], ['u']),
            ],
            {'a': 'passed', 'b': 'passed', 'c': 'infra', 'd': 'blocked by c'},
        ),
    ],
)
def test_the_truth(nodes: list[Node], wanted: dict[str, str]) -> None:
    said = {
        id: truth.verdict + (f' by {"/".join(sorted(truth.roots))}' if truth.roots else '')
        for id, truth in truths(nodes).items()
    }
    assert said == wanted


def test_what_was_left_behind_holds_the_gates() -> None:
    nodes = [Node('a', 'smoke', gating=True), Node('b', 'smoke'), Node('c', 'core')]
    true = truths(nodes, lost={'a'})
    assert {id: truth.verdict for id, truth in true.items()} == {'a': 'infra', 'b': 'passed', 'c': 'deferred'}


@pytest.mark.parametrize(
    ('verdicts', 'wanted'),
    [
        (['passed'], 0),
        (['passed', 'skipped', 'blocked'], 0),
        (['passed', 'infra', 'failed'], 1),
        (['passed', 'infra'], 3),
        (['skipped'], 3),
    ],
)
def test_the_exit_status(verdicts: list[str], wanted: int) -> None:
    assert exit_status(verdicts) == wanted


# -- the cases -------------------------------------------------------------------------------------


def test_a_thousand_cases_hold_every_fault_in_every_kind_of_run() -> None:
    its = [cases.case(1, number) for number in range(1000)]
    words = {word for case in its for word in case.faults}
    assert words >= {f'product: {name}' for name in (*faults.PRODUCT_ACTS, 'state forgotten')}
    assert words >= {f'harness: {name}' for name in (*faults.HARNESS_ACTS, *faults.SPOILERS)}
    runs = {cases.run_of(1, case.number) for case in its}
    assert {(run.kind, run.shards) for run in runs if run.kind != 'disk too small'} == {
        (kind, shards) for kind in cases.KINDS for shards in cases.SHARDS if kind != 'disk too small'
    }
    assert {*cases.EXACT, *cases.DISTURBED} == set(cases.KINDS)
    both = [case for case in its if {word.split(':')[0] for word in case.faults} >= {'product', 'harness'}]
    assert len(both) > 300


def test_a_case_depends_on_its_seed_and_number_alone(tmp_path: Path) -> None:
    assert cases.case(7, 12) == cases.case(7, 12)
    assert cases.case(7, 12) != cases.case(8, 12)
    case = cases.case(7, 12)
    path = tmp_path / f'{case.name}.yaml'
    path.write_text(json.dumps({**case.document, 'journeys': [journey.document for journey in case.journeys]}))
    corpus = journeys.load([str(path)])
    assert set(corpus.journeys) == {journey.node.id for journey in case.journeys}

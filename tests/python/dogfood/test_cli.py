"""Every verb that can be asked for is there; what the verbs do is tested where runs, reports and plans are."""

import inspect

import pytest

from hack.dogfood import cli
from hack.dogfood.arguments import VERBS, parse
from hack.dogfood.verbs import corpus, looking_back, planning, reporting, running


def test_every_verb_that_takes_arguments_is_one_that_runs_and_no_other() -> None:
    defined = [*corpus.VERBS, *planning.VERBS, *running.VERBS, *reporting.VERBS, *looking_back.VERBS]
    assert sorted(defined) == sorted(VERBS)


@pytest.mark.parametrize('verb', VERBS)
def test_a_verb_is_found_in_its_module(verb: str) -> None:
    assert list(inspect.signature(cli.does(verb)).parameters) == ['asked']


@pytest.mark.parametrize(
    ('arguments', 'verb'),
    [
        ([], 'plan'),
        (['folder', '--shards', '3'], 'plan'),
        (['plan', 'folder'], 'plan'),
        (['triage'], 'triage'),
        (['triage', 'some.json'], 'triage'),
        (['triage', 'decide', 'exit-0123456789ab', 'real'], 'triage decide'),
    ],
)
def test_the_verb_is_told_from_what_it_is_about(arguments: list[str], verb: str) -> None:
    assert parse(arguments).verb == verb

"""Parity: what means the same is equal, however it is written, and of what differs the first place is told."""

from pathlib import Path
from typing import Any

import pytest

from hack.common.source import load_toml
from hack.orchestrator.config import agents
from hack.orchestrator.model import Sighting, Standing, State
from hack.orchestrator.staging import parity
from tests.python.orchestrator.projects import PAIR, PAIR_FILES, TEMPLATE, project

SUBJECTS = ('phases', 'models', 'kickoffs', 'status')


def view(folder: Path, config: str = PAIR, template: str = TEMPLATE, **seen: Any) -> parity.View:
    path = project(folder, config, {**PAIR_FILES, 'kickoff.md': template})
    phases = load_toml(str(path))['loop']['phases']
    return parity.View(agents.load(path, {}), phases, seen.pop('standing', Standing()), **seen)


def differences(live: parity.View, staged: parity.View) -> dict[str, str]:
    return {one.subject: one.difference for one in parity.compare(live, staged) if one.difference}


def test_a_copy_is_equal_and_says_how_much_was_compared(tmp_path: Path) -> None:
    compared = parity.compare(view(tmp_path / 'live'), view(tmp_path / 'staged'))
    assert [(one.subject, one.number, one.difference) for one in compared] == [
        ('phases', 2, ''),
        ('models', 8, ''),  # two phases, three agents and the watchdog
        ('kickoffs', 8, ''),
        ('status', 1, ''),
    ]


def test_what_is_written_otherwise_is_equal(tmp_path: Path) -> None:
    first, _, phases = PAIR.partition('[[loop.phases]]')
    inline = """phases = [
        {status = "STATUS-one.md", plan = "plan-one.md", id = "one", models.builder = "opus"},
        {id = 'two', plan = "plan-two.md", status = "STATUS-two.md"},
    ] # as an array"""
    assert phases
    assert differences(view(tmp_path / 'live'), view(tmp_path / 'staged', first + inline)) == {}


def test_the_names_of_sessions_and_of_folders_say_nothing(tmp_path: Path) -> None:
    moved = PAIR.replace('"t-"', '"other-"').replace('".ao"', '".elsewhere"')
    assert differences(view(tmp_path / 'live'), view(tmp_path / 'staged', moved)) == {}


@pytest.mark.parametrize(
    ('old', 'new', 'expected'),
    [
        (
            'models = {builder = "opus"}',
            'models = {builder = "sonnet"}',
            {
                'phases': "phases[0].models.builder: live 'opus', staged 'sonnet'",
                'models': "phase one, builder: live ('demo', 'opus'), staged ('demo', 'sonnet')",
                'status': "line 2, column 27: live 'builder    loop     demo  opus   heal+stall\\n', "
                "staged 'builder    loop     demo  sonnet  heal+stall\\n'",
            },
        ),
        (
            'models = {builder = "opus"}\n',
            '',
            {
                'phases': 'phases[0].models: only in live',
                'models': "phase one, builder: live ('demo', 'opus'), staged ('demo', 'none')",
                'status': "line 2, column 27: live 'builder    loop     demo  opus   heal+stall\\n', "
                "staged 'builder    loop     demo  none   heal+stall\\n'",
            },
        ),
        (
            'model = "haiku"',
            'backend = "claude"\nmodel = "haiku"',
            {
                'models': "phase one, adversary: live ('demo', 'haiku'), staged ('claude', 'haiku')",
                'status': "line 2, column 27: live 'builder    loop     demo  opus   heal+stall\\n', "
                "staged 'builder    loop     demo    opus   heal+stall\\n'",
            },
        ),
        (
            'status = "STATUS-two.md"',
            'status = "STATE-two.md"',
            {
                'phases': "phases[1].status: live 'STATUS-two.md', staged 'STATE-two.md'",
                'kickoffs': "phase two, builder: line 1, column 68: live ' the builder of two: read plans/plan-two.md, "
                "write docs/STATUS-two.md. Not a slot: {x} {}.\\n', "
                "staged ' the builder of two: read plans/plan-two.md, write docs/STATE-two.md. Not a slot: {x} {}.\\n'",
            },
        ),
    ],
)
def test_the_first_difference_of_each_is_told(tmp_path: Path, old: str, new: str, expected: dict[str, str]) -> None:
    assert differences(view(tmp_path / 'live'), view(tmp_path / 'staged', PAIR.replace(old, new))) == expected


def test_a_phase_more_and_another_agent_are_told(tmp_path: Path) -> None:
    more = PAIR + '[[loop.phases]]\nid = "three"\nplan = "plan-two.md"\nstatus = "S"\n'
    found = differences(view(tmp_path / 'live'), view(tmp_path / 'staged', more.replace('"wrap-up"', '"finish"')))
    assert found['phases'] == 'phases: live has 2, staged has 3'
    assert found['models'] == 'phase one, wrap-up: only in live'
    assert found['status'].startswith("line 1, column 15: live 'phase: one [1/2] plan")


def test_one_byte_of_a_kickoff_is_enough(tmp_path: Path) -> None:
    found = differences(view(tmp_path / 'live'), view(tmp_path / 'staged', template=TEMPLATE.rstrip('\n')))
    assert found.keys() == {'kickoffs'}
    assert found['kickoffs'].startswith('phase one, builder: line 1, column 98: live ')


def test_the_state_counts_where_it_was_looked_at(tmp_path: Path) -> None:
    running = {'builder': Sighting(State.RUNNING)}
    live = view(tmp_path / 'live', sightings=running)
    assert differences(live, view(tmp_path / 'same', sightings=dict(running))) == {}
    found = differences(live, view(tmp_path / 'staged', sightings={}))
    assert found.keys() == {'status'}
    assert 'line 2' in found['status']


def test_another_phase_in_force_shows_in_the_status(tmp_path: Path) -> None:
    live, staged = view(tmp_path / 'live'), view(tmp_path / 'staged', standing=Standing(1))
    assert differences(live, staged).keys() == {'status'}


@pytest.mark.parametrize(
    ('live', 'staged', 'difference'),
    [
        ([1, {'a': [1, 2]}], [1, {'a': [1, 3]}], 'x[1].a[1]: live 2, staged 3'),
        ([1], [True], 'x[0]: live 1, staged True'),
        ([1], [1.0], 'x[0]: live 1, staged 1.0'),
        ({'a': 1, 'b': 2}, {'b': 2, 'a': 1}, ''),
        ({'a': 1}, {'a': 1, 'b': 2}, 'x.b: only in staged'),
        ([[]], [{}], 'x[0]: live [], staged {}'),
        ([1, 2], [2], 'x[0]: live 1, staged 2'),
    ],
)
def test_values_are_compared_as_toml_has_them(live: Any, staged: Any, difference: str) -> None:
    assert parity.value_difference(live, staged, 'x') == difference


@pytest.mark.parametrize(
    ('live', 'staged', 'place'),
    [
        ('a\nb', 'a\nc', 'line 2, column 1'),
        ('a', 'a\n', 'line 1, column 2'),
        ('', 'x', 'line 1, column 1'),
        ('a\n\nx', 'a\n\n', 'line 3, column 1'),
        ('same', 'same', ''),
    ],
)
def test_texts_are_compared_to_the_last_byte(live: str, staged: str, place: str) -> None:
    assert parity.text_difference(live, staged).partition(':')[0] == place

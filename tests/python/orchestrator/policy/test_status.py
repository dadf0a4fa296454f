"""Status and kickoffs are pure: the phase, one aligned row an agent, and the same bytes for the same values."""

import sys
from pathlib import Path

import pytest

from hack.orchestrator.config import agents, kickoff, phases
from hack.orchestrator.model import Config, Sighting, Standing, State
from hack.orchestrator.policy import status
from hack.orchestrator.runtime import supervisor
from tests.python.orchestrator.projects import DEFAULTS, project
from tests.python.terminal import a_terminal


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return agents.load(project(tmp_path), {})


def test_the_phase_opens_and_rows_are_aligned(config: Config) -> None:
    seen = {
        'builder': Sighting(State.RUNNING, ('stalled',)),
        'adversary': Sighting(State.STOPPED, ('backoff 40s', 'disabled')),
        'watchdog': Sighting(State.UNKNOWN),
    }
    assert status.lines(config, seen, Standing()) == [
        'phase: one [1/2] plan=plan-one.md (in progress)',
        'builder    loop     demo  opus   heal+stall  RUNNING (stalled)',
        'adversary  loop     demo  haiku  heal        stopped (backoff 40s, disabled)',
        'wrap-up    task     demo  none   heal        stopped',
        'watchdog   service  -     -      -           unknown',
    ]


def test_a_phase_may_change_the_model_and_the_last_one_is_complete(config: Config) -> None:
    told = status.lines(config, {}, Standing(1, complete=True), with_state=False)
    assert told[0] == 'phase: two [2/2] plan=plan-two.md (complete)'
    assert told[1] == 'builder    loop     demo  none   heal+stall'


def test_the_plan_is_told_by_its_bare_name_and_no_phase_by_a_dash(config: Config, tmp_path: Path) -> None:
    deep = config.loop.phases[0]._replace(plan='a/b/plan.md')
    deeper = config._replace(loop=config.loop._replace(phases=(deep,)))
    assert phases.title(deeper, Standing()) == 'phase: one [1/1] plan=plan.md (in progress)'
    alone = agents.load(project(tmp_path / 'alone', DEFAULTS), {})
    assert status.lines(alone, {}, Standing()) == ['phase: -', 'watchdog  service  -  -  -  stopped']


@pytest.mark.parametrize(
    ('seen', 'style'),
    [
        (Sighting(State.RUNNING), 'green'),
        (Sighting(State.RUNNING, ('stalled',)), 'yellow'),
        (Sighting(State.RUNNING, ('dead', 'crash-loop')), 'bold red'),
        (Sighting(State.STOPPED), 'dim'),
        (Sighting(State.STOPPED, ('disabled',)), 'dim'),
        (Sighting(State.STOPPED, ('backoff 40s',)), 'yellow'),
        (Sighting(State.UNKNOWN), 'bold red'),
    ],
)
def test_what_needs_a_look_stands_out(seen: Sighting, style: str) -> None:
    assert status.style(seen) == style


def test_states_are_painted_on_a_terminal_unless_nobody_wants_that(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp('t')
    command = [sys.executable, str(supervisor.ENTRY), '--config', str(project(folder)), 'status']
    with a_terminal(folder, {}) as terminal:
        terminal.run(*command)
        assert terminal.ended(1) == 0
        assert terminal.screen('-e').count('\x1b[2mstopped') == 4
        terminal.run(*command, NO_COLOR='1')
        assert terminal.ended(2) == 0
        assert '\x1b[2m' not in terminal.screen('-e')
        assert terminal.screen().count('stopped') == 4


def test_json_says_the_same(config: Config) -> None:
    told = status.as_json(config, {'builder': Sighting(State.RUNNING, ('dead',))}, Standing(1))
    assert told['phase']['number'] == 2
    assert told['agents'][0] == {
        'name': 'builder',
        'kind': 'loop',
        'backend': 'demo',
        'model': 'none',
        'watch': 'heal+stall',
        'state': 'RUNNING (dead)',
    }


def test_the_prefix_is_never_shown(config: Config) -> None:
    assert not any('t-' in line for line in status.lines(config, {}, Standing()))


def test_a_kickoff_is_its_template_with_the_slots_filled_once(config: Config) -> None:
    phase = config.loop.phases[0]._replace(plan='{role}.md')
    assert kickoff.render(config, phase, config.agents[0]) == (
        'You are the builder of one: read plans/{role}.md, write docs/STATUS-one.md. Not a slot: {x} {}.\n'
    )


def test_a_role_is_told_in_full_where_the_template_asks_for_it(config: Config) -> None:
    loop = config.loop._replace(template='{role}: {role_text}', roles={'builder': 'build {plan}'})
    told = kickoff.render(config._replace(loop=loop), config.loop.phases[0], config.agents[0])
    assert told == 'builder: build {plan}'


def test_who_is_no_loop_has_a_prompt_of_its_own_or_its_role(config: Config) -> None:
    task = config.agents[2]
    roles = config._replace(loop=config.loop._replace(roles={'closer': 'close'}))
    assert kickoff.render(roles, config.loop.phases[0], task) == ''
    assert kickoff.render(roles, None, task._replace(role='closer')) == 'close'
    assert kickoff.render(roles, None, task._replace(role='closer', prompt='own')) == 'own'


def test_the_template_says_where_a_file_is(config: Config) -> None:
    assert kickoff.places(config.loop.template, 'plan', config.loop.phases[0]) == ['plans/plan-one.md', 'plan-one.md']


def test_phases_follow_each_other_and_end_complete(config: Config) -> None:
    first = Standing()
    second = phases.after(config, first)
    assert (second, phases.after(config, second)) == (Standing(1), Standing(1, complete=True))

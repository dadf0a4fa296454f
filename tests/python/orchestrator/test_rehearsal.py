"""A rehearsal runs the real thing, with real watchdogs, touches nothing of the live project, and sees a bad plan."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hack.common import process
from hack.common.errors import UserError
from hack.common.files import sha256
from hack.orchestrator import cutover, rehearsal
from hack.orchestrator.rehearsal import Trial
from tests.python.orchestrator.migrating import Migration, migration
from tests.python.runs import need_commands


@pytest.fixture
def made(tmp_path: Path) -> Migration:
    need_commands('tmux', 'flock')
    return migration(tmp_path)


def everything(folder: Path) -> dict[str, str]:
    return {str(path): sha256(path.read_bytes()) for path in sorted(folder.rglob('*')) if path.is_file()}


def rehearse(made: Migration, plan: Callable[[cutover.Facts], cutover.Plan] = cutover.plan) -> tuple[Trial, ...]:
    told: list[Trial] = []
    trials = rehearsal.rehearse(made.given(), told.append, make_plan=plan)
    assert trials == tuple(told)
    return trials


def test_rollback_restores_the_tree_wherever_it_is_killed(made: Migration) -> None:
    before = everything(made.folder)
    trials = rehearse(made)
    assert {trial.killed: trial.wrong for trial in trials if trial.wrong} == {}
    steps = cutover.plan(cutover.inspect(*made.given()))
    assert [trial.killed for trial in trials] == [
        *(f'killed at: {step.title}' for step in steps.forward),
        'not killed',
        *(f'killed on the way back, at: {step.title}' for step in steps.rollback),
    ]
    assert everything(made.folder) == before, 'the rehearsal touched the live project'
    assert not (made.folder / 'must-not-run').exists(), 'a service of the project was run'


def test_a_plan_that_does_not_quiesce_is_found_out(made: Migration) -> None:
    both_up = 'until flock --nonblock "$staged_state/watchdog.lock" true || test $? = 1; do sleep 0.1; done; sleep 1'

    def plan(facts: cutover.Facts) -> cutover.Plan:
        start = cutover.Step('Start', '', ('staged up', both_up, 'true'))
        return cutover.Plan(facts, (start,), (cutover.Step('Stop', '', ('staged down',)),))

    made.registry.write_text(made.registry.read_text().replace('false', 'true'))
    trials = rehearse(made, plan)
    assert len(trials) == 3
    assert all('two watchdogs were up at once' in trial.wrong for trial in trials)


def test_a_way_back_that_does_not_arrive_is_found_out(made: Migration) -> None:
    def plan(facts: cutover.Facts) -> cutover.Plan:
        edit = next(step for step in cutover.plan(facts).forward if step.title == 'The one indirection')
        forward = cutover.Step('Edit', '', (*edit.commands, 'false'))
        return cutover.Plan(facts, (forward,), (cutover.Step('Nothing', '', ('true',)),))

    killed, done, _ = rehearse(made, plan)
    assert killed.wrong == ('rollback did not restore the tree',)
    assert done.wrong == ('a command failed: ',)


def test_a_cutover_that_does_not_arrive_is_found_out(made: Migration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, '_UP_SECONDS', 1.0)
    nothing = (cutover.Step('Nothing', '', ('true',)),)
    _, done = rehearse(made, lambda facts: cutover.Plan(facts, nothing, ()))
    assert done.wrong[:2] == ('when all was done, no watchdog was up', 'the staged project is in another phase')
    assert 'does not lead to' in done.wrong[2]


def test_a_project_that_does_not_come_up_is_said_in_a_line(made: Migration) -> None:
    given = made.given()
    engine = made.live.parent / 'engine/hack/orchestrator/run_agents.py'
    engine.parent.mkdir(parents=True)
    engine.write_text('raise SystemExit("no such thing")')
    with pytest.raises(UserError, match='does not come up in a copy: a command failed: no such thing'):
        rehearsal.rehearse(given, lambda trial: None)


def test_nothing_of_a_rehearsal_is_left(made: Migration) -> None:
    folders: list[str] = []

    def plan(facts: cutover.Facts) -> cutover.Plan:
        folders.append(str(facts.live.config).partition('/t/')[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rehearse(made, plan)
    assert not Path(folders[0]).exists()
    assert process.marked(f'AGENT_REHEARSAL={folders[0]}') == []

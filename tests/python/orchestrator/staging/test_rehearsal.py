"""A rehearsal runs the real thing, with real watchdogs, touches nothing of the live project, and sees a bad plan."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hack.common import process
from hack.common.errors import UserError
from hack.common.files import sha256
from hack.orchestrator.runtime import supervisor
from hack.orchestrator.staging import cutover, rehearsal
from hack.orchestrator.staging.rehearsal import Trial
from tests.python.orchestrator.migrating import Migration, migration
from tests.python.runs import need_commands

REPOSITORY = Path(supervisor.__file__).resolve().parents[3]
NEXT = "from hack.orchestrator.proof import scratch\nwith scratch.place('cut-'): pass"


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
    assert done.wrong[:3] == (
        'when all was done, no watchdog was up',
        'the staged project has another state: phase, hand-offs or tasks that are done',
        'others are up than before: builder, cleanlogs',
    )
    assert 'does not lead to' in done.wrong[3]


def test_a_plan_that_forgets_what_is_done_and_who_was_up_is_found_out(made: Migration) -> None:
    def plan(facts: cutover.Facts) -> cutover.Plan:
        good = cutover.plan(facts)
        start = next(step for step in good.forward if step.title == 'Start')
        careless = start._replace(commands=('no_watchdog "$live_state"', 'RESUME_PHASE=1 staged up'))
        keep = [step for step in good.forward if step.title not in ('Carry the state over', 'Look')]
        return good._replace(forward=tuple(careless if step is start else step for step in keep))

    done = next(trial for trial in rehearse(made, plan) if trial.killed == 'not killed')
    assert done.wrong == (
        'the staged project has another state: phase, hand-offs or tasks that are done',
        'others are up than before: adversary',
    )


def test_a_project_that_does_not_come_up_is_said_in_a_line(made: Migration) -> None:
    given = made.given()
    engine = made.live.parent / 'engine/hack/orchestrator/run_agents.py'
    engine.parent.mkdir(parents=True)
    engine.write_text('raise SystemExit("no such thing")')
    with pytest.raises(UserError, match='does not come up in a copy: a command failed: no such thing'):
        rehearsal.rehearse(given, lambda trial: None)


@pytest.mark.parametrize('ending', [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda one: one.name)
def test_a_rehearsal_killed_from_outside_leaves_nothing(
    made: Migration, tmp_path_factory: pytest.TempPathFactory, ending: int
) -> None:
    temporary = tmp_path_factory.mktemp('r')  # short: a socket's path has but 107 bytes
    environment = {**os.environ, 'TMPDIR': str(temporary)}
    command = [sys.executable, str(supervisor.ENTRY), 'cutover', 'rehearse', str(made.live), str(made.staged)]
    started = subprocess.Popen([*command, '--boot', str(made.boot)], env=environment, stdout=subprocess.PIPE)
    try:
        assert started.stdout
        assert started.stdout.readline() == b'ok      killed at: Compare\n'
        (left,) = temporary.iterdir()
        assert process.marked(f'AGENT_SCRATCH={left}') != []
    finally:
        started.send_signal(ending)
        started.communicate(timeout=60)
    if ending == signal.SIGKILL:  # the next one tidies up
        subprocess.run([sys.executable, '-c', NEXT], env=environment, check=True, cwd=REPOSITORY)
    assert list(temporary.iterdir()) == []
    assert process.marked(f'AGENT_SCRATCH={left}') == []


def test_nothing_of_a_rehearsal_is_left(made: Migration) -> None:
    folders: list[str] = []

    def plan(facts: cutover.Facts) -> cutover.Plan:
        folders.append(str(facts.live.config).partition('/t/')[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rehearse(made, plan)
    assert not Path(folders[0]).exists()
    assert process.marked(f'AGENT_SCRATCH={folders[0]}') == []

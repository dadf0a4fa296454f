"""The runbook of a cutover: one indirection, one config change, quiesce before start, and a way back."""

import re
import subprocess
from pathlib import Path

import pytest

from hack.common.errors import UserError
from hack.orchestrator.staging import cutover
from tests.python.orchestrator.migrating import STATE, Migration, migration


@pytest.fixture
def made(tmp_path: Path) -> Migration:
    return migration(tmp_path)


def facts(made: Migration) -> cutover.Facts:
    return cutover.inspect(*made.given())


def test_there_is_one_indirection_and_one_config_change(made: Migration) -> None:
    indirection, change = facts(made).changes
    assert (indirection.path, indirection.number) == (made.folder / 'etc/start.sh', 3)
    assert indirection.new == indirection.old.replace(f'{made.folder}/link/agents.toml', str(made.staged))
    assert (change.path, change.number) == (made.registry, 10)
    assert (change.old, change.new) == ('enabled = false # until the cutover', 'enabled = true # until the cutover')


def test_the_chain_of_the_boot_is_told(made: Migration) -> None:
    text = cutover.markdown(cutover.plan(facts(made)))
    assert f'boot chain: `{made.boot}` line 2' in text
    assert f'boot chain: `{made.folder}/etc/start.sh` line 3' in text


def test_it_is_quiet_before_anything_is_changed_and_starts_after_that(made: Migration) -> None:
    titles = [step.title for step in cutover.plan(facts(made)).forward]
    assert titles == [
        'Compare',
        'Keep what will be changed',
        'Quiesce',
        'The one indirection',
        'The one config change',
        'Carry the state over',
        'Start',
        'Look',
    ]


def test_the_way_back_ends_the_new_before_it_starts_the_old(made: Migration) -> None:
    steps = cutover.plan(facts(made)).rollback
    commands = [command for step in steps for command in step.commands]
    start = "AGENT_MODEL_builder='haiku 4' RESUME_PHASE=1 live up builder cleanlogs"
    order = [commands.index(one) for one in ('staged down', 'no_watchdog "$staged_state"', start)]
    assert order == sorted(order)
    assert order[0] == 0


def test_who_was_up_is_who_comes_up_with_what_it_was_started_with(made: Migration) -> None:
    (start,) = (step for step in cutover.plan(facts(made)).forward if step.title == 'Start')
    assert "- up: builder, cleanlogs, with `AGENT_MODEL_builder='haiku 4'`\n" in cutover.markdown(
        cutover.plan(facts(made))
    )
    assert start.commands[-1] == "AGENT_MODEL_builder='haiku 4' RESUME_PHASE=1 staged up builder cleanlogs"


def test_loops_of_a_sequence_that_is_complete_do_not_come_up_again(made: Migration) -> None:
    (made.live.parent / '.ao/state/SEQUENCE-COMPLETE').touch()
    assert facts(made).follow == ('cleanlogs',)
    (made.live.parent / '.ao/state/wanted-cleanlogs.json').unlink()
    assert facts(made).follow == ('watchdog',)


def test_a_plan_is_for_the_agents_that_were_up_when_it_was_made(made: Migration) -> None:
    plan = cutover.plan(facts(made))
    (made.live.parent / '.ao/state/wanted-adversary.json').write_text('{"version": 1}')
    ended = subprocess.run(
        ['bash', '-c', cutover.script(plan.facts, plan.forward[1].commands)], capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (1, 'other agents are up now: plan anew\n')


def test_what_must_last_is_carried_and_put_back_and_nothing_else(made: Migration, tmp_path: Path) -> None:
    source, target = made.live.parent / '.ao/state', made.staged.parent / '.ao/state'
    target.mkdir(parents=True)
    for name in ('done-old.json', 'SEQUENCE-COMPLETE', 'phase-idx.cutover', 'limited-builder.json'):
        (target / name).touch()
    for _ in range(2):  # again changes nothing
        commands = ['carry "$live_state" "$staged_state"']
        subprocess.run(['bash', '-c', cutover.script(facts(made), commands)], check=True)
    known = {path.name: path.read_text() for path in target.iterdir()}
    assert known == {
        'phase-idx': STATE['phase-idx'],
        'done-wrap-up.json': STATE['done-wrap-up.json'],
        'handoff.json': STATE['handoff.json'],
        'limited-builder.json': '',
    }
    assert {path.name: path.read_text() for path in source.iterdir()} == STATE


def test_the_runbook_has_every_command_in_order_and_bash_reads_it(made: Migration) -> None:
    plan = cutover.plan(facts(made))
    blocks = re.findall(r'```bash\n(.*?)\n```', cutover.markdown(plan), re.DOTALL)
    steps = (*plan.forward, *plan.rollback)
    assert blocks == ['\n'.join(cutover.prelude(plan.facts)), *('\n'.join(step.commands) for step in steps)]
    subprocess.run(['bash', '-n'], input='\n'.join(blocks), text=True, check=True)


def test_the_edits_change_these_lines_alone_and_keep_the_mode(made: Migration) -> None:
    before = {change.path: change.path.read_text().split('\n') for change in facts(made).changes}
    plan = cutover.plan(facts(made))
    edits = [step.commands for step in plan.forward if step.title.startswith('The one ')]
    for commands in edits:
        subprocess.run(['bash', '-c', cutover.script(plan.facts, commands)], check=True)
    for change in plan.facts.changes:
        lines = before[change.path]
        lines[change.number - 1] = change.new
        assert change.path.read_text() == '\n'.join(lines)
    assert (made.folder / 'etc/start.sh').stat().st_mode & 0o777 == 0o755
    assert not list(made.folder.rglob('*.cutover'))


def test_a_file_that_moved_since_it_was_inspected_stops_it(made: Migration) -> None:
    plan = cutover.plan(facts(made))
    made.registry.write_text(made.registry.read_text() + '\n')
    keep = cutover.script(plan.facts, plan.forward[1].commands)
    ended = subprocess.run(['bash', '-c', keep], capture_output=True, text=True)
    assert ended.returncode == 1
    assert f'{made.registry}: FAILED' in ended.stdout
    assert not (made.live.parent / '.ao/cutover').exists()


def test_a_second_cutover_does_not_overwrite_what_the_first_one_kept(made: Migration) -> None:
    plan = cutover.plan(facts(made))
    keep = cutover.script(plan.facts, plan.forward[1].commands)
    assert subprocess.run(['bash', '-c', keep]).returncode == 0
    ended = subprocess.run(['bash', '-c', keep], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (1, 'a cutover is under way: roll it back first\n')
    assert (made.live.parent / '.ao/cutover/complete').exists()


def test_without_a_boot_chain_or_a_registry_the_plan_says_so(made: Migration) -> None:
    given = made.given()._replace(boot=None, registry=None)
    text = cutover.markdown(cutover.plan(cutover.inspect(*given)))
    assert 'boot chain: none was named (--boot FILE)' in text
    assert '- changes: no file' in text
    assert 'Check' not in re.findall(r'### \d+\. (.*)', text)


def test_an_enabled_project_needs_no_config_change(made: Migration) -> None:
    made.registry.write_text(made.registry.read_text().replace('false', 'true'))
    assert [change.path.name for change in facts(made).changes] == ['start.sh']


def test_a_pinned_engine_is_the_one_that_runs_a_project(made: Migration) -> None:
    engine = made.staged.parent / 'engine/hack/orchestrator/run_agents.py'
    engine.parent.mkdir(parents=True)
    engine.touch()
    told = facts(made)
    assert told.staged.engine == engine
    assert told.live.engine == Path(cutover.__file__).parents[1] / 'run_agents.py'


def test_live_and_staged_must_be_two_files(made: Migration) -> None:
    given = made.given()
    with pytest.raises(UserError, match=r'live and staged are the same file \(stage a config of its own\)'):
        cutover.inspect(*given._replace(staged=given.live))


def test_a_boot_file_that_does_not_lead_there_is_refused(made: Migration) -> None:
    made.boot.write_text('ExecStart=/bin/true\n')
    with pytest.raises(UserError, match='does not lead to'):
        facts(made)


def test_a_place_that_would_need_quotes_is_refused_where_there_are_none(made: Migration) -> None:
    spaced = made.folder / 'a place'
    made.staged.parent.rename(spaced)
    moved = made._replace(staged=spaced / 'agents.toml')
    with pytest.raises(UserError, match=r'is not in quotes, which .*/a place/agents.toml would need \(quote it\)'):
        facts(moved)
    script = made.folder / 'etc/start.sh'
    link = f'{made.folder}/link/agents.toml'
    script.write_text(script.read_text().replace(link, f'"{link}"'))
    assert f'"{spaced}/agents.toml"' in facts(moved).changes[0].new

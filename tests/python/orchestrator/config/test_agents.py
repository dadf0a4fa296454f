"""agents.toml becomes checked values, and everything wrong with it is said at once."""

from pathlib import Path

import pytest

from hack.common.errors import UserError
from hack.orchestrator.config import agents
from hack.orchestrator.model import Cadence
from tests.python.orchestrator.projects import DEFAULTS, PAIR, PAIR_FILES, TEMPLATE, project


def problems(folder: Path, config: str, files: dict[str, str] | None = None) -> list[str]:
    path = project(folder, config, PAIR_FILES if files is None else files)
    with pytest.raises(UserError) as caught:
        agents.load(path, {})
    assert caught.value.exit_status == 2
    assert all(problem.startswith(f'{path}: ') for problem in caught.value.problems)
    return [problem.removeprefix(f'{path}: ') for problem in caught.value.problems]


def test_a_project_is_read_whole(tmp_path: Path) -> None:
    config = agents.load(project(tmp_path, PAIR + '[watchdog]\nstall_grace = 7\n'), {})
    assert (config.prefix, config.project_dir, config.state_dir) == ('t-', tmp_path, tmp_path / '.ao/state')
    assert [agent.name for agent in config.agents] == ['builder', 'adversary', 'wrap-up', 'watchdog']
    assert config.cadence == Cadence(stall_grace=7)
    builder = config.agent('builder')
    assert builder is not None
    assert builder.backend is not None
    assert (builder.backend.bin, builder.backend.flags, builder.watch) == ('sleep', ('infinity',), 'heal+stall')
    assert [phase.id for phase in config.loop.phases] == ['one', 'two']


def test_the_documented_cadence_is_the_default() -> None:
    documented = {'signal_interval': 30, 'heavy_interval': 300, 'stall_grace': 180, 'limit_probe_fallback': 300}
    assert documented.items() <= Cadence()._asdict().items()


def test_a_table_of_a_backend_overrides_what_is_shipped(tmp_path: Path) -> None:
    own = DEFAULTS + '[backend.demo]\nflags = ["9"]\n[backend.mine]\nbin = "./mine"\nprompt_delivery = "arg"\n'
    own += '[[agent]]\nname = "a"\nkind = "persistent"\n[[agent]]\nname = "b"\nkind = "task"\nbackend = "mine"\n'
    one, two, _ = agents.load(project(tmp_path, own), {}).agents
    assert one.backend is not None
    assert two.backend is not None
    assert (one.backend.bin, one.backend.flags) == ('sleep', ('9',))
    assert (two.backend.bin, two.backend.prompt_delivery) == ('./mine', 'arg')


def test_one_run_overrides_come_from_the_environment(tmp_path: Path) -> None:
    given = {'AGENT_MODEL_builder': 'opus', 'AGENT_BACKEND_wrap_up': 'codex', 'AGENT_MODEL_else': 'x'}
    config = agents.load(project(tmp_path), given)
    models = {agent.name: (agent.model, agent.backend and agent.backend.name) for agent in config.agents}
    assert models == {
        'builder': ('opus', 'demo'),
        'adversary': ('haiku', 'demo'),
        'wrap-up': ('none', 'codex'),
        'watchdog': ('', None),
    }


def test_an_override_by_an_unknown_backend_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="AGENT_BACKEND_builder: backend is 'codx' .did you mean 'codex'"):
        agents.load(project(tmp_path), {'AGENT_BACKEND_builder': 'codx'})


def test_all_problems_are_told_at_once_by_table_and_key(tmp_path: Path) -> None:
    bad = PAIR.replace('watch = ', 'wacth = ').replace('log_dir = ".ao"\n', '').replace('kind = "task"', 'kind = 3')
    assert problems(tmp_path, bad + '[wachdog]\n') == [
        "the top of the file: unknown key 'wachdog' (did you mean 'watchdog'?)",
        '[defaults]: log_dir is missing (write log_dir = …)',
        "[[agent]] 'builder': unknown key 'wacth' (did you mean 'watch'?)",
        "[[agent]] 'wrap-up': kind is a number (it must be a text)",
    ]


@pytest.mark.parametrize('prefix', ['a.b', 'a:b', '', '=a', '%1', 'a b'])
def test_a_prefix_that_means_something_to_tmux_is_refused(tmp_path: Path, prefix: str) -> None:
    (problem,) = problems(tmp_path, PAIR.replace('"t-"', f'"{prefix}"'))
    assert problem.startswith(f'[defaults]: session_prefix is {prefix!r}')


@pytest.mark.parametrize(
    ('old', 'new', 'problem'),
    [
        ('name = "adversary"', 'name = "builder"', "[[agent]] 'builder': 2 agents or services are called so (rename)"),
        (
            'name = "adversary"',
            'name = "watchdog"',
            "[[agent]] 'watchdog': is the name of the watchdog, which is always there (rename)",
        ),
        ('builder = "opus"', 'bulder = "opus"', "no agent has the role 'bulder' (did you mean 'builder'?)"),
        ('builder = "opus"', 'builder = 1', 'models: builder is a number (it must be a text)'),
        ('plan-two.md', 'plan-tow.md', "[[loop.phases]] 'two': plan: there is no "),
        ('id = "two"', 'id = "one"', "[[loop.phases]] 'one': is there 2 times (rename)"),
        ('"heal+stall"', '"heal+stal"', "watch is 'heal+stal' (did you mean 'heal+stall'?)"),
        ('kind = "task"', 'kind = "taks"', "kind is 'taks' (did you mean 'task'?)"),
        ('on_complete = "wrap-up"', 'on_complete = "wrap"', "on_complete is 'wrap', and no agent is (did you mean"),
        ('on_complete = "wrap-up"', 'on_complete = "builder"', "on_complete is 'builder', which is no task"),
        ('backend = "demo"', 'backend = "dmo"', "backend is 'dmo' (did you mean 'demo'?)"),
        ('role = "adversary"', '', "[[agent]] 'adversary': a loop has a role (write role = …)"),
        ('"kickoff.md"', '"kick.md"', 'kick.md: No such file or directory (write it, or mend the path)'),
        ('log_dir = ".ao"', 'log_dir = ".ao"\nsocket = "x"', "socket is 'x' ('' is the project's own"),
    ],
)
def test_what_it_says_is_checked(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in PAIR
    assert any(problem in line for line in problems(tmp_path, PAIR.replace(old, new, 1)))


@pytest.mark.parametrize('slot', ['phase_id', 'plan', 'status', 'role'])
def test_a_template_without_one_of_its_slots_is_refused(tmp_path: Path, slot: str) -> None:
    found = problems(tmp_path, PAIR, {**PAIR_FILES, 'kickoff.md': TEMPLATE.replace(f'{{{slot}}}', '')})
    assert f'[loop]: kickoff_template kickoff.md: has no slot {{{slot}}} (write it where it belongs)' in found


def test_a_slot_misspelt_is_told_from_other_braces(tmp_path: Path) -> None:
    found = problems(tmp_path, PAIR, {**PAIR_FILES, 'kickoff.md': TEMPLATE + '{phase-id} {phaseid}'})
    assert found == ["[loop]: kickoff_template kickoff.md: {phaseid} is no slot (did you mean 'phase_id'?)"]


def test_a_missing_role_document_is_told(tmp_path: Path) -> None:
    found = problems(tmp_path, PAIR.replace('[loop]\n', '[loop]\nroles_dir = "roles"\n'))
    assert [line.partition(': ')[0] for line in found] == ["[[agent]] 'builder'", "[[agent]] 'adversary'"]
    assert 'roles/builder.md: No such file' in found[0]


def test_a_cadence_of_nothing_and_a_bad_pattern_are_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, PAIR + '[watchdog]\nheavy_interval = 0\n[backend.claude]\nlimit_patterns = ["("]\n')
    assert found[0].startswith("[backend.claude]: limit_patterns '(' is no regular expression: ")
    assert found[1] == '[watchdog]: heavy_interval is 0 (it must be more than 0)'


def test_a_file_that_is_not_toml_says_where(tmp_path: Path) -> None:
    path = project(tmp_path, 'a = \n')
    with pytest.raises(UserError, match=r'agents.toml:1:5: not TOML'):
        agents.load(path, {})

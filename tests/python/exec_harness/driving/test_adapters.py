"""A binary is what it says it is; what it does not know it is not told."""

from pathlib import Path

import pytest

from hack.common.errors import UserError
from hack.exec_harness.driving import adapters
from tests.python.exec_harness.agents import REAL


def program(path: Path, text: str) -> Path:
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)
    return path


def saying(folder: Path, version: str, features: str = '') -> Path:
    lines = [f'--version) echo "{version}" ;;', '"exec --help") echo "--json --max-seconds <N>" ;;']
    lines += [f'"features list") echo "{features}" ;;'] if features else []
    return program(folder / 'agent', f'case "$*" in\n{chr(10).join(lines)}\n*) exit 2 ;;\nesac')


@pytest.mark.parametrize('version', REAL)
def test_the_pinned_versions_are_known_by_what_they_say(version: str) -> None:
    if not REAL[version].exists():
        pytest.skip(f'Codex {version} is not installed')
    agent = adapters.ask(REAL[version])
    assert (agent.row.family, agent.said) == ('codex', f'codex-cli {version}')
    assert {'--json', '--sandbox', '--skip-git-repo-check', '--cd'} <= agent.flags
    assert '--max-seconds' not in agent.flags
    assert agent.names() == {
        'agent': f'codex-{version}',
        'tool.shell': 'exec_command',
        'tool.shell.argument': 'cmd',
        'tool.apply_patch': 'apply_patch',
        'tool.view_image': 'view_image',
        'tool.view_image.argument': 'path',
    }


def test_only_features_that_a_build_has_are_switched_off(tmp_path: Path) -> None:
    old = adapters.ask(saying(tmp_path, 'codex-cli 0.99.0', 'shell_snapshot  stable  true'))
    assert old.pointed_at('http://127.0.0.1:1/v1')[-2:] == ('--disable', 'shell_snapshot')
    new = adapters.ask(saying(tmp_path, 'codex-cli 1.2.3-alpha.4', 'plugins  stable  true\nmore'))
    assert new.version == (1, 2, 3)
    assert new.pointed_at('http://127.0.0.1:1/v1')[-2:] == ('--disable', 'plugins')
    assert 'base_url="http://127.0.0.1:1/v1"' in ' '.join(new.pointed_at('http://127.0.0.1:1/v1'))


def test_it_can_be_run_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = saying(tmp_path, 'codex-cli 0.99.0')
    monkeypatch.chdir(tmp_path)
    assert adapters.ask(Path(binary.name)).binary == binary


def test_a_build_of_the_other_family_has_its_own_flags_and_tools(tmp_path: Path) -> None:
    agent = adapters.ask(saying(tmp_path, 'code 0.6.1'))
    assert (agent.row.family, agent.features) == ('code', frozenset())
    assert '--max-seconds' in agent.flags
    assert '--disable' not in agent.pointed_at('U')
    assert agent.names()['tool.shell'] == 'shell_command'


@pytest.mark.parametrize(
    ('said', 'told'),
    [
        ('codex-cli 0.98.0', "is no agent we know: `--version` says 'codex-cli 0.98.0' (known: codex from 0.99.0 on, "),
        ('not codex-cli 0.99.0', "is no agent we know: `--version` says 'not codex-cli 0.99.0' (known: "),
        ('codex-cli 0.99.01x', "is no agent we know: `--version` says 'codex-cli 0.99.01x'"),
        ('bash 5.2\nand more', "is no agent we know: `--version` says 'bash 5.2' (known: "),
        ('', "is no agent we know: `--version` says ''"),
    ],
)
def test_an_unknown_binary_is_named_with_what_was_tried(tmp_path: Path, said: str, told: str) -> None:
    binary = saying(tmp_path, said)
    with pytest.raises(UserError) as error:
        adapters.ask(binary)
    (problem,) = error.value.problems
    assert problem.startswith(f'{binary}: {told}')
    assert '\n' not in problem
    assert error.value.exit_status == 2


def test_a_path_that_cannot_be_run_is_one_line_each(tmp_path: Path) -> None:
    plain = tmp_path / 'plain'
    plain.write_text('#!/bin/sh\n')
    no_program = tmp_path / 'no-program'
    no_program.write_bytes(b'\x7fELF nonsense')
    no_program.chmod(0o755)
    told = {
        tmp_path / 'nowhere': 'does not exist',
        tmp_path: 'is a directory',
        plain: 'is not executable',
        no_program: 'does not answer `--version`',
        program(tmp_path / 'crashes', 'kill -9 $$'): 'does not answer `--version`',
        program(tmp_path / 'no-exec', '[ "$1" = --version ] && echo codex-cli 0.99.0'): 'does not answer `exec --help`',
    }
    for binary, what in told.items():
        with pytest.raises(UserError, match=what) as error:
            adapters.ask(binary)
        assert len(error.value.problems) == 1
        assert error.value.problems[0].startswith(f'{binary}: ')
        assert error.value.exit_status == 2


def test_an_agent_that_is_asked_sees_no_home_and_no_variable_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('OPENAI_API_KEY', 'secret')
    seen = tmp_path / 'seen'
    binary = program(tmp_path / 'agent', f'env >>{seen}; echo "codex-cli 0.99.0"')
    adapters.ask(binary)
    assert 'secret' not in seen.read_text()
    homes = {line.partition('=')[2] for line in seen.read_text().splitlines() if 'HOME=' in line}
    assert len(homes) == 1
    assert not Path(homes.pop()).exists()

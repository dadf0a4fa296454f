"""The agent is the one that was named; nothing stands in for it."""

import re
from pathlib import Path

import pytest

from hack.common.errors import UserError
from hack.exec_harness.driving import choice
from tests.python.exec_harness.agents import CODEX, needs_codex


def a_repository(folder: Path, built: bool) -> Path:
    (folder / '.git').touch()
    (folder / 'code-rs').mkdir()
    (folder / 'deep' / 'er').mkdir(parents=True)
    if built:
        (folder / choice.OWN_BUILD).parent.mkdir(parents=True)
        (folder / choice.OWN_BUILD).touch()
    return folder


def test_the_one_that_is_named_wins(tmp_path: Path) -> None:
    a_repository(tmp_path, built=True)
    assert choice.agent_binary({'AGENT_BIN': '/x/agent', 'AGENT_VERSION': '1.2.3'}, tmp_path) == Path('/x/agent')
    assert choice.agent_binary({'AGENT_BIN': 'bin/agent'}, tmp_path) == tmp_path / 'bin/agent'
    assert choice.agent_binary({'AGENT_BIN': 'sh', 'PATH': '/bin'}, tmp_path) == Path('/bin/sh')
    assert choice.agent_binary({'AGENT_BIN': 'nowhere', 'PATH': '/bin'}, tmp_path) == tmp_path / 'nowhere'


def test_a_repository_that_builds_its_own_is_tested_with_that(tmp_path: Path) -> None:
    repository = a_repository(tmp_path, built=True)
    assert choice.agent_binary({}, repository / 'deep' / 'er') == repository / 'code-rs/target/dev-fast/code'


def test_its_build_that_is_missing_is_an_error_and_not_replaced(tmp_path: Path) -> None:
    repository = a_repository(tmp_path, built=False)
    wanted = re.escape(f'{repository}/code-rs/target/dev-fast/code: does not exist (build it, ')
    with pytest.raises(UserError, match=wanted):
        choice.agent_binary({'AGENT_BIN': ''}, repository)


def test_what_the_installer_says_is_wrong_is_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r'^install_agent: latest: is no version \(like 0.99.0\)$') as error:
        choice.agent_binary({'AGENT_VERSION': 'latest'}, tmp_path)
    assert error.value.exit_status == 2
    for name in ('bash', 'dirname', 'uname', 'env'):
        (tmp_path / name).symlink_to(f'/usr/bin/{name}')
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(UserError, match='^install_agent: npm: is not installed'):
        choice.agent_binary({'AGENT_VERSION': '0.99.999'}, tmp_path)


@needs_codex
def test_else_it_is_the_pinned_one(tmp_path: Path) -> None:
    if '.tools' not in CODEX.parts:
        pytest.skip('Codex is elsewhere than where the gate installs it')
    assert choice.agent_binary({}, tmp_path) == CODEX


def test_the_installer_and_the_choice_name_the_same_version() -> None:
    script = (Path(choice.__file__).parents[1] / 'install_agent.sh').read_text()
    assert f'default_version={choice.PINNED[0]}\n' in script

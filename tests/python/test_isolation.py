"""The fixtures of conftest.py hold: a test cannot reach the user's home, git configuration or tmux."""

import os
import subprocess
from pathlib import Path

import pytest


def test_home_is_out_of_reach_and_no_other_than_home() -> None:
    with pytest.raises(NotADirectoryError):
        (Path.home() / '.profile').read_text()
    with pytest.raises(NotADirectoryError):
        (Path.home() / '.dogfood-test').mkdir(parents=True)


@pytest.mark.parametrize('name', ['XDG_CONFIG_HOME', 'XDG_CACHE_HOME', 'XDG_DATA_HOME', 'XDG_STATE_HOME'])
def test_no_folder_of_the_user_is_in_reach(name: str) -> None:
    with pytest.raises(NotADirectoryError):
        Path(os.environ[name]).mkdir(parents=True)


def test_git_knows_no_user(tmp_path: Path) -> None:
    seen = subprocess.run(
        ['git', 'config', '--list', '--show-scope'], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert seen.stdout == ''


def test_nothing_leads_to_the_terminal_multiplexer_of_the_user() -> None:
    assert not {name for name in os.environ if name.startswith('TMUX')}

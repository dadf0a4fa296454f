"""A run has folders and an environment of its own, and nothing of the caller's gets in."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.common.errors import UserError
from hack.common.process import Supervisor
from hack.exec_harness.driving import adapters, gh_shim, place
from hack.exec_harness.driving.place import Place
from hack.exec_harness.model import Api, Copy, Gh, GhMatch, GhReply, Scenario, Turn

SCENARIO = Scenario('a scenario', 'a.yaml', 1, (Turn('go'),))
CODEX_ROW = adapters.ROWS[0]


@pytest.fixture
def supervisor() -> Supervisor:
    return Supervisor()


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Place]:
    """A place below a path with spaces and quotes."""
    above = tmp_path / 'it\'s a "path"'
    above.mkdir()
    made = place.make(above)
    yield made
    place.remove(made)
    assert not made.root.exists()


def furnish(made: Place, scenario: Scenario, supervisor: Supervisor, **caller: str) -> None:
    place.furnish(made, scenario, supervisor, {'PATH': os.environ['PATH'], **caller})


def test_it_is_where_it_is_wanted(tmp_path: Path) -> None:
    if any((above / '.git').exists() for above in tmp_path.parents):
        pytest.skip('the temporary folder is part of a repository')
    made = place.make(tmp_path)
    assert made.root.parent == tmp_path
    place.remove(made)


@pytest.mark.parametrize('mark', [Path.touch, Path.mkdir])  # empty: a sandbox leaves such, and agents take it for one
def test_it_is_never_in_a_repository(tmp_path: Path, mark: Callable[[Path], None]) -> None:
    mark(tmp_path / '.git')
    inside = tmp_path / 'deep' / 'er'
    inside.mkdir(parents=True)
    made = place.make(inside)
    assert not made.root.is_relative_to(tmp_path)
    assert not any((above / '.git').exists() for above in made.root.parents)
    assert made.root.stat().st_mode & 0o777 == 0o700
    place.remove(made)


def test_a_colon_which_no_path_can_hold_is_avoided(tmp_path: Path) -> None:
    (tmp_path / 'a:b').mkdir()
    made = place.make(tmp_path / 'a:b')
    assert ':' not in str(made.root)
    place.remove(made)


def test_it_is_removed_whole_read_only_folders_too(tmp_path: Path) -> None:
    made = place.make(tmp_path)
    (made.home / 'shut').mkdir()
    (made.home / 'shut' / 'file').touch()
    (made.home / 'shut').chmod(0o500)
    place.remove(made)
    assert not made.root.exists()


def test_the_environment_is_built_from_nothing(odd: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defect 7: tokens and proxies of the caller reached the agent."""
    monkeypatch.setenv('OPENAI_API_KEY', 'secret')
    monkeypatch.setenv('https_proxy', 'http://proxy.example:1')
    seen = place.environment(odd, CODEX_ROW, '/usr/bin:/bin', {'GREETING': 'hi', 'TERM': 'xterm'})
    assert {name: value for name, value in seen.items() if str(odd.root) not in value} == {
        'LANG': 'C.UTF-8',
        'TZ': 'UTC',
        'TERM': 'xterm',
        'GIT_CONFIG_NOSYSTEM': '1',
        'GREETING': 'hi',
    }
    assert seen['PATH'] == f'{odd.bin}:/usr/bin:/bin'
    assert seen['CODE_HOME'] == seen['CODEX_HOME'] == seen['CODEX_SQLITE_HOME'] == str(odd.config)
    assert seen['HOME'] == seen['ZDOTDIR'] == str(odd.home)
    assert not odd.config.is_relative_to(seen['TMPDIR'])
    assert place.environment(odd, CODEX_ROW, '/usr/bin', {'PATH': '/opt'})['PATH'] == f'{odd.bin}:/opt'


def test_the_fixture_is_written_copied_and_committed(odd: Place, supervisor: Supervisor, tmp_path: Path) -> None:
    (tmp_path / 'tree' / 'deep').mkdir(parents=True)
    (tmp_path / 'tree' / 'deep' / 'leaf').write_text('green')
    (tmp_path / 'one').write_text('1')
    scenario = SCENARIO._replace(
        files={'a b/notes.md': 'ü\n', 'lib/deep/other': 'x'},
        copy=(Copy(tmp_path / 'tree', 'lib'), Copy(tmp_path / 'one', 'two/three')),
        git_init=True,
    )
    furnish(odd, scenario, supervisor)
    found = {str(path.relative_to(odd.workspace)) for path in odd.workspace.rglob('*') if path.is_file()}
    assert {path for path in found if not path.startswith('.git/')} == {
        'a b/notes.md',
        'lib/deep/leaf',
        'lib/deep/other',
        'two/three',
    }
    caller = {'PATH': os.environ['PATH']}
    assert place.git_status(odd, supervisor, caller) == ('', '')
    (odd.workspace / 'two/three').write_text('changed')
    (odd.workspace / 'new').touch()
    assert place.git_status(odd, supervisor, caller) == (' M two/three\n?? new\n', '')


def test_the_same_fixture_is_the_same_commit_whatever_the_users_git_says(
    odd: Place, supervisor: Supervisor, tmp_path: Path
) -> None:
    home = tmp_path / 'home'
    hooks = home / 'hooks'
    hooks.mkdir(parents=True)
    (hooks / 'pre-commit').write_text('#!/bin/sh\nexit 1\n')
    (hooks / 'pre-commit').chmod(0o755)
    (home / '.gitconfig').write_text(
        f'[core]\nhooksPath = {hooks}\n[commit]\ngpgSign = true\n[init]\ndefaultBranch = x\n'
    )
    before = (home / '.gitconfig').read_text()
    scenario = SCENARIO._replace(git_init=True, files={'f': 'x'})
    furnish(odd, scenario, supervisor, HOME=str(home), GIT_DIR=str(tmp_path), GIT_AUTHOR_NAME='somebody')
    other = place.make(tmp_path)
    furnish(other, scenario, supervisor)
    heads = {(each.workspace / '.git/refs/heads/main').read_text() for each in (odd, other)}
    assert len(heads) == 1
    assert (home / '.gitconfig').read_text() == before
    place.remove(other)


def test_without_a_repository_there_is_no_status(odd: Place, supervisor: Supervisor) -> None:
    caller = {'PATH': os.environ['PATH']}
    assert place.git_status(odd, supervisor, caller) == (None, 'the workspace is no repository')
    furnish(odd, SCENARIO._replace(git_init=True), supervisor)
    (odd.workspace / '.git/HEAD').write_text('nonsense')
    status, why = place.git_status(odd, supervisor, caller)
    assert status is None
    assert why.startswith('fatal: not a git repository')
    with pytest.raises(OSError, match='git status: .*git'):
        place.git_status(odd, supervisor, {'PATH': '/nonexistent'})


@pytest.mark.parametrize('path', ['../x', '/etc/x', 'a/../../x', 'link/x', 'linked', '..', ''])
def test_nothing_is_written_outside_the_workspace(
    odd: Place, supervisor: Supervisor, tmp_path: Path, path: str
) -> None:
    """Defect 5: `files` wrote wherever it liked."""
    source = tmp_path / 'source'
    source.mkdir()
    (source / 'link').symlink_to(tmp_path)
    (source / 'linked').symlink_to(tmp_path / 'x')
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match='leaves the workspace'):
        furnish(odd, SCENARIO._replace(copy=(Copy(source, 'sub/..'),), files={}), supervisor)
    (odd.workspace / 'link').symlink_to(tmp_path)
    (odd.workspace / 'linked').symlink_to(tmp_path / 'x')
    with pytest.raises(UserError, match='leaves the workspace'):
        furnish(odd, SCENARIO._replace(files={path: 'x'}), supervisor)
    assert sorted(tmp_path.iterdir()) == before
    assert not (odd.root / 'x').exists()
    assert not Path('/etc/x').exists()


def skill(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / 'SKILL.md').write_text(text)
    return folder


def test_skills_are_staged_and_of_one_name_the_last_wins(odd: Place, supervisor: Supervisor, tmp_path: Path) -> None:
    alone = skill(tmp_path / 'first' / 'both', 'first')
    (alone / 'extra').touch()
    skill(tmp_path / 'several' / 'both', 'second')
    skill(tmp_path / 'several' / 'other', 'other')
    (tmp_path / 'several' / 'none').mkdir()
    scenario = SCENARIO._replace(
        files={'.code/skills/mine/SKILL.md': 'mine', '.code/skills/other/SKILL.md': "the workspace's"},
        skill_roots=(alone, tmp_path / 'several'),
        config_toml='a = 1\n',
    )
    furnish(odd, scenario, supervisor)
    staged = {path.parent.name: path.read_text() for path in odd.config.glob('skills/*/SKILL.md')}
    assert staged == {'both': 'second', 'mine': 'mine', 'other': 'other'}
    assert not (odd.config / 'skills/both/extra').exists()
    assert (odd.config / 'config.toml').read_text() == 'a = 1\n'


def a_home_with_logins(tmp_path: Path) -> str:
    home = tmp_path / 'user'
    for path in ('.codex/auth.json', '.config/gh/hosts.yml'):
        (home / path).parent.mkdir(parents=True)
        (home / path).write_text('the-token')
    return str(home)


def test_a_login_is_copied_only_on_request_and_never_beside_the_fake_api(
    odd: Place, supervisor: Supervisor, tmp_path: Path
) -> None:
    home = a_home_with_logins(tmp_path)
    asking = SCENARIO._replace(inherit_auth=True, inherit_gh_auth=True)
    furnish(odd, SCENARIO, supervisor, HOME=home)
    furnish(odd, asking._replace(responses_api=Api()), supervisor, HOME=home)
    assert not [path for path in odd.root.rglob('*') if path.is_file() and 'the-token' in path.read_text()]
    furnish(odd, asking, supervisor, HOME=home)
    assert (odd.config / 'auth.json').read_text() == 'the-token'
    assert (odd.config / 'auth.json').stat().st_mode & 0o777 == 0o600
    assert (odd.home / '.config/gh/hosts.yml').read_text() == 'the-token'


def test_a_login_that_is_not_there_is_told(odd: Place, supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'auth\.json: there is no login to inherit'):
        furnish(odd, SCENARIO._replace(inherit_auth=True), supervisor, HOME=str(tmp_path))


REAL_GH = '#!/bin/sh\necho the real one\n'


@pytest.mark.parametrize('shell', [('bash', '-lc'), ('bash', '-c'), ('sh', '-lc'), ('bash', '-ic'), ('zsh', '-lc')])
def test_the_fake_gh_is_gh_in_a_login_shell_too(
    odd: Place, supervisor: Supervisor, tmp_path: Path, shell: tuple[str, ...]
) -> None:
    """Defect 8: a login shell makes PATH anew, and found the real gh."""
    if subprocess.run(['sh', '-c', f'command -v {shell[0]}'], capture_output=True).returncode:
        pytest.skip(f'{shell[0]} is not installed')
    (tmp_path / 'gh').write_text(REAL_GH)
    (tmp_path / 'gh').chmod(0o755)
    furnish(odd, SCENARIO._replace(gh=Gh(issues=({'title': "it's"},))), supervisor)
    environment = place.environment(odd, CODEX_ROW, f'{tmp_path}:/usr/bin:/bin', {})
    argv = [*shell, 'gh issue list --json title --jq ".[].title"']
    ran = subprocess.run(argv, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert ran.stdout == "it's\n"
    (call,) = gh_shim.read(odd.gh).calls
    assert call['argv'] == ['issue', 'list', '--json', 'title', '--jq', '.[].title']


def run_gh(made: Place, *argv: str, text: str = '') -> subprocess.CompletedProcess[str]:
    program = [str(made.bin / 'gh'), *argv]
    return subprocess.run(
        program, env={'PATH': '/usr/bin:/bin'}, cwd=made.workspace, capture_output=True, text=True, input=text
    )


def test_calls_and_state_are_recorded(odd: Place, supervisor: Supervisor) -> None:
    scripted = GhReply(GhMatch(prefix='pr '), 'out\n', 'err\n', 3)
    furnish(odd, SCENARIO._replace(gh=Gh(responses=(scripted,), default_response=GhReply(stdout='else\n'))), supervisor)
    ran = run_gh(odd, 'pr', 'view', 'a b')
    assert (ran.returncode, ran.stdout, ran.stderr) == (3, 'out\n', 'err\n')
    assert run_gh(odd, 'issue', 'create', '-t', 'T', '-F', '-', text='from input').stdout.endswith('/issues/1\n')
    (odd.workspace / 'note').write_text('from a file')
    run_gh(odd, 'issue', 'comment', '1', '--body-file', 'note')
    assert 'open nowhere: No such file' in run_gh(odd, 'issue', 'comment', '1', '--body-file', 'nowhere').stderr
    assert run_gh(odd, 'gist', 'list').stdout == 'else\n'
    record = gh_shim.read(odd.gh)
    assert [(call['argv'][0], call['exit_code'], call['by'], call.get('body')) for call in record.calls] == [
        ('pr', 3, 'responses[0]', None),
        ('issue', 0, 'issue create', 'from input'),
        ('issue', 0, 'issue comment', 'from a file'),
        ('issue', 1, 'nothing', None),
        ('gist', 0, 'default_response', None),
    ]
    assert record.state['issues'][0]['body'] == 'from input'
    assert json.dumps(record.state['issues'][0]['comments'][0]['body']) == '"from a file"'


def test_calls_at_once_are_all_kept(odd: Place, supervisor: Supervisor) -> None:
    furnish(odd, SCENARIO._replace(gh=Gh()), supervisor)
    line = '; '.join(['"$0" issue create -t x -b y &'] * 6).replace('&;', '&') + ' wait'
    subprocess.run(['sh', '-c', line, str(odd.bin / 'gh')], check=True, capture_output=True)
    record = gh_shim.read(odd.gh)
    assert [issue['number'] for issue in record.state['issues']] == [1, 2, 3, 4, 5, 6]
    assert len(record.calls) == 6


def test_where_nothing_may_be_written_it_says_so(odd: Place, supervisor: Supervisor) -> None:
    furnish(odd, SCENARIO._replace(gh=Gh()), supervisor)
    before = odd.gh.read_text()
    odd.gh.with_name('state.json.lock').mkdir()
    ran = run_gh(odd, 'issue', 'list')
    assert ran.returncode == 4
    assert ran.stderr.startswith('fake gh: cannot keep its state: ')
    assert odd.gh.read_text() == before

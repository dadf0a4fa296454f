"""A scaffolded project: what it tracks, what its engine is pinned to, and nothing left where it cannot be made."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from hack.orchestrator.config import fleet

REPOSITORY = Path(__file__).resolve().parents[3]
IDENTITY = {f'GIT_{who}_{what}': 'a@b.example' for who in ('AUTHOR', 'COMMITTER') for what in ('NAME', 'EMAIL')}


def git(folder: Path, *arguments: str) -> str:
    command = ['git', '-C', str(folder), *arguments]
    return subprocess.run(command, env={**os.environ, **IDENTITY}, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope='module')
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of this toolkit as it stands: the tag v0.1.0 and one commit after it."""
    house = tmp_path_factory.mktemp('engine') / 'tool kit'
    shutil.copytree(REPOSITORY / 'hack', house / 'hack', ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copy(REPOSITORY / '.gitignore', house)
    git(house.parent, 'init', '-q', '-b', 'main', str(house))
    git(house, 'add', '.')
    git(house, 'commit', '-q', '-m', 'One')
    git(house, 'tag', '-a', '-m', 'The first', 'v0.1.0')
    git(house, 'commit', '-q', '--allow-empty', '-m', 'Two')
    return house


def create(
    engine: Path, cwd: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [engine / 'hack/orchestrator/create-project.sh', *arguments],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_it_tracks_four_files_and_pins_the_tag(engine: Path, tmp_path: Path) -> None:
    ended = create(engine, tmp_path, 'cc-ci', '--engine-url', engine, '--ref', 'v0.1.0', '--prefix', 'cc-')
    assert (ended.returncode, ended.stderr) == (0, '')
    project = tmp_path / 'cc-ci'
    assert git(project, 'ls-files').split() == ['.gitignore', '.gitmodules', 'agents.toml', 'engine']
    assert git(project, 'status', '--porcelain') == ''
    tagged = git(engine, 'rev-parse', 'v0.1.0^{commit}').strip()
    assert git(project, 'rev-parse', 'HEAD:engine').strip() == tagged
    assert git(project / 'engine', 'rev-parse', 'HEAD').strip() == tagged
    assert git(project, 'config', '--file', '.gitmodules', 'submodule.engine.url').strip() == str(engine)
    assert 'session_prefix = "cc-" #' in (project / 'agents.toml').read_text()
    assert os.listdir(tmp_path) == ['cc-ci']


def test_a_clone_of_it_gets_the_same_engine(engine: Path, tmp_path: Path) -> None:
    create(engine, tmp_path, 'one', '--ref', 'v0.1.0')
    allow = ('-c', 'protocol.file.allow=always')
    git(tmp_path, *allow, 'clone', '-q', '--recurse-submodules', 'one', 'clone')
    assert git(tmp_path / 'clone/engine', 'rev-parse', 'HEAD') == git(tmp_path / 'one/engine', 'rev-parse', 'HEAD')


@pytest.mark.parametrize('short', [True, False])
def test_a_commit_pins_too(engine: Path, tmp_path: Path, short: bool) -> None:
    commit = git(engine, 'rev-parse', 'HEAD~1').strip()
    ended = create(engine, tmp_path, 'one', '--dir=deep/er', f'--ref={commit[:10] if short else commit}')
    assert ended.returncode == 0, ended.stderr
    assert git(tmp_path / 'deep/er/one', 'rev-parse', 'HEAD:engine').strip() == commit


def test_without_options_the_engine_is_the_toolkit_it_came_from(engine: Path, tmp_path: Path) -> None:
    ended = create(engine, tmp_path, 'one')
    assert ended.returncode == 0, ended.stderr
    assert git(tmp_path / 'one', 'rev-parse', 'HEAD:engine') == git(engine, 'rev-parse', 'HEAD')
    assert 'session_prefix = "one-" #' in (tmp_path / 'one/agents.toml').read_text()


def test_the_author_is_the_users_where_git_knows_one(engine: Path, tmp_path: Path) -> None:
    create(engine, tmp_path, 'mine', environment=IDENTITY)
    create(engine, tmp_path, 'nobodys')
    assert git(tmp_path / 'mine', 'log', '-1', '--format=%ae').strip() == 'a@b.example'
    assert git(tmp_path / 'nobodys', 'log', '-1', '--format=%ae').strip() == 'nobodys@localhost'


def test_it_is_registered(engine: Path, tmp_path: Path) -> None:
    registry = tmp_path / 'fleet/fleet.toml'
    registry.parent.mkdir()
    for name in ('one', 'two'):
        ended = create(engine, tmp_path, name, '--ref', 'v0.1.0', '--register', registry)
        assert ended.returncode == 0, ended.stderr
    one, two = fleet.load(registry).projects
    assert (one.name, one.location, one.ref, one.enabled, two.name) == ('one', '../one', 'v0.1.0', True, 'two')


def test_what_cannot_be_registered_is_not_made(engine: Path, tmp_path: Path) -> None:
    (tmp_path / 'fleet.toml').write_text('[[project]]\nname = "one"\nlocation = "elsewhere"\n')
    ended = create(engine, tmp_path, 'one', '--register', 'fleet.toml')
    assert (ended.returncode, ended.stderr) == (2, "fleet.toml: [[project]] 'one': is there 2 times (rename)\n")
    assert os.listdir(tmp_path) == ['fleet.toml']


@pytest.mark.parametrize(
    ('arguments', 'problem'),
    [
        ((), 'create-project.sh: which name?'),
        (('a.b',), "create-project.sh: the name 'a.b' is not made of letters"),
        (('a/b',), "create-project.sh: the name 'a/b' is not made of letters"),
        (('a', 'b'), 'create-project.sh: a second name, b'),
        (('a', '--prefix', 'x:'), "create-project.sh: the prefix 'x:' is not made of letters"),
        (('a', '--ref'), 'create-project.sh: --ref needs a value'),
        (('a', '--branch', 'b'), 'create-project.sh: unknown option --branch'),
        (('a', '--branch=b'), 'create-project.sh: unknown option --branch'),
        (('a', '--engine-url', '/nowhere', '--ref', 'v1'), '/nowhere: cannot be cloned: '),
        (('a', '--engine-url', '/nowhere'), 'create-project.sh: which tag or commit of the engine?'),
        (('a', '--ref', 'main'), 'main is a branch, which moves (pin a tag, or the commit it is at: --ref '),
        (('a', '--ref', 'v9'), 'has no tag v9 (name a tag or a commit with --ref)'),
        (('a', '--ref', 'deadbeef'), 'has no commit deadbeef (push it, or name another with --ref)'),
        (('taken',), 'taken: is there already (choose another name, or remove it)'),
        (('a', '--dir', 'taken/file/deeper'), 'taken/file/deeper: is not a folder that can be made'),
    ],
)
def test_a_problem_is_one_line_and_nothing_is_left(
    engine: Path, tmp_path: Path, arguments: tuple[str, ...], problem: str
) -> None:
    (tmp_path / 'taken').mkdir()
    (tmp_path / 'taken/file').touch()
    ended = create(engine, tmp_path, *arguments)
    assert (ended.returncode, ended.stdout) == (2, '')
    assert problem in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.rglob('*')) == ['file', 'taken']


def test_called_from_a_hook_it_works_in_its_own_repository(engine: Path, tmp_path: Path) -> None:
    git(tmp_path, 'init', '-q', 'around')
    inside = {'GIT_DIR': str(tmp_path / 'around/.git'), 'GIT_INDEX_FILE': str(tmp_path / 'around/.git/index')}
    assert create(engine, tmp_path, 'one', environment=inside).returncode == 0
    assert git(tmp_path / 'around', 'ls-files') == ''
    assert len(git(tmp_path / 'one', 'ls-files').split()) == 4


def test_the_pinned_engine_reads_the_registry(engine: Path, tmp_path: Path) -> None:
    registry = tmp_path / 'fleet.toml'
    create(engine, tmp_path, 'one', '--register', registry)
    run_fleet = tmp_path / 'one/engine/hack/orchestrator/run_fleet.py'
    command = [sys.executable, str(run_fleet), '--fleet', str(registry), 'validate']
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.stdout == 'OK: 1 project, 0 disabled\n'

"""A chain's own folder, on a real disk: made, filled, kept apart, and removed whatever a product did to it."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.dogfood.running import workspace
from hack.dogfood.running.workspace import Workspace


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    made = Workspace(str(tmp_path / '1'), 'chain-a', 1, 'df-ab12cd-1-', '/run/capabilities')
    workspace.make(made)
    return made


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_the_folders_of_a_chain_are_its_own(space: Workspace) -> None:
    assert sorted(os.listdir(space.folder)) == ['data', 'home', 'tmp', 'work']
    folders = [space.folder, space.data, space.home, space.tmp, f'{space.folder}/work']
    assert [mode(path) for path in folders] == [0o700] * 5
    with pytest.raises(FileExistsError):
        workspace.make(space)


def test_where_things_are() -> None:
    space = Workspace('/tmp/d/7', 'chain-a', 2, 'df-x-7-', '/run/capabilities')
    assert (space.data, space.home, space.tmp) == ('/tmp/d/7/data', '/tmp/d/7/home', '/tmp/d/7/tmp')
    assert space.notes == '/tmp/d/7/notes'
    assert space.owner == 'DOGFOOD_DATA_DIR=/tmp/d/7/data'
    assert [space.work('a', attempt) for attempt in (1, 2, 3)] == [
        '/tmp/d/7/work/a',
        '/tmp/d/7/work/a.2',
        '/tmp/d/7/work/a.3',
    ]
    assert space.work('a') == '/tmp/d/7/work/a'


def test_the_environment_is_built_from_nothing() -> None:
    base = workspace.base_environment('/usr/bin:/bin', None, '/usr/bin/bash')
    assert workspace.chain_environment(base, Workspace('/tmp/d/7', 'chain-a', 2, 'df-x-7-', '/run/capabilities')) == {
        'PATH': f'/usr/bin:/bin:{workspace.TOOLS}',
        'LANG': 'C.UTF-8',
        'TZ': 'UTC',
        'TERM': 'dumb',
        'GIT_CONFIG_NOSYSTEM': '1',
        'SHELL': '/usr/bin/bash',
        'BASH_ENV': workspace.PRELUDE,
        'HOME': '/tmp/d/7/home',
        'TMPDIR': '/tmp/d/7/tmp',
        'XDG_CONFIG_HOME': '/tmp/d/7/home/.config',
        'XDG_CACHE_HOME': '/tmp/d/7/home/.cache',
        'XDG_DATA_HOME': '/tmp/d/7/home/.local/share',
        'XDG_STATE_HOME': '/tmp/d/7/home/.local/state',
        'XDG_RUNTIME_DIR': '/tmp/d/7/tmp',
        'GIT_CEILING_DIRECTORIES': '/tmp/d/7',
        'DOGFOOD_DATA_DIR': '/tmp/d/7/data',
        'DOGFOOD_CHAIN': 'chain-a',
        'DOGFOOD_SANDBOX_PREFIX': 'df-x-7-',
        'DOGFOOD_CAPABILITIES': '/run/capabilities',
    }


def test_a_development_build_comes_first_on_the_path() -> None:
    assert workspace.base_environment('/bin', '/build', '/bin/bash')['PATH'] == f'/build:/bin:{workspace.TOOLS}'


def test_the_tools_of_a_step_are_there_and_can_be_run() -> None:
    assert sorted(os.listdir(workspace.TOOLS)) == ['dogfood-infra', 'dogfood-skip']
    assert all(os.access(f'{workspace.TOOLS}/{name}', os.X_OK) for name in os.listdir(workspace.TOOLS))
    assert Path(workspace.PRELUDE).is_file()


@pytest.mark.parametrize(
    ('text', 'expanded'),
    [
        ('plain', 'plain'),
        ('${DOGFOOD_DATA_DIR}/a ${DOGFOOD_CHAIN}', '/data/a c ${DOGFOOD_CHAIN}'),
        (
            '${DOGFOOD_NOTHING} $DOGFOOD_CHAIN ${HOME} ${dogfood_x}',
            '${DOGFOOD_NOTHING} $DOGFOOD_CHAIN ${HOME} ${dogfood_x}',
        ),
        ('${', '${'),
    ],
)
def test_expand(text: str, expanded: str) -> None:
    environment = {
        'DOGFOOD_DATA_DIR': '/data',
        'DOGFOOD_CHAIN': 'c ${DOGFOOD_CHAIN}',
        'HOME': '/home',
        'dogfood_x': 'x',
    }
    assert workspace.expand(text, environment) == expanded


def test_a_corpuss_variables_are_added_and_expanded() -> None:
    environment = {'PATH': '/bin', 'DOGFOOD_CHAIN': 'c'}
    added = {'STORE': '--root ${DOGFOOD_CHAIN}', 'PATH': '/own', 'TWICE': '$STORE'}
    assert workspace.with_variables(environment, added) == {
        'PATH': '/own',
        'DOGFOOD_CHAIN': 'c',
        'STORE': '--root c',
        'TWICE': '$STORE',
    }
    assert environment == {'PATH': '/bin', 'DOGFOOD_CHAIN': 'c'}


# -- fixtures --------------------------------------------------------------------------------------


def test_files_are_written_below_the_work_folder(tmp_path: Path) -> None:
    (tmp_path / 'old').write_text('a longer text')
    workspace.write_files(
        str(tmp_path), {'old': 'new', 'a/b/deep': '${DOGFOOD_CHAIN} é\n', 'run': '#!/bin/sh\n', 'not': ' #!/bin/sh'}
    )
    assert (tmp_path / 'old').read_text() == 'new'
    assert (tmp_path / 'a/b/deep').read_bytes() == '${DOGFOOD_CHAIN} é\n'.encode()
    assert [mode(tmp_path / name) for name in ('a/b/deep', 'run', 'not')] == [0o644, 0o755, 0o644]


@pytest.mark.parametrize('name', ['link', 'out/file', 'out/new/file', 'a/up/file'])
def test_a_link_that_a_step_put_in_the_way_is_not_followed(tmp_path: Path, name: str) -> None:
    work, outside = tmp_path / 'work', tmp_path / 'outside'
    for folder in (work / 'a', outside):
        folder.mkdir(parents=True)
    (outside / 'file').write_text('safe')
    (work / 'link').symlink_to(outside / 'file')
    (work / 'out').symlink_to(outside)
    (work / 'a/up').symlink_to('../..')
    with pytest.raises(OSError, match='link'):
        workspace.write_files(str(work), {name: 'changed'})
    assert sorted(path.name for path in tmp_path.iterdir()) == ['outside', 'work']
    assert [path.read_text() for path in outside.iterdir()] == ['safe']


def test_a_link_that_stays_inside_may_be_used(tmp_path: Path) -> None:
    (tmp_path / 'real').mkdir()
    (tmp_path / 'alias').symlink_to('real')
    workspace.write_files(str(tmp_path), {'alias/file': 'x'})
    assert (tmp_path / 'real/file').read_text() == 'x'


# -- roots -----------------------------------------------------------------------------------------


@pytest.fixture
def temp() -> Iterator[Path]:
    """A short folder outside any repository."""
    with tempfile.TemporaryDirectory(dir='/tmp', prefix='t') as name:
        yield Path(name)


def test_a_root_is_private_and_known_by_its_run(temp: Path) -> None:
    root = workspace.make_root('run-1', str(temp))
    assert Path(root).parent == temp
    assert Path(root).name.startswith('dogfood-')
    assert mode(root) == 0o700
    assert workspace.is_root_of(root, 'run-1')
    assert not workspace.is_root_of(root, 'run-2')
    assert not workspace.is_root_of(f'{root}/gone', 'run-1')


def test_a_root_is_removed_once_no_chain_is_left_in_it(temp: Path) -> None:
    root = workspace.make_root('run-1', str(temp))
    os.mkdir(f'{root}/1')
    assert not workspace.remove_root_if_empty(root)
    os.rmdir(f'{root}/1')
    assert workspace.remove_root_if_empty(root)
    assert not os.path.exists(root)
    assert workspace.remove_root_if_empty(root)


@pytest.mark.parametrize('what', ['.git', 'long', 'gone'])
def test_a_temporary_folder_that_will_not_do_is_not_used(temp: Path, what: str) -> None:
    unfit = temp / ('x' * 60 if what == 'long' else 'inner')
    if what != 'gone':
        unfit.mkdir()
    if what == '.git':
        (temp / '.git').touch()  # a worktree's is a file
    root = workspace.make_root('run-1', str(unfit))
    try:
        assert Path(root).parent == Path('/tmp')
    finally:
        workspace.remove_tree(root)


# -- handing over and removing -----------------------------------------------------------------------


def test_a_folder_that_was_left_as_it_was_made_is_pristine(space: Workspace) -> None:
    os.mkdir(space.work('a'), 0o700)
    os.mkdir(space.work('a', 2), 0o700)
    assert workspace.is_pristine(space)
    workspace.hand_over(space.folder)
    assert len(os.listdir(f'{space.folder}/work')) <= 1
    assert workspace.is_pristine(space)
    for journey, attempt, name in (('a', 1, 'a'), ('b', 1, 'b'), ('b', 2, 'b.2')):
        assert workspace.enter(space, journey, attempt) == f'{space.folder}/work/{name}'
        assert os.listdir(f'{space.folder}/work/{name}') == []
        assert mode(f'{space.folder}/work/{name}') == 0o700
    assert sorted(os.listdir(f'{space.folder}/work')) == ['a', 'b', 'b.2']
    with pytest.raises(FileExistsError):
        workspace.enter(space, 'a', 1)


@pytest.mark.parametrize(
    'change',
    [
        'touch data/x',
        'touch home/.config',
        'mkdir tmp/x',
        'touch work/a/x',
        'touch work/x',
        'ln -s / work/x',
        'touch notes',
        'rmdir data',
        'rmdir tmp && ln -s / tmp',
        'rmdir tmp && touch tmp',
        'chmod 755 home',
        'chmod 500 work/a',
        'chmod 1700 .',
        'rm -r work',
    ],
)
def test_whatever_a_product_left_or_changed_is_not_handed_over(space: Workspace, change: str) -> None:
    os.mkdir(space.work('a'), 0o700)
    subprocess.run(['bash', '-ec', change], cwd=space.folder, check=True)
    assert not workspace.is_pristine(space)


def test_a_tree_is_removed_and_what_its_links_lead_to_is_not(space: Workspace, tmp_path: Path) -> None:
    (tmp_path / 'outside').mkdir(mode=0o555)
    (tmp_path / 'outside/file').touch()
    os.symlink(tmp_path / 'outside', f'{space.data}/link')
    workspace.remove_tree(space.folder)
    assert not os.path.exists(space.folder)
    assert os.listdir(tmp_path / 'outside') == ['file']
    assert mode(tmp_path / 'outside') == 0o555
    workspace.remove_tree(space.folder)  # gone already: fine


def test_what_a_product_made_read_only_is_removed_by_who_has_no_privilege(tmp_path: Path) -> None:
    script = (
        'import os, sys; sys.path.insert(0, sys.argv[1])\n'
        'from hack.dogfood.running import workspace\n'
        'top = sys.argv[2] + "/top"\n'
        'os.makedirs(top + "/a/b/c"); open(top + "/a/b/c/file", "w").close(); os.symlink("/", top + "/a/b/link")\n'
        'for path, mode in (("/a/b/c", 0), ("/a/b", 0o500), ("/a", 0), ("", 0o555)): os.chmod(top + path, mode)\n'
        'assert not os.access(top + "/a/b", os.R_OK)\n'
        'workspace.remove_tree(top)\n'
        'print(os.listdir(sys.argv[2]))\n'
    )
    unprivileged = ['setpriv', '--bounding-set', '-dac_override,-dac_read_search'] if os.geteuid() == 0 else []
    ran = subprocess.run(
        [*unprivileged, sys.executable, '-c', script, os.getcwd(), tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ('[]\n', '')

"""A verb that reads writes nothing: by its system calls, by the tree before and after, and where nothing can be."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.orchestrator.runtime import supervisor
from tests.python.orchestrator.lives import QUICK, Life, eventually, life
from tests.python.orchestrator.projects import PAIR, PAIR_FILES

READING = [
    ['status'],
    ['status', '--format', 'json'],
    ['status', '--no-state'],
    ['phase', 'show'],
    ['render'],
    ['validate'],
    ['logs', 'builder'],
    ['doctor'],
]
# What changes a file system: by name, or by being opened for writing.
MUTATING = re.compile(
    r'(?:\b(?:mkdir|mkdirat|rename|renameat|renameat2|unlink|unlinkat|rmdir|link|linkat|symlink|symlinkat|truncate|'
    r'ftruncate|chmod|fchmod|fchmodat|chown|fchownat|mknod|mknodat|utimensat|setxattr|creat)\(|'
    r'\bopen(?:at)?\([^)]*O_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND))'
)


@pytest.fixture(scope='module')
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with life(
        tmp_path_factory.mktemp('ao'), QUICK + PAIR.replace('log_dir = ".ao"', 'log_dir = "s"'), PAIR_FILES
    ) as up:
        up.up()
        eventually(lambda: len(up.alive('watchdog')) == 2)
        yield up


def manifest(folder: Path) -> dict[str, tuple[int, int, int]]:
    facts = {path: path.lstat() for path in sorted(folder.rglob('*'))}
    return {str(path): (it.st_ino, it.st_mtime_ns, it.st_size) for path, it in facts.items()}


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, env=environment, capture_output=True, stdin=subprocess.DEVNULL)


def plain(there: Life) -> dict[str, str]:
    """The environment without our shim, which writes down its calls, and with bytecode as Python would have it."""
    first, _, rest = there.there.environment['PATH'].partition(':')
    assert first.endswith('.bin')
    left_out = ('PYTHONDONTWRITEBYTECODE', 'PATH')
    return {name: value for name, value in there.there.environment.items() if name not in left_out} | {'PATH': rest}


def verb(there: Life, arguments: list[str]) -> list[str]:
    return [sys.executable, str(supervisor.ENTRY), '--config', str(there.there.config), *arguments]


@pytest.mark.parametrize('arguments', READING, ids=' '.join)
@pytest.mark.skipif(not shutil.which('strace'), reason='strace is not installed')
def test_no_call_changes_anything(there: Life, tmp_path: Path, arguments: list[str]) -> None:
    trace = tmp_path / 'trace'
    command = ['strace', '-f', '-qq', '-e', 'trace=%file,%desc', '-o', str(trace), *verb(there, arguments)]
    assert run(command, plain(there)).returncode == 0
    calls = trace.read_text().splitlines()
    assert len(calls) > 100
    assert [call for call in calls if MUTATING.search(call) and '"/dev/' not in call and ' = -1 ' not in call] == []


def test_the_trace_would_have_shown_it(there: Life, tmp_path: Path) -> None:
    if not shutil.which('strace'):
        pytest.skip('strace is not installed')
    command = ['strace', '-f', '-qq', '-e', 'trace=%file', '-o', str(tmp_path / 'trace')]
    run([*command, *verb(there, ['phase', 'set', '1'])], plain(there))
    assert any(MUTATING.search(call) for call in (tmp_path / 'trace').read_text().splitlines())


def test_the_trees_are_the_same_afterwards(there: Life, tmp_path: Path) -> None:
    copy = tmp_path / 'toolkit'
    shutil.copytree(supervisor.ENTRY.parents[1], copy / 'hack', ignore=shutil.ignore_patterns('__pycache__'))
    calm = there.folder / 'calm'
    shutil.copytree(there.folder, calm, ignore=shutil.ignore_patterns('s', 'calm'))
    environment = plain(there) | {'HOME': str(tmp_path / 'home')}
    (tmp_path / 'home').mkdir()
    before = manifest(tmp_path), manifest(calm)
    for arguments in READING:
        command = [sys.executable, str(copy / 'hack/orchestrator/run_agents.py'), '--config', str(calm / 'agents.toml')]
        assert run([*command, *arguments], environment).returncode == 0
    assert (manifest(tmp_path), manifest(calm)) == before


def test_on_a_read_only_mount_the_same_bytes_come_out(there: Life) -> None:
    script = (
        'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && ! touch "$1/x" 2>/dev/null && shift && exec "$@"'
    )
    enclosed = ['unshare', '--mount', '--map-root-user', 'bash', '-c', script, 'bash', str(there.folder)]
    if run([*enclosed, 'true'], plain(there)).returncode:
        pytest.skip('no read-only mount can be made here')
    for arguments in READING[:5]:
        outside = run(verb(there, arguments), plain(there))
        inside = run([*enclosed, *verb(there, arguments)], plain(there))
        assert (inside.returncode, inside.stdout) == (0, outside.stdout), inside.stderr


def test_status_is_one_call_to_tmux_and_the_same_bytes_again(there: Life) -> None:
    for _ in range(5):  # the watchdog makes calls of its own: count ours
        first, second = (run(verb(there, ['status']), plain(there)).stdout for _ in range(2))
        assert first == second
    counting = [*verb(there, ['status'])]
    trace = Path(f'{there.folder}.execs')
    if shutil.which('strace'):
        run(['strace', '-f', '-qq', '-e', 'trace=execve', '-o', str(trace), *counting], plain(there))
        started = [call for call in trace.read_text().splitlines() if 'tmux", [' in call and ' = 0' in call]
        assert len(started) == 1, started


def test_a_status_before_anything_was_started_makes_no_folder(there: Life, tmp_path: Path) -> None:
    for name, text in {**PAIR_FILES, 'agents.toml': PAIR}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    before = manifest(tmp_path)
    command = [sys.executable, str(supervisor.ENTRY), '--config', str(tmp_path / 'agents.toml'), 'status']
    assert run(command, plain(there)).returncode == 0
    assert manifest(tmp_path) == before
    assert not os.path.exists(tmp_path / '.ao')

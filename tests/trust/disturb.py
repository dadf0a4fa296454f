"""What befalls a run from outside, at a moment nobody chose."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

_LOOK_SECONDS = 0.002
_CHUNK = 1 << 16


def moment(random: Random, run_dir: Path, process: subprocess.Popen[bytes]) -> int | None:
    """Wait until some shard, chosen at random, has come to some point; its number, or None where the run was over.

    A point of the shard's own progress, and not a time: so it is inside the run on every machine.
    """
    while not (run_dir / 'run.json').exists():
        if process.poll() is not None:
            return None
        time.sleep(_LOOK_SECONDS)
    plan = (run_dir / 'plan.txt').read_text().splitlines()
    shard = random.randrange(len(plan)) + 1
    journeys = plan[shard - 1].replace(',', ' ').split()
    point = random.randint(1, 2 * len(journeys) + 2)
    while len(_lines(run_dir, shard)) < point:
        if process.poll() is not None:
            return None
        time.sleep(_LOOK_SECONDS)
    time.sleep(random.choice((0, 0, 0.003, 0.01, 0.03)))
    return shard


def _lines(run_dir: Path, shard: int) -> list[bytes]:
    try:
        return (run_dir / f'shards/{shard}/results.jsonl').read_bytes().splitlines()
    except OSError:
        return []


def kill_shard(run_dir: Path, shard: int) -> None:
    _signal(run_dir, shard, signal.SIGKILL)


def pause_shard(run_dir: Path, shard: int, seconds: float) -> None:
    _signal(run_dir, shard, signal.SIGSTOP)
    time.sleep(seconds)
    _signal(run_dir, shard, signal.SIGCONT)


def _signal(run_dir: Path, shard: int, number: signal.Signals) -> None:
    """Signal the process that says it is the shard, if it is there and at work on this run."""
    pid = int(json.loads(_lines(run_dir, shard)[0])['pid'])
    with contextlib.suppress(OSError):
        descriptor = os.pidfd_open(pid)
        try:
            if os.fsencode(run_dir) in Path(f'/proc/{pid}/cmdline').read_bytes():
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def take_folder(random: Random, run_dir: Path, shard: int) -> None:
    """Take a chain's folder away: at once, for bit by bit nobody could tell it from a product that loses its files."""
    with contextlib.suppress(OSError):
        root = (run_dir / f'shards/{shard}/root').resolve()
        folder = random.choice([path for path in sorted(root.iterdir()) if path.is_dir()] or [root / 'none'])
        folder.rename(root.with_name(f'taken-{shard}'))


def hit_marker(random: Random, run_dir: Path) -> None:
    """Delete, cut or exchange one of the markers, if there is one by now."""
    markers = sorted((run_dir / 'capabilities').glob('*.json'))
    if not markers:
        return
    marker, other = random.choice(markers), random.choice(markers)
    with contextlib.suppress(OSError):
        match random.choice(('delete', 'cut', 'exchange')):
            case 'delete':
                marker.unlink()
            case 'cut':
                os.truncate(marker, marker.stat().st_size // 2)
            case _:
                marker.write_bytes(other.read_bytes() if other != marker else b'{}')


@contextlib.contextmanager
def disk(at: Path, options: str) -> Iterator[Path]:
    """A small disk of its own, in memory."""
    at.mkdir()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', at], check=True)
    try:
        yield at
    finally:
        subprocess.run(['umount', '--lazy', at], check=True)


def may_mount() -> bool:
    """Whether this user can have a disk of its own: tried, in a name space that is gone at once."""
    return _works('unshare', '--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt')


def has_sandbox() -> bool:
    return _works('bwrap', '--ro-bind', '/', '/', '--unshare-pid', '--unshare-net', 'true')


def _works(*argv: str) -> bool:
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
    except OSError:
        return False


def fill(disk: Path) -> None:
    """Write until nothing more can be written."""
    with open(disk / 'filler', 'wb', buffering=0) as file, contextlib.suppress(OSError):
        for chunk in (_CHUNK, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b'\0' * chunk)


def use_up_inodes(disk: Path) -> None:
    (disk / 'filler').mkdir()
    with contextlib.suppress(OSError):
        for number in range(100_000):
            (disk / 'filler' / str(number)).touch()


def make_read_only(disk: Path) -> None:
    """For good or not at all: it cannot be done while a file is open for writing."""
    for _ in range(200):
        if subprocess.run(['mount', '-o', 'remount,ro', disk], capture_output=True).returncode == 0:
            return
        time.sleep(_LOOK_SECONDS)


def make_room(disk: Path) -> None:
    subprocess.run(['mount', '-o', 'remount,rw', disk], check=True)
    subprocess.run(['rm', '-rf', disk / 'filler'], check=True)


def left_running(mark: str) -> list[str]:
    """The live processes whose environment holds `NAME=value` exactly."""
    found = []
    for entry in Path('/proc').iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                marked = os.fsencode(mark) in (entry / 'environ').read_bytes().split(b'\0')
                if marked and (entry / 'stat').read_text().rpartition(')')[2].split()[0] not in 'ZX':
                    found.append(f'{entry.name}: {(entry / "comm").read_text().strip()}')
    return found

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
    """KILL the process that says it is the shard, if it is one of this run."""
    pid = int(json.loads(_lines(run_dir, shard)[0])['pid'])
    with contextlib.suppress(OSError):
        descriptor = os.pidfd_open(pid)
        try:
            if os.fsencode(run_dir) in Path(f'/proc/{pid}/cmdline').read_bytes():
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)


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
    tried = subprocess.run(
        ['unshare', '--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], stdin=subprocess.DEVNULL, capture_output=True
    )
    return tried.returncode == 0


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

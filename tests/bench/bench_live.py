#!/usr/bin/env python3
"""What the live view costs: its share of a core beside slow and fast journeys, and the time it adds to a run.

Each run has a terminal of its own (a pseudo-terminal that is read as fast as it is written).
"""

import argparse
import fcntl
import json
import os
import pty
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path[0] = str(Path(__file__).resolve().parents[2])
from tests.bench.bench_run import DOGFOOD, Figure, corpus, events, instant  # noqa: E402 (the path comes first)

ROWS, COLUMNS = 50, 160
TICKS = os.sysconf('SC_CLK_TCK')


class Seen(NamedTuple):
    """One run on a terminal. Shares are of one core, over the time from the view's first frame to its last."""

    seconds: float
    first_journey: float
    share: float
    at_start: float  # seconds of a processor until its first frame


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--json', type=Path)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix='bench-') as folder:
        figures = measured(Path(folder), asked.rounds)
    for figure in figures:
        print(f'{figure.what:64}  {figure.measured:9.3f} {figure.unit:7}  {figure.asked}')
    if asked.json:
        asked.json.write_text(json.dumps([figure._asdict() for figure in figures], indent=1) + '\n')
    return 0


def measured(folder: Path, rounds: int) -> list[Figure]:
    slow, wide, fast = folder / 'slow.yaml', folder / 'wide.yaml', folder / 'fast.yaml'
    slow.write_text(corpus('slow', 16, 'sleep 2'))
    wide.write_text(corpus('wide', 640, 'sleep 1'))
    fast.write_text(corpus('fast', 5000, 'true'))
    quick = folder / 'quick.yaml'
    quick.write_text(corpus('quick', 2, 'true'))
    shares = {
        '4 shards, journeys of 2 s': [on_terminal(slow, folder, 4) for _ in range(rounds)],
        '64 shards, journeys of 1 s': [on_terminal(wide, folder, 64) for _ in range(rounds)],
        '2 shards, 5,000 journeys that run true': [on_terminal(fast, folder, 2) for _ in range(rounds)],
    }
    begun = [run.at_start for run in shares['4 shards, journeys of 2 s']]
    pairs = [(on_terminal(quick, folder, 2), in_pipe(quick, folder, 2)) for _ in range(5 * rounds)]
    added = statistics.median(one.seconds for one, _ in pairs) - statistics.median(other.seconds for _, other in pairs)
    first = [statistics.median(run.first_journey for run in column) for column in zip(*pairs, strict=True)]
    return [
        *(Figure(f'view: {name}', 100 * median(runs), '≤ 2', '% core') for name, runs in shares.items()),
        Figure('view: processor until its first frame', statistics.median(begun), '', 's'),
        Figure('terminal beside pipe: start to first journey', first[0] - first[1], '≤ 0.01', 's'),
        Figure('terminal beside pipe: a run of two journeys', added, '≤ 0.03', 's'),
    ]


def median(runs: Sequence[Seen]) -> float:
    return statistics.median(run.share for run in runs)


def command(path: Path, shards: int) -> list[str]:
    return [str(DOGFOOD), f'--shards={shards}', str(path)]


def in_pipe(path: Path, folder: Path, shards: int) -> Seen:
    begun, clock = time.time(), time.perf_counter()
    subprocess.run(command(path, shards), cwd=folder, capture_output=True, check=True)
    return Seen(time.perf_counter() - clock, first_journey(folder) - begun, 0.0, 0.0)


def on_terminal(path: Path, folder: Path, shards: int) -> Seen:
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack('HHHH', ROWS, COLUMNS, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ('CI', 'GITHUB_ACTIONS')}
    begun, clock = time.time(), time.perf_counter()
    with subprocess.Popen(
        command(path, shards), cwd=folder, stdin=its, stdout=its, stderr=its, env={**environment, 'TERM': 'xterm'}
    ) as run:
        os.close(its)
        frames: list[float] = []
        reader = threading.Thread(target=drain, args=(ours, frames))
        reader.start()
        used = costs(run, frames)
        run.wait()
        seconds = time.perf_counter() - clock
        reader.join()
    os.close(ours)
    if run.returncode:
        sys.exit(f'{path.name}: exit {run.returncode}')
    share = (used[-1][1] - used[0][1]) / (used[-1][0] - used[0][0]) if len(used) > 1 else 0.0
    return Seen(seconds, first_journey(folder) - begun, share, used[0][1] if used else 0.0)


def drain(terminal: int, frames: list[float]) -> None:
    """Read all that is written; note when the first bar is seen."""
    try:
        while data := os.read(terminal, 1 << 16):
            if not frames and '━'.encode() in data:
                frames.append(time.perf_counter())
    except OSError:  # how a terminal ends
        pass


def costs(run: subprocess.Popen[bytes], frames: list[float]) -> list[tuple[float, float]]:
    """Since the first frame: the time, and the seconds of a processor that the view has used by then."""
    seen: list[tuple[float, float]] = []
    view = 0
    while run.poll() is None:
        view = view or next((pid for pid in children(run.pid) if b'\0watch\0' in read(pid, 'cmdline')), 0)
        fields = read(view, 'stat').rpartition(b')')[2].split() if view else []
        if frames and fields:
            seen.append((time.perf_counter(), (int(fields[11]) + int(fields[12])) / TICKS))
        time.sleep(0.05)
    return seen


def children(pid: int) -> list[int]:
    return [int(one) for one in read(pid, f'task/{pid}/children').split()]


def read(pid: int, name: str) -> bytes:
    try:
        return Path(f'/proc/{pid}/{name}').read_bytes()
    except OSError:
        return b''


def first_journey(folder: Path) -> float:
    return min(instant(event['time']) for event in events(folder) if event['event'] == 'start')


if __name__ == '__main__':
    raise SystemExit(main(sys.argv[1:]))

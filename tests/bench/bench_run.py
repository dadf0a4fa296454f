#!/usr/bin/env python3
"""How fast journeys are loaded and run, against peers that run the same commands, in turns and in one run.

Ratios are what counts: the machine drifts, and all drift with it. Every figure is the median of the rounds.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
DOGFOOD = REPOSITORY / 'hack' / 'dogfood' / 'dogfood.sh'
RUN_JOURNEYS = REPOSITORY / 'hack' / 'dogfood' / 'run_journeys.py'


class Figure(NamedTuple):
    what: str
    measured: float
    asked: str
    unit: str


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--peers', type=Path, required=True, help='bin folder with pytest (xdist) and ctest')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--json', type=Path)
    asked = parser.parse_args(arguments)
    peers = asked.peers.absolute()
    with tempfile.TemporaryDirectory(prefix='bench-') as folder:
        figures = [
            *spawning(Path(folder) / 'spawn', peers, asked.rounds),
            *sleeping(Path(folder) / 'sleep', asked.rounds),
            *starting(Path(folder) / 'start', asked.rounds),
            *loading(Path(folder) / 'load', asked.rounds),
        ]
    for figure in figures:
        print(f'{figure.what:64}  {figure.measured:9.3f} {figure.unit:7}  {figure.asked}')
    if asked.json:
        asked.json.write_text(json.dumps([figure._asdict() for figure in figures], indent=1) + '\n')
    return 0


# -- a thousand journeys ---------------------------------------------------------------------


def spawning(folder: Path, peers: Path, rounds: int, count: int = 1000) -> list[Figure]:
    """`true` a thousand times on two workers, everything recorded, from nothing to the verdicts."""
    folder.mkdir()
    contenders = {
        'dogfood': dogfood(folder / 'dogfood', count, 'true', shards=2),
        'bash alone': bash_alone(count),
        'make through sh': make(folder / 'make', count),
        'pytest-xdist': xdist(folder / 'xdist', peers, count),
        'ctest': ctest(folder / 'ctest', peers, count),
    }
    if shutil.which('parallel'):
        contenders['GNU parallel with a job log'] = parallel(folder / 'parallel', count)
    took: dict[str, list[float]] = {name: [] for name in contenders}
    phase = []
    for _ in range(rounds + 1):  # the first one warms caches up and is not counted
        for name, run in contenders.items():
            took[name].append(run())
        phase.append(shard_seconds(folder / 'dogfood'))
    median = {name: statistics.median(seconds[1:]) for name, seconds in took.items()}
    ratios = {
        name: statistics.median(own / other for own, other in zip(took['dogfood'][1:], seconds[1:], strict=True))
        for name, seconds in took.items()
    }
    running, above_bash = (
        statistics.median(own / other for own, other in zip(phase[1:], took[name][1:], strict=True))
        for name in ('make through sh', 'bash alone')
    )
    asked = {'make through sh': '≤ 1.8', 'pytest-xdist': '≤ 0.5'}
    return [
        *(Figure(f'1,000 × true, 2 workers: {name}', seconds, '', 'ms each') for name, seconds in median.items()),
        *(
            Figure(f'dogfood / {name}', ratio, asked.get(name, ''), '×')
            for name, ratio in ratios.items()
            if name != 'dogfood'
        ),
        Figure('dogfood, shards alone (no plan, no report) / make through sh', running, '≤ 1.8', '×'),
        Figure('dogfood, shards alone (no plan, no report) / bash alone', above_bash, '', '×'),
    ]


def sleeping(folder: Path, rounds: int, count: int = 1000) -> list[Figure]:
    folder.mkdir()
    run = dogfood(folder, count, 'sleep 0.05', shards=4)
    took = []
    for _ in range(min(rounds, 3)):
        run()
        took.append(shard_seconds(folder))
    ideal = count * 0.05 / 4
    return [Figure('1,000 × sleep 0.05, 4 shards: wall / ideal', statistics.median(took) / ideal, '≤ 1.10', '×')]


def starting(folder: Path, rounds: int) -> list[Figure]:
    """From the first instruction of dogfood.sh to the first step of the standing corpus."""
    folder.mkdir()
    took = []
    for _ in range(rounds):
        begun = time.time()
        call([DOGFOOD, '--shards=4', '--tiers=smoke', REPOSITORY / 'journeys'], folder)
        took.append(min(instant(event['time']) for event in events(folder) if event['event'] == 'start') - begun)
    return [Figure('start to first journey, standing corpus', statistics.median(took), '≤ 0.4', 's')]


def loading(folder: Path, rounds: int) -> list[Figure]:
    folder.mkdir()
    one, hundred, huge = folder / '10k.yaml', folder / '10k', folder / '100k.yaml'
    thousand = folder / '1k.yaml'
    thousand.write_text(corpus('k', 1000, 'true'))
    one.write_text(corpus('k', 10_000, 'true'))
    huge.write_text(corpus('k', 100_000, 'true'))
    hundred.mkdir()
    for number in range(100):
        (hundred / f'{number:02}.yaml').write_text(corpus(f'k{number}', 100, 'true'))

    def plan(path: Path, times: int) -> float:
        return statistics.median(call([RUN_JOURNEYS, 'plan', path, '--shards=4'], folder) for _ in range(times))

    ten = plan(one, min(rounds, 3))
    return [
        Figure('plan of 1,000 journeys, cold process', plan(thousand, rounds), '≤ 0.4', 's'),
        Figure('plan of 10,000 journeys in one file', ten, '≤ 2.5', 's'),
        Figure('plan of 10,000 journeys in 100 files', plan(hundred, min(rounds, 3)), '≤ 2.5', 's'),
        Figure('plan of 100,000 journeys / of 10,000', plan(huge, 1) / ten, '≤ 12', '×'),
    ]


# -- contenders: each writes its input once and returns what runs it -----------------------------


def corpus(prefix: str, count: int, run: str) -> str:
    head = f'feature: bench {prefix}\njourneys:\n'
    return head + ''.join(
        f'  - id: {prefix}-{number}\n    promise: it runs\n    steps:\n      - {{run: "{run}", expect: {{exit: 0}}}}\n'
        for number in range(count)
    )


def dogfood(folder: Path, count: int, run: str, shards: int) -> Callable[[], float]:
    folder.mkdir(exist_ok=True)
    (folder / 'corpus.yaml').write_text(corpus('j', count, run))
    return lambda: call([DOGFOOD, f'--shards={shards}', 'corpus.yaml'], folder)


def bash_alone(count: int, workers: int = 2) -> Callable[[], float]:
    """The floor: what a step is by contract, `bash -eo pipefail` in UTF-8, only started and waited for."""
    environment = {'PATH': os.environ['PATH'], 'LANG': 'C.UTF-8', 'SHELL': '/bin/bash'}
    program = 'import os, sys\n'
    program += f'for _ in range({count // workers}):\n'
    program += '    argv = ["bash", "-eo", "pipefail", "-c", "true"]\n'
    program += '    os.waitpid(os.posix_spawnp("bash", argv, dict(os.environ)), 0)\n'

    def run() -> float:
        started = time.perf_counter()
        running = [subprocess.Popen([sys.executable, '-c', program], env=environment) for _ in range(workers)]
        if any(worker.wait() for worker in running):
            sys.exit('bash: cannot be started')
        return time.perf_counter() - started

    return run


def make(folder: Path, count: int) -> Callable[[], float]:
    folder.mkdir()
    names = [f't{number}' for number in range(count)]
    # The `;` has make go through sh, as it does for every recipe that is more than one plain command.
    recipes = ''.join(f'{name}:\n\t@true; true\n' for name in names)
    (folder / 'Makefile').write_text(f'all: {" ".join(names)}\n.PHONY: all {" ".join(names)}\n{recipes}')
    return lambda: call(['make', '-s', '-j2'], folder)


def xdist(folder: Path, peers: Path, count: int) -> Callable[[], float]:
    folder.mkdir()
    body = 'import subprocess\nimport pytest\n\n\n'
    body += f'@pytest.mark.parametrize("number", range({count}))\ndef test_true(number):\n'
    body += '    subprocess.run(["bash", "-c", "true"], check=True, capture_output=True)\n'
    (folder / 'test_all.py').write_text(body)
    return lambda: call([peers / 'pytest', '-q', '-n2', '-p', 'no:cacheprovider', 'test_all.py'], folder)


def ctest(folder: Path, peers: Path, count: int) -> Callable[[], float]:
    folder.mkdir()
    tests = ''.join(f'add_test(t{number} "bash" "-c" "true")\n' for number in range(count))
    (folder / 'CTestTestfile.cmake').write_text(tests)
    return lambda: call([peers / 'ctest', '-j2', '-Q'], folder)


def parallel(folder: Path, count: int) -> Callable[[], float]:
    folder.mkdir()
    (folder / 'input').write_text(''.join(f'{number}\n' for number in range(count)))
    return lambda: call(['parallel', '-j2', '--joblog', 'log', '-a', 'input', 'true #'], folder)


# -- measuring -------------------------------------------------------------------------------


def call(command: Sequence[str | Path], folder: Path) -> float:
    """Seconds of the whole command; one that fails is no measurement."""
    started = time.perf_counter()
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env={**os.environ, 'LC_ALL': 'C.UTF-8'}, capture_output=True, check=False
    )
    took = time.perf_counter() - started
    if done.returncode:
        sys.exit(f'{command[0]}: exit {done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}')
    return took


def events(folder: Path) -> list[dict[str, Any]]:
    paths = (folder / '.dogfood' / 'latest' / 'shards').glob('*/results.jsonl')
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def shard_seconds(folder: Path) -> float:
    times = [instant(event['time']) for event in events(folder) if event['event'] in ('shard-start', 'shard-end')]
    return max(times) - min(times)


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


if __name__ == '__main__':
    raise SystemExit(main(sys.argv[1:]))

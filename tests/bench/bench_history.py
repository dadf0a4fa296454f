#!/usr/bin/env python3
"""How long it takes to add a run to the history, to read it and to ask it, with 10,000 journeys in each of 200 runs."""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == '__main__':
    sys.path[0] = str(REPOSITORY)

from hack.dogfood.past import compare, history, trend  # noqa: E402
from hack.dogfood.reporting import bundle  # noqa: E402
from tests.python.dogfood.samples import FINDING, RUN, STEP, plan, record, result, shard_end, shard_start  # noqa: E402

FAILS = 0.01  # of the journeys, others in each run
SHARDS = 4


def runs(count: int, journeys: int) -> Iterator[dict[str, Any]]:
    """Bundles of runs an hour apart."""
    dealt = [
        [f'a-journey-like-others-{number}' for number in range(shard, journeys, SHARDS)] for shard in range(SHARDS)
    ]
    planned = plan(*dealt)
    for number in range(count):
        day, hour = divmod(number, 24)
        when = {'id': f'202611{day + 1:02}T{hour:02}0000Z-abcdef', 'started': f'2026-11-{day + 1:02}T{hour:02}:00:00Z'}
        yield bundle.merge({**RUN, **when}, planned, [told(number, shard, ids) for shard, ids in enumerate(dealt, 1)])


def told(seed: int, shard: int, ids: list[str]) -> list[dict[str, Any]]:
    chance = random.Random(f'{seed}-{shard}')
    failed: dict[str, Any] = {'findings': [dict(FINDING)], 'steps': [dict(STEP)]}
    records = [
        record(name, 'failed', shard, duration_seconds=chance.random(), **failed)
        if chance.random() < FAILS
        else record(name, 'passed', shard, duration_seconds=chance.random())
        for name in ids
    ]
    return [shard_start(shard), *map(result, records), shard_end(shard=shard)]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    made = work()
    return time.perf_counter() - began, made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--journeys', type=int, default=10_000)
    parser.add_argument('--runs', type=int, default=200)
    parser.add_argument('--json', type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / history.FILE
        seconds = 0.0
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for after in runs(asked.runs, asked.journeys):
            seconds, _ = timed(partial(history.append, path, after))
            before = before or after
        read, known = timed(lambda: history.read(path))
        figures = {
            'the last run added': seconds,
            'read': read,
            'trend of all runs': timed(lambda: trend.of(known, asked.runs))[0],
            'the last run compared with the first': timed(lambda: compare.of(before, after, known))[0],
            'megabytes': path.stat().st_size / 1e6,
        }
    for what, figure in figures.items():
        print(f'{what:40} {figure:8.3f}')
    if asked.json:
        asked.json.write_text(json.dumps(figures))


if __name__ == '__main__':
    main()

#!/usr/bin/env python3
"""How fast chains are dealt out to shards and how evenly, beside simpler ways to deal, on corpora made at random.

The random numbers are seeded: only the seconds differ from one machine to the next.
"""

import argparse
import heapq
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == '__main__':
    sys.path[0] = str(REPOSITORY)

from hack.dogfood.model import TIERS, Expect, Journey, Step, TextCheck  # noqa: E402
from hack.dogfood.planning import chains  # noqa: E402

NOISE = 0.2  # of a duration, one standard deviation
CASES = [  # seed, journeys, shards
    (seed, count, shards)
    for count, seeds in ((1_000, 5), (10_000, 3), (100_000, 1))
    for shards in (4, 16, 64, 256)
    for seed in range(seeds)
]
CORPORA = 50


class Figure(NamedTuple):
    what: str
    measured: float
    asked: str
    unit: str


class Ratios(NamedTuple):
    """Makespan over lower bound, by the way of dealing."""

    ours: float
    longest_first: float
    in_turn: float


class Job(NamedTuple):
    """A corpus, and how long its journeys really take."""

    journeys: Mapping[str, Journey]
    seconds: Mapping[str, float]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--json', type=Path)
    asked = parser.parse_args(arguments)
    figures = [*planning(asked.rounds), *evenness(), *realised()]
    for figure in figures:
        print(f'{figure.what:72}  {figure.measured:9.4f} {figure.unit:7}  {figure.asked}')
    if asked.json:
        asked.json.write_text(json.dumps([figure._asdict() for figure in figures], indent=1) + '\n')
    return 0


# -- speed -------------------------------------------------------------------------------------


def planning(rounds: int) -> Iterable[Figure]:
    """Planning alone: the corpus is in memory, as the loader leaves it."""
    for count, limit in ((10_000, ''), (100_000, '≤ 0.5')):
        journeys = dict(journeys_of([4] * (count // 4)))
        scattered = dict(random.Random(1).sample(list(journeys.items()), count))
        timings = noisy(durations('lognormal', journeys, random.Random(1)), random.Random(1), passes=5)
        name = f'plan {count:,} journeys, {count // 4:,} chains, 64 shards'
        yield Figure(name, took(partial(chains.plan, journeys, 64), rounds), limit, 's')
        yield Figure(f'{name}, timed', took(partial(chains.plan, journeys, 64, timings), rounds), limit, 's')
        yield Figure(f'{name}, scattered', took(partial(chains.plan, scattered, 64), rounds), '', 's')


def took(work: Callable[[], object], rounds: int) -> float:
    """Median seconds of the processor: nothing is waited for. The first round warms caches up and is not counted."""
    seconds = []
    for _ in range(rounds + 1):
        before = time.process_time()
        result = work()
        seconds.append(time.process_time() - before)
        del result  # not while the clock runs
    return statistics.median(seconds[1:])


# -- evenness ----------------------------------------------------------------------------------


def evenness() -> Iterable[Figure]:
    """Makespan over its lower bound where each shard gets at least 8 chains and every duration is known."""
    for kind in ('lognormal', 'uniform'):
        ratios = [ratio for seed, count, shards in CASES if (ratio := compared(kind, count, shards, seed))]
        name = f'makespan over bound, {kind}'
        yield Figure(
            f'{name}, median of {len(ratios)}', statistics.median(dealt.ours for dealt in ratios), '≤ 1.01', 'ratio'
        )
        yield Figure(f'{name}, worst', max(dealt.ours for dealt in ratios), '≤ 1.01', 'ratio')
        yield Figure(f'{name}, worst of longest first alone', max(dealt.longest_first for dealt in ratios), '', 'ratio')
        yield Figure(f'{name}, worst of dealing in turn', max(dealt.in_turn for dealt in ratios), '', 'ratio')


def compared(kind: str, count: int, shards: int, seed: int) -> Ratios | None:
    """One corpus dealt three ways; None where there are too few chains."""
    chance = random.Random(f'{kind} {count} {shards} {seed}')
    job = made(kind, count, chance)
    plan = chains.plan(job.journeys, shards, {id: [seconds] for id, seconds in job.seconds.items()})
    weights = [chain.seconds for shard in plan.shards for chain in shard]
    if len(weights) < 8 * shards:
        return None
    chance.shuffle(weights)
    return Ratios(
        *(made / plan.lower_bound for made in (plan.makespan, longest_first(weights, shards), in_turn(weights, shards)))
    )


def in_turn(weights: Sequence[float], bins: int) -> float:
    return max(sum(weights[at::bins]) for at in range(bins))


def longest_first(weights: Sequence[float], bins: int) -> float:
    loads = [0.0] * bins
    for weight in sorted(weights, reverse=True):
        heapq.heapreplace(loads, loads[0] + weight)
    return max(loads)


# -- what comes of it --------------------------------------------------------------------------


def realised() -> Iterable[Figure]:
    """Makespan over its lower bound, median of many corpora, where the plan's timings were off; 1,000 journeys each."""
    known = (
        (5, True, '≤ 1.07', '5 timings 20 % off'),
        (1, True, '≤ 1.07', 'one timing 20 % off'),
        (5, False, '', '5 timings and the run 20 % off'),
    )
    for kind, shards, (passes, is_steady, limit, name) in product(('lognormal', 'uniform'), (4, 16), known):
        ratios = [came_out(kind, shards, passes, is_steady, seed) for seed in range(CORPORA)]
        yield Figure(f'realised over bound, {kind}, {shards} shards, {name}', statistics.median(ratios), limit, 'ratio')


def came_out(kind: str, shards: int, passes: int, is_steady: bool, seed: int) -> float:
    chance = random.Random(f'{kind} {shards} {passes} {is_steady} {seed}')
    job = made(kind, 1_000, chance)
    plan = chains.plan(job.journeys, shards, noisy(job.seconds, chance, passes))
    seconds = job.seconds if is_steady else {id: only for id, (only,) in noisy(job.seconds, chance, 1).items()}
    took = [[sum(seconds[id] for id in chain.journeys) for chain in shard] for shard in plan.shards]
    loads = [sum(shard) for shard in took]
    return max(loads) / max(sum(loads) / len(loads), max(map(max, took)))


# -- corpora -----------------------------------------------------------------------------------


def made(kind: str, count: int, chance: random.Random) -> Job:
    """Chains of one to seven journeys."""
    sizes = [chance.randint(1, 7) for _ in range(count)]
    journeys = dict(islice(journeys_of(sizes), count))
    return Job(journeys, durations(kind, journeys, chance))


def journeys_of(sizes: Iterable[int]) -> Iterator[tuple[str, Journey]]:
    """Chains of the given sizes: in each the first journey establishes what the others require."""
    for number, size in enumerate(sizes):
        for at in range(size):
            id = f'journey-{number:05}-{at}'
            yield (
                id,
                Journey(
                    id=id,
                    promise='It works.',
                    feature=f'feature-{number // 10}',
                    path=f'journeys/feature-{number // 10}.yaml',
                    line=at + 1,
                    steps=tuple(
                        Step(f'true {step}', expect=Expect(exit=step, stdout=TextCheck(id))) for step in range(3)
                    ),
                    tier=TIERS[min(at, 2)],
                    gating=at == 0 and number % 100 == 0,
                    establishes=(f'token-{number}',) if at == 0 else (),
                    requires=(f'token-{number}',) if at else (),
                ),
            )


def durations(kind: str, journeys: Iterable[str], chance: random.Random) -> dict[str, float]:
    """Lognormal: half of them below a second, one in a hundred above ten; uniform: 0.1 to 2 s."""
    return {id: chance.lognormvariate(0, 1) if kind == 'lognormal' else chance.uniform(0.1, 2) for id in journeys}


def noisy(seconds: Mapping[str, float], chance: random.Random, passes: int) -> dict[str, list[float]]:
    return {id: [time * max(0.01, chance.gauss(1, NOISE)) for _ in range(passes)] for id, time in seconds.items()}


if __name__ == '__main__':
    raise SystemExit(main(sys.argv[1:]))

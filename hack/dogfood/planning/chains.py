"""Turn a corpus into a plan: chains that are never split, dealt out evenly, the same bytes on every machine.

All here are pure functions. Costs are whole microseconds inside, so that no order of summation shows in a plan.
"""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from hack.common import collector
from hack.common.errors import UserError
from hack.common.source import suggest
from hack.dogfood.corpus import graph
from hack.dogfood.model import TIERS, Chain, Corpus, Journey, Plan
from hack.dogfood.planning import ceiling, packing

FAILED: Final = '@failed'
SECOND: Final = 1_000_000
STEP_GUESS: Final = SECOND // 10  # what a step costs where nothing of the corpus was ever timed
RECENT: Final = 5  # passes whose median predicts the next one
MATRIX_JOBS: Final = 256  # as many as one GitHub matrix may have
MATRIX_CHARACTERS: Final = 250_000  # two bytes each, and half of the megabyte that a job may output


class Selection(NamedTuple):
    """The part of a corpus that was asked for, with all it requires, and the ids that this leaves out."""

    corpus: Corpus
    left_out: tuple[str, ...]


def select(
    corpus: Corpus, only: Collection[str] = (), tiers: Collection[str] = (), failed: Collection[str] = ()
) -> Selection:
    """The journeys of `only` (`@failed` stands for those in `failed`) that are of `tiers`, and what they require."""
    _refuse_unknown(corpus, only, tiers)
    named = {id for name in only for id in (failed if name == FAILED else (name,))}
    asked = [
        journey.id
        for journey in corpus.journeys.values()
        if (not only or journey.id in named) and (not tiers or journey.tier in tiers)
    ]
    if not asked:
        raise UserError(_nothing_selected(only, tiers))
    kept = _with_required(corpus.journeys, asked)
    journeys = {id: journey for id, journey in corpus.journeys.items() if id in kept}
    return Selection(corpus._replace(journeys=journeys), tuple(id for id in corpus.journeys if id not in kept))


def _refuse_unknown(corpus: Corpus, only: Collection[str], tiers: Collection[str]) -> None:
    problems = [
        f'only: no journey is called {name!r}{suggestion(name, corpus.journeys)}'
        for name in sorted(set(only) - {FAILED} - set(corpus.journeys))
    ]
    problems += [
        f'tiers: no tier is called {name!r}{suggestion(name, TIERS)}' for name in sorted(set(tiers) - set(TIERS))
    ]
    if problems:
        raise UserError(problems)


def suggestion(name: str, known: Collection[str]) -> str:
    """What to do about a name that nothing has, in parentheses."""
    first = ', '.join(list(known)[:5])
    return suggest(name, known) or f' (known are {first}{", …" * (len(known) > 5)})'


def _nothing_selected(only: Collection[str], tiers: Collection[str]) -> str:
    names, among = ', '.join(sorted(only)), ' or '.join(sorted(tiers, key=TIERS.index))
    if FAILED in only:
        return f'only: none of {names} is in what was asked for (leave {FAILED} out if nothing failed)'
    if not only:
        return f'tiers: no journey is of {among} (name another tier)'
    return f'only: none of {names} is of {among} (name another tier)'


def _with_required(journeys: Mapping[str, Journey], asked: Iterable[str]) -> set[str]:
    """The journeys asked for and, as often as needed, every establisher of every token they require."""
    by_token = graph.establishers(journeys)
    waiting, kept = list(asked), set[str]()
    while waiting:
        id = waiting.pop()
        if id not in kept:
            kept.add(id)
            waiting += (before for token in journeys[id].requires for before in by_token[token])
    return kept


@collector.paused()
def plan(journeys: Mapping[str, Journey], shards: int, timings: Mapping[str, Sequence[float]] = {}) -> Plan:
    """Deal whole chains out to at most `shards` shards, as evenly as the longest chain allows."""
    if shards < 1:
        raise UserError(f'shards: {shards} is too few (ask for 1 or more)')
    if not journeys:
        return Plan((), 0.0, 0.0)
    costs = predict(journeys, timings)
    chains, weights = _chains(journeys, costs)
    # Others wait for gates, so a shard begins with them; apart from that the longest chain is first.
    gating = {journey.id for journey in journeys.values() if journey.gating}
    waits = [gating.isdisjoint(chain.journeys) for chain in chains]
    bins = [sorted(bin, key=lambda at: (waits[at], at)) for bin in packing.deal(weights, shards)]
    loads = [sum(weights[at] for at in bin) for bin in bins]
    longest_first = sorted(range(len(bins)), key=lambda at: (-loads[at], min(bins[at])))
    return Plan(
        shards=tuple(tuple(chains[at] for at in bins[shard]) for shard in longest_first),
        makespan=max(loads) / SECOND,
        lower_bound=packing.bound(weights, len(bins)) / SECOND,
        advice=ceiling.advice(chains, weights, journeys, costs, shards),
        microseconds=costs,
    )


def predict(journeys: Mapping[str, Journey], timings: Mapping[str, Sequence[float]]) -> dict[str, int]:
    """Microseconds by journey: the median of its last passes, else its steps at the price this corpus pays for one."""
    known = {id: cost for id in journeys if (passes := timings.get(id)) and (cost := _median(passes))}
    paid = sum(known.values()) or STEP_GUESS
    steps = sum([len(journeys[id].steps) for id in known]) or 1
    return {id: known.get(id) or len(journey.steps) * paid // steps or 1 for id, journey in journeys.items()}


def _median(passes: Sequence[float]) -> int:
    """Microseconds of the last few passes, at least one; 0 where what was recorded is no duration."""
    recent = sorted(passes[-RECENT:])
    middle = len(recent) // 2
    median = (recent[middle] + recent[~middle]) / 2
    return round(median * SECOND) or 1 if 0 <= median < math.inf else 0


def _chains(journeys: Mapping[str, Journey], costs: Mapping[str, int]) -> tuple[list[Chain], list[int]]:
    """The connected components, longest first and then by name, and what each of them costs."""
    place = _places(journeys)
    weighed = [
        (-sum([costs[id] for id in ids]), sorted(ids, key=place.__getitem__), tokens)
        for ids, tokens in graph.groups(journeys)
    ]
    weighed.sort()
    chains = [Chain(ids[0], tuple(ids), -weight / SECOND, tokens) for weight, ids, tokens in weighed]
    return chains, [-weight for weight, _, _ in weighed]


def _places(journeys: Mapping[str, Journey]) -> dict[str, int]:
    """A number by journey that grows by tier, and then with the establishers that stand in a row before it."""
    depth = _depths(journeys.values())
    tiers = {tier: at * (len(depth) + 1) for at, tier in enumerate(TIERS)}
    return {
        id: tiers[journey.tier] + (max(map(depth.__getitem__, journey.requires)) if journey.requires else 0)
        for id, journey in journeys.items()
    }


def _depths(journeys: Iterable[Journey]) -> dict[str, int]:
    """By token, how many establishers stand in a row up to it."""
    needs: defaultdict[str, list[str]] = defaultdict(list)  # by token, what its establishers require
    for journey in journeys:
        for token in journey.establishes:
            needs[token] += journey.requires
    depth = {token: 1 for token, needed in needs.items() if not needed}
    for first in [token for token in needs if token not in depth]:
        waiting = [first]
        while waiting:
            token = waiting[-1]
            unknown = [needed for needed in needs[token] if needed not in depth]
            if not unknown:
                depth[waiting.pop()] = 1 + max([depth[needed] for needed in needs[token]])
            waiting += unknown
    return depth


def lines(plan: Plan) -> str:
    """One chain-grouped shard list per line: chains part by a space, the journeys of a chain by commas."""
    return '\n'.join(_line(shard) for shard in plan.shards)


def _line(shard: Iterable[Chain]) -> str:
    return ' '.join(','.join(chain.journeys) for chain in shard)


def summary(plan: Plan) -> str:
    """The plan in one line: its size, how long it should take, and what keeps it from being shorter."""
    chains = [chain for shard in plan.shards for chain in shard]
    journeys = sum(len(chain.journeys) for chain in chains)
    ceilings = [f'chain {chain.name}' for chain in chains if chain.seconds >= plan.lower_bound]
    return (
        f'{counted(len(plan.shards), "shard")}, {counted(len(chains), "chain")}, {counted(journeys, "journey")}: '
        f'predicted makespan {plan.makespan:.1f} s, lower bound {plan.lower_bound:.1f} s, '
        f'set by {ceilings[0] if ceilings and len(plan.shards) > 1 else "the mean load"}'
    )


def counted(number: int, noun: str) -> str:
    """The number with its noun, in the plural where it is one."""
    return f'{number} {noun}{"s" * (number != 1)}'


def github_matrix(plan: Plan) -> dict[str, Any]:
    """A job for each shard, for `fromJSON`; without the lists of journeys where a job could not output so much."""
    if len(plan.shards) > MATRIX_JOBS:
        raise UserError(f'shards: {len(plan.shards)} is more than a matrix may have (ask for {MATRIX_JOBS} or fewer)')
    jobs = [
        {'shard': number, 'count': sum(len(chain.journeys) for chain in shard), 'journeys': _line(shard)}
        for number, shard in enumerate(plan.shards, start=1)
    ]
    if sum(len(str(job['journeys'])) for job in jobs) > MATRIX_CHARACTERS:
        jobs = [{'shard': job['shard'], 'count': job['count']} for job in jobs]
    return {'include': jobs}


def as_json(plan: Plan, journeys: Mapping[str, Journey]) -> dict[str, Any]:
    """The plan as plan.json holds it; `plan_id` is the digest of everything else, in one canonical spelling."""
    document: dict[str, Any] = {
        'format': 1,
        'makespan': plan.makespan,
        'lower_bound': plan.lower_bound,
        'advice': list(plan.advice),
        'shards': [[_chain_as_json(chain) for chain in shard] for shard in plan.shards],
        'journeys': {id: _journey_as_json(journeys[id], plan.microseconds[id]) for id in sorted(plan.microseconds)},
    }
    canonical = json.dumps(document, sort_keys=True, separators=(',', ':'))
    return {'plan_id': hashlib.sha256(canonical.encode()).hexdigest(), **document}


def _chain_as_json(chain: Chain) -> dict[str, Any]:
    return {**chain._asdict(), 'journeys': list(chain.journeys), 'tokens': list(chain.tokens)}


def _journey_as_json(journey: Journey, microseconds: int) -> dict[str, Any]:
    return {
        'feature': journey.feature,
        'tier': journey.tier,
        'promise': journey.promise,
        'source': dict(journey.source),
        'gating': journey.gating,
        'establishes': list(journey.establishes),
        'requires': list(journey.requires),
        'path': journey.path,
        'line': journey.line,
        'seconds': microseconds / SECOND,
    }

"""Say in words why a journey stands where it stands in a plan, and what came of it last."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterator

from hack.common.errors import UserError
from hack.dogfood.model import TIERS, Json
from hack.dogfood.planning.chains import suggestion


def explain(plan: Json, id: str, record: Json | None = None) -> list[str]:
    """Lines on a journey's chain, shard, prerequisites, dependents, gates and last verdict."""
    journeys = plan['journeys']
    if id not in journeys:
        raise UserError(f'explain: no journey is called {id!r}{suggestion(id, journeys)}')
    journey = journeys[id]
    shard, place, chain = _find(plan, id)
    members = {member: journeys[member] for member in chain['journeys']}
    gates = [other for other, its in journeys.items() if its['gating'] and _is_before(its['tier'], journey['tier'])]
    return [
        f'{id}: {journey["promise"]}',
        f'stands in {journey["path"]}:{journey["line"]}, is {journey["tier"]}{" and gating" * journey["gating"]}',
        *_why_the_chain(id, chain, members),
        f'shard: {shard} of {len(plan["shards"])}, chain {place} of {len(plan["shards"][shard - 1])} there, '
        f'journey {chain["journeys"].index(id) + 1} of {len(members)} in the chain',
        f'runs after: {_listed(_upstream(id, members))}',
        f'needed by: {_listed(_downstream(id, members))}',
        f'waits for the gates: {_listed(gates)}',
        f'last verdict: {_verdict(record)}',
    ]


def _find(plan: Json, id: str) -> tuple[int, int, Json]:
    """The number of the shard, the number of the chain in it, and the chain."""
    return next(
        (shard, place, chain)
        for shard, chains in enumerate(plan['shards'], start=1)
        for place, chain in enumerate(chains, start=1)
        if id in chain['journeys']
    )


def _is_before(tier: str, other: str) -> bool:
    return TIERS.index(tier) < TIERS.index(other)


def _listed(ids: Collection[str]) -> str:
    return ', '.join(ids) or 'nothing'


def _verdict(record: Json | None) -> str:
    if record is None:
        return 'none, it has not run yet'
    flaky = ' (flaky)' if record['flaky'] else ''
    cause = f': {record["cause"]}' if record['cause'] else ''
    return f'{record["verdict"]}{flaky}{cause}'


def _upstream(id: str, members: Json) -> list[str]:
    """All before it that it requires, directly or not, in the order of the chain."""
    ids = list(members)
    needed = set(members[id]['requires'])
    found = []
    for before in reversed(ids[: ids.index(id)]):
        if not needed.isdisjoint(members[before]['establishes']):
            needed.update(members[before]['requires'])
            found.append(before)
    return found[::-1]


def _downstream(id: str, members: Json) -> list[str]:
    """All after it that require it, directly or not, in the order of the chain."""
    ids = list(members)
    offered = set(members[id]['establishes'])
    found = []
    for after in ids[ids.index(id) + 1 :]:
        if not offered.isdisjoint(members[after]['requires']):
            offered.update(members[after]['establishes'])
            found.append(after)
    return found


def _why_the_chain(id: str, chain: Json, members: Json) -> Iterator[str]:
    name = chain['name']
    if len(members) == 1:
        yield 'chain: its own, it shares no token with another journey'
        return
    size = f'{len(members)} journeys, {chain["seconds"]:.1f} s'
    yield f'chain: {name}, {size}, held together by {_listed(chain["tokens"])}'
    for one, token, other in _way(id, name, members):
        verbs = ['establishes' if token in members[journey]['establishes'] else 'requires' for journey in (one, other)]
        yield f'  {one} {verbs[0]} {token}, which {other} {verbs[1]}{" too" * (verbs[0] == verbs[1])}'


def _way(start: str, goal: str, members: Json) -> list[tuple[str, str, str]]:
    """The fewest hops from one journey of a chain to another: journey, token, journey."""
    named = defaultdict(list)
    for id, journey in members.items():
        for token in (*journey['establishes'], *journey['requires']):
            named[token].append(id)
    came: dict[str, tuple[str, str, str]] = {}
    waiting = deque([start])
    while waiting and goal not in came:
        one = waiting.popleft()
        for token in (*members[one]['establishes'], *members[one]['requires']):
            for other in named.pop(token, ()):
                if other != start and other not in came:
                    came[other] = (one, token, other)
                    waiting.append(other)
    hops = []
    while goal != start:
        hops.append(came[goal])
        goal = came[goal][0]
    return hops[::-1]

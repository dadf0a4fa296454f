"""Say which chain no number of shards can beat, and which token would have to go to split it."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from hack.dogfood.model import Chain, Journey
from hack.dogfood.planning import packing

Tokens = tuple[str, ...]  # that join the very same journeys; one of them gone changes nothing
Node = str | Tokens  # a journey, or what joins journeys


def advice(
    chains: Sequence[Chain],
    weights: Sequence[int],
    journeys: Mapping[str, Journey],
    costs: Mapping[str, int],
    shards: int,
) -> tuple[str, ...]:
    """One line where the longest chain, the first of them, makes some of the shards useless."""
    if shards == 1 or weights[0] * shards <= sum(weights):
        return ()
    enough = _enough_shards(weights, shards)
    if enough is None:
        return ()
    share = round(100 * weights[0] / sum(weights))
    buys = '1 shard buys' if enough == 1 else f'{enough} shards buy'
    return (f'{_holder(chains[0], journeys, costs)} {share} % of the work in one chain: more than {buys} nothing',)


def _enough_shards(weights: Sequence[int], shards: int) -> int | None:
    """The fewest shards that are done as soon as the longest chain is; None if `shards` are not enough."""
    counts = range(-(-sum(weights) // weights[0]), min(shards, len(weights)) + 1)

    def are_enough(count: int) -> bool:
        bins = packing.deal(weights, count)
        return packing.is_level(max(sum(weights[at] for at in bin) for bin in bins), weights[0])

    at = bisect_left(counts, True, key=are_enough)
    return counts[at] if at < len(counts) else None


def _holder(chain: Chain, journeys: Mapping[str, Journey], costs: Mapping[str, int]) -> str:
    if len(chain.journeys) == 1:
        return f'journey {chain.name} holds'
    left = largest_without(chain.journeys, journeys, costs)
    tokens = min(left, key=lambda tokens: (left[tokens], tokens))
    if left[tokens] == sum(costs[id] for id in chain.journeys):
        return f'{chain.name}, which no single token would split, holds'
    return f'token {tokens[0]} holds' if len(tokens) == 1 else f'tokens {" and ".join(tokens)} hold'


def largest_without(
    chain: Iterable[str], journeys: Mapping[str, Journey], costs: Mapping[str, int]
) -> dict[Tokens, int]:
    """For all tokens that join journeys of a chain: the heaviest part that is left of it without them.

    They are the cut vertices of the graph of journeys and tokens, found in one depth-first walk.
    """
    beside = _neighbours([journeys[id] for id in chain])
    order, above = _depth_first(beside)
    weight = {node: costs[node] if isinstance(node, str) else 0 for node in beside}
    whole = sum(weight.values())
    pieces: dict[Tokens, list[int]] = {node: [] for node in beside if not isinstance(node, str)}
    reach = dict(order)  # the earliest node that a node's part of the tree touches
    for node in reversed(order):
        parent = above[node]
        reach[node] = min([reach[node], *(order[near] for near in beside[node])])
        if parent is None:
            break
        reach[parent] = min(reach[parent], reach[node])
        weight[parent] += weight[node]
        if not isinstance(parent, str) and reach[node] >= order[parent]:
            pieces[parent].append(weight[node])
    return {tokens: max([whole - sum(parts), *parts]) for tokens, parts in pieces.items()}


def _depth_first(beside: Mapping[Node, Sequence[Node]]) -> tuple[dict[Node, int], dict[Node, Node | None]]:
    """Each node's place in a depth-first walk from the first one, and the node it was reached from."""
    order: dict[Node, int] = {}
    above: dict[Node, Node | None] = {}
    waiting: list[tuple[Node, Node | None]] = [(next(iter(beside)), None)]
    while waiting:
        node, parent = waiting.pop()
        if node not in order:
            order[node], above[node] = len(order), parent
            waiting += ((near, node) for near in beside[node] if near not in order)
    return order, above


def _neighbours(members: Sequence[Journey]) -> dict[Node, list[Node]]:
    joined: defaultdict[str, list[str]] = defaultdict(list)
    for journey in members:
        for token in (*journey.establishes, *journey.requires):
            joined[token].append(journey.id)
    twins: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for token in sorted(joined):
        twins[tuple(joined[token])].append(token)
    beside: dict[Node, list[Node]] = {journey.id: [] for journey in members}
    for ids, names in twins.items():
        tokens = tuple(names)
        beside[tokens] = list(ids)
        for id in ids:
            beside[id].append(tokens)
    return beside

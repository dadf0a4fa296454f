"""Deal weights out to bins so that the heaviest bin is as light as can be, the same way every time."""

import heapq
from bisect import bisect, insort
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

CLOSE_ENOUGH: Final = 1_000  # a heaviest bin within this fraction of the bound is not worth more work
EXCHANGES_PER_BIN: Final = 16  # several times what random weights need; it only bounds the time of odd ones

Item = tuple[int, int]  # weight, position
NOTHING: Final[Item] = (0, -1)


class Exchange(NamedTuple):
    off: int  # how far from level the two bins would end, doubled
    give: Item
    take: Item


def bound(weights: Sequence[int], bins: int) -> int:
    """What no dealing can go below: an even share, or the heaviest weight."""
    return max(-(-sum(weights) // bins), max(weights))


def is_level(heaviest: int, least: int) -> bool:
    """Whether a heaviest bin is as good as the bound."""
    return heaviest - least <= least // CLOSE_ENOUGH


def deal(weights: Sequence[int], bins: int) -> list[list[int]]:
    """Positions of `weights` (heaviest first, each at least 1) by bin; no bin is empty, so there may be fewer.

    One after the other goes into the lightest bin; then, while the heaviest bin can do better, it exchanges
    with the lightest bin that has an exchange for it. Ties go to the earlier position and bin.
    """
    if not weights:
        return []
    dealt = _greedy(weights, min(bins, len(weights)))
    _level(dealt, bound(weights, len(dealt)))
    return [sorted(position for _, position in items) for items in dealt]


def _greedy(weights: Sequence[int], bins: int) -> list[list[Item]]:
    dealt: list[list[Item]] = [[] for _ in range(bins)]
    lightest = [(0, at) for at in range(bins)]
    for position, weight in enumerate(weights):
        load, at = lightest[0]
        dealt[at].append((weight, position))
        heapq.heapreplace(lightest, (load + weight, at))
    return [sorted(items) for items in dealt]


def _level(dealt: list[list[Item]], least: int) -> None:
    """Exchange between bins, in place, until the heaviest is level with the bound or finds no partner."""
    loads = [sum(weight for weight, _ in items) for items in dealt]
    for _ in range(EXCHANGES_PER_BIN * len(dealt)):
        by_load = sorted(range(len(dealt)), key=loads.__getitem__)
        busy = by_load.pop()
        if is_level(loads[busy], least):
            return
        offers = ((idle, best_exchange(dealt[busy], dealt[idle], loads[busy] - loads[idle])) for idle in by_load)
        idle, exchange = next(((idle, offer) for idle, offer in offers if offer), (busy, None))
        if exchange is None:
            return
        for source, target, item in ((busy, idle, exchange.give), (idle, busy, exchange.take)):
            if item != NOTHING:
                dealt[source].remove(item)
                insort(dealt[target], item)
            loads[source] -= item[0]
            loads[target] += item[0]


def best_exchange(busy: list[Item], idle: list[Item], gap: int) -> Exchange | None:
    """What to give from one bin and take from the other, if that brings the two nearer to level."""
    return min(_exchanges(busy, idle, gap), default=None)


def _exchanges(busy: list[Item], idle: list[Item], gap: int) -> Iterator[Exchange]:
    for give in busy:
        # The two neighbours of the weight that would make the loads meet, or nothing in return.
        at = bisect(idle, (give[0] - gap // 2, 0))
        for take in (NOTHING, *idle[max(at - 1, 0) : at + 1]):
            off = abs(2 * (give[0] - take[0]) - gap)
            if off < gap:
                yield Exchange(off, give, take)

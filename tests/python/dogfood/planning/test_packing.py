"""Weights are dealt out evenly, wholly, and the same way every time."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.dogfood.planning import packing

weights = st.lists(st.integers(1, 50), min_size=1, max_size=40).map(lambda drawn: sorted(drawn, reverse=True))
bins = st.integers(1, 12)


def heaviest(dealt: list[list[int]], of: list[int]) -> int:
    return max(sum(of[at] for at in bin) for bin in dealt)


def best(of: list[int], bins: int) -> int:
    """The lightest heaviest bin, by trying everything."""
    return min(
        max(sum(weight for weight, at in zip(of, where, strict=True) if at == bin) for bin in range(bins))
        for where in product(range(bins), repeat=len(of))
    )


@pytest.mark.parametrize(
    ('of', 'bins', 'expected'),
    [
        ([], 3, []),
        ([5], 3, [[0]]),
        ([5, 4, 3], 1, [[0, 1, 2]]),
        ([5, 4, 3, 2], 2, [[0, 3], [1, 2]]),
        ([1, 1, 1], 2, [[0, 2], [1]]),  # of equals the first, into the first bin
        ([3, 3, 2, 2, 2], 2, [[2, 3, 4], [0, 1]]),  # heaviest first alone would come to 7
        ([4, 4, 4, 1], 3, [[0, 3], [1], [2]]),
    ],
)
def test_dealing(of: list[int], bins: int, expected: list[list[int]]) -> None:
    assert packing.deal(of, bins) == expected


@pytest.mark.parametrize(
    ('of', 'bins', 'expected'),
    [
        ([3, 3, 2, 2, 2], 2, 6),
        ([5, 5, 4, 4, 3, 3, 3], 3, 9),
        ([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], 3, 19),
        ([7, 6, 5, 4, 3, 2, 2, 2], 2, 16),
        ([100, 1, 1], 3, 100),
        ([2] * 9, 4, 6),
    ],
)
def test_exchanges_reach_the_best_where_heaviest_first_does_not(of: list[int], bins: int, expected: int) -> None:
    assert heaviest(packing.deal(of, bins), of) == expected == best(of, bins)


@given(weights, bins)
def test_every_weight_lies_in_one_bin_and_no_bin_is_empty(of: list[int], bins: int) -> None:
    dealt = packing.deal(of, bins)
    assert sorted(at for bin in dealt for at in bin) == list(range(len(of)))
    assert len(dealt) == min(bins, len(of))
    assert all(bin and bin == sorted(bin) for bin in dealt)


@given(weights, bins)
def test_the_heaviest_bin_keeps_between_the_bound_and_what_heaviest_first_guarantees(of: list[int], bins: int) -> None:
    bins = min(bins, len(of))
    found = heaviest(packing.deal(of, bins), of)
    assert packing.bound(of, bins) <= found
    # Graham: whoever takes the last piece was the lightest, so at most an even share of the others.
    assert found <= max(max(of), sum(of) / bins + max(of) * (bins - 1) / bins)


@given(weights.map(lambda drawn: drawn[:7]), st.integers(1, 3))
def test_no_dealing_is_below_the_bound_and_none_of_ours_is_far_above_the_best(of: list[int], bins: int) -> None:
    bins = min(bins, len(of))
    assert packing.bound(of, bins) <= best(of, bins) <= heaviest(packing.deal(of, bins), of) <= best(of, bins) * 4 / 3


def items(weights: list[int]) -> list[packing.Item]:
    return sorted((weight, 10 * weight) for weight in weights)


@pytest.mark.parametrize(
    ('busy', 'idle', 'gap', 'given', 'taken'),
    [
        ([2, 5], [], 7, 2, 0),  # nothing in return: 2 comes nearer to half of the gap than 5
        ([4, 9], [3], 10, 4, 0),  # 4 moved is off by 2; 9 for 3, 6 moved, too: the lighter one goes
        ([9, 8], [3, 4], 10, 8, 3),  # 5 moved: level; so is 9 for 4, but the lighter one goes
        ([20], [2, 6, 15, 17, 18], 10, 20, 15),
        ([20], [2, 6, 14, 18], 10, 20, 14),  # the neighbour below the ideal 15 …
        ([20], [2, 6, 16, 18], 10, 20, 16),  # … and the one above it
        ([20], [13, 16], 10, 20, 16),  # the nearer of both
        ([20], [14, 17], 10, 20, 14),
        ([20], [17], 4, 20, 17),  # 3 of 4 moved is better than nothing
    ],
)
def test_the_best_exchange_brings_two_bins_nearest_to_level(
    busy: list[int], idle: list[int], gap: int, given: int, taken: int
) -> None:
    exchange = packing.best_exchange(items(busy), items(idle), gap)
    assert exchange is not None
    assert (exchange.give[0], exchange.take[0]) == (given, taken)


@pytest.mark.parametrize(
    ('busy', 'idle', 'gap'),
    [
        ([20], [20], 4),  # moves nothing
        ([20], [16], 4),  # only turns the two round
        ([4], [], 4),
        ([20], [9], 4),  # would make it worse
    ],
)
def test_an_exchange_that_gains_nothing_is_none(busy: list[int], idle: list[int], gap: int) -> None:
    assert packing.best_exchange(items(busy), items(idle), gap) is None


@pytest.mark.parametrize(
    ('of', 'bins', 'expected'), [([1, 1, 1], 2, 2), ([1, 1, 1, 1], 2, 2), ([9, 1], 2, 9), ([9, 9, 1], 2, 10)]
)
def test_bound(of: list[int], bins: int, expected: int) -> None:
    assert packing.bound(of, bins) == expected


@pytest.mark.parametrize(('heaviest', 'level'), [(5000, True), (5005, True), (5006, False)])
def test_level_is_within_a_thousandth(heaviest: int, level: bool) -> None:
    assert packing.is_level(heaviest, 5000) is level


def test_random_weights_end_level() -> None:
    """Eight to a bin, evenly spread: heaviest first alone ends 0.3 % above the bound."""
    of = sorted((100_000 + (at * 7_919_317) % 1_900_000 for at in range(8 * 64)), reverse=True)
    assert packing.is_level(heaviest(packing.deal(of, 64), of), packing.bound(of, 64))

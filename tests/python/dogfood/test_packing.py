"""Weights are dealt out evenly, wholly, and the same way every time."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.dogfood import packing

weights = st.lists(st.integers(1, 50), min_size=1, max_size=40)
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
        ([1, 1, 1], 2, [[0, 2], [1]]),  # of equals the first, into the first bin
        ([1, 2, 3], 2, [[2], [0, 1]]),  # heaviest first, wherever it stands
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


@given(st.lists(st.integers(1, 9), min_size=1, max_size=7), st.integers(1, 3))
def test_no_dealing_is_below_the_bound_and_none_of_ours_is_far_above_the_best(of: list[int], bins: int) -> None:
    bins = min(bins, len(of))
    assert packing.bound(of, bins) <= best(of, bins) <= heaviest(packing.deal(of, bins), of) <= best(of, bins) * 4 / 3


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
    of = [100_000 + (at * 7_919_317) % 1_900_000 for at in range(8 * 64)]
    assert packing.is_level(heaviest(packing.deal(of, 64), of), packing.bound(of, 64))

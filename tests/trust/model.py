"""What is true of a set of journeys whose own fates are known: the contract of verdicts, told a second time.

Nothing here comes from the project's own code: the two can only agree by both being right.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

TIERS: Final = ('smoke', 'core', 'deep')
BLAMES: Final[Mapping[str, str]] = {
    'passed': 'nobody',
    'failed': 'product',
    'infra': 'harness',
    'blocked': 'its root',
    'deferred': 'a gate',
    'skipped': 'environment',
}
# What a journey may also come to in a run that was disturbed at a moment nobody chose.
DISTURBED: Final = frozenset(('infra', 'blocked', 'deferred'))


class Fate(NamedTuple):
    """What a journey comes to by itself, when it gets to run."""

    verdict: str = 'passed'
    finding: str | None = None  # the kind that must be among its findings
    flaky: bool = False
    at_the_door: bool = False  # known before anything of it runs, even whether it is blocked
    needs_idle_machine: bool = False  # `failed`, or `infra` for lack of a processor


class Node(NamedTuple):
    """A journey as the model knows it."""

    id: str
    tier: str
    establishes: Sequence[str] = ()
    requires: Sequence[str] = ()
    gating: bool = False
    fate: Fate = Fate()
    spoils: str = ''  # a token that nobody can rely on any more once this journey has passed
    spoilt: Fate = Fate()  # what those come to who require it


class Truth(NamedTuple):
    verdict: str
    finding: str | None = None
    flaky: bool = False
    roots: frozenset[str] = frozenset()  # one of them must be named
    needs_idle_machine: bool = False


def truths(nodes: Sequence[Node], lost: Collection[str] = ()) -> dict[str, Truth]:
    """The truth of each journey. `lost`: those whose records are known not to have come back."""
    known: dict[str, Truth] = {}
    for number, tier in enumerate(TIERS):
        earlier = TIERS[:number]
        held_by = frozenset(
            node.id
            for node in nodes
            if node.gating and node.tier in earlier and known[node.id].verdict in ('failed', 'infra', 'blocked')
        )
        waiting = [node for node in nodes if node.tier == tier]
        so_far = [node for node in nodes if TIERS.index(node.tier) <= number]
        while waiting:
            ready = [node for node in waiting if all(before.id in known for before in _before(node, so_far))]
            assert ready, f'a circle: {waiting}'
            for node in ready:
                known[node.id] = _truth(node, so_far, known, held_by, node.id in lost)
            waiting = [node for node in waiting if node.id not in known]
    return known


def _before(node: Node, so_far: Sequence[Node]) -> list[Node]:
    """Who establishes what the journey requires, as far as it comes before it at all."""
    return [other for other in so_far if set(other.establishes) & set(node.requires)]


def _truth(
    node: Node, so_far: Sequence[Node], known: Mapping[str, Truth], held_by: frozenset[str], lost: bool
) -> Truth:
    if held_by:
        return Truth('deferred', roots=held_by)
    if lost:
        return Truth('infra')
    if node.fate.at_the_door:
        return _of(node.fate)
    roots: set[str] = set()
    for token in node.requires:
        establishers = [other for other in so_far if token in other.establishes]
        if not any(known[other.id].verdict == 'passed' for other in establishers):
            for other in establishers:
                roots |= known[other.id].roots or {other.id}
    if roots:
        return Truth('blocked', roots=frozenset(roots))
    for other in so_far:
        if other.spoils and other.spoils in node.requires and other is not node and known[other.id].verdict == 'passed':
            return _of(other.spoilt)
    return _of(node.fate)


def _of(fate: Fate) -> Truth:
    return Truth(fate.verdict, fate.finding, fate.flaky, needs_idle_machine=fate.needs_idle_machine)


def exit_status(verdicts: Collection[str], report_only: bool = False) -> int:
    """Of a run that came to these verdicts and was not interrupted."""
    if 'failed' in verdicts:
        return 0 if report_only else 1
    return 3 if 'infra' in verdicts or 'passed' not in verdicts else 0

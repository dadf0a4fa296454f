"""Says how journeys hang together by their tokens: who establishes what, which are one chain, where they go in circles.

All answers are pure and sorted: they depend on the journeys alone, not on the order of the mapping.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from hack.dogfood.model import Journey


def establishers(journeys: Mapping[str, Journey]) -> dict[str, tuple[str, ...]]:
    """Each token with the ids of the journeys that establish it, both sorted."""
    found = defaultdict(list)
    for identity, journey in journeys.items():
        for token in journey.establishes:
            found[token].append(identity)
    return {token: tuple(sorted(found[token])) for token in sorted(found)}


def components(journeys: Mapping[str, Journey]) -> tuple[tuple[str, ...], ...]:
    """The ids in groups that share no token: the chains.

    Whoever names a token, to establish or to require it, is in its group, so that a token belongs to one chain
    even where several journeys establish it and none requires it.
    """
    return tuple(identities for identities, _ in groups(journeys))


def groups(journeys: Mapping[str, Journey]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The components, each with the tokens that at least two of its journeys name."""
    parent: dict[str, str] = {}  # of a token: another one of its group, unless it is the one the group is known by

    def root(token: str) -> str:
        while (above := parent.get(token, token)) != token:
            parent[token] = token = parent.get(above, above)
        return token

    found: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    named: defaultdict[str, list[str]] = defaultdict(list)
    for identity, journey in journeys.items():
        tokens = journey.establishes + journey.requires
        if not tokens:
            found.append(((identity,), ()))
        for token in tokens:
            named[token].append(identity)
        for token in tokens[1:]:
            parent[root(token)] = root(tokens[0])

    joined: defaultdict[str, list[str]] = defaultdict(list)
    for token in sorted(named):
        joined[root(token)].append(token)
    for together in joined.values():
        identities = set().union(*[named[token] for token in together])
        found.append((tuple(sorted(identities)), tuple([token for token in together if len(named[token]) > 1])))
    return sorted(found)


def cycles(journeys: Mapping[str, Journey]) -> tuple[tuple[str, ...], ...]:
    """One way round for each knot of journeys that require each other: `('a', '(token)', 'b', …, 'a')`.

    A journey leads to the tokens it requires, a token (in parentheses, which no id can hold) to its establishers.
    """
    by_token = establishers(journeys)

    def ways(node: str) -> Iterator[str]:
        if node in journeys:
            return iter([f'({token})' for token in sorted(journeys[node].requires)])
        return iter(by_token.get(node[1:-1], ()))

    found: list[tuple[str, ...]] = []
    knotted: set[str] = set()
    done: set[str] = set()
    for start in sorted(journeys):
        if start in done:
            continue
        path, ahead = {start: 0}, [ways(start)]  # the path walked, with each node's place on it
        while ahead:
            node = next(ahead[-1], None)
            if node is None:
                ahead.pop()
                done.add(path.popitem()[0])
            elif node in knotted:
                continue
            elif node in path:
                circle = list(path)[path[node] :]
                if knotted.isdisjoint(circle):
                    knotted.update(circle)
                    found.append(_from_journey(circle))
            elif node not in done:
                path[node] = len(path)
                ahead.append(ways(node))
    return tuple(sorted(found))


def _from_journey(circle: list[str]) -> tuple[str, ...]:
    """The circle from its first journey by name round to itself."""
    first = circle.index(min(node for node in circle if not node.startswith('(')))
    turned = circle[first:] + circle[:first]
    return (*turned, turned[0])

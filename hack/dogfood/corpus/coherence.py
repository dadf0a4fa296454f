"""Finds where the journeys of a corpus contradict each other: ids, tokens, tiers, circles and sandboxes."""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from hack.common.source import Document, Items, Problem, Table, suggest
from hack.dogfood.corpus import graph
from hack.dogfood.model import TIERS, Capability, Journey

_MOST_SUGGESTIONS: Final = 100  # where more tokens are unknown, it is not a matter of spelling


class Claim(NamedTuple):
    """A journey and where it stands."""

    journey: Journey
    document: Document
    raw: Table

    def problem(self, text: str, key: str, entry: str | None = None) -> Problem:
        """A problem with a key, or with one entry of a key that holds a text or a list."""
        value = self.raw[key]
        at = (key, value.index(entry)) if isinstance(value, Items) and entry is not None else (key,)
        return self.document.problem(text, at, within=self.raw)


class Declared(NamedTuple):
    """A capability and where it is declared."""

    capability: Capability
    place: Problem


def problems(claims: Sequence[Claim], declared: Sequence[Declared], doubtful: Container[str]) -> Iterator[Problem]:
    """Every contradiction. `doubtful` tokens may be established by what could not be read: no word about them."""
    first: dict[str, Claim] = {}
    for claim in claims:
        other = first.setdefault(claim.journey.id, claim)
        if other is not claim:
            where = other.problem('', 'id').where
            text = f'duplicate id {claim.journey.id!r}, first at {where} (rename one of the two)'
            yield claim.problem(text, 'id')
    journeys = {name: claim.journey for name, claim in first.items()}
    establishers = graph.establishers(journeys)
    yield from _declarations(declared, establishers, doubtful)
    yield from _unknown_tokens(claims, establishers, doubtful)
    yield from _late_tokens(claims, journeys, establishers)
    yield from _cycles(first, journeys)
    yield from _sandboxes(first, journeys)


def _declarations(
    declared: Sequence[Declared], establishers: Mapping[str, Sequence[str]], doubtful: Container[str]
) -> Iterator[Problem]:
    first: dict[str, Declared] = {}
    for declaration in declared:
        token = declaration.capability.token
        other = first.setdefault(token, declaration)
        if other is not declaration:
            text = f'capability {token!r} is declared twice, first at {other.place.where} (keep one of the two)'
            yield declaration.place._replace(text=text)
        elif token not in establishers and token not in doubtful:
            text = f'no journey establishes the capability {token!r}{suggest(token, establishers) or " (add one)"}'
            yield declaration.place._replace(text=text)


def _unknown_tokens(
    claims: Sequence[Claim], establishers: Mapping[str, Sequence[str]], doubtful: Container[str]
) -> Iterator[Problem]:
    hints: dict[str, str] = {}
    for claim in claims:
        for token in claim.journey.requires:
            if token in establishers or token in doubtful:
                continue
            if token not in hints:
                hints[token] = suggest(token, establishers) if len(hints) < _MOST_SUGGESTIONS else ''
            hint = hints[token] or ' (let a journey establish it, or remove it)'
            yield claim.problem(f'nothing establishes {token!r}{hint}', 'requires', token)


def _late_tokens(
    claims: Sequence[Claim], journeys: Mapping[str, Journey], establishers: Mapping[str, Sequence[str]]
) -> Iterator[Problem]:
    rank = {tier: number for number, tier in enumerate(TIERS)}
    for claim in claims:
        for token in claim.journey.requires:
            names = establishers.get(token, ())
            earliest = min(names, key=lambda name: rank[journeys[name].tier], default=None)
            if earliest and rank[journeys[earliest].tier] > rank[claim.journey.tier]:
                text = (
                    f'{token!r} is needed in tier {claim.journey.tier} but first established in tier '
                    f'{journeys[earliest].tier}, by {earliest!r} (move one of the two)'
                )
                yield claim.problem(text, 'requires', token)


def _cycles(claims: Mapping[str, Claim], journeys: Mapping[str, Journey]) -> Iterator[Problem]:
    for first, *others in graph.cycles(journeys):
        hops = ''.join(f' → {token} {name}' for token, name in zip(others[::2], others[1::2], strict=True))
        text = f'requires cycle: {first}{hops} (remove one of these requirements)'
        yield claims[first].problem(text, 'requires', others[0].strip('()'))


def _sandboxes(claims: Mapping[str, Claim], journeys: Mapping[str, Journey]) -> Iterator[Problem]:
    if not any(journey.sandboxes for journey in journeys.values()):
        return
    chains = {name: number for number, names in enumerate(graph.components(journeys)) for name in names}
    first: dict[tuple[int, str], Claim] = {}
    for name, claim in claims.items():
        for sandbox in claim.journey.sandboxes:
            other = first.setdefault((chains[name], sandbox), claim)
            if other is not claim:
                where = other.problem('', 'sandboxes', sandbox).where
                text = (
                    f'the sandbox {sandbox!r} is taken by {other.journey.id!r} of the same chain already, '
                    f'at {where} (rename one of the two)'
                )
                yield claim.problem(text, 'sandboxes', sandbox)

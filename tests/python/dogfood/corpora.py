"""Corpora for the tests of whatever plans them: written out by hand, or drawn at random."""

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from hack.dogfood.model import TIERS, Corpus, Journey, Step


def journey(id: str, establishes: str = '', requires: str = '', steps: int = 1, **said: Any) -> Journey:
    """Tokens as words."""
    return Journey(
        **{
            'id': id,
            'promise': f'{id} keeps its promise.',
            'feature': 'images',
            'path': 'journeys/images.yaml',
            'line': 7,
            'steps': (Step('true'),) * steps,
            'establishes': tuple(establishes.split()),
            'requires': tuple(requires.split()),
            **said,
        }
    )


def by_id(journeys: Iterable[Journey]) -> dict[str, Journey]:
    return {journey.id: journey for journey in journeys}


def corpus(*journeys: Journey) -> Corpus:
    return Corpus(files=(), features={}, capabilities={}, journeys=by_id(journeys))


@st.composite
def graphs(draw: st.DrawFn, most: int = 24) -> dict[str, Journey]:
    """Journeys in any order, with names that tell nothing; who establishes a token has no later tier than its users."""
    count = draw(st.integers(1, most))
    tiers = sorted(draw(st.lists(st.sampled_from(range(3)), min_size=count, max_size=count)))
    establishes: list[list[str]] = [[] for _ in range(count)]
    requires: list[list[str]] = [[] for _ in range(count)]
    for token in [f't{number}' for number in range(draw(st.integers(0, count)))]:
        owners = draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=3))
        users = (
            draw(st.sets(st.sampled_from(range(max(owners) + 1, count)), max_size=4)) if max(owners) + 1 < count else ()
        )
        for owner in owners:
            establishes[owner].append(token)
        for user in users:
            requires[user].append(token)
    names = draw(st.permutations([f'j{number:02}' for number in range(count)]))
    drawn = [
        journey(
            names[at],
            ' '.join(establishes[at]),
            ' '.join(requires[at]),
            steps=draw(st.integers(1, 5)),
            tier=TIERS[tiers[at]],
            gating=draw(st.booleans()),
        )
        for at in range(count)
    ]
    return by_id(draw(st.permutations(drawn)))

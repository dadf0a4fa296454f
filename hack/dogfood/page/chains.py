"""The chains of several journeys as the page shows them: the worst first, as many drawn as can be looked at."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from hack.dogfood.model import Json
from hack.dogfood.page import layout
from hack.dogfood.page.journeys import Shown, several
from hack.dogfood.page.looks import WORST_FIRST, duration, short

_DRAWN_JOURNEYS: Final = 600  # in all drawings; the other chains are told in words
_DRAWN_CHAIN: Final = 300  # in one
_OPEN_CHAINS: Final = 12  # of more chains, those that passed are folded away, and the others from here on
_DRAWING_SECONDS: Final = 1.0


class Drawn(NamedTuple):
    """A chain of several journeys."""

    name: str
    anchor: str
    shard: int
    seconds: str
    look: str  # the worst of its journeys'
    journeys: tuple[Shown, ...]
    drawing: layout.Drawing | None
    notes: Mapping[str, str]  # below each journey's id
    needs: Mapping[str, str]  # by journey: what it requires, in words
    is_open: bool = True


def chains(bundle: Json, journeys: Sequence[Shown]) -> list[Drawn]:
    """Chains of several journeys, the worst first; as many drawn as can be looked at."""
    shown = {journey.id: journey for journey in journeys}
    recorded = {journey['id']: journey for journey in bundle['journeys']}
    told = []
    for number, said in several(bundle):
        if members := tuple(shown[id] for id in said['journeys'] if id in shown):
            told.append(_told(said, number, members, recorded))
    told.sort(key=lambda one: (WORST_FIRST.index(one.look), -len(one.journeys)))
    room, sketched = _DRAWN_JOURNEYS, []
    for one in told:
        if len(one.journeys) <= min(room, _DRAWN_CHAIN):
            room -= len(one.journeys)
            sketched.append(one)
    drawings = layout.draw([_sketch(one, recorded) for one in sketched], _DRAWING_SECONDS)
    drawn = {one.name: drawing for one, drawing in zip(sketched, drawings, strict=True)}
    is_long = len(told) > _OPEN_CHAINS
    return [
        one._replace(
            drawing=drawn.get(one.name), is_open=not is_long or (one.look != 'passed' and number < _OPEN_CHAINS)
        )
        for number, one in enumerate(told)
    ]


def _told(said: Json, number: int, members: tuple[Shown, ...], recorded: Mapping[str, Json]) -> Drawn:
    worst = min((journey.look for journey in members), key=WORST_FIRST.index)
    seconds = sum(recorded[journey.id]['duration_seconds'] for journey in members)
    notes = {
        journey.id: f'{journey.verdict} ← {journey.root}' if journey.root else f'{journey.verdict}, {journey.tier}'
        for journey in members
    }
    needs = {journey.id: ', '.join(recorded[journey.id]['requires']) for journey in members}
    return Drawn(said['name'], f'chain-{number}', said['shard'], duration(seconds), worst, members, None, notes, needs)


def _sketch(told: Drawn, recorded: Mapping[str, Json]) -> layout.Sketch:
    establishers = defaultdict(list)
    for journey in told.journeys:
        for token in recorded[journey.id]['establishes']:
            establishers[token].append(journey.id)
    edges = defaultdict(list)
    for journey in told.journeys:
        for token in recorded[journey.id]['requires']:
            for before in establishers[token]:
                edges[before, journey.id].append(token)
    return layout.Sketch(
        {journey.id: (short(journey.id), short(told.notes[journey.id])) for journey in told.journeys},
        {ends: short(', '.join(tokens)) for ends, tokens in edges.items()},
    )

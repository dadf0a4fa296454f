"""Whether a staged config means what the live one means: phases, models, kickoffs and status, byte by byte; pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from hack.orchestrator.config import kickoff, phases
from hack.orchestrator.model import Agent, Config, Phase, Sighting, Standing
from hack.orchestrator.policy import status

_SHOWN: Final = 60  # characters on each side of the first difference


class View(NamedTuple):
    """One side: what its file says, and what was seen of it."""

    config: Config
    phases: Sequence[Any]  # as they stand in the TOML
    standing: Standing
    sightings: Mapping[str, Sighting] | None = None  # None: STATE is left out


class Compared(NamedTuple):
    subject: str
    number: int  # how many were compared
    difference: str = ''  # the first one; '' where there is none


def compare(live: View, staged: View) -> tuple[Compared, ...]:
    """Each subject with its first difference."""
    return (
        Compared('phases', len(live.phases), value_difference(live.phases, staged.phases, 'phases')),
        Compared('models', *_pairs(_models(live.config), _models(staged.config), _plain)),
        Compared('kickoffs', *_pairs(_kickoffs(live.config), _kickoffs(staged.config), text_difference)),
        Compared('status', 1, text_difference(_status(live), _status(staged))),
    )


def value_difference(live: Any, staged: Any, where: str) -> str:
    """The first place where two TOML values differ, and how; '' where none does. The order of keys says nothing."""
    if type(live) is not type(staged):
        return f'{where}: live {live!r}, staged {staged!r}'
    if isinstance(live, Mapping):
        return next(filter(None, (_key_difference(live, staged, key, where) for key in (*live, *staged))), '')
    if isinstance(live, list):
        steps = (value_difference(*both, f'{where}[{n}]') for n, both in enumerate(zip(live, staged, strict=False)))
        uneven = '' if len(live) == len(staged) else f'{where}: live has {len(live)}, staged has {len(staged)}'
        return next(filter(None, steps), uneven)
    return '' if live == staged else f'{where}: live {live!r}, staged {staged!r}'


def text_difference(live: str, staged: str) -> str:
    """The first character in which two texts differ, by line and column, and what stands there; '' where none does."""
    if live == staged:
        return ''
    at = next((n for n, (a, b) in enumerate(zip(live, staged, strict=False)) if a != b), min(len(live), len(staged)))
    line, column = live.count('\n', 0, at) + 1, at - live.rfind('\n', 0, at)
    first = max(live.rfind('\n', 0, at) + 1, at - _SHOWN)
    rests = ((text[at : at + _SHOWN].splitlines(keepends=True) or [''])[0] for text in (live, staged))
    shown = [repr(live[first:at] + rest) for rest in rests]  # before the first difference they are the same
    return f'line {line}, column {column}: live {shown[0]}, staged {shown[1]}'


def _key_difference(live: Mapping[str, Any], staged: Mapping[str, Any], key: str, where: str) -> str:
    if key in live and key in staged:
        return value_difference(live[key], staged[key], f'{where}.{key}')
    return f'{where}.{key}: only in {"live" if key in live else "staged"}'


def _in_force(config: Config) -> Iterator[tuple[str, Phase | None, Agent]]:
    """Each agent in each phase, with a name for the two."""
    for phase in config.loop.phases or (None,):
        for agent in config.agents:
            yield f'phase {phase.id if phase else "-"}, {agent.name}', phase, agent


def _models(config: Config) -> dict[str, tuple[str, str]]:
    return {
        name: (agent.backend.name if agent.backend else '-', phases.model(agent, phase))
        for name, phase, agent in _in_force(config)
    }


def _kickoffs(config: Config) -> dict[str, str]:
    return {name: kickoff.render(config, phase, agent) for name, phase, agent in _in_force(config)}


def _status(view: View) -> str:
    seen = view.sightings or {}
    return '\n'.join(status.lines(view.config, seen, view.standing, view.sightings is not None))


def _plain(live: Any, staged: Any) -> str:
    return '' if live == staged else f'live {live!r}, staged {staged!r}'


def _pairs(live: Mapping[str, Any], staged: Mapping[str, Any], differ: Callable[..., str]) -> tuple[int, str]:
    """How many there are, and the first that differs or is on one side alone."""
    for name in (*live, *staged):
        if name not in live or name not in staged:
            return len(live), f'{name}: only in {"live" if name in live else "staged"}'
        if found := differ(live[name], staged[name]):
            return len(live), f'{name}: {found}'
    return len(live), ''

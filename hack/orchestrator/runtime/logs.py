"""What an agent has shown: what was kept of earlier incarnations, and its screen with its history now."""

import time
from collections.abc import Iterator
from typing import Final

from hack.orchestrator.runtime import sightings
from hack.orchestrator.runtime.sightings import Project
from hack.orchestrator.runtime.tmux import HungError

_HISTORY: Final = 2000
_INTERVAL: Final = 0.5


def lines(here: Project, name: str) -> list[str]:
    """All of it; the watchdog has a log of its own. Writes nothing."""
    try:
        kept = (here.config.log_dir / f'{name}.log').read_text(errors='replace').splitlines()
    except FileNotFoundError:
        kept = []
    return [*kept, *_shown(here, name)]


def _shown(here: Project, name: str) -> list[str]:
    try:
        pane = sightings.look(here).get(name)
    except HungError:
        pane = None
    text = here.tmux.screens([pane], _HISTORY).get(pane.session, '') if pane else ''
    return text.rstrip().splitlines()


def follow(here: Project, name: str) -> Iterator[str]:
    """All of it, then each line that is new, for ever."""
    before = lines(here, name)
    yield from before
    while True:
        time.sleep(_INTERVAL)
        now = lines(here, name)
        yield from added(before, now)
        before = now


def added(before: list[str], now: list[str]) -> list[str]:
    """The lines of `now` behind what both have in common: the longest end of `before` that `now` goes on from."""
    if now[: len(before)] == before:
        return now[len(before) :]
    for start in range(len(before)):
        tail = before[start:]
        for at in range(len(now) - len(tail) + 1):
            if now[at : at + len(tail)] == tail:
                return now[at + len(tail) :]
    return now

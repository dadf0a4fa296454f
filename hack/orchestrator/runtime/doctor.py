"""Finds what should not be, from a second server to a torn state file, and mends it where asked."""

import os
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import NamedTuple

from hack.common import files, process
from hack.common.console import counted
from hack.orchestrator.policy.watchdog import in_crash_loop
from hack.orchestrator.runtime import mending, sightings, state, supervisor
from hack.orchestrator.runtime.sightings import Project
from hack.orchestrator.runtime.tmux import HungError, Pane


class Ailment(NamedTuple):
    kind: str
    what: str
    cure: str  # what --fix does
    mend: Callable[[], object] | None = None  # None: a matter for people


def examine(here: Project) -> list[Ailment]:
    """Everything that is wrong; looks and changes nothing."""
    found = _socket(here)
    try:
        panes = sightings.look(here)
    except HungError as hung:
        if not found:
            found.append(Ailment('hung', str(hung), 'end or continue the server yourself: its agents may be at work'))
        return found
    except state.TornError:
        return [*found, *_torn_state(here)]
    state_of_it = (*_given_up(here), *_lock(here), *_stale_state(here), *_torn_state(here))
    return [*found, *_orphans(here, panes), *_strangers(here, panes), *state_of_it]


def _socket(here: Project) -> list[Ailment]:
    if not here.tmux.own:
        return []
    living = supervisor.servers(here)
    found = []
    if living and not here.tmux.socket.exists():
        what = f'{here.tmux.socket}: gone, while its server, pid {living[0].pid}, lives'
        found.append(
            Ailment('lost socket', what, 'have the server make it again', partial(supervisor.restore_socket, here))
        )
    if len(living) > 1:
        answering = {pane.server for pane in here.tmux.panes().values()}
        silent = [one for one in living if one.pid not in answering]
        pids = ', '.join(str(one.pid) for one in living)
        what = f'servers {pids} share {here.tmux.socket}'
        found.append(Ailment('split brain', what, 'end those that nobody can reach', partial(_end, silent)))
    return found


def _end(chosen: list[process.Process]) -> None:
    process.end_all(lambda: [one for one in chosen if process.is_alive(one)], 1.0)


def _orphans(here: Project, panes: dict[str, Pane]) -> list[Ailment]:
    """Processes of agents that are not below a pane of ours: what an earlier incarnation left.

    Looked for twice: what is just being started bears the mark of who starts it, and may be no longer where it was.
    """
    first = {one[:2] for _, one in _strays(here, panes)}
    strays: dict[str, list[process.Process]] = {}
    for name, one in _strays(here, sightings.look(here)) if first else ():
        if one[:2] in first:
            strays.setdefault(name, []).append(one)
    return [
        Ailment('orphan', f'{name}: {", ".join(f"{one.pid} {one.name}" for one in of)}', 'end them', partial(_end, of))
        for name, of in strays.items()
    ]


def _strays(here: Project, panes: dict[str, Pane]) -> Iterator[tuple[str, process.Process]]:
    names = [agent.name for agent in here.config.agents]
    places = {pane.pid for pane in panes.values() if not pane.dead} | {supervisor.watchdog_pid(here)}
    for name in names:
        for one in supervisor.processes(here, [name]):
            if not _is_below(one, places):
                yield name, one


def _is_below(one: process.Process, places: Collection[int]) -> bool:
    """Whether the process, or one that it comes from, is at one of these places, or stands by."""
    above: process.Process | None = one
    while above:
        if above.pid in places or _is_standby(above):
            return True
        above = process.look_up(above.parent)
    return False


def _is_standby(one: process.Process) -> bool:
    """Of the two watchdogs, the one outside the session: it waits, and belongs."""
    try:
        with open(f'/proc/{one.pid}/cmdline', 'rb') as file:
            return b'--standby' in file.read().split(b'\0')
    except OSError:
        return False


def _strangers(here: Project, panes: dict[str, Pane]) -> list[Ailment]:
    known = {agent.name for agent in here.config.agents}
    return [
        Ailment(
            'stranger', f'session {here.session(name)}: no agent is called {name!r}', 'end it with `down`, or by hand'
        )
        for name in sorted(panes.keys() - known)
    ]


def _given_up(here: Project) -> list[Ailment]:
    known = here.store.about(state.BACKOFF, unreadable={})
    crashed = {name: record.get('crashes', 0) for name, record in known.items()}
    return [
        Ailment('crash loop', f'{name}: {crashes} times in a row', f'see `logs {name}`, mend it, then `clear-backoff`')
        for name, crashes in crashed.items()
        if in_crash_loop(crashes, here.config.cadence)
    ]


def _lock(here: Project) -> list[Ailment]:
    path = here.store.folder / state.WATCHDOG_LOCK
    if not path.exists() or files.lock_is_held(path):
        return []
    wanted = here.store.noted(state.WANTED)
    if wanted:
        what = f'{counted(len(wanted), "agent")} to be up, and no watchdog to keep it so'
        return [Ailment('no watchdog', what, 'run `up`')]
    return [Ailment('stale lock', f'{path}: nobody holds it', 'remove it', partial(os.unlink, path))]


def _stale_state(here: Project) -> list[Ailment]:
    known = {agent.name for agent in here.config.agents}
    return [
        Ailment(
            'stale state',
            f'{subject}-{name}.json: no agent is called {name!r}',
            'remove it',
            partial(here.store.note, subject, name, None),
        )
        for subject in state.SUBJECTS
        for name in here.store.noted(subject)
        if name not in known
    ]


def _torn_state(here: Project) -> list[Ailment]:
    mend = partial(_mend, here)
    return [
        Ailment('torn state', f'{name}: cannot be read', 'write it anew, or forget what it held', mend)
        for name in mending.torn(here)
    ]


def _mend(here: Project) -> None:
    with here.store.acting():
        mending.mend(here)

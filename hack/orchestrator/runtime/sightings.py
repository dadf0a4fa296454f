"""What is there now, without a trace of having looked: one call to tmux, and the state files."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common.errors import UserError
from hack.orchestrator.config import agents
from hack.orchestrator.model import Agent, Config, Sighting, State
from hack.orchestrator.runtime import state, tmux
from hack.orchestrator.runtime.state import Store
from hack.orchestrator.runtime.tmux import HungError, Pane, Tmux

MARKER: Final = 'AGENT_SLOT'  # in the environment of an agent and of all that it starts
_CONFIG: Final = 'AGENT_CONFIG'  # likewise: what it was started by,
_STATE: Final = 'AGENT_STATE'  # and where that is kept
_LONGEST_SOCKET: Final = 100  # bytes; the kernel takes 107
_SHOWN: Final = (state.BACKOFF, state.LIMITED, state.STALLED, state.OVERRIDE)
_UNREADABLE: Final = 'state unreadable'


class Project(NamedTuple):
    """A configuration and where it lives."""

    config: Config
    tmux: Tmux
    store: Store
    environment: Mapping[str, str]

    def session(self, name: str) -> str:
        return self.config.prefix + name

    def slot(self, name: str) -> str:
        """What tells the processes of an agent from all others of the machine, over all its incarnations."""
        return f'{_digest(self.config.state_dir)}/{name}'

    def marker(self, name: str) -> str:
        return f'{MARKER}={self.slot(name)}'

    def marks(self, name: str) -> dict[str, str]:
        """What the environment of an agent says of it."""
        config = self.config
        return {MARKER: self.slot(name), _CONFIG: os.path.realpath(config.path), _STATE: str(config.state_dir)}


class Survey(NamedTuple):
    """How all agents are, by name, and what could not be read of it."""

    agents: dict[str, Sighting]
    problems: tuple[str, ...] = ()


def load(path: Path, environment: Mapping[str, str]) -> Project:
    """The project as it is in force: with the one-run overrides that its agents were started with."""
    return _overridden(lambda given: agents.load(path, given), environment)


def load_or_recall(path: Path, environment: Mapping[str, str]) -> tuple[Project, tuple[str, ...]]:
    """As load; where that cannot be: what runs by the last good version of the file, and what is wrong with this one.

    Raises UserError where nothing runs by it.
    """
    try:
        return load(path, environment), ()
    except UserError as error:
        tables = _last_good(path)
        if not tables:
            raise
        here = _overridden(lambda given: agents.recall(path, tables, given), environment)
        return here, (*error.problems, f'{path}: going by the last good version, by which agents run')


def _overridden(read: Callable[[Mapping[str, str]], Config], environment: Mapping[str, str]) -> Project:
    here = project(read(environment), environment)
    known = here.store.about(state.OVERRIDE, unreadable={})  # status tells of those
    given = {name: value for one in known.values() for name, value in one.get('environment', {}).items()}
    return project(read({**given, **environment}), environment) if given else here


def _last_good(path: Path) -> dict[str, Any]:
    """The tables of the configuration by which agents run, found by what the environment of these says; {} for none."""
    from hack.common import process

    running = process.marked(f'{_CONFIG}={os.path.realpath(path)}')
    folders = (said for one in running if (said := process.value_of(one.pid, _STATE)))
    for folder in dict.fromkeys(folders):
        with suppress(UserError):
            if record := Store(Path(folder)).read(state.IN_FORCE):
                return dict(record.get('tables', {}))
    return {}


def project(config: Config, given: Mapping[str, str]) -> Project:
    own = config.socket != 'default'
    socket = _own_socket(config) if own else tmux.default_socket(given)
    return Project(config, Tmux(socket, own, given), Store(config.state_dir), given)


def _own_socket(config: Config) -> Path:
    """In the state folder, or, where that lies too deep for a socket, below /tmp by the folder's digest."""
    path = config.state_dir / 'tmux.sock'
    if len(os.fsencode(path)) <= _LONGEST_SOCKET:
        return path
    return Path(f'/tmp/orchestrator-{os.getuid()}', f'{_digest(config.state_dir)}.sock')


def _digest(folder: Path) -> str:
    import hashlib  # a hundredth of a second, and status can do without

    return hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]


def look(here: Project) -> dict[str, Pane]:
    """The pane of each agent by its name, strangers under our prefix too; raises HungError where nothing is known."""
    panes = here.tmux.panes()
    if not panes and server_lives(here):
        raise HungError(f'{here.tmux.socket}: its server lives and cannot be reached (see doctor)')
    prefix = here.config.prefix
    return {session[len(prefix) :]: pane for session, pane in panes.items() if session.startswith(prefix)}


def server_lives(here: Project) -> bool:
    """Whether the server that was recorded is still there, reachable or not."""
    record = here.store.read(state.SERVER)
    if not record:
        return False
    from hack.common import process

    its = process.look_up(int(record.get('pid', 0)))
    return its is not None and its.started == record.get('started') and its.state not in 'ZX'


def survey(here: Project, now: float | None = None) -> Survey:
    """What status shows of each agent; what cannot be read is told, and the rest shown as ever."""
    now = time.time() if now is None else now
    unreadable: dict[str, list[str]] = {}
    try:
        panes: dict[str, Pane] | None = look(here)
    except HungError:
        panes = None
    except state.TornError as torn:
        panes, unreadable[''] = None, list(torn.problems)
    known = {subject: here.store.about(subject, unreadable) for subject in _SHOWN}
    seen = {agent.name: _sighting(here.config, agent, panes, known, now) for agent in here.config.agents}
    for name in seen.keys() & unreadable.keys():
        seen[name] = seen[name]._replace(notes=(*seen[name].notes, _UNREADABLE))
    return Survey(seen, tuple(problem for name in sorted(unreadable) for problem in unreadable[name]))


def _sighting(
    config: Config, agent: Agent, panes: Mapping[str, Pane] | None, known: Mapping[str, Mapping[str, Any]], now: float
) -> Sighting:
    pane = panes.get(agent.name) if panes is not None else None
    kind = State.UNKNOWN if panes is None else State.RUNNING if pane else State.STOPPED
    up = pane is not None and not pane.dead
    backoff = known[state.BACKOFF].get(agent.name, {})
    wait = backoff.get('retry_at', 0) - now
    looping = backoff.get('crashes', 0) > config.cadence.crash_loop_after
    notes = {
        'dead': pane is not None and pane.dead,
        'stalled': up and agent.name in known[state.STALLED],
        'limited': agent.name in known[state.LIMITED],
        f'backoff {wait:.0f}s': wait > 0.5 and not up and not looping,
        'crash-loop': looping and not up,
        'disabled': not agent.enabled,
    }
    return Sighting(kind, tuple(note for note, applies in notes.items() if applies))

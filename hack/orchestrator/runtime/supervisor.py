"""Starts and ends sessions, whole: what an earlier incarnation left is ended before the next one begins."""

import contextlib
import os
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from hack.common import files, process
from hack.common.errors import UserError
from hack.orchestrator.config import kickoff, phases
from hack.orchestrator.model import WATCHDOG, Agent, Config, Phase, Standing
from hack.orchestrator.policy import launch
from hack.orchestrator.policy.launch import Conversation
from hack.orchestrator.runtime import sightings, state
from hack.orchestrator.runtime.sightings import Project
from hack.orchestrator.runtime.tmux import HungError, Launch, Pane

ENTRY: Final = Path(__file__).resolve().parents[1] / 'run_agents.py'
_GRACE: Final = 1.0  # seconds between TERM and KILL
_RETRY: Final = 5.0  # seconds in which a server that is ending has ended
_KEPT_LINES: Final = 2000  # of what an incarnation has shown
_LARGEST_LOG: Final = 1 << 20


def ensure_ready(here: Project) -> None:
    """Folders that what follows writes to."""
    here.store.make()
    if not here.tmux.socket.is_relative_to(here.config.state_dir):
        folder = here.tmux.socket.parent
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise UserError(f"{folder}: is somebody else's (name a shorter log_dir)")


def look(here: Project) -> dict[str, Pane]:
    """As sightings.look, but a server whose socket was deleted is told to make it again; raises HungError."""
    try:
        panes = sightings.look(here)
    except HungError:
        if not (here.tmux.own and sightings.server_lives(here) and restore_socket(here)):
            raise
        return sightings.look(here)
    if not panes and here.tmux.own and not here.tmux.socket.exists() and servers(here):
        # No record, or a stale one: still, a second server must not come up beside one of ours.
        restore_socket(here)
        return sightings.look(here)
    return panes


def restore_socket(here: Project) -> bool:
    """Have the server make its socket again; False where it does not in the time it is given. Source: tmux(1)."""
    import signal

    if here.tmux.socket.exists():
        return False
    until = time.monotonic() + _RETRY
    while living := servers(here):
        for server in living:
            process.send(server, signal.SIGUSR1)
        time.sleep(0.1)
        if here.tmux.socket.exists():
            return True
        if time.monotonic() > until:
            return False
    return True  # it was on its way out


def servers(here: Project) -> list[process.Process]:
    """The live tmux servers of our socket; more than one is a split brain."""
    wanted = f'-S\0{here.tmux.socket}\0'.encode()
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit() and wanted in _command_line(int(entry)):
            its = process.look_up(int(entry))
            if its and its.name.startswith('tmux: server') and its.state not in 'ZX':
                found.append(its)
    return found


def _command_line(pid: int) -> bytes:
    try:
        with open(f'/proc/{pid}/cmdline', 'rb') as file:
            return file.read()
    except OSError:
        return b''


def processes(here: Project, names: Iterable[str]) -> list[process.Process]:
    """All live processes of the agents, over all incarnations, but for us and those we run in."""
    found = process.marked(*(here.marker(name) for name in names))
    ours = _ancestry() if found else set()
    return [one for one in found if one.pid not in ours]


def watchdogs(here: Project) -> list[process.Process]:
    """The one that watches and the one that stands by, marked; not what they are just starting, which is their copy."""
    return [one for one in processes(here, [WATCHDOG]) if one.pid == one.group and not one.is_copy]


def _ancestry() -> set[int]:
    pids: set[int] = set()
    pid = os.getpid()
    while pid > 1 and pid not in pids and (its := process.look_up(pid)):
        pids.add(pid)
        pid = its.parent
    return pids


# -- starting --------------------------------------------------------------------------------


def start(here: Project, agents: Sequence[Agent], panes: Mapping[str, Pane], resume: bool = False) -> list[str]:
    """Start the agents, each once, whatever is left of them; returns problems. Only while `acting`.

    `resume`: a backend that can goes on with its conversation. Raises HungError.
    """
    if not agents:
        return []
    keep_screens(here, [panes[agent.name] for agent in agents if agent.name in panes])
    names = [agent.name for agent in agents]
    panes = {name: panes[name] for name in names if name in panes}
    # A watchdog that stands by stays until its successor is there: whoever starts that one may be killed on the way.
    _end_processes(here, [name for name in names if name != WATCHDOG], panes)
    former = processes(here, [WATCHDOG]) if WATCHDOG in names else []
    standing = here.store.standing(here.config)
    launches = [_launch(here, agent, panes.get(agent.name), standing, resume) for agent in agents]
    problems = _started(here, launches)
    process.end_all(lambda: [*filter(process.is_alive, former)], _GRACE)
    record_server(here)
    return problems


def _end_processes(here: Project, names: Collection[str], panes: Mapping[str, Pane]) -> None:
    """End all that is left of the agents, and wait until tmux has seen that their panes are dead."""
    alive = {name: pane for name, pane in panes.items() if name in names and not pane.dead}

    def find() -> list[process.Process]:
        marked = processes(here, names)
        # What somebody else has started, on a server that we have adopted, has no mark.
        below = [one for pane in alive.values() for one in _tree(pane.pid)]
        return list({one.pid: one for one in (*marked, *below)}.values())

    process.end_all(find, _GRACE)
    until = time.monotonic() + _RETRY
    while alive and time.monotonic() < until:
        now = sightings.look(here)
        alive = {name: pane for name, pane in alive.items() if name in now and not now[name].dead}
        time.sleep(0.01)


def _tree(pid: int) -> list[process.Process]:
    ours = _ancestry()
    its = process.look_up(pid)
    found = [its, *process.descendants(pid)] if its and its.state not in 'ZX' else []
    return [one for one in found if one.pid not in ours]


def _launch(here: Project, agent: Agent, pane: Pane | None, standing: Standing, resume: bool) -> Launch:
    session = here.session(agent.name)
    if agent.name == WATCHDOG:
        # Deaf to the hangup of a dying server from its first moment on, not only once it can say so itself.
        command = ['sh', '-c', 'trap "" HUP; exec "$@"', 'sh', *watchdog_command(here.config)]
        return Launch(session, command, here.config.project_dir, here.marks(agent.name), _id(pane))
    phase = phases.current(here.config, standing)
    conversation = _conversation(here, agent, resume)
    text = launch.GO_ON if conversation.resumed else kickoff.render(here.config, phase, agent)
    path = _kickoff_file(here, agent, text)
    command = launch.command(agent, phases.model(agent, phase), path, conversation)
    here.store.note(state.WANTED, agent.name, wanted(agent, phase))
    pings = path is not None and agent.backend is not None and agent.backend.prompt_delivery == 'ping'
    here.store.note(state.PING, agent.name, {'kickoff': str(path)} if pings else None)
    return Launch(session, command, here.config.project_dir, here.marks(agent.name), _id(pane))


def wanted(agent: Agent, phase: Phase | None) -> dict[str, object]:
    """What is remembered of an agent that is up: what it was started for."""
    return {
        'started': time.time(),
        'phase': phase.id if phase and agent.kind == 'loop' else None,
    }


def overrides(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The one-run overrides of an agent, as the environment has them."""
    known = [f'AGENT_{key}_{spelt}' for key in ('MODEL', 'BACKEND') for spelt in (name, name.replace('-', '_'))]
    return {variable: environment[variable] for variable in known if environment.get(variable)}


def _id(pane: Pane | None) -> str:
    return pane.id if pane else ''


def _conversation(here: Project, agent: Agent, resume: bool) -> Conversation:
    """The conversation to go on with, where the backend can, or a new one; its id is on disk before it is used."""
    path = here.store.folder / f'{agent.name}.id'
    backend = agent.backend
    if backend is None:
        return Conversation()
    if resume and backend.resume and path.exists() and (known := path.read_text().strip()):
        return Conversation(known, resumed=True)
    path.unlink(missing_ok=True)
    if not backend.start_id:
        return Conversation()
    fresh = str(uuid.uuid4())
    files.write_atomic(path, f'{fresh}\n')
    return Conversation(fresh)


def _kickoff_file(here: Project, agent: Agent, text: str) -> Path | None:
    if not text or agent.backend is None or agent.backend.prompt_delivery == 'exec':
        return None
    path = here.store.folder / f'kickoff-{agent.name}.md'
    files.write_atomic(path, text)
    return path


def _started(here: Project, launches: Sequence[Launch]) -> list[str]:
    """Start them; a server that is just ending, or loses its socket just now, refuses, and they are tried again."""
    until = time.monotonic() + _RETRY
    while True:
        there = {here.session(name) for name in look(here)}
        # In this order: what has come up since is not started again, and a pane that is gone cannot be run in.
        launches = [one for one in launches if one.pane or one.session not in there]
        launches = [one._replace(pane='') if one.session not in there else one for one in launches]
        problems = here.tmux.start(launches, create=not there and not _any_server(here)) if launches else []
        if not problems or time.monotonic() > until:
            return problems
        time.sleep(0.1)
        # A server that was killed half-way may have left some of them behind.
        names = [one.session.removeprefix(here.config.prefix) for one in launches]
        lost = [name for name in names if name not in look(here)]
        process.end_all(partial(processes, here, lost), _GRACE)


def _any_server(here: Project) -> bool:
    """Whether there is a server, sessions or not: a second one must never be started beside it."""
    return bool(servers(here) if here.tmux.own else here.tmux.panes())


def record_server(here: Project) -> None:
    """Remember which server is ours: its socket may vanish, and its pid is then all there is to call it by."""
    pid = next((pane.server for pane in here.tmux.panes().values()), None)
    its = process.look_up(pid) if pid else None
    value = its and {'socket': str(here.tmux.socket), 'pid': its.pid, 'started': its.started}
    if value and here.store.read(state.SERVER) != {'version': state.VERSION, **value}:
        here.store.write(state.SERVER, value)


def watchdog_command(config: Config) -> list[str]:
    return [sys.executable, str(ENTRY), '--config', os.path.abspath(config.path), 'watchdog', '--standby']


def start_standby(here: Project) -> int:
    """A process of its own that takes over when this one ends; its pid."""
    import subprocess

    return subprocess.Popen(
        watchdog_command(here.config),
        env={**here.environment, **here.marks(WATCHDOG)},
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ).pid


# -- ending ----------------------------------------------------------------------------------


def end(here: Project, names: Collection[str], panes: Mapping[str, Pane]) -> list[str]:
    """End the sessions and every process of theirs, and want none of them up; returns problems. Only while `acting`."""
    for name in names:
        for subject in state.SUBJECTS:
            here.store.note(subject, name, None)
    keep_screens(here, [panes[name] for name in names if name in panes])
    if WATCHDOG in names:
        _end_watchdogs(here)
    before = [one for name in names if name in panes for one in _tree(panes[name].pid)]
    problems = here.tmux.end([here.session(name) for name in names if name in panes])
    process.end_all(lambda: [*processes(here, names), *filter(process.is_alive, before)], _GRACE)
    return problems


def _end_watchdogs(here: Project) -> None:
    """The one that holds the lock may have been started by hand, without a mark."""

    def find() -> list[process.Process]:
        its = process.look_up(holder) if (holder := watchdog_pid(here)) else None
        return [*processes(here, [WATCHDOG]), *([its] if its and its.state not in 'ZX' else [])]

    process.end_all(find, _GRACE)


def watchdog_pid(here: Project) -> int:
    """The pid of the watchdog that holds the lock; 0 where there is none."""
    path = here.store.folder / state.WATCHDOG_LOCK
    if not files.lock_is_held(path):
        return 0
    text = path.read_text().strip()
    return int(text) if text.isdecimal() else 0


def wake_watchdog(here: Project) -> None:
    """Have the watchdog look now; nothing where there is none."""
    import signal

    its = process.look_up(pid) if (pid := watchdog_pid(here)) else None
    if its:
        process.send(its, signal.SIGUSR1)


def finish(here: Project, name: str, panes: Mapping[str, Pane]) -> None:
    """Close the session of one that has done its work. Only while `acting`."""
    end(here, [name], panes)
    here.store.note(state.DONE, name, {'at': files.utc_now()})


def keep_screens(here: Project, panes: Sequence[Pane]) -> None:
    """Append what the panes show to the agents' logs: their next incarnations wipe it."""
    kept = [pane for pane in panes if pane.session != here.session(WATCHDOG)]  # its own log says more
    shown = here.tmux.screens(kept, _KEPT_LINES) if kept else {}
    for session, text in shown.items():
        if not text.strip():
            continue
        path = here.config.log_dir / f'{session.removeprefix(here.config.prefix)}.log'
        with contextlib.suppress(OSError):  # on a full disk, too, an agent is to be ended
            if path.exists() and path.stat().st_size > _LARGEST_LOG:
                os.replace(path, path.with_suffix('.log.1'))
            with open(path, 'a') as file:
                file.write(f'-- until {files.utc_now()}\n{text.rstrip()}\n')


# -- the verbs -------------------------------------------------------------------------------


def up(here: Project, names: Sequence[str], say: Callable[[str], None], resume_phase: bool) -> list[str]:
    """Use or create: start those that are not up, and the watchdog; returns problems."""
    agents = chosen(here.config, names)
    with here.store.acting():
        panes = look(here)
        here.store.write(state.IN_FORCE, {'tables': here.config.tables})
        due = [agent for agent in agents if agent.name not in panes or panes[agent.name].dead]
        if not names:
            due = _undone(here, due, resume_phase)
        looping = [agent.name for agent in here.config.agents if agent.kind == 'loop' and agent.name in panes]
        if not resume_phase and not looping and any(agent.kind == 'loop' for agent in due):
            here.store.stand(Standing())
        for agent in due:
            given = overrides(agent.name, here.environment)
            here.store.note(state.OVERRIDE, agent.name, {'environment': given} if given else None)
            for subject in (state.BACKOFF, state.LIMITED, state.STALLED, state.DONE):
                here.store.note(subject, agent.name, None)
        problems = start(here, due, panes)
        problems += _ensure_watchdog(here)
    wake_watchdog(here)
    for agent in agents:
        say(f'{agent.name}: {"started" if agent in due else "up already, or done"}')
    return problems


def _undone(here: Project, agents: Iterable[Agent], resume_phase: bool) -> list[Agent]:
    """Those that have something to do: no task that is done or waits for the end, no loop of what is complete."""
    done = here.store.about(state.DONE)
    over = resume_phase and here.store.standing(here.config).complete
    left = (agent for agent in agents if agent.name not in done and agent.name != here.config.loop.on_complete)
    return [agent for agent in left if not (over and agent.kind == 'loop')]


def _ensure_watchdog(here: Project) -> list[str]:
    panes = look(here)
    pane = panes.get(WATCHDOG)
    if pane and not pane.dead:
        return []
    watchdog = here.config.agent(WATCHDOG)
    return start(here, [watchdog], panes) if watchdog else []


def chosen(config: Config, names: Sequence[str]) -> list[Agent]:
    """The agents named, or all that are enabled, but for the watchdog; raises UserError with all that is wrong."""
    agents = [agent for agent in config.agents if agent.name != WATCHDOG]
    if not names:
        return [agent for agent in agents if agent.enabled]
    check_names(config, names)
    disabled = [agent.name for agent in agents if agent.name in names and not agent.enabled]
    if disabled:
        raise UserError(f'{config.path}: {name} is disabled (set enabled = true)' for name in disabled)
    return [agent for agent in agents if agent.name in names]


def check_names(config: Config, names: Sequence[str]) -> None:
    from hack.common.source import suggest

    known = [agent.name for agent in config.agents]
    wrong = [name for name in names if name not in known]
    if wrong:
        raise UserError(
            f'{config.path}: no agent is called {name!r}{suggest(name, known) or " (see status)"}' for name in wrong
        )


def down(here: Project, names: Sequence[str]) -> list[str]:
    """End the named ones, or all that we ever started here; returns problems."""
    if names:
        check_names(here.config, names)
    with here.store.acting():
        panes = look(here)
        ours = [agent.name for agent in here.config.agents]
        remembered = here.store.noted(state.WANTED)
        # On a server of our own, every session with our prefix is ours; on the user's, only those we started.
        extra = [name for name in panes if name not in ours and (here.tmux.own or name in remembered)]
        chosen_names = list(names) or [WATCHDOG, *(name for name in ours if name != WATCHDOG), *extra]
        problems = end(here, chosen_names, panes)
        if not names:
            for name in here.store.noted(state.DONE):
                here.store.note(state.DONE, name, None)
            here.store.remove(state.WATCHDOG_LOCK)
    wake_watchdog(here)
    return problems


def missing_programs(here: Project, agents: Iterable[Agent]) -> list[str]:
    """A line for each backend whose program is not there."""
    from shutil import which

    backends = {agent.backend.name: agent.backend for agent in agents if agent.backend}
    path = here.environment.get('PATH', '')
    return [
        f'{here.config.path}: [backend.{name}]: no program {backend.bin!r} on PATH (install it, or mend bin)'
        for name, backend in backends.items()
        if not (which(backend.bin, path=path) or which(here.config.project_dir / backend.bin))
    ]

"""The watchdog at work: looks once a tick, has `watchdog` decide, and acts; there is exactly one, by lock."""

import contextlib
import fcntl
import os
import random
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hack.common import files, process
from hack.common.errors import UserError
from hack.orchestrator.config import kickoff, phases
from hack.orchestrator.model import SERVICE, WATCHDOG, Agent, Standing
from hack.orchestrator.policy import limits, watchdog
from hack.orchestrator.policy.watchdog import Act, Past, Presence, Seen, Verdict
from hack.orchestrator.runtime import handoffs, mending, sightings, state, supervisor
from hack.orchestrator.runtime.sightings import Project
from hack.orchestrator.runtime.tmux import HungError, Pane, RefusedError

_SETTLE: Final = 0.02  # seconds from a death that woke us to the look: tmux is to have heard of it, and of its like
_SOON: Final = 1.0  # seconds to the next look while a kickoff waits to be typed
_AGAIN: Final = 5.0  # seconds to the next look where this one came to nothing
_LIVENESS_SECONDS: Final = 10.0
_NO_SCREEN: Final = limits.Screen('')


def hold_lock(here: Project, wait: bool) -> int | None:
    """The descriptor that makes us the one watchdog; `wait` until the one before us ends. None where there is one."""
    path = here.store.folder / state.WATCHDOG_LOCK
    while True:
        lock = files.try_lock(path)
        if lock is not None:
            os.ftruncate(lock, 0)
            os.write(lock, f'{os.getpid()}\n'.encode())
            return lock
        if not wait:
            return None
        with contextlib.suppress(FileNotFoundError), open(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # released at once: the lock proper is taken as everybody takes it


class Keeper:
    """One watchdog; `tick` is all it does."""

    def __init__(self, here: Project, read_at: Sequence[tuple[int, int, int]]) -> None:
        self._here = here
        self._read_at = read_at  # the signature of the files as they were read
        self._past: dict[str, Past] = {}
        self._wanted: dict[str, dict[str, Any]] = {}
        self._wanted_at = -1
        self._handles: dict[int, int] = {}  # pid of a pane, or of the server → its descriptor
        self._poll = select.poll()
        self._standby: int | None = None
        self._next_heavy = self._next_signal = 0.0
        self._says = True  # there is somebody to say it to
        self._handoffs = handoffs.Watch(here)
        self._stamps: dict[str, tuple[Any, Any]] = {}  # of the wanted record that `_past` belongs to
        self._standing = Standing()
        self._judged_by: tuple[object, object, object] = (None, None, None)  # what all were judged by last
        self._pings = False  # kickoffs are to be typed
        self._woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(self._woken, select.POLLIN)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)  # any signal ends a sleep

    def run(self) -> None:
        """For ever; ends with SystemExit at a TERM."""
        self.say('watching')
        while True:
            now = time.monotonic()
            cadence = self._here.config.cadence
            heavy, signals = now >= self._next_heavy, now >= self._next_signal
            if heavy:
                self._next_heavy = now + cadence.heavy_interval
            if signals:
                self._next_signal = now + cadence.signal_interval
            self._guarded(heavy, signals)
            self._sleep()

    def _guarded(self, heavy: bool, signals: bool) -> None:
        """A tick; what goes wrong with it is said, and the next one tries again."""
        try:
            self._tick_or_mend(heavy, signals)
        except HungError as hung:
            self._try_again_soon(f'{hung}: nothing is healed')
        except UserError as error:
            for problem in error.problems:
                self.say(problem)
        except (OSError, RefusedError) as error:
            self._try_again_soon(f'cannot act: {error}')
        except Exception:
            # A fault of ours. Whoever keeps others up does not go down with it, and does not keep it to itself.
            import traceback

            self.say(traceback.format_exc())

    def _try_again_soon(self, why: str) -> None:
        """Whoever died meanwhile is not to wait for the next look at the phase."""
        self.say(why)
        self._next_heavy = min(self._next_heavy, time.monotonic() + _AGAIN)

    def _tick_or_mend(self, heavy: bool, signals: bool) -> None:
        try:
            if signals and mending.torn(self._here):
                self._mend()
            self.tick(heavy, signals)
        except state.TornError:
            if not self._mend():
                raise
            self.tick(heavy, signals)

    def _mend(self) -> list[str]:
        """What it took to make the state folder readable."""
        with self._here.store.acting():
            mended = mending.mend(self._here)
        for line in mended:
            self.say(line)
        self._wanted_at = -1
        return mended

    def tick(self, heavy: bool, signals: bool) -> None:
        """Look once, decide on each agent, act; raises HungError, UserError, OSError."""
        self._reread()
        here = self._here
        if heavy:
            self._advance()
        # Before we look: one that is wanted only since then, and came up after our look, would seem to be missing.
        self._read_wanted()
        self._standing = here.store.standing(here.config)
        panes = supervisor.look(here)
        self._follow(panes.values())
        if heavy:
            self._heal_watchdog(panes)
        watched = self._due(panes, signals)
        screens = self._screens(watched, panes) if signals else {}
        self._type_kickoffs(panes)
        verdicts = self._judge(watched, panes, screens, signals)
        self._judged_by = self._here, self._wanted, self._standing
        self._act(verdicts, panes)
        if signals:
            self._wake_others(panes)

    # -- seeing ------------------------------------------------------------------------------

    def _reread(self) -> None:
        """Take the configuration as it is now; a bad one is told, and the last good one kept."""
        at = _signature(self._here)
        if at == self._read_at:
            return
        self._read_at = at
        old = self._here.config
        try:
            new = sightings.load(old.path, self._here.environment)
        except UserError as error:
            for problem in error.problems:
                self.say(f'{problem}: going on with what it was')
            return
        if (new.config.prefix, new.config.state_dir, new.config.socket) != (old.prefix, old.state_dir, old.socket):
            self.say(f'{old.path}: another name space: going on with the old one (down, then up)')
            return
        self.say(f'{old.path}: read anew')
        self._here = new
        self._read_at = _signature(new)
        new.store.write(state.IN_FORCE, {'tables': new.config.tables})

    def _read_wanted(self) -> None:
        """Who is to be up; read again only when the folder has changed."""
        at = os.stat(self._here.store.folder).st_mtime_ns
        if at != self._wanted_at:
            self._wanted = self._here.store.about(state.WANTED)
            self._pings = bool(self._here.store.noted(state.PING))
            # What is written within the same tick of the file system's clock would not show.
            self._wanted_at = at if time.time_ns() - at > 50_000_000 else -1

    def _due(self, panes: Mapping[str, Pane], signals: bool) -> list[Agent]:
        """The agents to be judged: all that are to be up, but for those of which nothing can have changed."""
        watched = [agent for agent in self._here.config.agents if agent.name in self._wanted and agent.enabled]
        here, wanted, standing = self._judged_by
        if signals or here is not self._here or wanted is not self._wanted or standing != self._standing:
            return watched
        return [one for one in watched if not (_is_up(panes.get(one.name)) and self._past[one.name].is_calm)]

    def _screens(self, watched: Iterable[Agent], panes: Mapping[str, Pane]) -> dict[str, str]:
        asked = [panes[agent.name] for agent in watched if agent.name in panes and _is_looked_at(agent)]
        shown = self._here.tmux.screens(asked) if asked else {}
        return {session.removeprefix(self._here.config.prefix): text for session, text in shown.items()}

    def _seen(self, agent: Agent, pane: Pane | None, text: str | None, signals: bool) -> Seen:
        record = self._wanted[agent.name]
        presence = Presence.ABSENT if pane is None else Presence.DEAD if pane.dead else Presence.RUNNING
        looping = agent.kind == 'loop'
        phase = phases.current(self._here.config, self._standing) if looping else None
        screen = limits.read(text, agent.backend, time.time()) if text is not None and agent.backend else None
        return Seen(
            agent,
            presence,
            pane.exit_status if pane else None,
            time.time() - record.get('started', 0.0),
            screen,
            hangs=signals and presence is Presence.RUNNING and _hangs(self._here, agent),
            outdated=phase is not None and record.get('phase') != phase.id,
            over=looping and self._standing.complete,
        )

    def _judge(
        self, watched: Iterable[Agent], panes: Mapping[str, Pane], screens: Mapping[str, str], signals: bool
    ) -> dict[str, Verdict]:
        verdicts = {}
        for agent in watched:
            past = self._known_past(agent.name)
            seen = self._seen(agent, panes.get(agent.name), screens.get(agent.name), signals)
            verdict = watchdog.judge(time.time(), seen, past, self._here.config.cadence, random.random())
            self._remember(agent.name, past, verdict.past)
            if agent.name in screens:
                self._keep_id(agent, screens[agent.name])
            if verdict.act:
                verdicts[agent.name] = verdict
        return verdicts

    def _known_past(self, name: str) -> Past:
        """What we remember, unless `clear-backoff` or `up` had us forget it."""
        past, stamp = self._past.get(name), (self._wanted[name].get('started'), self._wanted[name].get('cleared'))
        if past is None or self._stamps.get(name) != stamp:
            remembered = self._remembered(name)
            past = remembered if past is None or not remembered.crashes else past
        self._stamps[name] = stamp
        return past

    def _remembered(self, name: str) -> Past:
        """What an earlier watchdog has left."""
        backoff, limited = (self._here.store.read(f'{it}-{name}.json') or {} for it in (state.BACKOFF, state.LIMITED))
        return Past(
            crashes=backoff.get('crashes', 0),
            retry_at=backoff.get('retry_at', 0.0),
            judged=bool(backoff),
            changed_at=time.time(),
            limited_until=limited.get('until'),
            probed=limited.get('probed', False),
        )

    def _remember(self, name: str, old: Past, new: Past) -> None:
        store = self._here.store
        self._past[name] = new
        if news := watchdog.news(time.time(), old, new, self._here.config.cadence):
            self.say(f'{name}: {news}')
        if (old.crashes, old.retry_at) != (new.crashes, new.retry_at):
            counted = {'crashes': new.crashes, 'retry_at': new.retry_at}
            store.note(state.BACKOFF, name, counted if new.crashes or new.retry_at > time.time() else None)
        if (old.limited_until, old.probed) != (new.limited_until, new.probed):
            window = {'until': new.limited_until, 'probed': new.probed}
            store.note(state.LIMITED, name, window if new.limited_until is not None else None)
        if (old.nudged_at is None) != (new.nudged_at is None):
            store.note(state.STALLED, name, None if new.nudged_at is None else {'nudged_at': new.nudged_at})

    def _keep_id(self, agent: Agent, text: str) -> None:
        """Write down the id of a conversation that the program chose itself."""
        if agent.backend and agent.backend.id_pattern:
            ids = handoffs.groups(agent.backend.id_pattern, text)
            path = self._here.store.folder / f'{agent.name}.id'
            if ids and (not path.exists() or path.read_text().strip() != ids[-1]):
                files.write_atomic(path, f'{ids[-1]}\n')

    # -- acting ------------------------------------------------------------------------------

    def _act(self, verdicts: Mapping[str, Verdict], panes: Mapping[str, Pane]) -> None:
        if not verdicts:
            return
        here = self._here
        with here.store.acting():
            # Whoever came before us may have ended them, or started them.
            still = here.store.about(state.WANTED)
            verdicts = {name: one for name, one in verdicts.items() if still.get(name) == self._wanted.get(name)}
            for name, verdict in verdicts.items():
                self.say(f'{name}: {verdict.act.value if verdict.act else ""}: {verdict.why}')
            self._start_those(verdicts, panes)
            for name, verdict in verdicts.items():
                if verdict.act is Act.FINISH:
                    supervisor.finish(here, name, panes)
                elif verdict.act in (Act.NUDGE, Act.PROBE) and _is_up(panes.get(name)):
                    here.tmux.type(panes[name].id, limits.NUDGE if verdict.act is Act.NUDGE else 'continue')
        self._wanted_at = -1

    def _start_those(self, verdicts: Mapping[str, Verdict], panes: Mapping[str, Pane]) -> None:
        config = self._here.config
        for act, resume in ((Act.START, True), (Act.REBOOT, False)):
            names = [name for name, one in verdicts.items() if one.act is act]
            if act is Act.START:
                names += [
                    name for name, one in verdicts.items() if one.act is Act.PROBE and not _is_up(panes.get(name))
                ]
            again = [name for name in names if resume and self._past[name].crashes <= 1]
            for chosen, goes_on in ((again, True), ([name for name in names if name not in again], False)):
                agents = [agent for agent in config.agents if agent.name in chosen]
                problems = supervisor.start(self._here, agents, panes, goes_on)
                for problem in problems:
                    self.say(f'not started: {problem}')
                if agents and not problems:
                    self._next_heavy = 0.0  # to follow those that are new

    def _heal_watchdog(self, panes: Mapping[str, Pane]) -> None:
        """There are two of us in all: one in the session, which may be this one, and one that waits or watches."""
        pane = panes.get(WATCHDOG)
        if not _is_up(pane):
            own = self._here.config.agent(WATCHDOG)
            with self._here.store.acting():
                if own and not _is_up(supervisor.look(self._here).get(WATCHDOG)):
                    self.say('watchdog: its session is gone or dead: starting it')
                    supervisor.start(self._here, [own], panes)
            self._standby = None
        elif pane and pane.pid == os.getpid() and not _lives(self._standby):
            self._standby = supervisor.start_standby(self._here)

    def _advance(self) -> None:
        """Go to the next phase where the status file of this one has the marker on a line of its own; once each."""
        here = self._here
        standing = here.store.standing(here.config)
        phase = phases.current(here.config, standing)
        if (
            phase is None
            or standing.complete
            or not _has_line(here, kickoff.places(here.config.loop.template, 'status', phase))
        ):
            return
        self._read_wanted()
        if not any(agent.kind == 'loop' and agent.name in self._wanted for agent in here.config.agents):
            return
        then = phases.after(here.config, standing)
        with here.store.acting():
            task = here.config.loop.on_complete
            if then.complete and task:
                # First: killed in between, we come here again, and wanting it twice starts it once.
                here.store.note(state.WANTED, task, {'started': time.time(), 'phase': None})
            here.store.stand(then)
        self._wanted_at = -1
        self.say(f'phase {phase.id} is done' + (': the sequence is complete' if then.complete else ''))

    def _type_kickoffs(self, panes: Mapping[str, Pane]) -> None:
        """Type what waits to be typed, once its program listens."""
        store = self._here.store
        for name, ping in store.about(state.PING).items() if self._pings else ():
            agent, pane = self._here.config.agent(name), panes.get(name)
            if agent and agent.backend and pane and not pane.dead:
                text = self._here.tmux.screens([pane]).get(pane.session, '')
                if text.strip() and (not agent.backend.ready or handoffs.has(agent.backend.ready, text)):
                    store.note(state.PING, name, None)
                    self._here.tmux.type(pane.id, Path(ping['kickoff']).read_text())
                    self.say(f'{name}: kickoff typed')

    def _wake_others(self, panes: Mapping[str, Pane]) -> None:
        for subject, names in self._handoffs.fresh(self._here):
            for name in names:
                pane = panes.get(name)
                limited = self._past.get(name, Past()).limited_until is not None
                if pane and not pane.dead and name in self._wanted and not limited:
                    self._here.tmux.type(pane.id, f'A hand-off was committed: {subject}')
                    self.say(f'{name}: woken by {subject!r}')

    # -- sleeping ----------------------------------------------------------------------------

    def _follow(self, panes: Iterable[Pane]) -> None:
        """Be woken when the program of a pane ends, or the server: a look by the clock alone is a tick late."""
        alive = {pane.pid for pane in panes if not pane.dead} | {pane.server for pane in panes}
        for pid in self._handles.keys() - alive:
            self._forget(pid)
        for pid in alive - self._handles.keys():
            with contextlib.suppress(OSError):
                handle = os.pidfd_open(pid)
                self._handles[pid] = handle
                self._poll.register(handle, select.POLLIN)

    def _forget(self, pid: int) -> None:
        handle = self._handles.pop(pid)
        self._poll.unregister(handle)
        os.close(handle)

    def _sleep(self) -> None:
        due = [self._next_heavy, self._next_signal]
        now = time.time()
        retries = [past.retry_at for past in self._past.values() if past.retry_at > now]
        if retries:
            due.append(time.monotonic() + min(retries) - now)
        if self._pings:
            due.append(time.monotonic() + _SOON)
        ready = self._poll.poll(max(0.0, min(due) - time.monotonic()) * 1000)
        if ready:
            time.sleep(_SETTLE)
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 1 << 12)
            woken = {handle for handle, _ in ready}
            for pid in [pid for pid, handle in self._handles.items() if handle in woken]:
                self._forget(pid)
            self._next_heavy = 0.0

    def say(self, what: str) -> None:
        """To the log, and to whoever is attached."""
        line = f'{files.utc_now()} {what}'
        with contextlib.suppress(OSError), open(self._here.config.log_dir / 'watchdog.log', 'a') as file:
            file.write(line + '\n')
        if self._says:
            try:
                print(line, flush=True)
            except OSError:  # the terminal went away with its server
                self._says = False


def run(here: Project, standby: bool) -> int:
    """Be the watchdog; raises UserError where there is one already, unless we are to stand by until it ends."""
    supervisor.ensure_ready(here)
    read_at = _signature(here)  # one that stands by does so for long: it looks again before it watches
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the server that we are to bring back takes our terminal with it
    signal.signal(signal.SIGUSR1, lambda *_: None)  # before the lock, by which we are found and woken
    lock = hold_lock(here, standby)
    if lock is None:
        raise UserError(
            f'{here.config.path}: a watchdog runs already, pid {supervisor.watchdog_pid(here)} (see status)'
        )
    signal.signal(signal.SIGTERM, _stop)
    Keeper(here, read_at).run()
    return 0


def _stop(*_: Any) -> None:
    raise SystemExit(0)


def _signature(here: Project) -> list[tuple[int, int, int]]:
    """What changes when a file of the configuration does."""
    return list(_stats(here.config.sources))


def _stats(paths: Iterable[Path]) -> Iterator[tuple[int, int, int]]:
    for path in paths:
        try:
            facts = os.stat(path)
            yield facts.st_ino, facts.st_mtime_ns, facts.st_size
        except OSError:
            yield 0, 0, 0


def _is_up(pane: Pane | None) -> bool:
    return pane is not None and not pane.dead


def _lives(pid: int | None) -> bool:
    if pid is None:
        return False
    process.reap()
    its = process.look_up(pid)
    return its is not None and its.state not in 'ZX'


def _is_looked_at(agent: Agent) -> bool:
    backend = agent.backend
    wants = agent.watch == 'heal+stall' or (backend and (backend.limit_patterns or backend.id_pattern))
    return agent.kind != SERVICE and agent.watch != 'none' and bool(wants)


def _hangs(here: Project, agent: Agent) -> bool:
    """Whether the agent's own liveness command, or its backend's, fails."""
    command = agent.liveness or (agent.backend.liveness if agent.backend else '')
    if not command:
        return False
    known = {**here.environment, 'AGENT_NAME': agent.name, 'AGENT_SESSION': here.session(agent.name)}
    try:
        ended = subprocess.run(
            ['bash', '-c', command],
            cwd=here.config.project_dir,
            env=known,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIVENESS_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return True
    return ended.returncode != 0


def _has_line(here: Project, places: Iterable[str]) -> bool:
    """Whether one of these files has the marker of a phase that is done."""
    for place in places:
        with contextlib.suppress(OSError, ValueError):
            lines = (here.config.project_dir / place).read_text().splitlines()
            if here.config.loop.done_marker in (line.strip() for line in lines):
                return True
    return False

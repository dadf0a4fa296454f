"""The one door for programs: started in a session of their own, watched by one poll loop, ended whole.

The process that uses `Supervisor` becomes the reaper of all that its programs leave behind
(PR_SET_CHILD_SUBREAPER), so every descendant, however often it forked or called setsid, is found
below it in the process tree; nothing outside that tree is ever signalled. Linux only.
"""

import contextlib
import ctypes
import os
import re
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import IO, Final, NamedTuple

from hack.common import limits

KEEP_BYTES: Final = 1 << 20  # of one program's output, both streams, head and tail
GRACE_SECONDS: Final = 0.3  # between TERM and KILL
PATIENCE: Final = 4.0  # times its limit: as long as a program is given on a machine too busy to let it run
FAULTS: Final = (  # that a program brings upon itself; others are mostly sent to it
    *(signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP),
)
_CHUNK: Final = 1 << 16
_SEAM: Final = 1 << 12  # bytes on each side of a cut that are scanned together
_AROUND: Final = 1000  # bytes of a line on each side of a hit
_MOST_CHUNKS: Final = 64  # of one stream that are taken at once
_MOST_HITS: Final = 1000
_SCAN_SECONDS: Final = 2.0  # of processor time, for one cut
_MOST_AT_ONCE: Final = 1000
_MOST_WALKS: Final = 10
_FIRST_PAUSE: Final = 0.02  # between two looks at what ended beside the program; then twice as long each time
_HEARTBEAT: Final = 1.0
_WORTH_WAITING: Final = 0.05  # seconds
_ONE_INTERRUPT: Final = 1.0  # seconds
READY: Final = b'ready\n'  # what the first process of an enclosure says once it stands
_PR_SET_CHILD_SUBREAPER: Final = 36
_PF_FORKNOEXEC: Final = 0x40


class End(Enum):
    """Every way a program's run can end."""

    EXITED = 'exited'
    SIGNALLED = 'signalled'
    TIMED_OUT = 'timed out'
    INTERRUPTED = 'interrupted'
    NOT_STARTED = 'not started'


class Scan(NamedTuple):
    """A pattern that is looked for in whatever is dropped of a stream."""

    pattern: re.Pattern[bytes]
    literals: tuple[bytes, ...] = ()  # one of them stands in every match; none: that is not known

    def finditer(self, data: bytes) -> Iterator[re.Match[bytes]]:
        """All matches. To look for a few fixed texts first is fifty times as fast, and they are hardly ever there."""
        may_match = not self.literals or any(literal in data for literal in self.literals)
        return self.pattern.finditer(data) if may_match else iter(())


class Captured:
    """A stream's head and tail within a fixed number of bytes, and how much fell out between them."""

    def __init__(self, limit: int = KEEP_BYTES // 2, scan: Scan | None = None) -> None:
        self._half = limit // 2
        self._head = b''
        self._tail = b''
        self.scan = scan
        self._seam = b''  # the last that was dropped
        self.dropped = 0
        self.hits: list[bytes] = []  # lines with what `scan` found in what was dropped
        self.gave_up = False  # to scan: the pattern takes too long

    def add(self, data: bytes) -> None:
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail += data
            if len(self._tail) > 2 * self._half:  # cut rarely, so that a flood costs one copy a chunk
                self._cut()

    def _cut(self) -> None:
        lost = len(self._tail) - self._half
        if lost <= 0:
            return
        if self.scan and len(self.hits) < _MOST_HITS:
            # What stays on both sides is looked at again later: a match across a cut is found twice, never missed.
            seam = self._seam or self._head[-_SEAM:]
            try:
                with limits.processor_seconds(_SCAN_SECONDS):
                    found = [*map(line_around, self.scan.finditer(seam + self._tail[: lost + _SEAM]))]
            except limits.TooLongError:
                found, self.scan, self.gave_up = [], None, True
            self.hits = list(dict.fromkeys((*self.hits, *found)))[:_MOST_HITS]
            self._seam = (seam + self._tail[:lost])[-_SEAM:]
        self.dropped += lost
        self._tail = self._tail[lost:]

    def parts(self) -> tuple[bytes, bytes]:
        """Head and tail; the tail is empty where nothing was dropped."""
        self._cut()
        return (self._head, self._tail) if self.dropped else (self._head + self._tail, b'')


def line_around(match: re.Match[bytes]) -> bytes:
    """The match within its line, or within so much of it as is near."""
    data, (start, end) = match.string, match.span()
    before = data[max(0, start - _AROUND) : start].rpartition(b'\n')[2]
    return before + match.group() + data[end : end + _AROUND].partition(b'\n')[0]


class Ran(NamedTuple):
    """How one program's run ended, and what it said. `status` is 128 + n after signal n."""

    end: End
    status: int | None
    seconds: float
    out: Captured
    err: Captured
    why: str = ''  # of a run that did not start
    cpu_seconds: float = 0.0  # that it used itself, with the children it waited for
    excused_seconds: float = 0.0  # by which its limit was put off, because the machine did not let it run


class Heard(NamedTuple):
    """What was noticed of processes that were left running: what they said, which were killed or died of a fault."""

    said: Sequence[Captured] = ()
    died: Sequence[tuple[str, signal.Signals]] = ()  # which, in words, and of which of FAULTS or SIGKILL


class Process(NamedTuple):
    pid: int
    started: int  # clock ticks since boot: with the pid, the identity of a process
    name: str
    state: str
    parent: int
    group: int
    session: int
    terminal: int = 0  # its number; 0: none
    is_copy: bool = False  # of its parent: it has not become a program yet


def look_up(pid: int) -> Process | None:
    """The process, or None where it is gone. Source: proc(5), /proc/PID/stat."""
    try:
        with open(f'/proc/{pid}/stat', 'rb') as file:
            text = file.read().decode('utf-8', 'replace')
    except OSError:
        return None
    name, _, rest = text.partition('(')[2].rpartition(')')
    fields = rest.split()
    parent, group, session, terminal, _, flags = map(int, fields[1:7])
    return Process(
        pid, int(fields[19]), name, fields[0], parent, group, session, terminal, bool(flags & _PF_FORKNOEXEC)
    )


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{task}/children', 'rb') as file:
                found += map(int, file.read().split())
    except OSError:  # it ended while we looked
        pass
    return found


def descendants(root: int, leave_out: Collection[int] = ()) -> list[Process]:
    """The live processes below `root`, parents first; zombies are not live, nor is what is below `leave_out` seen.

    At most `_MOST_AT_ONCE` of them: a walk without an end would chase a program that forks faster than we walk.
    """
    known_dead: set[int] = set()
    for _ in range(_MOST_WALKS):
        found, dead = _walk(root, leave_out)
        if dead <= known_dead:
            break
        known_dead = dead  # the children of one that ended as we walked may have moved to where we had looked before
    return found


def _walk(root: int, leave_out: Collection[int]) -> tuple[list[Process], set[int]]:
    """The live processes below `root` that were met, and the pids of those that were dead by then."""
    found: list[Process] = []
    dead: set[int] = set()
    pending = deque(_children(root))
    while pending and len(found) < _MOST_AT_ONCE:
        pid = pending.popleft()
        if pid in leave_out:
            continue
        process = look_up(pid)
        if process and process.state not in 'ZX':
            found.append(process)
        else:
            dead.add(pid)
        pending += _children(pid)
    return found, dead


def _waited_for_processor(root: int) -> float:
    """The most seconds that one live process of the tree below `root` could run and was not let run.

    Source: /proc/PID/schedstat (kernel, scheduler/sched-stats.rst); 0 where the kernel does not say.
    """
    return max([_run_delay(root), *(_run_delay(process.pid) for process in descendants(root))])


def _run_delay(pid: int) -> float:
    try:
        with open(f'/proc/{pid}/schedstat', 'rb') as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def environment_of(pid: int) -> bytes:
    """The environment a process was started with, NUL-separated; empty where it cannot be read."""
    try:
        with open(f'/proc/{pid}/environ', 'rb') as file:
            return file.read()
    except OSError:
        return b''


def marked(*markers: str) -> list[Process]:
    """All live processes of this machine whose environment holds one of `NAME=value` exactly.

    A scan of /proc: tenths of a second on a busy machine, for rare occasions only.
    """
    wanted = {os.fsencode(marker) for marker in markers}
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit() and not wanted.isdisjoint(environment_of(int(entry)).split(b'\0')):
            process = look_up(int(entry))
            if process and process.state not in 'ZX':
                found.append(process)
    return found


def value_of(pid: int, name: str) -> str:
    """What a variable held when the process was started; empty where that cannot be told."""
    wanted = os.fsencode(f'{name}=')
    values = (entry[len(wanted) :] for entry in environment_of(pid).split(b'\0') if entry.startswith(wanted))
    return os.fsdecode(next(values, b''))


def hidden_in(folder: str) -> list[Process]:
    """Live processes that cannot be found by their environment, but by where they are at work: below `folder`.

    A program that shows a title in `ps` writes it over its environment (redis, postgres), and `env -i` leaves none.
    Only such ones, and none that has a terminal: somebody looking around there is not part of what ran.
    """
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit() and b'=' not in environment_of(int(entry)) and _works_in(int(entry), folder):
            process = look_up(int(entry))
            if process and process.state not in 'ZX' and not process.terminal:
                found.append(process)
    return found


def _works_in(pid: int, folder: str) -> bool:
    """Whether the working folder of a process, or a file it has open, is below the folder."""
    places = [f'/proc/{pid}/cwd']
    with contextlib.suppress(OSError):
        places += [f'/proc/{pid}/fd/{number}' for number in os.listdir(f'/proc/{pid}/fd')]
    for place in places:
        with contextlib.suppress(OSError):
            if os.readlink(place).startswith(f'{folder}/'):
                return True
    return False


def is_alive(process: Process) -> bool:
    now = look_up(process.pid)
    return now is not None and now.started == process.started and now.state not in 'ZX'


def send(process: Process, number: signal.Signals) -> bool:
    """Signal this very process; a reused pid is never hit, because it is looked up after its descriptor is open."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        now = look_up(process.pid)
        if now is None or now.started != process.started:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def end_all(find: Callable[[], Sequence[Process]], grace: float = GRACE_SECONDS, limit: float = 10.0) -> list[Process]:
    """End every process that `find` names, again and again until it names none; returns those ended.

    TERM first; what outlives the grace period, or multiplies in it, is frozen as a whole before it
    is killed, so that a program which forks faster than it is killed cannot run away.
    """
    first = find()
    ended = {process[:2]: process for process in first}
    for process in first:
        send(process, signal.SIGTERM)
    until = time.monotonic() + grace
    while (left := find()) and time.monotonic() < until and len(left) <= 2 * len(first) + 16:
        time.sleep(0.005)
        reap()
    until = time.monotonic() + limit
    while left and time.monotonic() < until:
        frozen = _freeze(find)
        ended |= {process[:2]: process for process in frozen}
        for group in {process.group for process in frozen}:
            _send_group(group, signal.SIGKILL)
        for process in frozen:
            send(process, signal.SIGKILL)
        reap()
        left = find()
    return list(ended.values())


def _freeze(find: Callable[[], Sequence[Process]]) -> list[Process]:
    """Stop all that `find` names, and whole process groups at once, until no new one appears."""
    frozen: dict[tuple[object, ...], Process] = {}
    while fresh := [process for process in find() if process[:2] not in frozen]:
        for group, member in {process.group: process for process in fresh}.items():
            # The member that was just stopped keeps the number of its group from being used anew.
            if send(member, signal.SIGSTOP):
                _send_group(group, signal.SIGSTOP)
        for process in fresh:
            send(process, signal.SIGSTOP)
            frozen[process[:2]] = process
    return list(frozen.values())


def _send_group(group: int, number: signal.Signals) -> None:
    if group > 1 and group != os.getpgrp():
        with contextlib.suppress(OSError):
            os.killpg(group, number)


def reap(tell: Callable[[int, int], None] = lambda pid, status: None) -> bool:
    """Collect every ended child, telling of each; returns whether live ones are left."""
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            tell(*ended)
    except ChildProcessError:
        return False
    return True


def outputs(
    commands: Sequence[Sequence[str]], seconds: float, environment: Mapping[str, str] | None = None
) -> list[str | None]:
    """What small programs say, stripped, all asked at once; None of one that fails or is late.

    `environment`: None is our own.
    """
    until = time.monotonic() + seconds
    return [_output(child, until) for child in [_ask(command, environment) for command in commands]]


def filtered(command: Sequence[str], given: str, seconds: float) -> str | None:
    """What a filter makes of `given`, or what it had written when its time was up; None where it cannot be run."""
    try:
        done = subprocess.run(
            command,
            input=given.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            start_new_session=True,
        )
    except OSError:
        return None
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b'').decode('utf-8', 'replace')
    return done.stdout.decode('utf-8', 'replace')


def complaint(command: Sequence[str], given: str, seconds: float) -> str | None:
    """What a program says on standard error of `given` where it refuses it; None where it does not, or did not run."""
    try:
        done = subprocess.run(
            command, input=given.encode(), capture_output=True, timeout=seconds, env={}, start_new_session=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stderr.decode('utf-8', 'replace') if done.returncode else None


def _ask(command: Sequence[str], environment: Mapping[str, str] | None) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except OSError:
        return None


def _output(child: subprocess.Popen[bytes] | None, until: float) -> str | None:
    if child is None:
        return None
    with child:
        try:
            said, _ = child.communicate(timeout=max(0.0, until - time.monotonic()))
        except (subprocess.TimeoutExpired, OSError):
            child.kill()
            return None
    return None if child.returncode else said.decode('utf-8', 'replace').strip()


class _Limit:
    """Until when a program may run: its own seconds, put off by what the machine took from them."""

    def __init__(self, seconds: float) -> None:
        self.until = self._planned = time.monotonic() + seconds
        self._latest = self._planned + (PATIENCE - 1) * seconds
        self._credited = 0.0

    @property
    def excused(self) -> float:
        """Seconds by which it was put off."""
        return self.until - self._planned

    def put_off(self, seconds: float) -> None:
        self.until += seconds
        self._latest += seconds

    def is_reached(self, pid: int, now: float) -> bool:
        """Whether time is up, what the program below `pid` waited for a processor not counted."""
        while now >= self.until:
            waited = _waited_for_processor(pid)
            if waited - self._credited < _WORTH_WAITING or now >= self._latest:
                return True
            self.until, self._credited = min(self.until + waited - self._credited, self._latest), waited
        return False


class Supervisor:
    """Runs programs one at a time; what they leave running belongs to an owner until that owner is ended.

    `interrupt()` may be called from a signal handler: the running program is ended, and none starts any more.
    """

    def __init__(self) -> None:
        _hear_all_signals()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), 'prctl(PR_SET_CHILD_SUBREAPER)')
        for entry in os.listdir('/proc/self/fd'):
            if int(entry) > 2:  # a descriptor of our parent's (make's job server) is none of a product's business
                _close_on_exec(int(entry))
        self.beat: Callable[[], None] = lambda: None  # what is to be done about once a second while a program runs
        self._interrupts, self._interrupted_at = 0, -_ONE_INTERRUPT
        self._pardoned = 0
        self._null = os.open('/dev/null', os.O_RDWR | os.O_CLOEXEC)
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._left: dict[int, tuple[Process, str]] = {}  # by pid: survivors of earlier runs, and their owner
        self._open: dict[int, tuple[Captured, str]] = {}  # pipes that survivors hold, what they said, and their owner
        self._last_words: list[tuple[Captured, str]] = []  # likewise, of pipes that nobody holds any more
        self._died: list[tuple[str, str, signal.Signals]] = []  # survivors: their owner, which, of what
        self._enclosures: dict[str, tuple[Process, Process]] = {}  # by owner: the keeper, and the first process inside

    def interrupt(self) -> None:
        """Count an interrupt; right after another it is the same one: a terminal, a shell and make each tell of it."""
        now = time.monotonic()
        if now - self._interrupted_at > _ONE_INTERRUPT:
            self._interrupts, self._interrupted_at = self._interrupts + 1, now
        os.write(self._waker, b'!')

    @property
    def interrupted(self) -> bool:
        return self._interrupts > self._pardoned

    @contextlib.contextmanager
    def despite_one_interrupt(self) -> Iterator[None]:
        """Run what must still be run after an interrupt; a second one ends that too."""
        self._pardoned = 1
        try:
            yield
        finally:
            self._pardoned = 0

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        seconds: float,
        owner: str,
        scan: Scan | None = None,
        grace: float = GRACE_SECONDS,
        keep_bytes: int = KEEP_BYTES // 2,
    ) -> Ran:
        """Run `argv` to its end or for `seconds`, standard input empty, `keep_bytes` of each output captured.

        Time in which the machine was suspended, or too busy to let the program run though it could,
        does not count against it (within limits).

        Whatever is left running afterwards belongs to `owner`: a NAME=value of its environment,
        which tells its processes from another owner's.
        """
        out, err = Captured(keep_bytes, scan), Captured(keep_bytes, scan)
        started = time.monotonic()
        if self.interrupted:
            return Ran(End.INTERRUPTED, None, 0.0, out, err)
        out_read, out_write = os.pipe2(os.O_CLOEXEC)
        err_read, err_write = os.pipe2(os.O_CLOEXEC)
        try:
            child = subprocess.Popen(
                argv,
                stdin=self._null,
                stdout=out_write,
                stderr=err_write,
                cwd=cwd,
                env=env,
                start_new_session=True,
                close_fds=False,  # every other descriptor of ours closes on exec
            )
        except (OSError, ValueError) as error:
            os.close(out_read)
            os.close(err_read)
            return Ran(End.NOT_STARTED, None, 0.0, out, err, str(error))
        finally:
            os.close(out_write)
            os.close(err_write)
        pipes = {out_read: out, err_read: err}
        end, excused = self._watch(child.pid, pipes, seconds, started)
        if end is None and _killed_before_it_began(child.pid):  # Ctrl-C hits it until it has a session of its own
            end = End.INTERRUPTED
        if end is None:
            _, status, used = os.wait4(child.pid, 0)
        else:
            self._end_run(owner, grace)
        child.returncode = 0  # reaped here, not by subprocess
        took = time.monotonic() - started
        self._settle(owner, pipes)
        if end is not None:
            return Ran(end, None, took, out, err, excused_seconds=excused)
        if os.WIFSIGNALED(status):
            end, number = End.SIGNALLED, 128 + os.WTERMSIG(status)
        else:
            end, number = End.EXITED, os.WEXITSTATUS(status)
        return Ran(end, number, took, out, err, '', used.ru_utime + used.ru_stime, excused)

    def enclose(self, argv: Sequence[str], *, env: Mapping[str, str], owner: str, seconds: float = 60.0) -> Process:
        """Start what keeps an owner's name spaces until that owner is ended; returns the first process inside.

        `argv` stays, with that process as its only child, which says READY once all stands; raises OSError with
        what was said instead. These two are never survivors; whatever else is found below them is the owner's.
        """
        read, write = os.pipe2(os.O_CLOEXEC)
        with open(read, 'rb', buffering=0) as said:
            try:
                keeper = subprocess.Popen(
                    argv,
                    stdin=self._null,
                    stdout=write,
                    stderr=write,
                    cwd='/',
                    env=env,
                    start_new_session=True,
                    close_fds=False,
                )
            finally:
                os.close(write)
            keeper.returncode = 0  # reaped here, not by subprocess
            text = _until_ready(said, time.monotonic() + seconds)
        found = [process for pid in (keeper.pid, *_children(keeper.pid)) if (process := look_up(pid))]
        if text == READY and len(found) == 2:
            self._enclosures[owner] = (found[0], found[1])
            return found[1]
        end_all(lambda: [process for process in found if is_alive(process)])
        raise OSError(text.decode('utf-8', 'replace').strip() or f'{argv[0]} was not ready within {seconds:g} s')

    def idle(self, seconds: float) -> None:
        """Wait; survivors' output is drained meanwhile, an interrupt ends the wait."""
        until = time.monotonic() + seconds
        while not self.interrupted and (left := until - time.monotonic()) > 0:
            for descriptor, _ in self._poll.poll(left * 1000):
                self._drain(descriptor)

    def survivors(self, owner: str) -> list[Process]:
        """What still runs of an owner's."""
        if not reap(self._note_death):
            self._left.clear()
            return []
        self._adopt(owner)
        return [process for process, of in self._left.values() if of == owner]

    def heard(self, owner: str, scan: Scan | None = None) -> Heard:
        """What an owner's survivors said and died of since this was last asked; `scan` is for what they say next."""
        if not (self._open or self._last_words or self._left or self._died):
            return Heard()
        reap(self._note_death)
        for descriptor in [descriptor for descriptor, (_, of) in self._open.items() if of == owner]:
            for _ in range(_MOST_CHUNKS):
                if not self._drain(descriptor) or descriptor not in self._open:
                    break
        said = [captured for captured, of in (*self._last_words, *self._open.values()) if of == owner]
        died = [(who, number) for of, who, number in self._died if of == owner]
        self._forget_words(owner)
        for descriptor, (_, of) in self._open.items():
            if of == owner:
                self._open[descriptor] = (Captured(KEEP_BYTES // 2, scan), owner)
        return Heard(tuple(captured for captured in said if captured.parts()[0]), tuple(died))

    def end_owner(self, owner: str, grace: float = GRACE_SECONDS) -> list[Process]:
        """End all that still runs of an owner's, children born meanwhile included; returns what was ended."""
        ended = end_all(lambda: self.survivors(owner), grace)
        enclosure = self._enclosures.pop(owner, ())
        end_all(lambda: [process for process in enclosure if is_alive(process)])
        reap()
        self._left = {pid: entry for pid, entry in self._left.items() if entry[1] != owner}
        for descriptor in [descriptor for descriptor, (_, of) in self._open.items() if of == owner]:
            self._drain(descriptor)
            self._forget(descriptor)
        self._forget_words(owner)
        return ended

    # -- inside -----------------------------------------------------------------------------

    def _watch(self, pid: int, pipes: dict[int, Captured], seconds: float, seen: float) -> tuple[End | None, float]:
        """Drain the pipes until the child has ended (None) or must be, and why; and how long its limit was put off.

        `seen`: when we last were at work.
        """
        limit = _Limit(seconds)
        pause, look_again = _FIRST_PAUSE, time.monotonic() + _FIRST_PAUSE
        child = os.pidfd_open(pid)
        for descriptor in pipes:
            os.set_blocking(descriptor, False)
            self._poll.register(descriptor, select.POLLIN)
        self._poll.register(child, select.POLLIN)
        try:
            while True:
                with contextlib.suppress(OSError):  # not while a program is to be watched
                    self.beat()
                now = time.monotonic()
                if limit.is_reached(pid, now):
                    return End.TIMED_OUT, limit.excused
                if now >= look_again:
                    self._reap_all_but(pid)
                    pause = min(2 * pause, _HEARTBEAT)
                    look_again = now + pause
                wait = max(0.0, min(limit.until, look_again) - now)
                ready = [descriptor for descriptor, _ in self._poll.poll(wait * 1000 + 1)]
                late, seen = time.monotonic() - seen - wait, time.monotonic()
                if late > _HEARTBEAT:
                    limit.put_off(late)  # we were stopped or suspended: that time was not the program's
                self._take(ready, child, pipes)
                if child in ready:
                    return None, limit.excused
                if self.interrupted:
                    return End.INTERRUPTED, limit.excused
        finally:
            self._poll.unregister(child)
            os.close(child)

    def _take(self, ready: Iterable[int], child: int, pipes: dict[int, Captured]) -> None:
        for descriptor in ready:
            if descriptor in pipes:
                self._read(descriptor, pipes)
            elif descriptor != child:
                self._drain(descriptor)

    def _read(self, descriptor: int, pipes: dict[int, Captured]) -> bool:
        """Take one chunk; False where none is there now. A pipe at its end is closed and dropped."""
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if data:
            pipes[descriptor].add(data)
            return True
        self._poll.unregister(descriptor)
        os.close(descriptor)
        del pipes[descriptor]
        return False

    def _drain(self, descriptor: int) -> bool:
        """Take what a survivor wrote, or what woke us; False where there was nothing."""
        if descriptor == self._wake:
            os.read(self._wake, 64)
            return True
        streams = {descriptor: self._open[descriptor][0]}
        took = self._read(descriptor, streams)
        if not streams:
            self._last_words.append(self._open.pop(descriptor))
        return took

    def _settle(self, owner: str, pipes: dict[int, Captured]) -> None:
        """After a run: take what is in the pipes, keep those that survivors hold, and note the survivors."""
        for descriptor in list(pipes):
            # Bounded: a survivor that floods the pipe must not hold us here.
            for _ in range(_MOST_CHUNKS):
                if not self._read(descriptor, pipes):
                    break
        for descriptor, captured in pipes.items():
            self._open[descriptor] = (Captured(KEEP_BYTES // 2, captured.scan), owner)
        if reap(self._note_death):
            self._adopt(owner)
        else:
            self._left.clear()

    def _reap_all_but(self, pid: int) -> None:
        """Or a program that waits for a daemon to be gone (`while kill -0 …`) waits for what only we can take away."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid != pid:
                self._note_death(*os.waitpid(ended.si_pid, 0))

    def _note_death(self, pid: int, status: int) -> None:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if number in (*FAULTS, signal.SIGKILL) and pid in self._left:
            process, owner = self._left[pid]
            self._died.append((owner, f'{process.name} (pid {pid})', signal.Signals(number)))

    def _forget_words(self, owner: str) -> None:
        self._last_words = [words for words in self._last_words if words[1] != owner]
        self._died = [death for death in self._died if death[0] != owner]

    def _forget(self, descriptor: int) -> None:
        if self._open.pop(descriptor, None):
            self._poll.unregister(descriptor)
            os.close(descriptor)

    def _adopt(self, owner: str) -> None:
        """Give every live descendant an owner: its parent's, its environment's, its session's, else `owner`.

        Other owners' enclosures are not looked into: nothing leaves them, and there may be many.
        """
        reap(self._note_death)
        elsewhere = {keeper.pid: of for of, (keeper, _) in self._enclosures.items() if of != owner}
        now = {pid: entry for pid, entry in self._left.items() if entry[1] in elsewhere.values()}
        owners = {of for _, of in self._left.values()} | {owner}
        sessions = {process.session: of for process, of in self._left.values()}
        for process in descendants(os.getpid(), elsewhere):
            known = self._left.get(process.pid)
            if known and known[0].started == process.started:
                now[process.pid] = (process, known[1])
            elif process.parent in now:
                now[process.pid] = (process, now[process.parent][1])
            else:
                environment = set(environment_of(process.pid).split(b'\0'))
                named = [of for of in owners if os.fsencode(of) in environment]
                now[process.pid] = (process, named[0] if named else sessions.get(process.session, owner))
        for process in self._enclosures.get(owner, ()):
            now.pop(process.pid, None)
        reap(self._note_death)  # of those that were dead by the time of the walk
        self._left = now

    def _end_run(self, owner: str, grace: float) -> None:
        """End the child and all that this run started, but none of the earlier runs' survivors."""
        earlier = dict(self._left)

        def of_this_run() -> list[Process]:
            self._adopt(owner)
            kept = {process.pid for process, _ in earlier.values() if is_alive(process)}
            found = []
            for process, of in self._left.values():
                if process.pid in kept or process.parent in kept:
                    kept.add(process.pid)
                elif of == owner:
                    found.append(process)
            return found

        end_all(of_this_run, grace)
        reap()


def _killed_before_it_began(pid: int) -> bool:
    """Whether a child that has ended, and was not reaped yet, was killed when it was still a copy of us."""
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    if ended is None or ended.si_code == os.CLD_EXITED:
        return False
    its = look_up(pid)
    return its is not None and its.is_copy


def _hear_all_signals() -> None:
    """Ignore nothing by disposition and block nothing, or programs would do so too: they start as from a login.

    make's jobs ignore Ctrl-C where make runs in the background; a caller that ignores SIGCHLD would have its children's
    statuses thrown away. A handler that does nothing is reset by exec. (What Python ignores, subprocess resets.)
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def _until_ready(said: IO[bytes], until: float) -> bytes:
    """What is said until it is READY, the stream's end, or the time is up."""
    text = b''
    poll = select.poll()
    poll.register(said, select.POLLIN)
    while text != READY and (left := until - time.monotonic()) > 0 and poll.poll(left * 1000):
        if not (data := said.read(_CHUNK)):
            break
        text += data
    return text


def _close_on_exec(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # the descriptor that listed the folder is closed again
        os.set_inheritable(descriptor, False)


def which(command: str, path: str) -> str | None:
    """The executable a shell would find for `command` on `path`; a path with a slash stands for itself."""
    if '/' in command:
        return command if os.access(command, os.X_OK) and not Path(command).is_dir() else None
    for folder in path.split(os.pathsep):
        found = os.path.join(folder or '.', command)
        if os.access(found, os.X_OK) and os.path.isfile(found):
            return found
    return None

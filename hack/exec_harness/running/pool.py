"""Does each task in a forked process of its own, a few at once: whatever befalls one, the others go on.

The process that calls `run` has one thread and has imported all that a task needs: a worker then starts in
milliseconds. A worker that dies takes what it had started with it, and so does the caller, however it ends.
"""

import contextlib
import ctypes
import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, NoReturn

from hack.common import process

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_CHUNK: Final = 1 << 16
_HEADER: Final = 9  # of what a worker hands over: how it went, then the number of bytes that follow
_HEARTBEAT: Final = 1.0  # seconds
_DONE: Final = b'd'
_CRASHED: Final = b'c'


class Task(NamedTuple):
    """Work for one worker: returns what is handed over. It is ended, as a fault of its own, after `seconds`."""

    do: Callable[[], bytes]
    seconds: float


class Ending(NamedTuple):
    """What became of a task: what it handed over, or why it handed over nothing."""

    number: int
    said: bytes
    death: str = ''


class _Worker(NamedTuple):
    number: int
    pid: int
    handle: int
    said: bytearray
    until: float
    seconds: float


class Pool:
    """Workers of one run; `stop()` may be called from a signal handler: no task starts any more, those at work end."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._workers: dict[int, _Worker] = {}  # by the pipe that each one speaks through: at its end, so is the worker
        self._poll = select.poll()
        self._others: set[int] = set()  # of our children: not of this pool
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True
        self._signal_all(signal.SIGTERM)

    def run(self, tasks: Iterable[Task]) -> Iterator[Ending]:
        """Each task's ending as it comes; of tasks that were not begun before `stop`, none."""
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # what a dead worker leaves behind comes to us
        self._others = {child.pid for child in process.descendants(os.getpid())}
        waiting = enumerate(tasks)
        try:
            while True:
                while not self.stopped and len(self._workers) < self.jobs and (task := next(waiting, None)):
                    self._start(*task)
                if not self._workers:
                    return
                yield from self._heard()
        finally:
            self._signal_all(signal.SIGKILL)
            while self._workers:
                list(self._heard())

    # -- inside ------------------------------------------------------------------------------

    def _signal_all(self, number: signal.Signals) -> None:
        for worker in list(self._workers.values()):
            _signal(worker, number)

    def _start(self, number: int, task: Task) -> None:
        read, write = os.pipe2(os.O_CLOEXEC)
        caller = os.getpid()
        pid = os.fork()
        if pid == 0:
            _work(task, write, caller)
        os.close(write)
        until = time.monotonic() + task.seconds
        self._workers[read] = _Worker(number, pid, os.pidfd_open(pid), bytearray(), until, task.seconds)
        self._poll.register(read, select.POLLIN)
        if self.stopped:  # meanwhile
            _signal(self._workers[read], signal.SIGTERM)

    def _heard(self) -> Iterator[Ending]:
        """Wait for something to happen, and tell of the workers that ended by it."""
        until = min(worker.until for worker in self._workers.values())
        # A signal that comes just before the wait does not end it, and its handler runs only after it: so it is short.
        wait = min(max(0.0, until - time.monotonic()), _HEARTBEAT)
        for pipe, _ in self._poll.poll(wait * 1000 + 1):
            if data := os.read(pipe, _CHUNK):
                self._workers[pipe].said.extend(data)
            else:
                yield self._ending(pipe)
        for pipe, worker in list(self._workers.items()):
            if time.monotonic() >= worker.until:
                _signal(worker, signal.SIGKILL)
                yield self._ending(pipe, f'had no end after {worker.seconds:g} s')

    def _ending(self, pipe: int, why: str = '') -> Ending:
        worker = self._workers.pop(pipe)
        self._poll.unregister(pipe)
        death = why or _death(worker.pid)
        os.close(pipe)
        os.close(worker.handle)
        how, length, said = worker.said[:1], worker.said[1:_HEADER], bytes(worker.said[_HEADER:])
        is_whole = len(length) == _HEADER - 1 and int.from_bytes(length) == len(said)
        if is_whole and how == _DONE and not why:
            return Ending(worker.number, said)
        self._end_orphans()
        return Ending(worker.number, b'', said.decode().strip() if is_whole and how == _CRASHED else death)

    def _end_orphans(self) -> None:
        """Workers at work keep what they start below them: all else below us was a dead worker's."""

        def orphans() -> list[process.Process]:
            return process.descendants(os.getpid(), self._others | {worker.pid for worker in self._workers.values()})

        if orphans():
            process.end_all(orphans)


def _work(task: Task, pipe: int, caller: int) -> NoReturn:
    """A worker's whole life: Ctrl-C at a terminal is not for it, and it does not outlive its caller."""
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != caller:
            os._exit(1)
        said, how = task.do(), _DONE
    except BaseException:
        said, how = traceback.format_exc().encode('utf-8', 'backslashreplace'), _CRASHED
    try:
        with open(pipe, 'wb') as file:
            file.write(how + len(said).to_bytes(_HEADER - 1) + said)
    finally:
        os._exit(0)


def _death(pid: int) -> str:
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:  # reaped when a dead worker's processes were ended
        return 'died'
    if os.WIFSIGNALED(status):
        return f'was killed by signal {os.WTERMSIG(status)}'
    return f'ended with status {os.WEXITSTATUS(status)} and said nothing'


def _signal(worker: _Worker, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(worker.handle, number)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), 'prctl')

"""What the machine did to a run, asked only where something went wrong: what it did is not the product's fault."""

import errno
import os
import re
import resource
import signal
from collections.abc import Sequence
from typing import Final

from hack.common import files
from hack.common.process import Ran

_FULL: Final = ('disk is full',)  # as SQLite and others put it
_LONGEST_WAIT: Final = 50  # times the processor time it used itself: longer waits no program on a machine of use
_NOT_EXECUTABLE: Final = 126
_KILLED: Final = 128 + signal.SIGKILL


class Memory:
    """Whether the kernel had to kill for want of memory since this was last asked.

    Source: `oom_kill` of /proc/vmstat, which counts for the whole machine, limits of control groups included. Each
    kill is an excuse once, so that a later death by signal is not put down to it.
    """

    def __init__(self) -> None:
        self._kills = _oom_kills()
        self._has_lost_one = False

    def lost_one(self) -> None:
        """Something that runs on was killed, nobody knows by whom."""
        self._has_lost_one = True

    def explains(self, status: int | None, said: bytes) -> bool:
        """Whether something of what ran was killed, and the kernel did kill."""
        if not (status == _KILLED or self._has_lost_one or b'Killed' in said):
            return False
        before, self._kills, self._has_lost_one = self._kills, _oom_kills(), False
        return self._kills > before


def _oom_kills() -> int:
    """0 where the kernel does not say."""
    try:
        with open('/proc/vmstat', 'rb') as file:
            return int(file.read().rpartition(b'\noom_kill ')[2].split(b'\n', 1)[0])
    except (OSError, ValueError):
        return 0


def trouble(status: int | None, said: bytes, folders: Sequence[str], memory: Memory, bash: bytes = b'') -> str | None:
    """What was wrong while a program ran, if anything was.

    `said`: all that it printed; `folders`: where it may have written; `bash`: by which its own bash speaks of itself,
    as a regular expression, where it has one.
    """
    for folder in folders:
        if why := files.cannot_write(folder):
            return why
        if status == _NOT_EXECUTABLE and not files.may_hold_programs(folder):
            return f'{folder}: no program in it can be run (mounted noexec; have TMPDIR elsewhere)'
    telling = [*_FULL, *(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))]
    if resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY:
        if status == 128 + signal.SIGXFSZ:
            return 'a file grew past the limit this run was started with (ulimit -f)'
        telling += [os.strerror(errno.EFBIG), signal.strsignal(signal.SIGXFSZ) or '']
    # What filled the disk may be gone again: a product that fails tends to clean up.
    if bash and re.search(rb'^%b: (?:line \d+: )?fork: ' % bash, said, re.M):
        return 'its bash could start no further process'
    if memory.explains(status, said):
        return 'the kernel killed for want of memory while it ran (free some, or raise the limit it ran in)'
    told = re.search('|'.join(telling).encode(), said, re.I)  # Go and Node write it in small letters
    return f'it said: {told[0].decode()}' if told else None


def most_waited(ran: Ran, pressure: float, has_daemons: bool) -> float:
    """The most seconds that a run can have waited for a processor. `pressure`: as it was before the run."""
    waited = cpu_pressure() - pressure  # of any process on this machine
    return waited if has_daemons else min(waited, _LONGEST_WAIT * ran.cpu_seconds)  # a daemon may have done its work


def cpu_pressure() -> float:
    """Seconds since boot in which some process waited for a processor; 0 where the kernel does not say."""
    try:
        with open('/proc/pressure/cpu', encoding='ascii') as file:
            return int(file.readline().rpartition('total=')[2]) / 1e6
    except (OSError, ValueError):
        return 0.0

"""A chain in bubblewrap: the system read-only; /tmp, devices, processes and a loopback-only network of its own.

One sandbox a chain, shared by all that the chain runs, so that a daemon that one journey left is
reached by the next. The sandbox is kept by a process that does nothing; each step enters it
(nsenter), in a session of its own. It guards against what a product does by mistake: a product
that runs as root and means harm can mount the system anew.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from hack.common import process
from hack.common.process import End, Process, Ran, Supervisor, which
from hack.dogfood.model import Journey
from hack.dogfood.running.workspace import Workspace

PACKAGES: Final = {'bwrap': 'bubblewrap', 'nsenter': 'util-linux', 'setsid': 'util-linux', 'env': 'coreutils'}
_TEMPORARY: Final = {'/tmp': '1777', '/var/tmp': '1777', '/run': '0755'}  # with the mode that each has
# SIGCHLD is ignored, so that the kernel reaps what the first process inherits (dash would not hand that on to sleep);
# no signal from inside ends process 1.
_KEEP: Final = f'trap "" CHLD; echo {process.READY.decode().strip()}; exec sleep infinity'
_SPACES: Final = ('--mount', '--net', '--pid', '--ipc', '--uts')
_NS_GET_USERNS: Final = 0xB701  # ioctl_ns(2)


class Sandbox(NamedTuple):
    """A chain's sandbox while it stands; it ends with its owner (Supervisor.end_owner)."""

    first: Process  # keeps it
    enter: tuple[str, ...]
    settle: tuple[str, ...]  # between the folder and the program: a session of its own
    user_space: int | None  # a descriptor that `enter` speaks of

    def wrap(self, argv: Sequence[str], cwd: str) -> Sequence[str]:
        """`argv` as run inside, in `cwd`: its exit status, or its death by a signal, comes through."""
        return (*self.enter, f'--chdir={cwd}', *self.settle, *argv)

    def seen(self, path: str) -> str:
        """Where we see what is seen as `path` inside."""
        return f'/proc/{self.first.pid}/root{path}'

    def ended(self) -> str | None:
        """Why nothing can be run inside any more."""
        # The first process loses its root before all that is inside is ended, and is gone after that.
        stands = process.is_alive(self.first) and os.path.exists(self.seen('/'))
        return None if stands else "the chain's sandbox has ended"

    def close(self) -> None:
        if self.user_space is not None:
            os.close(self.user_space)


def wanted(run_asks: str | None, journeys: Iterable[Journey]) -> bool:
    """Whether a chain belongs in a sandbox: all of it where any journey does, since its journeys share their state."""
    return run_asks is not None or any(journey.sandbox is not None for journey in journeys)


def unusable(supervisor: Supervisor, path: str) -> str | None:
    """What sandboxes lack on this machine and what to do about it, found by trying one; None: nothing."""
    for command, package in PACKAGES.items():
        if which(command, path) is None:
            return f'{command}, which is not installed (apt-get install {package})'
    try:
        with tempfile.TemporaryDirectory(prefix='dogfood-') as folder:
            ran = _trial(supervisor, folder, path)
    except OSError as error:
        return f'bwrap, which does not work here: {" ".join(str(error).split())}'
    if ran.status == 0 or ran.end is End.INTERRUPTED:  # an interrupt is no reason to skip a journey for good
        return None
    said = b''.join(ran.err.parts()).decode('utf-8', 'replace')
    return f'bwrap, whose sandbox cannot be entered here: {" ".join(said.split()) or ran.end.value}'


def _trial(supervisor: Supervisor, folder: str, path: str) -> Ran:
    space, environment = Workspace(folder, 'trial', 1, '', ''), {'PATH': path}
    try:
        sandbox = start(supervisor, space, environment, path)
        argv = sandbox.wrap(('true',), folder)
        ran = supervisor.run(argv, cwd=folder, env=environment, seconds=60, owner=space.owner)
        sandbox.close()
        return ran
    finally:
        supervisor.end_owner(space.owner)


def start(supervisor: Supervisor, space: Workspace, environment: Mapping[str, str], path: str) -> Sandbox:
    """The chain's sandbox; raises OSError where it does not come to stand.

    What `environment` points to is seen inside: the folders of PATH, the markers, the shell's prelude.
    The sandbox's own programs come from `path`: no product can stand in for them.
    """
    bwrap, nsenter, setsid, env = (which(command, path) or command for command in PACKAGES)
    single = [environment[name] for name in ('DOGFOOD_CAPABILITIES', 'BASH_ENV') if name in environment]
    seen = [place for place in (*environment['PATH'].split(':'), *single) if os.path.isabs(place)]
    argv = (bwrap, *arguments(space.folder, seen))
    first = supervisor.enclose(argv, env={**environment, 'PATH': path}, owner=space.owner)
    try:
        user_space = _user_space(first.pid)
    except OSError:
        supervisor.end_owner(space.owner)
        raise
    enter: tuple[str, ...] = (nsenter, f'--target={first.pid}', *_SPACES)
    if user_space is not None:
        # bwrap makes two user name spaces: one that owns the others, and in it one where the user is himself again.
        enter += (f'--user=/proc/{os.getpid()}/fd/{user_space}', '--preserve-credentials', '--')
        enter += (nsenter, '--target=1', '--user', '--preserve-credentials')
    return Sandbox(first, (*enter, '--', env), (setsid, '--'), user_space)


def arguments(folder: str, seen: Iterable[str]) -> list[str]:
    """For bwrap: all read-only, its own temporary folders, in these again what is `seen`, and `folder` to write to."""
    made = ['--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc']
    hidden = ['/dev/', '/proc/']
    for place, mode in _TEMPORARY.items():
        if os.path.isdir(real := os.path.realpath(place)):
            made += ['--perms', mode, '--tmpfs', real]
            hidden.append(f'{real}/')
    for path, how in [*((path, '--ro-bind-try') for path in seen), (folder, '--bind')]:
        real = os.path.realpath(path)
        if how == '--bind' or real.startswith(tuple(hidden)):
            made += [how, path, real]
        if path != real and path.startswith(tuple(hidden)):
            made += [how, path, path]
    made += ['--unshare-pid', '--unshare-net', '--unshare-ipc', '--unshare-uts']
    return [*made, '--die-with-parent', '--as-pid-1', '--', 'bash', '-c', _KEEP]


def _user_space(pid: int) -> int | None:
    """A descriptor of the user name space that owns the process's others; None where that is our own (for root)."""
    with open(f'/proc/{pid}/ns/net', 'rb') as net:
        owning = fcntl.ioctl(net, _NS_GET_USERNS)
    if os.path.samestat(os.fstat(owning), os.stat('/proc/self/ns/user')):
        os.close(owning)
        return None
    return owning

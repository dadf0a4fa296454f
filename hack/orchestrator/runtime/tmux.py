"""The one module that knows tmux: exact targets, a socket that is always named, and a limit on every call."""

import os
import re
import select
import signal
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from hack.common.errors import UserError

SECONDS: Final = 5.0  # a server that is stopped blocks every call
OLDEST: Final = (3, 2)
_LONGEST: Final = 8000  # bytes of a command line: what the client sends to the server has 16 KiB
_PANES: Final = (
    '#{pane_pid}|#{pane_id}|#{pane_dead}|#{pane_dead_status}|#{pane_dead_signal}|#{session_created}|#{pid}|'
    '#{session_name}'
)
_NO_SERVER: Final = (
    r'no server running|error connecting to .*\((No such file|Connection refused)|lost server|server exited'
)
_DONE_BEFORE: Final = 'duplicate session|still active'
_NO_START: Final = '-N'
_NOT_PASSED_ON: Final = ('TMUX', 'TMUX_PANE', 'AGENT_SLOT', 'AGENT_CONFIG', 'AGENT_STATE')
_SIZE: Final = ('-x', '200', '-y', '50')
_GAP: Final = r'\n(?: *\n){2,}'
_EXIT_CODE: Final = 49  # of the fields of /proc/PID/stat behind the name; as waitpid has it. Source: proc(5)
_CUT: Final = '\x02'  # tmux prints it as it is, and no screen holds it


class HungError(Exception):
    """The server did not answer in time: nothing is known."""


class RefusedError(Exception):
    """tmux said no, and why."""


class Pane(NamedTuple):
    session: str
    pid: int
    id: str
    dead: bool
    exit_status: int | None  # None while it lives, or where a signal ended it
    signal: str
    created: int  # of the session; seconds since the epoch
    server: int  # its pid


class Launch(NamedTuple):
    """A session to be there: `pane` is the one to run in where the session is there already."""

    session: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    pane: str = ''


class Tmux(NamedTuple):
    """A server by its socket; `own` is one that no user's configuration has a part in."""

    socket: Path
    own: bool
    environment: Mapping[str, str]

    def command(self, *arguments: str) -> list[str]:
        """For the server that is there: none is ever started in passing, beside one that has lost its socket."""
        return ['tmux', '-S', str(self.socket), *(('-f', '/dev/null') if self.own else ()), _NO_START, *arguments]

    def run(self, *arguments: str, given: str | None = None) -> str:
        """What the command printed; raises HungError, RefusedError, and UserError where there is no tmux."""
        return self._run(self.command(*arguments), given)

    def _run(self, command: Sequence[str], given: str | None) -> str:
        status, printed, complained = _outcome(command, (given or '').encode(), self.environment)
        if status:
            raise RefusedError(complained.strip())
        return printed

    def panes(self) -> dict[str, Pane]:
        """The first pane of every session, by session: one call for any number; none where there is no server."""
        try:
            printed = self.run('list-panes', '-a', '-F', _PANES)
        except RefusedError as refused:
            if re.search(_NO_SERVER, str(refused)):
                return {}
            raise UserError(f'tmux: {refused} (see doctor)') from None
        return {session: _settled(pane) for session, pane in _panes(printed).items()}

    def start(self, launches: Sequence[Launch], create: bool = False) -> list[str]:
        """Start them all, many in a call; returns why each that did not start did not. Raises HungError.

        `create`: the first one starts the server, too.
        """
        commands = [_starting(launch) for launch in launches]
        if not create:
            return self._each(commands)
        first = [word for word in self.command(*commands[0]) if word != _NO_START]
        try:
            self._run(first, None)
        except RefusedError as refused:
            return [str(refused)]
        return self._each(commands[1:])

    def end(self, sessions: Iterable[str]) -> list[str]:
        """End sessions: their programs get HUP. Returns problems; that one is gone already is none."""
        problems = self._each([['kill-session', '-t', f'={session}'] for session in sessions])
        return [why for why in problems if "can't find session" not in why and not re.search(_NO_SERVER, why)]

    def _each(self, commands: list[list[str]]) -> list[str]:
        problems: list[str] = []
        for chunk in _chunks(commands):
            try:
                self.run(*_chained(chunk))
            except RefusedError as refused:
                # The rest of a chain is not run: one by one says which, and does the rest.
                if len(chunk) == 1:
                    problems.append(str(refused))
                else:
                    again = (why for command in chunk for why in self._each([command]))
                    problems += [why for why in again if not re.search(_DONE_BEFORE, why)]
        return problems

    def screens(self, panes: Sequence[Pane], lines: int = 0) -> dict[str, str]:
        """What each pane shows, with as many lines of history, by session; those that are gone are left out.

        The empty lines between the last word of a program and the foot of the screen are one.
        """
        commands = [
            ['display-message', '-p', '-t', pane.id, f'{_CUT}{pane.session}']
            + [';', 'capture-pane', '-p', '-J', '-t', pane.id, '-S', f'-{lines}']
            for pane in panes
        ]
        shown: dict[str, str] = {}
        for chunk in _chunks(commands):
            for part in self._printed(chunk).split(_CUT)[1:]:
                session, _, text = part.partition('\n')
                shown[session] = re.sub(_GAP, '\n\n', text).lstrip('\n')
        return shown

    def _printed(self, commands: list[list[str]]) -> str:
        try:
            return self.run(*_chained(commands))
        except RefusedError:
            return ''.join(self._printed([one]) for one in commands) if len(commands) > 1 else ''

    def type(self, pane: str, text: str) -> None:
        """Type a text, several lines as one, and Enter; raises HungError, RefusedError."""
        buffer = f'kickoff{pane}'
        self.run(
            'load-buffer', '-b', buffer, '-', ';', 'paste-buffer', '-d', '-p', '-b', buffer, '-t', pane, given=text
        )
        self.run('send-keys', '-t', pane, 'Enter')


def _outcome(command: Sequence[str], given: bytes, environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Exit status, standard output and error of a call to tmux; raises HungError, and UserError where there is none.

    As subprocess would have it, in a fraction of the time: the watchdog asks at every tick, and `status` does little
    else. The output goes to memory, of any length, so that nobody has to read it while it comes.
    """
    standard = [os.memfd_create(name) for name in ('in', 'out', 'error')]
    try:
        os.write(standard[0], given)
        os.lseek(standard[0], 0, os.SEEK_SET)
        pid = _spawned(command, clean(environment), standard)
        _await(pid)
        _, status = os.waitpid(pid, 0)
        printed, complained = (_text(file) for file in standard[1:])
        return os.waitstatus_to_exitcode(status), printed, complained
    finally:
        for file in standard:
            os.close(file)


def _text(file: int) -> str:
    return os.pread(file, os.fstat(file).st_size, 0).decode(errors='replace')


def _spawned(command: Sequence[str], environment: Mapping[str, str], standard: Sequence[int]) -> int:
    places = [os.path.join(folder, command[0]) for folder in os.get_exec_path(environment)]
    program = next((place for place in places if os.access(place, os.X_OK) and os.path.isfile(place)), None)
    if program is None:
        raise UserError(f'tmux: not found on PATH (install tmux {OLDEST[0]}.{OLDEST[1]} or newer)')
    streams = [(os.POSIX_SPAWN_DUP2, file, number) for number, file in enumerate(standard)]
    undone = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores them; tmux is not to
    return os.posix_spawn(program, list(command), environment, file_actions=streams, setsigdef=undone)


def _await(pid: int) -> None:
    """Until the process has ended; where that takes too long, end it and raise HungError."""
    handle = os.pidfd_open(pid)
    try:
        ended = select.poll()
        ended.register(handle, select.POLLIN)
        if not ended.poll(1000 * SECONDS):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise HungError(f'tmux did not answer in {SECONDS:.0f} s')
    finally:
        os.close(handle)


@lru_cache(maxsize=1)  # what the watchdog sees at most ticks is what it saw at the last one
def _panes(printed: str) -> Mapping[str, Pane]:
    found: dict[str, Pane] = {}
    for pane in map(_pane, printed.splitlines()):
        # Somebody who looks on may have split the window: ours is the oldest.
        if pane.session not in found or int(pane.id[1:]) < int(found[pane.session].id[1:]):
            found[pane.session] = pane
    return found


def _settled(pane: Pane) -> Pane:
    """The pane, with how its program ended where tmux has only seen its terminal close.

    It hears of the end a little later, or never. Whoever did its work must not be taken for killed, and do it again.
    """
    if not pane.dead or pane.exit_status is not None or pane.signal.strip('0'):
        return pane
    try:
        with open(f'/proc/{pane.pid}/stat') as file:
            fields = file.read().rpartition(')')[2].split()
    except OSError:
        return pane
    if fields[0] not in 'ZX':
        return pane._replace(dead=False)  # it is just ending
    code = int(fields[_EXIT_CODE])
    return pane._replace(exit_status=None if code & 0x7F else code >> 8)


def _pane(line: str) -> Pane:
    pid, pane, dead, status, signal, created, server, session = line.split('|', 7)
    exit_status = int(status) if dead == '1' and status and not signal.strip('0') else None
    return Pane(session, int(pid), pane, dead == '1', exit_status, signal, int(created or 0), int(server))


def _starting(launch: Launch) -> list[str]:
    environment = [word for name, value in launch.environment.items() for word in ('-e', f'{name}={value}')]
    where = ['-c', str(launch.folder), *environment]
    if launch.pane:
        return ['respawn-pane', '-t', launch.pane, *where, '--', *map(_quoted, launch.command)]
    new = ['new-session', '-d', '-s', launch.session, *_SIZE, *where, '--', *map(_quoted, launch.command)]
    # In the same call: the command may be over before the next one, and its session, with how it ended, gone.
    return [*new, ';', 'set-option', '-w', '-t', f'={launch.session}:', 'remain-on-exit', 'on']


def _quoted(word: str) -> str:
    """A last `;` of a word would end the command."""
    return f'{word[:-1]}\\;' if word.endswith(';') else word


def _chained(commands: Sequence[Sequence[str]]) -> list[str]:
    first, *others = commands
    return [*first, *(word for command in others for word in (';', *command))]


def _chunks(commands: Iterable[list[str]]) -> Iterable[list[list[str]]]:
    chunk: list[list[str]] = []
    size = 0
    for command in commands:
        length = sum(len(word.encode()) + 1 for word in command)
        if chunk and size + length > _LONGEST:
            yield chunk
            chunk, size = [], 0
        chunk.append(command)
        size += length
    if chunk:
        yield chunk


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """What tmux may know of where it is called: no session that we happen to be in, and no agent."""
    return {name: value for name, value in environment.items() if name not in _NOT_PASSED_ON}


def default_socket(environment: Mapping[str, str]) -> Path:
    """The user's own server."""
    return Path(environment.get('TMUX_TMPDIR') or '/tmp', f'tmux-{os.getuid()}', 'default')


def check_version(environment: Mapping[str, str]) -> str:
    """The version; raises UserError where tmux is absent or too old."""
    _, said, _ = _outcome(['tmux', '-V'], b'', environment)
    numbers = re.search(r'(\d+)\.(\d+)', said)
    if not numbers or (int(numbers[1]), int(numbers[2])) < OLDEST:
        raise UserError(f'tmux: {said.strip()} is too old (install {OLDEST[0]}.{OLDEST[1]} or newer)')
    return said.strip()

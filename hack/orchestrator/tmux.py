"""The one module that knows tmux: exact targets, a socket that is always named, and a limit on every call."""

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
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
_NO_SERVER: Final = re.compile(
    r'no server running|error connecting to .*\((No such file|Connection refused)|lost server|server exited'
)
_DONE_BEFORE: Final = re.compile('duplicate session|still active')
_NO_START: Final = '-N'
_NOT_PASSED_ON: Final = ('TMUX', 'TMUX_PANE', 'AGENT_SLOT', 'AGENT_CONFIG', 'AGENT_STATE')
_SIZE: Final = ('-x', '200', '-y', '50')
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
        try:
            ended = subprocess.run(
                command,
                input=None if given is None else given.encode(),
                stdin=subprocess.DEVNULL if given is None else None,
                capture_output=True,
                timeout=SECONDS,
                env=clean(self.environment),
            )
        except subprocess.TimeoutExpired:
            raise HungError(f'tmux did not answer in {SECONDS:.0f} s') from None
        except FileNotFoundError:
            raise UserError(f'tmux: not found on PATH (install tmux {OLDEST[0]}.{OLDEST[1]} or newer)') from None
        if ended.returncode:
            raise RefusedError(ended.stderr.decode(errors='replace').strip())
        return ended.stdout.decode(errors='replace')

    def panes(self) -> dict[str, Pane]:
        """The first pane of every session, by session: one call for any number; none where there is no server."""
        try:
            printed = self.run('list-panes', '-a', '-F', _PANES)
        except RefusedError as refused:
            if _NO_SERVER.search(str(refused)):
                return {}
            raise UserError(f'tmux: {refused} (see doctor)') from None
        found: dict[str, Pane] = {}
        for pane in map(_pane, printed.splitlines()):
            # Somebody who looks on may have split the window: ours is the oldest.
            if pane.session not in found or int(pane.id[1:]) < int(found[pane.session].id[1:]):
                found[pane.session] = pane
        return found

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
        return [why for why in problems if "can't find session" not in why and not _NO_SERVER.search(why)]

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
                    problems += [why for why in again if not _DONE_BEFORE.search(why)]
        return problems

    def screens(self, panes: Sequence[Pane], lines: int = 0) -> dict[str, str]:
        """What each pane shows, with as many lines of history, by session; those that are gone are left out."""
        commands = [
            ['display-message', '-p', '-t', pane.id, f'{_CUT}{pane.session}']
            + [';', 'capture-pane', '-p', '-J', '-t', pane.id, '-S', f'-{lines}']
            for pane in panes
        ]
        shown: dict[str, str] = {}
        for chunk in _chunks(commands):
            for part in self._printed(chunk).split(_CUT)[1:]:
                session, _, text = part.partition('\n')
                shown[session] = text
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
    try:
        said = subprocess.run(['tmux', '-V'], capture_output=True, text=True, timeout=SECONDS, env=clean(environment))
    except FileNotFoundError:
        raise UserError(f'tmux: not found on PATH (install tmux {OLDEST[0]}.{OLDEST[1]} or newer)') from None
    numbers = re.search(r'(\d+)\.(\d+)', said.stdout)
    if not numbers or (int(numbers[1]), int(numbers[2])) < OLDEST:
        raise UserError(f'tmux: {said.stdout.strip()} is too old (install {OLDEST[0]}.{OLDEST[1]} or newer)')
    return said.stdout.strip()

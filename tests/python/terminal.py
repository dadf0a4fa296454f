"""A real terminal for tests: a tmux server of its own, on a socket of its own, ended by its own name.

with a_terminal(place.path, columns=80, rows=24) as terminal:
    terminal.run('make dogfood', TERM='dumb')
    terminal.until(lambda screen: 'passed' in screen)
"""

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.python.runs import need_commands

WAIT_SECONDS = 30.0


class Terminal(NamedTuple):
    """One window; programs run in it one after another."""

    folder: Path
    environment: dict[str, str]

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ['tmux', '-S', str(self.folder / 'tmux'), '-f', '/dev/null', *arguments],
            capture_output=True,
            env=self.environment,
            text=True,
            timeout=WAIT_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *command: str, **changed: str) -> None:
        """Start a program; `run-N.exit` in the folder holds its status when it has ended."""
        number = len(list(self.folder.glob('run-*.sh'))) + 1
        settings = ' '.join(f'{name}={shlex.quote(value)}' for name, value in changed.items())
        script = self.folder / f'run-{number}.sh'
        ended = f'trap "" INT HUP; (trap - INT; exec env {settings} {shlex.join(command)}); echo $? > run-{number}.exit'
        script.write_text(f'{ended}\n')
        self.tmux('send-keys', '-t', 'it', f'clear; bash {script.name}', 'Enter')

    def screen(self, *options: str) -> str:
        """What is seen; `-e` with colours, `-S -` with all that was scrolled out."""
        return self.tmux('capture-pane', '-p', '-t', 'it', *options)

    def until(self, seen: Callable[[str], object], *options: str) -> str:
        """The screen as soon as it shows that."""
        last = time.monotonic() + WAIT_SECONDS
        while not seen(screen := self.screen(*options)):
            assert time.monotonic() < last, f'not seen on:\n{screen}'
            time.sleep(0.05)
        return screen

    def ended(self, number: int = 1) -> int:
        """The exit status of a program, once it has ended."""
        path = self.folder / f'run-{number}.exit'
        self.until(lambda _: path.exists() and path.read_text())
        return int(path.read_text())

    def resize(self, columns: int, rows: int) -> None:
        self.tmux('resize-window', '-t', 'it', '-x', str(columns), '-y', str(rows))

    def keys(self, *names: str) -> None:
        self.tmux('send-keys', '-t', 'it', *names)

    @property
    def shows_cursor(self) -> bool:
        return self.tmux('display-message', '-p', '-t', 'it', '#{cursor_flag}').strip() == '1'


@contextmanager
def a_terminal(folder: Path, environment: dict[str, str], columns: int = 80, rows: int = 24) -> Iterator[Terminal]:
    """`environment`: of what runs there. It lies in the folder, and so do its programs."""
    need_commands('tmux')
    # What a make above has to say is for its own makes.
    ours = {name: value for name, value in os.environ.items() if not re.fullmatch('MAKE.*|MFLAGS|GNUMAKEFLAGS', name)}
    made = Terminal(folder, {**ours, **environment})
    size = ('-x', str(columns), '-y', str(rows))
    made.tmux('new-session', '-d', *size, '-s', 'it', '-c', str(folder), 'env PS1="$ " bash --norc --noprofile')
    try:
        yield made
    finally:
        made.tmux('kill-server')

"""A project of its own, far from any other, that is ended and gone when it has served."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from hack.common import files, process
from hack.orchestrator.runtime import sightings, supervisor
from hack.orchestrator.runtime.sightings import Project

MARK: Final = 'AGENT_SCRATCH'  # in the environment of all that a scratch project starts: its folder
_ALIVE: Final = '.scratch'  # in the folder: locked as long as whoever made it lives
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
_GRACE: Final = 0.3  # seconds
_SECONDS: Final = 120.0
_LOOK: Final = 0.03


class Scratch(NamedTuple):
    """A running scratch project, and how to talk to it as a user would."""

    config: Path
    environment: dict[str, str]

    def verb(self, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(supervisor.ENTRY), '--config', str(self.config), *arguments]
        given = {**self.environment, **(environment or {})}
        return subprocess.run(
            command, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS
        )

    @property
    def project(self) -> Project:
        return sightings.load(self.config, self.environment)

    def states(self) -> dict[str, str]:
        """The state of each agent, as status shows it."""
        rows = self.verb('status').stdout.splitlines()[1:]
        return {row.split()[0]: row.split(maxsplit=5)[5] for row in rows}


@contextlib.contextmanager
def scratch(config: str, folder: Path | None = None) -> Iterator[Scratch]:
    """A project with this configuration; all it has started is ended at the end, whatever happens."""
    with contextlib.nullcontext(folder) if folder else place('ao-') as where:
        there = Scratch(where / 'agents.toml', {**_unmarked(os.environ), MARK: str(where)})
        where.mkdir(parents=True, exist_ok=True)
        there.config.write_text(config)
        try:
            yield there
        finally:
            _end(where)


def _unmarked(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith('AGENT_')}


@contextlib.contextmanager
def place(prefix: str) -> Iterator[Path]:
    """A folder, gone at the end with all that bears its mark: also where we are told to end, by a signal.

    What others have left that were killed outright goes first. The name is short: a Unix socket goes below it.
    """
    for left in Path(tempfile.gettempdir()).glob(f'{prefix}*'):
        if (left / _ALIVE).exists() and os.access(left / _ALIVE, os.W_OK) and not files.lock_is_held(left / _ALIVE):
            _remove(left)
    folder = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
    alive = files.try_lock(folder / _ALIVE)
    former = {number: signal.signal(number, _stop) for number in _ENDING}
    try:
        yield folder
    finally:
        _remove(folder)
        for number, handler in former.items():
            signal.signal(number, handler)
        if alive is not None:
            os.close(alive)


def _stop(number: int, _: object) -> None:
    for one in _ENDING:
        signal.signal(one, signal.SIG_IGN)  # once is enough: what follows is the tidying up
    raise SystemExit(128 + number)


def _remove(folder: Path) -> None:
    _end(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _end(folder: Path) -> None:
    """End every process of the project, servers that answer nobody, too."""
    process.end_all(lambda: process.marked(f'{MARK}={folder}'), _GRACE)


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether it came to hold in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(_LOOK)
    return True

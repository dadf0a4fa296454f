"""A project of its own, far from any other, that is ended and gone when it has served."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from hack.common import process
from hack.orchestrator import sightings, supervisor
from hack.orchestrator.sightings import Project

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
    own = folder is None
    place = Path(tempfile.mkdtemp(prefix='ao-')) if folder is None else folder
    there = Scratch(place / 'agents.toml', {k: v for k, v in os.environ.items() if not k.startswith('AGENT_')})
    place.mkdir(parents=True, exist_ok=True)
    there.config.write_text(config)
    try:
        yield there
    finally:
        sweep(there)
        if own:
            shutil.rmtree(place, ignore_errors=True)


def sweep(there: Scratch) -> None:
    """End every process of the project, by pid: watchdogs first, and servers that answer nobody, too."""
    here = there.project
    names = [agent.name for agent in here.config.agents]
    process.end_all(lambda: [*supervisor.processes(here, names), *_awake(supervisor.servers(here))], 0.3)


def _awake(servers: list[process.Process]) -> list[process.Process]:
    import signal

    for one in servers:
        process.send(one, signal.SIGCONT)
    return servers


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether it came to hold in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(_LOOK)
    return True

"""Commits by which one loop hands the work to the others."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from typing import Final

from hack.orchestrator.model import Config
from hack.orchestrator.runtime import state
from hack.orchestrator.runtime.sightings import Project

_MOST: Final = 50  # commits looked back
_SECONDS: Final = 5.0


def woken(config: Config, subject: str) -> list[str]:
    """The loops that a commit wakes. The patterns are in the order of the loops: each is written by its own loop."""
    loops = [agent.name for agent in config.agents if agent.kind == 'loop']
    for number, pattern in enumerate(config.loop.handoff):
        if subject.startswith(pattern) and loops:
            author = loops[number % len(loops)]
            return [name for name in loops if name != author]
    return []


def has(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def groups(pattern: str, text: str) -> Sequence[str]:
    """The first group of each match."""
    return [match[1] for match in re.finditer(pattern, text)]


class Watch:
    """The commits of the project since the last look; the last one seen is on disk, so that none is told twice."""

    def __init__(self, here: Project) -> None:
        self._reflog = _git(here, 'rev-parse', '--git-path', 'logs/HEAD') if here.config.loop.handoff else ''
        self._seen_at = -1

    def fresh(self, here: Project) -> list[tuple[str, list[str]]]:
        """Subjects that hand off, oldest first, with the loops they wake."""
        if not here.config.loop.handoff or not self._has_moved(here):
            return []
        commits = list(_log(here))
        last = (here.store.read(state.HANDOFF) or {}).get('commit')
        if commits and commits[0][0] != last:
            here.store.write(state.HANDOFF, {'commit': commits[0][0]})
        if last is None:
            return []  # what was committed before anybody looked is history
        known = [commit for commit, _ in commits]
        new = commits[: known.index(last)] if last in known else commits[:1]
        told = ((subject, woken(here.config, subject)) for _, subject in reversed(new))
        return [(subject, names) for subject, names in told if names]

    def _has_moved(self, here: Project) -> bool:
        """By the file that every commit is appended to: git itself costs a process."""
        at = -2
        with contextlib.suppress(OSError):
            at = os.stat(here.config.project_dir / self._reflog).st_mtime_ns if self._reflog else -2
        moved = at != self._seen_at or at == -2
        self._seen_at = at
        return moved


def _log(here: Project) -> Iterator[tuple[str, str]]:
    for line in _git(here, 'log', f'-{_MOST}', '--format=%H %s').splitlines():
        commit, _, subject = line.partition(' ')
        yield commit, subject


def _git(here: Project, *arguments: str) -> str:
    command = ['git', '--no-optional-locks', '-C', str(here.config.project_dir), *arguments]
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ''
    return ended.stdout.decode(errors='replace').strip() if ended.returncode == 0 else ''

"""What is remembered between commands: small versioned files, each replaced as a whole."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common.errors import UserError
from hack.orchestrator.model import Config, Standing

VERSION: Final = 1
# One file for each agent and each subject, so that nobody reads, changes and writes what another is writing.
WANTED: Final = 'wanted'  # it is to be up; with what it was started for
BACKOFF: Final = 'backoff'
LIMITED: Final = 'limited'
STALLED: Final = 'stalled'
DONE: Final = 'done'  # a task that has run
PING: Final = 'ping'  # its kickoff is still to be typed
OVERRIDE: Final = 'override'  # what this run of it has of the environment of its `up`
SUBJECTS: Final = (WANTED, OVERRIDE, BACKOFF, LIMITED, STALLED, DONE, PING)
SERVER: Final = 'server.json'
HANDOFF: Final = 'handoff.json'  # the last commit that was looked at
IN_FORCE: Final = 'in-force.json'  # the tables of the last good configuration
WATCHDOG_LOCK: Final = 'watchdog.lock'
RECORDS: Final = (SERVER, HANDOFF, IN_FORCE)
_NUMBERS: Final = ('started', 'cleared', 'crashes', 'retry_at', 'until', 'pid')  # wherever they stand
PHASE: Final = 'phase-idx'
_COMPLETE: Final = 'SEQUENCE-COMPLETE'
# What must outlive a move of the project, else work is lost or done twice: glob patterns of file names.
LASTING: Final = (PHASE, _COMPLETE, HANDOFF, f'{DONE}-*.json')


class TornError(UserError):
    """A file holds nothing of ours: it was cut off, or somebody else wrote to it."""


class Store(NamedTuple):
    """The state folder; reading raises TornError, or UserError for a file that this version cannot understand."""

    folder: Path

    def make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f'{self.folder}: {error.strerror} (name a log_dir that can be written)') from None

    def names(self) -> set[str]:
        """The names of all files; none where there is no folder."""
        try:
            return set(os.listdir(self.folder))
        except OSError:
            return set()

    def read(self, name: str) -> dict[str, Any] | None:
        """What the file holds; None where there is none."""
        path = self.folder / name
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(f'{path}: {error.strerror} (check its permissions)') from None
        return _checked(path, data)

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        from hack.common import files

        files.write_json(self.folder / name, {'version': VERSION, **value})

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            (self.folder / name).unlink()

    def noted(self, subject: str) -> list[str]:
        """The agents of which something is remembered."""
        start, end = f'{subject}-', '.json'
        known = (name for name in self.names() if name.startswith(start) and name.endswith(end))
        return sorted(name[len(start) : -len(end)] for name in known)

    def about(self, subject: str, unreadable: dict[str, list[str]] | None = None) -> dict[str, dict[str, Any]]:
        """All that is remembered of a subject, by agent; what cannot be read is raised, or told in `unreadable`."""
        told: dict[str, dict[str, Any]] = {}
        for agent in self.noted(subject):
            try:
                value = self.read(f'{subject}-{agent}.json')
            except UserError as error:
                if unreadable is None:
                    raise
                unreadable.setdefault(agent, []).extend(error.problems)
            else:
                told |= {agent: value} if value is not None else {}
        return told

    def note(self, subject: str, agent: str, value: Mapping[str, Any] | None) -> None:
        """Remember the value; None forgets."""
        name = f'{subject}-{agent}.json'
        if value is None:
            self.remove(name)
        else:
            self.write(name, value)

    def standing(self, config: Config) -> Standing:
        """Where the project is in its phases; the first one where nothing is recorded."""
        path, count = self.folder / PHASE, len(config.loop.phases)
        try:
            text = path.read_text().strip()
        except FileNotFoundError:
            return Standing()
        except UnicodeDecodeError:
            raise TornError(f'{path}: is no text (run `phase set N`)') from None
        if not text.isdecimal():
            raise TornError(f'{path}: {text!r} is no number (run `phase set N`)')
        if count and int(text) >= count:
            raise UserError(f'{path}: phase {int(text) + 1}, where {config.path} has {count} (run `phase set N`)')
        return Standing(int(text), self.is_complete()) if count else Standing()

    def is_complete(self) -> bool:
        return (self.folder / _COMPLETE).exists()

    def stand(self, standing: Standing) -> None:
        """Record where the project is; what stands there is complete only once the file of that name is there."""
        from hack.common import files

        if not standing.complete:
            self.remove(_COMPLETE)
        files.write_atomic(self.folder / PHASE, f'{standing.at}\n')
        if standing.complete:
            files.write_atomic(self.folder / _COMPLETE, f'{files.utc_now()}\n')

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Be the only one who starts or ends sessions: a heal must not bring back what `down` has just ended."""
        import fcntl

        file = os.open(self.folder / 'acts.lock', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)


def _checked(path: Path, data: bytes) -> dict[str, Any]:
    import json

    try:
        value = json.loads(data)
        version = value['version']
    except (ValueError, TypeError, KeyError):
        raise TornError(f'{path}: is not a state file of ours (doctor --fix puts it right)') from None
    if not isinstance(version, int) or version > VERSION:
        what = f'version {version} is from the future, this is {VERSION}'
        raise UserError(f'{path}: {what} (use the toolkit that wrote it, or remove it)')
    for key in _NUMBERS:
        if not isinstance(value.get(key, 0), int | float) and (key, value[key]) != ('until', None):
            raise TornError(f'{path}: {key} is {value[key]!r}, which is no number (doctor --fix puts it right)')
    given = value.get('environment', {})
    if not isinstance(given, dict) or not all(isinstance(text, str) for text in given.values()):
        raise TornError(f'{path}: environment holds what is no text (doctor --fix puts it right)')
    return dict(value)

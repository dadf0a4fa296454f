"""A record of what a live project is made of, and what has moved since: files, phase, sessions."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hack.common import files
from hack.common.errors import UserError
from hack.orchestrator.config import kickoff
from hack.orchestrator.model import Config, Sighting, Standing

FORMAT: Final = 1
_ABSENT: Final = '-'  # instead of a digest


def take(
    config: Config, standing: Standing, sightings: Mapping[str, Sighting], also: Sequence[Path] = ()
) -> dict[str, Any]:
    """The record: sha256 of each file by its absolute path, the phase's index from 0, the state of each session."""
    return {
        'format': FORMAT,
        'taken': files.utc_now(),
        'files': {str(path): digest(path) for path in (*inputs(config), *(path.absolute() for path in also))},
        'phase_index': standing.at,
        'complete': standing.complete,
        'sessions': {agent.name: _state(sightings, agent.name) for agent in config.agents},
    }


def again(
    record: Mapping[str, Any], config: Config, standing: Standing, seen: Mapping[str, Sighting]
) -> dict[str, Any]:
    """The same as it is now: the files of then are looked at, and what the config names now."""
    return take(config, standing, seen, [Path(path) for path in record['files']])


def moved(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs, a line each; nothing where nothing moved."""
    found = [f'{path}: {_how(before["files"].get(path), digest)}' for path, digest in now['files'].items()]
    found = [line for line in found if not line.endswith(': same')]
    if before['phase_index'] != now['phase_index']:
        found.append(f'phase: {before["phase_index"] + 1} then, {now["phase_index"] + 1} now')
    if before['complete'] != now['complete']:
        words = ('in progress', 'complete')
        found.append(f'phases: {words[before["complete"]]} then, {words[now["complete"]]} now')
    for name in dict.fromkeys((*before['sessions'], *now['sessions'])):
        then, is_now = (side['sessions'].get(name, 'no agent') for side in (before, now))
        if then != is_now:
            found.append(f'session {name}: {then} then, {is_now} now')
    return found


def read(path: Path) -> dict[str, Any]:
    """An earlier record; raises UserError."""
    try:
        record = files.read_json(path)
    except OSError as error:
        raise UserError(f'{path}: cannot be read: {error.strerror} (baseline take makes one)') from None
    except ValueError:
        raise UserError(f'{path}: is not JSON (take the baseline anew)') from None
    if not isinstance(record, dict) or record.get('format') != FORMAT:
        raise UserError(f'{path}: is no baseline of this version (take it anew)')
    return record


def inputs(config: Config) -> list[Path]:
    """Every file that the config names and that is there, the config first; absolute, each once."""
    return list(dict.fromkeys(path.absolute() for path in _inputs(config)))


def digest(path: Path) -> str:
    """sha256 in hex, or `-` where there is no such file."""
    try:
        return files.sha256(path.read_bytes())
    except OSError:
        return _ABSENT


def _inputs(config: Config) -> Iterator[Path]:
    yield config.path
    said = config.tables.get('loop', {})
    named = [said.get('kickoff_template', ''), *(agent.get('prompt', '') for agent in config.tables.get('agent', ()))]
    named += [f'{said.get("roles_dir", "")}/{role}.md' for role in sorted(config.loop.roles)]
    for phase in config.loop.phases:
        for slot in ('plan', 'status'):
            named += kickoff.places(config.loop.template, slot, phase)
    yield from (config.project_dir / name for name in named if name and (config.project_dir / name).is_file())


def _state(sightings: Mapping[str, Sighting], name: str) -> str:
    return sightings[name].state.value if name in sightings else 'stopped'


def _how(before: str | None, now: str) -> str:
    if before == now:
        return 'same'
    if before in (None, _ABSENT):
        return 'new'
    return 'gone' if now == _ABSENT else 'changed'

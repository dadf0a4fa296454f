"""The registry of projects, fleet.toml: read with all its problems at once, extended by whole entries."""

import json
import os
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common import files
from hack.common.errors import UserError
from hack.common.source import load_toml, suggest

VERSION: Final = 1
# What drives a project, and where its program is in the project's folder. Without it, this toolkit's own is taken.
HARNESSES: Final = {'agent-orchestrator': 'engine/hack/orchestrator/run_agents.py'}
FLEET_VARIABLE: Final = 'AGENT_FLEET'
CONFIG: Final = 'agents.toml'
_NAME: Final = re.compile(r'[A-Za-z0-9][A-Za-z0-9_-]*')
_URL: Final = re.compile(r'[a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+:')
_SECRET: Final = re.compile(r'[A-Z_][A-Z0-9_]*')
_WORDS: Final = {str: 'a text', bool: 'true or false', int: 'a number', list: 'a list of texts', dict: 'a table'}
_FLEET_KEYS: Final = {'version': int}
_PROJECT_KEYS: Final = {
    'name': str,
    'location': str,
    'harness': str,
    'ref': str,
    'enabled': bool,
    'secrets': list,
    'config': str,
}
_REQUIRED: Final = ('name', 'location')


class Project(NamedTuple):
    name: str
    location: str  # as written: a path, from the registry's folder on, or a URL
    folder: Path | None  # None where the location is a URL
    harness: str
    ref: str  # tag or commit the engine is pinned to; '' where nothing is said
    enabled: bool
    secrets: tuple[str, ...]  # names of variables, never values
    config: str  # from the project's folder on


class Fleet(NamedTuple):
    path: Path
    projects: tuple[Project, ...]

    def get(self, name: str) -> Project:
        """The project of that name; raises UserError."""
        for project in self.projects:
            if project.name == name:
                return project
        near = suggest(name, [project.name for project in self.projects])
        raise UserError(f'{self.path}: no project is called {name!r}{near or " (see list)"}')


def load(path: Path) -> Fleet:
    """The registry; raises UserError with everything that is wrong with it, by table and key."""
    data = load_toml(str(path))
    found = _problems(data)
    entries = [entry for entry in data.get('project', []) if isinstance(entry, dict)] if not found else []
    projects = tuple(_project(path.parent, entry) for entry in entries)
    found += _shared_folders(projects)
    if found:
        raise UserError(f'{path}: {problem}' for problem in found)
    return Fleet(path, projects)


def register(path: Path, project: Mapping[str, Any]) -> Fleet:
    """Add an entry at the end of the registry, which is made where there is none; what stands in it stays as it is.

    Raises UserError, and changes nothing, where the registry would not be valid.
    """
    before = path.read_text() if path.exists() else f'[fleet]\nversion = {VERSION}\n'
    lines = [f'{key} = {json.dumps(value, ensure_ascii=False)}' for key, value in project.items()]
    text = '\n'.join((before.rstrip('\n'), '', '[[project]]', *lines, ''))
    beside = path.with_name(f'.{path.name}.{os.getpid()}')
    files.write_atomic(beside, text)
    try:
        load(beside)
        os.replace(beside, path)
    except UserError as error:
        raise UserError(problem.replace(str(beside), str(path)) for problem in error.problems) from None
    finally:
        beside.unlink(missing_ok=True)
    return load(path)


def refusal(config: Path, environment: Mapping[str, str]) -> str | None:
    """Why the agents of a configuration must not be started: a registry that has its project as disabled; else None.

    Looked at are the registry that AGENT_FLEET names, which raises UserError where it is not valid, and each fleet.toml
    that stands where a registry of this project would: in a folder above it, or in one beside it.
    """
    config = config.resolve()
    near = [*(folder / 'fleet.toml' for folder in config.parents), *sorted(config.parent.parent.glob('*/fleet.toml'))]
    if named := environment.get(FLEET_VARIABLE):
        near.insert(0, load(Path(named)).path)
    for path in near:
        if name := _disabled_name(path, config):
            return f'{path}: the project {name!r} is disabled (set enabled = true there first)'
    return None


def _disabled_name(path: Path, config: Path) -> str | None:
    """The name of the project with this config, if the registry has it as disabled; other faults are not looked at."""
    try:
        for entry in tomllib.loads(path.read_text())['project']:
            folder = path.parent / Path(entry['location']).expanduser()
            if entry.get('enabled') is False and (folder / entry.get('config', CONFIG)).resolve() == config:
                return str(entry.get('name', folder.name))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # not there, or no registry of ours
        pass
    return None


def _problems(data: Mapping[str, Any]) -> list[str]:
    known = ('fleet', 'project')
    strange = [key for key in data if key not in known]
    found = [f'unknown table {key!r}{_or(suggest(key, known), "remove it")}' for key in strange]
    fleet, entries = data.get('fleet', {}), data.get('project', [])
    if isinstance(fleet, dict):
        found += _table('[fleet]', fleet, _FLEET_KEYS, ())
        if (version := fleet.get('version', VERSION)) != VERSION:
            found.append(f'[fleet]: version {version!r} is not understood (write version = {VERSION})')
    else:
        found.append('fleet: is not a table (write [fleet])')
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return [*found, 'project: is not a list of tables (write [[project]])']
    for number, entry in enumerate(entries, 1):
        found += _entry(_where(number, entry), entry)
    counted = Counter(entry['name'] for entry in entries if isinstance(entry.get('name'), str))
    return [*found, *(f'[[project]] {name!r}: is there {n} times (rename)' for name, n in counted.items() if n > 1)]


def _where(number: int, entry: Mapping[str, Any]) -> str:
    name = entry.get('name')
    return f'[[project]] {name!r}' if isinstance(name, str) and name else f'[[project]] number {number}'


def _entry(where: str, entry: Mapping[str, Any]) -> list[str]:
    found = _table(where, entry, _PROJECT_KEYS, _REQUIRED)
    sound = {key: value for key, value in entry.items() if _is(value, _PROJECT_KEYS.get(key, object))}
    name, harness, config = sound.get('name'), sound.get('harness', 'agent-orchestrator'), sound.get('config', '')
    if name is not None and not _NAME.fullmatch(name):
        found.append(f'{where}: name {name!r} is not made of letters, digits, - and _ (rename it)')
    if harness not in HARNESSES:
        known = _or(suggest(harness, HARNESSES), f'known: {", ".join(HARNESSES)}')
        found.append(f'{where}: harness {harness!r} is not known{known}')
    if 'location' in sound and not sound['location'].strip():
        found.append(f'{where}: location is empty (write a path or a git URL)')
    if config.startswith('/') or '..' in Path(config).parts:
        found.append(f'{where}: config {config!r} leaves the project (write a path below its folder)')
    for secret in sound.get('secrets', []):
        if not _SECRET.fullmatch(secret):  # never shown: it may be the secret itself
            found.append(f'{where}: secrets has something that is no name of a variable (write names, never values)')
    return found


def _table(where: str, table: Mapping[str, Any], keys: Mapping[str, type], required: tuple[str, ...]) -> list[str]:
    found = [f'{where}: unknown key {key!r}{_or(suggest(key, keys), "remove it")}' for key in table if key not in keys]
    for key, kind in keys.items():
        if key in table and not _is(table[key], kind):
            found.append(f'{where}: {key} is not {_WORDS[kind]} (mend it)')
        elif key in required and key not in table:
            found.append(f'{where}: {key} is missing (write {key} = …)')
    return found


def _is(value: Any, kind: type) -> bool:
    if kind is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, kind) and (kind is not int or not isinstance(value, bool))


def _or(suggestion: str, otherwise: str) -> str:
    return suggestion or f' ({otherwise})'


def _project(folder: Path, entry: Mapping[str, Any]) -> Project:
    location = entry['location']
    is_url = _URL.match(location) is not None
    return Project(
        entry['name'],
        location,
        None if is_url else (folder / Path(location).expanduser()),
        entry.get('harness', 'agent-orchestrator'),
        entry.get('ref', ''),
        entry.get('enabled', True),
        tuple(entry.get('secrets', ())),
        entry.get('config', CONFIG),
    )


def _shared_folders(projects: tuple[Project, ...]) -> list[str]:
    """Two names of one place would let what is disabled under one be started under the other."""
    places: dict[tuple[str, str], str] = {}
    found = []
    for project in projects:
        place = os.path.realpath(project.folder) if project.folder else project.location
        first = places.setdefault((place, os.path.normpath(project.config)), project.name)
        if first != project.name:
            found.append(f'[[project]] {project.name!r}: location and config are those of {first!r} (keep one of them)')
    return found

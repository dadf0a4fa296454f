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
from hack.orchestrator.config import tables
from hack.orchestrator.config.tables import NUMBER, TABLE, TABLES, TEXT, TEXTS, TRUTH

VERSION: Final = 1
# What drives a project, and where its program is in the project's folder. Without it, this toolkit's own is taken.
HARNESSES: Final = {'agent-orchestrator': 'engine/hack/orchestrator/run_agents.py'}
FLEET_VARIABLE: Final = 'AGENT_FLEET'
CONFIG: Final = 'agents.toml'
_NAME: Final = re.compile(r'[A-Za-z0-9][A-Za-z0-9_-]*')
_URL: Final = re.compile(r'[a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+:')
_SECRET: Final = re.compile(r'[A-Z_][A-Z0-9_]*')
_PROJECT_KEYS: Final = dict.fromkeys(('name', 'location', 'harness', 'ref', 'config'), TEXT) | {
    'enabled': TRUTH,
    'secrets': TEXTS,
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
    projects = tuple(_project(path.parent, entry) for entry in data.get('project', [])) if not found else ()
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
    found = tables.check('the top of the file', data, {'fleet': TABLE, 'project': TABLES})
    if isinstance(fleet := data.get('fleet', {}), dict):
        found += tables.check('[fleet]', fleet, {'version': NUMBER})
        if tables.fits(version := fleet.get('version', VERSION), NUMBER) and version != VERSION:
            found.append(f'[fleet]: version {version!r} is not understood (write version = {VERSION})')
    entries = tables.entries(data.get('project'))
    for number, entry in enumerate(entries, 1):
        found += _entry(tables.entry('project', number, entry), entry)
    counted = Counter(entry['name'] for entry in entries if isinstance(entry.get('name'), str))
    return [*found, *(f'[[project]] {name!r}: is there {n} times (rename)' for name, n in counted.items() if n > 1)]


def _entry(where: str, entry: Mapping[str, Any]) -> list[str]:
    found = tables.check(where, entry, _PROJECT_KEYS, _REQUIRED)
    sound = {key: value for key, value in entry.items() if tables.fits(value, _PROJECT_KEYS.get(key, ''))}
    name, harness, config = sound.get('name'), sound.get('harness', 'agent-orchestrator'), sound.get('config', '')
    if name is not None and not _NAME.fullmatch(name):
        found.append(f'{where}: name {name!r} is not made of letters, digits, - and _ (rename it)')
    if harness not in HARNESSES:
        found.append(f'{where}: harness {harness!r} is not known{tables.near(harness, HARNESSES)}')
    if 'location' in sound and not sound['location'].strip():
        found.append(f'{where}: location is empty (write a path or a git URL)')
    if config.startswith('/') or '..' in Path(config).parts:
        found.append(f'{where}: config {config!r} leaves the project (write a path below its folder)')
    for secret in sound.get('secrets', []):
        if not _SECRET.fullmatch(secret):  # never shown: it may be the secret itself
            found.append(f'{where}: secrets has something that is no name of a variable (write names, never values)')
    return found


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

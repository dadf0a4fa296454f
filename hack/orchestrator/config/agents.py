"""Reads agents.toml into checked values, and says all that is wrong with it at once, by table and key."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common.errors import UserError
from hack.common.source import load_toml, suggest
from hack.orchestrator.config import kickoff, tables
from hack.orchestrator.config.backends import BACKENDS
from hack.orchestrator.config.tables import NUMBER, TABLE, TABLES, TEXT, TEXTS, TRUTH
from hack.orchestrator.model import (
    DELIVERIES,
    KINDS,
    SERVICE,
    WATCHDOG,
    WATCHES,
    Agent,
    Backend,
    Cadence,
    Config,
    Loop,
    Phase,
)

DEFAULT: Final = Path('agents.toml')
_PROGRAM: Final = 'hack/orchestrator/run_agents.py'
_NAME: Final = re.compile(r'[A-Za-z0-9][A-Za-z0-9_-]*')
_PATTERNS: Final = ('ready', 'id_pattern', 'activity_mask', 'limit_patterns')
_LISTS: Final = ('flags', 'start_id', 'resume', 'activity_mask', 'limit_patterns')

_TABLES: Final[dict[str, dict[str, str]]] = {
    '': dict.fromkeys(('project_dir',), TEXT)
    | dict.fromkeys(('watchdog', 'defaults', 'backend', 'loop'), TABLE)
    | dict.fromkeys(('agent', 'service'), TABLES),
    'watchdog': dict.fromkeys(Cadence._fields, NUMBER),
    'defaults': dict.fromkeys(('session_prefix', 'log_dir', 'backend', 'model', 'watch', 'socket'), TEXT),
    'backend': {key: TEXTS if key in _LISTS else TEXT for key in Backend._fields if key != 'name'},
    'agent': dict.fromkeys(('name', 'kind', 'backend', 'model', 'watch', 'role', 'prompt', 'liveness'), TEXT)
    | {'enabled': TRUTH},
    'service': dict.fromkeys(('name', 'command', 'liveness'), TEXT) | {'enabled': TRUTH},
    'loop': dict.fromkeys(('kickoff_template', 'roles_dir', 'done_marker', 'on_complete'), TEXT)
    | {'handoff': TEXTS, 'phases': TABLES},
    'phase': dict.fromkeys(('id', 'plan', 'status'), TEXT) | {'models': TABLE},
}
_REQUIRED: Final = {
    'defaults': ('session_prefix', 'log_dir'),
    'agent': ('name', 'kind'),
    'service': ('name', 'command'),
    'phase': ('id', 'plan', 'status'),
}


class _Reading(NamedTuple):
    """A file as it is being read: its tables, where its relative paths start, and what was found wrong."""

    data: dict[str, Any]
    base: Path
    found: list[str]
    sources: list[Path]

    def table(self, name: str) -> dict[str, Any]:
        value = self.data.get(name, {})
        return value if isinstance(value, dict) else {}

    def tables(self, name: str) -> list[dict[str, Any]]:
        return tables.entries(self.data.get(name))

    def text(self, where: str, name: str) -> str:
        """What a file of the project holds; '' and a problem where it cannot be read."""
        self.sources.append(self.base / name)
        try:
            return (self.base / name).read_text()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else 'not UTF-8'
            self.found.append(f'{where}: {self.base / name}: {why} (write it, or mend the path)')
            return ''


def load(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """The configuration, with the one-run overrides of the environment; raises UserError with all that is wrong."""
    path = Path(path)
    if not path.exists():
        raise UserError(
            f'{path}: is not there (write one with `{_PROGRAM} init DIR`, or name yours with --config, in make CONFIG=)'
        )
    config, found = _read(path, load_toml(str(path)), os.environ if environment is None else environment)
    if config is None or found:
        raise UserError(f'{path}: {problem}' for problem in found)
    return config


def recall(path: Path, tables: dict[str, Any], environment: Mapping[str, str]) -> Config:
    """The configuration of that path as it was when `tables` were all well, though files it names be gone by now."""
    config, found = _read(path, tables, environment)
    if config is None:
        raise UserError(f'{path}: {problem}' for problem in found)
    return config


def _read(path: Path, data: dict[str, Any], environment: Mapping[str, str]) -> tuple[Config | None, list[str]]:
    """The configuration, as far as there is one, and all that is wrong with it."""
    project = data.get('project_dir', '.')
    base = Path(os.path.abspath(path)).parent
    reading = _Reading(data, base / project if isinstance(project, str) else base, [], [path])
    _check_shapes(reading)
    return None if reading.found else _config(reading, path, environment), reading.found


# -- shapes ----------------------------------------------------------------------------------


def _check_shapes(reading: _Reading) -> None:
    """Keys and their types, everywhere; only where these are right is it worth looking at what they say."""
    data, found = reading.data, reading.found
    found += tables.check('the top of the file', data, _TABLES[''])
    for name in ('watchdog', 'defaults', 'loop'):
        found += tables.check(f'[{name}]', reading.table(name), _TABLES[name], _REQUIRED.get(name, ()))
    backends = reading.table('backend')
    found += tables.check('[backend]', backends, dict.fromkeys(backends, TABLE))
    for name, backend in backends.items():
        found += tables.check(f'[backend.{name}]', backend, _TABLES['backend']) if isinstance(backend, dict) else []
    for name in ('agent', 'service'):
        for number, entry in enumerate(reading.tables(name), 1):
            found += tables.check(tables.entry(name, number, entry), entry, _TABLES[name], _REQUIRED[name])
    for number, entry in enumerate(tables.entries(reading.table('loop').get('phases')), 1):
        where = tables.entry('loop.phases', number, entry, 'id')
        found += tables.check(where, entry, _TABLES['phase'], _REQUIRED['phase'])


# -- what they say ---------------------------------------------------------------------------


def _config(reading: _Reading, path: Path, environment: Mapping[str, str]) -> Config:
    defaults = reading.table('defaults')
    backends = _backends(reading)
    agents = [_agent(reading, entry, defaults, backends, environment) for entry in reading.tables('agent')]
    agents += [_service(entry) for entry in reading.tables('service')]
    loop = _loop(reading, agents)
    _check_defaults(reading.found, defaults)
    _check_names(reading.found, agents)
    return Config(
        path,
        Path(os.path.normpath(reading.base)),
        Path(os.path.normpath(reading.base / defaults['log_dir'])),
        defaults['session_prefix'],
        defaults.get('socket', ''),
        _cadence(reading),
        (*agents, Agent(WATCHDOG, SERVICE)),
        loop,
        tuple(reading.sources),
        reading.data,
    )


def _cadence(reading: _Reading) -> Cadence:
    given = reading.table('watchdog')
    for key, value in given.items():
        if not value > 0:
            reading.found.append(f'[watchdog]: {key} is {value} (it must be more than 0)')
    return Cadence(**given)


def _check_defaults(found: list[str], defaults: Mapping[str, Any]) -> None:
    if not _NAME.fullmatch(defaults['session_prefix']):
        found.append(
            f'[defaults]: session_prefix is {defaults["session_prefix"]!r} '
            "(letters, digits, '-' and '_': tmux gives others a meaning of their own)"
        )
    if not defaults['log_dir']:
        found.append("[defaults]: log_dir is '' (name a folder of its own)")
    if defaults.get('socket', '') not in ('', 'default'):
        found.append(f"[defaults]: socket is {defaults['socket']!r} ('' is the project's own, 'default' the user's)")
    _check_choice(found, '[defaults]', 'watch', defaults.get('watch', 'heal'), WATCHES)


def _check_choice(found: list[str], where: str, key: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        found.append(f'{where}: {key} is {value!r}{tables.near(value, known)}')


def _check_names(found: list[str], agents: Iterable[Agent]) -> None:
    counted = Counter(agent.name for agent in agents)
    for name, number in counted.items():
        if number > 1:
            found.append(f'[[agent]] {name!r}: {number} agents or services are called so (rename)')
        if name == WATCHDOG:
            found.append(f'[[agent]] {name!r}: is the name of the watchdog, which is always there (rename)')
        elif not _NAME.fullmatch(name):
            found.append(f"[[agent]] {name!r}: is no name of a session (letters, digits, '-' and '_')")


def _backends(reading: _Reading) -> dict[str, Backend]:
    backends = dict(BACKENDS)
    for name, entry in reading.table('backend').items():
        where = f'[backend.{name}]'
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
        }
        if name not in BACKENDS and not given.get('bin'):
            reading.found.append(f'{where}: bin is missing (write bin = …)')
        backends[name] = backends.get(name, Backend(name, ''))._replace(**given)
        _check_choice(reading.found, where, 'prompt_delivery', backends[name].prompt_delivery, DELIVERIES)
        for key in _PATTERNS:
            value = entry.get(key, ())
            patterns = [value] if isinstance(value, str) else value
            reading.found.extend(problem for pattern in patterns for problem in _bad_pattern(where, key, pattern))
    return backends


def _bad_pattern(where: str, key: str, pattern: str) -> list[str]:
    try:
        re.compile(pattern)
    except re.error as error:
        return [f'{where}: {key} {pattern!r} is no regular expression: {error} (see the re module of Python)']
    return []


def _agent(
    reading: _Reading,
    entry: Mapping[str, Any],
    defaults: Mapping[str, Any],
    backends: Mapping[str, Backend],
    environment: Mapping[str, str],
) -> Agent:
    found = reading.found
    name = entry['name']
    where = f'[[agent]] {name!r}'
    chosen = {key: entry.get(key, defaults.get(key, '')) for key in ('backend', 'model', 'watch')}
    for key in ('backend', 'model'):
        variable, value = _override(environment, key, name)
        if value and key == 'backend':
            _check_choice(found, f'environment: {variable}', key, value, backends)
        chosen[key] = value or chosen[key]
    chosen['backend'] = chosen['backend'] or 'claude'
    chosen['watch'] = chosen['watch'] or 'heal'
    _check_choice(found, where, 'kind', entry['kind'], KINDS)
    _check_choice(found, where, 'watch', chosen['watch'], WATCHES)
    _check_choice(found, where, 'backend', chosen['backend'], backends)
    return Agent(
        name,
        entry['kind'],
        backends.get(chosen['backend']),
        chosen['model'],
        chosen['watch'],
        entry.get('role', ''),
        entry.get('enabled', True),
        prompt=reading.text(f'{where}: prompt', entry['prompt']) if entry.get('prompt') else '',
        liveness=entry.get('liveness', ''),
    )


def _override(environment: Mapping[str, str], key: str, name: str) -> tuple[str, str]:
    """A one-run override and the variable it stands in; a shell's variable cannot hold the dash a name may hold."""
    for spelt in (name, name.replace('-', '_')):
        if value := environment.get(f'AGENT_{key.upper()}_{spelt}'):
            return f'AGENT_{key.upper()}_{spelt}', value
    return '', ''


def _service(entry: Mapping[str, Any]) -> Agent:
    given = {key: entry[key] for key in ('command', 'liveness', 'enabled') if key in entry}
    return Agent(entry['name'], SERVICE, **given)


# -- the loop --------------------------------------------------------------------------------


def _loop(reading: _Reading, agents: Iterable[Agent]) -> Loop:
    table = reading.table('loop')
    found = reading.found
    names = {agent.name: agent for agent in agents}
    loopers = [agent for agent in names.values() if agent.kind == 'loop']
    phases = tuple(
        Phase(entry['id'], entry['plan'], entry['status'], entry.get('models', {}))
        for entry in tables.entries(table.get('phases'))
    )
    roles = _roles(reading, names.values(), table.get('roles_dir', ''))
    template = reading.text('[loop]: kickoff_template', path) if (path := table.get('kickoff_template')) else ''
    if loopers:
        found += [f'[[agent]] {one.name!r}: a loop has a role (write role = …)' for one in loopers if not one.role]
        found += [
            f'[loop]: {key} is missing (write {key} = …)' for key in ('kickoff_template', 'phases') if key not in table
        ]
    if on_complete := table.get('on_complete', ''):
        _check_on_complete(found, on_complete, names)
    if template:
        _check_slots(found, table['kickoff_template'], template)
    _check_phases(reading, phases, {agent.role for agent in names.values() if agent.role}, template)
    return Loop(
        template,
        roles,
        table.get('done_marker', Loop().done_marker),
        tuple(table.get('handoff', ())),
        on_complete,
        phases,
    )


def _roles(reading: _Reading, agents: Iterable[Agent], folder: str) -> dict[str, str]:
    """The documents of all roles; without a folder for them, a role is but the key of a phase's models."""
    roles = {agent.role: agent for agent in agents if agent.role}
    if not folder:
        return {}
    return {
        role: reading.text(f'[[agent]] {agent.name!r}: role', os.path.join(folder, f'{role}.md'))
        for role, agent in roles.items()
    }


def _check_on_complete(found: list[str], name: str, agents: Mapping[str, Agent]) -> None:
    tasks = [agent.name for agent in agents.values() if agent.kind == 'task']
    if name in agents and name not in tasks:
        found.append(f'[loop]: on_complete is {name!r}, which is no task (give it kind = "task")')
    elif name not in tasks:
        found.append(
            f'[loop]: on_complete is {name!r}, and no agent is{suggest(name, tasks) or " (add it, or mend this)"}'
        )


def _check_slots(found: list[str], path: str, template: str) -> None:
    there = kickoff.slots(template)
    where = f'[loop]: kickoff_template {path}'
    found += [
        f'{where}: has no slot {{{slot}}} (write it where it belongs)' for slot in kickoff.SLOTS if slot not in there
    ]
    known = (*kickoff.SLOTS, kickoff.TEXT_SLOT)
    for slot in there:
        # Braces of another meaning are welcome, but for those that look like a slot misspelt.
        if slot not in known and (near := suggest(slot, known)):
            found.append(f'{where}: {{{slot}}} is no slot{near}')


def _check_phases(reading: _Reading, phases: Iterable[Phase], roles: Collection[str], template: str) -> None:
    found = reading.found
    counted = Counter(phase.id for phase in phases)
    found += [f'[[loop.phases]] {name!r}: is there {n} times (rename)' for name, n in counted.items() if n > 1]
    for phase in phases:
        where = f'[[loop.phases]] {phase.id!r}'
        models: Mapping[str, Any] = phase.models
        for role in models:
            near = suggest(role, roles) or ' (add it, or remove this)'
            if role not in roles:
                found.append(f'{where}: models: no agent has the role {role!r}{near}')
            found += tables.mismatch(f'{where}: models: {role}', models, role, {role: TEXT})
        tried = kickoff.places(template, 'plan', phase)
        if not any((reading.base / place).is_file() for place in tried):
            found.append(f'{where}: plan: there is no {reading.base / tried[0]} (write it, or mend the path)')

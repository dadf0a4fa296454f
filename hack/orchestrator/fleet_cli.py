"""The verbs of run_fleet.py: check, show, start and stop the projects of a registry."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common import process
from hack.common.console import Column, Row, console
from hack.common.errors import Exit, UserError
from hack.orchestrator.config import fleet
from hack.orchestrator.config.fleet import Fleet, Project

_OWN_ENGINE: Final = Path(__file__).resolve().with_name('run_agents.py')
_STATUS_SECONDS: Final = 20.0
_ACT_SECONDS: Final = 300.0
_LISTED: Final = ('NAME', 'ENABLED', 'HARNESS', 'REF', 'LOCATION', 'CONFIG')
_STATUS: Final = ('NAME', 'ENABLED', 'AGENTS', 'PHASE', 'ENGINE')


class Seen(NamedTuple):
    """What one project's own status said."""

    project: Project
    agents: str  # `2/3 running`, or why that cannot be told
    phase: str
    engine: str  # what its engine is at, beside what the registry says
    told: bool  # whether it could be told
    problems: tuple[str, ...] = ()  # what it complained of


def main(arguments: list[str]) -> int:
    asked = _parser().parse_args(arguments)
    status: int = asked.do(asked)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='run_fleet.py', description='See and start the projects of a fleet.')
    parser.add_argument('--fleet', default='fleet.toml', help='the registry (default: fleet.toml)')
    verbs = parser.add_subparsers(required=True, metavar='VERB')

    def verb(name: str, do: Any, says: str, names: str | None = None) -> argparse.ArgumentParser:
        one = verbs.add_parser(name, help=says, description=says.capitalize())
        one.set_defaults(do=do)
        if names:
            one.add_argument('names', metavar='NAME', nargs=names, help='a project')
        return one

    verb('validate', _validate, 'check the registry and list all that is wrong with it')
    for name, do, says in (('list', _list, 'list the projects'), ('status', _status, 'ask each project how it is')):
        verb(name, do, says, '*' if name == 'status' else None)
    verb('get', _get, 'show all of one project', '?')
    verb('up', _up, 'start projects: the named ones, or all that are enabled', '*')
    verb('down', _down, 'stop projects: the named ones, or all that are here', '*')
    entry = verb('register', _register, 'enter a project in the registry')
    entry.add_argument('name', metavar='NAME')
    entry.add_argument('--location', required=True, help='its folder, or a git URL')
    entry.add_argument('--ref', default='', help='tag or commit its engine is pinned to')
    entry.add_argument('--disabled', action='store_true', help='registered, but not to be started')
    for listing in ('validate', 'list', 'status', 'get'):
        verbs.choices[listing].add_argument('--format', choices=('text', 'json'), default='text')
    return parser


def _load(asked: argparse.Namespace) -> Fleet:
    return fleet.load(Path(asked.fleet))


def _say(*lines: str) -> None:
    console(sys.stdout, os.environ).say(*lines)


def _complain(*lines: str) -> None:
    if lines:
        out = console(sys.stderr, os.environ)
        out.say(*map(out.fold, lines))


def _say_json(value: Any) -> None:
    _say(json.dumps(value, ensure_ascii=False, indent=1))


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    console(sys.stdout, os.environ).table([Column(title) for title in titles], [Row(cells) for cells in rows])


def _as_json(project: Project) -> dict[str, Any]:
    return {**project._asdict(), 'folder': str(project.folder) if project.folder else None}


def _validate(asked: argparse.Namespace) -> int:
    projects = _load(asked).projects
    disabled = sum(not project.enabled for project in projects)
    if asked.format == 'json':
        _say_json({'ok': True, 'projects': len(projects), 'disabled': disabled})
    else:
        _say(f'OK: {len(projects)} project{"" if len(projects) == 1 else "s"}, {disabled} disabled')
    return Exit.GREEN


def _list(asked: argparse.Namespace) -> int:
    projects = _load(asked).projects
    if asked.format == 'json':
        _say_json([_as_json(project) for project in projects])
    else:
        _table(_LISTED, ((p.name, _yes(p.enabled), p.harness, p.ref or '-', p.location, p.config) for p in projects))
    return Exit.GREEN


def _get(asked: argparse.Namespace) -> int:
    if not asked.names:
        raise UserError('run_fleet.py get: which project? (run_fleet.py get NAME)')
    project = _load(asked).get(asked.names)
    if asked.format == 'json':
        _say_json(_as_json(project))
    else:
        shown = {**_as_json(project), 'enabled': _yes(project.enabled), 'secrets': ', '.join(project.secrets)}
        _say(*(f'{key:<8}  {value or "-"}' for key, value in shown.items()))
    return Exit.GREEN


def _status(asked: argparse.Namespace) -> int:
    """Exit 3 where a project that is enabled and not merely a URL could not say how it is."""
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(look, _chosen(_load(asked), asked.names)))
    if asked.format == 'json':
        _say_json([{**one._asdict(), 'project': one.project.name, 'enabled': one.project.enabled} for one in seen])
    else:
        _table(_STATUS, ((one.project.name, _yes(one.project.enabled), *one[1:4]) for one in seen))
    _complain(*(f'{one.project.name}: {problem}' for one in seen for problem in one.problems))
    silent = [one for one in seen if not one.told and one.project.enabled and one.project.folder]
    return Exit.BROKEN if silent else Exit.GREEN


def _up(asked: argparse.Namespace) -> int:
    """Named projects must all be enabled, else none is started; without names, the disabled are left out."""
    registry = _load(asked)
    chosen = _chosen(registry, asked.names)
    disabled = [project for project in chosen if not project.enabled]
    if asked.names and disabled:
        raise UserError(f'{registry.path}: {project.name} is disabled (set enabled = true)' for project in disabled)
    for project in disabled:
        _say(f'{project.name}: disabled, left as it is')
    return _act('up', registry, [project for project in chosen if project.enabled], bool(asked.names))


def _down(asked: argparse.Namespace) -> int:
    """A disabled project can be stopped, too."""
    registry = _load(asked)
    return _act('down', registry, _chosen(registry, asked.names), bool(asked.names))


def _register(asked: argparse.Namespace) -> int:
    path = Path(asked.fleet)
    location = asked.location
    if Path(location).exists():
        location = os.path.relpath(Path(location).resolve(), path.resolve().parent)
    said = {'name': asked.name, 'location': location, 'ref': asked.ref, 'enabled': not asked.disabled}
    registry = fleet.register(path, {key: value for key, value in said.items() if value != ''})
    _say(f'{registry.path}: {asked.name} registered, {len(registry.projects)} in all')
    return Exit.GREEN


def _yes(enabled: bool) -> str:
    return 'yes' if enabled else 'no'


def _chosen(registry: Fleet, names: Sequence[str]) -> list[Project]:
    return [registry.get(name) for name in dict.fromkeys(names)] if names else list(registry.projects)


def _act(verb: str, registry: Fleet, projects: Sequence[Project], named: bool) -> int:
    """Run the verb of each project's own engine; the worst exit status. Those that are not here must be, if `named`."""
    absent = [project for project in projects if not (_is_here(project) or (verb == 'down' and _was_here(project)))]
    if absent and named:
        raise UserError(f'{registry.path}: {project.name} is not here: {_why_absent(project)}' for project in absent)
    for project in absent:
        _say(f'{project.name}: not here, left out: {_why_absent(project)}')
    worst = 0
    environment = {**os.environ, fleet.FLEET_VARIABLE: str(registry.path.resolve())}
    for project in projects:
        if project in absent:
            continue
        _say(f'{project.name}: {verb}')
        worst = max(worst, _ended(project, verb, environment))
    return worst


def _ended(project: Project, verb: str, environment: Mapping[str, str]) -> int:
    """The exit status of a verb of the project's own engine."""
    try:
        asked = command(project, verb)
        status = subprocess.run(asked, env=environment, timeout=_ACT_SECONDS, stdin=subprocess.DEVNULL).returncode
    except subprocess.TimeoutExpired:
        print(f'{project.name}: {verb} has not ended in {_ACT_SECONDS:.0f} s (see doctor there)', file=sys.stderr)
        return Exit.BROKEN
    return status if status >= 0 else Exit.BROKEN


def _is_here(project: Project) -> bool:
    return project.folder is not None and (project.folder / project.config).is_file()


def _was_here(project: Project) -> bool:
    """Whether its agents may be at work although their configuration is gone."""
    return project.folder is not None and project.folder.is_dir()


def _why_absent(project: Project) -> str:
    if project.folder is None:
        return f'{project.location} is a URL (clone it, and write the path of the clone as its location)'
    return f'there is no {project.folder / project.config} (mend location or config)'


def command(project: Project, *verb: str) -> list[str]:
    """What runs a verb in a project that is here: the engine it is pinned to, else this one."""
    assert project.folder is not None
    own = project.folder / fleet.HARNESSES[project.harness]
    engine = own if own.is_file() else _OWN_ENGINE
    return [sys.executable, str(engine), '--config', str(project.folder / project.config), *verb]


def look(project: Project) -> Seen:
    """Ask the project's own engine; a project that is not here, or does not answer, says why."""
    if not _is_here(project):
        return Seen(project, 'not here', '-', '-', told=False)
    engine = _engine(project)
    try:
        ended = subprocess.run(
            command(project, 'status', '--format', 'json'),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_STATUS_SECONDS,
        )
        said = json.loads(ended.stdout)
        agents, phase = said['agents'], said['phase']
    except subprocess.TimeoutExpired:
        return Seen(project, 'no answer', '-', engine, told=False)
    except (ValueError, KeyError, TypeError):
        why = 'bad config' if ended.returncode == Exit.MISUSE else 'no answer'
        return Seen(project, why, '-', engine, told=False, problems=_lines(ended.stderr))
    states = [agent['state'].split()[0] for agent in agents]
    unknown = 'unknown' in states
    told = 'unknown' if unknown else f'{states.count("RUNNING")}/{len(agents)} running'
    return Seen(project, told, (phase or {}).get('id', '-'), engine, not unknown, _lines(ended.stderr))


def _lines(said: bytes) -> tuple[str, ...]:
    return tuple(said.decode(errors='replace').splitlines())


def _engine(project: Project) -> str:
    """The tag or commit that the project's engine is at, and what the registry says where that is another one."""
    folder = str((project.folder or Path()) / 'engine')
    if not Path(folder, '.git').exists():
        return '-'
    at = _git(folder, 'rev-parse', '--short', 'HEAD')
    full = _git(folder, 'rev-parse', 'HEAD')
    wanted = _git(folder, 'rev-parse', '--verify', '--quiet', f'{project.ref}^{{commit}}') if project.ref else full
    if wanted != full:
        return f'{at}, not {project.ref}'
    return at if full and full.startswith(project.ref) else project.ref


def _git(folder: str, *arguments: str) -> str:
    return process.outputs([('git', '--no-optional-locks', '-C', folder, *arguments)], _STATUS_SECONDS)[0] or ''

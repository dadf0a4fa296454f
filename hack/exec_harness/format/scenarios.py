"""Loads scenarios: everything that is wrong with all of them is told at once, before anything is started."""

import os
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from hack.common import regex
from hack.common.collector import paused
from hack.common.errors import UserError
from hack.common.schema import Schema, Violation
from hack.common.source import NOWHERE, START, Document, Place, Problem, Table, parse_yaml, read
from hack.exec_harness.format import rules, templates, values
from hack.exec_harness.model import Scenario

_SCHEMA: Final = Path(__file__).resolve().parents[1] / 'schema' / 'scenario.schema.json'
_ENDINGS: Final = ('.yaml', '.yml', '.json')
_DEEPER: Final = ('responses_api', 'gh', 'expect')  # of these, one key is left out where it is wrong, not all


@paused()
def load(paths: Sequence[str]) -> tuple[Scenario, ...]:
    """The scenarios in these files and folders, by path; raises UserError with everything that is wrong with them.

    Of a folder, the files that stand directly in it: what is below are golden files, skills and the like.
    """
    found: list[Problem] = []
    named = [scenario for path in _files(paths, found) if (scenario := _scenario(path, found))]
    found.extend(_twice(named))
    if found:
        raise UserError(map(str, sorted(set(found))))
    return tuple(scenario for scenario, _ in named)


def _files(paths: Iterable[str], found: list[Problem]) -> list[str]:
    """The files to read, each once, sorted; paths are as they were given."""
    by_place: dict[str, str] = {}
    for path in sorted(paths):
        files = _in(path, found) if os.path.isdir(path) else [path]
        by_place |= {os.path.realpath(file): file for file in reversed(files)}
    if not by_place and not found:
        found.append(Problem('the scenarios', NOWHERE, 'no path to them (name a file or a folder)'))
    return sorted(by_place.values())


def _in(folder: str, found: list[Problem]) -> list[str]:
    try:
        names = [name for name in os.listdir(folder) if name.endswith(_ENDINGS) and not name.startswith('.')]
    except OSError as error:
        found.append(Problem(folder, NOWHERE, f'cannot be read: {error.strerror} (check its permissions)'))
        return []
    if not names:
        found.append(Problem(folder, NOWHERE, 'no scenarios in it (name a file or a folder that holds some, in YAML)'))
    return [os.path.join(folder, name) for name in sorted(names)]


def _scenario(path: str, found: list[Problem]) -> tuple[Scenario, Place] | None:
    text = read(path, found)
    document = None if text is None else parse_yaml(path, text, found)
    if document is None:
        return None
    templates.write_out_repeats(document, found)
    templates.check_names(document, found)
    violations = _schema().violations(document)
    found.extend(violation.problem for violation in violations)
    raw = document.data
    if not isinstance(raw, Table):
        return None
    asked = frozenset(raw)
    _leave_out(violations, document)
    folder = Path(path).parent
    broken = list(rules.problems(document, asked, lambda name: _find(name, folder)))
    found.extend(broken)
    if violations or broken:
        return None
    place = raw.place('name') if 'name' in raw else START
    return values.scenario(raw, path, place.line, lambda name: _find(name, folder)), place


@cache
def _schema() -> Schema:
    return Schema(
        _SCHEMA.read_text(encoding='utf-8'), {'workspace-path': rules.path_fault, 'python-regex': regex.fault}
    )


def _leave_out(violations: Iterable[Violation], document: Document) -> None:
    """Go on with what is sound."""
    for violation in violations:
        match violation.path:
            case [outer, str(key), *_] if outer in _DEEPER and isinstance(document.data.get(outer), Table):
                document.data[outer].drop(key)
            case [str(key), *_]:
                document.data.drop(key)


def _find(name: str, folder: Path) -> Path:
    """A path that a scenario gives: beside it, else from where we are; absolute."""
    beside = (folder / name).absolute()
    return beside if beside.exists() else Path(name).absolute()


def _twice(named: Iterable[tuple[Scenario, Place]]) -> Iterable[Problem]:
    firsts: dict[str, Scenario] = {}
    for scenario, place in named:
        first = firsts.setdefault(scenario.name, scenario)
        if first is not scenario:
            what = f'the name {scenario.name!r} is taken by {first.path}:{first.line} (rename one of the two)'
            yield Problem(scenario.path, place, what)

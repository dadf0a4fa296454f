"""What differs between two runs of the gate: verdicts, events and requests, masked as `--twice` masks them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hack.common import files
from hack.common.errors import UserError
from hack.exec_harness.judging import normalise
from hack.exec_harness.judging.golden import difference
from hack.exec_harness.reporting import evidence


class Difference(NamedTuple):
    """One way in which a scenario differs: one line, and for people the lines around it."""

    scenario: str
    what: str  # presence, verdict, events or requests
    text: str
    lines: str = ''


def between(before: Path, after: Path) -> list[Difference]:
    """Two folders of runs, or of one scenario each; raises UserError where one is neither."""
    one, other = _scenarios(before), _scenarios(after)
    if len(one) == len(other) == 1:
        [(name, its)], [(_, others)] = one.items(), other.items()
        return list(_of_scenario(name, its, others))
    found: list[Difference] = []
    for name in sorted({*one, *other}):
        if name in one and name in other:
            found += _of_scenario(name, one[name], other[name])
        else:
            found.append(Difference(name, 'presence', f'only in {before if name in one else after}'))
    return found


def _scenarios(folder: Path) -> dict[str, Path]:
    """The folders of scenarios there, by name: the folder itself, or those in it, second attempts left out."""
    if (folder / 'result.json').is_file():
        return {folder.name: folder}
    there = (path.parent for path in folder.glob('*/result.json'))
    found = {each.name: each for each in there if not each.name.endswith(evidence.SECOND)}
    if not found:
        raise UserError(f'{folder}: holds no results (name the folder of a run, or of a scenario in it)')
    return found


def _of_scenario(name: str, before: Path, after: Path) -> Iterator[Difference]:
    results = [_read(folder / 'result.json') for folder in (before, after)]
    said = [': '.join(filter(None, (result.get('verdict', '?'), result.get('cause', '')))) for result in results]
    if said[0] != said[1]:
        yield Difference(name, 'verdict', f'was {said[0]}; is {said[1]}')
    try:
        sides = [evidence.read_normalised(folder) for folder in (before, after)]
    except (OSError, ValueError):
        return  # the verdicts say why there is nothing to compare
    for what in ('events', 'requests'):
        was, now = (getattr(side, what) for side in sides)
        if found := normalise.first_difference(was, now):
            lines = difference(_lines(was), _lines(now), str(before), str(after))
            yield Difference(name, what, f'{found}', lines)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = files.read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f'{path}: cannot be read: {error} (run the scenario again)') from error
    if not isinstance(value, dict):
        raise UserError(f'{path}: holds no result (run the scenario again)')
    return value


def _lines(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)

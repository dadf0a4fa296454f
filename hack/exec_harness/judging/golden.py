"""Golden requests: what an agent's requests came to when somebody last looked at them, in a file one can read.

Long texts, as instructions are, and descriptions, as tools have, stand in it by their length and digest: what changed
in one shows in the evidence, and a golden file stays small and our own.
"""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common import files

_LONGEST: Final = 200  # characters of a text that stands as it is
_MOST_LINES: Final = 60  # of a difference


class Comparison(NamedTuple):
    """What a comparison came to: both are empty where golden and observed agree."""

    wrong: str  # one line
    difference: str  # lines, for people


def abridged(value: Any) -> Any:
    """The value with every long text, and every description, replaced by its length and digest."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else _digest(value)
    if isinstance(value, dict):
        return {
            key: _digest(inner) if key == 'description' and isinstance(inner, str) else abridged(inner)
            for key, inner in value.items()
        }
    return [abridged(inner) for inner in value] if isinstance(value, list) else value


def _digest(text: str) -> str:
    return f'({len(text)} characters, sha256 {files.sha256(text.encode("utf-8", "backslashreplace"))[:16]})'


def compare(path: Path, observed: Sequence[Any]) -> Comparison:
    """The bodies of all requests, normalised, against the file; nothing is written."""
    try:
        golden = path.read_text()
    except FileNotFoundError:
        return Comparison(f'{path.name} is not there (look at the requests, then write it with UPDATE=1)', '')
    except (OSError, UnicodeDecodeError) as error:
        return Comparison(f'{path.name} cannot be read: {error}', '')
    now = _text(observed)
    if golden == now:
        return Comparison('', '')
    return Comparison(_first(golden, now, path.name), difference(golden, now, 'golden', 'observed'))


def update(path: Path, observed: Sequence[Any]) -> bool:
    """Have the file say what was observed; whether it did not before. Raises OSError."""
    now = _text(observed)
    if path.exists() and path.read_text() == now:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomic(path, now)
    return True


def difference(before: str, after: str, name: str = 'expected', other: str = 'observed') -> str:
    """Both texts as one, in the lines in which they differ and some around them; shortened where it is long."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), name, other, n=2, lineterm=''))
    left_out = len(lines) - _MOST_LINES
    return '\n'.join([*lines[:_MOST_LINES], *([f'… and {left_out} more lines'] if left_out > 0 else [])])


def _text(observed: Sequence[Any]) -> str:
    return json.dumps(abridged(list(observed)), indent=1, sort_keys=True, ensure_ascii=False) + '\n'


def _first(golden: str, now: str, name: str) -> str:
    """Where they part, as a line of the golden file, which people can open there."""
    wanted, seen = golden.splitlines(), now.splitlines()
    line = next((number for number, pair in enumerate(zip(wanted, seen, strict=False)) if pair[0] != pair[1]), None)
    if line is None:
        line = min(len(wanted), len(seen))
    shown = [lines[line].strip().rstrip(',') if line < len(lines) else 'its end' for lines in (wanted, seen)]
    return f'{name}:{line + 1} is {shown[0]}, observed {shown[1]}'

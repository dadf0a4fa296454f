"""Looks into JSON values: by a path such as `a.b[0]`, and whether two are equal as JSON has it."""

import re
from typing import Any


def parse(path: str) -> list[str | int]:
    """`a.b[0]` as keys and indexes; raises ValueError. A path may start with an index: `[0].name`."""
    if not re.fullmatch(r'(?:[^.\[\]]+|\[-?\d+\])(?:\.[^.\[\]]+|\[-?\d+\])*', path):
        raise ValueError(f'not a path like a.b[0]: {path!r}')
    return [int(index) if index else key for key, index in re.findall(r'([^.\[\]]+)|\[(-?\d+)\]', path)]


def value_at(document: Any, path: str) -> Any:
    """What stands there; raises LookupError where nothing does."""
    for key in parse(path):
        match key, document:
            case (str(), dict()) | (int(), list()):
                document = document[key]
            case _:
                raise LookupError(path)
    return document


def same(value: Any, wanted: Any) -> bool:
    """Equality as JSON has it: to Python, 1 == True."""
    if isinstance(value, dict) and isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(same(value[key], wanted[key]) for key in value)
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(same, value, wanted))
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)

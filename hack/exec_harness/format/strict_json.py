"""Reads the JSON of others, as every reader of it would: nothing that only Python takes, nothing too deep for most."""

import json
from collections.abc import Iterable
from typing import Any, Final

DEEPEST: Final = 128  # levels; what widespread parsers stop at, and well within what Python can recurse into


def parse(text: bytes | str) -> Any:
    """The value; raises ValueError where it is none, also for bytes that are no text."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError(f'nested deeper than {DEEPEST} levels') from None
    if _is_deep(value):
        raise ValueError(f'nested deeper than {DEEPEST} levels')
    return value


def _refuse(word: str) -> None:
    raise ValueError(f'{word} is no JSON')  # NaN, Infinity


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _within(outer)]
    return any(isinstance(each, dict | list) for each in level)


def _within(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()

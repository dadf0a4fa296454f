"""Holds tables of a TOML file to the keys and types that are known of them, and says all that is wrong at once.

A type is said, never the value: that may be a secret in the wrong place.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from hack.common.source import suggest

# What a key may be.
TEXT: Final = 'a text'
TRUTH: Final = 'true or false'
NUMBER: Final = 'a number'
TEXTS: Final = 'a list of texts'
TABLE: Final = 'a table'
TABLES: Final = 'a list of tables'


def check(where: str, table: Mapping[str, Any], known: Mapping[str, str], required: Iterable[str] = ()) -> list[str]:
    """Every problem of a table with the keys that are known, each with what it may be."""
    found = [f'{where}: unknown key {key!r}{near(key, known)}' for key in table if key not in known]
    found += [f'{where}: {key} is missing (write {key} = …)' for key in required if key not in table]
    return found + [wrong for key in table if key in known for wrong in mismatch(f'{where}: {key}', table, key, known)]


def mismatch(what: str, table: Mapping[str, Any], key: str, known: Mapping[str, str]) -> list[str]:
    """One problem, where the key holds what it may not be."""
    if fits(table[key], known[key]):
        return []
    return [f'{what} is {_kind(table[key])} (it must be {known[key]})']


def fits(value: Any, wanted: str) -> bool:
    match value:
        case bool():
            return wanted == TRUTH
        case int() | float():
            return wanted == NUMBER
        case str():
            return wanted == TEXT
        case dict():
            return wanted == TABLE
        case list():
            items = {TEXTS: str, TABLES: dict}.get(wanted)
            return items is not None and all(isinstance(item, items) for item in value)
    return False


def _kind(value: Any) -> str:
    names = {bool: TRUTH, int: NUMBER, float: NUMBER, str: TEXT, dict: TABLE, list: 'another list'}
    return names.get(type(value), 'a time')


def near(word: str, known: Collection[str]) -> str:
    """What to write instead."""
    return suggest(word, known) or f' (known: {", ".join(known)})'


def entries(value: Any) -> list[dict[str, Any]]:
    """The tables among what should be a list of them."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def entry(table: str, number: int, said: Mapping[str, Any], key: str = 'name') -> str:
    """How one of a list of tables is called: by its name, or by its number from 1."""
    name = said.get(key)
    return f'[[{table}]] {name!r}' if isinstance(name, str) and name else f'[[{table}]] number {number}'

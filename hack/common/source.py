"""Reads YAML and TOML as plain values that know where they stand in their file.

YAML here is what JSON can say: text, numbers, true, false, null, lists, and mappings with text keys; aliases are
welcome as long as they do not make the file much larger than it is. Only JSON's numbers are numbers: 0x1f, 1_000,
12:30 and dates are text.
"""

import os
import re
import stat
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, NoReturn

from hack.common.errors import UserError

LARGEST: Final = 64 * 2**20  # bytes of a file
_DEEPEST: Final = 100  # levels of lists and mappings
_ALIAS_GROWTH: Final = 10  # how many times its own length a file may get by aliases,
_ALIAS_FLOOR: Final = 100_000  # and the characters that even a short file may get
_COLUMN_BITS: Final = 32

_CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(('', '~', 'null', 'Null', 'NULL')),
    **{word: True for low in ('true', 'yes', 'on') for word in (low, low.title(), low.upper())},
    **{word: False for low in ('false', 'no', 'off') for word in (low, low.title(), low.upper())},
}
_NUMBER: Final = re.compile(r'-?(?:0|[1-9][0-9]{0,400})(\.[0-9]+)?([eE][-+]?[0-9]+)?')
_YAML_TAG: Final = 'tag:yaml.org,2002:'
_PLAIN_TAGS: Final = {None, *(f'{_YAML_TAG}{name}' for name in ('str', 'seq', 'map'))}
# What json.dumps makes of a character beyond U+FFFF. A backslash before it escapes it, hence the first branch.
_SURROGATES: Final = re.compile(rb'\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|.)', re.DOTALL)
_HINTS: Final = {
    'that cannot start any token': 'indent with spaces, not tabs; put a text that starts with @, `, % or & in quotes',
    'mapping values are not allowed': "put a text that holds ': ' in quotes, or check the indentation",
    'did not find expected': 'check the indentation and the quotes',
    "could not find expected ':'": 'check the indentation and the quotes',
    'control characters': "write it as an escape in double quotes, as in '\\x1b'",
}


class Place(NamedTuple):
    line: int  # from 1
    column: int  # from 1, in characters


class Problem(NamedTuple):
    """Something the reader can mend; sorts by file, then by place. Line 0 is the file as a whole."""

    path: str
    place: Place
    text: str  # `what (what to do)`

    @property
    def where(self) -> str:
        return f'{self.path}:{self.place.line}:{self.place.column}' if self.place.line else self.path

    def __str__(self) -> str:
        return f'{self.where}: {self.text}'


NOWHERE: Final = Place(0, 0)
START: Final = Place(1, 1)


class Items(list[Any]):
    """A list that knows where each of its items stands."""

    __slots__ = ('_places',)

    def place(self, index: int) -> Place:
        return _unpack(self._places[index])

    _places: 'array[int]'


class Table(dict[str, Any]):
    """A mapping that knows where each of its keys and values stands."""

    __slots__ = ('_order', '_places')

    def place(self, key: str, of_key: bool = False) -> Place:
        if not hasattr(self, '_order'):
            self._order = {known: number for number, known in enumerate(self)}
        return _unpack(self._places[2 * self._order[key] + (not of_key)])

    def drop(self, key: str) -> None:
        """Leave out a key, if it is there."""
        if key in self:
            number = list(self).index(key)
            del self[key], self._places[2 * number : 2 * number + 2]
            self._order = {known: number for number, known in enumerate(self)}

    _places: 'array[int]'  # key, value, key, value, …
    _order: dict[str, int]


class Document(NamedTuple):
    """One YAML file: `data` is its root."""

    path: str
    top: Items  # holds the root alone, so that the root has a place too

    @property
    def data(self) -> Any:
        return self.top[0]

    def problem(self, text: str, at: Sequence[str | int] = (), of_key: bool = False, within: Any = None) -> Problem:
        """A problem with what stands `at` this path, from the root or from the list or mapping `within`."""
        holder: Any = self.top if within is None else within
        steps: Any = (0, *at) if within is None else at
        for step in steps[:-1]:
            holder = holder[step]
        place = holder.place(steps[-1], of_key) if isinstance(holder, Table) else holder.place(steps[-1])
        return Problem(self.path, place, text)


class _RefusedError(Exception):
    """A problem after which reading on makes no sense."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


def suggest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'steps'?)` for the known word that is nearest to this one, '' where none is near."""
    from difflib import get_close_matches  # only where something is wrong

    by_case = {name.lower(): name for name in sorted(known)}
    near = get_close_matches(word.lower(), by_case, n=1, cutoff=0.65)
    return f' (did you mean {by_case[near[0]]!r}?)' if near else ''


def read(path: str, found: list[Problem]) -> bytes | None:
    """The file's bytes, which are UTF-8; None where it cannot be read, and `found` says why."""

    try:
        text = _read_bytes(path)
        text.decode()
        return text
    except _RefusedError as refused:
        found.append(refused.problem)
    except UnicodeDecodeError as error:
        what = f'byte {text[error.start]:#04x} at offset {error.start} is not UTF-8 (save the file as UTF-8)'
        found.append(Problem(path, _after(text[: error.start]), what))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) else error
        found.append(Problem(path, NOWHERE, f'cannot be read: {why} (check the path and its permissions)'))
    return None


def _read_bytes(path: str) -> bytes:
    # Not to wait for a writer, should it be a named pipe.
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), 'rb') as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise _RefusedError(Problem(path, NOWHERE, 'is not a regular file (give a file or a folder)'))
        if facts.st_size > LARGEST:
            raise _RefusedError(Problem(path, NOWHERE, f'has {facts.st_size} bytes, more than {LARGEST} (split it)'))
        return file.read(LARGEST)


def load_toml(path: str) -> dict[str, Any]:
    """The file's tables; raises UserError naming the file and, where there is one, the place."""
    found: list[Problem] = []
    text = read(path, found)
    if text is None:
        raise UserError(map(str, found))
    import tomllib  # hundredths of a second, for those who read TOML

    try:
        return tomllib.loads(text.decode())
    except tomllib.TOMLDecodeError as error:
        what, at, where = str(error).rpartition(' (at ')
        numbers = re.findall(r'\d+', where)
        place = Place(int(numbers[0]), int(numbers[1])) if len(numbers) == 2 else NOWHERE
        what = what if numbers else f'{what} at the {where.rstrip(")")}'
        raise UserError(str(Problem(path, place, f'not TOML: {what} (see toml.io)'))) from None
    except RecursionError:
        raise UserError(f'{path}: nested too deeply (flatten it)') from None


def parse_yaml(path: str, text: bytes, found: list[Problem]) -> Document | None:
    """The file as values; None where it is not YAML or empty. `found` says what is wrong with it."""
    import yaml  # 50 ms: only for those who read YAML

    if path.endswith('.json'):
        text = _SURROGATES.sub(_join_surrogates, text)
    try:
        top = _Parser(path, text, found).parse()
    except _RefusedError as refused:
        found.append(refused.problem)
        return None
    except yaml.YAMLError as error:
        found.append(_not_yaml(path, text, error))
        return None
    if not top or top[0] is None:
        found.append(Problem(path, START, 'is empty (write at least what is required, or remove the file)'))
        return None
    return Document(path, top)


class _Open(NamedTuple):
    """What is kept of an outer list or mapping while an inner one is read."""

    values: list[Any]
    places: 'array[int]'
    is_table: bool
    start: Any  # of the inner one, like the rest
    anchor: str | None
    grown: int


class _Parser:
    """From libyaml's events to values, without recursion and in one pass."""

    def __init__(self, path: str, text: bytes, found: list[Problem]) -> None:
        self._path = path
        self._found = found
        self._text = text
        self._anchors: dict[str, tuple[Any, int]] = {}  # value and length with its aliases written out
        self._grown = 0  # characters by aliases, had they been written out
        self._most = _ALIAS_GROWTH * len(text) + _ALIAS_FLOOR

    def parse(self) -> Items:
        """The documents of the file: one, or none in an empty file."""
        from yaml import cyaml
        from yaml.events import (
            AliasEvent,
            DocumentStartEvent,
            MappingEndEvent,
            MappingStartEvent,
            ScalarEvent,
            SequenceEndEvent,
            SequenceStartEvent,
            StreamEndEvent,
        )

        next_event: Any = cyaml.CParser(self._text).get_event  # type: ignore[attr-defined]
        stack: list[_Open] = []
        values: list[Any] = Items()
        places = array('Q')
        is_table = False
        while True:
            event = next_event()
            kind = type(event)
            start = event.start_mark
            if kind is ScalarEvent:
                places.append(start.line << _COLUMN_BITS | start.column)
                values.append(self._scalar(event, is_key=is_table and not len(values) & 1))
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                places.append(start.line << _COLUMN_BITS | start.column)
                self._check_start(event, len(stack))
                stack.append(_Open(values, places, is_table, start, event.anchor, self._grown))
                is_table = kind is MappingStartEvent
                values, places = ([] if is_table else Items()), array('Q')
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                value = self._table(values, places) if is_table else _items(values, places)
                outer = stack.pop()
                if outer.anchor is not None:
                    length = event.end_mark.index - outer.start.index + self._grown - outer.grown
                    self._anchors[outer.anchor] = value, length
                values, places, is_table = outer[:3]
                values.append(value)
            elif kind is AliasEvent:
                places.append(start.line << _COLUMN_BITS | start.column)
                values.append(self._alias(event))
            elif kind is DocumentStartEvent and values:
                self._refuse(event, 'a second document begins (put it in a file of its own)')
            elif kind is StreamEndEvent:
                return _items(values, places)

    def _scalar(self, event: Any, is_key: bool) -> Any:
        value = event.value
        if event.tag not in _PLAIN_TAGS:
            self._refuse_tag(event)
        plain = event.implicit[0]
        if is_key:
            if plain and value == '<<':
                self._refuse(event, "merge keys ('<<') are not understood (write the keys out, or alias all of it)")
        elif plain:
            value = _resolve(value)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, event.end_mark.index - event.start_mark.index
        return value

    def _check_start(self, event: Any, depth: int) -> None:
        if event.tag not in _PLAIN_TAGS:
            self._refuse_tag(event)
        if depth >= _DEEPEST:
            self._refuse(event, f'nested more than {_DEEPEST} levels deep (flatten it)')

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            self._refuse(event, f'the alias *{event.anchor} has no complete anchor before it (write it out)')
        value, length = self._anchors[event.anchor]
        self._grown += length
        if self._grown > self._most:
            self._refuse(event, 'the aliases up to here make the file too large (write it out, or use fewer)')
        return value

    def _table(self, values: list[Any], places: 'array[int]') -> Table:
        keys = values[::2]
        table = Table(zip(keys, values[1::2], strict=True)) if all(type(key) is str for key in keys) else Table()
        if len(table) != len(keys):
            table, places = self._without_bad_keys(values, places)
        table._places = places
        return table

    def _without_bad_keys(self, values: list[Any], places: 'array[int]') -> tuple[Table, 'array[int]']:
        """The table with the first of several equal keys, and only with keys that are text."""
        table, kept = Table(), array('Q')
        firsts: dict[str, Place] = {}
        for number in range(0, len(values), 2):
            key, place = values[number], _unpack(places[number])
            if type(key) is not str:
                self._found.append(Problem(self._path, place, 'a key is not a text (write it as a plain word)'))
            elif key in table:
                first = firsts[key]
                text = f'duplicate key {key!r}, first at {first.line}:{first.column} (keep one of the two)'
                self._found.append(Problem(self._path, place, text))
            else:
                table[key], firsts[key] = values[number + 1], place
                kept.extend(places[number : number + 2])
        return table, kept

    def _refuse_tag(self, event: Any) -> NoReturn:
        tag = event.tag.replace(_YAML_TAG, '!!')
        self._refuse(event, f'the tag {tag!r} is not understood (write the value without it)')

    def _refuse(self, event: Any, text: str) -> NoReturn:
        raise _RefusedError(Problem(self._path, _place(event.start_mark), text))


def _items(values: list[Any], places: 'array[int]') -> Items:
    assert isinstance(values, Items)
    values._places = places
    return values


def _resolve(text: str) -> Any:
    """What a plain scalar stands for."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] in '-0123456789' and (number := _NUMBER.fullmatch(text)):
        if number[1] is None and number[2] is None:
            return int(text)
        value = float(text)
        return text if value in (float('inf'), float('-inf')) else value
    return text


def _unpack(place: int) -> Place:
    return Place((place >> _COLUMN_BITS) + 1, (place & (1 << _COLUMN_BITS) - 1) + 1)


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _after(text: bytes) -> Place:
    last = text.rpartition(b'\n')[2].decode(errors='replace')
    return Place(text.count(b'\n') + 1, len(last) + 1)


def _join_surrogates(match: re.Match[bytes]) -> bytes:
    if match[1] is None:
        return match[0]
    high, low = int(match[1], 16) - 0xD800, int(match[2], 16) - 0xDC00
    return b'\\U%08x' % (0x10000 + (high << 10) + low)


def _not_yaml(path: str, text: bytes, error: Exception) -> Problem:
    """libyaml's complaint in our form."""
    import yaml

    place, what = START, str(error)
    if isinstance(error, yaml.reader.ReaderError):
        place, what = _after(text[: error.position]), str(error.reason)
    elif isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = _place(mark) if mark else START
        what = ' '.join(filter(None, (error.problem, error.context)))
    hint = next((hint for words, hint in _HINTS.items() if words in what), 'mend the file, or check it in an editor')
    return Problem(path, place, f'not YAML: {what} ({hint})')

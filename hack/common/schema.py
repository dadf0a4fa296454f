"""Checks a document against a JSON Schema and says what is wrong with it in words for people.

Beside the words of JSON Schema (draft 7) a schema may hold `patternErrorMessage`, which editors show too: what a
text that does not match its `pattern` is, as `is no … (what to do)`. A `format` is a function that says what is
wrong with a text in the same way, or None.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

from hack.common.source import Document, Problem, suggest

Path = tuple[str | int, ...]
Format = Callable[[str], str | None]

_KINDS: Final = {
    'string': 'text',
    'integer': 'a whole number',
    'number': 'a number',
    'boolean': 'true or false',
    'array': 'a list',
    'object': 'a mapping',
}
_TYPES: Final[dict[type, str]] = {
    bool: 'true or false',
    str: 'text',
    int: 'a number',
    float: 'a number',
    list: 'a list',
    dict: 'a mapping',
}
_SHOWN: Final = 60  # characters of a value in a message


class Violation(NamedTuple):
    problem: Problem
    path: Path  # of what is to be left out, should one go on with the rest


class Schema:
    """One schema. Valid documents cost next to nothing; the words are looked for where one is not."""

    def __init__(self, text: str, formats: Mapping[str, Format]) -> None:
        self._schema = json.loads(text)
        self._formats = formats

    def violations(self, document: Document) -> list[Violation]:
        """Everything that is wrong with the document, by place; empty if it is valid."""
        if self._is_valid(document.data):
            return []
        errors = self._validator.iter_errors(document.data)
        violations = {violation for error in errors for violation in self._in_words(document, error)}
        return sorted(violations, key=lambda violation: violation.problem)

    @cached_property
    def _is_valid(self) -> Callable[[Any], bool]:
        import fastjsonschema

        formats = {name: lambda text, fault=fault: fault(text) is None for name, fault in self._formats.items()}
        validate = fastjsonschema.compile(self._schema, formats=formats, use_default=False, detailed_exceptions=False)

        def is_valid(data: object) -> bool:
            try:
                validate(data)
            except fastjsonschema.JsonSchemaException:
                return False
            return True

        return is_valid

    @cached_property
    def _validator(self) -> Any:
        from jsonschema import ValidationError, validators

        def has_pattern(_: object, pattern: str, value: object, __: object) -> Iterator[Any]:
            # `$` is the end, as in JavaScript and in fastjsonschema, not a place before a last newline too.
            if isinstance(value, str) and not re.search(re.sub(r'(?<!\\)\$', r'\\Z', pattern), value):
                yield ValidationError(f'{value!r} does not match {pattern!r}')

        def has_format(_: object, name: str, value: object, __: object) -> Iterator[Any]:
            if isinstance(value, str) and self._formats[name](value):
                yield ValidationError(f'{value!r} is no {name}')

        extend: Any = validators.extend
        return extend(validators.Draft7Validator, {'pattern': has_pattern, 'format': has_format})(self._schema)

    def _in_words(self, document: Document, error: Any) -> Iterable[Violation]:
        """The error in our words. Some errors are several, one for each key."""
        path: Path = tuple(error.absolute_path)
        value, rule, wanted = error.instance, error.validator, error.validator_value
        of_key = 'propertyNames' in error.absolute_schema_path
        name = _name(path)
        if of_key:
            path, name = (*path, value), 'the key'
        if rule == 'additionalProperties':
            known = error.schema['properties']
            for key in value.keys() - known.keys():
                hint = suggest(key, known) or f' (known here: {", ".join(known)})'
                problem = document.problem(f'unknown key {_show(key)}{hint}', (*path, key), of_key=True)
                yield Violation(problem, (*path, key))
        elif rule == 'required':
            for key in wanted:
                if key not in value:
                    what = f'the key {key!r} is missing{f" in {name}" if path else ""} (add it)'
                    yield Violation(document.problem(what, path), path)
        elif rule == 'uniqueItems':
            seen: set[str] = set()
            for index, item in enumerate(value):
                written = json.dumps(item)
                if written in seen:
                    what = f'{_show(item)} stands twice in {name} (keep one of the two)'
                    yield Violation(document.problem(what, (*path, index)), path)
                seen.add(written)
        else:
            said = self._formats[wanted](value) if rule == 'format' else None
            text = f'{_show(value)} {said}' if said else _say(name, value, rule, wanted, error.schema)
            yield Violation(document.problem(text, path, of_key), path)


def _say(name: str, value: Any, rule: str, wanted: Any, schema: dict[str, Any]) -> str:
    if rule == 'type':
        return _say_type(name, value, [wanted] if isinstance(wanted, str) else wanted)
    if rule == 'pattern':
        return f'{_show(value)} {schema["patternErrorMessage"]}'
    if rule == 'enum':
        words = [str(word) for word in wanted]
        return f'{name} cannot be {_show(value)}' + (suggest(str(value), words) or f' (known: {", ".join(words)})')
    if rule in ('minItems', 'minProperties', 'minLength'):
        return f'{name} is empty (say something, or remove it)'
    if rule == 'maxLength':
        return f'{name} has {len(value)} characters, more than {wanted} (shorten it)'
    limit = {'minimum': 'at least', 'maximum': 'at most', 'exclusiveMinimum': 'more than'}[rule]
    return f'{name} is {_show(value)} (give {limit} {wanted})'


def _say_type(name: str, value: Any, kinds: list[str]) -> str:
    wants = ' or '.join(_KINDS[kind] for kind in kinds if kind != 'null')
    if value is None:
        return f'{name} is empty (give {wants}, or remove it)'
    if isinstance(value, bool) and 'string' in kinds:
        why = 'yes, no, on, off, true and false are no text in YAML'
        return f"{name} wants {wants}, but {why} (put it in quotes, as in '{'yes' if value else 'no'}')"
    if isinstance(value, int | float) and 'string' in kinds:
        hint = 'round it, or put' if 'integer' in kinds else 'put'
        return f"{name} wants {wants}, not the number {value} ({hint} it in quotes: '{value}')"
    if isinstance(value, str | int | float) and not {'array', 'object'} & set(kinds):
        hint = 'write it without quotes' if isinstance(value, str) else 'mend the value'
        return f'{name} wants {wants}, not {_show(value)} ({hint})'
    kind = next(words for known, words in _TYPES.items() if isinstance(value, known))
    return f'{name} wants {wants}, not {kind} (check the indentation and the punctuation)'


def _name(path: Path) -> str:
    """What people call the place: its key, or an entry of it."""
    keys = [step for step in path if isinstance(step, str)]
    if not keys:
        return 'the file'
    return f'an entry of {keys[-1]!r}' if isinstance(path[-1], int) else repr(keys[-1])


def _show(value: Any) -> str:
    shown = repr(value) if isinstance(value, str) else json.dumps(value)
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'

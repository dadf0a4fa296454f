"""What stands in double braces in a scenario, and what is repeated there, written out."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final, TypeVar

from hack.common.source import LARGEST, Document, Items, Problem, Table, suggest

NAMES: Final = ('agent', 'base_url', 'workspace', 'home')
TOOLS: Final = ('shell', 'apply_patch', 'view_image')  # what adapters may know a tool for; each may have an argument
_TOOL: Final = 'tool.'
_TOOL_NAMES: Final = tuple(f'{_TOOL}{tool}{of}' for tool in TOOLS for of in ('', '.argument'))
_KNOWN: Final = re.compile(r'\{\{ ?(agent|base_url|workspace|home|tool\.[a-z_]+(?:\.[a-z_]+)*) ?\}\}')
_ANY: Final = re.compile(r'\{\{ ?([A-Za-z_.-]+) ?\}\}')
_REPEAT: Final = '$repeat'

Value = TypeVar('Value')


class NoValueError(LookupError):
    """Nothing stands for a name here: the agent has no such tool."""


def expand(value: Value, values: Mapping[str, str]) -> Value:
    """The value, of model types or JSON, with each `{{name}}` replaced; raises NoValueError.

    Only the names known here are: other double braces are a text like any other. In `arguments` that are JSON in a
    text, the replacement is escaped as JSON wants it.
    """
    return _expand(value, values)  # type: ignore[no-any-return]


def _expand(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _KNOWN.sub(partial(_value, values), value) if '{{' in value else value
    if isinstance(value, Mapping):
        return {_expand(key, values): _of_key(key, inner, values) for key, inner in value.items()}
    if isinstance(value, tuple) and hasattr(value, '_make'):
        return value._make(_expand(inner, values) for inner in value)
    if isinstance(value, list | tuple):
        return type(value)(_expand(inner, values) for inner in value)
    return value


def _value(values: Mapping[str, str], match: re.Match[str]) -> str:
    try:
        return values[match[1]]
    except KeyError:
        raise NoValueError(match[1]) from None


def _of_key(key: str, value: Any, values: Mapping[str, str]) -> Any:
    if key == 'arguments' and isinstance(value, str) and _KNOWN.search(value):
        try:
            return json.dumps(_expand(json.loads(value), values), ensure_ascii=False)
        except ValueError:
            pass  # no JSON: a text like any other
    return _expand(value, values)


def names(value: Any) -> Iterator[str]:
    """The names in double braces that would be replaced, as often as they stand there."""
    if isinstance(value, str):
        yield from _KNOWN.findall(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from names(key)
            yield from names(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from names(inner)


def check_names(document: Document, found: list[Problem]) -> None:
    """Find tools that no adapter knows, and names that come near to a known one; others are a text like any other."""
    for holder, step in _values(document):
        for name in _ANY.findall(holder[step]) if isinstance(holder[step], str) else ():
            if fault := _name_fault(name):
                found.append(document.problem(f'unknown name {{{{{name}}}}}{fault}', (step,), within=holder))


def _name_fault(name: str) -> str:
    if name in NAMES or name in _TOOL_NAMES:
        return ''
    if name.startswith(_TOOL):
        return suggest(name, _TOOL_NAMES) or f' (known: {", ".join(_TOOL_NAMES)})'
    return suggest(name, NAMES)


def write_out_repeats(document: Document, found: list[Problem]) -> None:
    """Replace each `{"$repeat": text, "count": n}` by the text, n times; places stay what they were."""
    for holder, step in _values(document):
        value = holder[step]
        if isinstance(value, Table) and _REPEAT in value:
            fault = _repeat_fault(value)
            holder[step] = _REPEAT if fault else value[_REPEAT] * value['count']
            if fault:
                found.append(document.problem(fault, (step,), within=holder))


def _values(document: Document) -> Iterator[tuple[Any, Any]]:
    """Every value, as the list or mapping that holds it and where in there; what is within comes after it."""
    pending: list[tuple[Any, Any]] = [(document.top, 0)]
    while pending:
        holder, step = pending.pop()
        yield holder, step
        value = holder[step]
        steps: Iterable[Any] = (
            value if isinstance(value, Table) else range(len(value)) if isinstance(value, Items) else ()
        )
        pending += [(value, inner) for inner in steps]


def _repeat_fault(value: Table) -> str:
    text, count = value[_REPEAT], value.get('count')
    if value.keys() != {_REPEAT, 'count'} or type(text) is not str or type(count) is not int or count < 0:
        return f'a repetition is {{{_REPEAT}: text, count: n}}, nothing else (mend it)'
    if len(text) * count > LARGEST:
        return f'{len(text) * count} characters are more than {LARGEST} (repeat it less often)'
    return ''

"""Makes two runs comparable: what differs from run to run is masked, and the first difference that is left is told."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

_UUID: Final = re.compile(r'(?<![0-9a-zA-Z])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9a-zA-Z])')
_TIME: Final = r'\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?'
# What agents say that differs from run to run, and what stands for it.
_VARYING: Final = tuple(
    (re.compile(pattern), mask)
    for pattern, mask in (
        (rf'\b\d{{4}}-\d{{2}}-\d{{2}}[T ]{_TIME}(?: ?(?:Z\b|UTC\b|[+-]\d{{2}}:?\d{{2}}))?', '<time>'),
        (r'\b20\d{2}-\d{2}-\d{2}\b', '<date>'),
        (r'\b1[6-9]\d{11}\b', '<milliseconds>'),  # since 1970, also where JSON stands in a text
        (r'(?i)(\bchunk id: ?)[0-9a-f]+', r'\1<chunk>'),
        (r'(?i)(\bwall time: ?)\d+(?:\.\d+)?', r'\1<seconds>'),
        (r'(?i)(\b(?:session|process) id:? ?)\d+', r'\1<number>'),
        (r'\b(127\.0\.0\.1|localhost|\[::1\]):\d{2,5}\b', r'\1:<port>'),
    )
)
_OF_MACHINE: Final = re.compile(r'<(timezone|shell)>[^<]*(?=</\1>)')
_MEASURED: Final = re.compile(
    r'(?:^|_)(?:timestamp|duration|wall_time|time|at)(?:_(?:s|ms|us|ns|secs?|seconds|millis))?$'
)
_SHORT: Final = 60  # characters
_ABSENT: Final = object()


class Difference(NamedTuple):
    """Where two values part: a path as in [1].input[0].text, and both sides as JSON."""

    path: str
    before: str
    after: str

    def __str__(self) -> str:
        return f'{self.path or "the whole"} was {self.before}, then {self.after}'


class Normaliser:
    """Masks the values of one run. The same UUID gets the same number wherever it stands, in order of appearance."""

    def __init__(self, masks: Mapping[str, str]) -> None:
        """`masks`: a path of this run, and what stands for it; a path within another one is found first."""
        escaped = {json.dumps(path, ensure_ascii=False)[1:-1]: mask for path, mask in masks.items()}
        self._masks = {path: mask for path, mask in {**escaped, **masks}.items() if path}
        longest_first = sorted(self._masks, key=len, reverse=True)
        self._paths = re.compile('|'.join(map(re.escape, longest_first)) or r'(?!)')
        self._numbers: dict[str, int] = {}
        self._short: dict[str, str] = {}  # what the names in JSON come to, which are the same again and again

    def value(self, value: Any) -> Any:
        """The JSON value, masked, keys in order."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key): self._of_key(key, value[key]) for key in sorted(value)}
        return [self.value(inner) for inner in value] if isinstance(value, list | tuple) else value

    def text(self, text: str) -> str:
        if len(text) > _SHORT:
            return self._masked(text)
        if text not in self._short:
            self._short[text] = self._masked(text)
        return self._short[text]

    def _masked(self, text: str) -> str:
        text = self._paths.sub(lambda found: self._masks[found[0]], text)
        text = _OF_MACHINE.sub(r'<\1><\1>', _UUID.sub(self._uuid, text))
        for pattern, mask in _VARYING:
            text = pattern.sub(mask, text)
        return text

    def _of_key(self, key: str, value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool) and _MEASURED.search(key):
            return '<measured>'
        return self.value(value)

    def _uuid(self, found: re.Match[str]) -> str:
        return f'<uuid-{self._numbers.setdefault(found[0].lower(), len(self._numbers) + 1)}>'


def canonical(value: Any) -> str:
    """The one text of a JSON value: keys sorted, no spaces to choose."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(',', ':'))


def first_difference(before: Any, after: Any) -> Difference | None:
    """Where two JSON values part first, in the order of sorted keys; None where they are equal."""
    return next(_differences(before, after, ''), None)


def _differences(before: Any, after: Any, path: str) -> Iterator[Difference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _differences(before.get(key, _ABSENT), after.get(key, _ABSENT), f'{path}.{key}'.lstrip('.'))
    elif isinstance(before, list | tuple) and isinstance(after, list | tuple):
        for number in range(max(len(before), len(after))):
            one, other = (side[number] if number < len(side) else _ABSENT for side in (before, after))
            yield from _differences(one, other, f'{path}[{number}]')
    elif _shown(before) != _shown(after):
        yield Difference(path, *_around(_shown(before), _shown(after)))


def _shown(value: Any) -> str:
    return 'absent' if value is _ABSENT else canonical(value)


def _around(before: str, after: str, most: int = 160) -> tuple[str, str]:
    """Both texts, as far as they are worth reading: from shortly before they part."""
    if max(len(before), len(after)) <= most:
        return before, after
    parted = next((at for at, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), None)
    start = max(0, (min(len(before), len(after)) if parted is None else parted) - most // 4)
    return _cut(before, start, most), _cut(after, start, most)


def _cut(text: str, start: int, most: int) -> str:
    return f'{"…" if start else ""}{text[start : start + most]}{"…" if len(text) > start + most else ""}'

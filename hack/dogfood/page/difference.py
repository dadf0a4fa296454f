"""Expected against observed, line by line, with what differs inside a line marked."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from os.path import commonprefix
from typing import Final, NamedTuple

_CLAIM: Final = re.compile(r'(.{1,200}?) (equals|does not contain) (.*)', re.DOTALL)  # as oracles word it
_MOST_LINES: Final = 60  # of each side
_MOST_CHARACTERS: Final = 4_000  # of each side; more is in the step's output
_CONTEXT: Final = 3  # equal lines around a change


class Part(NamedTuple):
    text: str
    differs: bool = False


class Line(NamedTuple):
    sign: str  # '-' expected, '+' observed, ' ' both, '…' equal lines left out
    parts: tuple[Part, ...]


class Difference(NamedTuple):
    claim: str  # what was asked for, where it is not among the lines
    lines: tuple[Line, ...]


def of(expected: str, observed: str) -> Difference:
    """What a finding says, from its two texts."""
    expected, observed = _cut(expected), _cut(observed)
    claim = _CLAIM.fullmatch(expected)
    if claim and claim[2] == 'equals':
        return Difference(f'{claim[1]} equals', tuple(_compared(claim[3].splitlines(), observed.splitlines())))
    if claim:
        shown = (Line('+', _marked(line, claim[3])) for line in observed.splitlines())
        return Difference('', (*_all('-', expected), *shown))
    return Difference('', (*_all('-', expected), *_all('+', observed or '(nothing)')))


def _cut(text: str) -> str:
    if len(text) > _MOST_CHARACTERS:
        half = _MOST_CHARACTERS // 2
        text = f'{text[:half]} […] {text[-half:]}'
    lines = text.split('\n')
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES // 2 : -_MOST_LINES // 2] = ['[…]']
    return '\n'.join(lines)


def _all(sign: str, text: str) -> Iterator[Line]:
    return (Line(sign, (Part(line),)) for line in text.splitlines() or [''])


def _marked(line: str, what: str) -> tuple[Part, ...]:
    """The line, with each place marked where `what` stands."""
    if not what or what not in line:
        return (Part(line),)
    first, *rest = line.split(what)
    return (Part(first), *(part for piece in rest for part in (Part(what, True), Part(piece))))


def _compared(before: Sequence[str], after: Sequence[str]) -> Iterator[Line]:
    for change, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if change == 'equal':
            yield from _context(before[i:j], is_first=i == 0, is_last=j == len(before))
            continue
        pairs = [_inside(*pair) for pair in zip(before[i:j], after[k:m], strict=False)]
        both = min(j - i, m - k)
        for pair, left, right in zip_longest(pairs, before[i + both : j], after[k + both : m]):
            yield from pair or ()
            if left is not None:
                yield Line('-', (Part(left, True),))
            if right is not None:
                yield Line('+', (Part(right, True),))


def _context(lines: Sequence[str], is_first: bool, is_last: bool) -> Iterator[Line]:
    """Equal lines: those next to a change, and a word on the others."""
    head, tail = (0 if is_first else _CONTEXT), (0 if is_last else _CONTEXT)
    left_out = len(lines) - head - tail
    if left_out <= 1:
        head, left_out, tail = len(lines), 0, 0
    yield from (Line(' ', (Part(line),)) for line in lines[:head])
    if left_out:
        yield Line('…', (Part(f'{left_out} equal lines'),))
    yield from (Line(' ', (Part(line),)) for line in lines[len(lines) - tail :])


def _inside(before: str, after: str) -> tuple[Line, Line]:
    """A line that was expected and the one observed in its place, which may start and end like it."""
    most = min(len(before), len(after))
    head = len(commonprefix((before, after)))
    tail = min(most - head, len(commonprefix((before[::-1], after[::-1]))))
    if 2 * (head + tail) < most:  # two lines that only share some letters
        head = tail = 0
    return _split('-', before, head, tail), _split('+', after, head, tail)


def _split(sign: str, line: str, head: int, tail: int) -> Line:
    end = len(line) - tail
    parts = (Part(line[:head]), Part(line[head:end], True), Part(line[end:]))
    return Line(sign, tuple(part for part in parts if part.text))

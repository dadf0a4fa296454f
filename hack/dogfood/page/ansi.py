"""What a program wrote for a terminal, as HTML: colours as classes, everything else as text.

Only colours and weights are obeyed. 256 and true colours become the nearest of the sixteen that the page's style
sheet knows how to make readable on a light and on a dark page. All other escapes stay, for `plain` to spell out.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from markupsafe import Markup, escape

# What has no sign of its own, or steers the text around it: control characters but tab and newline, marks of
# writing direction, other invisible ones, and what is left of bytes that were no UTF-8.
_UNSEEN: Final = re.compile(
    '[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb'
    '\ud800-\udfff\U000e0000-\U000e007f]'
)
_COLOURING: Final = re.compile('\x1b\\[([0-9;:]{0,100})m')
_SIXTEEN: Final = (  # red, green and blue of the terminal colours 0 to 15
    (0, 0, 0), (170, 0, 0), (0, 170, 0), (170, 85, 0), (0, 0, 170), (170, 0, 170), (0, 170, 170), (170, 170, 170),
    (85, 85, 85), (255, 85, 85), (85, 255, 85), (255, 255, 85), (85, 85, 255), (255, 85, 255), (85, 255, 255),
    (255, 255, 255),
)  # fmt: skip
_CUBE: Final = (0, 95, 135, 175, 215, 255)


def plain(text: str) -> str:
    """The text with every unseen character spelled out, as `␛` or `⟨U+202E⟩`; line ends of any kind become newlines."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(_sign, text.replace('\r\n', '\n'))


def _sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return '␡' if code == 0x7F else f'⟨U+{code:04X}⟩'


class _Look(NamedTuple):
    fore: int | None = None  # 0 to 15
    back: int | None = None
    marks: frozenset[str] = frozenset()  # bold, dim, italic, underline, reverse

    def classes(self) -> str:
        fore, back, marks = self.fore, self.back, self.marks
        if 'reverse' in marks and (fore, back) != (None, None):
            fore, back, marks = back, fore, marks - {'reverse'}
        names = [f'f{fore}'] * (fore is not None) + [f'b{back}'] * (back is not None)
        return ' '.join([*names, *sorted(marks)])


_PLAIN: Final = _Look()
_MARKS: Final = {1: 'bold', 2: 'dim', 3: 'italic', 4: 'underline', 7: 'reverse'}
_UNMARKS: Final = {22: {'bold', 'dim'}, 23: {'italic'}, 24: {'underline'}, 27: {'reverse'}}


def markup(text: str) -> Markup:
    """The text as HTML that says and does nothing but what can be read on it."""
    if '\x1b[' not in text:
        return escape(plain(text))
    look, done, last = _PLAIN, [], 0
    for found in _COLOURING.finditer(text):
        done.append(_piece(text[last : found.start()], look))
        look, last = _changed(look, found[1]), found.end()
    done.append(_piece(text[last:], look))
    return Markup('').join(done)


def _piece(text: str, look: _Look) -> Markup:
    if not text or look == _PLAIN:
        return escape(plain(text))
    return Markup('<span class="{}">{}</span>').format(look.classes(), plain(text))


def _changed(look: _Look, codes: str) -> _Look:
    """The look after `ESC [ codes m`."""
    numbers = iter([int(code) if code else 0 for code in codes.replace(':', ';').split(';')])
    for number in numbers:
        if number == 0:
            look = _PLAIN
        elif number in _MARKS:
            look = look._replace(marks=look.marks | {_MARKS[number]})
        elif number in _UNMARKS:
            look = look._replace(marks=look.marks - _UNMARKS[number])
        elif number in (38, 48):
            colour = _nearest(numbers)
            look = look._replace(fore=colour) if number == 38 else look._replace(back=colour)
        elif 30 <= number <= 39 or 90 <= number <= 97:
            look = look._replace(fore=_of_sixteen(number - 30))
        elif 40 <= number <= 49 or 100 <= number <= 107:
            look = look._replace(back=_of_sixteen(number - 40))
    return look


def _of_sixteen(number: int) -> int | None:
    return number if number < 8 else None if number == 9 else number - 60 + 8


def _nearest(numbers: Iterable[int]) -> int | None:
    """The one of the sixteen nearest to what `38;5;n` or `38;2;r;g;b` goes on to say."""
    rest = iter(numbers)
    match next(rest, None):
        case 2:
            return _closest((next(rest, 0), next(rest, 0), next(rest, 0)))
        case 5:
            number = next(rest, 0)
            if number < 16:
                return number
            if number >= 232:
                grey = 8 + 10 * (number - 232)
                return _closest((grey, grey, grey))
            number -= 16
            return _closest((_CUBE[number // 36 % 6], _CUBE[number // 6 % 6], _CUBE[number % 6]))
    return None


def _closest(colour: tuple[int, int, int]) -> int:
    return min(range(16), key=lambda one: sum((a - b) ** 2 for a, b in zip(_SIXTEEN[one], colour, strict=True)))

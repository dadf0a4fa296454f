import fcntl
import io
import os
import re
import struct
import sys
import termios
from collections.abc import Iterator, Mapping
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.common import console
from hack.common.console import Column, Console, Row, visible

XTERM = {'TERM': 'xterm-256color'}
COLUMNS = (Column('verdict'), Column('time', right=True), Column('cause'))
ROWS = (
    Row(('passed', '0.42s', ''), 'green'),
    Row(('failed', '12.00s', 'it said [bold]no[/bold] where a good deal more was expected of it'), 'bold red'),
)


class Terminal:
    """A real pseudo-terminal and what was written to it."""

    def __init__(self, columns: int) -> None:
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
        self.file: TextIO = os.fdopen(theirs, 'w', encoding='utf-8')

    def written(self) -> str:
        self.file.flush()
        return os.read(self._ours, 1 << 16).decode().replace('\r\n', '\n')

    def close(self) -> None:
        self.file.close()
        os.close(self._ours)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal(50)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ('environment', 'columns', 'colour'),
    [
        (XTERM, 50, True),
        ({**XTERM, 'NO_COLOR': '1'}, 50, False),
        ({**XTERM, 'NO_COLOR': ''}, 50, True),
        ({'TERM': 'dumb'}, 50, False),
        ({}, 50, False),
        ({**XTERM, 'COLUMNS': '123'}, 123, True),
        ({**XTERM, 'COLUMNS': '0'}, 50, True),
        ({**XTERM, 'COLUMNS': 'wide'}, 50, True),
    ],
)
def test_what_a_terminal_can_show(
    terminal: Terminal, environment: Mapping[str, str], columns: int, colour: bool
) -> None:
    cursor = environment.get('TERM', 'dumb') != 'dumb'
    assert console.console(terminal.file, environment) == Console(terminal.file, columns, colour, cursor)


def test_a_terminal_without_a_size_has_eighty_columns() -> None:
    unsized = Terminal(0)
    assert console.console(unsized.file, XTERM).columns == 80
    unsized.close()


def test_a_pipe_has_neither_width_nor_colours() -> None:
    pipe = io.StringIO()
    assert console.console(pipe, {**XTERM, 'COLUMNS': '40'}) == Console(pipe)


def test_a_table_in_a_pipe_is_aligned_and_whole() -> None:
    pipe = io.StringIO()
    console.console(pipe, XTERM).table(COLUMNS, ROWS)
    assert pipe.getvalue() == (
        'verdict    time  cause\n'
        'passed    0.42s\n'
        'failed   12.00s  it said [bold]no[/bold] where a good deal more was expected of it\n'
    )


def test_a_table_on_a_terminal_is_wrapped_and_coloured(terminal: Terminal) -> None:
    console.console(terminal.file, XTERM).table(COLUMNS, ROWS)
    written = terminal.written()
    plain = re.sub('\x1b\\[[0-9;]*m', '', written)
    assert '\x1b[32mpassed' in written
    assert '\x1b[1;31mfailed' in written
    assert max(map(len, plain.split('\n'))) <= 50
    said = ' '.join(plain.split())
    assert 'failed 12.00s it said [bold]no[/bold] where a good deal more was expected of it' in said


def test_without_rich_a_table_is_plain(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'rich.table', None)
    console.console(terminal.file, XTERM).table(COLUMNS, ROWS[:1])
    assert terminal.written() == 'verdict   time  cause\npassed   0.42s\n'


def test_a_terminal_without_colours_gets_none(terminal: Terminal) -> None:
    plain = console.console(terminal.file, {**XTERM, 'NO_COLOR': '1'})
    plain.table(COLUMNS, ROWS)
    plain.say(plain.paint('red', 'bold red'))
    assert '\x1b' not in terminal.written()


@given(st.text(st.characters(codec=None)))
def test_visible_text_is_one_printable_line(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert visible(shown) == shown


def test_visible_text_neither_steers_nor_hides() -> None:
    assert visible('a\x1b[2J\r\nb\u202ec\x9b\ud800 ü漢') == r'a\x1b[2J\r\nb\u202ec\x9b\ud800 ü漢'


def test_a_table_neutralises_its_cells() -> None:
    pipe = io.StringIO()
    Console(pipe).table((Column('cause'),), (Row(('\x1b]0;owned\x07',)),))
    assert pipe.getvalue() == 'cause\n\\x1b]0;owned\\x07\n'


def test_text_is_folded_on_a_terminal_only() -> None:
    text = 'as long as it takes to say what is to be said'
    assert Console(sys.stdout).fold(text) == text
    assert Console(sys.stdout, columns=80).fold(text) == text
    assert Console(sys.stdout, columns=20).fold(text) == 'as long as it takes\n  to say what is to\n  be said'


def test_what_the_encoding_lacks_is_written_out() -> None:
    data = io.BytesIO()
    narrow = io.TextIOWrapper(data, encoding='ascii')
    Console(narrow).say('für ✓')
    assert data.getvalue() == b'f\\xfcr \\u2713\n'


@pytest.mark.parametrize(('text', 'shown'), [('', ''), ('abcd', 'abcd'), ('abcde', 'abc…')])
def test_what_is_too_long_is_cut_and_says_so(text: str, shown: str) -> None:
    assert console.cut(text, 4) == shown

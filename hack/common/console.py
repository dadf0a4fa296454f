"""Output for people: coloured and as wide as the terminal where there is one, plain and whole everywhere else."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple, TextIO

# The styles we use, by the names rich knows them by, and how a terminal is told.
STYLES: Final = {
    'bold': '1',
    'dim': '2',
    'bold red': '1;31',
    'green': '32',
    'yellow': '33',
    'magenta': '35',
    'cyan': '36',
}
_DEFAULT_COLUMNS: Final = 80


class Column(NamedTuple):
    title: str
    right: bool = False  # numbers line up at their last digit


class Row(NamedTuple):
    """Cells, one for each column; the style is that of the first one."""

    cells: Sequence[str]
    style: str = ''


class Console(NamedTuple):
    """Where to write, and what the other side can show."""

    file: TextIO
    columns: int | None = None  # of a terminal; None where there is none: nothing is wrapped there
    colour: bool = False
    cursor: bool = False  # a terminal on which it can be moved

    def paint(self, text: str, style: str) -> str:
        return f'\x1b[{STYLES[style]}m{text}\x1b[0m' if self.colour and style else text

    def fold(self, text: str, indent: str = '  ') -> str:
        """The text in lines no longer than the terminal, broken between words; whole where there is no terminal."""
        if self.columns is None or len(text) <= self.columns:
            return text
        from textwrap import fill

        return fill(text, self.columns, subsequent_indent=indent, break_on_hyphens=False)

    def say(self, *lines: str) -> None:
        """Write the lines at once, so that those of several processes do not mix."""
        encoding = self.file.encoding or 'utf-8'
        text = '\n'.join((*lines, '')).encode(encoding, 'backslashreplace')
        self.file.write(text.decode(encoding))
        self.file.flush()

    def table(self, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        shown = [Row([visible(cell) for cell in row.cells], row.style) for row in rows]
        if self.columns is None or not _drawn(self, columns, shown):
            self.say(*aligned(columns, shown))


def console(file: TextIO, environment: Mapping[str, str]) -> Console:
    """The console that writes to `file`: colours only on a terminal that has them and where nobody objects."""
    if not file.isatty():
        return Console(file)
    capable = environment.get('TERM', 'dumb') != 'dumb'
    colour = capable and not environment.get('NO_COLOR')
    return Console(file, _width(file, environment), colour, cursor=capable)


@contextmanager
def though_unread() -> Iterator[None]:
    """For what is on disk as well: where nobody reads standard output any more (`| head`), go on without a word."""
    try:
        yield
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _width(file: TextIO, environment: Mapping[str, str]) -> int:
    asked = environment.get('COLUMNS', '')
    if asked.isdecimal() and int(asked):
        return int(asked)
    try:
        return os.get_terminal_size(file.fileno()).columns or _DEFAULT_COLUMNS
    except OSError:
        return _DEFAULT_COLUMNS


def counted(number: int, noun: str) -> str:
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'


def visible(text: str) -> str:
    """The text on one line, unable to steer a terminal: whatever is not printable is written out, as `\\x1b`."""
    if text.isprintable():
        return text
    return ''.join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def cut(text: str, characters: int) -> str:
    """The text in so many characters, the last one a sign where something is left out."""
    return text if len(text) <= characters else text[: characters - 1] + '…'


def aligned(columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """The table as plain lines, every cell whole; the last column has no width of its own."""
    table = [[column.title for column in columns], *(row.cells for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]

    def pad(cell: str, column: Column, width: int) -> str:
        return cell.rjust(width) if column.right else cell.ljust(width)

    return ['  '.join(map(pad, cells, columns, widths)).rstrip() for cells in table]


def _drawn(console: Console, columns: Sequence[Column], rows: Sequence[Row]) -> bool:
    """Wrap the table to the terminal, where rich is installed: not all instruments need it to be.

    It takes a tenth of a second to import: only now is it worth that.
    """
    try:
        from rich.console import Console as RichConsole
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style='bold')
    for column in columns:
        table.add_column(column.title, justify='right' if column.right else 'left', overflow='fold')
    for row in rows:
        first, *rest = row.cells
        table.add_row(Text(first, style=row.style), *map(Text, rest))
    RichConsole(
        file=console.file,
        width=console.columns,
        color_system='standard' if console.colour else None,
        force_terminal=True,
        legacy_windows=False,
    ).print(table)
    return True

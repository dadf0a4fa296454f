"""The live view of a run on a terminal: a bar for each shard and one for all, never higher or wider than the screen."""

import io
from collections.abc import Sequence
from typing import Final, TextIO, cast

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.control import Control
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import ControlType
from rich.text import Text

from hack.common.console import Console as Shown
from hack.common.console import counted, visible
from hack.dogfood.model import Json
from hack.dogfood.reporting import report
from hack.dogfood.watching.live import Glance, ShardNow

_GAP: Final = '  '
_BAR: Final = (8, 40)  # the least and the most cells
_SECONDS: Final = 5  # cells for how long a journey has been running
_WANTED_TEXT: Final = 36  # cells for its name, before a bar takes more than the least
_AIRY: Final = 12  # rows of a terminal that has room for an empty line
_ENDINGS: Final = {'done': 'done', 'interrupted': 'interrupted', 'deadline': 'stopped at the deadline'}


class Bars:
    """Draws in the last rows of a terminal while what is said goes above, into the scrollback.

    `with Bars(file, colour) as bars`: at the end the bars are gone, and the cursor is where they began.
    """

    def __init__(self, file: TextIO, colour: bool) -> None:
        if isinstance(file, io.TextIOWrapper):
            file.reconfigure(errors='replace')  # one cell for another, where a locale lacks a character
        # Not told of COLUMNS and LINES: what counts is the terminal as it is now.
        self._console = Console(
            file=file,
            color_system='standard' if colour else None,
            no_color=not colour,
            force_terminal=True,
            force_interactive=True,
            legacy_windows=False,
            highlight=False,
            markup=False,
            emoji=False,
            _environ={'TERM': 'xterm'},
        )
        self._drawn: Sequence[int] = ()  # cells of each row on the screen
        self._glance: Glance | None = None
        self._live = Live(
            get_renderable=lambda: self,
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow='crop',
        )

    def __enter__(self) -> 'Bars':
        return self

    def __exit__(self, *_: object) -> None:
        self._clear_what_was_wrapped()
        self._live.stop()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the terminal, now."""
        return self._console.size

    def show(self, glance: Glance, records: Sequence[Json] = (), said: Sequence[str] = ()) -> None:
        """Draw the run as it stands, and above it, to stay, a line for each of the records and what was said."""
        self._clear_what_was_wrapped()
        self._glance = glance
        self._live.start()
        if records or said:
            self._console.print(Group(*map(self._line, records), *(Text(visible(line)) for line in said)))
        else:
            self._live.refresh()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = drawn(self._glance, *self.size, console) if self._glance else []
        self._drawn = [line.cell_len for line in lines]
        yield from lines

    def _line(self, record: Json) -> Text:
        text = Text(report.line(record, console=Shown(cast(TextIO, self._console.file), self.size[0])))
        text.stylize(report.style(record['verdict']), 0, 8)
        return text

    def _clear_what_was_wrapped(self) -> None:
        """A terminal that has become narrower has broken our rows in two: remove the rows that this has made."""
        columns = self.size[0]
        more = sum(max(0, cells - 1) // columns for cells in self._drawn)
        if more:
            self._console.control(Control(*((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1)) * more))
        self._drawn = ()


def drawn(glance: Glance, columns: int, rows: int, console: Console) -> list[Text]:
    """The view in less than `rows` lines of less than `columns` cells each."""
    fitting = max(0, rows - 1 - 2)  # one row stays free, two are for all
    airy = rows >= _AIRY and len(glance.shards) + 1 <= fitting
    layout = _Layout(glance, columns - 1, console)
    shown, rest = _chosen(glance.shards, fitting - airy)
    lines = [Text()] if airy else []
    lines += [layout.shard(shard) for shard in shown]
    lines += [layout.cut(Text(f'… {_rest(rest)}', style='dim'))] if rest else []
    lines += [layout.all(glance), layout.counts(glance)][: max(1, rows - 1)]
    return lines


def _chosen(shards: Sequence[ShardNow], room: int) -> tuple[Sequence[ShardNow], Sequence[ShardNow]]:
    """Those that have a row of their own, in their order, and the rest; those at work come before those that ended."""
    if len(shards) <= room:
        return shards, ()
    ranked = sorted(shards, key=lambda shard: (shard.ending is not None, shard.number))
    kept = {shard.number for shard in ranked[: max(0, room - 1)]}
    rest = [shard for shard in shards if shard.number not in kept]
    return [shard for shard in shards if shard.number in kept], rest if room > 0 else ()


def _rest(shards: Sequence[ShardNow]) -> str:
    ended = sum(shard.ending is not None for shard in shards)
    parts = [f'{len(shards) - ended} at work'] * (ended < len(shards)) + [f'{ended} ended'] * bool(ended)
    return f'{counted(len(shards), "more shard")}: {", ".join(parts)}'


class _Layout:
    """Columns that line up: label, bar, count, and what there is to say, cut at `width` cells."""

    def __init__(self, glance: Glance, width: int, console: Console) -> None:
        self._width = max(1, width)
        self._console = console
        self._label = len(f'shard {len(glance.shards)}')
        self._digits = len(str(glance.planned))
        fixed = self._label + 2 * self._digits + 1 + _SECONDS + 4 * len(_GAP)
        self._bar = max(_BAR[0], min(_BAR[1], self._width - fixed - _WANTED_TEXT))

    def shard(self, shard: ShardNow) -> Text:
        line = self._begin(f'shard {shard.number}', shard.judged, shard.planned, shard.worst)
        if shard.ending is None and shard.journey:
            line.append(f'{f"{shard.seconds:.0f} s" if shard.seconds >= 1 else "":>{_SECONDS}}{_GAP}', 'dim')
            line.append(visible(shard.journey))
        else:
            ending = 'waiting' if shard.ending is None else _ENDINGS.get(shard.ending, visible(shard.ending))
            line.append(' ' * (_SECONDS + len(_GAP)) + ending, 'dim')
        return self.cut(line)

    def all(self, glance: Glance) -> Text:
        totals = glance.totals
        worst = next((verdict for verdict in ('failed', 'infra') if totals[verdict]), 'passed')
        line = self._begin('all', glance.judged, glance.planned, worst)
        line.append(f'{_duration(glance.elapsed_seconds):>{_SECONDS}}')
        if any(shard.ending is None and shard.judged < shard.planned for shard in glance.shards):
            left = _duration(glance.left_seconds)
            line.append(f', about {left} left' if glance.left_seconds >= 1 else ', nearly done', 'dim')
        return self.cut(line)

    def counts(self, glance: Glance) -> Text:
        line = Text(' ' * self._label + _GAP)
        parts = [
            Text(f'{number} {verdict}', report.style(verdict)) for verdict, number in glance.totals.items() if number
        ]
        parts += [Text(f'{glance.flaky} flaky', 'yellow')] * bool(glance.flaky)
        return self.cut(line.append_text(Text(', ').join(parts)) if parts else line.append('no verdict yet', 'dim'))

    def cut(self, line: Text) -> Text:
        """The line on one row, marked where something of it is left out."""
        line.truncate(self._width, overflow='ellipsis')
        line.no_wrap = True
        return line

    def _begin(self, label: str, judged: int, planned: int, worst: str) -> Text:
        line = Text(f'{label:{self._label}}{_GAP}')
        style = report.style(worst)
        bar = ProgressBar(planned, judged, width=self._bar, style='dim', complete_style=style, finished_style=style)
        cells = 0
        for segment in self._console.render(bar):
            line.append(segment.text, segment.style)
            cells += segment.cell_length
        line.append(' ' * (self._bar - cells))
        return line.append(f'{_GAP}{judged:>{self._digits}}/{planned:<{self._digits}}{_GAP}')


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f'{whole} s'
    minutes, rest = divmod(whole, 60)
    return f'{minutes}:{rest:02} min' if minutes < 60 else f'{minutes // 60}:{minutes % 60:02} h'

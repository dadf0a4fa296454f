#!/usr/bin/env python3
"""Records the terminal of a real `make dogfood` as an animated SVG: terminal.py FOLDER writes FOLDER/terminal.svg.

One product of the standing corpus is broken on purpose, so that a failure is seen as it happens. Whoever wants no
motion sees one moment of the run.
"""

import io
import shutil
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

from rich.color import parse_rgb_hex
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.python.runs import HOUSE, Place, a_place
from tests.python.terminal import Terminal, a_terminal

COLUMNS: Final = 92
ROWS: Final = 24
FRAME_SECONDS: Final = 0.25
LAST_SECONDS: Final = 5.0  # of the last frame, before all begins anew
LIE: Final = HOUSE / 'tests/corpora/lies/git/push-forces'
INK, PAPER = '#c9d1d9', '#161b22'
# black, red, green, yellow, blue, magenta, cyan, white; then the bright ones
COLOURS = (
    *('#484f58', '#ff7b72', '#3fb950', '#d29922', '#58a6ff', '#bc8cff', '#39c5cf', '#b1bac4'),
    *('#6e7681', '#ffa198', '#56d364', '#e3b341', '#79c0ff', '#d2a8ff', '#56d4dd', '#ffffff'),
)
FRAME: Final = """<g class="frame {unique_id}"><defs>{lines}</defs>
<style>{styles} .{unique_id} {{ animation-name: {unique_id}-shown; }}</style>
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>"""
WHOLE: Final = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>make dogfood in a terminal, while it runs</title>
<style>
text {{ font: 20px "Fira Code", "DejaVu Sans Mono", Menlo, Consolas, monospace; white-space: pre; }}
.frame {{ visibility: hidden; animation-duration: {seconds:.2f}s; animation-timing-function: step-end;
 animation-iteration-count: infinite; }}
{keyframes}
@media (prefers-reduced-motion: reduce) {{ .frame {{ animation: none; }} .{still} {{ visibility: visible; }} }}
</style>
<rect width="{width}" height="{height}" rx="10" fill="#161b22"/>
<g fill="#484f58"><circle cx="24" cy="22" r="7"/><circle cx="46" cy="22" r="7"/><circle cx="68" cy="22" r="7"/></g>
<g transform="translate(14 44)">
{frames}
</g>
</svg>
"""


class Frame(NamedTuple):
    seconds: float  # since the first one
    screen: str


def main(folder: Path) -> None:
    with a_place() as place:
        project = a_project(place)
        with a_terminal(project, place.environment(), COLUMNS, ROWS) as terminal:
            frames = recorded(terminal)
    told = [frame._replace(screen=frame.screen.replace(str(project), '~/project')) for frame in frames]
    (folder / 'terminal.svg').write_text(animated(told))


def a_project(place: Place) -> Path:
    """A checkout with a development build that is broken on purpose."""
    house = place.house()
    shutil.copytree(HOUSE / 'journeys', house / 'journeys')
    shutil.copy(HOUSE / 'Makefile', house)
    shutil.copytree(LIE, house / 'build')
    shutil.copy(LIE.parent.parent / 'real.bash', place.path)  # where the build finds it
    return house


def recorded(terminal: Terminal) -> list[Frame]:
    """The screen whenever it looked different, from the first bar until the shell is back."""
    command = 'make dogfood SHARDS=4 PRODUCT_PATH=build'
    terminal.run('bash', '-c', f'echo "$ {command}"; {command}')
    terminal.until(lambda screen: '━' in screen)
    frames: list[Frame] = []
    begun = time.monotonic()
    ended = False
    while not ended:
        ended = (terminal.folder / 'run-1.exit').exists()
        screen = terminal.screen('-e')
        if not frames or frames[-1].screen != screen:
            frames.append(Frame(time.monotonic() - begun, screen))
        time.sleep(FRAME_SECONDS)
    return frames


def animated(frames: list[Frame]) -> str:
    names = [f'frame-{number}' for number in range(len(frames))]
    total = frames[-1].seconds + LAST_SECONDS
    ends = [frame.seconds for frame in frames[1:]] + [total]
    keyframes = [
        keyframe(name, 100 * frame.seconds / total, 100 * end / total)
        for name, frame, end in zip(names, frames, ends, strict=True)
    ]
    return WHOLE.format(
        width=round(COLUMNS * 12.2) + 28,
        height=round(ROWS * 24.4) + 60,
        seconds=total,
        keyframes='\n'.join(keyframes),
        still=names[len(names) * 2 // 3],
        frames='\n'.join(map(drawn, names, frames)),
    )


def keyframe(name: str, begin: float, end: float) -> str:
    before = '0% { visibility: hidden; } ' if begin else ''
    shown = f'{begin:.3f}% {{ visibility: visible; }} {end:.3f}% {{ visibility: hidden; }}'
    return f'@keyframes {name}-shown {{ {before}{shown} }}'


def theme() -> TerminalTheme:
    triplets = [parse_rgb_hex(colour[1:]) for colour in (PAPER, INK, *COLOURS)]
    return TerminalTheme(triplets[0], triplets[1], list(triplets[2:10]), list(triplets[10:]))


def drawn(name: str, frame: Frame) -> str:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system='standard')
    console.print(Text.from_ansi(frame.screen), end='')
    return console.export_svg(theme=theme(), code_format=FRAME, unique_id=name)


if __name__ == '__main__':
    main(Path(sys.argv[1]))

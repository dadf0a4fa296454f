"""What starts a project: the chain of files from the one the machine starts with to the one that names its config."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from hack.common.errors import UserError

_WORD: Final = re.compile(r"""[^\s'"=;:|&<>()`\\]+""")
_QUOTED: Final = re.compile(r""""([^"]+)"|\'([^\']+)\'""")
_FOLDER: Final = re.compile(r"""(?:\bcd\s+|^WorkingDirectory=)['"]?([^\s'";&|]+)""", re.MULTILINE)
_LARGEST: Final = 1 << 20  # bytes; what is larger is no script
_LONGEST: Final = 16  # files in a chain


class Link(NamedTuple):
    """A line of one file and the word in it that leads on."""

    path: Path
    number: int  # of the line, from 1
    line: str
    word: str
    leads_to: Path
    quoted: bool = False


def chain(first: Path, config: Path) -> tuple[Link, ...]:
    """From `first` to the file with the word that leads to the config, or to its folder; raises UserError.

    Words are paths from the file's own folder or from one it changes into; comments are not looked at.
    """
    if not first.is_file():
        raise UserError(f'{first}: is not there (name the file that the machine starts the project with)')
    wanted = (config.resolve(), config.resolve().parent)
    for target in wanted:
        if found := _search(first.resolve(), target, ()):
            return found
    raise UserError(f'{first}: does not lead to {config} (name the file that starts this project)')


def _search(path: Path, target: Path, before: Sequence[Link]) -> tuple[Link, ...] | None:
    links = list(_links(path))
    for link in links:
        if link.leads_to == target:
            return (*before, link)
    seen = {link.path for link in before} | {path}
    further = [link for link in links if link.leads_to not in seen and link.leads_to.is_file()]
    chains = (_search(link.leads_to, target, (*before, link)) for link in further if len(before) < _LONGEST)
    return next((found for found in chains if found), None)


def _links(path: Path) -> Iterator[Link]:
    text = _text(path)
    folders = [path.parent, *((path.parent / folder) for folder in _FOLDER.findall(text))]
    for number, line in enumerate(text.split('\n'), 1):
        if line.lstrip().startswith('#'):
            continue
        quoted = [one or other for one, other in _QUOTED.findall(line)]
        for word in dict.fromkeys((*quoted, *_WORD.findall(line))):
            for folder in folders:
                found = folder / word
                if word not in ('.', '..', '/') and os.path.exists(found):
                    yield Link(path, number, line, word, found.resolve(), word in quoted)


def _text(path: Path) -> str:
    try:
        return path.read_text() if path.stat().st_size <= _LARGEST else ''
    except (OSError, UnicodeDecodeError):  # a program, or not ours to read: the chain does not go on here
        return ''

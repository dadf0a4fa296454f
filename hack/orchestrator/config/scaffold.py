"""What `init` writes: a builder and an adversary with their documents, as in examples/builder-adversary."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hack.common import files
from hack.common.errors import UserError

_HERE: Final = Path(__file__).resolve().parents[1]
EXAMPLE: Final = _HERE / 'examples' / 'builder-adversary'
_PROJECT: Final = _HERE / 'templates' / 'project' / 'agents.toml'
_CONFIG: Final = 'agents.toml'
_ABOUT_THE_EXAMPLE: Final = ('demo.sh',)
_PREFIX: Final = re.compile(r'^session_prefix = "([^"]*)"', re.MULTILINE)


def init(folder: Path) -> list[Path]:
    """Write the documents into the folder, which is made where there is none; returns what was written.

    The session prefix is made of the folder's name, or is that of the agents.toml as create-project.sh made it, which
    is replaced. Raises UserError, and writes nothing, where any other file is there already.
    """
    wanted = dict(_documents())
    taken = [name for name in wanted if (folder / name).exists() and not (name == _CONFIG and _is_untouched(folder))]
    if taken:
        raise UserError(f'{folder / name}: is there already (name another folder, or remove it)' for name in taken)
    wanted[_CONFIG] = _with_prefix(wanted[_CONFIG], _prefix(folder))
    try:
        for name, text in wanted.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            files.write_atomic(folder / name, text)
    except OSError as error:
        raise UserError(f'{error.filename or folder}: {error.strerror} (name a folder that can be written)') from error
    return [folder / name for name in wanted]


def _documents() -> Iterator[tuple[str, str]]:
    for path in sorted(EXAMPLE.rglob('*')):
        name = path.relative_to(EXAMPLE)
        if path.is_file() and str(name) not in _ABOUT_THE_EXAMPLE and not name.parts[0].startswith('.'):
            yield str(name), path.read_text()


def _is_untouched(folder: Path) -> bool:
    """Whether its agents.toml is still as create-project.sh wrote it."""
    text = (folder / _CONFIG).read_text()
    prefix = _PREFIX.search(text)
    return prefix is not None and text == _PROJECT.read_text().replace('@PREFIX@', prefix[1])


def _prefix(folder: Path) -> str:
    config = folder / _CONFIG
    if config.exists() and (known := _PREFIX.search(config.read_text())):
        return known[1]
    return re.sub(r'[^A-Za-z0-9_-]+', '-', folder.resolve().name).strip('-') + '-'


def _with_prefix(text: str, prefix: str) -> str:
    return _PREFIX.sub(f'session_prefix = "{prefix}"', text, count=1)

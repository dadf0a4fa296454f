"""Which scripts bash cannot read: asked of bash itself, which runs none of them."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from hack.common import process

_MOST: Final = 100  # scripts that are told of
_SECONDS: Final = 30.0
_TELLING: Final = re.compile(
    r"""["'`(){}<>|&;\\]|\b(?:if|then|elif|else|fi|for|while|until|do|done|case|esac|select|function|coproc)\b"""
)
# So that a quote or a compound command that one script leaves open cannot be closed by the next.
_TOGETHER: Final = """f() {(\n:\n%s\n)}\n: '(' "(" '`'\n"""
_SAID: Final = re.compile(r'^\S+: (line \d+: (?!warning).*)', re.M)


def unreadable(scripts: Sequence[str], bash: str) -> dict[int, str]:
    """What bash says of each script that it cannot read, by its place among them; at most a hundred.

    All are read at once, so that a corpus costs one process; only where that fails are its halves asked.
    """
    suspects = [number for number, script in enumerate(scripts) if _TELLING.search(script)]
    return dict(islice(_among(suspects, scripts, bash), _MOST))


def _among(numbers: Sequence[int], scripts: Sequence[str], bash: str) -> Iterator[tuple[int, str]]:
    if len(numbers) == 1:
        if said := _complaint(scripts[numbers[0]], bash):
            yield numbers[0], said
    elif numbers and _complaint(''.join(_TOGETHER % scripts[number] for number in numbers), bash):
        half = len(numbers) // 2
        yield from _among(numbers[:half], scripts, bash)
        yield from _among(numbers[half:], scripts, bash)


def _complaint(script: str, bash: str) -> str | None:
    # Extended patterns are read as if they were on: whether a line before turns them on is not known until it is run.
    said = process.complaint((bash, '-O', 'extglob', '-n'), script, _SECONDS)
    told = _SAID.search(said) if said else None
    return told[1] if told else None

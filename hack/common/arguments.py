"""Command lines read the same way in every instrument: misuse is one line and exit 2."""

import argparse
from collections.abc import Callable
from typing import Any

from hack.common.errors import UserError


class Parser(argparse.ArgumentParser):
    """Raises UserError where argparse would print its usage and exit."""

    def error(self, message: str) -> Any:
        raise UserError(f'{self.prog}: {message} (see {self.prog} --help)')


def at_least(least: int, most: int | None = None) -> Callable[[str], int]:
    """For `type=`: a whole number from `least` on, or to `most`."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
            end = 'on' if most is None else f'to {most}'
            raise argparse.ArgumentTypeError(f'{text!r} is not a whole number from {least} {end}')
        return int(text)

    return parse

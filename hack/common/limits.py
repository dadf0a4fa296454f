"""A limit on the processor time that a piece of our own work may take."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class TooLongError(Exception):
    """The limit was reached; what was to be done is not done."""


@contextlib.contextmanager
def processor_seconds(limit: float) -> Iterator[None]:
    """Raise TooLongError in a block that has used `limit` seconds of processor time, however busy the machine is.

    Meant for regular expressions that others wrote: the engine looks for signals while it matches, so that one that
    would backtrack for years ends too. For the main thread; such blocks do not nest.
    """

    def end(_: int, __: FrameType | None) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)

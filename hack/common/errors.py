"""Errors a reader can mend, and the exit statuses every entry point shares."""

import errno
import os
import sys
from collections.abc import Callable, Iterable
from enum import IntEnum

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)


class Exit(IntEnum):
    """How a command ends; the same meaning in every instrument."""

    GREEN = 0  # nothing failed and something passed
    RED = 1  # the product failed
    MISUSE = 2  # bad arguments or a bad corpus; nothing was run
    BROKEN = 3  # something could not be measured
    INTERRUPTED = 130


class UserError(Exception):
    """Something the reader can mend: each problem one line, `where: what (what to do)`."""

    def __init__(self, problems: str | Iterable[str], exit_status: int = Exit.MISUSE) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        self.exit_status = int(exit_status)
        super().__init__('\n'.join(self.problems))


def run_main(main: Callable[[list[str]], int], arguments: list[str]) -> int:
    """The one place that ends the program: an exit status instead of a traceback."""
    try:
        status = main(arguments)
        sys.stdout.flush()
        return status
    except UserError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        # The reader of our output went away (`… | head`): nothing is left to say.
        sys.stderr.close()
        return Exit.BROKEN
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except OSError as error:
        if error.filename is not None or error.errno not in _NO_ROOM:
            return _crashed()
        print(f'the output: cannot be written: {error.strerror} (make room, or write it elsewhere)', file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter's end tries once more
        return Exit.BROKEN
    except Exception:
        return _crashed()


def _crashed() -> int:
    """A fault of ours: Python's own exit status for it, 1, would say that the product failed."""
    import traceback  # a hundredth of a second, for the rarest of ends

    traceback.print_exc()
    return Exit.BROKEN

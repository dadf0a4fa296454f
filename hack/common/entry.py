"""How an entry script gets an interpreter that has what it needs: this one, or the repository's own.

Kept readable by old interpreters, so that they can say what is wrong.
"""

import os
import sys

OLDEST = (3, 11)


def open_standard_streams() -> None:
    """Have nothing in the place of one that the caller has closed: else the next file would take its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            os.set_inheritable(number, True)
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115 (for life)
    sys.stdout = sys.stdout or open(1, 'w')  # noqa: SIM115 (for life)
    sys.stderr = sys.stderr or open(2, 'w')  # noqa: SIM115 (for life)


def _is_there(name: str) -> bool:
    import importlib.util  # hundredths of a second, which those who need nothing can do without

    return importlib.util.find_spec(name) is not None


def ensure(repository: str, modules: 'list[str]') -> None:
    """Return if this interpreter is new enough and has `modules`, else go on in the repository's .venv, else exit 2."""
    open_standard_streams()
    missing = [name for name in modules if not _is_there(name)]
    if sys.version_info >= OLDEST and not missing:
        return
    own = os.path.join(repository, '.venv', 'bin', 'python')
    if os.access(own, os.X_OK) and os.path.realpath(sys.prefix) != os.path.realpath(os.path.join(repository, '.venv')):
        os.execv(own, [own, *sys.argv])
    if sys.version_info < OLDEST:
        what = 'needs Python {}.{} or newer, this is {}.{}'.format(*OLDEST, *sys.version_info[:2])
    else:
        what = 'needs ' + ', '.join(missing)
    sys.stderr.write(f'{os.path.basename(sys.argv[0])}: {what} (run `make setup` in {repository})\n')
    raise SystemExit(2)

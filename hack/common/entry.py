"""How an entry script gets an interpreter that has what it needs: this one, or the repository's own.

Kept readable by old interpreters, so that they can say what is wrong.
"""

import importlib.util
import os
import sys

OLDEST = (3, 11)


def ensure(repository: str, modules: 'list[str]') -> None:
    """Return if this interpreter is new enough and has `modules`, else go on in the repository's .venv, else exit 2."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
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

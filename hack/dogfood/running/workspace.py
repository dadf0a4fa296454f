"""A chain's own folder and the environment its steps see, built from nothing."""

import contextlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from hack.common.files import may_hold_programs, repository_of

TOOLS: Final = str(Path(__file__).resolve().parents[1] / 'bin')
PRELUDE: Final = str(Path(__file__).resolve().parents[1] / 'prelude.bash')
_LONGEST_ROOT: Final = 60  # a Unix socket path has 108 bytes, and a product wants most of them
_OWN_FOLDER: Final = stat.S_IFDIR | 0o700
_FOLDERS: Final = ['data', 'home', 'tmp', 'work']
_SPARE: Final = '.spare'  # no journey's id
_VARIABLE: Final = re.compile(r'\$\{(DOGFOOD_[A-Z_]+)\}')


class Workspace(NamedTuple):
    """One attempt of one chain. All journeys of the chain share it, nothing else does."""

    folder: str
    chain: str
    attempt: int  # of the chain; 2 where a resumed run started it afresh
    sandbox_prefix: str  # unlike any other chain's of any run
    capabilities: str  # the markers' folder

    @property
    def data(self) -> str:
        return f'{self.folder}/data'

    @property
    def home(self) -> str:
        return f'{self.folder}/home'

    @property
    def tmp(self) -> str:
        return f'{self.folder}/tmp'

    @property
    def notes(self) -> str:
        """Where a step says that it skips or could not measure: see bin/ and prelude.bash."""
        return f'{self.folder}/notes'

    @property
    def owner(self) -> str:
        """What the environment of every process of this chain holds, and no other process's."""
        return f'DOGFOOD_DATA_DIR={self.data}'

    def work(self, journey: str, attempt: int = 1) -> str:
        return f'{self.folder}/work/{journey}' + (f'.{attempt}' if attempt > 1 else '')


def make_root(run_id: str, wanted: str, announce: Callable[[str], None] = lambda _: None) -> str:
    """A private folder for this run's chains, in `wanted` if that will do; raises OSError.

    Short of path, without spaces, outside any repository, and where programs can be run. `announce` hears where
    before it is there, so that it can be found again whatever happens. Nothing is written to find out: the first place
    that lets it is taken.
    """
    places = (os.path.abspath(wanted), '/tmp', '/var/tmp')
    *others, last = [place for place in places if _is_fit(place)] or [wanted]
    for place in others:
        with contextlib.suppress(OSError):
            return _make_root(run_id, place, announce)
    return _make_root(run_id, last, announce)


def _make_root(run_id: str, place: str, announce: Callable[[str], None]) -> str:
    while True:
        root = f'{place}/{_root_name(run_id)}{secrets.token_hex(2)}'
        announce(root)
        with contextlib.suppress(FileExistsError):
            os.mkdir(root, 0o700)
            return root


def _root_name(run_id: str) -> str:
    return f'dogfood-{run_id[-6:]}-'


def _is_fit(place: str) -> bool:
    usual = len(place) <= _LONGEST_ROOT and not re.search(r'\s', place)  # a corpus's `$STORE` is split at spaces
    return usual and may_hold_programs(place) and not repository_of(Path(place).resolve())


def make(workspace: Workspace) -> None:
    """Make the folders; raises OSError, FileExistsError where there is such a chain already."""
    os.mkdir(workspace.folder, 0o700)
    for name in _FOLDERS:
        os.mkdir(f'{workspace.folder}/{name}', 0o700)


def is_pristine(workspace: Workspace) -> bool:
    """Whether the chain left nothing at all in its folder, so that another chain may have it as it is.

    Making and removing folders is the dearest thing a small journey asks of a disk; renaming one costs
    a hundredth of it.
    """
    try:
        work = f'{workspace.folder}/work'
        folders = [workspace.folder, workspace.data, workspace.home, workspace.tmp, work]
        folders += [f'{work}/{name}' for name in os.listdir(work)]
        untouched = len(folders) > 5 and all(os.lstat(path).st_mode == _OWN_FOLDER for path in folders)
        empty = not any(os.listdir(path) for path in (*folders[1:4], *folders[5:]))
        return untouched and empty and sorted(os.listdir(workspace.folder)) == _FOLDERS
    except OSError:
        return False


def hand_over(folder: str) -> None:
    """Make a pristine folder ready for the next chain, an empty work folder included; raises OSError."""
    first, *others = os.listdir(f'{folder}/work')
    os.rename(f'{folder}/work/{first}', f'{folder}/work/{_SPARE}')
    for name in others:
        os.rmdir(f'{folder}/work/{name}')


def enter(workspace: Workspace, journey: str, attempt: int) -> str:
    """Make the journey's own empty work folder and return its path; raises OSError."""
    path = workspace.work(journey, attempt)
    try:
        os.rename(f'{workspace.folder}/work/{_SPARE}', path)
    except FileNotFoundError:
        os.mkdir(path, 0o700)
    return path


def remove_tree(folder: str) -> None:
    """Like `rm -rf`, but also through folders that a product made read-only; raises OSError."""
    if not os.path.lexists(folder):
        return
    try:
        shutil.rmtree(folder)
    except OSError:
        os.chmod(folder, stat.S_IRWXU)
        for path, folders, _ in os.walk(folder):
            for name in folders:
                if not os.path.islink(f'{path}/{name}'):
                    os.chmod(f'{path}/{name}', stat.S_IRWXU)
        shutil.rmtree(folder)


def is_root_of(root: str, run_id: str) -> bool:
    """Whether it is there, and was made by this user for the run."""
    try:
        seen = os.lstat(root)
    except OSError:
        return False
    is_own = stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid()
    return is_own and os.path.basename(root).startswith(_root_name(run_id))


def folders_in(root: str) -> list[str]:
    """The chains' folders."""
    return [f'{root}/{name}' for name in os.listdir(root)]


def remove_root_if_empty(root: str) -> bool:
    """Whether it is gone: removed if no chain's folder is left in it."""
    with contextlib.suppress(OSError):
        os.rmdir(root)
    return not os.path.isdir(root)


def base_environment(path: str, product_path: str | None, bash: str) -> dict[str, str]:
    """What every step of a run sees. `path`: the caller's PATH; `bash`: what runs the steps."""
    folders = [os.path.abspath(folder) for folder in path.split(':') if folder]  # a step works in another folder
    return {
        'PATH': ':'.join([*([product_path] if product_path else []), *folders, TOOLS]),
        'LANG': 'C.UTF-8',
        'SHELL': bash,  # or every bash looks the user's up in /etc/passwd: a stranger's taste, and slower
        'TZ': 'UTC',
        'TERM': 'dumb',
        'GIT_CONFIG_NOSYSTEM': '1',
        'BASH_ENV': PRELUDE,  # unset again by the prelude, before the step's first command
    }


def chain_environment(base: Mapping[str, str], workspace: Workspace) -> dict[str, str]:
    home = workspace.home
    return {
        **base,
        'HOME': home,
        'TMPDIR': workspace.tmp,
        'XDG_CONFIG_HOME': f'{home}/.config',
        'XDG_CACHE_HOME': f'{home}/.cache',
        'XDG_DATA_HOME': f'{home}/.local/share',
        'XDG_STATE_HOME': f'{home}/.local/state',
        'XDG_RUNTIME_DIR': workspace.tmp,
        'GIT_CEILING_DIRECTORIES': workspace.folder,
        'DOGFOOD_DATA_DIR': workspace.data,
        'DOGFOOD_CHAIN': workspace.chain,
        'DOGFOOD_SANDBOX_PREFIX': workspace.sandbox_prefix,
        'DOGFOOD_CAPABILITIES': workspace.capabilities,
    }


def with_variables(environment: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """The environment with a corpus's own variables, their `${DOGFOOD_*}` expanded."""
    return {**environment, **{name: expand(value, environment) for name, value in added.items()}}


def expand(text: str, environment: Mapping[str, str]) -> str:
    """`${DOGFOOD_*}` replaced by its value; what is not set stays as it stands."""
    return _VARIABLE.sub(lambda match: environment.get(match[1], match[0]), text) if '${' in text else text


def write_files(folder: str, files: Mapping[str, str]) -> None:
    """Write a journey's fixture below its work folder; raises OSError.

    The loader refused paths that leave it; a link that a step put in the way is not followed.
    """
    for name, text in files.items():
        path = os.path.join(folder, name)
        parent = os.path.dirname(path)
        if not Path(parent).resolve().is_relative_to(Path(folder).resolve()):
            raise OSError(f'{name}: a link leads out of the work folder')
        os.makedirs(parent, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o755 if text.startswith('#!') else 0o644), 'wb') as file:
            file.write(text.encode())

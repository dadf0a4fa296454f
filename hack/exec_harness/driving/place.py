"""Where one scenario runs: folders and an environment of its own, made from nothing, outside any repository."""

import contextlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from hack.common.errors import UserError
from hack.common.process import End, Ran, Supervisor
from hack.exec_harness.driving import gh_shim
from hack.exec_harness.driving.adapters import Row
from hack.exec_harness.model import Scenario

_FOLDERS: Final = ('bin', 'config', 'home', 'tmp', 'workspace')
_PROFILES: Final = ('.profile', '.bash_profile', '.bashrc', '.zshenv', '.zprofile')
_LOGIN: Final = 'auth.json'
_GIT_SECONDS: Final = 60.0
# Nothing of the user's git: no configuration, no hooks, no signature; and the same commit every time.
_GIT: Final = ('git', '-c', 'core.hooksPath=/dev/null', '-c', 'commit.gpgSign=false', '-c', 'core.fsmonitor=false')
_GIT_ENVIRONMENT: Final = {
    'GIT_CONFIG_GLOBAL': '/dev/null',
    'GIT_CONFIG_NOSYSTEM': '1',
    'GIT_AUTHOR_DATE': '2026-01-01T00:00:00Z',
    'GIT_COMMITTER_DATE': '2026-01-01T00:00:00Z',
}


class Place(NamedTuple):
    """The folders of one run; nothing in them is anybody else's."""

    root: Path

    @property
    def bin(self) -> Path:
        return self.root / 'bin'

    @property
    def config(self) -> Path:
        """Of the agent: configuration, sessions, skills. Not below `tmp`: there it would put no helpers."""
        return self.root / 'config'

    @property
    def home(self) -> Path:
        return self.root / 'home'

    @property
    def tmp(self) -> Path:
        return self.root / 'tmp'

    @property
    def workspace(self) -> Path:
        return self.root / 'workspace'

    @property
    def gh(self) -> Path:
        """What the fake gh keeps: where a sandboxed command may write, if anywhere."""
        return self.tmp / 'gh' / 'state.json'

    @property
    def owner(self) -> str:
        """What the environment of every process of this run holds, and no other process's."""
        return f'HOME={self.home}'


def make(wanted: Path) -> Place:
    """A new private place in `wanted`, or where that is part of a repository, in the machine's; raises OSError."""
    fit = [place for place in (wanted.resolve(), Path('/tmp'), Path('/var/tmp')) if _is_fit(place)]
    place = Place(Path(tempfile.mkdtemp(prefix='dogfood-', dir=fit[0] if fit else wanted)))
    for name in _FOLDERS:
        (place.root / name).mkdir()
    return place


def remove(place: Place) -> None:
    """Remove it whole, read-only folders in it too; what cannot be removed stays."""

    def allow(_: object, path: str, __: object) -> None:
        with contextlib.suppress(OSError):
            os.chmod(os.path.dirname(path), 0o700)
            os.chmod(path, 0o700)
            shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else os.unlink(path)

    shutil.rmtree(place.root, onerror=allow)


def environment(place: Place, row: Row, path: str, given: Mapping[str, str]) -> dict[str, str]:
    """All that the agent finds in its environment; `path`: where programs are; `given`: the scenario's, which wins."""
    fixed = {
        'LANG': 'C.UTF-8',
        'TZ': 'UTC',
        'TERM': 'dumb',
        'HOME': str(place.home),
        'ZDOTDIR': str(place.home),
        'TMPDIR': str(place.tmp),
        'XDG_CONFIG_HOME': str(place.home / '.config'),
        'XDG_CACHE_HOME': str(place.home / '.cache'),
        'XDG_DATA_HOME': str(place.home / '.local/share'),
        'XDG_STATE_HOME': str(place.home / '.local/state'),
        'GIT_CEILING_DIRECTORIES': str(place.root),
        'GIT_CONFIG_NOSYSTEM': '1',
    }
    path = given.get('PATH', path)
    return {**fixed, **dict.fromkeys(row.homes, str(place.config)), **given, 'PATH': f'{place.bin}:{path}'}


def furnish(place: Place, scenario: Scenario, supervisor: Supervisor, caller: Mapping[str, str]) -> None:
    """Put everything there that the scenario, its names expanded, begins with; raises OSError or UserError.

    `caller`: the environment in which logins are found that it asks to inherit.
    """
    for copy in scenario.copy:
        _copy(copy.source, _inside(place, copy.target))
    for path, text in scenario.files.items():
        target = _inside(place, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    if scenario.git_init:
        _commit(place, supervisor, caller)
    _stage_skills(place, scenario.skill_roots)
    if scenario.config_toml:
        (place.config / 'config.toml').write_text(scenario.config_toml)
    if scenario.gh is not None:
        gh_shim.install(place.bin, place.gh, scenario.gh)
    if scenario.responses_api is None:
        _inherit(place, scenario, caller)
    # A login shell makes PATH anew (Debian's /etc/profile), and would find the real gh.
    for name in _PROFILES:
        (place.home / name).write_text(f'PATH={shlex.quote(str(place.bin))}:$PATH\nexport PATH\n')


def git_status(place: Place, supervisor: Supervisor, caller: Mapping[str, str]) -> tuple[str | None, str]:
    """What `git status --porcelain` says of the workspace, or why it says nothing; raises OSError if it cannot run."""
    if not (place.workspace / '.git').exists():
        return None, 'the workspace is no repository'
    ran = _git(place, supervisor, caller, 'status', '--porcelain')
    if ran.status != 0:
        return None, _said(ran)
    return b''.join(ran.out.parts()).decode('utf-8', 'replace'), ''


def _is_fit(place: Path) -> bool:
    """PATH cannot hold a colon; and agents read what stands above them, up to a `.git`, even an empty one."""
    usable = ':' not in str(place) and os.access(place, os.W_OK)
    return usable and not any((above / '.git').exists() for above in (place, *place.parents))


def _inside(place: Place, path: str) -> Path:
    """The path in the workspace; raises UserError where it leaves it, by a link that was copied there too."""
    target = place.workspace / path
    if not target.parent.resolve().is_relative_to(place.workspace) or target.name in ('', '..') or target.is_symlink():
        raise UserError(f'{path}: leaves the workspace (name a path below it)')
    return target


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def _commit(place: Place, supervisor: Supervisor, caller: Mapping[str, str]) -> None:
    """Make the workspace a repository in which all is committed; an identity stands in it, for the agent's own."""
    _made(place, supervisor, caller, 'init', '--quiet', '--template=', '--initial-branch=main')
    with open(place.workspace / '.git/config', 'a') as config:
        config.write('[user]\n\tname = dogfood\n\temail = dogfood@localhost\n')
    _made(place, supervisor, caller, 'add', '--all')
    _made(place, supervisor, caller, 'commit', '--quiet', '--allow-empty', '--message=fixture')


def _made(place: Place, supervisor: Supervisor, caller: Mapping[str, str], *words: str) -> None:
    ran = _git(place, supervisor, caller, *words)
    if ran.status != 0:
        raise OSError(f'git {words[0]}: {_said(ran)}')


def _git(place: Place, supervisor: Supervisor, caller: Mapping[str, str], *words: str) -> Ran:
    environment = {'PATH': caller.get('PATH', os.defpath), 'HOME': str(place.home), 'LANG': 'C.UTF-8'}
    ran = supervisor.run(
        (*_GIT, *words),
        cwd=str(place.workspace),
        env={**environment, **_GIT_ENVIRONMENT, 'GIT_CEILING_DIRECTORIES': str(place.root)},
        seconds=_GIT_SECONDS,
        owner=place.owner,
    )
    if ran.end is not End.EXITED:
        raise OSError(f'git {words[0]}: {_said(ran)}')
    return ran


def _said(ran: Ran) -> str:
    """What it complains of, in one line."""
    said = b''.join(ran.err.parts()).decode('utf-8', 'replace')
    return ' '.join((ran.why or said).split()) or ran.end.value


def _stage_skills(place: Place, roots: Sequence[Path]) -> None:
    """The workspace's own skills, then those of the roots; of one name, the last."""
    for root in (place.workspace / '.code/skills', *roots):
        for skill in _skills(root):
            target = place.config / 'skills' / skill.name
            if target.exists():
                shutil.rmtree(target)
            shutil.copytree(skill, target)


def _skills(root: Path) -> list[Path]:
    """A folder with SKILL.md is a skill, and so are those of its children that have one."""
    if (root / 'SKILL.md').is_file():
        return [root]
    return sorted(path.parent for path in root.glob('*/SKILL.md'))


def _inherit(place: Place, scenario: Scenario, caller: Mapping[str, str]) -> None:
    """Copy the logins that were asked for; raises UserError where there is none."""
    home = Path(caller.get('HOME', '/nonexistent'))
    if scenario.inherit_auth:
        named = [Path(caller[name]) for name in ('CODE_HOME', 'CODEX_HOME') if caller.get(name)]
        _copy_login([folder / _LOGIN for folder in (*named, home / '.code', home / '.codex')], place.config / _LOGIN)
    if scenario.inherit_gh_auth:
        config = Path(caller.get('XDG_CONFIG_HOME') or home / '.config')
        _copy_login([config / 'gh/hosts.yml'], place.home / '.config/gh/hosts.yml')


def _copy_login(candidates: Sequence[Path], target: Path) -> None:
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise UserError(f'{candidates[0]}: there is no login to inherit (log in, or do not ask for it)')
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found, target)
    target.chmod(0o600)

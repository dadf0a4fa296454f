"""Which agent is the unit under test: the one named, else the caller's own build, else a pinned one; never a guess."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hack.common.errors import Exit, UserError
from hack.common.files import repository_of
from hack.common.process import which

PINNED: Final = ('0.99.0', '0.142.3', '0.169.0')  # the adapters are proved with these; the first is the default
OWN_BUILD: Final = Path('code-rs/target/dev-fast/code')
_INSTALLER: Final = Path(__file__).resolve().parents[1] / 'install_agent.sh'


def agent_binary(environment: Mapping[str, str], working_folder: Path) -> Path:
    """The agent's path: AGENT_BIN, or the build of the repository around the folder, or Codex in version AGENT_VERSION.

    AGENT_BIN is a path or a command on PATH. The pinned one is installed on first use. Raises UserError where the one
    that is meant is not to be had.
    """
    if named := environment.get('AGENT_BIN'):
        found = which(named, environment.get('PATH', os.defpath)) if '/' not in named else None
        return Path(found) if found else working_folder / os.path.expanduser(named)
    repository = repository_of(working_folder)
    if not environment.get('AGENT_VERSION') and repository and (repository / OWN_BUILD.parts[0]).is_dir():
        built = repository / OWN_BUILD
        if not built.exists():
            raise UserError(f'{built}: does not exist (build it, or name another agent: AGENT_BIN=/path/to/agent)')
        return built
    return _installed(environment.get('AGENT_VERSION') or PINNED[0])


def _installed(version: str) -> Path:
    ran = subprocess.run([_INSTALLER, version], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if ran.returncode:
        raise UserError(ran.stderr.strip().splitlines() or f'{_INSTALLER}: ended with {ran.returncode}', Exit.MISUSE)
    return Path(ran.stdout.strip())

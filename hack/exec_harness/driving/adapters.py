"""What each family of agents needs to be told, and what it calls its tools: one row a family and range of versions.

A row is chosen by what the binary says of itself (`--version`, `exec --help`, `features list`), not by its name.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from hack.common import process
from hack.common.errors import UserError

Version = tuple[int, int, int]

_ANSWERS_WITHIN: Final = 60.0  # seconds; it is asked while the machine may be busy


class Tool(NamedTuple):
    """What the model calls a tool of the agent."""

    name: str
    argument: str | None = None  # the decisive one of a function; None: the call is free text


class Row(NamedTuple):
    """One family's builds in a range of versions."""

    family: str
    says: str  # of `--version`: a pattern with the three numbers
    since: Version
    before: Version | None
    homes: tuple[str, ...]  # variables that name its folder of configuration and sessions
    system: tuple[str, ...]  # folders of the machine that it would read its configuration from too
    settings: tuple[str, ...]  # `-c`, with {base_url} of the fake API
    quiet: tuple[str, ...]  # features that are switched off where it has them
    tools: Mapping[str, Tool]

    def names(self) -> dict[str, str]:
        """What a scenario calls abstractly: `tool.shell` is the tool's name, `tool.shell.argument` its argument's."""
        tools = self.tools.items()
        names = {f'tool.{abstract}': tool.name for abstract, tool in tools}
        return names | {f'tool.{abstract}.argument': tool.argument for abstract, tool in tools if tool.argument}


_PROVIDER: Final = (
    'model_provider="fake"',
    'model_providers.fake={{name="fake",base_url="{base_url}",wire_api="responses",supports_websockets=false,'
    'request_max_retries=0,stream_max_retries=0,stream_idle_timeout_ms=10000}}',
)
_HOMES: Final = ('CODE_HOME', 'CODEX_HOME', 'CODEX_SQLITE_HOME')
_SYSTEM: Final = ('/etc/codex', '/etc/code')

ROWS: Final = (
    Row(
        family='codex',
        says=r'codex-cli (\d+)\.(\d+)\.(\d+)',
        since=(0, 99, 0),
        before=None,
        homes=_HOMES,
        system=_SYSTEM,
        settings=(
            *_PROVIDER,
            'analytics.enabled=false',
            'check_for_update_on_startup=false',
            # Its sandbox guards a `.git` in whatever may be written, and one that is killed leaves an empty one there:
            # in /tmp that would make a repository of everybody's temporary folder.
            'sandbox_workspace_write.exclude_slash_tmp=true',
        ),
        quiet=('plugins', 'shell_snapshot', 'unbounded_connection_retries'),
        tools={
            'shell': Tool('exec_command', 'cmd'),
            'apply_patch': Tool('apply_patch'),
            'view_image': Tool('view_image', 'path'),
        },
    ),
    Row(
        family='code',
        says=r'code (\d+)\.(\d+)\.(\d+)',
        since=(0, 0, 0),  # what a build from source says
        before=None,
        homes=_HOMES,
        system=_SYSTEM,
        settings=_PROVIDER,
        quiet=(),
        tools={'shell': Tool('shell_command', 'command'), 'apply_patch': Tool('apply_patch', 'input')},
    ),
)


class Agent(NamedTuple):
    """A binary that was asked what it is."""

    binary: Path  # absolute
    row: Row
    said: str  # to `--version`
    version: Version
    flags: frozenset[str]  # that its `exec` knows
    features: frozenset[str]

    def pointed_at(self, base_url: str) -> tuple[str, ...]:
        """Arguments of `exec` that have it talk to the API at `base_url` alone."""
        settings = (argument for each in self.row.settings for argument in ('-c', each.format(base_url=base_url)))
        silenced = (argument for name in self.row.quiet if name in self.features for argument in ('--disable', name))
        return (*settings, *silenced)

    def names(self) -> dict[str, str]:
        return {**self.row.names(), 'agent': f'{self.row.family}-{".".join(map(str, self.version))}'}


def ask(binary: Path) -> Agent:
    """What a binary is; raises UserError, one line, where it is none that can be driven."""
    if problem := _unusable(binary):
        raise UserError(f'{binary}: {problem} (name an agent that can be run: AGENT_BIN=/path/to/agent)')
    said, usage, features = _answers(binary)
    if said is None:
        raise UserError(f'{binary}: does not answer `--version` (name a working agent: AGENT_BIN=/path/to/agent)')
    row, version = _row(binary, said)
    if usage is None:
        raise UserError(f'{binary}: {said} does not answer `exec --help` (it must have `exec`)')
    listed = (line.split()[0] for line in (features or '').splitlines() if line.strip())
    return Agent(
        Path(os.path.abspath(binary)),
        row,
        said,
        version,
        frozenset(re.findall(r'--[a-z][a-z-]+', usage)),
        frozenset(listed),
    )


def _unusable(binary: Path) -> str | None:
    if not binary.exists():
        return 'does not exist'
    if binary.is_dir():
        return 'is a directory'
    return None if os.access(binary, os.X_OK) else 'is not executable'


def _answers(binary: Path) -> list[str | None]:
    """To `--version`, `exec --help` and `features list`; the agent is told of no home but an empty one."""
    own = os.path.abspath(binary)
    questions = [(own, '--version'), (own, 'exec', '--help'), (own, 'features', 'list')]
    with tempfile.TemporaryDirectory(prefix='dogfood-') as folder:
        homes = {name: folder for row in ROWS for name in row.homes}
        environment = {'PATH': os.defpath, 'LANG': 'C.UTF-8', 'HOME': folder, **homes}
        return process.outputs(questions, _ANSWERS_WITHIN, environment)


def _row(binary: Path, said: str) -> tuple[Row, Version]:
    for row in ROWS:
        if match := re.fullmatch(row.says + r'(?:[-+ ].*)?', said):
            version = (int(match[1]), int(match[2]), int(match[3]))
            if row.since <= version and (row.before is None or version < row.before):
                return row, version
    known = ', '.join(f'{row.family} from {".".join(map(str, row.since))} on' for row in ROWS)
    line = (said.splitlines() or [''])[0][:200]
    raise UserError(f"{binary}: is no agent we know: `--version` says '{line}' (known: {known}; see adapters.py)")

"""Running scratch projects: every tmux call of theirs names the scratch socket, or fails."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hack.common import process
from hack.orchestrator.proof import scratch
from hack.orchestrator.proof.scratch import Scratch, until
from hack.orchestrator.runtime import supervisor
from hack.orchestrator.runtime.tmux import Pane, Tmux

SECONDS = 90.0
QUICK = '[watchdog]\nsignal_interval = 0.2\nheavy_interval = 0.2\nbackoff_base = 0.1\nbackoff_cap = 0.2\n'
HEAD = QUICK + '[defaults]\nsession_prefix = "t-"\nlog_dir = "s"\nbackend = "demo"\nmodel = "none"\n'
TWO = HEAD + '[[agent]]\nname = "one"\nkind = "persistent"\n[[agent]]\nname = "one-more"\nkind = "persistent"\n'
# Outlives its server, as what was started with nohup does.
STUBBORN = '[backend.demo]\nbin = "sh"\nflags = ["-c", "trap \'\' HUP; exec sleep infinity"]\n'
SHIM = """#!/bin/sh
if [ "$1" != -V ]; then
  case "$1 $2" in "-S {folder}/"*) ;; *) echo "not ours: tmux $*" | tee -a {folder}.refused >&2; exit 97 ;; esac
fi
echo "$*" >>{folder}.calls
exec {tmux} "$@"
"""


class Life(NamedTuple):
    there: Scratch
    folder: Path

    def up(self, *names: str, **environment: str) -> None:
        ended = self.there.verb('up', *names, environment=environment)
        assert ended.returncode == 0, ended.stderr

    def verb(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        ended = self.there.verb(*arguments, environment=environment)
        return ended.returncode, ended.stdout, ended.stderr

    def panes(self) -> dict[str, Pane]:
        return supervisor.look(self.there.project)

    def pid_by_hand(self, session: str) -> int:
        """The pid of a live pane, asked of tmux itself: the configuration may be no good; 0 without one."""
        socket = Tmux(self.folder / 's/state/tmux.sock', True, self.there.environment)
        pane = socket.panes().get(session)
        return pane.pid if pane and not pane.dead else 0

    def pid(self, name: str) -> int:
        return self.panes()[name].pid

    def alive(self, name: str) -> list[int]:
        """All processes of an agent, of whatever incarnation; of the watchdog not what it is just starting."""
        here = self.there.project
        found = supervisor.watchdogs(here) if name == 'watchdog' else supervisor.processes(here, [name])
        return sorted(one.pid for one in found)

    def server(self) -> int:
        (one,) = supervisor.servers(self.there.project)
        return one.pid

    def said(self) -> str:
        """The log of the watchdog."""
        path = self.folder / 's/watchdog.log'
        return path.read_text() if path.exists() else ''

    def screen(self, name: str) -> str:
        here = self.there.project
        return ''.join(here.tmux.screens([self.panes()[name]]).values())

    def is_back(self, name: str, instead_of: int) -> bool:
        pane = self.panes().get(name)
        return pane is not None and not pane.dead and pane.pid != instead_of

    def calls(self) -> list[str]:
        path = Path(f'{self.folder}.calls')
        return path.read_text().splitlines() if path.exists() else []


def kill(*pids: int) -> None:
    for pid in pids:
        if its := process.look_up(pid):
            process.send(its, signal.SIGKILL)


def eventually(holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    assert until(holds, seconds)


@contextmanager
def life(folder: Path, config: str = TWO, files: Mapping[str, str] = {}) -> Iterator[Life]:  # noqa: B006 (read only)
    """A project in the folder, not yet up; whatever it started is ended at the end."""
    bin_folder = Path(f'{folder}.bin')
    bin_folder.mkdir()
    real = shutil.which('tmux')
    assert real, 'tmux is not installed'
    (bin_folder / 'tmux').write_text(SHIM.format(folder=folder, tmux=real))
    (bin_folder / 'tmux').chmod(0o755)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    path = os.environ['PATH']
    os.environ['PATH'] = f'{bin_folder}:{path}'
    try:
        with scratch.scratch(config, folder) as there:
            yield Life(there, folder)
    finally:
        os.environ['PATH'] = path
    assert not Path(f'{folder}.refused').exists(), Path(f'{folder}.refused').read_text()

"""A whole life on the demo backend: up, healed, down; in a place of its own, of which nothing is left."""

import os
import signal
from collections.abc import Callable
from typing import Final

from hack.common.errors import Exit
from hack.orchestrator.proof import scratch
from hack.orchestrator.proof.scratch import Scratch, until
from hack.orchestrator.runtime import supervisor, tmux

_CONFIG: Final = """[watchdog]
signal_interval = 0.25
heavy_interval = 0.25
[defaults]
session_prefix = "selftest-"
log_dir = "s"
backend = "demo"
[[agent]]
name = "one"
kind = "persistent"
[[agent]]
name = "two"
kind = "persistent"
[[service]]
name = "three"
command = "sleep infinity"
"""
_SECONDS: Final = 20.0


def run(say: Callable[[str], None]) -> int:
    """Say each step and whether it held; the exit status. Raises UserError where there is no tmux to test with."""
    say(f'ok      {tmux.check_version(os.environ)}')
    with scratch.scratch(_CONFIG) as there:
        steps: dict[str, Callable[[], bool]] = {
            'all are stopped before': lambda: _all(there, 'stopped'),
            'up': lambda: there.verb('up').returncode == 0 and _all(there, 'RUNNING'),
            'a killed agent comes back': lambda: _comes_back(there, 'one'),
            'a killed watchdog comes back': lambda: _comes_back(there, 'watchdog'),
            'down': lambda: there.verb('down').returncode == 0 and _all(there, 'stopped'),
            'nothing is left running': lambda: _nothing_left(there),
        }
        failed = 0
        for name, holds in steps.items():
            good = holds()
            failed += not good
            say(f'{"ok" if good else "FAILED":<7} {name}')
    return Exit.BROKEN if failed else Exit.GREEN


def _all(there: Scratch, state: str) -> bool:
    return set(there.states().values()) == {state}


def _comes_back(there: Scratch, name: str) -> bool:
    here = there.project
    pid = supervisor.look(here)[name].pid
    os.kill(pid, signal.SIGKILL)

    def is_back() -> bool:
        pane = supervisor.look(here).get(name)
        return pane is not None and not pane.dead and pane.pid != pid

    return until(is_back, _SECONDS)


def _nothing_left(there: Scratch) -> bool:
    here = there.project
    names = [agent.name for agent in here.config.agents]
    return until(lambda: not supervisor.processes(here, names) and not supervisor.servers(here), _SECONDS)

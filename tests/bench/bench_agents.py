#!/usr/bin/env python3
"""What it costs to look at agents and how fast they come back, with 200 of them on the demo backend.

Counts do not depend on the machine; seconds do, and on a busy one they are those of a busy one.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == '__main__':
    sys.path[0] = str(REPOSITORY)

from hack.orchestrator.proof import scratch  # noqa: E402
from hack.orchestrator.proof.scratch import Scratch, until  # noqa: E402
from hack.orchestrator.runtime import supervisor  # noqa: E402

TICK: Final = 0.25
AGENTS: Final = 200
HEAD: Final = f"""[watchdog]
signal_interval = 30
heavy_interval = {TICK}
backoff_base = 0.01
backoff_cap = 0.02
crash_loop_after = 1000000
[defaults]
session_prefix = "bench-"
log_dir = "s"
backend = "demo"
"""
SHIM: Final = '#!/bin/sh\necho "$1" >>{calls}\nexec {tmux} "$@"\n'


class Figure(NamedTuple):
    what: str
    measured: float
    asked: str
    unit: str
    holds: bool


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', type=Path)
    parser.add_argument('--heals', type=int, default=100)
    parser.add_argument('--cycles', type=int, default=100)
    asked = parser.parse_args(arguments)
    os.environ.pop('PYTHONDONTWRITEBYTECODE', None)  # as users have it: `up` compiles what `status` then loads
    figures = [calls(1), calls(AGENTS)]
    with project(AGENTS) as there:
        figures += status_beyond_start(there, 'down')
        there.verb('up')
        figures += status_beyond_start(there, 'up')
        figures += [load(there), heals(there, asked.heals), many(there), server(there)]
    with project(20) as there:
        figures += cycles(there, asked.cycles)
    for figure in figures:
        print(
            f'{"ok" if figure.holds else "MISSED":<7} {figure.what}: {figure.measured:g} {figure.unit} ({figure.asked})'
        )
    if asked.json:
        asked.json.write_text(json.dumps([figure._asdict() for figure in figures], indent=1))
    return 0


def project(agents: int) -> AbstractContextManager[Scratch]:
    entries = (f'[[agent]]\nname = "a{number}"\nkind = "persistent"\n' for number in range(agents))
    return scratch.scratch(HEAD + ''.join(entries))


def names(there: Scratch) -> list[str]:
    return [agent.name for agent in there.project.config.agents]


def calls(agents: int) -> Figure:
    """Processes of tmux that a status starts, by a shim that counts them."""
    with project(agents) as there, tempfile.TemporaryDirectory() as folder:
        there.verb('up')
        counted = Path(folder, 'calls')
        shim = Path(folder, 'tmux')
        shim.write_text(SHIM.format(calls=counted, tmux=shutil.which('tmux')))
        shim.chmod(0o755)
        there.verb('status', environment={'PATH': f'{folder}:{os.environ["PATH"]}'})
        number = len(counted.read_text().splitlines())
    return Figure(f'tmux processes of a status of {agents}', number, 'exactly 1', '', number == 1)


def status_beyond_start(there: Scratch, what: str) -> list[Figure]:
    """By the clock and by the processor, which others do not slow down as much.

    In turn, so that both are measured on the same machine, however busy.
    """
    command = [sys.executable, str(supervisor.ENTRY), '--config', str(there.config), 'status']
    both = [(taken([sys.executable, '-c', 'pass']), taken(command)) for _ in range(40)]
    figures = []
    for number, by in enumerate(('clock', 'processor')):
        beyond = 1000 * statistics.median(status[number] - bare[number] for bare, status in both)
        name = f'status of {AGENTS}, all {what}, beyond a bare start by the {by}, p50'
        figures.append(Figure(name, round(beyond, 1), '<= 40', 'ms', beyond <= 40))
    return figures


def taken(command: Sequence[str]) -> tuple[float, float]:
    """Seconds of the clock, and of the processor."""
    began, spent = time.perf_counter(), children_seconds()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - began, children_seconds() - spent


def children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def load(there: Scratch, watched_seconds: float = 20.0) -> Figure:
    """Of the watchdog and all the programs it runs."""
    pid = supervisor.watchdog_pid(there.project)
    until(lambda: len(supervisor.watchdogs(there.project)) == 2, 10)
    time.sleep(1)
    before = processor_seconds(pid)
    time.sleep(watched_seconds)
    share = 100 * (processor_seconds(pid) - before) / watched_seconds
    return Figure(f'watchdog of {AGENTS} at a tick of {TICK} s', round(share, 2), '<= 2', '% of a core', share <= 2)


def processor_seconds(pid: int) -> float:
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf('SC_CLK_TCK')


def heals(there: Scratch, number: int) -> Figure:
    """From the kill of an agent to the start of its next incarnation's process."""
    here = there.project
    taken = []
    for index in range(number):
        name = f'a{index * 7 % AGENTS}'
        victim = supervisor.look(here)[name].pid
        began = time.monotonic()
        os.kill(victim, 9)
        until(partial(is_new, there, name, victim), 20)
        taken.append(time.monotonic() - began)
        time.sleep(TICK * (index % 5) / 5)
    late = 1000 * statistics.quantiles(taken, n=20)[18]
    limit = 1000 * TICK + 150
    return Figure(f'heal of one killed of {AGENTS}, p95', round(late), f'<= {limit:.0f}', 'ms', late <= limit)


def is_new(there: Scratch, name: str, victim: int) -> bool:
    """By the mark, which costs tmux no time."""
    return any(one.pid != victim for one in supervisor.processes(there.project, [name]))


def many(there: Scratch) -> Figure:
    victims = [pane.pid for name, pane in supervisor.look(there.project).items() if name != 'watchdog'][: AGENTS // 2]
    return back(there, f'{AGENTS // 2} of {AGENTS} killed at once', victims, 3)


def server(there: Scratch) -> Figure:
    return back(there, f'server of {AGENTS} killed', [one.pid for one in supervisor.servers(there.project)], 5)


def back(there: Scratch, what: str, victims: Sequence[int], limit: float) -> Figure:
    """Seconds until all run again, once each."""
    here, known = there.project, names(there)

    def is_whole() -> bool:
        panes = here.tmux.panes()
        return len(panes) == len(known) and not any(pane.dead or pane.pid in victims for pane in panes.values())

    began = time.monotonic()
    for pid in victims:
        os.kill(pid, 9)
    until(is_whole, 60)
    taken = time.monotonic() - began
    alive = len([one for one in supervisor.processes(here, known) if one.name == 'sleep'])
    return Figure(
        f'{what}: all back', round(taken, 2), f'<= {limit}, none twice', 's', taken <= limit and alive == AGENTS
    )


def cycles(there: Scratch, number: int) -> list[Figure]:
    """Down, then up, again and again: what is missing after an up, and what is left after a down."""
    lost = left = 0
    for _ in range(number):
        there.verb('up')
        panes = supervisor.look(there.project)
        lost += sum(name not in panes or panes[name].dead for name in names(there))
        there.verb('down')
        left += len(supervisor.processes(there.project, names(there)))
    return [
        Figure(f'{number} times down and up: sessions lost', lost, '0', '', lost == 0),
        Figure(f'{number} times down and up: processes left', left, '0', '', left == 0),
    ]


if __name__ == '__main__':
    raise SystemExit(main(sys.argv[1:]))

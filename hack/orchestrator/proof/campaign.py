"""Kills agents, watchdogs and servers of a scratch project at random, and counts what was lost, doubled or torn."""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from hack.common import process
from hack.common.errors import Exit
from hack.orchestrator.model import WATCHDOG
from hack.orchestrator.proof import scratch
from hack.orchestrator.proof.scratch import Scratch, until
from hack.orchestrator.runtime import sightings, supervisor
from hack.orchestrator.runtime.sightings import MARKER, Project
from hack.orchestrator.runtime.tmux import HungError

# The agents ignore HUP, as those do that were started with nohup or setsid: they outlive their server, and who starts
# them again without a look around has each of them twice.
_HEAD: Final = """[watchdog]
signal_interval = 0.25
heavy_interval = 0.25
backoff_base = 0.01
backoff_cap = 0.05
crash_loop_after = 1000000
[defaults]
session_prefix = "campaign-"
log_dir = "s"
backend = "stubborn"
[backend.stubborn]
bin = "sh"
flags = ["-c", "trap '' HUP; exec sleep infinity"]
"""
_FAULTS: Final = {'agent': 12, 'watchdog': 3, 'standby': 2, 'server': 2, 'socket': 1}
_MOST_AT_ONCE: Final = 4
_SECONDS: Final = 60.0
_LOOK: Final = 0.1  # seconds between two looks


def run(faults: int, seed: int, agents: int, say: Callable[[str], None]) -> int:
    """As many faults, the same for a seed as far as processes allow; the exit status is 1 where anything was lost."""
    names = [f'a{number}' for number in range(agents)]
    config = _HEAD + ''.join(f'[[agent]]\nname = "{name}"\nkind = "persistent"\n' for name in names)
    chance, counted, wrong = random.Random(seed), Counter[str](), list[str]()
    with scratch.scratch(config) as there:
        there.verb('up')
        here = there.project
        while sum(counted.values()) < faults:
            for _ in range(min(chance.randint(1, _MOST_AT_ONCE), faults - sum(counted.values()))):
                counted[_inject(here, chance)] += 1
                time.sleep(chance.random() * 0.2)
            wrong += _check(here, [*names, WATCHDOG])
        wrong += _check_down(there, names)
    say(f'{sum(counted.values())} faults: ' + ', '.join(f'{number} {kind}' for kind, number in sorted(counted.items())))
    kinds = Counter(what.split()[0] for what in wrong)
    for what in wrong:
        say(what)
    say(', '.join(f'{kinds[kind]} {kind}' for kind in ('lost', 'doubled', 'torn', 'left')))
    return Exit.RED if wrong else Exit.GREEN


def _inject(here: Project, chance: random.Random) -> str:
    """Do one thing that must not matter; its kind."""
    kind = chance.choices(list(_FAULTS), list(_FAULTS.values()))[0]
    if kind == 'socket':
        here.tmux.socket.unlink(missing_ok=True)
        return kind
    if kind == 'server':
        victims = supervisor.servers(here)
    elif kind == 'agent':
        names = [agent.name for agent in here.config.agents if agent.name != WATCHDOG]
        victims = supervisor.processes(here, [chance.choice(names)])
    else:
        holder = supervisor.watchdog_pid(here)
        both = supervisor.watchdogs(here)
        victims = [one for one in both if (one.pid == holder) == (kind == 'watchdog')][:1]
        # The two keep each other up: the one that is left must have had the time to see that it is alone.
        if len(both) < 2 and not until(lambda: len(supervisor.watchdogs(here)) > 1, _SECONDS):
            return 'watchdog alone'
    for victim in victims:
        process.send(victim, signal.SIGKILL)
    return kind


def _check(here: Project, names: list[str]) -> list[str]:
    """What is wrong in every look for `_SECONDS`: while a server dies and its agents come back, nobody can count them.

    One look in which all is well is enough: what is really there twice, or lost, does not mend itself for a moment.
    """
    end = time.monotonic() + _SECONDS
    while (wrong := _wrong(here, names)) and time.monotonic() < end:
        time.sleep(_LOOK)
    return wrong


def _wrong(here: Project, names: list[str]) -> list[str]:
    """A line for each thing that is wrong now, its kind first."""
    try:
        panes = sightings.look(here)
    except HungError:
        panes = {}
    alive, servers = _alive(here, names), [one.pid for one in supervisor.servers(here)]
    most = {name: 2 if name == WATCHDOG else 1 for name in names}  # one that stands by is beside the watchdog
    return [
        *(f'lost {name}' for name in names if not alive[name] or name not in panes or panes[name].dead),
        *(f'doubled {name}: {alive[name]}' for name in names if len(alive[name]) > most[name]),
        *(f'doubled tmux server: {servers}' for _ in servers[1:]),
        *(f'torn {path}' for path in sorted(here.store.folder.glob('*.json')) if not _is_json(path)),
    ]


def _alive(here: Project, names: list[str]) -> dict[str, list[int]]:
    """The processes of each agent: one scan for all."""
    slots = {here.slot(name): name for name in names}
    alive: dict[str, list[int]] = {name: [] for name in names}
    living = [one for one in supervisor.processes(here, names) if not one.is_copy]
    for one in living:
        if name := slots.get(process.value_of(one.pid, MARKER)):
            alive[name].append(one.pid)
    return alive


def _is_json(path: os.PathLike[str]) -> bool:
    try:
        with open(path, 'rb') as file:
            json.load(file)
    except FileNotFoundError:  # forgotten since it was listed
        return True
    except ValueError:
        return False
    return True


def _check_down(there: Scratch, names: list[str]) -> list[str]:
    """What is still there after `down`."""
    there.verb('down')
    here = there.project
    until(lambda: not supervisor.processes(here, [*names, WATCHDOG]), 5.0)
    return [f'left {one.name} ({one.pid})' for one in supervisor.processes(here, [*names, WATCHDOG])]

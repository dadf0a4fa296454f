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
from hack.orchestrator import scratch, sightings, supervisor
from hack.orchestrator.model import WATCHDOG
from hack.orchestrator.scratch import Scratch, until
from hack.orchestrator.sightings import MARKER, Project
from hack.orchestrator.tmux import HungError

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


def run(faults: int, seed: int, agents: int, say: Callable[[str], None]) -> int:
    """As many faults, the same for a seed as far as processes allow; the exit status is 1 where anything was lost."""
    names = [f'a{number}' for number in range(agents)]
    config = _HEAD + ''.join(f'[[agent]]\nname = "{name}"\nkind = "persistent"\n' for name in names)
    chance, counted, wrong = random.Random(seed), Counter[str](), Counter[str]()
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
    say(', '.join(f'{wrong[kind]} {kind}' for kind in ('lost', 'doubled', 'torn', 'left')))
    return Exit.RED if wrong.total() else Exit.GREEN


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


def _check(here: Project, names: list[str]) -> Counter[str]:
    """What is wrong, and stays so: while a server dies and its agents come back, nobody can count them."""
    end = time.monotonic() + _SECONDS
    while (wrong := _wrong(here, names)) and time.monotonic() < end:
        time.sleep(0.03)
    return wrong


def _wrong(here: Project, names: list[str]) -> Counter[str]:
    try:
        panes = sightings.look(here)
    except HungError:
        panes = {}
    alive = _alive(here, names)
    found = Counter(doubled=sum(alive[name] > 1 for name in names if name != WATCHDOG))
    found['lost'] = sum(alive[name] == 0 or name not in panes or panes[name].dead for name in names)
    found['doubled'] += max(0, alive[WATCHDOG] - 2) + max(0, len(supervisor.servers(here)) - 1)
    found['torn'] = sum(not _is_json(path) for path in sorted(here.store.folder.glob('*.json')))
    return +found


def _alive(here: Project, names: list[str]) -> Counter[str]:
    """How many processes each agent has: one scan for all."""
    slots = {here.slot(name): name for name in names}
    living = [one for one in supervisor.processes(here, names) if not one.is_copy]
    return Counter(slots.get(process.value_of(one.pid, MARKER), '') for one in living)


def _is_json(path: os.PathLike[str]) -> bool:
    try:
        with open(path, 'rb') as file:
            json.load(file)
    except FileNotFoundError:  # forgotten since it was listed
        return True
    except ValueError:
        return False
    return True


def _check_down(there: Scratch, names: list[str]) -> Counter[str]:
    """What is still there after `down`."""
    there.verb('down')
    here = there.project
    until(lambda: not supervisor.processes(here, [*names, WATCHDOG]), 5.0)
    return +Counter(left=len(supervisor.processes(here, [*names, WATCHDOG])))

"""The plain values of the orchestrator: what a project declares, and what was seen of it."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final, NamedTuple

KINDS: Final = ('persistent', 'loop', 'task')  # lives; works through the phases; runs once
SERVICE: Final = 'service'  # no model; kept up like the rest
WATCHES: Final = ('none', 'heal', 'heal+stall')
DELIVERIES: Final = ('arg', 'ping', 'exec')
WATCHDOG: Final = 'watchdog'  # the service that is always there


class Backend(NamedTuple):
    """How to run one kind of agent program; all lists are arguments, all patterns are searched line by line."""

    name: str
    bin: str
    flags: tuple[str, ...] = ()
    model_flag: str = ''  # '' where the program takes no model
    prompt_delivery: str = 'exec'  # arg: on the command line; ping: typed once `ready`; exec: nothing is delivered
    ready: str = ''  # ping: the screen has this once the program listens; '' is: as soon as it shows anything
    start_id: tuple[str, ...] = ()  # arguments that give a new conversation the id `{id}`
    id_pattern: str = ''  # or: where the screen shows the id that the program chose (first group)
    resume: tuple[str, ...] = ()  # arguments that go on with the conversation `{id}`
    activity_mask: tuple[str, ...] = ()  # lines that change, or stand, without meaning work: spinners, input boxes
    limit_patterns: tuple[str, ...] = ()  # a usage limit was hit; a group called `reset` holds when it ends
    liveness: str = ''  # a command that fails where the agent hangs; '' is: not asked


class Agent(NamedTuple):
    """One session; a service has neither backend nor model."""

    name: str
    kind: str
    backend: Backend | None = None
    model: str = ''
    watch: str = 'heal'
    role: str = ''
    enabled: bool = True
    prompt: str = ''  # text of a kickoff of its own
    command: str = ''  # of a service, for bash
    liveness: str = ''


class Phase(NamedTuple):
    id: str
    plan: str  # as written; the template says where it is
    status: str
    models: Mapping[str, str] = {}  # by role


class Loop(NamedTuple):
    template: str = ''  # the text
    roles: Mapping[str, str] = {}  # texts, by role
    done_marker: str = '## DONE'
    handoff: tuple[str, ...] = ()
    on_complete: str = ''
    phases: tuple[Phase, ...] = ()


class Cadence(NamedTuple):
    """Of the watchdog: all in seconds, but for `crash_loop_after`."""

    signal_interval: float = 30
    heavy_interval: float = 300
    stall_idle: float = 300
    stall_grace: float = 180
    limit_probe_fallback: float = 300
    limit_reset_slack: float = 45
    backoff_base: float = 5
    backoff_cap: float = 300
    stable_after: float = 60  # an incarnation that lived as long did not crash in a row
    crash_loop_after: int = 10  # crashes in a row; then it is left down until `clear-backoff`


class Config(NamedTuple):
    path: Path
    project_dir: Path
    log_dir: Path
    prefix: str
    socket: str = ''
    cadence: Cadence = Cadence()
    agents: tuple[Agent, ...] = ()  # as in the file: agents, services, and the watchdog last
    loop: Loop = Loop()
    sources: tuple[Path, ...] = ()  # all files it was read from
    tables: Mapping[str, Any] = {}  # the file itself, as TOML has it

    @property
    def state_dir(self) -> Path:
        return self.log_dir / 'state'

    def agent(self, name: str) -> Agent | None:
        return next((agent for agent in self.agents if agent.name == name), None)


class Standing(NamedTuple):
    """Where the project is in its phases."""

    at: int = 0  # from 0
    complete: bool = False


class State(Enum):
    RUNNING = 'RUNNING'
    STOPPED = 'stopped'
    UNKNOWN = 'unknown'  # tmux did not answer


class Sighting(NamedTuple):
    """What status says of one agent; `notes` stand in brackets behind the state."""

    state: State
    notes: tuple[str, ...] = ()

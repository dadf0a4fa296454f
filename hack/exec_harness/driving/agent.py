"""Runs the turns of a scenario: one command of the agent each, ended whole when its time is up."""

from collections.abc import Mapping
from typing import Final

from hack.common.process import Ran, Supervisor
from hack.exec_harness.driving.adapters import Agent
from hack.exec_harness.driving.place import Place
from hack.exec_harness.format import events
from hack.exec_harness.model import Scenario, TurnRun

KEEP_BYTES: Final = 1 << 25  # of each stream of a turn; what is beyond falls out of its middle


def run(
    agent: Agent,
    scenario: Scenario,
    place: Place,
    environment: Mapping[str, str],
    base_url: str | None,
    supervisor: Supervisor,
) -> tuple[TurnRun, ...]:
    """The turns that were run: up to the first that does not exit 0, or that leaves no session to go on with.

    Nothing that they started is left running.

    `base_url` is the fake API's; None: there is none, and the agent is not told of one.
    """
    turns: list[TurnRun] = []
    session: str | None = None
    try:
        for turn in scenario.turns:
            argv = command(agent, scenario, place, base_url, session, turn.prompt)
            turns.append(_turn(argv, scenario, place, environment, supervisor))
            session = session or next(iter(events.sessions(events.split(turns[0].stdout)[0])), None)
            if turns[-1].returncode != 0 or session is None:
                break
    finally:
        supervisor.end_owner(place.owner)
    return tuple(turns)


def command(
    agent: Agent, scenario: Scenario, place: Place, base_url: str | None, session: str | None, prompt: str
) -> tuple[str, ...]:
    """The command line of a turn; of what not every build has, only what this one knows."""
    asked = (
        (('--skip-git-repo-check',), True),
        (('--max-seconds', str(scenario.max_seconds)), scenario.max_seconds is not None),
        (('--include-plan-tool',), scenario.include_plan_tool),
        (('--auto-review',), scenario.auto_review),
    )
    optional = [word for words, is_asked in asked if is_asked and words[0] in agent.flags for word in words]
    model = ('-m', scenario.model) if scenario.model is not None else ()
    sandbox = ('--sandbox', scenario.sandbox) if scenario.sandbox is not None else ()
    api = agent.pointed_at(base_url) if base_url is not None else ()
    overrides = [word for override in scenario.config_overrides for word in ('-c', override)]
    resume = ('resume', session) if session is not None else ()
    head = (str(agent.binary), 'exec', '--json', *optional, '-C', str(place.workspace))
    return (*head, *model, *sandbox, *api, *overrides, *resume, '--', prompt)


def _turn(
    argv: tuple[str, ...], scenario: Scenario, place: Place, environment: Mapping[str, str], supervisor: Supervisor
) -> TurnRun:
    ran = supervisor.run(
        argv,
        cwd=str(place.workspace),
        env=environment,
        seconds=scenario.timeout_seconds,
        owner=place.owner,
        keep_bytes=KEEP_BYTES,
    )
    said, complained = _whole(ran, 'out'), _whole(ran, 'err')
    return TurnRun(argv, ran.end, ran.status, ran.seconds, said, complained, ran.out.dropped)


def _whole(ran: Ran, stream: str) -> bytes:
    """What a stream said, with a line that tells where it has a gap."""
    captured = ran.out if stream == 'out' else ran.err
    head, tail = captured.parts()
    gap = f'\ndogfood: {captured.dropped} bytes of output were not kept here\n' if captured.dropped else ''
    return head + gap.encode() + tail + (f'dogfood: {ran.why}\n'.encode() if stream == 'err' and ran.why else b'')

"""One scenario, once, in a worker's own process: from an empty place to evidence and a verdict."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hack.common import files, machine
from hack.common.errors import UserError
from hack.common.process import Supervisor
from hack.exec_harness.api.responses_server import ResponsesServer
from hack.exec_harness.driving import agent, gh_shim, place
from hack.exec_harness.driving.adapters import Agent
from hack.exec_harness.driving.enclosure import Enclosure
from hack.exec_harness.driving.place import Place
from hack.exec_harness.format import events, templates
from hack.exec_harness.judging import checks, golden, verdicts
from hack.exec_harness.judging.normalise import Normaliser
from hack.exec_harness.model import Expect, Finding, Observed, Result, Scenario, Served, TurnRun
from hack.exec_harness.reporting import evidence
from hack.exec_harness.reporting.evidence import Normalised


class Setting(NamedTuple):
    """What all attempts of a run have in common."""

    agent: Agent
    enclosed: bool  # whether each has a network of its own; without one, egress is not checked
    keep: bool
    update: bool  # rewrite golden requests
    places: Path  # the folder that the attempts make theirs in
    caller: Mapping[str, str]  # the environment of whoever runs the gate: for PATH, and logins that are asked for


class _Ran(NamedTuple):
    scenario: Scenario  # its names expanded
    turns: tuple[TurnRun, ...]
    served: Served
    base_url: str


def attempt(setting: Setting, scenario: Scenario, folder: Path) -> Result:
    """What it came to; `folder` is for its evidence. Whatever goes wrong around the agent is `infra`, and says what."""
    begun = time.monotonic()
    result = Result(scenario.name, scenario.path, scenario.line, 'infra', folder=str(folder), claim=scenario.claim)
    try:
        if why := _obstacle(setting, scenario.expect):
            return _recorded(result._replace(verdict='skipped', cause=why), folder)
        # First of all: it takes a process with one thread.
        enclosure = Enclosure(setting.agent.row.system) if setting.enclosed else None
        where = place.make(setting.places)
        try:
            result = _measured(setting, scenario, folder, where, enclosure, result)
        finally:
            if not setting.keep:
                place.remove(where)
    except templates.NoValueError as error:
        result = result._replace(verdict='skipped', cause=f'{setting.agent.said} has nothing called {error}')
    except (OSError, UserError) as error:
        result = result._replace(cause=verdicts.one_line(str(error)))
    return _recorded(result._replace(seconds=time.monotonic() - begun), folder)


def _obstacle(setting: Setting, expect: Expect) -> str:
    """Why what is expected cannot be seen here; empty where it can."""
    if expect.egress and not setting.enclosed:
        return 'egress cannot be seen on this machine'
    named = expect.requests_match or ''
    if not setting.update and any(templates.names(named)):
        of_agent = Path(templates.expand(named, setting.agent.names()))
        if not of_agent.exists():
            return f'{of_agent.name} is not there (look at what this agent sends, then write it with UPDATE=1)'
    return ''


def _measured(
    setting: Setting, scenario: Scenario, folder: Path, where: Place, enclosure: Enclosure | None, result: Result
) -> Result:
    supervisor, memory = Supervisor(), machine.Memory()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: supervisor.interrupt())
    ran = _run(setting, scenario, where, supervisor)
    observed = _observed(setting, ran, where, supervisor, enclosure.stop() if enclosure else None)
    normalised = _normalised(observed)
    findings = _findings(setting, ran, observed)
    trouble = _trouble(ran.turns, memory, where, folder) if findings else ''
    judgement = verdicts.judge(ran.turns, findings, ran.served.crash, trouble)
    evidence.write(folder, _manifest(setting, scenario, where, observed), observed, normalised)
    result = result._replace(
        verdict=judgement.verdict,
        cause=judgement.cause,
        findings=findings,
        agent_seconds=sum(turn.seconds for turn in ran.turns),
        returncode=ran.turns[-1].returncode if ran.turns else None,
    )
    evidence.write_summary(folder, observed, result)
    return result


def _trouble(turns: Sequence[TurnRun], memory: machine.Memory, where: Place, folder: Path) -> str:
    """What was wrong with the machine while the agent ran; empty if nothing was."""
    folders = [str(each) for each in (where.root, folder.parent) if each.is_dir()]
    looks = (machine.trouble(turn.returncode, turn.stdout + turn.stderr, folders, memory) for turn in turns)
    return next(filter(None, looks), '')


def _findings(setting: Setting, ran: _Ran, observed: Observed) -> tuple[Finding, ...]:
    """What does not hold; golden requests are rewritten only from a run in which all else does."""
    expect = ran.scenario.expect
    findings = checks.check(expect, observed)
    others = tuple(finding for finding in findings if finding.kind != 'golden')
    if not setting.update or expect.requests_match is None:
        return findings
    if verdicts.judge(ran.turns, others, ran.served.crash).verdict != 'passed':
        return findings
    golden.update(Path(expect.requests_match), checks.comparable(observed))
    return others


def _run(setting: Setting, scenario: Scenario, where: Place, supervisor: Supervisor) -> _Ran:
    """The agent's turns, with the API at its side."""
    server = ResponsesServer() if scenario.responses_api else None
    base_url = server.base_url if server else ''
    names = {'workspace': str(where.workspace), 'home': str(where.home), **({'base_url': base_url} if server else {})}
    expanded = templates.expand(scenario, {**setting.agent.names(), **names})
    place.furnish(where, expanded, supervisor, setting.caller)
    path = setting.caller.get('PATH', os.defpath)
    environment = place.environment(where, setting.agent.row, path, expanded.env)
    if server is None or expanded.responses_api is None:
        return _Ran(expanded, agent.run(setting.agent, expanded, where, environment, None, supervisor), Served(), '')
    server.start(expanded.responses_api)
    try:
        turns = agent.run(setting.agent, expanded, where, environment, base_url, supervisor)
    finally:
        served = server.stop()
    return _Ran(expanded, turns, served, base_url)


def _observed(
    setting: Setting, ran: _Ran, where: Place, supervisor: Supervisor, egress: tuple[str, ...] | None
) -> Observed:
    said, bad_lines = events.split(b'\n'.join(turn.stdout for turn in ran.turns))
    git_status, no_git_status = place.git_status(where, supervisor, setting.caller)
    asked = gh_shim.read(where.gh) if ran.scenario.gh else gh_shim.Record((), {})
    return Observed(
        turns=ran.turns,
        events=said,
        workspace=where.workspace,
        turns_asked=len(ran.scenario.turns),
        bad_lines=bad_lines,
        requests=ran.served.requests,
        unused_replies=ran.served.unused_replies,
        gh_calls=asked.calls,
        gh_state=asked.state,
        git_status=git_status,
        no_git_status=no_git_status,
        egress=egress,
        masks=_masks(setting, where, ran.base_url),
    )


def _masks(setting: Setting, where: Place, base_url: str) -> dict[str, str]:
    folders = ('workspace', 'home', 'config', 'tmp', 'bin', 'root')
    own = {str(getattr(where, name)): f'<{name}>' for name in folders}
    return {**own, str(setting.agent.binary): '<agent>', **({base_url: '<base_url>'} if base_url else {})}


def _normalised(observed: Observed) -> Normalised:
    """Events first: what they number is what the requests speak of."""
    normaliser = Normaliser(observed.masks)
    said = normaliser.value(observed.events)
    return Normalised(said, normaliser.value([request.json for request in observed.requests if request.asks_model]))


def _manifest(setting: Setting, scenario: Scenario, where: Place, observed: Observed) -> dict[str, Any]:
    return {
        'scenario': scenario.name,
        'claim': scenario.claim,
        'path': scenario.path,
        'line': scenario.line,
        'ended': files.utc_now(),
        'agent': {
            'binary': str(setting.agent.binary),
            'version': setting.agent.said,
            'family': setting.agent.row.family,
        },
        'place': f'{where.root}{"" if setting.keep else " (removed)"}',
        'timeout_seconds': scenario.timeout_seconds,
        'egress': 'not checked' if observed.egress is None else list(observed.egress),
    }


def _recorded(result: Result, folder: Path) -> Result:
    """The result, which is on disk then; where it cannot be, that is what it says."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        evidence.write_result(folder, result)
    except OSError as error:
        return result._replace(verdict='infra', cause=f'{folder}: evidence cannot be written: {error.strerror}')
    return result

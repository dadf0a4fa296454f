"""Runs scenarios in forked workers and yields a result for every one of them, whatever became of its worker."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from hack.common import files
from hack.exec_harness.judging import normalise, verdicts
from hack.exec_harness.model import Finding, Result, Scenario
from hack.exec_harness.reporting import evidence
from hack.exec_harness.running.pool import Ending, Pool, Task

_PATIENCE: Final = 4  # times its limit: what a turn may take on a machine too busy to let it run
_AROUND_SECONDS: Final = 60.0  # for all that is not a turn
_REQUEST_SECONDS: Final = 0.1  # about what one takes
_STALL: Final = 4  # about what an agent waits for a stream that has fallen silent, in requests
_NO_NAME: Final = re.compile(r'[^A-Za-z0-9._-]+')

Attempt = Callable[[Scenario, Path], Result]


def part(scenarios: Sequence[Scenario], which: tuple[int, int]) -> list[Scenario]:
    """The k-th of n parts, from 1, by the order of names alone: they are disjoint, and together they are everything."""
    number, of = which
    return sorted(scenarios, key=lambda scenario: scenario.name)[number - 1 :: of]


def run(scenarios: Sequence[Scenario], attempt: Attempt, pool: Pool, folder: Path, twice: bool) -> Iterator[Result]:
    """A result for each scenario, as it ends. `attempt` runs in a worker, with a folder of its own for evidence."""
    folders = _folders(scenarios, folder)
    attempts = [
        (scenario, folders[scenario.name].with_name(folders[scenario.name].name + suffix))
        for scenario in sorted(scenarios, key=_length, reverse=True)  # the long ones first, or the end waits for one
        for suffix in (('', evidence.SECOND) if twice else ('',))
    ]
    results: dict[str, list[Result]] = {scenario.name: [] for scenario in scenarios}
    for ending in pool.run(Task(partial(_attempted, attempt, *each), _seconds(each[0])) for each in attempts):
        scenario, its_folder = attempts[ending.number]
        done = results[scenario.name]
        done.append(_result(ending, scenario, its_folder))
        if len(done) == 1 + twice:
            yield together(sorted(done, key=lambda result: result.folder)) if twice else done[0]
    for scenario in scenarios:
        if len(results[scenario.name]) < 1 + twice:
            yield _unmeasured(scenario, folders[scenario.name], 'was not run to its end: interrupted')


def together(attempts: Sequence[Result]) -> Result:
    """What two attempts at the same scenario come to: the worse of them, and a failure where they differ."""
    first, second = attempts
    seconds, agent_seconds = first.seconds + second.seconds, first.agent_seconds + second.agent_seconds
    for attempt in attempts:
        if attempt.verdict != 'passed':
            return attempt._replace(seconds=seconds, agent_seconds=agent_seconds)
    both = first._replace(seconds=seconds, agent_seconds=agent_seconds)
    try:
        found = _difference(first, second)
    except (OSError, ValueError) as error:
        return both._replace(verdict='infra', cause=f'the two runs cannot be compared: {error}')
    if not found:
        return both
    return both._replace(verdict='failed', cause=verdicts.cause(found), findings=(found,))


def _difference(first: Result, second: Result) -> Finding | None:
    """The first that differs between the two runs, of their events, then of their requests."""
    before, after = (evidence.read_normalised(Path(result.folder)) for result in (first, second))
    for what in ('events', 'requests'):
        sides = getattr(before, what), getattr(after, what)
        if difference := normalise.first_difference(*sides):
            claim = f'{what} are the same in two runs, at {difference.path or "the top"}'
            return Finding(
                'determinism', claim, difference.before, difference.after, nearest=f'the second run: {second.folder}'
            )
    return None


def _attempted(attempt: Attempt, scenario: Scenario, folder: Path) -> bytes:
    return json.dumps(evidence.as_json(attempt(scenario, folder))).encode()


def _result(ending: Ending, scenario: Scenario, folder: Path) -> Result:
    if not ending.death:
        return evidence.from_json(json.loads(ending.said))
    return _unmeasured(scenario, folder, f'the worker {ending.death}' if '\n' not in ending.death else ending.death)


def _unmeasured(scenario: Scenario, folder: Path, why: str) -> Result:
    """A result for what has none; its evidence is what there is, which may be nothing."""
    *before, last = why.splitlines()
    cause = f'the worker crashed: {last}' if before else last
    where = scenario.name, scenario.path, scenario.line
    result = Result(*where, 'infra', cause, folder=str(folder), claim=scenario.claim)
    with contextlib.suppress(OSError):  # the reason may be that nothing can be written there
        folder.mkdir(parents=True, exist_ok=True)
        files.write_json(folder / 'result.json', evidence.as_json(result))
        if before:
            files.write_atomic(folder / 'crash.txt', why + '\n')
    return result


def _length(scenario: Scenario) -> float:
    """About how long it takes, in requests: those that the agent will make, and what it is kept waiting for."""
    replies = scenario.responses_api.responses if scenario.responses_api else ()
    waits = sum(
        reply.delay / _REQUEST_SECONDS + _STALL * (reply.fault is not None and reply.fault.kind == 'stall')
        for reply in replies
    )
    return len(scenario.turns) + sum(reply.times or 1 for reply in replies) + waits


def _seconds(scenario: Scenario) -> float:
    return _AROUND_SECONDS + _PATIENCE * scenario.timeout_seconds * len(scenario.turns)


def _folders(scenarios: Sequence[Scenario], folder: Path) -> Mapping[str, Path]:
    """A folder for each scenario, called after it as far as a file system allows."""
    names: dict[str, Any] = {}
    for scenario in scenarios:
        name = _NO_NAME.sub('-', scenario.name).strip('.-')[:100] or 'scenario'
        names[scenario.name] = name if name not in names.values() else f'{name}-{len(names)}'
    return {name: folder / called for name, called in names.items()}

"""One run of the gate, from scenarios to a report: the records are kept and the results told as they come."""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from hack.common import files
from hack.exec_harness.driving import enclosure, place
from hack.exec_harness.driving.adapters import Agent
from hack.exec_harness.model import Result, Scenario
from hack.exec_harness.reporting import evidence, report
from hack.exec_harness.running import runner
from hack.exec_harness.running.attempt import Setting, attempt
from hack.exec_harness.running.pool import Pool


class Order(NamedTuple):
    """What is to be run, and how."""

    scenarios: Sequence[Scenario]
    agent: Agent
    out: Path
    twice: bool = False
    keep: bool = False
    update: bool = False


def run(order: Order, pool: Pool, tell: Callable[[Result], None]) -> report.Run:
    """Run it to its end; each result is on disk before it is told. Raises UserError where nothing can be kept."""
    folder = evidence.new_run(order.out)
    obstacle = enclosure.obstacle() or ''
    records = evidence.Records(folder, _facts(order, obstacle, pool.jobs))
    begun, results = time.monotonic(), list[Result]()
    with _places(order.keep) as places:
        setting = Setting(order.agent, not obstacle, order.keep, order.update, places, dict(os.environ))
        for result in runner.run(order.scenarios, partial(attempt, setting), pool, folder, order.twice):
            records.add(result)
            results.append(result)
            tell(result)
    done = report.Run(
        folder=str(folder),
        agent=order.agent.said,
        binary=str(order.agent.binary),
        jobs=pool.jobs,
        egress=obstacle,
        results=results,
        seconds=time.monotonic() - begun,
        interrupted=pool.stopped,
    )
    records.close(report.junit(done), report.exit_status(done))
    return done._replace(problem=records.problem)


@contextlib.contextmanager
def _places(keep: bool) -> Iterator[Path]:
    """Where the attempts make their places: a dead worker leaves its own behind, but not for longer than the run."""
    own = place.make(Path(tempfile.gettempdir()))
    try:
        yield own.root
    finally:
        if not keep:
            place.remove(own)


def _facts(order: Order, obstacle: str, jobs: int) -> dict[str, object]:
    return {
        'started': files.utc_now(),
        'command': sys.argv,
        'cwd': os.getcwd(),
        'agent': {'said': order.agent.said, 'binary': str(order.agent.binary), 'family': order.agent.row.family},
        'scenarios': [f'{scenario.path}:{scenario.line}' for scenario in order.scenarios],
        'jobs': jobs,
        'twice': order.twice,
        'egress': f'not checked: {obstacle}' if obstacle else 'checked',
    }

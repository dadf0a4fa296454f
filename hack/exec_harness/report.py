"""What a run says: a line per scenario as it ends, the closing table, JSON lines, JUnit; nothing is judged here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from hack.common import results
from hack.common.console import Column, Console, Row, visible
from hack.common.errors import Exit
from hack.exec_harness import evidence
from hack.exec_harness.model import Result
from hack.exec_harness.verdicts import cause

_STYLES: Final = {'passed': 'green', 'skipped': 'cyan', 'infra': 'magenta', 'failed': 'bold red'}
_WORST_LAST: Final = tuple(_STYLES)  # nearest to the closing sentence, where one looks first
_COLUMNS: Final = (Column('verdict'), Column('scenario'), Column('time', right=True), Column('cause'))
_OUTCOMES: Final[Mapping[str, Literal['passed', 'failure', 'error', 'skipped']]] = {
    'passed': 'passed',
    'failed': 'failure',
    'infra': 'error',
    'skipped': 'skipped',
}


class Run(NamedTuple):
    """One run of the gate, as its report needs to know it."""

    folder: str
    agent: str  # what the binary says it is
    binary: str
    jobs: int
    egress: str  # why it was not checked; empty: it was
    results: Sequence[Result]
    seconds: float
    interrupted: bool = False


def exit_status(run: Run) -> Exit:
    return results.exit_status(_totals(run), interrupted=run.interrupted)


def json_line(result: Result, egress: str) -> str:
    """One scenario as one line of JSON: what tools for the format read, and our verdict."""
    value: dict[str, Any] = {
        'scenario': result.name,
        'run_dir': result.folder,
        'returncode': result.returncode,
        'failures': [cause(finding) for finding in result.findings],
        'verdict': result.verdict,
        'cause': result.cause,
        'path': result.path,
        'line': result.line,
        'duration_seconds': round(result.seconds, 4),
        'agent_seconds': round(result.agent_seconds, 4),
        'egress': 'not checked' if egress else 'checked',
    }
    return json.dumps(value, ensure_ascii=False)


def line(result: Result, width: int, console: Console) -> str:
    """One scenario as it ends; `width` is that of the longest name."""
    verdict, name, time, remark = _cells(result)
    text = console.fold(f'{verdict:8}  {name:{width}}  {time:>8}  {visible(remark)}'.rstrip(), ' ' * 10)
    return console.paint(text[:8], _STYLES[verdict]) + text[8:]


def show(run: Run, console: Console) -> None:
    """The table, and last of all one line that says why the gate is red, or that it is green."""
    ranked = sorted(run.results, key=lambda result: _WORST_LAST.index(result.verdict))
    if ranked:
        console.table(_COLUMNS, [Row(_cells(result), _STYLES[result.verdict]) for result in ranked])
    console.say('', console.fold(_figures(run)))
    if run.egress:
        console.say(console.fold(f'egress: not checked ({visible(run.egress)})'))
    worst = 'passed' if exit_status(run) == Exit.GREEN else 'failed' if _totals(run)['failed'] else 'infra'
    console.say(console.paint(console.fold(visible(sentence(run))), _STYLES[worst]), f'evidence: {run.folder}')


def sentence(run: Run) -> str:
    """Whether the gate is green and, where it is not, why, in one line."""
    totals, count = _totals(run), len(run.results)
    if run.interrupted:
        return f'Interrupted: {_words(totals) or "nothing was measured"}.'
    for verdict, colour in (('failed', 'Red'), ('infra', 'Not measured')):
        first = next((result for result in run.results if result.verdict == verdict), None)
        if first:
            also = f' ({totals[verdict]} of {count} {verdict})' if totals[verdict] > 1 else ''
            return f'{colour}: {first.name}: {first.cause}{also}'
    if not totals['passed']:
        return 'Nothing passed, so nothing is verified.'
    return f'Green: {run.agent} keeps its contract in {_words(totals)} of {count} scenarios.'


def junit(run: Run) -> str:
    return results.junit('exec gate', [_case(result, run.agent) for result in run.results])


def _case(result: Result, agent: str) -> results.Case:
    return results.Case(
        suite='exec gate',
        name=result.name,
        seconds=result.seconds,
        outcome=_OUTCOMES[result.verdict],
        message=result.cause,
        kind=result.findings[0].kind if result.findings else '',
        text='\n\n'.join(map(evidence.in_full, result.findings)),
        file=result.path,
        line=result.line,
        properties={'agent': agent, 'evidence': result.folder},
    )


def _cells(result: Result) -> tuple[str, str, str, str]:
    more = len(result.findings) - 1
    remark = f'{result.cause} (and {more} more)' if more > 0 else result.cause
    return result.verdict, result.name, f'{result.seconds:.2f}s', remark


def _figures(run: Run) -> str:
    scenarios = f'{len(run.results)} scenario{"" if len(run.results) == 1 else "s"}'
    sequential = sum(result.seconds for result in run.results)
    jobs = f'{run.jobs} job{"" if run.jobs == 1 else "s"}'
    return (
        f'{scenarios}: {_words(_totals(run)) or "none was run"}; {run.seconds:.1f} s on {jobs}, {sequential:.1f} s one '
        f'by one; {run.agent} at {run.binary}; exit {int(exit_status(run))}'
    )


def _totals(run: Run) -> dict[str, int]:
    return results.totals(result.verdict for result in run.results)


def _words(totals: Mapping[str, int]) -> str:
    return ', '.join(f'{number} {verdict}' for verdict, number in totals.items() if number)

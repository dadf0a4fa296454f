"""What a run says: a line per scenario as it ends, the closing table, JSON lines, JUnit; nothing is judged here."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from hack.common import results
from hack.common.console import Console, counted, visible
from hack.common.errors import Exit
from hack.exec_harness.judging.verdicts import cause
from hack.exec_harness.model import Result
from hack.exec_harness.reporting import evidence

_STYLES: Final = {'passed': 'green', 'skipped': 'cyan', 'infra': 'magenta', 'failed': 'bold red'}
_MOST_FINDINGS: Final = 3  # of a scenario, on a screen; all are in its evidence
_MOST_LINES: Final = 30
_MOST_IN_FULL: Final = 5  # scenarios
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
    problem: str = ''  # of the run's own records
    interrupted: bool = False


def exit_status(run: Run) -> Exit:
    return results.exit_status(_totals(run), problems=bool(run.problem), interrupted=run.interrupted)


def json_line(result: Result) -> str:
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
    }
    return json.dumps(value, ensure_ascii=False)


def line(result: Result, width: int, console: Console) -> str:
    """One scenario as it ends, in fixed columns; `width` is that of the longest name."""
    more = len(result.findings) - 1
    remark = f'{result.cause} (and {more} more)' if more > 0 and result.verdict == 'failed' else result.cause
    time = f'{result.seconds:.2f}s'
    text = f'{result.verdict:8}  {visible(result.name):{width}}  {time:>7}  {visible(remark)}'.rstrip()
    text = console.fold(text, ' ' * 10)
    return console.paint(text[:8], _STYLES[result.verdict]) + text[8:]


def show(run: Run, console: Console) -> None:
    """What was found, in full, then figures, and last of all one line that says whether and why the gate is red."""
    with_findings = [result for result in run.results if result.findings]
    for result in with_findings[:_MOST_IN_FULL]:
        title = console.paint(f'{visible(result.name)} ({result.path}:{result.line})', 'bold')
        claim = [console.fold(f'  {visible(result.claim)}')] if result.claim else []
        found = (console.fold(visible(text), ' ' * 14) for text in _found(result))
        console.say('', title, *claim, f'  evidence: {result.folder}', '', *found)
    if more := with_findings[_MOST_IN_FULL:]:
        console.say('', f'{counted(len(more), "further scenario")} with findings: each has its findings.txt')
    console.say('', console.fold(_figures(run)))
    if run.egress:
        console.say(console.fold(f'egress: not checked ({visible(run.egress)})'))
    console.say(f'evidence: {run.folder}', console.paint(console.fold(visible(sentence(run))), _style(run)))


def _found(result: Result) -> Iterator[str]:
    """What did not hold, as much as is worth a screen."""
    found = '\n\n'.join(map(evidence.in_full, result.findings[:_MOST_FINDINGS])).splitlines()
    yield from (f'  {text}'.rstrip() for text in found[:_MOST_LINES])
    if len(found) > _MOST_LINES or len(result.findings) > _MOST_FINDINGS:
        yield '  … (all of it is in findings.txt)'


def _style(run: Run) -> str:
    if exit_status(run) == Exit.GREEN:
        return _STYLES['passed']
    return _STYLES['failed' if _totals(run)['failed'] else 'infra']


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
    if run.problem:
        return f'Not measured: {run.problem}'
    if not totals['passed']:
        return f'Nothing passed, so nothing is verified{f": {_words(totals)}" if count else ""}.'
    return f'Green: {run.agent} keeps its contract: {_words(totals)}.'


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
        properties={'agent': agent, 'claim': result.claim, 'evidence': result.folder},
    )


def _figures(run: Run) -> str:
    words = _words(_totals(run)) or 'none was run'
    alone = sum(result.seconds for result in run.results)
    return (
        f'{counted(len(run.results), "scenario")}: {words}; {run.seconds:.1f} s on {counted(run.jobs, "job")}, '
        f'{alone:.1f} s one by one; {run.agent} at {run.binary}; exit {int(exit_status(run))}'
    )


def _totals(run: Run) -> dict[str, int]:
    return results.totals(result.verdict for result in run.results)


def _words(totals: Mapping[str, int]) -> str:
    return ', '.join(f'{number} {verdict}' for verdict, number in totals.items() if number)

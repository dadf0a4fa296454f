"""What an attempt came to, from how its turns ended and what was found: values in, a verdict and one sentence out."""

from collections.abc import Sequence
from typing import Final, NamedTuple, assert_never

from hack.common.process import End
from hack.exec_harness.model import Finding, FindingKind, TurnRun, Verdict

# What explains the most comes first: an agent that was ended or died leaves other findings behind as its consequence.
_TELLING: Final[tuple[FindingKind, ...]] = ('timeout', 'crash', 'egress', 'replies', 'stdout', 'exit')
_LONGEST: Final = 160  # characters of a value in a sentence


class Judgement(NamedTuple):
    verdict: Verdict
    cause: str = ''


def judge(turns: Sequence[TurnRun], findings: Sequence[Finding], api_crash: str, trouble: str = '') -> Judgement:
    """`failed` blames the agent; whatever kept the harness from measuring is `infra`, whatever else was found.

    `trouble`: what was wrong with the machine meanwhile, which excuses what was found.
    """
    if api_crash:
        return Judgement('infra', f'the fake API crashed: {api_crash}')
    if not turns:
        return Judgement('infra', 'no turn was run')
    for number, turn in enumerate(turns, 1):
        if obstacle := _obstacle(turn):
            return Judgement('infra', f'turn {number} {obstacle}')
    if findings and trouble:
        return Judgement('infra', trouble)
    if findings:
        return Judgement('failed', cause(most_telling(findings)))
    return Judgement('passed')


def _obstacle(turn: TurnRun) -> str:
    """Why an ending says nothing about the agent."""
    match turn.end:
        case End.NOT_STARTED:
            return f'could not be started: {one_line(turn.stderr.decode("utf-8", "replace"))}'
        case End.INTERRUPTED:
            return 'was interrupted'
        case End.EXITED if turn.dropped:
            return f'printed more than the harness keeps: {turn.dropped} bytes of it could not be judged'
        case End.EXITED | End.SIGNALLED | End.TIMED_OUT:
            return ''
    assert_never(turn.end)


def most_telling(findings: Sequence[Finding]) -> Finding:
    return min(
        findings, key=lambda finding: _TELLING.index(finding.kind) if finding.kind in _TELLING else len(_TELLING)
    )


def cause(finding: Finding) -> str:
    """The finding as one line."""
    return f'{finding.claim}: expected {one_line(finding.expected)}, observed {one_line(finding.observed)}'


def one_line(text: str) -> str:
    """The text with its white space folded, cut where it is long."""
    folded = ' '.join(text.split())
    return folded if len(folded) <= _LONGEST else folded[:_LONGEST] + '…'

"""What a journey's run came to, and whom it blames: decided from plain values alone.

A red is the product's fault, or it is not called a failure. So everything that could be the
harness's doing is asked first, and only what is left is held against the product.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple, assert_never

from hack.common.console import cut
from hack.common.process import End
from hack.dogfood.model import TIERS, Finding, Verdict

HOLDS_THE_GATE: Final[frozenset[str]] = frozenset(('failed', 'infra', 'blocked', 'deferred'))
_WORDS: Final = 160  # characters of a finding in a sentence
_MOST_TELLING: Final = ('failed', 'infra', 'blocked', 'deferred', 'skipped')  # of several roots, the first is named


class Judgement(NamedTuple):
    verdict: Verdict
    cause: str = ''  # one sentence
    root: str | None = None  # the journey at the root of a blocked or deferred one
    finding: Finding | None = None  # one that the judgement itself adds


class Note(NamedTuple):
    """What a step said of itself: `skip`, `infra`, or a bare `command-not-found`."""

    kind: str
    text: str


class StepSeen(NamedTuple):
    """One run of a step, as far as its verdict needs it."""

    number: int  # 1-based
    end: End
    status: int | None
    seconds: float
    limit: float  # seconds it had
    findings: Sequence[Finding] = ()
    notes: Sequence[Note] = ()
    why: str = ''  # of a program that did not start
    closed_early: str = ''  # how it shows that a pipeline of the step's own was closed before its writer was done
    trouble: str | None = None  # the machine's, looked up after something went wrong


class Standing(NamedTuple):
    """What a journey's dependants and the gates look at: an earlier journey's verdict and its root."""

    verdict: Verdict
    root: str | None = None


PASSED: Final = Judgement('passed')


# -- before a journey runs -----------------------------------------------------------------


def deferred(tier: str, gates: Mapping[str, tuple[str, Verdict]]) -> Judgement | None:
    """Whether a gating journey of an earlier tier holds the door. `gates`: id → (tier, verdict)."""
    for earlier in TIERS[: TIERS.index(tier)]:
        for gate in sorted(gates):
            of_tier, verdict = gates[gate]
            if of_tier == earlier and verdict in HOLDS_THE_GATE:
                return Judgement('deferred', f'the {earlier} gate {gate} did not pass: {verdict}', gate)
    return None


def absent(missing: Sequence[str], require_all: bool) -> Judgement | None:
    """Whether a declared need is absent. `missing`: what is missing, each with what to do about it."""
    if not missing:
        return None
    return Judgement('infra' if require_all else 'skipped', 'needs ' + ', '.join(missing))


def blocked(
    requires: Sequence[str], establishers: Mapping[str, Sequence[str]], standing: Mapping[str, Standing]
) -> Judgement | None:
    """Whether none of a required token's establishers passed; the root is named over any number of hops.

    `standing` lacks those that have not run yet: they establish in a later tier only.
    """
    for token in requires:
        of = [(name, standing[name]) for name in establishers[token] if name in standing]
        if any(seen.verdict == 'passed' for _, seen in of):
            continue
        name, seen = min(of, key=lambda one: _MOST_TELLING.index(one[1].verdict))
        root = seen.root or name
        via = '' if root == name else f' (at the root: {root})'
        return Judgement('blocked', f'{token} was not established: {name} is {seen.verdict}{via}', root)
    return None


def lost_marker(token: str, fault: str) -> Judgement:
    return Judgement('infra', f'the marker of {token} cannot be relied on: {fault}')


# -- while it runs -----------------------------------------------------------------------


def of_step(seen: StepSeen, needs: Collection[str], require_all: bool = False) -> Judgement | None:
    """What one run of a step makes of the journey; None: it held, go on."""
    if ended := _kept_from_ending(seen):
        return ended
    for note in seen.notes:
        match note.kind:
            case 'skip':
                return Judgement('infra' if require_all else 'skipped', f'step {seen.number} said: {note.text}')
            case 'infra':
                return Judgement('infra', f'step {seen.number} said: {note.text}')
            case 'command-not-found' if note.text not in needs:
                return Judgement(
                    'infra',
                    f'step {seen.number}: there is no command {note.text} '
                    '(install it, name it in `needs`, or mend the spelling)',
                )
    return _of_findings(seen)


def _kept_from_ending(seen: StepSeen) -> Judgement | None:
    match seen.end:
        case End.NOT_STARTED:
            return Judgement('infra', f'step {seen.number} could not be started: {seen.why}')
        case End.INTERRUPTED:
            return Judgement('infra', seen.why or 'the run was interrupted')
        case End.EXITED | End.SIGNALLED | End.TIMED_OUT:
            return None
        case _:
            assert_never(seen.end)


def _of_findings(seen: StepSeen) -> Judgement | None:
    timed_out = seen.end is End.TIMED_OUT
    if not seen.findings and not timed_out:
        return None
    if seen.trouble:
        return Judgement('infra', f'step {seen.number} could not be measured: {seen.trouble}')
    if timed_out:
        return Judgement('failed', f'step {seen.number} {_late(seen)}')
    if seen.closed_early:
        return Judgement(
            'infra',
            f'step {seen.number}: its own pipeline was closed early ({seen.closed_early}): '
            'let the last command read all, for example `sed -n 1p` for `head -1`',
        )
    unsure = [finding for finding in seen.findings if finding['kind'] == 'harness']
    sure = [finding for finding in seen.findings if finding['kind'] != 'harness']
    if sure:
        return Judgement('failed', f'step {seen.number}: {in_words(sure[0])}')
    return Judgement('infra', f'step {seen.number} could not be judged: {in_words(unsure[0])}')


def of_probe(token: str, seen: StepSeen, relied_on: bool) -> Judgement | None:
    """What a capability's probe makes of the journey; None: it holds.

    `relied_on`: a dependent is about to use it, so it held when it was established.
    """
    unmeasured = _unmeasured(f'probe of {token}', seen)
    if unmeasured or seen.status == 0:
        return unmeasured
    how = _late(seen) if seen.status is None else f'exit {seen.status}'
    lost = Finding(
        kind='capability-lost', step=None, expected=f'the probe of {token} exits 0', observed=how, evidence=None
    )
    if relied_on:
        return Judgement('infra', f'{token} held when it was established, but its probe fails now: {how}', None, lost)
    return Judgement('failed', f'every step passed, yet the probe of {token} says it is not there: {how}', None, lost)


def of_invariant(name: str, seen: StepSeen) -> Judgement | None:
    """What an invariant, run after a step, makes of the journey; None: it holds."""
    unmeasured = _unmeasured(f'invariant {name}', seen)
    if unmeasured or seen.status == 0:
        return unmeasured
    how = _late(seen) if seen.status is None else f'exit {seen.status}'
    broken = Finding(
        kind='invariant', step=seen.number, expected=f'invariant holds: {name}', observed=how, evidence=None
    )
    return Judgement('failed', f'after step {seen.number} an invariant is broken: {name} ({how})', None, broken)


def _unmeasured(what: str, seen: StepSeen) -> Judgement | None:
    """What a probe or an invariant comes to where it tells nothing of the product; None: its exit status does."""
    if ended := _kept_from_ending(seen):
        return ended._replace(cause=f'{what}: {ended.cause}')
    for note in seen.notes:
        return Judgement('infra', f'{what}: {note.kind} {note.text}')
    if seen.status != 0 and seen.trouble:
        return Judgement('infra', f'{what} could not be measured: {seen.trouble}')
    return None


def of_retry(before: Judgement, again: Judgement) -> Judgement:
    """What stands after a failure was tried again: the last attempt, unless it only says that it was not made.

    One that could not be measured leaves open what was asked for: whether the product would have passed. One that
    finds a capability gone does not: who failed before is the likeliest to have lost it.
    """
    lost = again.finding is not None and again.finding['kind'] == 'capability-lost'
    if again.verdict in ('passed', 'failed'):
        return again
    if again.verdict == 'infra' and not lost:
        return again._replace(cause=f'{again.cause}; the attempt before failed: {before.cause}')
    return before._replace(cause=f'{before.cause}; tried again, it was {again.verdict}: {again.cause}')


def kept(verdict: Verdict, found: Sequence[Finding]) -> list[Finding]:
    """A step's findings as they stand in the record: the product is charged with them only where it failed."""
    match verdict:
        case 'failed':
            return list(found)
        case 'infra':
            return [Finding(**{**finding, 'kind': 'harness'}) for finding in found]
        case _:
            return []


def _late(seen: StepSeen) -> str:
    return f'did not end within {round(seen.limit, 3):g} s'


def in_words(finding: Finding) -> str:
    """A finding as part of a sentence, on one line and short."""
    observed = finding['observed']
    if finding['kind'] in ('stdout', 'stderr'):
        observed = observed.removesuffix('\n')  # that every command ends its last line is not worth a sign
    return f'expected {_short(finding["expected"])}, observed {_short(observed) or "(nothing)"}'


def _short(text: str) -> str:
    return cut(text.replace('\n', '↵'), _WORDS)

"""Tables: what was seen → the verdict, its words, and whom they blame."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from hack.common.process import End
from hack.dogfood.judging import verdicts
from hack.dogfood.judging.verdicts import Judgement, Note, Standing, StepSeen
from hack.dogfood.model import VERDICTS, Finding, FindingKind, Verdict

# -- before a journey runs -------------------------------------------------------------------

SMOKE_FAILED: Mapping[str, tuple[str, Verdict]] = {'s': ('smoke', 'failed')}


@pytest.mark.parametrize(
    ('tier', 'gates', 'held'),
    [
        ('smoke', {'s': ('smoke', 'failed'), 'c': ('core', 'failed'), 'd': ('deep', 'failed')}, None),
        ('core', {}, None),
        ('core', {'s': ('smoke', 'passed')}, None),
        ('core', {'s': ('smoke', 'skipped')}, None),
        ('core', {'s': ('smoke', 'failed')}, ('smoke', 's', 'failed')),
        ('core', {'s': ('smoke', 'infra')}, ('smoke', 's', 'infra')),
        ('core', {'s': ('smoke', 'blocked')}, ('smoke', 's', 'blocked')),
        ('core', {'s': ('smoke', 'deferred')}, ('smoke', 's', 'deferred')),
        ('core', {'c': ('core', 'failed'), 'd': ('deep', 'failed')}, None),
        ('deep', {'c': ('core', 'failed')}, ('core', 'c', 'failed')),
        ('deep', {'c': ('core', 'failed'), 's': ('smoke', 'infra')}, ('smoke', 's', 'infra')),
        ('deep', {'c': ('core', 'failed'), 's': ('smoke', 'passed'), 'd': ('deep', 'failed')}, ('core', 'c', 'failed')),
        (
            'core',
            {'z': ('smoke', 'failed'), 'a': ('smoke', 'passed'), 'k': ('smoke', 'infra')},
            ('smoke', 'k', 'infra'),
        ),
    ],
)
def test_deferred(tier: str, gates: Mapping[str, tuple[str, Verdict]], held: tuple[str, str, str] | None) -> None:
    wanted = None
    if held:
        wanted = Judgement('deferred', f'the {held[0]} gate {held[1]} did not pass: {held[2]}', held[1])
    assert verdicts.deferred(tier, gates) == wanted


@pytest.mark.parametrize(
    ('missing', 'require_all', 'wanted'),
    [
        ([], False, None),
        ([], True, None),
        (['git'], False, Judgement('skipped', 'needs git')),
        (['git (apt)', 'jq'], False, Judgement('skipped', 'needs git (apt), jq')),
        (['git'], True, Judgement('infra', 'needs git')),
    ],
)
def test_absent(missing: list[str], require_all: bool, wanted: Judgement | None) -> None:
    assert verdicts.absent(missing, require_all) == wanted


def standing(**said: str) -> dict[str, Standing]:
    """`failed`, or `blocked:root`, of each journey."""
    parts: dict[str, Any] = {name: text.split(':') for name, text in said.items()}
    return {name: Standing(verdict, *root) for name, (verdict, *root) in parts.items()}


ONE = {'t': ['e']}
TWO = {'t': ['d', 'e']}


@pytest.mark.parametrize(
    ('requires', 'establishers', 'seen', 'wanted'),
    [
        ([], {}, standing(), None),
        (['t'], ONE, standing(e='passed'), None),
        (['t'], ONE, standing(e='failed'), ('t was not established: e is failed', 'e')),
        (['t'], ONE, standing(e='infra'), ('t was not established: e is infra', 'e')),
        (['t'], ONE, standing(e='skipped'), ('t was not established: e is skipped', 'e')),
        (['t'], ONE, standing(e='blocked:r'), ('t was not established: e is blocked (at the root: r)', 'r')),
        (['t'], ONE, standing(e='deferred:g'), ('t was not established: e is deferred (at the root: g)', 'g')),
        (['t'], TWO, standing(d='failed', e='passed'), None),
        (['t'], TWO, standing(d='passed', e='failed'), None),
        (['t'], TWO, standing(d='failed', e='failed'), ('t was not established: d is failed', 'd')),
        (['t'], TWO, standing(d='infra', e='failed'), ('t was not established: e is failed', 'e')),
        (['t'], TWO, standing(d='blocked:r', e='infra'), ('t was not established: e is infra', 'e')),
        (
            ['t'],
            TWO,
            standing(d='deferred:r', e='blocked:q'),
            ('t was not established: e is blocked (at the root: q)', 'q'),
        ),
        (
            ['t'],
            TWO,
            standing(d='skipped', e='deferred:g'),
            ('t was not established: e is deferred (at the root: g)', 'g'),
        ),
        (['t'], TWO, standing(d='failed'), ('t was not established: d is failed', 'd')),  # e is of a later tier
        (['t'], TWO, standing(e='passed'), None),
        (
            ['t', 'u'],
            {**ONE, 'u': ['f']},
            standing(e='passed', f='failed'),
            ('u was not established: f is failed', 'f'),
        ),
        (
            ['u', 't'],
            {**ONE, 'u': ['f']},
            standing(e='failed', f='failed'),
            ('u was not established: f is failed', 'f'),
        ),
        (['t', 'u'], {**ONE, 'u': ['f']}, standing(e='passed', f='passed'), None),
    ],
)
def test_blocked(
    requires: Sequence[str],
    establishers: Mapping[str, Sequence[str]],
    seen: Mapping[str, Standing],
    wanted: tuple[str, str] | None,
) -> None:
    assert verdicts.blocked(requires, establishers, seen) == (Judgement('blocked', *wanted) if wanted else None)


def test_every_verdict_that_establishes_nothing_can_be_the_one_that_is_named() -> None:
    for verdict in VERDICTS:
        held = verdicts.blocked(['t'], ONE, {'e': Standing(verdict)})
        assert (held is None) == (verdict == 'passed')


def test_lost_marker() -> None:
    assert verdicts.lost_marker('t', 'it is gone') == Judgement(
        'infra', 'the marker of t cannot be relied on: it is gone'
    )


# -- a step ----------------------------------------------------------------------------------------


def finding(kind: FindingKind, expected: str = 'this', observed: str = 'that') -> Finding:
    return Finding(kind=kind, step=2, expected=expected, observed=observed, evidence=None)


def seen(end: End = End.EXITED, status: int | None = 0, **more: Any) -> StepSeen:
    return StepSeen(2, end, status, 0.5, 1.5, **more)


EXIT = finding('exit', 'exit 0', 'exit 1')
FAILED = Judgement('failed', 'step 2: expected exit 0, observed exit 1')
SIGPIPE = Judgement(
    'infra',
    'step 2: its own pipeline was closed early (exit 141, SIGPIPE): '
    'let the last command read all, for example `sed -n 1p` for `head -1`',
)
LATE = Judgement('failed', 'step 2 did not end within 1.5 s')
NOT_FOUND = Judgement(
    'infra', 'step 2: there is no command frob (install it, name it in `needs`, or mend the spelling)'
)


@pytest.mark.parametrize(
    ('step', 'wanted'),
    [
        (seen(), None),
        (seen(status=1), None),  # as expected
        (seen(End.SIGNALLED, 139), None),  # as expected
        (seen(status=1, findings=[EXIT]), FAILED),
        (seen(End.SIGNALLED, 139, findings=[EXIT]), FAILED),
        (seen(findings=[finding('harness', 'a', 'b'), EXIT]), FAILED),
        (seen(findings=[EXIT, finding('stdout')]), FAILED),
        (seen(findings=[finding('harness', 'a', 'b')]),
         Judgement('infra', 'step 2 could not be judged: expected a, observed b')),
        (seen(findings=[EXIT], trouble='disk full'),
         Judgement('infra', 'step 2 could not be measured: disk full')),
        (seen(trouble='disk full'), None),
        # every way to end
        (seen(End.NOT_STARTED, None, why='no bash'), Judgement('infra', 'step 2 could not be started: no bash')),
        (seen(End.NOT_STARTED, None, why='x', findings=[EXIT]), Judgement('infra', 'step 2 could not be started: x')),
        (seen(End.INTERRUPTED, None), Judgement('infra', 'the run was interrupted')),
        (seen(End.INTERRUPTED, None, why='too late', findings=[EXIT]), Judgement('infra', 'too late')),
        (seen(End.TIMED_OUT, None), LATE),
        (seen(End.TIMED_OUT, None, findings=[finding('timeout')]), LATE),
        (seen(End.TIMED_OUT, None, trouble='disk full'), Judgement('infra', 'step 2 could not be measured: disk full')),
        # what a step says of itself
        (seen(notes=[Note('skip', 'no tty')]), Judgement('skipped', 'step 2 said: no tty')),
        (seen(status=1, findings=[EXIT], notes=[Note('skip', 'no tty')]), Judgement('skipped', 'step 2 said: no tty')),
        (seen(notes=[Note('infra', 'no clock')]), Judgement('infra', 'step 2 said: no clock')),
        (seen(End.TIMED_OUT, None, notes=[Note('infra', 'no clock')]), Judgement('infra', 'step 2 said: no clock')),
        (seen(End.NOT_STARTED, None, why='x', notes=[Note('skip', 'y')]),
         Judgement('infra', 'step 2 could not be started: x')),
        (seen(notes=[Note('infra', 'first'), Note('skip', 'second')]), Judgement('infra', 'step 2 said: first')),
        (seen(notes=[Note('skip', 'first'), Note('infra', 'second')]), Judgement('skipped', 'step 2 said: first')),
        (seen(notes=[Note('murmur', 'nothing')]), None),
        (seen(findings=[EXIT], notes=[Note('murmur', 'nothing')]), FAILED),
        # commands that are not there
        (seen(status=127, findings=[EXIT], notes=[Note('command-not-found', 'frob')]), NOT_FOUND),
        (seen(notes=[Note('command-not-found', 'frob')]), NOT_FOUND),
        (seen(status=127, findings=[EXIT], notes=[Note('command-not-found', 'shop')]), FAILED),
        (seen(notes=[Note('command-not-found', 'shop')]), None),
        (seen(notes=[Note('command-not-found', 'shop'), Note('command-not-found', 'frob')]), NOT_FOUND),
        # a pipeline that was closed early
        (seen(status=141, findings=[EXIT], closed_early='exit 141, SIGPIPE'), SIGPIPE),
        (seen(End.SIGNALLED, 141, findings=[EXIT], closed_early='exit 141, SIGPIPE'), SIGPIPE),
        (seen(status=141, findings=[EXIT]), FAILED),
        (seen(status=141, closed_early='exit 141, SIGPIPE'), None),
        (seen(End.TIMED_OUT, None, findings=[EXIT], closed_early='exit 141, SIGPIPE'), LATE),
    ],
)  # fmt: skip
def test_of_step(step: StepSeen, wanted: Judgement | None) -> None:
    assert verdicts.of_step(step, {'shop'}) == wanted


@pytest.mark.parametrize(
    ('note', 'wanted'),
    [
        (Note('skip', 'no tty'), Judgement('infra', 'step 2 said: no tty')),
        (Note('infra', 'no clock'), Judgement('infra', 'step 2 said: no clock')),
        (Note('command-not-found', 'shop'), None),
    ],
)
def test_of_step_where_everything_is_required(note: Note, wanted: Judgement | None) -> None:
    assert verdicts.of_step(seen(notes=[note]), {'shop'}, require_all=True) == wanted


def test_a_step_without_a_text_takes_the_defaults() -> None:
    step = StepSeen(1, End.EXITED, 0, 0.1, 1.0)
    assert step[5:] == ((), (), '', '', None)


# -- probes and invariants -------------------------------------------------------------------------


def lost(observed: str) -> Finding:
    return Finding(
        kind='capability-lost', step=None, expected='the probe of t exits 0', observed=observed, evidence=None
    )


@pytest.mark.parametrize(
    ('step', 'at_establisher', 'at_dependent'),
    [
        (seen(), None, None),
        (seen(trouble='disk full'), None, None),
        (
            seen(status=3),
            Judgement(
                'failed', 'every step passed, yet the probe of t says it is not there: exit 3', None, lost('exit 3')
            ),
            Judgement('infra', 't held when it was established, but its probe fails now: exit 3', None, lost('exit 3')),
        ),
        (
            seen(End.SIGNALLED, 137),
            Judgement(
                'failed', 'every step passed, yet the probe of t says it is not there: exit 137', None, lost('exit 137')
            ),
            Judgement(
                'infra', 't held when it was established, but its probe fails now: exit 137', None, lost('exit 137')
            ),
        ),
        (
            seen(End.TIMED_OUT, None),
            Judgement(
                'failed',
                'every step passed, yet the probe of t says it is not there: did not end within 1.5 s',
                None,
                lost('did not end within 1.5 s'),
            ),
            Judgement(
                'infra',
                't held when it was established, but its probe fails now: did not end within 1.5 s',
                None,
                lost('did not end within 1.5 s'),
            ),
        ),
    ],
)
def test_of_probe(step: StepSeen, at_establisher: Judgement | None, at_dependent: Judgement | None) -> None:
    assert verdicts.of_probe('t', step, relied_on=False) == at_establisher
    assert verdicts.of_probe('t', step, relied_on=True) == at_dependent


CANNOT_TELL = [
    (seen(status=1, trouble='disk full'), ' could not be measured: disk full'),
    (seen(End.TIMED_OUT, None, trouble='disk full'), ' could not be measured: disk full'),
    (seen(End.NOT_STARTED, None, why='no bash'), ': step 2 could not be started: no bash'),
    (seen(End.INTERRUPTED, None), ': the run was interrupted'),
    (seen(End.INTERRUPTED, None, why='too late'), ': too late'),
    (seen(status=127, notes=[Note('command-not-found', 'frob')]), ': command-not-found frob'),
    (seen(notes=[Note('infra', 'no clock'), Note('skip', 'x')]), ': infra no clock'),
]


@pytest.mark.parametrize(('step', 'words'), CANNOT_TELL)
def test_a_probe_or_invariant_that_cannot_tell_blames_nobody(step: StepSeen, words: str) -> None:
    assert verdicts.of_probe('t', step, relied_on=False) == Judgement('infra', f'probe of t{words}')
    assert verdicts.of_probe('t', step, relied_on=True) == Judgement('infra', f'probe of t{words}')
    assert verdicts.of_invariant('tidy', step) == Judgement('infra', f'invariant tidy{words}')


@pytest.mark.parametrize(
    ('step', 'how'),
    [
        (seen(), None),
        (seen(trouble='disk full'), None),
        (seen(status=1), 'exit 1'),
        (seen(End.SIGNALLED, 139), 'exit 139'),
        (seen(End.TIMED_OUT, None), 'did not end within 1.5 s'),
    ],
)
def test_of_invariant(step: StepSeen, how: str | None) -> None:
    wanted = None
    if how:
        broken = Finding(kind='invariant', step=2, expected='invariant holds: tidy', observed=how, evidence=None)
        wanted = Judgement('failed', f'after step 2 an invariant is broken: tidy ({how})', None, broken)
    assert verdicts.of_invariant('tidy', step) == wanted


# -- what stands in the record ---------------------------------------------------------------------

BEFORE = Judgement('failed', 'step 1: wrong', None, EXIT)


@pytest.mark.parametrize(
    ('again', 'wanted'),
    [
        (Judgement('passed'), Judgement('passed')),
        (Judgement('failed', 'worse'), Judgement('failed', 'worse')),
        (Judgement('infra', 'disk full'), Judgement('infra', 'disk full; the attempt before failed: step 1: wrong')),
        (
            Judgement('infra', 'lost', None, finding('capability-lost')),
            BEFORE._replace(cause='step 1: wrong; tried again, it was infra: lost'),
        ),
        (Judgement('skipped', 'no'), BEFORE._replace(cause='step 1: wrong; tried again, it was skipped: no')),
    ],
)
def test_a_failure_that_was_tried_again(again: Judgement, wanted: Judgement) -> None:
    assert verdicts.of_retry(BEFORE, again) == wanted


def test_findings_are_held_against_the_product_only_where_it_failed() -> None:
    found = [EXIT, finding('stdout')]
    assert verdicts.kept('failed', found) == found
    assert verdicts.kept('infra', found) == [{**EXIT, 'kind': 'harness'}, finding('harness')]
    assert verdicts.kept('skipped', found) == []
    assert found == [EXIT, finding('stdout')]


@pytest.mark.parametrize(
    ('text', 'short'),
    [
        ('a\n  b\tc ', 'a↵  b\tc '),
        ('\na\n', '↵a↵'),
        ('x' * 160, 'x' * 160),
        ('x' * 161, 'x' * 159 + '…'),
    ],
)
def test_findings_in_words_stand_on_one_line_and_are_short(text: str, short: str) -> None:
    assert verdicts.in_words(finding('files', text, 'y')) == f'expected {short}, observed y'
    assert verdicts.in_words(finding('files', 'y', text)) == f'expected y, observed {short}'


@pytest.mark.parametrize(
    ('kind', 'shown'), [('stdout', 'a↵b'), ('stderr', 'a↵b'), ('files', 'a↵b↵'), ('harness', 'a↵b↵')]
)
def test_the_end_of_a_streams_last_line_is_not_shown(kind: FindingKind, shown: str) -> None:
    assert verdicts.in_words(finding(kind, 'c\n', 'a\nb\n')) == f'expected c↵, observed {shown}'


@pytest.mark.parametrize('nothing', ['', '\n'])
def test_that_nothing_was_observed_is_said(nothing: str) -> None:
    assert verdicts.in_words(finding('stdout', 'c', nothing)) == 'expected c, observed (nothing)'


@pytest.mark.parametrize(('limit', 'words'), [(60.0, '60'), (0.29385, '0.294'), (1234.5678, '1234.57'), (0.0, '0')])
def test_limits_are_told_to_the_millisecond(limit: float, words: str) -> None:
    judged = verdicts.of_step(seen(End.TIMED_OUT, None)._replace(limit=limit), ())
    assert judged == Judgement('failed', f'step 2 did not end within {words} s')

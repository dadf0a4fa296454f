import io
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.common.console import Console
from hack.dogfood.past import compare
from hack.dogfood.past.compare import Comparison
from hack.dogfood.reporting import summary
from tests.python.dogfood.samples import record

Json = dict[str, Any]


def a_bundle(name: str, *journeys: Json, **verdicts: str) -> Json:
    """As much of a bundle as is compared; keywords are journeys with a verdict."""
    return {'run': {'id': name}, 'journeys': [*journeys, *(record(id, verdict) for id, verdict in verdicts.items())]}


def names(changes: Sequence[Any]) -> list[str]:
    return [one.journey for one in changes]


def compared(before: Json, after: Json, past: Mapping[str, Sequence[float]] | None = None, **said: Any) -> Comparison:
    return compare.compare(before, after, past or {}, **said)


@pytest.mark.parametrize('before', ['passed', 'failed', 'blocked', 'deferred', 'skipped', 'infra', ''])
@pytest.mark.parametrize('after', ['passed', 'failed', 'blocked', 'deferred', 'skipped', 'infra', ''])
def test_each_change_is_told_as_what_it_is(before: str, after: str) -> None:
    found = compared(
        a_bundle('A', same='passed', **({'a': before} if before else {})),
        a_bundle('B', same='passed', **({'a': after} if after else {})),
    )
    measured = ('passed', 'failed')
    told = {key for key in ('newly_failed', 'unmeasured', 'newly_passed', 'new', 'gone') if names(getattr(found, key))}
    wanted = {
        'newly_failed': after == 'failed' != before,
        'unmeasured': before in measured and after not in (*measured, ''),
        'newly_passed': after == 'passed' and before not in ('passed', ''),
        'new': not before and bool(after),
        'gone': not after and bool(before),
    }
    assert told == {key for key, is_so in wanted.items() if is_so}
    assert found.exit == (1 if wanted['newly_failed'] else 3 if wanted['unmeasured'] else 0)


def test_what_a_part_of_the_corpus_left_out_is_neither_new_nor_gone() -> None:
    whole = a_bundle('A', a='passed', b='passed', c='passed')
    part = a_bundle('B', a='failed', d='passed')
    part['run']['options'] = {'in_part': True}
    fewer, more = compared(whole, part), compared(part, whole)
    assert (names(fewer.gone), names(fewer.new), names(fewer.newly_failed)) == ([], ['d'], ['a'])
    assert (names(more.gone), names(more.new), names(more.newly_passed)) == (['d'], [], ['a'])
    assert fewer.complaints == ('B: ran a part of its corpus (ONLY, TIERS), so nothing is told to be gone',)
    assert more.complaints == ('B: ran a part of its corpus (ONLY, TIERS), so nothing is told to be new',)


def test_what_has_nothing_in_common_cannot_be_compared() -> None:
    found = compared(a_bundle('A', a='passed', c='skipped'), a_bundle('B', b='passed', c='passed'))
    assert found.exit == 3
    assert compare.sentence(found) == 'A → B: no journey was measured in both, so nothing can be compared.'


def test_newly_flaky_is_a_retry_or_a_contradiction_on_one_revision() -> None:
    before = a_bundle('A', record('was', flaky=True), steady='passed', retried='passed', turned='passed')
    after = a_bundle('B', record('was', flaky=True), record('retried', flaky=True), steady='passed', turned='failed')
    assert names(compared(before, after).newly_flaky) == ['retried']
    assert names(compared(before, after, is_same_revision=True).newly_flaky) == ['retried', 'turned']
    assert names(compared(after, before, is_same_revision=True).newly_flaky) == ['turned']


@pytest.mark.parametrize(
    ('past', 'seconds'),
    [
        ((1.0, 1.1, 0.9, 1.0, 1.05), 3.5 * 1.4826 * 0.05),  # deviations 0, 0.1, 0.1, 0, 0.05
        ((1.0, 1.0, 1.0, 1.0, 1.0), 3.5 * 0.05),  # agrees too well: a share of the median
        ((1.0, 1.0, 1.0, 1.0, 90.0), 3.5 * 0.05),  # one strange run moves nothing
        ((1.0, 1.0), 3.5 * 0.15),  # too few to be sure
        ((0.001,), 3.5 * 0.02),  # never below what a machine jitters
        ((0.0, 0.0, 0.0, 0.0, 0.0), 3.5 * 0.02),
    ],
)
def test_the_noise_of_a_past(past: Sequence[float], seconds: float) -> None:
    assert compare.noise(past) == pytest.approx(seconds)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=30), st.floats(0.1, 10))
def test_noise_grows_with_the_unit_and_knows_no_order(past: list[float], factor: float) -> None:
    assert compare.noise(past) == pytest.approx(compare.noise(sorted(past, reverse=True)))
    scaled = compare.noise([seconds * factor for seconds in past])
    assert (
        scaled == pytest.approx(compare.noise(past) * factor) or min(scaled, compare.noise(past)) <= 3.5 * 0.02 + 1e-9
    )


def slower(before: float, after: float, past: Sequence[float] = (), verdict: str = 'passed') -> Comparison:
    one = a_bundle('A', record('a', duration_seconds=before))
    other = a_bundle('B', record('a', verdict, duration_seconds=after))
    return compared(one, other, {'a': past} if past else {})


STEADY = (1.0, 1.1, 0.9, 1.0, 1.05)


@pytest.mark.parametrize(
    ('before', 'after', 'past', 'is_slower'),
    [
        (1.0, 1.2, STEADY, False),  # within the noise
        (1.0, 1.3, STEADY, True),
        (0.5, 1.2, STEADY, False),  # a quick run before: this one is as ever
        (1.3, 1.5, STEADY, False),  # beyond the past, but it was slow before
        (1.0, 1.5, (), False),  # one run is no past to be sure of
        (1.0, 1.6, (), True),
        (0.01, 0.05, (), False),
    ],
)
def test_slower_is_more_than_before_and_than_ever_by_more_than_the_noise(
    before: float, after: float, past: Sequence[float], is_slower: bool
) -> None:
    found = slower(before, after, past)
    assert names(found.slower) == ['a'] * is_slower
    assert found.exit == 0


def test_only_what_passed_twice_is_timed() -> None:
    assert slower(1.0, 60.0, STEADY, 'failed').slower == ()


def test_an_unknown_verdict_is_said_and_left_out() -> None:
    found = compared(a_bundle('A', a='passed', b='passed'), a_bundle('B', a='exploded', b='passed'))
    assert found.complaints == ("B: a has the unknown verdict 'exploded' (left out)",)
    assert (names(found.gone), found.common) == ([], 1)


BEFORE = a_bundle('A', a='passed', b='failed', c='passed', d='passed')
AFTER = a_bundle('B', record('a', 'failed', cause='it | <b>broke</b>'), record('c', duration_seconds=9.0), b='passed')


def test_as_text_it_is_told_in_tables_and_a_sentence() -> None:
    pipe = io.StringIO()
    compare.show(compared(BEFORE, AFTER), Console(pipe))
    assert pipe.getvalue() == (
        'newly failed (1)\n'
        'journey  before  after   cause\n'
        'a        passed  failed  it | <b>broke</b>\n'
        '\n'
        'slower by more than the noise (1)\n'
        'journey  before  after  usual  noise  runs\n'
        'c         0.42s  9.00s  0.42s  0.22s     1\n'
        '\n'
        'newly passed (1)\n'
        'journey  before  after   cause\n'
        'b        failed  passed\n'
        '\n'
        'gone (1)\n'
        'journey  before  after  cause\n'
        'd        passed  -\n'
        '\n'
        'A → B: 1 newly failed, 1 slower by more than the noise, 1 newly passed, 1 gone; 3 journeys measured in both.\n'
    )


def test_as_json_every_list_is_there() -> None:
    said = compare.as_json(compared(BEFORE, AFTER))
    assert (said['before'], said['after'], said['common'], said['exit']) == ('A', 'B', 3, 1)
    assert said['newly_failed'] == [
        {'journey': 'a', 'before': 'passed', 'after': 'failed', 'cause': 'it | <b>broke</b>'}
    ]
    assert said['slower'][0]['noise'] == 0.2205
    assert (said['new'], said['unmeasured'], said['newly_flaky'], said['complaints']) == ([], [], [], [])


def test_as_markdown_nothing_in_a_cell_is_markup() -> None:
    text = compare.markdown(compared(BEFORE, AFTER), summary.markdown_table)
    assert text.startswith('## A → B: 1 newly failed')
    assert '### Newly failed (1)\n\n| journey | before | after | cause |\n| --- | --- | --- | --- |\n' in text
    assert '<b>' not in text
    assert '&#124;' in text

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.dogfood.reporting import triage
from hack.dogfood.reporting.decisions import Decision
from tests.python.dogfood.samples import FINDING, STEP, record

Json = dict[str, Any]


def failed(id: str, *findings: Mapping[str, Any], run: str = 'buildah bud', **said: Any) -> Json:
    return record(id, 'failed', steps=[{**STEP, 'run': run}], findings=list(findings or [FINDING]), **said)


def finding(observed: str, kind: str = 'stdout', **said: Any) -> Json:
    return {**FINDING, 'kind': kind, 'observed': observed, **said}


def blocked(id: str, root: str, verdict: str = 'blocked') -> Json:
    return record(id, verdict, root=root)


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        ('took 12 ms', 'took 4711 ms'),
        ('took 1.25s', 'took 0.5s'),
        ('at 2026-11-21T10:11:12.123Z', 'at 2025-01-02T23:59:00Z'),
        ('at 2026-11-21 10:11:12', 'at 2025-01-02 23:59:00.5'),
        ('[10:11:12] no', '[23:59:59.001] no'),
        ('id 123e4567-e89b-12d3-a456-426614174000', 'id 00000000-1111-2222-3333-444444444444'),
        ('commit 71501e8 is gone', 'commit b529f3c9a1 is gone'),
        ('at 0xdeadbeef', 'at 0x1'),
        ('cannot open /tmp/tmp.aX9/1/data/x.db', 'cannot open /var/tmp/other/2/data/x.db'),
        ('no name df-1c018b-3-box', 'no name df-2dc8c3-12r2-box'),
        ('\x1b[31mred\x1b[0m', 'red'),
        ('two\n  lines', 'two lines'),
        ('port 127.0.0.1:8080', 'port 127.0.0.1:41233'),
    ],
)
def test_what_differs_from_run_to_run_is_no_difference(one: str, other: str) -> None:
    assert triage.normalised(one) == triage.normalised(other)


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        ('exit 1', 'exit 2'),
        ('total: 5 rows', 'total: 0 rows'),
        ('sha256 is wrong', 'sha512 is wrong'),
        ('no such file: a.db', 'no such file: b.db'),
        ('cannot open /tmp/a/x.db', 'cannot open /tmp/a/y.db'),
        ('a deadbee', 'a feedbee'),  # words of a to f are words
        ('true', 'false'),
    ],
)
def test_what_does_not_is_one(one: str, other: str) -> None:
    assert triage.normalised(one) != triage.normalised(other)


@given(st.text(max_size=300))
def test_a_normalised_message_is_one_line(text: str) -> None:
    said = triage.normalised(text)
    assert re.sub(r'\s+', ' ', said) == said


def test_the_same_thing_is_one_cause_in_every_run_and_order() -> None:
    one = failed('a', finding('took 3 s')), failed('b', finding('took 4 s')), failed('c', finding('took 4 s', 'stderr'))
    found = triage.causes(one)
    assert [(cause.journeys, cause.kind) for cause in found] == [(('a', 'b'), 'stdout'), (('c',), 'stderr')]
    again = triage.causes([failed('z', finding('took 700 s'))])
    assert again[0].fingerprint == found[0].fingerprint
    assert re.fullmatch('stdout-[0-9a-f]{12}', found[0].fingerprint)


@pytest.mark.parametrize(
    'other',
    [
        failed('b', finding('nothing', 'stderr')),
        failed('b', finding('something')),
        failed('b', finding('nothing', expected='it contains PUSHED')),
        failed('b', finding('nothing'), run='buildah push'),
    ],
)
def test_another_kind_step_or_message_is_another_cause(other: Json) -> None:
    assert len(triage.causes([failed('a', finding('nothing')), other])) == 2


def test_a_decision_about_a_long_text_lets_nothing_else_pass() -> None:
    """What differs may stand beyond what is shown: below a long expectation all that was observed does."""
    wanted = 'a line of what was expected ' * 40
    one, other = triage.causes(
        [failed(name, finding(name, expected=wanted)) for name in ('intended-wording', 'all-data-lost')]
    )
    assert one.message == other.message
    assert len(one.message) == 500
    decisions = {one.fingerprint: Decision('intended')}
    journeys = [failed(cause.journeys[0]) for cause in (one, other)]
    assert triage.allowed((one, other), journeys, decisions) == list(one.journeys)


def test_a_fingerprint_of_today_is_that_of_tomorrow() -> None:
    """Decisions are kept by it: a change of how messages are normalised makes them stale, so it is no small change."""
    (cause,) = triage.causes([failed('a', finding('took 3 s in /tmp/x/y'))])
    assert cause.message == 'expected it contains COMMIT, observed took <n> s in <dir>/y'
    assert cause.fingerprint == 'stdout-d753bc6bea05'


def test_what_waits_stands_under_the_first_cause_of_its_root_over_any_number_of_hops() -> None:
    found = triage.causes(
        [
            blocked('late', 'gate', 'deferred'),  # whose gate was itself blocked
            failed('root', finding('first'), finding('second')),
            blocked('gate', 'root'),
            blocked('user', 'root'),
        ]
    )
    assert [(cause.journeys, cause.waiting) for cause in found] == [
        (('root',), ('late', 'gate', 'user')),
        (('root',), ()),
    ]


def test_what_is_skipped_is_a_cause_where_something_waits_for_it() -> None:
    skipped = record('root', 'skipped', cause='needs redis-server')
    assert triage.causes([skipped]) == []
    (cause,) = triage.causes([skipped, blocked('user', 'root')])
    assert (cause.blames, cause.kind, cause.message, cause.waiting) == (
        *('need', 'skipped', 'needs redis-server'),
        ('user',),
    )


def test_each_ending_blames_its_own_and_the_products_come_first() -> None:
    flaky = record('flaky', flaky=True, findings=[{**FINDING, 'attempt': 1, 'observed': 'once'}])
    rebuilt = record('rebuilt', flaky=True)
    unmeasured = record('lost', 'infra', cause='shard 1 ended while it ran')
    harness = record('full', 'infra', findings=[finding('disk full', 'harness')], steps=[dict(STEP)])
    found = triage.causes([rebuilt, flaky, unmeasured, harness, record('fine'), failed('bad')])
    assert [(cause.blames, cause.journeys) for cause in found][:1] == [('product', ('bad',))]
    assert {(cause.blames, cause.journeys[0]) for cause in found} == {
        ('product', 'bad'),
        ('harness', 'lost'),
        ('harness', 'full'),
        ('flaky', 'flaky'),
        ('flaky', 'rebuilt'),
    }


def test_shards_do_not_part_what_is_lost_alike() -> None:
    lost = [record(name, 'infra', cause=f'shard {number} never started') for number, name in enumerate('abc')]
    assert [cause.journeys for cause in triage.causes(lost)] == [('a', 'b', 'c')]


def test_a_loop_of_roots_ends() -> None:
    assert triage.causes([blocked('a', 'b'), blocked('b', 'a')]) == []


@pytest.mark.parametrize(
    ('words', 'allowed'),
    [
        (('intended',), ['a']),
        (('self-inflicted',), ['a']),
        (('real',), []),
        (('discoverability',), []),
        ((), []),
    ],
)
def test_only_what_is_no_defect_of_the_products_is_let_pass(words: tuple[str, ...], allowed: list[str]) -> None:
    journeys = [failed('a'), record('b')]
    (cause,) = triage.causes(journeys)
    said = dict.fromkeys([cause.fingerprint] * len(words), Decision(*words or ['real']))
    assert triage.allowed([cause], journeys, said) == allowed


def test_a_journey_with_one_cause_that_is_not_decided_is_not_let_pass() -> None:
    journeys = [failed('a', finding('first'), finding('second'))]
    found = triage.causes(journeys)
    one = {found[0].fingerprint: Decision('intended')}
    assert triage.allowed(found, journeys, one) == []
    both = {cause.fingerprint: Decision('intended') for cause in found}
    assert triage.allowed(found, journeys, both) == ['a']


def test_what_could_not_be_measured_is_never_let_pass() -> None:
    journeys = [record('lost', 'infra', cause='shard 1 never started')]
    found = triage.causes(journeys)
    assert triage.allowed(found, journeys, {found[0].fingerprint: Decision('self-inflicted')}) == []


def test_decisions_whose_cause_is_gone_are_stale_in_a_whole_run() -> None:
    found = triage.causes([failed('a')])
    decisions = {found[0].fingerprint: Decision('real'), 'exit-0123456789ab': Decision('intended', line=4)}
    told = triage.as_json(found, decisions)
    assert told['causes'][0]['decision']['decision'] == 'real'
    assert [(old['fingerprint'], old['line']) for old in told['stale']] == [('exit-0123456789ab', 4)]
    assert triage.as_json(found, decisions, in_part=True)['stale'] == []

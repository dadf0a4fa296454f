import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.common import files
from hack.common.errors import UserError
from hack.dogfood import model
from hack.dogfood.reporting import bundle
from tests.python.dogfood.samples import (
    FINDING,
    RUN,
    STEP,
    judged,
    plan,
    record,
    result,
    shard_end,
    shard_start,
    start,
    write_run,
)

SCHEMA = json.loads((Path(bundle.__file__).parents[1] / 'schema/bundle.schema.json').read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
APART = {**RUN, 'options': {**RUN['options'], 'apart': True}}

TWO = plan(
    ['build,use', 'other'],
    ['alone'],
    build={'tier': 'smoke', 'gating': True, 'establishes': ['built']},
    use={'requires': ['built'], 'source': {'kind': 'readme', 'ref': 'buildah(1)'}},
    alone={'tier': 'deep'},
)
MARKER = {'token': 'built', 'journey': 'build', 'chain': 'build', 'chain_attempt': 1, 'shard': 1}


def green() -> list[list[dict[str, Any]]]:
    return [
        [shard_start(), *judged('build'), *judged('use', chain='build'), *judged('other'), shard_end()],
        [shard_start(2), *judged('alone', shard=2), shard_end(shard=2, time='2026-11-21T10:11:22.000Z')],
    ]


def verdicts(made: Mapping[str, Any]) -> dict[str, str]:
    return {journey['id']: journey['verdict'] for journey in made['journeys']}


def journey(made: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: list[Mapping[str, Any]] = [entry for entry in made['journeys'] if entry['id'] == name]
    assert len(found) == 1
    return found[0]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    ('definition', 'kind'), [('journey', model.Record), ('step', model.StepRecord), ('finding', model.Finding)]
)
def test_the_schema_knows_every_field_of_the_model(definition: str, kind: type) -> None:
    assert set(get_type_hints(kind)) <= set(SCHEMA['$defs'][definition]['properties'])


def test_the_schema_knows_the_words_of_the_model() -> None:
    properties = SCHEMA['$defs']['journey']['properties']
    assert tuple(properties['verdict']['enum']) == model.VERDICTS
    assert tuple(SCHEMA['$defs']['tier']['enum']) == model.TIERS
    assert tuple(SCHEMA['$defs']['finding']['properties']['kind']['enum']) == get_args(model.FindingKind)


def test_a_green_run() -> None:
    made = bundle.merge(RUN, TWO, green(), markers={'built': {**MARKER, 'time': '2026-11-21T10:11:14.000Z'}})
    VALIDATOR.validate(made)
    assert verdicts(made) == dict.fromkeys(('build', 'use', 'other', 'alone'), 'passed')
    assert (made['exit'], made['problems']) == (0, [])
    assert made['totals'] == {'passed': 4, 'failed': 0, 'blocked': 0, 'deferred': 0, 'skipped': 0, 'infra': 0}
    assert made['run']['ended'] == '2026-11-21T10:11:22.000Z'
    assert [(shard['ending'], shard['ended'][-5:]) for shard in made['shards']] == [
        ('done', '.000Z'),
        ('done', '.000Z'),
    ]
    assert made['capabilities'] == [
        {
            'token': 'built',
            'establishers': ['build'],
            'dependents': ['use'],
            'established': {'journey': 'build', 'chain': 'build', 'shard': 1, 'time': '2026-11-21T10:11:14.000Z'},
        }
    ]
    said = journey(made, 'use')
    assert (said['chain'], said['shard'], said['chain_attempt'], said['predicted_seconds']) == ('build', 1, 1, 1.0)
    assert (said['promise'], said['source']['ref'], said['path'], said['line']) == (
        'It works.',
        'buildah(1)',
        'journeys/images.yaml',
        3,
    )
    assert journey(made, 'build')['gating'] is True


def test_the_key_of_the_run_stays_where_it_is() -> None:
    assert '5ec4e7' not in json.dumps(bundle.merge(RUN, TWO, green()))


@pytest.mark.parametrize('marker', [None, {}, 'built', {**MARKER, 'time': 'x', 'journey': 'use'}, {'journey': 'build'}])
def test_a_marker_that_tells_nothing_establishes_nothing(marker: Any) -> None:
    made = bundle.merge(RUN, TWO, green(), markers={'built': marker})
    assert made['capabilities'][0]['established'] is None


def test_the_plan_knows_better_than_a_record_what_a_journey_is() -> None:
    lying = judged('alone', shard=2, feature='nonsense', tier='core')
    made = bundle.merge(RUN, TWO, [green()[0], [shard_start(2), *lying, shard_end(shard=2)]])
    VALIDATOR.validate(made)
    assert (journey(made, 'alone')['feature'], journey(made, 'alone')['tier']) == ('images', 'deep')


def test_a_shard_that_never_started() -> None:
    made = bundle.merge(RUN, TWO, [green()[0]])
    VALIDATOR.validate(made)
    assert journey(made, 'alone')['cause'] == 'shard 2 never started'
    assert made['shards'][1] == {
        'shard': 2,
        'started': None,
        'ended': None,
        'ending': 'absent',
        'turns': 0,
        'predicted_seconds': 1.0,
    }
    assert made['exit'] == 3


def test_a_shard_tells_when_it_first_started_and_whether_it_ended() -> None:
    again = shard_start(time='2026-11-21T11:00:00.000Z')
    made = bundle.merge(RUN, TWO, [[*EVENTS, again, start('other', attempt=2)], green()[1]])
    VALIDATOR.validate(made)
    first, second = made['shards']
    assert (first['started'], first['ended'], first['ending'], first['turns']) == (
        '2026-11-21T10:11:12.500Z',
        None,
        'lost',
        2,
    )
    assert (second['ended'], second['ending'], second['turns']) == ('2026-11-21T10:11:22.000Z', 'done', 1)


def test_an_interrupted_run() -> None:
    cut = [shard_start(), *judged('build', 'failed'), shard_end('interrupted')]
    made = bundle.merge(RUN, TWO, [cut])
    VALIDATOR.validate(made)
    assert made['exit'] == 130
    assert journey(made, 'use')['cause'] == 'the run was interrupted before it started'
    assert journey(made, 'alone')['cause'] == 'the run was interrupted before it started'
    resumed = [*cut, shard_start(), *judged('use', chain='build'), *judged('other'), shard_end()]
    assert bundle.merge(RUN, TWO, [resumed, green()[1]])['exit'] == 1
    assert bundle.merge(RUN, TWO, green(), interrupted=True)['exit'] == 130


def test_problems_do_not_end_green() -> None:
    stray = [*green()[0], result(record('unknown'))]
    made = bundle.merge(RUN, TWO, [stray, green()[1]])
    VALIDATOR.validate(made)
    assert made['exit'] == 3
    assert [problem['observed'] for problem in made['problems']] == ['a record of unknown, which is not planned']


def test_records_of_a_shard_beyond_the_plan_are_problems() -> None:
    made = bundle.merge(RUN, TWO, [*green(), [shard_start(3), *judged('alone', shard=3)]])
    VALIDATOR.validate(made)
    assert (made['exit'], len(made['problems']), len(made['shards'])) == (3, 1, 2)


def test_report_only_takes_the_red_out_of_the_status_and_nothing_else() -> None:
    red = [[shard_start(), *judged('build', 'failed'), shard_end()], green()[1]]
    asked = {**RUN, 'options': {**RUN['options'], 'report_only': True}}
    assert bundle.merge(asked, TWO, red)['exit'] == 0
    assert bundle.merge(asked, TWO, red)['totals']['failed'] == 1


def test_leaks_are_notes_of_their_chain() -> None:
    leak = {'event': 'chain-end', 'chain': 'build', 'chain_attempt': 1, 'leaks': ['redis-server (pid 4711)']}
    made = bundle.merge(RUN, TWO, [[*green()[0], leak], green()[1]])
    VALIDATOR.validate(made)
    assert [(chain['name'], [found['observed'] for found in chain['findings']]) for chain in made['chains']] == [
        ('build', ['redis-server (pid 4711)']),
        ('other', []),
        ('alone', []),
    ]
    assert made['exit'] == 0


@pytest.mark.parametrize('verdict', ['failed', 'infra', 'blocked'])
def test_where_shards_ran_apart_the_merge_applies_the_gates(verdict: str) -> None:
    held = judged('build', verdict, findings=[dict(FINDING)], root='build' if verdict == 'blocked' else None)
    ran = [*held, *judged('use', 'failed', chain='build', steps=[dict(STEP)]), *judged('other')]
    made = bundle.merge(APART, TWO, [[shard_start(), *ran, shard_end()], green()[1]])
    VALIDATOR.validate(made)
    assert verdicts(made) == {'build': verdict, 'use': 'deferred', 'other': 'deferred', 'alone': 'deferred'}
    assert journey(made, 'use')['root'] == 'build'
    assert journey(made, 'use')['cause'] == f'the smoke gate build did not pass: {verdict}'
    assert journey(made, 'use')['steps'] == [STEP]
    assert verdicts(bundle.merge(RUN, TWO, [[shard_start(), *ran, shard_end()], green()[1]]))['use'] == 'failed'


def test_a_skipped_gate_holds_nobody() -> None:
    ran = [*judged('build', 'skipped'), *judged('use', chain='build'), *judged('other')]
    made = bundle.merge(APART, TWO, [[shard_start(), *ran, shard_end()], green()[1]])
    assert verdicts(made) == {'build': 'skipped', 'use': 'passed', 'other': 'passed', 'alone': 'passed'}


def test_a_gate_holds_later_tiers_only() -> None:
    gated = plan(['a', 'b'], ['c'], a={'tier': 'core', 'gating': True}, b={'tier': 'smoke'}, c={'tier': 'deep'})
    ran = [shard_start(), *judged('a', 'failed'), *judged('b'), shard_end()]
    made = bundle.merge(APART, gated, [ran])
    VALIDATOR.validate(made)
    assert verdicts(made) == {'a': 'failed', 'b': 'passed', 'c': 'deferred'}


def test_what_is_deferred_at_the_merge_says_nothing_of_the_product() -> None:
    gated = plan(['a'], ['b'], a={'tier': 'smoke', 'gating': True})
    ran = [shard_start(2), *judged('b', shard=2, flaky=True, strength='exit-only'), shard_end(shard=2)]
    said = journey(bundle.merge(APART, gated, [[shard_start(), *judged('a', 'failed')], ran]), 'b')
    assert (said['verdict'], said['flaky'], said['strength'], said['attempts']) == ('deferred', False, None, 1)


EVENTS = [shard_start(), *judged('build'), *judged('use', 'failed', chain='build'), *judged('other'), shard_end()]


@given(st.lists(st.sampled_from([*EVENTS, shard_end('deadline'), start('use', 'build', 2), {'event': 1}]), max_size=20))
def test_whatever_happened_each_planned_journey_has_one_record(events: list[dict[str, Any]]) -> None:
    made = bundle.merge(RUN, TWO, [events])
    VALIDATOR.validate(made)
    assert sorted(verdicts(made)) == ['alone', 'build', 'other', 'use']
    told = {event['record']['id']: event['record']['verdict'] for event in events if event['event'] == 'result'}
    for name, verdict in verdicts(made).items():
        assert verdict == told.get(name) or (verdict == 'infra' and journey(made, name)['cause'])


@given(st.integers(0, len(EVENTS)))
def test_a_lost_tail_takes_verdicts_away_and_adds_none(kept: int) -> None:
    whole, cut = (verdicts(bundle.merge(RUN, TWO, [events])) for events in (EVENTS, EVENTS[:kept]))
    assert all(verdict in (whole[name], 'infra') for name, verdict in cut.items())


# -- on disk


def test_a_run_is_read_with_its_torn_tail_and_its_broken_lines(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, TWO, green())
    lines = run_dir.results(1).read_text().splitlines()
    run_dir.results(1).write_text('\n'.join([*lines[:3], 'no JSON', *lines[3:5], '{"event":"result","cha']))
    (run_dir.capabilities).mkdir()
    (run_dir.capabilities / 'built.json').write_text(json.dumps({**MARKER, 'time': '2026-11-21T10:11:14.000Z'}))
    (run_dir.capabilities / 'torn.json').write_text('{"tok')
    made = bundle.of_run(run_dir.path)
    VALIDATOR.validate(made)
    assert verdicts(made) == {'build': 'passed', 'use': 'passed', 'other': 'infra', 'alone': 'passed'}
    assert [problem['evidence'] for problem in made['problems']] == ['shards/1/results.jsonl:4']
    assert made['capabilities'][0]['established']['journey'] == 'build'
    assert made['exit'] == 3


def test_a_missing_shard_and_one_that_is_not_planned(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, TWO, [green()[0], None, []])
    made = bundle.of_run(run_dir.path)
    assert journey(made, 'alone')['cause'] == 'shard 2 never started'
    assert [problem['evidence'] for problem in made['problems']] == ['shards/3']


def test_a_shard_whose_lock_is_held_is_still_running(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, TWO, [green()[0], [shard_start(2), start('alone')]])
    lock = files.try_lock(run_dir.shard_lock(2))
    assert lock is not None
    assert journey(bundle.of_run(run_dir.path), 'alone')['cause'] == 'shard 2 is still running it'
    os.close(lock)
    assert journey(bundle.of_run(run_dir.path), 'alone')['cause'] == 'shard 2 ended while it ran'


def test_results_that_cannot_be_read_are_a_problem(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, TWO, green())
    run_dir.results(2).unlink()
    run_dir.results(2).mkdir()
    made = bundle.of_run(run_dir.path)
    assert (verdicts(made)['alone'], made['exit']) == ('infra', 3)
    assert made['problems'][0]['observed'] == 'not readable: Is a directory'


@pytest.mark.parametrize('name', ['plan.json', 'run.json'])
@pytest.mark.parametrize('content', [None, '{"format":1,"sha', '[]', '{"format":9}', '{"format":1}', b'\xff\xfe'])
def test_a_run_that_cannot_be_understood_is_an_error_in_one_line(
    tmp_path: Path, name: str, content: str | bytes | None
) -> None:
    run_dir = write_run(tmp_path, TWO, green())
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as raised:
        bundle.of_run(run_dir.path)
    assert len(raised.value.problems) == 1
    assert raised.value.problems[0].startswith(f'{tmp_path}/{name}: ')
    assert '\n' not in raised.value.problems[0]


@pytest.mark.parametrize(
    'change',
    [
        {'shards': [[{'name': 'build', 'journeys': ['build']}]]},
        {'shards': [[{'name': 'build'}]]},
        {'shards': [[{'journeys': ['build', 'use', 'other', 'alone', 'alone']}]]},
        {'shards': [], 'journeys': {'a': {}}},
        {'shards': 7},
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    run_dir = write_run(tmp_path, {**TWO, **change}, green())
    with pytest.raises(UserError, match='its shards and its journeys do not agree'):
        bundle.of_run(run_dir.path)


@pytest.mark.parametrize('content', ['{"format":2}', '{"format":1}', '{"format":1,"run":', ''])
def test_a_bundle_of_another_format_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / 'bundle.json'
    path.write_text(content)
    with pytest.raises(UserError, match=str(path)):
        bundle.read(path)


# -- from several machines


def part(folder: Path, shard: int, told: Mapping[str, Any] = TWO) -> Path:
    """What the machine of one shard uploads."""
    events = [green()[number] if number + 1 == shard else None for number in range(2)]
    write_run(folder, told, events, APART)
    (folder / 'evidence' / f'of-{shard}').mkdir(parents=True)
    (folder / 'evidence' / f'of-{shard}' / '1.1-step-1.stdout').write_text(f'seen by {shard}')
    return folder


def test_parts_come_together(tmp_path: Path) -> None:
    merged = tmp_path / 'merged'
    made = bundle.merge_parts(merged, [part(tmp_path / 'one', 1), part(tmp_path / 'two', 2)])
    VALIDATOR.validate(made)
    assert made == bundle.merge(APART, TWO, green())
    assert (merged / 'evidence/of-2/1.1-step-1.stdout').read_text() == 'seen by 2'
    assert bundle.of_run(merged) == made
    assert bundle.merge_parts(merged, [merged]) == made


def test_a_part_that_did_not_arrive_is_infra(tmp_path: Path) -> None:
    made = bundle.merge_parts(tmp_path / 'merged', [part(tmp_path / 'one', 1)])
    assert journey(made, 'alone')['cause'] == 'no part holds results of shard 2'
    assert made['exit'] == 3


def test_a_shard_in_two_parts_is_said_and_counted_once(tmp_path: Path) -> None:
    parts = [part(tmp_path / 'one', 1), part(tmp_path / 'two', 2), part(tmp_path / 'again', 2)]
    made = bundle.merge_parts(tmp_path / 'merged', parts)
    assert verdicts(made)['alone'] == 'passed'
    assert [problem['evidence'] for problem in made['problems']] == ['shards/2']
    assert str(tmp_path / 'again') in made['problems'][0]['observed']
    assert made['exit'] == 3


def test_parts_of_another_plan_are_named_and_nothing_is_gathered(tmp_path: Path) -> None:
    other = {**TWO, 'plan_id': 'b' * 64}
    parts = [part(tmp_path / 'one', 1), part(tmp_path / 'two', 2, other), part(tmp_path / 'three', 2, other)]
    with pytest.raises(UserError) as raised:
        bundle.merge_parts(tmp_path / 'merged', parts)
    assert raised.value.problems == (
        f'{tmp_path}/two: comes from another plan than {tmp_path}/one (merge the parts of one run)',
        f'{tmp_path}/three: comes from another plan than {tmp_path}/one (merge the parts of one run)',
    )
    assert not (tmp_path / 'merged').exists()


def test_a_part_without_a_plan_is_named(tmp_path: Path) -> None:
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match=f'{tmp_path}/empty/plan.json'):
        bundle.merge_parts(tmp_path / 'merged', [part(tmp_path / 'one', 1), tmp_path / 'empty'])


def test_links_in_a_part_are_left_out(tmp_path: Path) -> None:
    one = part(tmp_path / 'one', 1)
    (tmp_path / 'private').write_text('not of the run')
    (one / 'evidence' / 'link').symlink_to(tmp_path / 'private')
    merged = tmp_path / 'merged'
    assert bundle.merge_parts(merged, [one]) == bundle.merge_parts(merged, [one])
    assert os.listdir(merged / 'evidence') == ['of-1']


def test_parts_that_cannot_be_gathered_are_broken_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / 'merged').touch()
    with pytest.raises(UserError, match='cannot be gathered') as raised:
        bundle.merge_parts(tmp_path / 'merged', [part(tmp_path / 'one', 1)])
    assert raised.value.exit_status == 3

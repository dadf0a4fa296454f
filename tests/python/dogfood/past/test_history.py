import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hack.dogfood.past import history, trend
from hack.dogfood.past.history import Entry
from hack.dogfood.reporting import bundle
from tests.python.dogfood.samples import FINDING, RUN, plan, record, result, shard_end, shard_start

SCHEMA = json.loads((Path(bundle.__file__).parents[1] / 'schema/bundle.schema.json').read_text())


def a_run(number: int, verdicts: Mapping[str, str], flaky: Sequence[str] = (), **said: Any) -> dict[str, Any]:
    """The bundle of the n-th run, with a verdict for each journey; `said` is of run.json."""
    records = [
        record(
            name,
            verdict,
            flaky=name in flaky,
            findings=[dict(FINDING)] if verdict == 'failed' else [],
            root='a' if verdict == 'blocked' else None,
        )
        for name, verdict in verdicts.items()
    ]
    run = {**RUN, 'id': f'run-{number}', 'started': f'2026-11-21T10:{number:02}:00.000Z', **said}
    made = bundle.merge(
        run,
        plan(verdicts),
        [[shard_start(), *map(result, records), shard_end(time=f'2026-11-21T10:{number:02}:07.500Z')]],
    )
    jsonschema.Draft202012Validator(SCHEMA).validate(made)
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / history.FILE


def kept(path: Path, *bundles: Mapping[str, Any]) -> tuple[Entry, ...]:
    for one in bundles:
        assert history.append(path, one) == []
    read = history.read(path)
    assert read.complaints == ()
    return read.entries


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_comes_back_as_it_was(path: Path) -> None:
    made = a_run(1, {'a': 'failed', 'b': 'blocked', 'c': 'passed', 'd': 'infra'}, flaky=['c'])
    (entry,) = kept(path, made)
    assert (entry.run, entry.exit, entry.totals, entry.findings) == ('run-1', 1, made['totals'], {'stdout': 1})
    assert (entry.duration_seconds, entry.signal, entry.noise) == (7.5, 1, 2)  # noise: the infra and the flaky one
    assert {name: entry.verdict(name) for name in 'abcd'} == {
        'a': 'failed',
        'b': 'blocked',
        'c': 'passed',
        'd': 'infra',
    }
    assert dict(zip(entry.journeys, entry.milliseconds, strict=True)) == {'a': None, 'b': None, 'c': 420, 'd': None}


def test_the_planned_journeys_are_named_once(path: Path) -> None:
    kept(path, a_run(1, {'a': 'passed'}), a_run(2, {'a': 'failed'}), a_run(3, {'a': 'passed', 'b': 'passed'}))
    assert ['journeys' in line for line in lines(path)] == [True, False, True]
    assert [entry.journeys for entry in history.read(path).entries] == [('a',), ('a',), ('a', 'b')]


def test_what_a_run_came_to_in_the_end_stands_and_the_same_is_not_written_twice(path: Path) -> None:
    before, after = a_run(1, {'a': 'infra'}), a_run(1, {'a': 'passed'})
    entries = kept(path, before, before, a_run(2, {'a': 'failed'}), after, after)
    assert [(entry.run, entry.verdict('a')) for entry in entries] == [('run-1', 'passed'), ('run-2', 'failed')]
    assert len(lines(path)) == 3


def test_the_time_of_a_resumed_run_is_not_that_of_the_clock(path: Path) -> None:
    made = a_run(1, {'a': 'passed'})
    made['shards'][0]['turns'] = 2
    assert kept(path, made)[0].duration_seconds is None


def test_a_run_that_goes_on_is_not_final() -> None:
    made = a_run(1, {'a': 'passed'})
    assert history.is_final(made)
    made['shards'][0]['ending'] = 'running'
    assert not history.is_final(made)


def test_runs_that_end_at_once_are_all_kept(path: Path) -> None:
    made = [a_run(number, {'a': 'passed'}) for number in range(8)]
    threads = [threading.Thread(target=history.append, args=(path, one)) for one in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry.run for entry in history.read(path).entries} == {one['run']['id'] for one in made}
    assert sum('journeys' in line for line in lines(path)) == 1


FOREIGN = (
    ('weather: fine', 'is no line of JSON (left out; the next run sets it aside)'),
    ('[1, 2]', 'is no line of JSON (left out; the next run sets it aside)'),
    ('{"format": 2}', "format '2' is unknown, only 1 is read here (left out; use the version that wrote it)"),
    ('{"hello": 1}', "format 'None' is unknown, only 1 is read here (left out; use the version that wrote it)"),
    ('{"format": 1, "run": "x"}', 'is no whole record of a run: no `planned` (left out)'),
)


@pytest.mark.parametrize(('line', 'complaint'), FOREIGN)
def test_a_foreign_line_is_named_and_left_out(path: Path, line: str, complaint: str) -> None:
    kept(path, a_run(1, {'a': 'passed'}))
    with path.open('a') as file:
        file.write(f'{line}\n')
    read = history.read(path)
    assert [entry.run for entry in read.entries] == ['run-1']
    assert read.complaints == (f'{path}:2: {complaint}',)
    history.append(path, a_run(2, {'a': 'failed'}))
    assert [entry.run for entry in history.read(path).entries] == ['run-1', 'run-2']


@pytest.mark.parametrize('key', ['totals', 'failed', 'milliseconds', 'started', 'exit', 'git', 'flaky'])
@pytest.mark.parametrize('value', [None, 7, 'x', [1], {}])
def test_a_line_with_anything_in_it_breaks_nothing(path: Path, key: str, value: Any) -> None:
    kept(path, a_run(1, {'a': 'passed'}), a_run(2, {'a': 'passed'}))
    first, second = lines(path)
    path.write_text(f'{json.dumps(first)}\n{json.dumps({**second, key: value})}\n')
    read = history.read(path)
    assert read.entries[0].run == 'run-1'
    assert len(read.entries) + len(read.complaints) == 2
    assert trend.of(read, 5).points[0].run == 'run-1'


def test_a_torn_line_is_left_out_in_silence_and_healed_by_the_next_run(path: Path) -> None:
    kept(path, a_run(1, {'a': 'passed'}), a_run(2, {'a': 'passed'}))
    path.write_bytes(path.read_bytes()[:-40])
    assert [entry.run for entry in kept(path)] == ['run-1']
    assert [entry.run for entry in kept(path, a_run(3, {'a': 'passed'}))] == ['run-1', 'run-3']


def test_damaged_lines_are_set_aside_and_said(path: Path) -> None:
    kept(path, a_run(1, {'a': 'passed'}))
    path.write_text('damaged\n' + path.read_text())
    assert history.append(path, a_run(2, {'a': 'passed'})) == [
        f'{path}: 1 damaged line set aside in history.jsonl.damaged'
    ]
    assert 'damaged\n' in path.with_name('history.jsonl.damaged').read_text()
    assert len(kept(path)) == 2


def test_where_the_line_with_the_journeys_is_gone_it_is_said_and_the_next_run_names_them_again(path: Path) -> None:
    kept(path, a_run(1, {'a': 'passed'}), a_run(2, {'a': 'failed'}))
    path.write_text(path.read_text().split('\n', 1)[1])
    assert history.read(path).complaints == (
        f'{path}:1: is no whole record of a run: the line that names its journeys is gone (left out)',
    )
    assert [entry.run for entry in kept(path, a_run(3, {'a': 'passed'}))] == ['run-2', 'run-3']


def test_no_history_is_no_trouble(path: Path) -> None:
    assert history.read(path) == history.History(())


def flaky(path: Path, *bundles: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [(one.journey, one.failed, one.passed, one.retried) for one in history.flaky(kept(path, *bundles))]


def test_what_failed_and_passed_on_one_revision_is_flaky_with_its_record(path: Path) -> None:
    found = flaky(
        path,
        a_run(1, {'a': 'passed', 'b': 'failed', 'c': 'failed', 'd': 'passed'}),
        a_run(2, {'a': 'failed', 'b': 'failed', 'c': 'skipped', 'd': 'passed'}),
        a_run(3, {'a': 'passed'}),  # alone
    )
    assert found == [('a', ('run-2',), ('run-1', 'run-3'), ())]


@pytest.mark.parametrize(
    'said',
    [
        {'git': {'revision': 'e' * 40, 'dirty': False}},
        {'git': {'revision': 'f' * 40, 'dirty': True}},
        {'product': {'git': 'another digest'}},
        {'corpus': [{'path': 'journeys/images.yaml', 'sha256': '1' * 64}]},
    ],
)
def test_what_changed_is_another_revision(path: Path, said: dict[str, Any]) -> None:
    assert flaky(path, a_run(1, {'a': 'passed'}), a_run(2, {'a': 'failed'}, **said)) == []


def test_without_a_revision_and_a_digest_nothing_proves_that_it_was_the_same(path: Path) -> None:
    nothing: dict[str, Any] = {'git': None, 'product': {}}
    assert flaky(path, a_run(1, {'a': 'passed'}, **nothing), a_run(2, {'a': 'failed'}, **nothing)) == []
    digest: dict[str, Any] = {'git': None, 'product': {'bin/x': 'abc'}}
    assert len(flaky(path, a_run(3, {'a': 'passed'}, **digest), a_run(4, {'a': 'failed'}, **digest))) == 1


def test_a_retry_within_a_run_is_flaky_on_any_revision(path: Path) -> None:
    dirty = {'git': {'revision': 'f' * 40, 'dirty': True}}
    assert flaky(path, a_run(1, {'a': 'passed'}, flaky=['a'], **dirty)) == [('a', (), (), ('run-1',))]


def test_the_trend_counts_of_what_was_measured(path: Path) -> None:
    first = a_run(1, {'a': 'failed', 'b': 'passed', 'c': 'passed', 'd': 'infra', 'e': 'skipped'})
    told = trend.of(history.History(kept(path, first, a_run(2, {'a': 'passed'}))), 5)
    one, two = told.points
    assert (one.pass_rate, one.flake_rate, one.infra_rate) == (0.666667, 0.333333, 0.2)
    assert (one.signal, one.noise, one.signal_share) == (1, 1, 0.5)
    assert (two.pass_rate, two.flake_rate, two.infra_rate, two.signal_share) == (1.0, 0.0, 0.0, None)
    assert [point.run for point in trend.of(history.read(path), 1).points] == ['run-2']


def test_a_run_in_which_nothing_was_measured_has_no_rate(path: Path) -> None:
    (point,) = trend.of(history.History(kept(path, a_run(1, {'a': 'skipped'}))), 5).points
    assert (point.pass_rate, point.flake_rate, point.infra_rate) == (None, None, 0.0)


@pytest.mark.parametrize(
    ('rate', 'words'),
    [(None, '-'), (0.0, '0.0%'), (0.0001, '<0.1%'), (0.9999, '99.9%'), (1.0, '100.0%'), (0.5, '50.0%')],
)
def test_a_rate_is_not_rounded_to_all_or_nothing(rate: float | None, words: str) -> None:
    assert trend.percent(rate) == words


def test_bars_are_relative_to_the_greatest_and_leave_out_what_is_not_known() -> None:
    assert trend.bars([0.0, 0.5, None, 1.0]) == '▁▅ █'
    assert trend.bars([0.0, 0.0]) == '▁▁'
    assert trend.bars([None]) == ' '

import json
import multiprocessing
from pathlib import Path

import pytest

from hack.dogfood.past import timings
from tests.python.dogfood.samples import record


def test_the_last_five_passes_are_kept_newest_last() -> None:
    old = {'a': (1.0, 2.0, 3.0, 4.0, 5.0), 'gone': (9.0,)}
    records = [
        record('a', duration_seconds=6.0),
        record('new', duration_seconds=7.0),
        record('red', 'failed', duration_seconds=8.0),
    ]
    assert timings.updated(old, records) == {'a': (2.0, 3.0, 4.0, 5.0, 6.0), 'gone': (9.0,), 'new': (7.0,)}
    assert old['a'] == (1.0, 2.0, 3.0, 4.0, 5.0)


def test_what_was_written_reads_back(tmp_path: Path) -> None:
    path = tmp_path / 'timings.json'
    timings.write(path, [record('a', duration_seconds=0.5)])
    timings.write(path, [record('a', duration_seconds=0.75)])
    assert timings.read(path) == timings.Timings({'a': (0.5, 0.75)})
    assert json.loads(path.read_text()) == {'format': 1, 'journeys': {'a': [0.5, 0.75]}}


@pytest.mark.parametrize(
    'content',
    [
        '',
        '{"format":1,"journeys":{"a":[0.',
        '[]',
        '{"format":2,"journeys":{}}',
        '{"format":1}',
        '{"format":1,"journeys":[]}',
    ],
)
def test_useless_timings_are_none_with_one_line_of_warning(tmp_path: Path, content: str) -> None:
    path = tmp_path / 'timings.json'
    path.write_text(content)
    journeys, warning = timings.read(path)
    assert journeys == {}
    assert warning.startswith(f'{path}: ')
    assert '\n' not in warning


def test_absent_timings_say_so(tmp_path: Path) -> None:
    assert (
        timings.read(tmp_path / 'none.json').warning
        == f'{tmp_path}/none.json: no timings yet (durations are estimated)'
    )
    assert list(tmp_path.iterdir()) == []


def test_only_durations_are_believed(tmp_path: Path) -> None:
    path = tmp_path / 'timings.json'
    path.write_text('{"format":1,"journeys":{"a":[1,"x",-1,NaN,Infinity,true,null,2.5],"b":3,"c":[]}}')
    assert timings.read(path) == timings.Timings({'a': (2.5,)})
    path.write_text('{"format":1,"journeys":{"a":[1,2,3,4,5,6,7]}}')
    assert timings.read(path) == timings.Timings({'a': (3.0, 4.0, 5.0, 6.0, 7.0)})


def test_useless_timings_are_renewed(tmp_path: Path) -> None:
    path = tmp_path / 'timings.json'
    path.write_text('not JSON')
    timings.write(path, [record('a', duration_seconds=1.0)])
    assert timings.read(path) == timings.Timings({'a': (1.0,)})


def write_one(path: str, number: int) -> None:
    timings.write(path, [record(f'journey-{number}', duration_seconds=1.0)])


def test_runs_that_end_at_once_lose_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / 'timings.json')
    with multiprocessing.get_context('spawn').Pool(4) as pool:
        pool.starmap(write_one, [(path, number) for number in range(24)])
    assert set(timings.read(path).journeys) == {f'journey-{number}' for number in range(24)}

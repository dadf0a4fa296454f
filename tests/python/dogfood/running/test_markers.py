"""Markers on a real disk: a true one is relied on, and no other."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hack.dogfood.running import markers
from hack.dogfood.running.markers import Expected, Marker

KEY = '5ec4e7'
MARKER = Marker('tag', 'build', 'chain-a', 1, 3, '2026-11-21T10:11:12.000Z', 'run-1', 'boot-1')
EXPECTED = Expected('chain-a', 1, 'run-1', 'boot-1')
NOT_OURS = 'its seal is not the one of this run'


def test_a_marker_is_read_back(tmp_path: Path) -> None:
    markers.write(tmp_path, MARKER, KEY)
    assert markers.read(tmp_path, 'tag', KEY) == MARKER
    assert markers.fault(MARKER, EXPECTED) is None
    assert [path.name for path in tmp_path.iterdir()] == ['tag.json']


def test_a_marker_is_written_over(tmp_path: Path) -> None:
    markers.write(tmp_path, MARKER._replace(journey='other'), KEY)
    markers.write(tmp_path, MARKER, KEY)
    assert markers.read(tmp_path, 'tag', KEY) == MARKER


def test_others_can_read_what_it_says(tmp_path: Path) -> None:
    markers.write(tmp_path, MARKER, KEY)
    said = json.loads((tmp_path / 'tag.json').read_text())
    assert said.pop('seal')
    assert said == MARKER._asdict()
    assert (tmp_path / 'tag.json').read_text().startswith('{\n "token": "tag",\n')
    assert (tmp_path / 'tag.json').read_text().endswith('"\n}\n')


@pytest.mark.parametrize(
    ('data', 'fault'),
    [
        (None, 'it is gone'),
        (b'', 'it cannot be read (Expecting value: line 1 column 1 (char 0))'),
        (b'\xff\xfe\xff', 'it cannot be read ('),
        (b'[' * 100_000, 'it cannot be read (maximum recursion depth exceeded'),
        (b'{}', 'it is not a marker'),
        (b'[]', 'it is not a marker'),
        (b'["seal"]', 'it is not a marker'),
        (b'"seal"', 'it is not a marker'),
        (b'7', 'it is not a marker'),
        (b'null', 'it is not a marker'),
        (b'{"seal": "x"}', 'it is not a marker'),
        (json.dumps(MARKER._asdict()).encode(), 'it is not a marker'),
        (json.dumps({**MARKER._asdict(), 'seal': '', 'more': 1}).encode(), 'it is not a marker'),
        (json.dumps({**MARKER._asdict(), 'seal': 'x'}).encode(), NOT_OURS),
        (json.dumps({**MARKER._asdict(), 'seal': 'é'}).encode(), NOT_OURS),
        (json.dumps({**MARKER._asdict(), 'seal': None}).encode(), NOT_OURS),
        (json.dumps({**MARKER._asdict(), 'token': '\ud800', 'seal': 1}).encode(), NOT_OURS),
    ],
)
def test_what_is_no_marker(tmp_path: Path, data: bytes | None, fault: str) -> None:
    if data is not None:
        (tmp_path / 'tag.json').write_bytes(data)
    found = markers.read(tmp_path, 'tag', KEY)
    assert isinstance(found, str)
    assert found.startswith(fault)
    assert fault.endswith('(') or 'recursion' in fault or found == fault
    assert markers.fault(found, EXPECTED) == found


def test_a_marker_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / 'tag.json').mkdir()
    assert markers.read(tmp_path, 'tag', KEY) == (
        f"it cannot be read ([Errno 21] Is a directory: '{tmp_path}/tag.json')"
    )


def test_a_marker_of_another_run_or_another_token_is_not_ours(tmp_path: Path) -> None:
    markers.write(tmp_path, MARKER, 'another key')
    assert markers.read(tmp_path, 'tag', KEY) == NOT_OURS
    markers.write(tmp_path, MARKER, KEY)
    (tmp_path / 'tag.json').rename(tmp_path / 'other.json')
    assert markers.read(tmp_path, 'other', KEY) == NOT_OURS


@pytest.mark.parametrize(
    ('change', 'fault'),
    [
        ({}, None),
        ({'chain': 'chain-b'}, 'it says chain chain-b, not chain-a'),
        ({'chain_attempt': 2}, 'it says chain attempt 2, not 1'),
        ({'run': 'run-0'}, 'it says run run-0, not run-1'),
        ({'boot': ''}, 'it says boot , not boot-1'),
        ({'run': 'run-0', 'boot': ''}, 'it says run run-0, not run-1'),
        ({'shard': 9, 'journey': 'x', 'time': 'y'}, None),
    ],
)
def test_what_a_marker_must_say(change: dict[str, str], fault: str | None) -> None:
    assert markers.fault(MARKER._replace(**change), EXPECTED) == fault  # type: ignore[arg-type]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_marker_with_any_byte_changed_is_not_relied_on(tmp_path: Path, data: st.DataObject) -> None:
    markers.write(tmp_path, MARKER, KEY)
    path = tmp_path / 'tag.json'
    good = path.read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != good[place]) | st.sampled_from(b' \t\n\r'))
    changed = good[:place] + bytes([byte]) + good[place + 1 :]
    path.write_bytes(changed)
    assert (
        markers.read(tmp_path, 'tag', KEY) == MARKER
        if changed == good
        else isinstance(markers.read(tmp_path, 'tag', KEY), str)
    )


def test_a_marker_cut_short_anywhere_or_with_something_added_is_not_relied_on(tmp_path: Path) -> None:
    markers.write(tmp_path, MARKER, KEY)
    path = tmp_path / 'tag.json'
    good = path.read_bytes()
    for other in (*(good[:size] for size in range(len(good))), good + b'\n', good + b' ', b' ' + good):
        path.write_bytes(other)
        assert isinstance(markers.read(tmp_path, 'tag', KEY), str)

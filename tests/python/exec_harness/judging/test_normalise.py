"""What two runs of the same thing may differ in is masked; anything else is not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.exec_harness.judging.normalise import Normaliser, canonical, first_difference

ONE, OTHER = '019abf6e-13ee-7a42-8d14-f0c2a11d9a01', '019ABF6E-13EE-7A42-8D14-F0C2A11D9A02'
MASKS = {'/t/run 1/ws': '<workspace>', '/t/run 1': '<run>', '/t/a "b"': '<quoted>'}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@pytest.mark.parametrize(
    ('text', 'masked'),
    [
        (f'{ONE} {OTHER} {ONE.upper()}', '<uuid-1> <uuid-2> <uuid-1>'),
        ('/t/run 1/ws/a and /t/run 1/home', '<workspace>/a and <run>/home'),
        (json.dumps({'cwd': '/t/a "b"'}), '{"cwd": "<quoted>"}'),
        ('at 2026-11-21T13:00:00.123Z, 2026-11-21 13:00:00+01:00', 'at <time>, <time>'),
        ('Current date: 2026-11-21.', 'Current date: <date>.'),
        ('msg_0d35b383-798c-5095-9dc3-9bc7f522d3ca', 'msg_<uuid-1>'),
        ('{"started_at_unix_ms":1795270413213}', '{"started_at_unix_ms":<milliseconds>}'),
        ('Chunk ID: 9f2c1a\nWall time: 0.0512 seconds', 'Chunk ID: <chunk>\nWall time: <seconds> seconds'),
        ('running with session ID 4711', 'running with session ID <number>'),
        ('http://127.0.0.1:40123/v1', 'http://127.0.0.1:<port>/v1'),
        ('<timezone>Europe/Berlin</timezone>', '<timezone><timezone></timezone>'),
        ('<shell>zsh</shell>\n<shell>', '<shell><shell></shell>\n<shell>'),
        ('version 1.2.3, 12 files, call_1, port 80', 'version 1.2.3, 12 files, call_1, port 80'),
    ],
)
def test_what_varies_is_masked(text: str, masked: str) -> None:
    assert Normaliser(MASKS).text(text) == masked


def test_measured_numbers_are_masked_by_their_key() -> None:
    value = {'duration_ms': 12, 'created_at': 1.5, 'timestamp': 3, 'wall_time_seconds': 0.1, 'format': 7, 'at': 'noon'}
    assert Normaliser({}).value(value) == {
        'duration_ms': '<measured>',
        'created_at': '<measured>',
        'timestamp': '<measured>',
        'wall_time_seconds': '<measured>',
        'format': 7,
        'at': 'noon',
    }


def test_uuids_keep_who_is_who_across_values() -> None:
    normaliser = Normaliser({})
    assert [normaliser.value({'id': one}) for one in (ONE, OTHER, ONE)] == [
        {'id': '<uuid-1>'},
        {'id': '<uuid-2>'},
        {'id': '<uuid-1>'},
    ]


@given(JSON)
def test_masking_twice_is_masking_once(value: Any) -> None:
    once = Normaliser({}).value(value)
    assert Normaliser({}).value(once) == once


@given(JSON)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert first_difference(value, json.loads(canonical(value))) is None


@given(JSON, JSON)
def test_a_difference_is_found_where_there_is_one(one: Any, other: Any) -> None:
    assert (first_difference(one, other) is None) == (canonical(one) == canonical(other))


@pytest.mark.parametrize(
    ('before', 'after', 'said'),
    [
        ({'a': [1, {'b': 'x'}], 'c': 1}, {'a': [1, {'b': 'y'}], 'c': 2}, 'a[1].b was "x", then "y"'),
        ([1], [1, 2], '[1] was absent, then 2'),
        ({'a': 1}, {}, 'a was 1, then absent'),
        (1, True, 'the whole was 1, then true'),
    ],
)
def test_the_first_difference_is_told(before: Any, after: Any, said: str) -> None:
    assert str(first_difference(before, after)) == said


def test_of_long_texts_the_place_where_they_part_is_shown() -> None:
    difference = first_difference('x' * 5000 + 'left' + 'z' * 5000, 'x' * 5000 + 'right' + 'z' * 5000)
    assert difference is not None
    assert 'left' in difference.before
    assert 'right' in difference.after
    assert max(map(len, difference)) < 200

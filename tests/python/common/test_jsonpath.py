"""Paths into JSON, and the values that stand there."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.common import jsonpath


@pytest.mark.parametrize(
    ('path', 'keys'),
    [
        ('a', ['a']),
        ('a.b[0]', ['a', 'b', 0]),
        ('[3].a b[-1][2]', [3, 'a b', -1, 2]),
        ('0.1', ['0', '1']),
    ],
)
def test_json_path(path: str, keys: list[str | int]) -> None:
    assert jsonpath.parse(path) == keys


@pytest.mark.parametrize(
    'path', ['', '.', 'a.', '.a', 'a..b', 'a[', 'a[]', 'a[x]', 'a[0]b', 'a]', '[0', 'a.[0]', 'a[--1]']
)
def test_no_json_path(path: str) -> None:
    with pytest.raises(ValueError, match=f'^not a path like a\\.b\\[0\\]: {re.escape(repr(path))}$'):
        jsonpath.parse(path)


KEYS = st.text(st.characters(exclude_characters='.[]', exclude_categories=['Cs']), min_size=1)


@given(st.lists(KEYS | st.integers(), min_size=1))
def test_json_paths_that_are_written_down_are_read_back(keys: list[str | int]) -> None:
    path = ''.join(f'[{key}]' if isinstance(key, int) else f'.{key}' for key in keys).removeprefix('.')
    assert jsonpath.parse(path) == keys


VALUE = {'a': [{'b': True}, 2], 'c': None}


@pytest.mark.parametrize(('path', 'value'), [('a', [{'b': True}, 2]), ('a[0].b', True), ('a[-1]', 2), ('c', None)])
def test_a_value_is_found(path: str, value: Any) -> None:
    assert jsonpath.same(jsonpath.value_at(VALUE, path), value)


@pytest.mark.parametrize('path', ['b', 'a[2]', 'a[-3]', 'a.b', 'c.d', '[0]', 'a[1].b'])
def test_where_nothing_stands_nothing_is_found(path: str) -> None:
    with pytest.raises(LookupError):
        jsonpath.value_at(VALUE, path)


@pytest.mark.parametrize(
    ('value', 'wanted', 'same'),
    [
        (1, 1.0, True),
        (1, True, False),
        ([0, {'a': False}], [0, {'a': 0}], False),
        ({'a': 1}, {'a': 1, 'b': 2}, False),
        ([1], [1, 2], False),
        ({'a': [None]}, {'a': [None]}, True),
    ],
)
def test_equality_is_that_of_json(value: Any, wanted: Any, same: bool) -> None:
    assert jsonpath.same(value, wanted) is same

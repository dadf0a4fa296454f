"""What is JSON to every reader, and what is none."""

import json

import pytest

from hack.exec_harness.format import strict_json


@pytest.mark.parametrize('value', [None, 1.5, 'ü', [], {}, {'a': [{'b': [1, True]}]}])
def test_what_is_json_is_read(value: object) -> None:
    assert strict_json.parse(json.dumps(value)) == value
    assert strict_json.parse(json.dumps(value).encode()) == value


@pytest.mark.parametrize('text', ['', '{', 'NaN', '[Infinity]', '{"a": -Infinity}', b'\xff', '1 2'])
def test_what_is_none_is_told(text: bytes | str) -> None:
    with pytest.raises(ValueError, match='.'):
        strict_json.parse(text)


def nested(levels: int, inner: str = '') -> str:
    return '[{"a":' * (levels // 2) + (inner or '1') + '}]' * (levels // 2)


def test_the_deepest_that_is_read_can_be_gone_through_and_the_next_is_refused() -> None:
    assert json.dumps(strict_json.parse(nested(strict_json.DEEPEST)), indent=1)
    with pytest.raises(ValueError, match='nested deeper than 128 levels'):
        strict_json.parse(nested(strict_json.DEEPEST, '[]'))


@pytest.mark.parametrize('levels', [900, 200_000])
def test_however_deep_it_is_it_is_only_refused(levels: int) -> None:
    with pytest.raises(ValueError, match='nested deeper than 128 levels'):
        strict_json.parse(nested(levels))

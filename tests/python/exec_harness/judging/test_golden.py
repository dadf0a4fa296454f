"""Golden files that agree, differ, are missing or broken."""

import json
from pathlib import Path
from typing import Any

import pytest

from hack.exec_harness.judging import golden

BODIES: list[Any] = [{'model': 'm', 'input': [{'role': 'user', 'content': 'hello'}], 'instructions': 'long ' * 100}]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / 'golden' / 'basic.json'
    assert golden.update(path, BODIES)
    return path


def test_what_was_written_agrees(written: Path) -> None:
    assert golden.compare(written, BODIES) == ('', '')
    assert not golden.update(written, BODIES)


def test_a_change_is_named_by_its_line_and_shown(written: Path) -> None:
    changed = json.loads(json.dumps(BODIES))
    changed[0]['input'][0]['content'] = 'goodbye'
    wrong, difference = golden.compare(written, changed)
    line = written.read_text().splitlines().index('    "content": "hello",') + 1
    assert wrong == f'basic.json:{line} is "content": "hello", observed "content": "goodbye"'
    assert '-    "content": "hello",' in difference
    assert '+    "content": "goodbye",' in difference


def test_a_request_more_or_less_is_a_change(written: Path) -> None:
    assert golden.compare(written, BODIES * 2).wrong
    assert golden.compare(written, []).wrong


def test_a_long_text_is_held_by_its_digest(written: Path) -> None:
    assert 'long long' not in written.read_text()
    assert '(500 characters, sha256 ' in written.read_text()
    changed = [{**BODIES[0], 'instructions': 'Long ' * 100}]
    assert golden.compare(written, changed).wrong


def test_a_missing_golden_file_says_how_to_make_it(tmp_path: Path) -> None:
    assert 'write it with UPDATE=1' in golden.compare(tmp_path / 'none.json', BODIES).wrong
    assert list(tmp_path.iterdir()) == []


def test_a_golden_file_that_is_no_text_is_a_difference_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / 'broken.json').write_bytes(b'\xff\xfe')
    assert 'broken.json cannot be read' in golden.compare(tmp_path / 'broken.json', BODIES).wrong


def test_a_long_difference_is_cut_and_says_so(written: Path) -> None:
    many = [{'n': number} for number in range(200)]
    assert golden.compare(written, many).difference.splitlines()[-1].endswith('more lines')

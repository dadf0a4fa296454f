"""Bundles in any state, read as far as they can be."""

import json
from pathlib import Path
from typing import Any

import pytest

from hack.common.errors import UserError
from hack.dogfood.page import beside, report_page
from hack.dogfood.reporting import salvage
from hack.dogfood.reporting.bundle import as_json
from tests.python.dogfood.samples import made


def salvaged(tmp_path: Path, text: str | bytes) -> salvage.Salvaged:
    path = tmp_path / 'bundle.json'
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return salvage.read(path)


def test_a_good_bundle_is_itself(tmp_path: Path) -> None:
    said = salvaged(tmp_path, as_json(made()))
    assert said.troubles == ()
    assert [journey['id'] for journey in said.bundle['journeys']] == [journey['id'] for journey in made()['journeys']]
    assert said.bundle['totals'] == made()['totals']


def test_wherever_it_is_cut_off_what_stands_before_is_shown(tmp_path: Path) -> None:
    text = as_json(made())
    for end in range(text.index('"run"'), len(text) - 3, 61):
        said = salvaged(tmp_path, text[:end])
        assert any('cut off or damaged' in trouble for trouble in said.troubles)
        whole = sum(text[:end].count(f'{{"id":"{journey["id"]}","feature"') for journey in made()['journeys'])
        assert len(said.bundle['journeys']) in (whole, whole - 1)
        report_page.render(said.bundle)


@pytest.mark.parametrize('text', ['', '{', '[]', '7', 'not JSON', '{"a": 1}', b'\xff\xfe', '[' * 100_000])
def test_what_is_no_bundle_is_refused(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(UserError, match='is no bundle'):
        salvaged(tmp_path, text)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='cannot be read: No such file'):
        salvage.read(tmp_path / 'bundle.json')


def test_another_version_is_named_and_shown_all_the_same(tmp_path: Path) -> None:
    said = salvaged(tmp_path, json.dumps({**made(), 'format': 2}))
    assert any('format 2' in trouble for trouble in said.troubles)
    assert len(said.bundle['journeys']) == len(made()['journeys'])


def test_an_unknown_verdict_is_named_and_kept(tmp_path: Path) -> None:
    bundle = made()
    bundle['journeys'][0]['verdict'] = 'perhaps'
    said = salvaged(tmp_path, json.dumps(bundle))
    assert '1 × the verdict “perhaps”' in said.troubles[0]
    assert 'perhaps' in report_page.render(said.bundle)


def test_totals_that_are_not_those_of_the_journeys_are_said(tmp_path: Path) -> None:
    bundle = made()
    del bundle['journeys'][0]
    said = salvaged(tmp_path, json.dumps(bundle))
    assert said.troubles == (
        'The totals that the bundle states are not those of its journeys, which are counted here.',
    )


# What stands in the place of each value, one after the other.
WRONG: list[Any] = [None, 7, -1.5, 'text', [], {}, [None], {'a': [1]}, True, [[[]]]]


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Of each value in a document."""
    keys: list[Any] = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    return [path] + [place for key in keys for place in _places(value[key], (*path, key))]


def test_whatever_stands_in_the_place_of_a_value_a_page_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('PATH', str(tmp_path))  # without dot: it is not what is tried here, and takes most of the time
    original = json.dumps({**made(), 'journeys': made()['journeys'][:2], 'shards': made()['shards'][:1]})
    places = [place for place in _places(json.loads(original)) if place]
    assert len(places) > 100
    for number, (*path, last) in enumerate(places):
        bundle = json.loads(original)
        inner = bundle
        for key in path:
            inner = inner[key]
        inner[last] = WRONG[number % len(WRONG)]
        said = salvaged(tmp_path, json.dumps(bundle))
        page = report_page.render(said.bundle, tmp_path, beside.Beside(troubles=said.troubles))
        assert page.endswith('</html>')

"""A journey that needs a local image tag runs where the tag was made, however many shards there are.

The regression test of the defect this project exists to end: an image was tagged in shard 1, and the journey that
runs it failed in shard 2, where nobody had made the tag.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CORPUS = REPOSITORY / 'journeys/buildah.yaml'
LIE = REPOSITORY / 'tests/corpora/lies/buildah/tags-nothing'
ESTABLISHER = 'build-local-tag'
DEPENDENTS = ('run-built-local-tag', 'exit-status-passed-on', 'second-tag', 'image-in-use-kept')
OTHERS = tuple(f'something-else-{number}' for number in range(1, 9))  # chains of their own, so that no shard is empty
SHARDS = range(1, 6)


def cannot(why: str) -> None:
    """A skip that says why, and an error where everything must be there."""
    if os.environ.get('REQUIRE_ALL') == '1':
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(autouse=True)
def _needs() -> None:
    needs = yaml.safe_load(CORPUS.read_text())['product']['needs']
    absent = [command for command in needs if not shutil.which(command)]
    if absent:
        cannot(f'needs {", ".join(absent)}')


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """Journeys that have nothing to do with the tag."""
    path = tmp_path / 'others.json'
    step = {'run': 'echo done', 'expect': {'stdout': {'equals': 'done'}}}
    journeys = [{'id': name, 'promise': 'Something is done.', 'steps': [step]} for name in OTHERS]
    path.write_text(json.dumps({'feature': 'others', 'journeys': journeys}))
    return path


def dogfood(folder: Path, shards: int, others: Path, *options: str) -> dict[str, dict[str, Any]]:
    """Run the chain of the tag beside the others; returns the bundle's journeys by id. The run is in `folder`/run."""
    options = (f'--shards={shards}', f'--run-dir={folder / "run"}', f'--only={",".join(DEPENDENTS + OTHERS)}', *options)
    ended = subprocess.run(
        [f'{REPOSITORY}/hack/dogfood/dogfood.sh', *options, str(CORPUS), str(others)],
        cwd=folder,
        env={'PATH': os.environ['PATH'], 'HOME': str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    bundle = folder / 'run/bundle.json'
    assert bundle.exists(), ended.stderr
    journeys = {journey['id']: journey for journey in json.loads(bundle.read_text())['journeys']}
    assert set(journeys) == {ESTABLISHER, *DEPENDENTS, *OTHERS}
    if journeys[ESTABLISHER]['verdict'] == 'skipped':
        cannot(journeys[ESTABLISHER]['cause'])
    return journeys


def of_all(journeys: dict[str, dict[str, Any]], names: Sequence[str], key: str) -> list[Any]:
    return [journeys[name][key] for name in names]


@pytest.mark.parametrize('shards', SHARDS)
def test_dependents_of_a_tag_pass_in_its_shard(tmp_path: Path, others: Path, shards: int) -> None:
    journeys = dogfood(tmp_path, shards, others)
    assert of_all(journeys, (ESTABLISHER, *DEPENDENTS), 'verdict') == ['passed'] * (1 + len(DEPENDENTS)), [
        journey['cause'] for journey in journeys.values()
    ]
    made = journeys[ESTABLISHER]
    assert of_all(journeys, DEPENDENTS, 'shard') == [made['shard']] * len(DEPENDENTS)
    assert {journey['shard'] for journey in journeys.values()} == set(range(1, shards + 1))
    marker = json.loads((tmp_path / 'run/capabilities/local-tag-created.json').read_text())
    assert (marker['journey'], marker['chain'], marker['shard']) == (ESTABLISHER, made['chain'], made['shard'])
    assert of_all(journeys, DEPENDENTS, 'chain') == [made['chain']] * len(DEPENDENTS)


@pytest.mark.parametrize('shards', SHARDS)
def test_dependents_of_a_tag_that_was_not_made_are_blocked_not_failed(
    tmp_path: Path, others: Path, shards: int
) -> None:
    journeys = dogfood(tmp_path, shards, others, '--product-path', str(LIE))
    assert journeys[ESTABLISHER]['verdict'] == 'failed'
    assert of_all(journeys, DEPENDENTS, 'verdict') == ['blocked'] * len(DEPENDENTS)
    assert of_all(journeys, DEPENDENTS, 'root') == [ESTABLISHER] * len(DEPENDENTS)
    assert of_all(journeys, OTHERS, 'verdict') == ['passed'] * len(OTHERS)
    assert not (tmp_path / 'run/capabilities/local-tag-created.json').exists()

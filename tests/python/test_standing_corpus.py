"""The standing corpus sees through every lie about its products: each is failed where the table says, and only there.

A lie is a product that is broken on purpose: `tests/corpora/lies/<product>/<lie>/` holds wrappers that go first
on PATH, and `lies.yaml` beside them says which journeys of `journeys/<product>.yaml` must then fail.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
LIES = REPOSITORY / 'tests/corpora/lies'
PRODUCTS = sorted(path.parent.name for path in LIES.glob('*/lies.yaml'))


class Table(NamedTuple):
    """What is known about one product's lies."""

    product: str
    needs: Sequence[str]
    journeys: Sequence[str]
    lies: Mapping[str, Mapping[str, str]]  # by lie: the verdict of each journey that is not to pass
    whole: bool  # every journey is run with each lie, else only those named, with what they require


def table(product: str) -> Table:
    corpus = yaml.safe_load((REPOSITORY / f'journeys/{product}.yaml').read_text())
    known = yaml.safe_load((LIES / product / 'lies.yaml').read_text())
    lies = {
        lie: {name: verdict for verdict, names in verdicts.items() for name in names}
        for lie, verdicts in known['lies'].items()
    }
    journeys = [journey['id'] for journey in corpus['journeys']]
    return Table(product, corpus['product']['needs'], journeys, lies, known.get('whole', True))


def run(folder: Path, product: str, lie: str | None, only: Sequence[str] = ()) -> dict[str, Any]:
    """Run the product's journeys, with one lie about it if there is one; returns the bundle."""
    folder.mkdir()
    command = [REPOSITORY / 'hack/dogfood/dogfood.sh', '--shards', '1', '--keep', 'none', '--run-dir', folder / 'run']
    if lie:
        command += ['--product-path', LIES / product / lie]
    if only:
        command += ['--only', ','.join(only)]
    environment = {'PATH': os.environ['PATH'], 'HOME': str(folder), 'TMPDIR': str(folder)}
    ended = subprocess.run(
        [*command, REPOSITORY / f'journeys/{product}.yaml'],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )
    bundle = folder / 'run/bundle.json'
    assert bundle.exists(), ended.stderr
    merged: dict[str, Any] = json.loads(bundle.read_text())
    assert merged['exit'] == ended.returncode
    return merged


def not_passed(bundle: dict[str, Any]) -> dict[str, str]:
    return {journey['id']: journey['verdict'] for journey in bundle['journeys'] if journey['verdict'] != 'passed'}


@pytest.fixture(params=PRODUCTS)
def known(request: pytest.FixtureRequest) -> Table:
    return table(request.param)


def need(known: Table) -> None:
    absent = [command for command in known.needs if not shutil.which(command)]
    if absent:
        pytest.skip(f'needs {", ".join(absent)}')


def test_the_product_as_it_is_passes(known: Table, tmp_path: Path) -> None:
    need(known)
    bundle = run(tmp_path / 'run', known.product, None)
    assert not_passed(bundle) == {}
    assert len(bundle['journeys']) == len(known.journeys)
    assert {journey['strength'] for journey in bundle['journeys']} == {'checked'}


def test_each_lie_is_found_where_it_must_be_and_nowhere_else(known: Table, tmp_path: Path) -> None:
    need(known)

    def found(lie: str) -> dict[str, str]:
        return not_passed(run(tmp_path / lie, known.product, lie, () if known.whole else sorted(known.lies[lie])))

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each run is one shard: as many as there are processors
        assert dict(zip(known.lies, pool.map(found, known.lies), strict=True)) == known.lies


def test_every_journey_is_failed_by_a_lie(known: Table) -> None:
    failed = {name for verdicts in known.lies.values() for name, verdict in verdicts.items() if verdict == 'failed'}
    assert failed == set(known.journeys)


def test_every_lie_has_its_row(known: Table) -> None:
    assert sorted(known.lies) == sorted(path.name for path in (LIES / known.product).iterdir() if path.is_dir())

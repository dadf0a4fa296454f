"""The standing corpus passes with its products as they are, and sees through every lie about them.

A lie is a product that is broken on purpose: `tests/corpora/lies/<product>/<lie>/` holds wrappers that go first
on PATH, and `lies.yaml` beside them says which journeys of `journeys/<product>.yaml`, or of the files in
`journeys/<product>/`, must then fail, be blocked or be deferred. Each lie is told to those journeys and to all they
require: these must pass.
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
CORPUS = REPOSITORY / 'journeys'
LIES = REPOSITORY / 'tests/corpora/lies'
PROCESSORS = os.cpu_count() or 1


class Product(NamedTuple):
    name: str
    corpus: Path
    absent: Sequence[str]  # commands it needs that this machine lacks
    journeys: Sequence[str]
    lies: Mapping[str, Mapping[str, str]]  # by lie: the verdict of each journey that is not to pass


def product(name: str) -> Product:
    corpus = CORPUS / name if (CORPUS / name).is_dir() else CORPUS / f'{name}.yaml'
    features = [yaml.safe_load(path.read_text()) for path in ([corpus] if corpus.is_file() else corpus.glob('*.yaml'))]
    table = yaml.safe_load((LIES / name / 'lies.yaml').read_text())
    needed = [command for feature in features for command in feature['product']['needs']]
    absent = [command for command in needed if not shutil.which(command)]
    lies = {
        lie: {journey: verdict for verdict, journeys in verdicts.items() for journey in journeys}
        for lie, verdicts in table['lies'].items()
    }
    journeys = [journey['id'] for feature in features for journey in feature['journeys']]
    return Product(name, corpus, absent, journeys, lies)


PRODUCTS = [product(path.parent.name) for path in sorted(LIES.glob('*/lies.yaml'))]
LIED_ABOUT_ELSEWHERE = ('exec-gate',)  # in tests/python/exec_harness/test_shipped.py
AGENTS = (shutil.which('codex') or '', str(REPOSITORY / '.tools/codex-0.99.0/codex'))
NO_AGENT = (
    {} if any(map(os.path.exists, AGENTS)) else {'exec-gate-is-green': 'skipped', 'exec-gate-runs-agree': 'blocked'}
)

EACH = pytest.mark.parametrize('about', PRODUCTS, ids=[about.name for about in PRODUCTS])


def run(folder: Path, *arguments: str | Path) -> dict[str, Any]:
    """Run dogfood.sh to its end in a new folder; returns the bundle."""
    folder.mkdir()
    ended = subprocess.run(
        [REPOSITORY / 'hack/dogfood/dogfood.sh', '--run-dir', folder / 'run', '--keep', 'none', *arguments],
        cwd=folder,
        env={'PATH': os.environ['PATH'], 'HOME': str(folder), 'TMPDIR': str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert (folder / 'run/bundle.json').exists(), ended.stderr
    bundle: dict[str, Any] = json.loads((folder / 'run/bundle.json').read_text())
    assert ended.returncode == bundle['exit'], ended.stderr
    return bundle


def not_passed(bundle: dict[str, Any]) -> dict[str, str]:
    return {journey['id']: journey['verdict'] for journey in bundle['journeys'] if journey['verdict'] != 'passed'}


def test_every_product_as_it_is_passes(tmp_path: Path) -> None:
    bundle = run(tmp_path / 'all', '--shards', str(PROCESSORS), CORPUS)
    absent = {name: 'skipped' for about in PRODUCTS if about.absent for name in about.journeys}
    assert not_passed(bundle) == absent | NO_AGENT
    assert {journey['strength'] for journey in bundle['journeys'] if journey['verdict'] == 'passed'} == {'checked'}


@EACH
def test_each_lie_is_found_where_it_must_be(about: Product, tmp_path: Path) -> None:
    if about.absent:
        pytest.skip(f'there is no {about.absent[0]} to lie about')

    def found(lie: str) -> dict[str, str]:
        told = ('--shards', '1', '--product-path', LIES / about.name / lie, '--only', ','.join(about.lies[lie]))
        return not_passed(run(tmp_path / lie, *told, about.corpus))

    with ThreadPoolExecutor(PROCESSORS) as pool:
        assert dict(zip(about.lies, pool.map(found, about.lies), strict=True)) == about.lies


@EACH
def test_every_journey_is_failed_by_a_lie(about: Product) -> None:
    failed = {name for verdicts in about.lies.values() for name, verdict in verdicts.items() if verdict == 'failed'}
    assert failed == set(about.journeys)


@EACH
def test_every_lie_stands_in_the_table(about: Product) -> None:
    assert sorted(about.lies) == sorted(path.name for path in (LIES / about.name).iterdir() if path.is_dir())


def test_every_product_of_the_corpus_is_lied_about() -> None:
    assert [about.name for about in PRODUCTS] == sorted(
        path.stem for path in CORPUS.iterdir() if path.stem not in LIED_ABOUT_ELSEWHERE
    )

"""Shards on machines of their own: the plan travels, each part comes back, and the merge trusts nothing unsaid."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HOUSE = Path(__file__).resolve().parents[3]
PYTHON = HOUSE / '.venv' / 'bin' / 'python'
JOURNEYS = HOUSE / 'hack' / 'dogfood' / 'run_journeys.py'

CORPUS = """
feature: apart
journeys:
  - id: gate
    promise: the door opens
    tier: smoke
    gating: true
    steps: [{run: test GATE = open, expect: {exit: 0}}]
  - id: maker
    promise: something is made
    tier: smoke
    establishes: made
    steps: [{run: 'echo it > $DOGFOOD_DATA_DIR/it', expect: {exit: 0}}]
  - id: user
    promise: it is used
    requires: made
    steps: [{run: 'cat $DOGFOOD_DATA_DIR/it', expect: {stdout: {equals: it}}}]
  - id: other
    promise: something else
    tier: deep
    steps: [{run: echo other, expect: {stdout: {equals: other}}}]
"""


class Machines:
    """A planner's machine, one for each shard, and one that merges."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def call(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [str(PYTHON), str(JOURNEYS), *map(str, arguments)]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)

    def plan(self, corpus: str) -> list[int]:
        (self.folder / 'corpus.yaml').write_text(corpus)
        planned = ('--shards=3', '--apart', '--run-dir=run', '--format=github')
        done = self.call('plan', 'corpus.yaml', *planned)
        assert done.returncode == 0, done.stderr
        return [job['shard'] for job in json.loads(done.stdout)['include']]

    def run(self, shard: int) -> Path:
        there = self.folder / f'machine-{shard}'
        shutil.copytree(self.folder / 'run', there)
        assert self.call('shard', there, str(shard)).returncode == 0
        return there

    def merge(self, *parts: Path) -> tuple[int, dict[str, Any]]:
        done = self.call('report', 'merged', '--merge', *parts)
        assert 'Traceback' not in done.stderr
        return done.returncode, json.loads((self.folder / 'merged' / 'bundle.json').read_text())


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    return Machines(tmp_path)


def verdicts(bundle: dict[str, Any]) -> dict[str, str]:
    return {journey['id']: journey['verdict'] for journey in bundle['journeys']}


def test_parts_that_came_back_make_the_whole(machines: Machines) -> None:
    parts = [machines.run(shard) for shard in machines.plan(CORPUS.replace('GATE', 'open'))]
    status, bundle = machines.merge(*parts)
    assert (status, set(verdicts(bundle).values())) == (0, {'passed'})
    assert sorted(journey['shard'] for journey in bundle['journeys']) == [1, 1, 2, 3]


def test_the_merge_shuts_the_doors_that_no_shard_could_see(machines: Machines) -> None:
    parts = [machines.run(shard) for shard in machines.plan(CORPUS.replace('GATE', 'shut'))]
    status, bundle = machines.merge(*parts)
    assert status == 1
    assert verdicts(bundle) == {'gate': 'failed', 'maker': 'passed', 'user': 'deferred', 'other': 'deferred'}
    user = next(journey for journey in bundle['journeys'] if journey['id'] == 'user')
    assert user['root'] == 'gate'
    assert user['steps'][0]['stdout'] == 'it\n'  # its evidence is kept


def test_a_part_that_did_not_come_back_is_not_measured(machines: Machines) -> None:
    shards = machines.plan(CORPUS.replace('GATE', 'open'))
    parts = {shard: machines.run(shard) for shard in shards}
    lost = json.loads((machines.folder / 'run' / 'plan.json').read_text())['shards'][0][0]['journeys']
    status, bundle = machines.merge(*(parts[shard] for shard in shards if shard != 1))
    assert status == 3
    assert {name for name, verdict in verdicts(bundle).items() if verdict == 'infra'} >= set(lost)
    assert 'failed' not in verdicts(bundle).values()


def test_parts_of_two_plans_are_not_one_run(machines: Machines, tmp_path: Path) -> None:
    one = [machines.run(shard) for shard in machines.plan(CORPUS.replace('GATE', 'open'))]
    (tmp_path / 'second').mkdir()
    second = Machines(tmp_path / 'second')
    other = [second.run(shard) for shard in second.plan(CORPUS.replace('id: other', 'id: another'))]
    done = machines.call('report', 'merged', '--merge', one[0], other[1])
    assert done.returncode == 2
    assert 'another plan' in done.stderr

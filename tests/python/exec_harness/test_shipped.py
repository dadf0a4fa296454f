"""The shipped scenarios on the real Codex, and the gate as a journey on it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.python.exec_harness.agents import CODEX, REAL, STUB, needs_codex

REPOSITORY = Path(__file__).resolve().parents[3]
RUN_SCENARIOS = REPOSITORY / 'hack/exec_harness/run_scenarios.py'
JOURNEYS = REPOSITORY / 'journeys/exec-gate'


def gate(agent: Path, out: Path, *more: str | Path) -> dict[str, dict[str, Any]]:
    """Run the shipped scenarios; returns the results by scenario."""
    ran = subprocess.run(
        [sys.executable, RUN_SCENARIOS, 'run', f'--agent-bin={agent}', f'--out={out}', '--format=jsonl', *more],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode in (0, 1, 3), ran.stderr
    return {result['scenario']: result for result in map(json.loads, ran.stdout.splitlines())}


@pytest.mark.parametrize('version', REAL)
def test_codex_keeps_every_shipped_scenario(version: str, tmp_path: Path) -> None:
    if not REAL[version].exists():
        pytest.skip(f'Codex {version} is not installed (hack/exec_harness/install_agent.sh {version})')
    results = gate(REAL[version], tmp_path)
    assert len(results) >= 20
    unseen = {'egress-caught': 'skipped'} if results['egress-caught']['verdict'] == 'skipped' else {}
    not_passed = {name: result['cause'] for name, result in results.items() if result['verdict'] != 'passed'}
    assert not_passed.keys() == unseen.keys(), not_passed


@needs_codex
def test_two_runs_of_codex_are_the_same(tmp_path: Path) -> None:
    results = gate(CODEX, tmp_path, '--twice', REPOSITORY / 'hack/exec_harness/scenarios/resume-second-turn.yaml')
    assert {result['verdict'] for result in results.values()} == {'passed'}


def test_no_shipped_scenario_is_green_whatever_the_agent_does(tmp_path: Path) -> None:
    results = gate(STUB, tmp_path)
    assert [name for name, result in results.items() if result['verdict'] == 'passed'] == []


# -- as a journey ----------------------------------------------------------------------------


def journeys(folder: Path, **environment: str) -> dict[str, dict[str, Any]]:
    folder.mkdir()
    subprocess.run(
        [REPOSITORY / 'hack/dogfood/dogfood.sh', '--run-dir', folder / 'run', '--shards', '1', JOURNEYS],
        cwd=folder,
        env={'PATH': os.environ['PATH'], 'HOME': str(folder), 'TMPDIR': str(folder), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
    )
    bundle = json.loads((folder / 'run/bundle.json').read_text())
    return {journey['id']: journey for journey in bundle['journeys']}


@needs_codex
def test_the_gate_as_a_journey_establishes_that_it_is_green(tmp_path: Path) -> None:
    found = journeys(tmp_path / 'real', AGENT_BIN=str(CODEX))
    assert {name: journey['verdict'] for name, journey in found.items()} == {
        'exec-gate-is-green': 'passed',
        'exec-gate-runs-agree': 'passed',
    }


def test_an_agent_that_breaks_its_contract_fails_the_journey_and_blocks_what_stands_on_it(tmp_path: Path) -> None:
    found = journeys(tmp_path / 'lie', AGENT_BIN=str(STUB))
    assert {name: journey['verdict'] for name, journey in found.items()} == {
        'exec-gate-is-green': 'failed',
        'exec-gate-runs-agree': 'blocked',
    }


@pytest.mark.skipif(
    (REPOSITORY / '.tools/codex-0.99.0/codex').exists() or shutil.which('codex') is not None,
    reason='an agent is installed',
)
def test_without_an_agent_the_journey_is_skipped_and_says_which_is_missing(tmp_path: Path) -> None:
    found = journeys(tmp_path / 'none')
    assert found['exec-gate-is-green']['verdict'] == 'skipped'
    assert 'Codex' in found['exec-gate-is-green']['cause']


@needs_codex
def test_commands_are_for_any_shell_of_the_users(tmp_path: Path) -> None:
    """An agent runs them in the login shell that the machine knows of its user."""
    own = [line for line in Path('/etc/passwd').read_text().splitlines() if f':{os.getuid()}:' in line]
    (tmp_path / 'passwd').write_text(''.join(f'{line.rpartition(":")[0]}:/bin/sh\n' for line in own))
    names = ('egress-caught', 'gh-issue-flow', 'workspace-write')
    scenarios = ' '.join(f'hack/exec_harness/scenarios/{name}.yaml' for name in names)
    run = f'{sys.executable} {RUN_SCENARIOS} run {scenarios} --agent-bin {CODEX} --out {tmp_path}/out'
    enter = ['unshare', '--mount', *(['--map-root-user'] if os.getuid() else []), 'sh', '-c']
    told = f'mount --bind {tmp_path}/passwd /etc/passwd || exit 42; {run} --format jsonl'
    ran = subprocess.run([*enter, told], cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    if ran.returncode in (1, 42) and not ran.stdout:
        pytest.skip(f'no name space of mounts here: {ran.stderr.strip()}')
    verdicts = {result['scenario']: result['verdict'] for result in map(json.loads, ran.stdout.splitlines())}
    assert set(verdicts) == set(names), ran.stderr
    assert set(verdicts.values()) <= {'passed', 'skipped'}, ran.stdout

"""Every shipped scenario sees through a lie about what it claims, and says what was wrong.

A lie is the real Codex with one thing changed on its way: `tests/corpora/lying_agents/liar.py` tells it, and
`lies.yaml` beside that says which expectations of which scenarios it must break: these, and no others.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.exec_harness.driving import enclosure
from tests.corpora.lying_agents.liar import LIES
from tests.python.exec_harness.agents import REAL

REPOSITORY = Path(__file__).resolve().parents[3]
SCENARIOS = REPOSITORY / 'hack/exec_harness/scenarios'
RUN_SCENARIOS = REPOSITORY / 'hack/exec_harness/run_scenarios.py'
LIAR = REPOSITORY / 'tests/corpora/lying_agents/liar.py'
TABLE: dict[str, dict[str, list[str]]] = yaml.safe_load(LIAR.with_name('lies.yaml').read_text())
LIMIT = {'waits-for-ever': 8}  # seconds: as long as the test waits for it


def shipped() -> dict[str, Any]:
    return {path.stem: yaml.safe_load(path.read_text()) for path in SCENARIOS.glob('*.yaml')}


def told(folder: Path) -> Path:
    """A folder with each scenario of the table, once for each lie that is told to it."""
    folder.mkdir()
    for needed in (path for path in SCENARIOS.iterdir() if path.is_dir()):
        (folder / needed.name).symlink_to(needed)
    scenarios = shipped()
    for lie, name in ((lie, name) for lie, broken in TABLE.items() for name in broken):
        limit = {'timeout_seconds': LIMIT[lie]} if lie in LIMIT else {}
        lied_to = {**scenarios[name], **limit, 'name': f'{lie} {name}', 'env': {'LIE': lie}}
        (folder / f'{lie}-{name}.json').write_text(json.dumps(lied_to))
    return folder


def findings(folder: Path) -> dict[str, dict[str, list[str]]]:
    """By lie and scenario, what a run found in it."""
    found: dict[str, dict[str, list[str]]] = {}
    for path in folder.glob('*/*/result.json'):
        result = json.loads(path.read_text())
        lie, name = result['name'].split()
        claims = sorted({finding['claim'] for finding in result['findings']})
        found.setdefault(lie, {})[name] = claims if result['verdict'] == 'failed' else [result['verdict']]
    return found


@pytest.mark.parametrize('version', ['0.99.0', '0.169.0'])  # 0.142.3 may lose, unasked, what it tells of commands
def test_each_lie_breaks_what_it_is_about_and_nothing_else(version: str, tmp_path: Path) -> None:
    if not REAL[version].exists():
        pytest.skip(f'Codex {version} is not installed (hack/exec_harness/install_agent.sh {version})')
    agent = tmp_path / 'codex'
    agent.write_text(
        f'#!/bin/sh\nexec {shlex.join([sys.executable, "-I", "-S", str(LIAR), str(REAL[version])])} "$@"\n'
    )
    agent.chmod(0o755)
    jobs = 2 * (os.cpu_count() or 1)  # an agent mostly waits
    options = (f'--agent-bin={agent}', f'--out={tmp_path / "out"}', f'--jobs={jobs}')
    ran = subprocess.run(
        [sys.executable, RUN_SCENARIOS, 'run', told(tmp_path / 'scenarios'), *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert ran.returncode == 1, ran.stderr
    assert findings(tmp_path / 'out') == {
        lie: {name: seen_here(lie, name, claims) for name, claims in broken.items()} for lie, broken in TABLE.items()
    }


def seen_here(lie: str, name: str, claims: list[str]) -> list[str]:
    """What a lie breaks where the kernel gives the agent no network of its own, too."""
    if enclosure.obstacle() and (name == 'egress-caught' or lie == 'phones-home'):
        return ['skipped' if name == 'egress-caught' else 'passed']
    return sorted(claims)


def expectations(scenario: dict[str, Any]) -> set[str]:
    """Each thing that it expects, as findings call it."""
    return {f'expect.{key}{part}' for key, value in scenario['expect'].items() for part in parts(value)}


def parts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f'.{name}' for name in value]
    return [f'[{number}]' for number in range(len(value))] if isinstance(value, list) else ['']


@pytest.mark.parametrize('name', sorted(shipped()))
def test_nothing_is_expected_that_no_lie_breaks(name: str) -> None:
    broken = {claim for scenarios in TABLE.values() for claim in scenarios.get(name, ())}
    idle = [each for each in expectations(shipped()[name]) if not any(claim.startswith(each) for claim in broken)]
    assert idle == []


def test_every_lie_stands_in_the_table() -> None:
    assert sorted(TABLE) == sorted(LIES)

"""A scaffolded project lives by the engine it is pinned to, and not at all where its fleet has it as disabled."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hack.common import process
from hack.orchestrator.proof import scratch
from tests.python.orchestrator.test_create_project import create, engine, git
from tests.python.runs import need_commands

__all__ = ['engine']  # a fixture

STATUS = 'phase: -\nworker    persistent  demo  none  heal  {0}\nwatchdog  service     -     -     -     {0}\n'


@pytest.fixture
def project(engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A registered project; whatever it has started is ended."""
    need_commands('tmux', 'git')
    monkeypatch.setenv('SCRATCH_PROJECT', str(tmp_path))
    ended = create(engine, tmp_path, 'alone', '--ref', 'v0.1.0', '--register', tmp_path / 'fleet.toml')
    assert ended.returncode == 0, ended.stderr
    try:
        yield tmp_path / 'alone'
    finally:
        process.end_all(lambda: process.marked(f'SCRATCH_PROJECT={tmp_path}'))


def run(
    project: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, 'engine/hack/orchestrator/run_agents.py', *map(str, arguments)]
    given = {**os.environ, **(environment or {})}
    return subprocess.run(
        command, cwd=project, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


def test_its_life_from_status_to_nothing(project: Path) -> None:
    assert run(project, 'status').stdout == STATUS.format('stopped')
    assert git(project, 'status', '--porcelain') == ''
    assert run(project, 'up').returncode == 0
    assert scratch.until(lambda: run(project, 'status').stdout == STATUS.format('RUNNING'), 20)
    assert run(project, 'down').returncode == 0
    assert run(project, 'status').stdout == STATUS.format('stopped')
    assert git(project, 'status', '--porcelain') == ''
    shutil.rmtree(project)
    assert scratch.until(lambda: not process.marked(f'SCRATCH_PROJECT={project.parent}'), 20)


def test_disabled_it_does_not_come_up_by_any_route(project: Path) -> None:
    registry = project.parent / 'fleet.toml'
    registry.write_text(registry.read_text().replace('enabled = true', 'enabled = false'))
    elsewhere = registry.rename(project.parent.parent / f'{project.parent.name}-fleet.toml')
    elsewhere.write_text(elsewhere.read_text().replace('"alone"\nref', f'"{project}"\nref'))
    run_fleet = [sys.executable, str(project / 'engine/hack/orchestrator/run_fleet.py'), '--fleet', str(elsewhere)]
    assert subprocess.run([*run_fleet, 'up', 'alone'], capture_output=True, timeout=60).returncode == 2
    everybody = subprocess.run([*run_fleet, 'up'], capture_output=True, text=True, timeout=60)
    assert (everybody.returncode, everybody.stdout) == (0, 'alone: disabled, left as it is\n')
    for verb in ('up', 'watchdog'):
        ended = run(project, verb, environment={'AGENT_FLEET': str(elsewhere)})
        assert (ended.returncode, "the project 'alone' is disabled" in ended.stderr) == (2, True)
    elsewhere.rename(registry)
    assert "the project 'alone' is disabled" in run(project, 'up').stderr
    assert not (project / '.ao-state').exists()


def test_the_fleet_brings_it_up_and_down_and_says_how_it_is(project: Path) -> None:
    run_fleet = [sys.executable, str(project / 'engine/hack/orchestrator/run_fleet.py')]

    def fleet(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*run_fleet, '--fleet', 'fleet.toml', *arguments]
        return subprocess.run(command, cwd=project.parent, capture_output=True, text=True, timeout=60)

    before = {path: path.lstat().st_mtime_ns for path in project.parent.rglob('*')}
    assert '0/2 running' in fleet('status').stdout
    assert {path: path.lstat().st_mtime_ns for path in project.parent.rglob('*')} == before
    assert fleet('up').returncode == 0
    assert scratch.until(lambda: '2/2 running' in fleet('status').stdout, 20)
    assert fleet('status').stdout.splitlines()[1].split() == ['alone', 'yes', '2/2', 'running', '-', 'v0.1.0']
    git(project / 'engine', 'checkout', '-q', 'main')
    moved = git(project / 'engine', 'rev-parse', '--short', 'HEAD').strip()
    assert f'{moved}, not v0.1.0' in fleet('status').stdout
    assert fleet('down', 'alone').returncode == 0
    assert '0/2 running' in fleet('status').stdout


def test_the_documents_of_init_replace_the_scaffold(project: Path) -> None:
    assert run(project, 'init', '.').returncode == 0
    assert run(project, 'validate').stdout == 'OK: 2 agents, 2 phases\n'
    assert 'session_prefix = "alone-"' in (project / 'agents.toml').read_text()

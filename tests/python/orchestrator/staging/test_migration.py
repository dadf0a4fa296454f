"""The verbs of a migration, as a user types them: exit statuses, what they print, and that reading writes nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hack.orchestrator.proof import scratch
from tests.python.orchestrator.migrating import Migration, migration
from tests.python.runs import need_commands

RUN_AGENTS = Path(scratch.__file__).parents[1] / 'run_agents.py'


@pytest.fixture
def made(tmp_path: Path) -> Migration:
    need_commands('tmux')
    return migration(tmp_path)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONDONTWRITEBYTECODE'}
    command = [sys.executable, str(RUN_AGENTS), *map(str, arguments)]
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


def manifest(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_ino) for path in folder.rglob('*')}


def test_parity_of_two_that_are_equal(made: Migration) -> None:
    ended = run('parity', made.live.parent, made.staged.parent, '--no-state')
    assert (ended.returncode, ended.stderr) == (0, '')
    assert ended.stdout == 'phases    equal (2)\nmodels    equal (10)\nkickoffs  equal (10)\nstatus    equal (1)\n'


def test_parity_with_state_sees_that_they_are_in_different_phases(made: Migration) -> None:
    ended = run('parity', made.live, made.staged, '--format', 'json')
    assert ended.returncode == 1
    told = {one['subject']: one['difference'] for one in json.loads(ended.stdout)}
    assert told['status'].startswith("line 1, column 8: live 'phase: two [2/2]")
    assert {subject for subject, difference in told.items() if difference} == {'status'}


def test_parity_of_what_differs_is_red(made: Migration) -> None:
    made.staged.write_text(made.staged.read_text().replace('"opus"', '"sonnet"'))
    ended = run('parity', made.live, made.staged, '--no-state')
    assert ended.returncode == 1
    assert "phases    phases[0].models.builder: live 'opus', staged 'sonnet'\n" in ended.stdout


def test_a_bad_file_is_misuse(made: Migration) -> None:
    made.staged.write_text('[defaults]\nsession_prefx = "x-"\n')
    ended = run('parity', made.live, made.staged)
    assert ended.returncode == 2
    assert "unknown key 'session_prefx' (did you mean 'session_prefix'?)" in ended.stderr


def test_a_baseline_is_taken_and_checked(made: Migration) -> None:
    taken = run('--config', made.live, 'baseline', 'take', '--also', made.boot)
    assert taken.stdout == f'{made.live.parent}/.ao/state/baseline.json: 5 files, 5 sessions\n'
    before = manifest(made.folder)
    assert run('--config', made.live, 'baseline', 'check').stdout.startswith('nothing has moved since ')
    assert manifest(made.folder) == before
    made.boot.write_text('moved')
    ended = run('--config', made.live, 'baseline', 'check', '--format', 'json')
    assert (ended.returncode, json.loads(ended.stdout)['moved']) == (1, [f'{made.boot}: changed'])


def test_a_session_that_came_is_seen_by_the_baseline(made: Migration, tmp_path: Path) -> None:
    record = tmp_path / 'record.json'
    with scratch.scratch('[defaults]\nsession_prefix = "b-"\nlog_dir = ".ao"\n', tmp_path / 'scratch') as there:
        assert there.verb('baseline', 'take', str(record)).returncode == 0
        assert there.verb('up').returncode == 0
        assert scratch.until(lambda: 'RUNNING' in there.states().values(), 20)
        moved = there.verb('baseline', 'check', str(record))
        assert (moved.returncode, moved.stdout) == (1, 'session watchdog: stopped then, RUNNING now\n')
        assert there.verb('down').returncode == 0


def test_reading_verbs_write_nothing(made: Migration) -> None:
    before = manifest(made.folder), manifest(RUN_AGENTS.parent)
    both = ('--boot', made.boot, '--fleet', made.registry)
    assert run('parity', made.live, made.staged).returncode == 1
    plan = run('cutover', 'plan', made.live, made.staged, *both)
    assert plan.returncode == 0
    assert plan.stdout.startswith(f'# Cutover of {made.live} to {made.staged}\n')
    assert run('--config', made.live, 'baseline', 'check').returncode == 2
    assert (manifest(made.folder), manifest(RUN_AGENTS.parent)) == before


def test_live_and_staged_being_one_is_misuse_in_a_line(made: Migration) -> None:
    ended = run('cutover', 'plan', made.live, made.live)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)

"""A baseline knows every file the config names, and says of each thing how it moved."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hack.common import files
from hack.common.errors import UserError
from hack.orchestrator.config import agents
from hack.orchestrator.model import Config, Sighting, Standing, State
from hack.orchestrator.staging import baseline
from tests.python.orchestrator.projects import PAIR, PAIR_FILES, project

FIRST = Standing()
RUNNING = {'builder': Sighting(State.RUNNING, ('stalled',))}
ROLES = {'roles/builder.md': 'build', 'roles/adversary.md': 'refute', 'docs/STATUS-one.md': 'begun', 'last.md': 'end'}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    text = PAIR.replace('[loop]', '[loop]\nroles_dir = "roles"').replace('"task"', '"task"\nprompt = "last.md"')
    return agents.load(project(tmp_path, text, {**PAIR_FILES, **ROLES}), {})


def moved(record: Mapping[str, Any], config: Config, standing: Standing = FIRST, seen: Any = RUNNING) -> list[str]:
    return baseline.moved(record, baseline.again(record, config, standing, seen))


def test_it_holds_the_digest_of_every_file_the_config_names(config: Config, tmp_path: Path) -> None:
    record = baseline.take(config, Standing(1), RUNNING, [tmp_path / 'boot.sh'])
    wanted = ['agents.toml', *PAIR_FILES, *ROLES]
    digests = {str(tmp_path / name): hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in wanted}
    assert record['files'] == {**digests, str(tmp_path / 'boot.sh'): '-'}
    assert (record['phase_index'], record['complete']) == (1, False)
    assert record['sessions'] == {
        'builder': 'RUNNING',
        'adversary': 'stopped',
        'wrap-up': 'stopped',
        'watchdog': 'stopped',
    }


def test_nothing_has_moved_where_nothing_has(config: Config) -> None:
    assert moved(baseline.take(config, Standing(), RUNNING), config) == []


def test_it_says_how_each_thing_moved(config: Config, tmp_path: Path) -> None:
    record = baseline.take(config, Standing(), RUNNING, [tmp_path / 'boot.sh'])
    (tmp_path / 'boot.sh').write_text('x')
    (tmp_path / 'kickoff.md').write_text('{phase_id}{plan}{status}{role}')
    (tmp_path / 'plans/plan-two.md').unlink()
    assert moved(record, config, Standing(1, complete=True), {}) == [
        f'{tmp_path}/kickoff.md: changed',
        f'{tmp_path}/plans/plan-two.md: gone',
        f'{tmp_path}/boot.sh: new',
        'phase: 1 then, 2 now',
        'phases: in progress then, complete now',
        'session builder: RUNNING then, stopped now',
    ]


def test_another_agent_in_the_config_is_told(config: Config, tmp_path: Path) -> None:
    record = baseline.take(config, Standing(), RUNNING)
    path = tmp_path / 'agents.toml'
    path.write_text(path.read_text().replace('"wrap-up"', '"finish"'))
    assert moved(record, agents.load(path, {})) == [
        f'{path}: changed',
        'session wrap-up: stopped then, no agent now',
        'session finish: no agent then, stopped now',
    ]


def test_it_is_read_back_as_it_was_written(config: Config, tmp_path: Path) -> None:
    record = baseline.take(config, Standing(), RUNNING)
    files.write_json(tmp_path / 'b.json', record)
    assert baseline.read(tmp_path / 'b.json') == record


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        (None, 'cannot be read: No such file or directory (baseline take makes one)'),
        ('{', 'is not JSON (take the baseline anew)'),
        ('[]', 'is no baseline of this version (take it anew)'),
        ('{"format": 9}', 'is no baseline of this version (take it anew)'),
    ],
)
def test_what_is_no_baseline_is_said_in_a_line(tmp_path: Path, text: str | None, problem: str) -> None:
    path = tmp_path / 'b.json'
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as raised:
        baseline.read(path)
    assert raised.value.problems == (f'{path}: {problem}',)

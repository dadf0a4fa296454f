"""The example really runs: up, a phase advanced by its done marker, a heal, down, and nothing left."""

import os
import subprocess
from pathlib import Path

from hack.common import process
from hack.orchestrator.config import agents, scaffold
from tests.python.runs import need_commands

UP = ['builder    loop     demo  none  heal+stall  RUNNING', 'adversary  loop     demo  none  heal+stall  RUNNING']


def test_the_demo_goes_through_a_whole_life_and_leaves_nothing(tmp_path: Path) -> None:
    need_commands('tmux', 'git')
    ended = subprocess.run(
        [scaffold.EXAMPLE / 'demo.sh'],
        env={**os.environ, 'TMPDIR': str(tmp_path), 'EXAMPLE_DEMO': str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stderr) == (0, '')
    up, work, heal, down = [part.splitlines() for part in ended.stdout.split('\n== ')[2:]]
    assert up[-4:] == [
        'phase: greet [1/2] plan=plan-phase-greet.md (in progress)',
        *UP,
        'watchdog   service  -     -     -           RUNNING',
    ]
    assert '  claim(greet): ./greet prints hello' in work
    assert 'phase: remember [2/2] plan=plan-phase-remember.md (in progress)' in work
    assert set(UP) <= set(heal)
    assert [line.split()[-1] for line in down if line.startswith(('builder', 'adversary', 'watchdog'))] == [
        'stopped'
    ] * 3
    assert list(tmp_path.iterdir()) == []
    assert process.marked(f'EXAMPLE_DEMO={tmp_path}') == []


def test_what_init_writes_is_valid(tmp_path: Path) -> None:
    scaffold.init(tmp_path / 'pair')
    config = agents.load(tmp_path / 'pair/agents.toml', {})
    assert config.prefix == 'pair-'
    assert [(agent.name, agent.kind, agent.role) for agent in config.agents[:2]] == [
        ('builder', 'loop', 'builder'),
        ('adversary', 'loop', 'adversary'),
    ]
    assert [phase.id for phase in config.loop.phases] == ['greet', 'remember']

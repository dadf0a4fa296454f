"""Who works in a run directory is known for sure: by a lock and a card, never by a pid alone."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.common import files, process
from hack.common.errors import UserError
from hack.dogfood.rundir import RunDir
from hack.dogfood.running import tenants


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    for number in (1, 2, 3):
        (tmp_path / 'shards' / str(number)).mkdir(parents=True)
    return RunDir(tmp_path)


@pytest.fixture
def sleeper() -> Iterator[process.Process]:
    with subprocess.Popen(['sleep', '300']) as child:
        found = process.look_up(child.pid)
        assert found
        yield found
        child.kill()


def test_a_claim_lasts_as_long_as_its_owner(run_dir: RunDir, sleeper: process.Process) -> None:
    assert not tenants.is_owned(run_dir)
    with tenants.claim(run_dir, sleeper.pid), pytest.raises(UserError, match='another run is being started there'):
        tenants.claim(run_dir, None).__enter__()
    assert tenants.is_owned(run_dir)
    with pytest.raises(UserError, match='a run goes on there'):
        tenants.claim(run_dir, None).__enter__()
    process.send(sleeper, signal.SIGKILL)
    while process.is_alive(sleeper):
        time.sleep(0.001)
    assert not tenants.is_owned(run_dir)  # nobody has waited for it: it is a zombie now
    with tenants.claim(run_dir, None):
        pass


@pytest.mark.parametrize('said', ['', '{', '[]', '{"pid": 1}', '{"pid": "x", "started": 1, "boot": ""}'])
def test_a_card_that_says_nothing_owns_nothing(run_dir: RunDir, said: str) -> None:
    run_dir.owner.write_text(said)
    assert not tenants.is_owned(run_dir)


@pytest.mark.parametrize('lie', [{'started': 1}, {'boot': 'another'}, {'pid': 1}])
def test_a_pid_alone_is_no_proof(run_dir: RunDir, sleeper: process.Process, lie: dict[str, object]) -> None:
    with tenants.claim(run_dir, sleeper.pid):
        pass
    run_dir.owner.write_text(json.dumps(files.read_json(run_dir.owner) | lie))
    assert not tenants.is_owned(run_dir)


def test_one_process_runs_a_shard(run_dir: RunDir) -> None:
    assert tenants.running(run_dir) == []
    with tenants.shard_lock(run_dir, 2):
        assert tenants.running(run_dir) == [2]
        with pytest.raises(UserError, match='shard 2 is running already'):
            tenants.shard_lock(run_dir, 2).__enter__()
        with pytest.raises(UserError, match='shard 2 of it still runs'):
            tenants.claim(run_dir, None).__enter__()
        with tenants.shard_lock(run_dir, 1):
            assert tenants.running(run_dir) == [1, 2]
    assert tenants.running(run_dir) == []
    with pytest.raises(UserError, match=r'the plan has no shard 4 \(it has 3\)'):
        tenants.shard_lock(run_dir, 4).__enter__()


def test_forgotten_shards_leave_no_lock(run_dir: RunDir) -> None:
    with tenants.shard_lock(run_dir, 2):
        pass
    tenants.forget_shards(run_dir)
    assert not run_dir.shard_lock(2).exists()
    with tenants.shard_lock(run_dir, 2), pytest.raises(UserError, match='shard 2 is running already'):
        tenants.forget_shards(run_dir)


SHARD = """
import signal, sys, time
from pathlib import Path
from hack.dogfood.running import tenants
from hack.dogfood.rundir import RunDir

ends = int(sys.argv[2])
stops = []
signal.signal(signal.SIGTERM, lambda *_: stops.append(1))
with tenants.shard_lock(RunDir(Path(sys.argv[1])), 1):
    while len(stops) < ends:
        time.sleep(0.01)
"""


@pytest.mark.parametrize(('told', 'handed_on', 'hears'), [(1, 0, 1), (2, 1, 1)])
def test_waiting_for_shards_hands_on_what_is_told(run_dir: RunDir, told: int, handed_on: int, hears: int) -> None:
    house = Path(tenants.__file__).resolve().parents[3]
    with subprocess.Popen(['python3', '-c', SHARD, str(run_dir.path), str(hears)], cwd=house) as shard:
        while not (run_dir.shard_lock(1).exists() and run_dir.shard_lock(1).stat().st_size):
            assert shard.poll() is None
            time.sleep(0.01)
        said = [handed_on]
        timer = threading.Timer(0.2, lambda: said.append(told))
        timer.start()
        tenants.wait_for_shards(run_dir, lambda: said[-1], handed_on)
        assert shard.wait() == 0
        assert said[-1] == told


def test_survivors_of_a_shard_at_work_are_its_own(run_dir: RunDir, tmp_path: Path) -> None:
    roots = [tmp_path / 'root-1', tmp_path / 'root-2']
    for number, root in enumerate(roots, 1):
        root.mkdir()
        run_dir.root(number).symlink_to(root)
    mark = {'PATH': os.environ['PATH'], 'DOGFOOD_CAPABILITIES': str(run_dir.capabilities)}
    steps = [subprocess.Popen(['sleep', '300'], env={**mark, 'DOGFOOD_DATA_DIR': f'{root}/7/data'}) for root in roots]
    stranger = subprocess.Popen(['sleep', '300'], env={**mark, 'DOGFOOD_CAPABILITIES': f'{run_dir.capabilities}2'})
    try:
        with tenants.shard_lock(run_dir, 1):
            assert tenants.end_survivors(run_dir) == [f'sleep (pid {steps[1].pid})']
        assert steps[0].poll() is None
        assert tenants.end_survivors(run_dir) == [f'sleep (pid {steps[0].pid})']
        assert tenants.end_survivors(run_dir) == []
        assert stranger.poll() is None
    finally:
        for one in (*steps, stranger):
            one.kill()
            one.wait()

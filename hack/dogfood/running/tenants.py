"""Who is at work in a run directory: the script that owns it, the shards that hold their locks, what killed ones left.

Whoever works there leaves a card, `{pid, started, boot}`, in the file whose lock says that it still does; so a pid
that another program has by now is never taken for it, and never signalled.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.common import files, process
from hack.common.errors import UserError
from hack.common.process import Process
from hack.dogfood.rundir import RunDir

_LOOK_SECONDS = 0.05


@contextmanager
def claim(run_dir: RunDir, owner: int | None) -> Iterator[None]:
    """The run directory for us alone, and then for `owner` as long as it lives; raises UserError where it is taken."""
    lock = files.try_lock(run_dir.lock)
    if lock is None:
        raise UserError(f'{run_dir.path}: another run is being started there (wait, or name another folder)')
    try:
        if is_owned(run_dir):
            raise UserError(f'{run_dir.path}: a run goes on there (wait for it, or name another folder)')
        if number := next(iter(running(run_dir)), None):
            raise UserError(f'{run_dir.path}: shard {number} of it still runs (wait for it, or end it)')
        if owner is not None and (its := process.look_up(owner)):
            files.write_atomic(run_dir.owner, _card(its))
        yield
    finally:
        os.close(lock)


@contextmanager
def shard_lock(run_dir: RunDir, number: int) -> Iterator[None]:
    """Be the one process that runs the shard; raises UserError where there is another, or no such shard."""
    if not run_dir.shard(number).is_dir():
        raise UserError(f'{run_dir.path}: the plan has no shard {number} (it has {len(run_dir.shard_numbers())})')
    lock = files.try_lock(run_dir.shard_lock(number))
    if lock is None:
        raise UserError(f'{run_dir.path}: shard {number} is running already (wait for it, or end it)')
    try:
        if its := process.look_up(os.getpid()):
            os.ftruncate(lock, 0)
            os.write(lock, _card(its).encode())
        yield
    finally:
        os.close(lock)


def forget_shards(run_dir: RunDir) -> None:
    """Remove the locks of shards that are gone, so that nobody takes one for a shard that has been here; may raise."""
    for number in run_dir.shard_numbers():
        with shard_lock(run_dir, number):
            run_dir.shard_lock(number).unlink()


def is_owned(run_dir: RunDir) -> bool:
    """Whether the script that was started there last still lives."""
    return _read_card(run_dir.owner) is not None


def running(run_dir: RunDir) -> list[int]:
    """The shards that are at work now."""
    return [number for number in run_dir.shard_numbers() if files.lock_is_held(run_dir.shard_lock(number))]


def wait_for_shards(run_dir: RunDir, told_to_stop: Callable[[], int], handed_on: int = 0) -> None:
    """Until no shard is at work; each time `told_to_stop` says more than was handed on, those that are hear it."""
    while at_work := running(run_dir):
        if told_to_stop() > handed_on:
            handed_on = told_to_stop()
            for number in at_work:
                if its := _read_card(run_dir.shard_lock(number)):
                    process.send(its, signal.SIGTERM)
        time.sleep(_LOOK_SECONDS)


def end_survivors(run_dir: RunDir) -> list[str]:
    """End what killed shards left running, and nothing of the shards that are at work; returns what was ended."""
    busy = [f'{root}/' for number in running(run_dir) if (root := _root(run_dir, number))]
    idle = [root for number in run_dir.shard_numbers() if (root := _root(run_dir, number)) and f'{root}/' not in busy]
    mark = f'DOGFOOD_CAPABILITIES={run_dir.capabilities}'

    def find() -> list[Process]:
        marked = process.marked(mark)
        ours = [its for its in marked if not process.value_of(its.pid, 'DOGFOOD_DATA_DIR').startswith(tuple(busy))]
        return ours + [its for root in idle for its in process.hidden_in(root)]

    return [f'{gone.name} (pid {gone.pid})' for gone in process.end_all(find)]


def _root(run_dir: RunDir, number: int) -> str | None:
    try:
        return os.readlink(run_dir.root(number))
    except OSError:
        return None


def _card(its: Process) -> str:
    return json.dumps({'pid': its.pid, 'started': its.started, 'boot': files.boot_id()}) + '\n'


def _read_card(path: Path) -> Process | None:
    """The process that left its card there, if it lives."""
    try:
        said = files.read_json(path)
        its = process.look_up(said['pid'])
        lives = its is not None and its.started == said['started'] and its.state not in 'ZX'
        return its if lives and said['boot'] == files.boot_id() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None

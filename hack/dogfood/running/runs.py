"""The runs below a caller's .dogfood: found by what people call them, and the oldest removed."""

import os
from pathlib import Path
from typing import Final

from hack.common.errors import Exit, UserError
from hack.dogfood.rundir import RunDir, read_run
from hack.dogfood.running import tenants, workspace

KEPT: Final = 20


def find(state: Path, wanted: str) -> RunDir:
    """`latest`, or a run's folder; raises UserError where there is none."""
    path = state / 'latest' if wanted == 'latest' else Path(wanted)
    if not (path / 'run.json').is_file():
        what = 'there is no earlier run here' if wanted == 'latest' else 'is not the folder of a run'
        raise UserError(f'{path}: {what} (start one without RESUME)')
    return RunDir(path.resolve())


def latest(state: Path) -> RunDir:
    """The run that was started last, where there is one."""
    return RunDir(state / 'latest')


def point_latest(state: Path, run: str) -> None:
    """Make the run of this name the latest, at once for all who look."""
    beside = state / f'.latest-{run}'
    beside.symlink_to(Path('runs') / run)
    beside.replace(latest(state).path)


def bundle(state: Path, name: str) -> Path:
    """The bundle of a run, which is a folder, a bundle, an id, `latest` or `previous`; raises UserError."""
    if name in ('latest', 'previous'):
        return _recent(state, name)
    for path in (Path(name), state / 'runs' / name):
        if path.is_dir():
            return RunDir(path).bundle
        if path.is_file():
            return path
    raise UserError(f'{name}: is no run (name its folder, its bundle.json, its id, latest or previous)')


def _recent(state: Path, name: str) -> Path:
    runs = state / 'runs'
    told = [path for path in runs.iterdir() if RunDir(path).bundle.is_file()] if runs.is_dir() else []
    last = latest(state).path.resolve()
    before = [path for path in told if _begun(path) < _begun(last)]
    if name == 'latest' and RunDir(last).bundle.is_file():
        return RunDir(last).bundle
    if name == 'previous' and before:
        return RunDir(max(before, key=_begun)).bundle
    raise UserError(f'{state}: there is no {name} run with a bundle (make dogfood makes one)', Exit.BROKEN)


def _begun(run: Path) -> tuple[str, int]:
    """The second, by its name, and within it when the plan was written, which is done once."""
    plan = RunDir(run).plan
    return run.name.partition('-')[0], plan.stat().st_mtime_ns if plan.is_file() else 0


def prune(state: Path, keep: int = KEPT) -> None:
    """Remove the oldest runs and what is left of their chains; never one that still goes on."""
    runs = sorted(path for path in (state / 'runs').iterdir() if (path / 'run.json').is_file())
    for path in runs[:-keep] if keep else runs:
        run_dir = RunDir(path)
        if tenants.is_owned(run_dir) or tenants.running(run_dir):
            continue
        for number in run_dir.shard_numbers():
            link = run_dir.root(number)
            if link.is_symlink() and workspace.is_root_of(os.readlink(link), _identity(run_dir)):
                workspace.remove_tree(os.readlink(link))
        workspace.remove_tree(str(path))


def _identity(run_dir: RunDir) -> str:
    try:
        return read_run(run_dir).id
    except UserError:  # damaged: it is removed all the same
        return run_dir.path.name

"""The run directory: where each thing of a run lies, and what the plan leaves there for the shards."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from hack.common import files
from hack.common.errors import UserError
from hack.dogfood import codec
from hack.dogfood.model import Job, Options


class RunDir(NamedTuple):
    """Paths below one run's directory (DESIGN: RUN_DIR)."""

    path: Path

    @property
    def run(self) -> Path:
        return self.path / 'run.json'

    @property
    def plan(self) -> Path:
        return self.path / 'plan.json'

    @property
    def plan_lines(self) -> Path:
        return self.path / 'plan.txt'

    @property
    def capabilities(self) -> Path:
        return self.path / 'capabilities'

    @property
    def gates(self) -> Path:
        return self.path / 'gates'

    @property
    def chains(self) -> Path:
        return self.path / 'chains'

    @property
    def lock(self) -> Path:
        return self.path / 'lock'

    @property
    def owner(self) -> Path:
        return self.path / 'owner.json'

    @property
    def bundle(self) -> Path:
        return self.path / 'bundle.json'

    @property
    def junit(self) -> Path:
        return self.path / 'junit.xml'

    @property
    def summary(self) -> Path:
        return self.path / 'summary.md'

    @property
    def page(self) -> Path:
        return self.path / 'report.html'

    @property
    def exit(self) -> Path:
        return self.path / 'exit'

    @property
    def said(self) -> Path:
        """What shards wrote to their standard error while a live view had the terminal."""
        return self.path / 'stderr.txt'

    def shard(self, number: int) -> Path:
        return self.path / 'shards' / str(number)

    def job(self, number: int) -> Path:
        return self.shard(number) / 'job.json'

    def shard_lock(self, number: int) -> Path:
        return self.shard(number) / 'lock'

    def results(self, number: int) -> Path:
        return self.shard(number) / 'results.jsonl'

    def log(self, number: int) -> Path:
        return self.shard(number) / 'log.txt'

    def root(self, number: int) -> Path:
        """A link to the folder of the shard's chains."""
        return self.shard(number) / 'root'

    def gate(self, journey: str) -> Path:
        return self.gates / f'{journey}.json'

    def shard_numbers(self) -> list[int]:
        """Of the shards the plan made a folder for."""
        folder = self.path / 'shards'
        return sorted(int(name) for name in os.listdir(folder) if name.isdigit()) if folder.is_dir() else []


class Run(NamedTuple):
    """What run.json says, as far as a shard needs it."""

    id: str
    key: str
    boot: str
    started_monotonic: float
    options: Options


def read_run(run_dir: RunDir) -> Run:
    """Raises UserError where the directory holds no run."""
    said = read_part(run_dir.run)
    try:
        return Run(said['id'], said['key'], said['boot'], said['started_monotonic'], Options(**said['options']))
    except (KeyError, TypeError) as error:
        raise UserError(f'{run_dir.run}: is not a run this version can read: {error} (start a new run)') from error


def read_job(run_dir: RunDir, number: int) -> Job:
    """Raises UserError where it is absent or damaged."""
    try:
        return codec.job(read_part(run_dir.job(number)))
    except (KeyError, TypeError) as error:
        raise UserError(f'{run_dir.job(number)}: is not a job this version can read: {error}') from error


def read_part(path: Path) -> Any:
    """One JSON file of a run; raises UserError where it is absent or damaged."""
    try:
        return files.read_json(path)
    except FileNotFoundError as error:
        raise UserError(f'{path}: there is no such file (is {path.parent} a run directory?)') from error
    except (OSError, ValueError) as error:
        raise UserError(f'{path}: cannot be read: {error}') from error

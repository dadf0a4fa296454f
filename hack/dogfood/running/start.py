"""From a checked corpus to a run directory that shards can work in, or back into one that was left unfinished."""

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common import files, process
from hack.common.errors import UserError
from hack.dogfood import codec
from hack.dogfood.model import FINAL_VERDICTS, Corpus, Gate, Job, Options, Plan
from hack.dogfood.planning import chains
from hack.dogfood.rundir import RunDir, read_part, read_run
from hack.dogfood.running import product, runs, sandbox, tenants

# What a start that did not come to its end may have left.
_NAMES: Final = frozenset(
    ['capabilities', 'gates', 'chains', 'evidence', 'shards', 'plan.txt', 'plan.json', 'run.json', 'lock', 'owner.json']
)
_PROVENANCE_SECONDS: Final = 2.0


class Asked(NamedTuple):
    """What a run is started with, beside the corpus and the plan."""

    options: Options
    command: Sequence[str]
    cwd: str
    owner: int | None  # pid of the script that fans the shards out; None: nobody waits for them here
    decisions: Sequence[str] = ()  # files that reviewers keep beside the corpus


def new(run_dir: RunDir | None, state: Path, corpus: Corpus, plan: Plan, asked: Asked) -> RunDir:
    """Make the run directory with everything the shards read; raises UserError where it cannot be used.

    `run_dir` None: a new one below `state`/runs, `latest` points to it.
    """
    _check_sandbox(asked.options)
    now = datetime.now(UTC)
    identity = f'{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}'
    own_place = run_dir is None
    _end_left_over(state)
    run_dir = run_dir or RunDir(state / 'runs' / identity)
    try:
        run_dir.path.mkdir(parents=True, exist_ok=True)
        if own_place:
            (state / '.gitignore').write_text('*\n')
        with tenants.claim(run_dir, asked.owner):
            if run_dir.run.exists():
                raise UserError(
                    f'{run_dir.path}: holds a run already (go on with RESUME={run_dir.path}, or name another)'
                )
            _check_empty(run_dir)
            _write(run_dir, identity, now, corpus, plan, asked)
        if own_place:
            runs.point_latest(state, identity)
    except OSError as error:
        raise UserError(
            f'{error.filename or run_dir.path}: {error.strerror} (name a folder that can be written)'
        ) from error
    return run_dir


def again(
    run_dir: RunDir,
    corpus: Sequence[str],
    owner: int | None,
    deadline_seconds: float | None,
    known: str | None = None,
) -> RunDir:
    """Make an earlier run ready to go on: survivors ended, stale locks and gates gone; raises UserError.

    A deadline is not the whole run's but that of going on with it. `corpus`: paths that were named, which must be
    those of the run.
    """
    _check_corpus(run_dir, corpus)
    _check_product(run_dir)
    _check_sandbox(read_run(run_dir).options)
    read_part(run_dir.plan)
    try:
        with tenants.claim(run_dir, owner):
            tenants.end_survivors(run_dir)
            tenants.forget_shards(run_dir)
            for gate in run_dir.gates.glob('*.json'):
                if not _is_final(gate):
                    gate.unlink()
            run_dir.exit.unlink(missing_ok=True)
            _start_clock(run_dir, deadline_seconds, known)
    except OSError as error:
        raise UserError(
            f'{error.filename or run_dir.path}: {error.strerror} (the run directory must be writable)'
        ) from error
    return run_dir


# -- inside ----------------------------------------------------------------------------------


def _check_sandbox(options: Options) -> None:
    if not options.sandbox or options.apart:  # shards on other machines ask there
        return
    if why := sandbox.unusable(process.Supervisor(), os.environ.get('PATH', os.defpath)):
        raise UserError(f'--sandbox {options.sandbox}: needs {why}')


def _end_left_over(state: Path) -> None:
    """Of a last run that was killed and never resumed: it would be in this one's way, with a port for example."""
    last = RunDir(runs.latest(state).path.resolve())
    if last.run.exists() and not last.exit.exists():
        with contextlib.suppress(UserError, OSError), tenants.claim(last, None):
            tenants.end_survivors(last)


def _check_empty(run_dir: RunDir) -> None:
    strange = {path.name for path in run_dir.path.iterdir()} - _NAMES
    if strange:
        what = f'holds other things already, such as {min(strange)}'
        raise UserError(f'{run_dir.path}: {what} (name a new or an empty folder)')


def _check_corpus(run_dir: RunDir, named: Sequence[str]) -> None:
    recorded = [file['path'] for file in read_part(run_dir.run)['corpus']]
    below = {
        path: [file for file in recorded if file == path or file.startswith(f'{path.rstrip("/")}/')] for path in named
    }
    if named and (not all(below.values()) or {file for files in below.values() for file in files} != set(recorded)):
        raise UserError(f'{run_dir.path}: is a run of {", ".join(recorded)} (leave the corpus out, or start a new run)')


def _check_product(run_dir: RunDir) -> None:
    said = read_part(run_dir.run)
    before, path = said.get('product') or {}, said['options'].get('product_path')
    try:
        now = product.digests(path)
    except OSError as error:
        raise UserError(f'{path}: {error.strerror} (the run began with this PRODUCT_PATH)') from error
    if changed := sorted(dict(before.items() ^ now.items())):
        what = f'{changed[0]} has changed since it began: its verdicts would be of two products'
        raise UserError(f'{run_dir.path}: {what} (start a new run)')


def _start_clock(run_dir: RunDir, deadline_seconds: float | None, known: str | None) -> None:
    said = read_part(run_dir.run)
    options = {**said['options'], 'deadline_seconds': deadline_seconds}
    if known:
        options['known'] = known
    clock = {'boot': files.boot_id(), 'started_monotonic': time.monotonic()}
    files.write_json(run_dir.run, {**said, **clock, 'options': options}, durable=True)


def _is_final(gate: Path) -> bool:
    try:
        return files.read_json(gate)['verdict'] in FINAL_VERDICTS
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write(run_dir: RunDir, identity: str, now: datetime, corpus: Corpus, plan: Plan, asked: Asked) -> None:
    for folder in (run_dir.capabilities, run_dir.gates, run_dir.chains, run_dir.path / 'evidence'):
        folder.mkdir(exist_ok=True)
    for job in jobs(corpus, plan):
        run_dir.shard(job.shard).mkdir(parents=True, exist_ok=True)
        files.write_atomic(run_dir.job(job.shard), files.compact(codec.encode(job)), durable=True)
    files.write_atomic(run_dir.plan_lines, chains.lines(plan) + '\n')
    files.write_atomic(run_dir.plan, files.compact(chains.as_json(plan, corpus.journeys)), durable=True)
    # The last one: a directory without it is no run.
    files.write_json(run_dir.run, _run(identity, now, corpus, plan, asked), durable=True)


def jobs(corpus: Corpus, plan: Plan) -> list[Job]:
    """What each shard has to do, all it needs to know included."""
    shard_of = {
        name: number for number, shard in enumerate(plan.shards, 1) for chain in shard for name in chain.journeys
    }
    gates = tuple(
        Gate(journey.id, journey.tier, shard_of[journey.id]) for journey in corpus.journeys.values() if journey.gating
    )
    numbers = {
        chain.name: number for number, chain in enumerate((chain for shard in plan.shards for chain in shard), 1)
    }
    made = []
    for number, shard in enumerate(plan.shards, 1):
        journeys = {name: corpus.journeys[name] for chain in shard for name in chain.journeys}
        tokens = {token for journey in journeys.values() for token in (*journey.establishes, *journey.requires)}
        capabilities = {token: corpus.capabilities[token] for token in sorted(tokens)}
        paths = {journey.path for journey in journeys.values()}
        paths |= {capability.feature for capability in capabilities.values() if capability.feature}
        features = {path: corpus.features[path] for path in sorted(paths)}
        own = {chain.name: numbers[chain.name] for chain in shard}
        made.append(Job(number, shard, own, journeys, features, capabilities, gates))
    return made


def _run(identity: str, now: datetime, corpus: Corpus, plan: Plan, asked: Asked) -> dict[str, Any]:
    own, git = _provenance(str(Path(__file__).resolve().parents[3]), asked.cwd)
    return {
        'format': 1,
        'id': identity,
        'started': f'{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z',
        'started_monotonic': time.monotonic(),
        'shards': len(plan.shards),
        'corpus': [file._asdict() for file in corpus.files],
        'decisions': list(asked.decisions),
        'command': list(asked.command),
        'cwd': asked.cwd,
        'versions': {
            'dogfood': own,
            'python': sys.version.split()[0],
        },
        'product': product.digests(asked.options.product_path),
        'git': git,
        'boot': files.boot_id(),
        'key': secrets.token_hex(16),
        'options': asked.options._asdict(),
    }


def _provenance(repository: str, cwd: str) -> tuple[str | None, Mapping[str, Any] | None]:
    """Which dogfood this is, and which revision the caller's folder is at; worth two seconds and no failure."""
    git = ('git', '--no-optional-locks', '-c', 'core.fsmonitor=false', '-C')
    asked = [
        (*git, repository, 'describe', '--always', '--tags'),  # its own `--dirty` writes to the index
        (*git, repository, 'status', '--porcelain'),
        (*git, cwd, 'rev-parse', 'HEAD'),
        (*git, cwd, 'status', '--porcelain'),
    ]
    own, own_changes, revision, changes = process.outputs(asked, _PROVENANCE_SECONDS)
    name = f'{own}-dirty' if own and own_changes else own
    return name, {'revision': revision, 'dirty': bool(changes)} if revision else None

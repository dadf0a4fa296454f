"""Plans, records and run directories for the tests of what comes after the shards."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hack.dogfood.reporting import bundle
from hack.dogfood.rundir import RunDir

RUN: Mapping[str, Any] = {
    'format': 1,
    'id': '20261121T101112Z-ab12cd',
    'started': '2026-11-21T10:11:12.000Z',
    'started_monotonic': 12.5,
    'shards': 2,
    'corpus': [{'path': 'journeys/images.yaml', 'sha256': '0' * 64}],
    'command': ['hack/dogfood/dogfood.sh', '--shards', '2'],
    'cwd': '/home/user/project',
    'versions': {'dogfood': 'v1', 'python': '3.11.7'},
    'product': {'git': 'git version 2.39.5'},
    'git': {'revision': 'f' * 40, 'dirty': False},
    'boot': 'b00t',
    'key': '5ec4e7',
    'options': {
        'retries': 0,
        'deadline_seconds': None,
        'keep': 'failed',
        'require_all': False,
        'report_only': False,
        'product_path': None,
        'sandbox': None,
        'apart': False,
    },
}


def planned(tier: str = 'core', **said: Any) -> dict[str, Any]:
    """What plan.json says of a journey."""
    return {
        'feature': 'images',
        'tier': tier,
        'promise': 'It works.',
        'gating': False,
        'establishes': [],
        'requires': [],
        'path': 'journeys/images.yaml',
        'line': 3,
        'seconds': 1.0,
        **said,
    }


def plan(*shards: Iterable[str], **journeys: Mapping[str, Any]) -> dict[str, Any]:
    """plan.json; a chain is given as its journeys, joined by commas, `_` in the names of keywords meaning `-`."""
    said = {name.replace('_', '-'): value for name, value in journeys.items()}
    dealt = [[chain.split(',') for chain in chains] for chains in shards]
    return {
        'format': 1,
        'plan_id': 'a' * 64,
        'makespan': 4.0,
        'lower_bound': 3.5,
        'advice': [],
        'shards': [
            [{'name': ids[0], 'journeys': ids, 'seconds': float(len(ids)), 'tokens': []} for ids in chains]
            for chains in dealt
        ],
        'journeys': {id: {**planned(), **said.get(id, {})} for chains in dealt for ids in chains for id in ids},
    }


def record(id: str, verdict: str = 'passed', shard: int = 1, chain: str = '', **said: Any) -> dict[str, Any]:
    """A record as a shard writes it."""
    ran = verdict in ('passed', 'failed')
    return {
        'id': id,
        'feature': 'images',
        'tier': 'core',
        'chain': chain or id,
        'shard': shard,
        'verdict': verdict,
        'cause': '' if verdict == 'passed' else f'it is {verdict}',
        'root': None,
        'flaky': False,
        'attempts': 1 if ran else 0,
        'started': '2026-11-21T10:11:13.000Z' if ran else None,
        'duration_seconds': 0.42 if ran else 0.0,
        'strength': 'checked' if verdict == 'passed' else None,
        'steps': [],
        'findings': [],
        **said,
    }


STEP: Mapping[str, Any] = {
    'intent': 'tag it',
    'run': 'buildah bud',
    'exit': 1,
    'duration_seconds': 0.4,
    'stdout': 'out',
    'stderr': 'err',
}
FINDING: Mapping[str, Any] = {
    'kind': 'stdout',
    'step': 1,
    'expected': 'it contains COMMIT',
    'observed': 'nothing',
    'evidence': 'evidence/a/1.1-step-1.stdout',
}


def shard_start(shard: int = 1, time: str = '2026-11-21T10:11:12.500Z') -> dict[str, Any]:
    return {'event': 'shard-start', 'shard': shard, 'pid': 77, 'time': time, 'boot': 'b00t'}


def shard_end(reason: str = 'done', shard: int = 1, time: str = '2026-11-21T10:11:19.000Z') -> dict[str, Any]:
    return {'event': 'shard-end', 'shard': shard, 'reason': reason, 'time': time}


def start(id: str, chain: str = '', attempt: int = 1, time: str = '2026-11-21T10:11:13.000Z') -> dict[str, Any]:
    return {'event': 'start', 'journey': id, 'chain': chain or id, 'chain_attempt': attempt, 'time': time}


def result(said: Mapping[str, Any], attempt: int = 1) -> dict[str, Any]:
    return {'event': 'result', 'chain_attempt': attempt, 'record': dict(said)}


def judged(id: str, verdict: str = 'passed', attempt: int = 1, **said: Any) -> list[dict[str, Any]]:
    """A journey that ran: its start and its result."""
    about = record(id, verdict, **said)
    return [start(id, about['chain'], attempt), result(about, attempt)]


def write_run(
    path: Path,
    plan: Mapping[str, Any],
    shards: Iterable[Iterable[Mapping[str, Any]] | None],
    run: Mapping[str, Any] = RUN,
) -> RunDir:
    """A run directory as shards leave it; a shard without events (None) left nothing."""
    path.mkdir(parents=True, exist_ok=True)
    (path / 'plan.json').write_text(json.dumps(plan))
    (path / 'run.json').write_text(json.dumps(run))
    for number, events in enumerate(shards, 1):
        if events is not None:
            folder = path / 'shards' / str(number)
            folder.mkdir(parents=True)
            (folder / 'lock').touch()
            (folder / 'results.jsonl').write_text(''.join(json.dumps(event) + '\n' for event in events))
    return RunDir(path)


# -- one of each verdict ----------------------------------------------------------------------

HOSTILE = 'it said \x1b[31m"red"\x07\n| `tick` <script>alert(1)</script> @all [x](y) \u202e ü'

PLAN = plan(
    ['build,use,use-again', 'lost'],
    ['daemon,query', 'late'],
    build={'tier': 'smoke', 'gating': True, 'establishes': ['built']},
    use={'requires': ['built'], 'feature': 'images & more'},
    daemon={'tier': 'smoke'},
    late={'tier': 'deep'},
)


def mixed() -> list[list[dict[str, Any]]]:
    """One of each verdict, the failed one as hostile as it can be."""
    flaky = judged('build', flaky=True, attempts=2, strength='exit-only', findings=[{**FINDING, 'attempt': 1}])
    failed = judged('use', 'failed', chain='build', cause=HOSTILE, findings=[{**FINDING, 'observed': HOSTILE}])
    leak = {'event': 'chain-end', 'chain': 'build', 'chain_attempt': 1, 'leaks': ['redis-server (pid 4711)']}
    skipped = record('daemon', 'skipped', 2, cause='needs redis-server, which is not installed')
    blocked = record('query', 'blocked', 2, 'daemon', root='daemon', cause='daemon is skipped')
    deferred = record('late', 'deferred', 2, root='build', cause='the smoke gate build did not pass')
    return [
        [shard_start(), *flaky, *failed, *judged('use-again', chain='build', steps=[dict(STEP)]), leak, start('lost')],
        [shard_start(2), *map(result, (skipped, blocked, deferred)), shard_end(shard=2)],
    ]


def made(told: list[list[dict[str, Any]]] | None = None, run: Mapping[str, Any] = RUN) -> dict[str, Any]:
    return bundle.merge(run, PLAN, told or mixed())

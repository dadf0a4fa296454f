"""The bundle of a run: exactly one record for every planned journey, and all that a report shows.

`merge` is pure; what shards left on disk is read and, where they ran on machines of their own,
gathered by the functions below it.
"""

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common import files, results
from hack.common.errors import Exit, UserError
from hack.dogfood import rundir
from hack.dogfood.judging import verdicts
from hack.dogfood.model import TIERS, Json
from hack.dogfood.reporting import decisions, triage
from hack.dogfood.reporting.decisions import Decision
from hack.dogfood.reporting.records import Ending, Outcome, Place, ShardHistory, problem
from hack.dogfood.rundir import RunDir
from hack.dogfood.running import product

FORMAT: Final = 1  # of a bundle; plan.json and run.json count their own

# What the bundle tells of run.json: never the key that seals the markers.
_RUN_KEYS: Final = (
    *('id', 'started', 'shards', 'corpus', 'decisions', 'command', 'cwd'),
    *('versions', 'product', 'git', 'boot', 'options'),
)
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(',', ':')).encode
_GATHERED: Final = ('plan.json', 'plan.txt', 'run.json', 'evidence', 'capabilities')  # beside the shards themselves


class Reviewed(NamedTuple):
    """What reviewers decided, by fingerprint, and what is wrong with the files that should tell more."""

    decisions: Mapping[str, Decision] = {}
    faults: Sequence[str] = ()


def merge(
    run: Json,
    plan: Json,
    events: Sequence[Iterable[Json]],
    *,
    markers: Mapping[str, Json] | None = None,
    running: Collection[int] = (),
    missing: Collection[int] = (),
    interrupted: bool = False,
    problems: Iterable[Json] = (),
    reviewed: Reviewed | None = None,
) -> dict[str, Any]:
    """The bundle, from run.json, plan.json and what each shard wrote, the first shard's first.

    `markers` are those found, by token; `running` the shards that are still at it, `missing` those that
    have not come since the run was gone on with; `problems` what could not be read.
    """
    options = run.get('options') or {}
    planned = _places(plan)
    silent: list[Iterable[Json]] = [()] * (len(plan['shards']) - len(events))
    histories = [
        ShardHistory(shard, planned, told, shard in running, shard not in missing)
        for shard, told in enumerate([*events, *silent], 1)
    ]
    interrupted = interrupted or any(history.ending == 'interrupted' for history in histories)
    if_absent: Ending = 'interrupted' if interrupted else 'missing' if options.get('apart') else 'absent'
    journeys = [
        _journey(name, said, planned[name], histories[planned[name].shard - 1].outcome(name, if_absent))
        for name, said in plan['journeys'].items()
    ]
    if options.get('apart'):
        journeys = _behind_gates(journeys)
    found = [*problems, *(fault for history in histories for fault in history.problems)]
    review = _review(journeys, options, reviewed or Reviewed())
    totals = results.totals(journey['verdict'] for journey in journeys)
    status = results.exit_status(
        totals,
        problems=bool(found),
        report_only=bool(options.get('report_only')),
        interrupted=interrupted,
        allowed=len(review['allowed']),
    )
    dealt = list(zip(plan['shards'], histories, strict=False))  # events beyond the plan have no chains
    return {
        'format': FORMAT,
        'run': _about(run, histories),
        'plan': {key: plan[key] for key in plan if key not in ('format', 'journeys')},
        'shards': [_shard(chains, history) for chains, history in dealt],
        'chains': [_chain(chain, history) for chains, history in dealt for chain in chains],
        'capabilities': _capabilities(journeys, markers or {}),
        'journeys': journeys,
        'triage': review,
        'totals': totals,
        'problems': found,
        'exit': int(status),
    }


def _about(run: Json, histories: Sequence[ShardHistory]) -> dict[str, Any]:
    return {
        **{key: run[key] for key in run if key in _RUN_KEYS},
        'product': {'digests': run.get('product') or {}, 'versions': _versions(histories)},
        'ended': _last_time(histories),
    }


def _review(journeys: Sequence[Json], options: Json, reviewed: Reviewed) -> dict[str, Any]:
    """The causes of what went wrong, what was decided about them, and which journeys are let pass for that."""
    found = triage.causes(journeys)
    allows = options.get('known') == 'allow'
    return {
        **triage.as_json(found, reviewed.decisions, in_part=bool(options.get('in_part'))),
        'allowed': triage.allowed(found, journeys, reviewed.decisions) if allows else [],
        'faults': list(reviewed.faults),
    }


def _places(plan: Json) -> dict[str, Place]:
    """Where the plan puts each journey."""
    return {
        journey: Place(shard, chain['name'])
        for shard, chains in enumerate(plan['shards'], 1)
        for chain in chains
        for journey in chain['journeys']
    }


def _versions(histories: Iterable[ShardHistory]) -> dict[str, str]:
    found: dict[str, dict[str, None]] = {}
    for history in histories:
        for feature, version in history.versions.items():
            found.setdefault(feature, {})[version] = None
    return {
        feature: ' and '.join(found[feature]) for feature in sorted(found)
    }  # on machines of their own they may differ


def _last_time(histories: Iterable[ShardHistory]) -> str | None:
    return max((history.last_time for history in histories if history.last_time), default=None)


def _journey(name: str, planned: Json, place: Place, outcome: Outcome) -> dict[str, Any]:
    identity = {
        'id': name,
        'feature': planned['feature'],
        'tier': planned['tier'],
        'chain': place.chain,
        'shard': place.shard,
    }
    return {
        **identity,
        **outcome.record,
        **identity,  # whatever the record says of it
        'chain_attempt': outcome.chain_attempt,
        'predicted_seconds': planned['seconds'],
        'promise': planned['promise'],
        'source': planned.get('source') or {},
        'path': planned['path'],
        'line': planned['line'],
        'gating': planned['gating'],
        'establishes': planned['establishes'],
        'requires': planned['requires'],
    }


def _behind_gates(journeys: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Shards on machines of their own ran on, not knowing of each other's gates: apply them now."""
    gates = {journey['id']: (journey['tier'], journey['verdict']) for journey in journeys if journey['gating']}
    held = {tier: verdicts.deferred(tier, gates) for tier in TIERS}
    return [
        {**journey, 'verdict': 'deferred', 'cause': by.cause, 'root': by.root, 'flaky': False, 'strength': None}
        if (by := held[journey['tier']])
        else journey
        for journey in journeys
    ]


def _shard(chains: Sequence[Json], history: ShardHistory) -> dict[str, Any]:
    return {
        'shard': history.shard,
        'started': history.first_time,
        'ended': None if history.ending in ('lost', 'running') else history.last_time,
        'ending': history.ending,
        'turns': len(history.endings),
        'predicted_seconds': sum(chain['seconds'] for chain in chains),
    }


def _chain(chain: Json, history: ShardHistory) -> dict[str, Any]:
    return {
        'name': chain['name'],
        'shard': history.shard,
        'journeys': chain['journeys'],
        'tokens': chain['tokens'],
        'attempts': history.chain_attempts.get(chain['name'], 0),
        'predicted_seconds': chain['seconds'],
        'findings': [
            {
                'kind': 'leak',
                'step': None,
                'expected': 'nothing of the chain runs on after its teardown',
                'observed': leak,
                'evidence': None,
            }
            for leak in history.leaks.get(chain['name'], ())
        ],
    }


def _capabilities(journeys: Iterable[Json], markers: Mapping[str, Json]) -> list[dict[str, Any]]:
    """Who establishes and who requires each token, and what its marker says was established where."""
    establishers: dict[str, list[str]] = {}
    dependents: dict[str, list[str]] = {}
    for journey in journeys:
        for token in journey['establishes']:
            establishers.setdefault(token, []).append(journey['id'])
        for token in journey['requires']:
            dependents.setdefault(token, []).append(journey['id'])
    return [
        {
            'token': token,
            'establishers': by,
            'dependents': dependents.get(token, []),
            'established': _established(markers.get(token), by),
        }
        for token, by in establishers.items()
    ]


def _established(marker: Json | None, establishers: Collection[str]) -> dict[str, Any] | None:
    try:
        said = {key: marker[key] for key in ('journey', 'chain', 'shard', 'time')} if marker else None
    except (KeyError, TypeError):
        return None
    return said if said and said['journey'] in establishers else None


# -- what stands on disk -------------------------------------------------------------------


def of_run(path: Path, *, interrupted: bool = False, problems: Sequence[Json] = ()) -> dict[str, Any]:
    """The bundle of what is in a run's directory now; raises UserError where that is no run."""
    run_dir = RunDir(path)
    plan, run = read_plan(run_dir), _read(run_dir.run, ('id', 'options'))
    shards, parts = range(1, len(plan['shards']) + 1), (run['options'] or {}).get('apart')
    told = [_read_events(run_dir, shard) for shard in shards]
    return merge(
        run,
        plan,
        [events for events, _ in told],
        markers=_read_markers(run_dir),
        running=[shard for shard in shards if files.lock_is_held(run_dir.shard_lock(shard))],
        missing=[] if parts else [shard for shard in shards if not run_dir.shard_lock(shard).exists()],
        interrupted=interrupted,
        problems=[
            *problems,
            *(fault for _, faults in told for fault in faults),
            *_unplanned(run_dir, len(shards)),
            *_replaced(run, [events for events, _ in told]),
        ],
        reviewed=_reviewed(run),
    )


def merge_parts(path: Path, parts: Sequence[Path]) -> dict[str, Any]:
    """The bundle of a run whose shards ran on machines of their own, gathered into the directory `path`.

    A part is the run's directory as one machine left it. All must come from one plan; else nothing is gathered.
    """
    run_dir, brought = RunDir(path), [RunDir(part) for part in parts]
    _check_one_plan([*([run_dir] if run_dir.plan.exists() else []), *brought])
    try:
        problems = _gather(run_dir, brought)
    except OSError as error:
        raise UserError(f'{path}: the parts cannot be gathered: {error} (make room)', Exit.BROKEN) from error
    return of_run(path, problems=problems)


def read(path: Path) -> dict[str, Any]:
    """A bundle as it was written; raises UserError where it is none that this version knows."""
    return _read(path, ('run', 'plan', 'journeys', 'totals', 'exit'))


def as_json(bundle: Json) -> str:
    """The bundle with one journey to a line, for `grep` and `diff`."""
    return '{\n' + ',\n'.join(f'{_ENCODE(key)}:{_lines(value)}' for key, value in bundle.items()) + '\n}\n'


def _lines(value: Any) -> str:
    return '[\n' + ',\n'.join(map(_ENCODE, value)) + '\n]' if value and isinstance(value, list) else _ENCODE(value)


def read_plan(run_dir: RunDir) -> dict[str, Any]:
    """The plan of the run, each journey in exactly one chain; raises UserError."""
    plan = _read(run_dir.plan, ('plan_id', 'shards', 'journeys'))
    try:
        dealt = sorted(journey for chains in plan['shards'] for chain in chains for journey in chain['journeys'])
    except (KeyError, TypeError):
        dealt = []
    if dealt != sorted(plan['journeys']):
        raise UserError(f'{run_dir.plan}: its shards and its journeys do not agree (start a new run)')
    return plan


def _read(path: Path, keys: Iterable[str]) -> dict[str, Any]:
    said = rundir.read_part(path)
    found = said.get('format') if isinstance(said, dict) else None
    if found != FORMAT:
        raise UserError(
            f'{path}: format {found!r} is unknown, only {FORMAT} is read here (use the version that wrote it)'
        )
    if absent := [key for key in keys if key not in said]:
        raise UserError(f'{path}: does not say {", ".join(absent)} (start a new run)')
    return dict(said)


def _reviewed(run: Json) -> Reviewed:
    """Decisions that cannot be read are missed, and said; they judge nothing, so the run is judged without them."""
    try:
        return Reviewed(decisions.load(decisions.of_run(run)))
    except UserError as error:
        return Reviewed(faults=error.problems)


class _Told(NamedTuple):
    events: list[dict[str, Any]]
    problems: list[dict[str, Any]]


def _read_events(run_dir: RunDir, shard: int) -> _Told:
    where = f'shards/{shard}/results.jsonl'
    try:
        events, broken = files.read_jsonl(run_dir.results(shard))
    except FileNotFoundError:
        return _Told([], [])
    except OSError as error:
        return _Told([], [problem(f'not readable: {error.strerror}', 'the results of the shard', where)])
    return _Told(events, [problem('no event', 'a JSON object on every line', f'{where}:{line}') for line in broken])


def _unplanned(run_dir: RunDir, shards: int) -> list[dict[str, Any]]:
    return [
        problem('a shard that is not planned', f'shards 1 to {shards}', f'shards/{number}')
        for number in run_dir.shard_numbers()
        if not 1 <= number <= shards
    ]


def _replaced(run: Json, told: Sequence[Sequence[Json]]) -> list[dict[str, Any]]:
    """Programs of the product that were built anew in the middle: some verdicts are of one, some of the other."""
    ended = max((event['time'] for events in told for event in events[-1:] if 'time' in event), default='')
    if not ended or not run.get('product'):
        return []
    paths = product.replaced(run['product'], run['started'], ended)
    return [problem('another program since the run began', 'one product for the whole run', path) for path in paths]


def _read_markers(run_dir: RunDir) -> dict[str, Any]:
    markers = {}
    for name in os.listdir(run_dir.capabilities) if run_dir.capabilities.is_dir() else ():
        with suppress(OSError, ValueError):  # who relied on a broken one has said so in its record
            markers[name.removesuffix('.json')] = files.read_json(run_dir.capabilities / name)
    return markers


def _check_one_plan(run_dirs: Sequence[RunDir]) -> None:
    plans = [read_plan(run_dir)['plan_id'] for run_dir in run_dirs]
    others = [
        f'{run_dir.path}: comes from another plan than {run_dirs[0].path} (merge the parts of one run)'
        for run_dir, plan in zip(run_dirs, plans, strict=True)
        if plan != plans[0]
    ]
    if others:
        raise UserError(others)


def _gather(run_dir: RunDir, parts: Sequence[RunDir]) -> list[dict[str, Any]]:
    """Copy what each part holds; a shard that several hold is taken from the first, and said."""
    taken: dict[int, RunDir] = {}
    problems = []
    for part in parts:
        for number in part.shard_numbers():
            if not part.results(number).exists():
                continue  # only planned there
            if number in taken:
                where = f'shards/{number}'
                problems.append(problem(f'left out of {part.path}', f'one part with it: {taken[number].path}', where))
            else:
                taken[number] = part
                _copy(part, run_dir, f'shards/{number}')
        for name in _GATHERED:
            _copy(part, run_dir, name)
    return problems


def _copy(part: RunDir, run_dir: RunDir, name: str) -> None:
    """Add the part's file or folder. Its links lead to places on its own machine: they are left out."""
    from shutil import copyfile, copytree

    def links(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if os.path.islink(os.path.join(folder, name))]

    source, target = part.path / name, run_dir.path / name
    if source.is_dir() and source.resolve() != target.resolve():
        copytree(source, target, ignore=links, dirs_exist_ok=True, copy_function=copyfile)
    elif source.is_file() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        copyfile(source, target)

"""Run cases for real and hold what the harness said of them against the truth."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from tests.trust import cases, disturb
from tests.trust.cases import Case, Run
from tests.trust.model import DISTURBED, Truth, exit_status, truths

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PRODUCT: Final = Path(__file__).parent / 'product'
PATIENCE_SECONDS: Final = 180
_LIMIT_KIB: Final = 4096  # on every file of a run under a write limit: its own records are smaller
_DISK: Final = 'size=8m,nr_inodes=4000,mode=755'


class Leg(NamedTuple):
    """What one start or resumption of a run came to."""

    name: str
    exit: int
    said: Mapping[str, Any] | None  # the bundle; None: there is none
    exact: bool  # everything about it is known
    may_be_interrupted: bool = False
    lost: frozenset[str] = frozenset()  # journeys whose records were left behind


class Wrong(NamedTuple):
    """Something the harness said that is not true."""

    case: int  # -1: it is about the run
    journey: str
    leg: str
    truth: str
    given: str


class Outcome(NamedTuple):
    """What came of one run."""

    run: Run
    folder: Path
    exact: Counter[tuple[str, str]]  # (true verdict, verdict given) of what is known beforehand
    disturbed: Counter[tuple[str, str]]  # of runs that were disturbed, before they were resumed
    excused: int  # slow products that could not be measured for lack of a processor
    wrong: Sequence[Wrong]


class Table(NamedTuple):
    """Where a run's things lie, and how it is started."""

    dogfood: Path  # the folder of dogfood.sh
    folder: Path
    run: Run
    cases: Sequence[Case]
    random: Random

    @property
    def run_dir(self) -> Path:
        return self.folder / 'run'

    @property
    def files(self) -> list[Path]:
        return [self.folder / 'corpus' / f'{case.name}.yaml' for case in self.cases]


def impossible() -> dict[str, str]:
    """Kinds of runs that this machine cannot have, and why."""
    why = {}
    if not disturb.may_mount():
        why.update(dict.fromkeys(cases.BY_MOUNT, 'no disk can be mounted'))
    if not disturb.has_sandbox():
        why['sandboxed'] = 'bwrap does not work'
    return why


def run(dogfood: Path, folder: Path, seed: int, its_run: Run, its_cases: Sequence[Case]) -> Outcome:
    """Run the cases in `folder`, a short path, and judge what was said of each journey."""
    table = Table(dogfood, folder, its_run, its_cases, Random(f'disturb {seed}/{its_run.number}'))
    (folder / 'corpus').mkdir(parents=True)
    (folder / 't').mkdir()
    for case, path in zip(its_cases, table.files, strict=True):
        path.write_text(json.dumps({**case.document, 'journeys': [journey.document for journey in case.journeys]}))
    try:
        legs = _legs(table)
    except (OSError, subprocess.SubprocessError) as error:
        return Outcome(its_run, folder, Counter(), Counter(), 0, [Wrong(-1, '', its_run.kind, 'an end', str(error))])
    return judged(table, legs)


def _legs(table: Table) -> list[Leg]:
    match table.run.kind:
        case 'apart':
            return [_apart(table, lose=False)]
        case 'part lost':
            return [_apart(table, lose=True)]
        case 'shard paused':
            return [_paused(table)]
        case 'disk too small':
            with disturb.disk(table.folder / 'd', _DISK) as disk:
                return [Leg('run', _ended(_start(table, temp=disk)), _bundle(table.run_dir), exact=True)]
        case kind if kind in cases.BY_MOUNT:
            return _on_small_disk(table)
        case kind if kind in cases.DISTURBED:
            return _disturbed(table)
        case _:
            return [Leg('run', _ended(_start(table)), _bundle(table.run_dir), exact=True)]


# -- programs ------------------------------------------------------------------------------


def _environment(table: Table, temp: Path | None = None) -> dict[str, str]:
    return {'PATH': os.environ['PATH'], 'TMPDIR': str(temp or table.folder / 't'), 'LANG': 'C.UTF-8'}


def _arguments(table: Table, run_dir: Path) -> list[str]:
    options = ['--report-only'] * table.run.report_only + ['--require-all'] * (table.run.kind == 'all required')
    if table.run.kind == 'deadline':
        options += ['--deadline', f'{table.random.randint(200, 1200)}ms']
    if table.run.kind in ('apart', 'part lost'):
        options += ['--apart']
    if table.run.kind == 'sandboxed':
        options += ['--sandbox', 'bwrap']
    shards = ['--shards', str(table.run.shards)]
    return [*shards, '--run-dir', str(run_dir), '--product-path', str(PRODUCT), *options, *map(str, table.files)]


def _start(
    table: Table, run_dir: Path | None = None, resume: bool = False, temp: Path | None = None
) -> subprocess.Popen[bytes]:
    """Begin dogfood.sh, with the table's own run directory if no other is given."""
    run_dir = run_dir or table.run_dir
    arguments = ['--resume', str(run_dir)] if resume else _arguments(table, run_dir)
    argv = [str(table.dogfood / 'dogfood.sh'), *arguments]
    if table.run.kind == 'write limit':
        argv = ['bash', '-c', f'ulimit -f {_LIMIT_KIB} && exec "$@"', 'bash', *argv]
    with open(table.folder / 'log.txt', 'ab') as log:
        return subprocess.Popen(
            argv,
            cwd=table.folder,
            env=_environment(table, temp),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _ended(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def _verb(table: Table, *arguments: str) -> int:
    argv = [sys.executable, str(table.dogfood / 'run_journeys.py'), *arguments]
    with open(table.folder / 'log.txt', 'ab') as log:
        return subprocess.run(
            argv, cwd=table.folder, env=_environment(table), stdout=log, stderr=log, timeout=PATIENCE_SECONDS
        ).returncode


def _bundle(run_dir: Path) -> Mapping[str, Any] | None:
    try:
        said: Mapping[str, Any] = json.loads((run_dir / 'bundle.json').read_bytes())
        return said
    except (OSError, ValueError):
        return None


# -- what befalls a run ----------------------------------------------------------------------


def _disturbed(table: Table) -> list[Leg]:
    """A run that something befalls, and the same run resumed."""
    process = _start(table)
    if table.run.kind != 'deadline':
        shard = disturb.moment(table.random, table.run_dir, process)
        if shard is not None:
            _befall(table, process, shard)
    status = _ended(process)
    if table.run.kind == 'all killed' and status == -signal.SIGKILL:
        status = _verb(table, 'report', str(table.run_dir))
    told_to_stop = table.run.kind in ('TERM', 'Ctrl-C')
    first = Leg('disturbed', status, _bundle(table.run_dir), exact=False, may_be_interrupted=told_to_stop)
    return [first, Leg('resumed', _ended(_start(table, resume=True)), _bundle(table.run_dir), exact=True)]


def _befall(table: Table, process: subprocess.Popen[bytes], shard: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        match table.run.kind:
            case 'shard killed':
                disturb.kill_shard(table.run_dir, shard)
            case 'all killed':
                os.killpg(process.pid, signal.SIGKILL)
            case 'TERM':
                process.terminate()
            case 'Ctrl-C':
                os.killpg(process.pid, signal.SIGINT)
            case 'marker hit':
                disturb.hit_marker(table.random, table.run_dir)
            case 'folder gone':
                disturb.take_folder(table.random, table.run_dir, shard)


def _paused(table: Table) -> Leg:
    """A run of which one shard gets no processor for a while: nothing comes of it."""
    process = _start(table)
    if (shard := disturb.moment(table.random, table.run_dir, process)) is not None:
        disturb.pause_shard(table.run_dir, shard, table.random.uniform(0.3, 1.5))
    return Leg('run', _ended(process), _bundle(table.run_dir), exact=True)


_TROUBLE: Final[Mapping[str, Callable[[Path], None]]] = {
    'disk full': disturb.fill,
    'run directory full': disturb.fill,
    'inodes used up': disturb.use_up_inodes,
    'read-only': disturb.make_read_only,
}


def _on_small_disk(table: Table) -> list[Leg]:
    """A run whose chains, or whose own directory, lie on a disk that gives out; then there is room again."""
    with disturb.disk(table.folder / 'd', _DISK) as disk:
        (disk / 't').mkdir()
        on_it = table.run.kind == 'run directory full'
        run_dir = disk / 'run' if on_it else table.run_dir
        temp = None if on_it else disk / 't'
        process = _start(table, run_dir, temp=temp)
        if disturb.moment(table.random, run_dir, process) is not None:
            _TROUBLE[table.run.kind](disk)
        first = Leg('disturbed', _ended(process), _bundle(run_dir), exact=False)
        disturb.make_room(disk)
        again = _ended(_start(table, run_dir, resume=True, temp=temp))
        second = Leg('resumed', again, _bundle(run_dir), exact=True)
        if on_it:
            shutil.copytree(run_dir, table.run_dir, symlinks=True)  # to be looked at
        return [first, second]


def _apart(table: Table, lose: bool) -> Leg:
    """Every shard in a copy of the run directory, as on a machine of its own; then what they brought back is merged."""
    status = _verb(table, 'plan', *_arguments(table, table.run_dir))
    plan = (table.run_dir / 'plan.txt').read_text().splitlines()
    parts = [table.folder / f'part-{shard}' for shard in range(1, len(plan) + 1)]
    for part in parts:
        shutil.copytree(table.run_dir, part)
    for shard, part in enumerate(parts, 1):
        status = status or _verb(table, 'shard', str(part), str(shard))
    lost: frozenset[str] = frozenset()
    if lose and len(parts) > 1:
        at = table.random.randrange(len(parts))
        lost = frozenset(plan[at].replace(',', ' ').split())
        del parts[at]
    merged = table.folder / 'merged'
    if status == 0:
        status = _verb(table, 'report', str(merged), '--merge', *map(str, parts))
    return Leg('merged', status, _bundle(merged), exact=True, lost=lost)


# -- judgement -------------------------------------------------------------------------------


def judged(table: Table, legs: Sequence[Leg]) -> Outcome:
    """Hold what each leg said against the truth."""
    exact, disturbed = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    wrong: list[Wrong] = []
    excused = 0
    for leg in legs:
        true = truths([journey.node for case in table.cases for journey in case.journeys], leg.lost)
        if leg.said is None:
            if leg.exact:
                wrong.append(Wrong(-1, '', leg.name, 'a bundle', f'none (exit {leg.exit})'))
            continue
        records = {record['id']: record for record in leg.said['journeys']}
        for case in table.cases:
            for journey in case.journeys:
                id = journey.node.id
                record, truth = records.get(id, {'verdict': 'nothing'}), true[id]
                is_excused = _is_excused(truth, record)
                excused += is_excused and leg.exact
                if fault := '' if is_excused else _fault(truth, record, leg.exact):
                    given = f'{record["verdict"]} ({record.get("cause") or "no cause"}){fault}'
                    wrong.append(Wrong(case.number, id, leg.name, _in_words(truth), given))
                (exact if leg.exact else disturbed)[truth.verdict, record['verdict']] += 1
        wrong += _wrong_status(table.run, leg, true, records)
    wrong += _wrong_twice(legs)
    if left := disturb.left_running(f'DOGFOOD_CAPABILITIES={table.run_dir}/capabilities'):
        wrong.append(Wrong(-1, '', table.run.kind, 'nothing left running', ', '.join(left)))
    return Outcome(table.run, table.folder, exact, disturbed, excused, wrong)


def _is_excused(truth: Truth, record: Mapping[str, Any]) -> bool:
    """A product that is too slow is told from a machine that is too busy only on one that is not."""
    return truth.needs_idle_machine and record['verdict'] == 'infra' and 'processor' in record['cause']


def _fault(truth: Truth, record: Mapping[str, Any], exact: bool) -> str:
    """What is wrong with the record, beside what it says; empty where it is true."""
    verdict = record['verdict']
    if verdict != truth.verdict:
        return '' if not exact and verdict in DISTURBED else ', a wrong verdict'
    if verdict in ('blocked', 'deferred') and exact and record['root'] not in truth.roots:
        return f', a wrong root: {record["root"]}'
    if verdict == 'failed' and truth.finding not in [finding['kind'] for finding in record['findings']]:
        return f', a wrong finding: {[finding["kind"] for finding in record["findings"]]}'
    return ', flaky' if record['flaky'] != truth.flaky else ''


def _in_words(truth: Truth) -> str:
    said = [truth.verdict, *([truth.finding] if truth.finding else []), *(['flaky'] if truth.flaky else [])]
    return ', '.join(said) + (f' by {" or ".join(sorted(truth.roots))}' if truth.roots else '')


def _wrong_status(
    its_run: Run, leg: Leg, true: Mapping[str, Truth], records: Mapping[str, Mapping[str, Any]]
) -> list[Wrong]:
    """The exit status against the truth; where that is not known, against what the run said of its journeys."""
    said = leg.said or {}
    verdicts = {
        truth.verdict if leg.exact and not _is_excused(truth, records[id]) else records[id]['verdict']
        for id, truth in true.items()
        if id in records
    }
    wanted = {exit_status(verdicts, its_run.report_only)}
    if leg.may_be_interrupted:
        untouched = all(_fault(truth, records[id], True) == '' for id, truth in true.items())
        wanted = {130, *wanted} if untouched else {130}
    wrong = []
    if leg.exit not in wanted or (said.get('exit') != leg.exit and 'full' not in its_run.kind):
        given = f'exit {leg.exit}, and {said.get("exit")} in the bundle'
        wrong.append(Wrong(-1, '', leg.name, f'exit {" or ".join(map(str, sorted(wanted)))}', given))
    if leg.exact and said.get('problems'):
        wrong.append(Wrong(-1, '', leg.name, 'no problems', str(said['problems'])))
    return wrong


def _wrong_twice(legs: Sequence[Leg]) -> list[Wrong]:
    """Chains that were finished and yet begun again."""
    if len(legs) < 2 or not legs[0].said or not legs[1].said:
        return []
    final = {
        record['id'] for record in legs[0].said['journeys'] if record['verdict'] in ('passed', 'failed', 'skipped')
    }
    before = {chain['name']: chain['attempts'] for chain in legs[0].said['chains'] if set(chain['journeys']) <= final}
    return [
        Wrong(-1, '', legs[1].name, f'chain {chain["name"]} finished once', f'attempt {chain["attempts"]} of it')
        for chain in legs[1].said['chains']
        if chain['name'] in before and chain['attempts'] != before[chain['name']]
    ]

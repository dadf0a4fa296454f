"""The command line of the journeys: arguments in, exit status out."""

import argparse
import contextlib
import importlib.util
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from hack.common import collector, files
from hack.common.arguments import Parser, at_least
from hack.common.console import Console, console, counted
from hack.common.errors import Exit, UserError
from hack.dogfood import rundir
from hack.dogfood.model import DECISIONS, TIERS, Corpus, Options, Plan, Record
from hack.dogfood.rundir import RunDir

DEFAULT_CORPUS: Final = 'journeys'
_WARNINGS: Final = 20  # that a run shows before it starts
NOT_JUDGED: Final = '{0}: nobody is at work there, and it was not judged (go on: make dogfood RESUME={0})'
STATE: Final = Path('.dogfood')  # below the caller's folder
_DECIDE: Final = 'triage decide'


def main(arguments: list[str]) -> int:
    """Run one verb; raises UserError for what the caller can mend."""
    verbs = {
        *('plan', 'start', 'check', 'shard', 'wait', 'watch', 'report', 'page', 'graph', 'explain', 'needs', 'new'),
        *('trend', 'compare', 'triage'),
    }
    if arguments[:2] == ['triage', 'decide']:
        arguments = [_DECIDE, *arguments[2:]]
        verbs.add(_DECIDE)
    if not arguments or (arguments[0] not in verbs and arguments[0] not in ('-h', '--help')):
        arguments = ['plan', *arguments]  # `run_journeys.py CORPUS --shards N`
    asked = _parser().parse_args(arguments)
    verb: Callable[[argparse.Namespace], int] = asked.verb
    return verb(asked)


# -- verbs -----------------------------------------------------------------------------------


def _plan(asked: argparse.Namespace) -> int:
    from hack.dogfood import chains

    corpus, plan = _planned(asked)
    for warning in (chains.summary(plan), *plan.advice):
        print(warning, file=sys.stderr)
    if asked.run_dir:
        from hack.dogfood import start

        start.new(_run_dir(asked), asked.state, corpus, plan, _asked(asked))
    match asked.format:
        case 'json':
            print(json.dumps(chains.as_json(plan, corpus.journeys), indent=1, ensure_ascii=False))
        case 'github':
            print(json.dumps(chains.github_matrix(plan)))
        case _:
            print(chains.lines(plan))
    return Exit.GREEN


def _start(asked: argparse.Namespace) -> int:
    """Make a run directory ready and print its path: the first half of dogfood.sh."""
    from hack.dogfood import chains, start

    if asked.resume:
        if asked.only or asked.tiers:
            raise UserError('--resume: goes on with the recorded plan (leave ONLY and TIERS out, or start a new run)')
        run_dir = start.again(
            start.find(asked.state, asked.resume), asked.corpus, asked.owner, asked.deadline, asked.known
        )
        print(f'going on with {run_dir.path}', file=sys.stderr)
    else:
        corpus, plan = _planned(asked)
        shown, left_out = corpus.warnings[:_WARNINGS], corpus.warnings[_WARNINGS:]
        more = [f'({len(left_out)} more warnings: make check lists them)'] if left_out else []
        told = console(sys.stderr, os.environ)
        told.say(*map(told.fold, (*shown, *more, chains.summary(plan), *plan.advice)))
        run_dir = start.new(_run_dir(asked), asked.state, corpus, plan, _asked(asked))
    print(run_dir.path.resolve())
    return Exit.GREEN


def _check(asked: argparse.Namespace) -> int:
    corpus = _load(asked.corpus)
    for warning in corpus.warnings:
        print(warning, file=sys.stderr)
    if asked.format == 'json':
        print(json.dumps({'journeys': len(corpus.journeys), 'files': len(corpus.files), 'warnings': corpus.warnings}))
    else:
        counts = f'{counted(len(corpus.journeys), "journey")} in {counted(len(corpus.files), "file")}'
        print(f'{counts}: nothing wrong, {counted(len(corpus.warnings), "warning")}')
    return Exit.GREEN


def _shard(asked: argparse.Namespace) -> int:
    from hack.common.process import Supervisor
    from hack.dogfood import report, shard

    to_stop = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heeded = [number for number in to_stop if signal.getsignal(number) is not signal.SIG_IGN]
    supervisor = Supervisor()
    for number in heeded:
        signal.signal(number, lambda *_: supervisor.interrupt())
    os.umask(0o022)  # a step's files do not depend on who calls
    shown = console(sys.stdout, os.environ)

    def tell(record: Record) -> None:
        with _to_whom_it_may_concern():
            shown.say(report.line(record, console=shown))

    try:
        return shard.run(RunDir(Path(asked.run_dir).resolve()), asked.index, supervisor, os.environ, tell)
    except OSError as error:
        raise UserError(
            f'shard {asked.index}: had to stop: {error} (what has no record will be judged as not measured)',
            Exit.BROKEN,
        ) from error


def _wait(asked: argparse.Namespace) -> int:
    """Wait for shards whose make is gone: what it would hand on to them, this hands on."""
    from hack.dogfood import tenants

    stops = [signal.SIGTERM] * asked.interrupts
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stops.append(signal.SIGTERM))
    tenants.wait_for_shards(_existing(asked), lambda: len(stops), handed_on=min(1, asked.interrupts))
    return Exit.GREEN


def _watch(asked: argparse.Namespace) -> int:
    """Show a run that goes on, here or elsewhere, until it is over."""
    from hack.dogfood import bundle, report, watch

    run_dir = _existing(asked)
    shown = console(sys.stdout, os.environ)
    in_bars = shown.cursor and importlib.util.find_spec('rich') is not None
    form = asked.format or ('view' if in_bars else 'lines')
    with _to_whom_it_may_concern():
        if watch.follow(run_dir, shown, form) and form != 'json':
            merged = bundle.read(run_dir.bundle) if run_dir.exit.exists() else None
            shown.say(*(report.closing(merged, run_dir.path, shown) if merged else (NOT_JUDGED.format(run_dir.path),)))
    return Exit.GREEN


@collector.paused()
def _report(asked: argparse.Namespace) -> int:
    from hack.dogfood import bundle, report, tenants

    shown = console(sys.stdout, os.environ)
    if asked.merge:
        path = Path(asked.run_dir or 'merged').absolute()
        merged = bundle.merge_parts(path, [Path(part) for part in asked.merge])
    else:
        run_dir = _existing(asked)
        if not _all_ended(run_dir):
            tenants.end_survivors(run_dir)
        path = run_dir.path
        merged = bundle.of_run(path, interrupted=asked.interrupted)
    _note_down(asked.state, merged)
    with _meanwhile(f'{path}/report.html', lambda: _write_page(RunDir(path).page, merged, path, asked.state)):
        with _to_whom_it_may_concern():
            if asked.format == 'json':
                shown.say(report.as_json(merged)[:-1])
            else:
                _show(merged, path, shown)
        report.write(path, merged, _drawn(RunDir(path), merged))
        if not asked.merge:
            _remember(asked.state, merged)
    return int(merged['exit'])


@collector.paused()
def _page(asked: argparse.Namespace) -> int:
    from hack.dogfood import salvage

    source = Path(asked.bundle)
    source = source / 'bundle.json' if source.is_dir() else source
    bundle, troubles = salvage.read(source)
    for trouble in troubles:
        print(f'{source}: {trouble}', file=sys.stderr)
    target = Path(asked.out or source.with_name('report.html'))
    try:
        _write_page(target, bundle, source.parent, asked.state, troubles)
    except OSError as error:
        raise UserError(f'{target}: cannot be written: {error.strerror} (give another --out)', Exit.BROKEN) from error
    print(target)
    return Exit.BROKEN if troubles else Exit.GREEN


def _show(merged: Any, path: Path, shown: Console) -> None:
    """The report for people; in continuous integration also what its server puts at the journeys' places."""
    from hack.dogfood import annotations, report

    if not annotations.is_wanted(os.environ):
        report.show(merged, path, shown)
        return
    with annotations.guard(shown):
        report.show(merged, path, shown)
    annotations.say(merged, path, shown)


def _graph(asked: argparse.Namespace) -> int:
    from hack.dogfood import chains, drawing

    corpus, plan = _planned(asked)
    draw = drawing.dot if asked.format == 'dot' else drawing.mermaid
    print(draw(chains.as_json(plan, corpus.journeys)))
    return Exit.GREEN


def _explain(asked: argparse.Namespace) -> int:
    from hack.dogfood import chains, explain

    corpus, plan = _planned(asked)
    last = _latest_bundle(asked.state)
    record = next((entry for entry in last['journeys'] if entry['id'] == asked.id), None) if last else None
    for line in explain.explain(chains.as_json(plan, corpus.journeys), asked.id, record):
        print(line)
    return Exit.GREEN


def _needs(asked: argparse.Namespace) -> int:
    from hack.common.process import which

    corpus = _load(asked.corpus)
    packages: dict[str, str] = {}
    for journey in corpus.journeys.values():
        feature = corpus.features[journey.path]
        for command in (*feature.needs, *journey.needs):
            packages.setdefault(command, feature.packages.get(command, command))
    path = os.environ.get('PATH', os.defpath)
    found = {command: which(command, path) for command in sorted(packages)}
    shown = [command for command, where in found.items() if not (asked.missing and where)]
    match asked.format:
        case 'packages':
            lines: Iterable[str] = sorted({packages[command] for command in shown})
        case 'json':
            lines = [json.dumps([{'command': name, 'package': packages[name], 'path': found[name]} for name in shown])]
        case _:
            lines = [
                f'{command}: {found[command] or f"absent (apt-get install {packages[command]})"}' for command in shown
            ]
    for line in lines:
        print(line)
    return Exit.GREEN


def _new(asked: argparse.Namespace) -> int:
    from hack.dogfood import journeys

    if os.path.basename(asked.feature) != asked.feature or asked.feature.startswith('.'):
        raise UserError(f'{asked.feature!r}: is no name for a file (give the feature a plain name)')
    text = journeys.starting_corpus(asked.feature)
    path = Path(asked.corpus) / f'{asked.feature}.yaml'
    if path.exists():
        raise UserError(f'{path}: is there already (choose another name)')
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomic(path, text)
    print(f'{path}: a corpus to start from (edit it, then: run_journeys.py check {path})')
    return Exit.GREEN


@collector.paused()
def _trend(asked: argparse.Namespace) -> int:
    from hack.dogfood import review

    return review.show_trend(asked.state, asked.last, asked.format == 'json')


@collector.paused()
def _compare(asked: argparse.Namespace) -> int:
    from hack.dogfood import review

    return review.show_comparison(asked.state, (asked.a, asked.b), asked.format)


@collector.paused()
def _triage(asked: argparse.Namespace) -> int:
    from hack.dogfood import review

    return review.show_triage(asked.state, asked.bundle, asked.format == 'json')


def _decide(asked: argparse.Namespace) -> int:
    from hack.dogfood import review

    return review.decide(asked.state, asked.of, asked.fingerprint, asked.decision, asked.note)


@contextlib.contextmanager
def _to_whom_it_may_concern() -> Iterator[None]:
    """Say what is on disk as well: where nobody listens any more (`| head`, a terminal that is gone), go on."""
    try:
        yield
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


# -- what verbs share --------------------------------------------------------------------------


def _load(paths: Sequence[str]) -> Corpus:
    from hack.dogfood import decisions, journeys

    corpus = journeys.load(paths or [DEFAULT_CORPUS])
    decisions.load(decisions.places(paths or [DEFAULT_CORPUS]))  # raises where they are not what they should be
    return corpus


def _planned(asked: argparse.Namespace) -> tuple[Corpus, Plan]:
    from hack.dogfood import chains, timings

    corpus = _load(asked.corpus)
    only = [name for names in asked.only for name in names.split(',') if name]
    tiers = [name for names in asked.tiers for name in names.split(',') if name]
    failed = _failed(asked.state) if chains.FAILED in only else []
    corpus = chains.select(corpus, only, tiers, failed).corpus
    known = timings.read(asked.timings).journeys if asked.timings else {}
    return corpus, chains.plan(corpus.journeys, asked.shards, known)


def _failed(state: Path) -> list[str]:
    last = _latest_bundle(state)
    if last is None:
        raise UserError(f'{state}: @failed needs an earlier run, and there is none (run everything once)')
    failed = [journey['id'] for journey in last['journeys'] if journey['verdict'] == 'failed']
    if not failed:
        raise UserError(f'{state}/latest: nothing failed there (leave @failed out)')
    return failed


def _latest_bundle(state: Path) -> Any:
    from hack.dogfood import bundle

    path = state / 'latest' / 'bundle.json'
    return bundle.read(path) if path.exists() else None


def _asked(asked: argparse.Namespace) -> Any:
    from hack.dogfood import decisions
    from hack.dogfood.start import Asked

    options = Options(
        retries=asked.retries,
        deadline_seconds=asked.deadline,
        keep=asked.keep,
        require_all=asked.require_all,
        report_only=asked.report_only,
        product_path=_product_path(asked.product_path),
        sandbox=asked.sandbox,
        apart=asked.apart,
        known=asked.known,
        in_part=bool(asked.only or asked.tiers),
    )
    return Asked(options, asked.command, os.getcwd(), asked.owner, decisions.places(asked.corpus or [DEFAULT_CORPUS]))


def _product_path(path: str | None) -> str | None:
    if path is None:
        return None
    if not os.path.isdir(path):
        raise UserError(f'{path}: is not a folder (PRODUCT_PATH: the folder of a development build)')
    return os.path.abspath(path)


def _run_dir(asked: argparse.Namespace) -> RunDir | None:
    # By its one true name: processes of the run are known by it.
    return RunDir(Path(asked.run_dir).resolve()) if asked.run_dir else None


def _existing(asked: argparse.Namespace) -> RunDir:
    from hack.dogfood import start

    return start.find(asked.state, asked.run_dir or 'latest')


def _all_ended(run_dir: RunDir) -> bool:
    for number in run_dir.shard_numbers():
        try:
            events, _ = files.read_jsonl(run_dir.results(number))
        except OSError:
            return False
        if not events or events[-1].get('event') != 'shard-end':
            return False
    return True


def _remember(state: Path, merged: Any) -> None:
    """Record durations for the next plan and drop the oldest runs; a run is no worse where that cannot be done."""
    from hack.dogfood import start, timings

    if (state / 'runs').is_dir():
        try:
            timings.write(state / 'timings.json', merged['journeys'])
            start.prune(state)
        except OSError as error:
            print(f'{state}: durations are not recorded, old runs not removed: {error}', file=sys.stderr)


def _note_down(state: Path, merged: Any) -> None:
    """Add the run to the history; a run is no worse where that cannot be done."""
    from hack.dogfood import history

    if not state.is_dir() or not history.is_final(merged):
        return
    try:
        for complaint in history.append(state / history.FILE, merged):
            print(complaint, file=sys.stderr)
    except OSError as error:
        print(f'{state / history.FILE}: does not tell of this run: {error}', file=sys.stderr)


def _write_page(path: Path, bundle: Any, run_dir: Path, state: Path, troubles: Sequence[str] = ()) -> None:
    from hack.dogfood import beside, report_page

    report_page.write(path, bundle, run_dir, beside.of(bundle, state, troubles))


@contextlib.contextmanager
def _meanwhile(what: str, make: Callable[[], None]) -> Iterator[None]:
    """Make something in a process of its own while the block runs: it takes no time from that, nor can it spoil it."""
    try:
        child = os.fork()
    except OSError as error:
        print(f'{what}: is not made: {error.strerror}', file=sys.stderr)
        yield
        return
    if child == 0:
        try:
            make()
        except Exception as error:
            print(f'{what}: is not made: {type(error).__name__}: {error}', file=sys.stderr, flush=True)
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.waitpid(child, 0)


def _drawn(run_dir: RunDir, merged: Any) -> str:
    from hack.dogfood import drawing

    verdicts = {journey['id']: journey['verdict'] for journey in merged['journeys']}
    return drawing.mermaid(rundir.read_part(run_dir.plan), verdicts)


# -- arguments ---------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog='run_journeys.py', description='Plan, run and report journeys.')
    verbs = parser.add_subparsers(title='verbs', required=True, metavar='VERB', parser_class=Parser)

    def verb(
        name: str, run: Callable[[argparse.Namespace], int], help: str, prog: str | None = None
    ) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = verbs.add_parser(
            name, help=help, description=help, prog=prog or f'{parser.prog} {name}'
        )
        added.set_defaults(verb=run, command=['run_journeys.py', *sys.argv[1:]])
        added.add_argument('--state', type=Path, default=STATE, metavar='DIR', help='runs, timings (default: .dogfood)')
        return added

    plan = verb('plan', _plan, 'print one chain-grouped shard list per line; writes nothing without --run-dir')
    _selection(plan)
    plan.add_argument('--format', choices=('lines', 'json', 'github'), default='lines')
    _run_options(plan)

    begins = 'plan, make the run directory and print its path; dogfood.sh goes on from there'
    begin = verb('start', _start, begins, prog='dogfood.sh')
    _selection(begin, timings=STATE / 'timings.json')
    begin.add_argument('--resume', metavar='latest|RUN_DIR', help='go on with an earlier run, by its own plan')
    _run_options(begin)

    check = verb('check', _check, 'say everything that is wrong with a corpus, at once')
    _corpus(check)
    check.add_argument('--format', choices=('text', 'json'), default='text')

    shard = verb('shard', _shard, "run one line of a run directory's plan")
    shard.add_argument('run_dir', metavar='RUN_DIR')
    shard.add_argument('index', type=at_least(1), metavar='INDEX', help='which line, from 1')

    wait = verb('wait', _wait, 'wait until no shard of a run is at work; a TERM is handed on to them')
    wait.add_argument('run_dir', nargs='?', metavar='RUN_DIR', help='default: the latest run')
    wait.add_argument('--interrupts', type=at_least(0), default=0, help=argparse.SUPPRESS)

    watch = verb('watch', _watch, 'show a run while it goes on, until it is over; reads only')
    watch.add_argument('run_dir', nargs='?', metavar='RUN_DIR', help='default: the latest run')
    watch.add_argument('--format', choices=('lines', 'json'), help='a journey a line (default: bars, on a terminal)')

    report = verb(
        'report', _report, 'merge what the shards recorded, show the table, write bundle, JUnit, summary and page'
    )
    report.add_argument('run_dir', nargs='?', metavar='RUN_DIR', help='default: the latest run')
    report.add_argument('--merge', nargs='+', metavar='DIR', help='run directories brought back from other machines')
    report.add_argument('--interrupted', action='store_true', help='the run was told to stop')
    report.add_argument('--format', choices=('table', 'json'), default='table')

    page = verb('page', _page, 'make report.html of a bundle, as much as can be read of it')
    page.add_argument('bundle', metavar='BUNDLE', help='bundle.json, or the folder it is in')
    page.add_argument('--out', metavar='FILE', help='default: report.html beside the bundle')

    graph = verb('graph', _graph, 'draw capabilities and chains')
    _selection(graph)
    graph.add_argument('--format', choices=('mermaid', 'dot'), default='mermaid')

    explain = verb(
        'explain', _explain, 'why a journey has its chain, its shard, its prerequisites and its last verdict'
    )
    explain.add_argument('id', metavar='ID')
    _selection(explain)

    needs = verb('needs', _needs, 'list the commands the journeys need, and the package of each')
    _corpus(needs)
    needs.add_argument('--missing', action='store_true', help='only those that are absent')
    needs.add_argument('--format', choices=('text', 'packages', 'json'), default='text')

    _looking_back(verb)

    new = verb('new', _new, 'write a commented starting corpus for a feature')
    new.add_argument('feature', metavar='FEATURE')
    new.add_argument('--corpus', default=DEFAULT_CORPUS, metavar='DIR', help='where to (default: journeys)')
    return parser


def _looking_back(verb: Callable[..., argparse.ArgumentParser]) -> None:
    trend = verb('trend', _trend, 'how the last runs went: pass, flake and infra rates, duration, signal to noise')
    trend.add_argument('--last', type=at_least(1), default=20, metavar='N', help='runs (default: 20)')
    trend.add_argument('--format', choices=('text', 'json'), default='text')

    a_run = "a run's folder, bundle.json or id, `latest` or `previous`"
    compare = verb(
        'compare', _compare, 'what changed from run A to run B; exit 1: something newly failed, 3: not comparable'
    )
    compare.add_argument('a', nargs='?', default='previous', metavar='A', help=f'{a_run} (default: previous)')
    compare.add_argument('b', nargs='?', default='latest', metavar='B', help='likewise (default: latest)')
    compare.add_argument('--format', choices=('text', 'json', 'markdown'), default='text')

    triage = verb('triage', _triage, 'group what did not pass by its cause; `triage decide` keeps a decision about one')
    triage.add_argument('bundle', nargs='?', default='latest', metavar='BUNDLE', help=f'{a_run} (default: latest)')
    triage.add_argument('--format', choices=('text', 'json'), default='text')

    decide = verb(_DECIDE, _decide, "keep a reviewer's decision in triage.yaml of the corpus")
    decide.add_argument('fingerprint', metavar='FINGERPRINT', help='of a cause, as `triage` lists it')
    decide.add_argument('decision', choices=DECISIONS)
    decide.add_argument('--note', default='', metavar='TEXT', help='why')
    decide.add_argument('--of', default='latest', metavar='BUNDLE', help=f'{a_run} (default: latest)')


def _corpus(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('corpus', nargs='*', metavar='CORPUS', help='files or folders (default: journeys)')


def _selection(parser: argparse.ArgumentParser, timings: Path | None = None) -> None:
    _corpus(parser)
    add = parser.add_argument
    add('--shards', type=at_least(1), default=os.cpu_count() or 1, metavar='N', help='jobs (default: processors)')
    add(
        '--only', action='append', default=[], metavar='ID|@failed', help='with all they require; repeat, or use commas'
    )
    add('--tiers', '--tier', action='append', default=[], metavar='TIER', help=', '.join(TIERS))
    add('--timings', type=Path, default=timings, metavar='FILE', help='recorded durations')


def _run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add('--run-dir', metavar='DIR', help='make the run directory here (default: below .dogfood/runs)')
    add('--retries', type=at_least(0), default=0, metavar='N', help='try a failed journey again; a pass is then flaky')
    add('--deadline', type=_duration, metavar='20m', help='of the whole run; what is left is not measured')
    add('--product-path', metavar='DIR', help='a development build, first on PATH')
    add('--keep', choices=('failed', 'all', 'none'), default='failed', help="chains' folders (default: failed)")
    add('--sandbox', choices=('bwrap',), help='run each chain in a sandbox')
    add('--require-all', action='store_true', help='an absent need is an error, not a skip')
    add('--known', choices=('allow',), help='failures that a reviewer called intended or self-inflicted do not count')
    add('--report-only', action='store_true', help='exit 0 although the product failed')
    add('--apart', action='store_true', help='shards will run on machines of their own')
    add('--owner', type=int, metavar='PID', help=argparse.SUPPRESS)


def _duration(text: str) -> float:
    from hack.dogfood.values import seconds

    if not re.fullmatch(r'\d+(\.\d+)?(ms|s|m|h)?', text) or not seconds(text):
        raise argparse.ArgumentTypeError(f'{text!r} is not a duration like 90s or 20m')
    return seconds(text)

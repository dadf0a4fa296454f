"""The verbs about a plan: print it, start a run by it, draw it, explain it."""

import json
import os
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any, Final

from hack.common.console import console
from hack.common.errors import Exit, UserError
from hack.dogfood.arguments import DEFAULT_CORPUS
from hack.dogfood.model import Corpus, Options, Plan
from hack.dogfood.planning import chains
from hack.dogfood.rundir import RunDir

_WARNINGS: Final = 20  # that a run shows before it starts


def plan(asked: Namespace) -> int:
    corpus, planned = _planned(asked)
    for warning in (chains.summary(planned), *planned.advice):
        print(warning, file=sys.stderr)
    if asked.run_dir:
        _new_run(asked, corpus, planned)
    match asked.format:
        case 'json':
            print(json.dumps(chains.as_json(planned, corpus.journeys), indent=1, ensure_ascii=False))
        case 'github':
            print(json.dumps(chains.github_matrix(planned)))
        case _:
            print(chains.lines(planned))
    return Exit.GREEN


def start(asked: Namespace) -> int:
    """Make a run directory ready and print its path: the first half of dogfood.sh."""
    run_dir = _again(asked) if asked.resume else _anew(asked)
    print(run_dir.path.resolve())
    return Exit.GREEN


def graph(asked: Namespace) -> int:
    from hack.dogfood.planning import drawing

    corpus, planned = _planned(asked)
    draw = drawing.dot if asked.format == 'dot' else drawing.mermaid
    print(draw(chains.as_json(planned, corpus.journeys)))
    return Exit.GREEN


def explain(asked: Namespace) -> int:
    from hack.dogfood.planning.explain import explain

    corpus, planned = _planned(asked)
    last = _latest_bundle(asked.state)
    record = next((entry for entry in last['journeys'] if entry['id'] == asked.id), None) if last else None
    for line in explain(chains.as_json(planned, corpus.journeys), asked.id, record):
        print(line)
    return Exit.GREEN


# -- the plan that is asked for ----------------------------------------------------------------


def _planned(asked: Namespace, scripts: bool = False) -> tuple[Corpus, Plan]:
    from hack.dogfood.past import timings
    from hack.dogfood.verbs.corpus import load  # YAML and schemas: going on with a run needs none of it

    corpus = load(asked.corpus, scripts)
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
    from hack.dogfood.reporting import bundle
    from hack.dogfood.running import runs

    path = runs.latest(state).bundle
    return bundle.read(path) if path.exists() else None


# -- the run that is asked for -----------------------------------------------------------------


def _anew(asked: Namespace) -> RunDir:
    corpus, planned = _planned(asked, scripts=True)
    shown, left_out = corpus.warnings[:_WARNINGS], corpus.warnings[_WARNINGS:]
    more = [f'({len(left_out)} more warnings: make check lists them)'] if left_out else []
    told = console(sys.stderr, os.environ)
    told.say(*map(told.fold, (*shown, *more, chains.summary(planned), *planned.advice)))
    return _new_run(asked, corpus, planned)


def _again(asked: Namespace) -> RunDir:
    from hack.dogfood.running import runs, start

    if asked.only or asked.tiers:
        raise UserError('--resume: goes on with the recorded plan (leave ONLY and TIERS out, or start a new run)')
    earlier = runs.find(asked.state, asked.resume)
    run_dir = start.again(earlier, asked.corpus, asked.owner, asked.deadline, asked.known)
    print(f'going on with {run_dir.path}', file=sys.stderr)
    return run_dir


def _new_run(asked: Namespace, corpus: Corpus, planned: Plan) -> RunDir:
    from hack.dogfood.reporting import decisions
    from hack.dogfood.running import start

    # By its one true name: processes of the run are known by it.
    run_dir = RunDir(Path(asked.run_dir).resolve()) if asked.run_dir else None
    kept = decisions.places(asked.corpus or [DEFAULT_CORPUS])
    wanted = start.Asked(_options(asked), asked.command, os.getcwd(), asked.owner, kept)
    return start.new(run_dir, asked.state, corpus, planned, wanted)


def _options(asked: Namespace) -> Options:
    return Options(
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


def _product_path(path: str | None) -> str | None:
    if path is None:
        return None
    if not os.path.isdir(path):
        raise UserError(f'{path}: is not a folder (PRODUCT_PATH: the folder of a development build)')
    return os.path.abspath(path)


VERBS: Final = {'plan': plan, 'start': start, 'graph': graph, 'explain': explain}

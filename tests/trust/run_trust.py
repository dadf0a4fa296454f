#!/usr/bin/env python3
"""Run cases of known truth and print whom was blamed for what: see --help."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import groupby
from pathlib import Path

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # the repository, not this folder

from hack.common.console import Column, Console, Row, console
from tests.trust import cases
from tests.trust.campaign import REPOSITORY, Outcome, Wrong, impossible, run
from tests.trust.cases import Case, Run
from tests.trust.model import BLAMES

VERDICTS = ('passed', 'failed', 'infra', 'blocked', 'deferred', 'skipped')


def main(arguments: Sequence[str]) -> int:
    """Exit status 0 where nobody was wrongly blamed, else 1."""
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, and by the runs too
    numbers = [asked.case] if asked.case is not None else range(asked.cases)
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix='trust-'))
    missing = impossible()
    outcomes = list(_outcomes(asked.dogfood, folder, asked.seed, numbers, asked.jobs, missing))
    seconds = time.monotonic() - started
    shown = console(sys.stdout, os.environ)
    _show(shown, outcomes, len(numbers), seconds, asked.seed)
    for kind, why in missing.items():
        shown.say(f'no run here with: {kind} ({why}; plain runs took their place)')
    if asked.json:
        asked.json.write_text(json.dumps(_as_json(outcomes, asked.seed, len(numbers), seconds), indent=1) + '\n')
    if not any(outcome.wrong for outcome in outcomes) and not asked.keep:
        shutil.rmtree(folder)
        return 0
    shown.say(f'kept: {folder}')
    return int(any(outcome.wrong for outcome in outcomes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('--cases', type=int, default=1000, metavar='N', help='how many (default: 1000)')
    add('--case', type=int, metavar='N', help='this one alone')
    add('--seed', type=int, default=1, metavar='S', help='another set of cases (default: 1)')
    add('--jobs', type=int, default=os.cpu_count() or 1, metavar='J', help='runs at once (default: processors)')
    add('--json', type=Path, metavar='FILE', help='write the result there, too')
    add('--keep', action='store_true', help='keep the folder of every run')
    add('--dogfood', type=Path, default=REPOSITORY / 'hack/dogfood', metavar='DIR', help='the folder of dogfood.sh')
    return parser


def _outcomes(
    dogfood: Path, folder: Path, seed: int, numbers: Sequence[int], jobs: int, missing: Collection[str]
) -> Iterator[Outcome]:
    """What came of each run, as they end; plain ones take the place of kinds that are `missing`."""
    shown = sys.stderr.isatty()
    by_run: list[tuple[Run, list[Case]]] = [
        (its_run, [cases.case(seed, number) for number in its])
        for its_run, its in groupby(numbers, lambda number: cases.run_of(seed, number))
    ]
    done = wrong = 0
    with ThreadPoolExecutor(jobs) as pool:
        running = {
            pool.submit(
                run,
                dogfood,
                folder / str(its_run.number),
                seed,
                its_run._replace(kind='plain') if its_run.kind in missing else its_run,
                its_cases,
            ): len(its_cases)
            for its_run, its_cases in by_run
        }
        for future in as_completed(running):
            outcome = future.result()
            done, wrong = done + running[future], wrong + len(outcome.wrong)
            if shown:
                print(f'\r{done} of {len(numbers)} cases, {wrong} wrong ', end='', file=sys.stderr, flush=True)
            yield outcome
    if shown:
        print('\r\x1b[K', end='', file=sys.stderr)


def _show(shown: Console, outcomes: Sequence[Outcome], count: int, seconds: float, seed: int) -> None:
    exact, disturbed = _totals(outcomes)
    shown.say(f'What is known beforehand ({exact.total()} verdicts):')
    _matrix(shown, exact)
    if disturbed:
        shown.say('', f'Runs disturbed at a random moment, before they were resumed ({disturbed.total()} verdicts):')
        _matrix(shown, disturbed)
    kinds = Counter(outcome.run.kind for outcome in outcomes)
    excused = sum(outcome.excused for outcome in outcomes)
    shown.say('', 'runs: ' + ', '.join(f'{number} {kind}' for kind, number in kinds.most_common()))
    if excused:
        shown.say(f'slow products not blamed, because the machine was too busy to tell: {excused}')
    for outcome in outcomes:
        for wrong in outcome.wrong:
            shown.say(*_in_words(outcome, wrong, seed))
    total = sum(len(outcome.wrong) for outcome in outcomes)
    shown.say(f'{count} cases in {seconds:.0f} s, seed {seed}: {total} wrong')


def _totals(outcomes: Sequence[Outcome]) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
    exact, disturbed = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for outcome in outcomes:
        exact += outcome.exact
        disturbed += outcome.disturbed
    return exact, disturbed


def _matrix(shown: Console, counts: Counter[tuple[str, str]]) -> None:
    given = [*VERDICTS, *(['nothing'] if any(verdict == 'nothing' for _, verdict in counts) else [])]
    columns = [Column('to blame'), Column('in truth'), *(Column(verdict, right=True) for verdict in given)]
    rows = [
        Row([BLAMES[true], true, *(str(counts[true, verdict] or '-') for verdict in given)])
        for true in VERDICTS
        if any(counts[true, verdict] for verdict in given)
    ]
    shown.table(columns, rows)


def _in_words(outcome: Outcome, wrong: Wrong, seed: int) -> list[str]:
    where = f'run {outcome.run.number} ({outcome.run.kind}, {outcome.run.shards} shards)'
    number = wrong.case if wrong.case >= 0 else outcome.run.number * cases.CASES_PER_RUN
    words = '' if wrong.case < 0 else f' [{"; ".join(cases.case(seed, wrong.case).faults)}]'
    return [
        '',
        f'WRONG  {wrong.journey or "the run"}{words} in {where}, {wrong.leg}',
        f'  truth: {wrong.truth}',
        f'  given: {wrong.given}',
        f'  alone: tests/trust/run_trust.py --seed {seed} --case {number}',
        f'  folder: {outcome.folder}',
    ]


def _as_json(outcomes: Sequence[Outcome], seed: int, count: int, seconds: float) -> dict[str, object]:
    exact, disturbed = _totals(outcomes)
    return {
        'seed': seed,
        'cases': count,
        'seconds': round(seconds, 1),
        'exact': {true: {given: exact[true, given] for given in VERDICTS} for true in VERDICTS},
        'disturbed': {true: {given: disturbed[true, given] for given in VERDICTS} for true in VERDICTS},
        'excused': sum(outcome.excused for outcome in outcomes),
        'wrong': [wrong._asdict() for outcome in outcomes for wrong in outcome.wrong],
    }


if __name__ == '__main__':
    raise SystemExit(main(sys.argv[1:]))

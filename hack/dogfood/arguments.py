"""What each verb of run_journeys.py is for, and the arguments it takes."""

import argparse
import os
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from hack.common.arguments import Parser, at_least
from hack.dogfood.model import DECISIONS, TIERS

DEFAULT_CORPUS: Final = 'journeys'
_PROGRAM: Final = 'run_journeys.py'
_STATE: Final = Path('.dogfood')  # below the caller's folder
_A_RUN: Final = "a run's folder, bundle.json or id, `latest` or `previous`"


class Verb(NamedTuple):
    help: str
    add: Callable[[ArgumentParser], None]  # its own arguments to its parser
    program: str = ''  # that a user calls for it, where it is not run_journeys.py


def parse(arguments: list[str]) -> Namespace:
    """What is asked for, `verb` among it; raises UserError. `CORPUS --shards N` alone asks for a plan."""
    if arguments[:2] == ['triage', 'decide']:
        arguments = ['triage decide', *arguments[2:]]
    if not arguments or arguments[0] not in (*VERBS, '-h', '--help'):
        arguments = ['plan', *arguments]
    asked_for = VERBS.get(arguments[0])
    # All the verbs take milliseconds to describe, and only a list of them needs that.
    return _parser({arguments[0]: asked_for} if asked_for else VERBS).parse_args(arguments)


def _parser(verbs: Mapping[str, Verb]) -> ArgumentParser:
    parser = Parser(prog=_PROGRAM, description='Plan, run and report journeys.')
    listed = parser.add_subparsers(title='verbs', required=True, metavar='VERB', parser_class=Parser)
    for name, verb in verbs.items():
        program = verb.program or f'{_PROGRAM} {name}'
        added = listed.add_parser(name, help=verb.help, description=verb.help, prog=program)
        added.set_defaults(verb=name, command=[_PROGRAM, *sys.argv[1:]])
        added.add_argument(
            '--state', type=Path, default=_STATE, metavar='DIR', help='runs, timings (default: .dogfood)'
        )
        verb.add(added)
    return parser


# -- of a corpus and its plan ------------------------------------------------------------------


def _plan(parser: ArgumentParser) -> None:
    _selection(parser)
    _format(parser, 'lines', 'json', 'github')
    _run_options(parser)


def _start(parser: ArgumentParser) -> None:
    _selection(parser, timings=_STATE / 'timings.json')
    parser.add_argument('--resume', metavar='latest|RUN_DIR', help='go on with an earlier run, by its own plan')
    _run_options(parser)


def _graph(parser: ArgumentParser) -> None:
    _selection(parser)
    _format(parser, 'mermaid', 'dot')


def _explain(parser: ArgumentParser) -> None:
    parser.add_argument('id', metavar='ID')
    _selection(parser)


def _check(parser: ArgumentParser) -> None:
    _corpus(parser)
    _format(parser, 'text', 'json')


def _needs(parser: ArgumentParser) -> None:
    _corpus(parser)
    parser.add_argument('--missing', action='store_true', help='only those that are absent')
    _format(parser, 'text', 'packages', 'json')


def _new(parser: ArgumentParser) -> None:
    parser.add_argument('feature', metavar='FEATURE')
    parser.add_argument('--corpus', default=DEFAULT_CORPUS, metavar='DIR', help='where to (default: journeys)')


# -- of a run ----------------------------------------------------------------------------------


def _shard(parser: ArgumentParser) -> None:
    parser.add_argument('run_dir', metavar='RUN_DIR')
    parser.add_argument('index', type=at_least(1), metavar='INDEX', help='which line, from 1')


def _wait(parser: ArgumentParser) -> None:
    _run(parser)
    parser.add_argument('--interrupts', type=at_least(0), default=0, help=argparse.SUPPRESS)


def _watch(parser: ArgumentParser) -> None:
    _run(parser)
    parser.add_argument('--format', choices=('lines', 'json'), help='a journey a line (default: bars, on a terminal)')


def _report(parser: ArgumentParser) -> None:
    _run(parser)
    parser.add_argument('--merge', nargs='+', metavar='DIR', help='run directories brought back from other machines')
    parser.add_argument('--interrupted', action='store_true', help='the run was told to stop')
    _format(parser, 'table', 'json')


def _page(parser: ArgumentParser) -> None:
    parser.add_argument(
        'bundle', metavar='BUNDLE', help='of a run: its bundle.json, its folder, its id, latest or previous'
    )
    parser.add_argument('--out', metavar='FILE', help='default: report.html beside the bundle')


# -- of runs that are over ---------------------------------------------------------------------


def _trend(parser: ArgumentParser) -> None:
    parser.add_argument('--last', type=at_least(1), default=20, metavar='N', help='runs (default: 20)')
    _format(parser, 'text', 'json')


def _compare(parser: ArgumentParser) -> None:
    parser.add_argument('a', nargs='?', default='previous', metavar='A', help=f'{_A_RUN} (default: previous)')
    parser.add_argument('b', nargs='?', default='latest', metavar='B', help='likewise (default: latest)')
    _format(parser, 'text', 'json', 'markdown')


def _triage(parser: ArgumentParser) -> None:
    parser.add_argument('bundle', nargs='?', default='latest', metavar='BUNDLE', help=f'{_A_RUN} (default: latest)')
    _format(parser, 'text', 'json')


def _decide(parser: ArgumentParser) -> None:
    parser.add_argument('fingerprint', metavar='FINGERPRINT', help='of a cause, as `triage` lists it')
    parser.add_argument('decision', choices=DECISIONS)
    parser.add_argument('--note', default='', metavar='TEXT', help='why')
    parser.add_argument('--of', default='latest', metavar='BUNDLE', help=f'{_A_RUN} (default: latest)')


# -- what several take -------------------------------------------------------------------------


def _state(parser: ArgumentParser) -> None:
    parser.add_argument('--state', type=Path, default=_STATE, metavar='DIR', help='runs, timings (default: .dogfood)')


def _format(parser: ArgumentParser, default: str, *others: str) -> None:
    parser.add_argument('--format', choices=(default, *others), default=default)


def _run(parser: ArgumentParser) -> None:
    parser.add_argument('run_dir', nargs='?', metavar='RUN_DIR', help='default: the latest run')


def _corpus(parser: ArgumentParser) -> None:
    parser.add_argument('corpus', nargs='*', metavar='CORPUS', help='files or folders (default: journeys)')


def _selection(parser: ArgumentParser, timings: Path | None = None) -> None:
    _corpus(parser)
    add = parser.add_argument
    add('--shards', type=at_least(1), default=os.cpu_count() or 1, metavar='N', help='jobs (default: processors)')
    add(
        '--only', action='append', default=[], metavar='ID|@failed', help='with all they require; repeat, or use commas'
    )
    add('--tiers', '--tier', action='append', default=[], metavar='TIER', help=', '.join(TIERS))
    add('--timings', type=Path, default=timings, metavar='FILE', help='recorded durations')


def _run_options(parser: ArgumentParser) -> None:
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
    from hack.dogfood.corpus.values import seconds

    if not re.fullmatch(r'\d+(\.\d+)?(ms|s|m|h)?', text) or not seconds(text):
        raise ArgumentTypeError(f'{text!r} is not a duration like 90s or 20m')
    return seconds(text)


VERBS: Final[Mapping[str, Verb]] = {
    'plan': Verb('print one chain-grouped shard list per line; writes nothing without --run-dir', _plan),
    'start': Verb(
        'plan, make the run directory and print its path; dogfood.sh goes on from there', _start, 'dogfood.sh'
    ),
    'check': Verb('say everything that is wrong with a corpus, at once', _check),
    'shard': Verb("run one line of a run directory's plan", _shard),
    'wait': Verb('wait until no shard of a run is at work; a TERM is handed on to them', _wait),
    'watch': Verb('show a run while it goes on, until it is over; reads only', _watch),
    'report': Verb('merge what the shards recorded, show the table, write bundle, JUnit, summary and page', _report),
    'page': Verb('make report.html of a bundle, as much as can be read of it', _page),
    'graph': Verb('draw capabilities and chains', _graph),
    'explain': Verb('why a journey has its chain, its shard, its prerequisites and its last verdict', _explain),
    'needs': Verb('list the commands the journeys need, and the package of each', _needs),
    'trend': Verb('how the last runs went: pass, flake and infra rates, duration, signal to noise', _trend),
    'compare': Verb('what changed from run A to run B; exit 1: something newly failed, 3: not comparable', _compare),
    'triage': Verb('group what did not pass by its cause; `triage decide` keeps a decision about one', _triage),
    'triage decide': Verb("keep a reviewer's decision in triage.yaml of the corpus", _decide),
    'new': Verb('write a commented starting corpus for a feature', _new),
}

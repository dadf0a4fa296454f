"""The command line of the exec gate: arguments in, exit status out."""

import argparse
import contextlib
import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from hack.common.arguments import Parser, at_least
from hack.common.console import Column, Row, console, counted
from hack.common.errors import Exit, UserError
from hack.exec_harness.model import Result, Scenario

SHIPPED: Final = Path(__file__).with_name('scenarios')
OUT: Final = Path('.dogfood/harness')  # below the caller's folder
_VERBS: Final = ('run', 'list', 'check', 'serve', 'diff')


def main(arguments: list[str]) -> int:
    """Run one verb; raises UserError for what the caller can mend."""
    if not arguments or arguments[0] not in (*_VERBS, '-h', '--help'):
        arguments = ['run', *arguments]  # `run_scenarios.py SCENARIO… --agent-bin PATH`
    asked = _parser().parse_args(arguments)
    verb: Callable[[argparse.Namespace], int] = asked.verb
    return verb(asked)


# -- verbs -----------------------------------------------------------------------------------


def _run(asked: argparse.Namespace) -> int:
    with _trusting_nobody():
        from hack.exec_harness.driving import adapters, choice
        from hack.exec_harness.reporting import report
        from hack.exec_harness.running import gate, runner
        from hack.exec_harness.running.pool import Pool

    scenarios = runner.part(_load(asked.scenarios), asked.shard)
    named = {'AGENT_BIN': asked.agent_bin} if asked.agent_bin else {}
    agent = adapters.ask(choice.agent_binary({**os.environ, **named}, Path.cwd()))
    order = gate.Order(scenarios, agent, asked.out, asked.twice, asked.keep, asked.update)
    pool = Pool(asked.jobs)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: pool.stop())
    gc.freeze()  # workers share what is loaded by now, and copy none of it to collect garbage
    run = gate.run(order, pool, _teller(asked.format, scenarios))
    report.show(run, console(sys.stdout if asked.format == 'table' else sys.stderr, os.environ))
    if asked.format == 'junit':
        print(report.junit(run), end='')
    return report.exit_status(run)


@contextlib.contextmanager
def _trusting_nobody() -> Iterator[None]:
    """aiohttp loads every certificate of the machine as it is imported, a sixth of our start, and we speak no TLS."""
    kept = dict(os.environ)
    os.environ.update(SSL_CERT_FILE=os.devnull, SSL_CERT_DIR=os.devnull)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def _teller(form: str, scenarios: Sequence[Scenario]) -> Callable[[Result], None]:
    """What is said of each scenario as it ends."""
    from hack.exec_harness.reporting import report

    shown = console(sys.stdout if form == 'table' else sys.stderr, os.environ)
    width = max((len(scenario.name) for scenario in scenarios), default=0)

    def tell(result: Result) -> None:
        if form == 'jsonl':
            print(report.json_line(result), flush=True)
        else:
            shown.say(report.line(result, width, shown))

    return tell


def _list(asked: argparse.Namespace) -> int:
    scenarios = _load(asked.scenarios)
    if asked.format == 'json':
        print(json.dumps([_listed(scenario) for scenario in scenarios], indent=1, ensure_ascii=False))
        return Exit.GREEN
    rows = [Row((each.name, str(len(each.turns)), f'{each.path}:{each.line}', each.claim)) for each in scenarios]
    columns = (Column('scenario'), Column('turns', right=True), Column('file'), Column('claim'))
    console(sys.stdout, os.environ).table(columns, rows)
    return Exit.GREEN


def _listed(scenario: Scenario) -> dict[str, object]:
    return {
        'scenario': scenario.name,
        'path': scenario.path,
        'line': scenario.line,
        'turns': len(scenario.turns),
        'claim': scenario.claim,
    }


def _check(asked: argparse.Namespace) -> int:
    scenarios = _load(asked.scenarios)
    if asked.format == 'json':
        print(json.dumps({'scenarios': len(scenarios), 'files': len({scenario.path for scenario in scenarios})}))
    else:
        print(f'{counted(len(scenarios), "scenario")}: nothing wrong')
    return Exit.GREEN


def _serve(asked: argparse.Namespace) -> int:
    from hack.exec_harness.api import responses_server
    from hack.exec_harness.driving import adapters

    [scenario, *others] = _load([asked.scenario])
    if others:
        raise UserError(f'{asked.scenario}: holds {1 + len(others)} scenarios (name one)')
    shown = console(sys.stdout, os.environ)
    row = adapters.ROWS[0]
    names = {**row.names(), 'agent': row.family, 'workspace': os.getcwd(), 'home': os.path.expanduser('~')}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a script's background job is born deaf to Ctrl-C
        signal.signal(number, signal.default_int_handler)
    served = responses_server.serve(scenario, asked.port, names, shown.say)
    problems = [f'not answered: {request.problem}' for request in served.requests if request.problem]
    shown.say(*problems, *(f'not asked for: {name}' for name in served.unused_replies))
    return Exit.GREEN


def _diff(asked: argparse.Namespace) -> int:
    from hack.exec_harness.reporting import differences

    found = differences.between(asked.before, asked.after)
    if asked.format == 'json':
        print(json.dumps([each._asdict() for each in found], indent=1, ensure_ascii=False))
        return Exit.RED if found else Exit.GREEN
    shown = console(sys.stdout, os.environ)
    for each in found:
        title = shown.paint(f'{each.scenario}: {each.what}: ', 'bold')
        shown.say(f'{title}{each.text}', *(f'  {line}' for line in each.lines.splitlines()))
    shown.say(f'{counted(len(found), "difference")}' if found else 'no difference in verdicts, events and requests')
    return Exit.RED if found else Exit.GREEN


def _load(paths: Sequence[str]) -> Sequence[Scenario]:
    from hack.exec_harness.format import scenarios

    return scenarios.load(paths or [os.path.relpath(SHIPPED) if SHIPPED.is_relative_to(Path.cwd()) else str(SHIPPED)])


# -- arguments ---------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog='run_scenarios.py', description="Hold an agent's `exec --json` to its contract.")
    verbs = parser.add_subparsers(title='verbs', required=True, metavar='VERB', parser_class=Parser)

    def verb(name: str, run: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = verbs.add_parser(name, help=help, description=help)
        added.set_defaults(verb=run)
        return added

    _run_options(verb('run', _run, 'run scenarios against an agent; the verb may be left out'))
    listed = verb('list', _list, 'list scenarios and what each one claims')
    _scenarios(listed)
    listed.add_argument('--format', choices=('table', 'json'), default='table')
    check = verb('check', _check, 'say everything that is wrong with scenarios, at once')
    _scenarios(check)
    check.add_argument('--format', choices=('text', 'json'), default='text')
    serve = verb('serve', _serve, "serve a scenario's fake API alone, to drive a client by hand; Ctrl-C ends it")
    serve.add_argument('scenario', metavar='SCENARIO')
    serve.add_argument('--port', type=at_least(0, 65535), default=0, metavar='N', help='default: any that is free')
    diff = verb('diff', _diff, 'say what differs between two runs; exit 1 where something does')
    diff.add_argument('before', type=Path, metavar='OUT1', help='folder of a run, or of a scenario in it')
    diff.add_argument('after', type=Path, metavar='OUT2')
    diff.add_argument('--format', choices=('text', 'json'), default='text')
    return parser


def _scenarios(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('scenarios', nargs='*', metavar='SCENARIO', help='files or folders (default: those shipped)')


def _run_options(parser: argparse.ArgumentParser) -> None:
    _scenarios(parser)
    add = parser.add_argument
    add('--agent-bin', metavar='PATH', help='default: AGENT_BIN, else code-rs/, else the pinned Codex')
    add('--out', type=Path, default=OUT, metavar='DIR', help=f'each run makes a folder in it (default: {OUT})')
    add('--jobs', type=at_least(1), default=os.cpu_count() or 1, metavar='N', help='at once (default: processors)')
    add('--shard', type=_part, default='1/1', metavar='K/N', help='the K-th of N parts')
    add('--twice', action='store_true', help='run each scenario twice; a difference is a failure')
    add('--update', action='store_true', help='rewrite golden requests')
    add('--keep', action='store_true', help='keep homes and workspaces')
    add('--format', choices=('table', 'jsonl', 'junit'), default='table')


def _part(text: str) -> tuple[int, int]:
    number, slash, of = text.partition('/')
    if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise argparse.ArgumentTypeError(f'{text!r} is no part K/N with K from 1 to N')
    return int(number), int(of)

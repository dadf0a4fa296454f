"""The verbs of run_agents.py with which a live project is moved to a staged config: parity, baseline, cutover."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hack.common.console import console
from hack.common.errors import Exit, UserError
from hack.orchestrator.config import agents
from hack.orchestrator.model import Config, Sighting, Standing

# What a verb does is imported when it is asked for: this module is loaded by each `status`, too.
if TYPE_CHECKING:
    from hack.orchestrator.staging import parity, rehearsal

_Verb = Callable[[argparse.Namespace], int]


def add_verbs(verbs: Any) -> None:
    """Add the three to the subparsers of argparse; each sets `do`: from what was asked to the exit status."""
    one = _verb(verbs, 'parity', 'compare a staged config with the live one, byte by byte; writes nothing', _parity)
    _both(one)
    one.add_argument('--no-state', action='store_true', help='leave STATE out, and compare in the phase of LIVE')
    _listing(one)
    inner = _group(verbs, 'baseline', 'record what a live project is made of, and say what has moved', 'take|check')
    take = _verb(inner, 'take', 'write the record', _take)
    take.add_argument('--also', metavar='PATH', action='append', default=[], help='another file, as of the boot chain')
    check = _verb(inner, 'check', 'say what differs from the record; exit 1 where something does', _check)
    _listing(check)
    for one in (take, check):
        one.add_argument('file', metavar='FILE', nargs='?', help='the record (default: state/baseline.json of log_dir)')
    inner = _group(verbs, 'cutover', 'move a live project to a staged config', 'plan|rehearse')
    plan = _verb(inner, 'plan', 'write the runbook, rollback included', _plan)
    rehearse = _verb(inner, 'rehearse', 'carry it out in a scratch copy, killed at every step in turn', _rehearse)
    rehearse.add_argument('--thorough', action='store_true', help='killed before every command')
    for one in (plan, rehearse):
        _both(one)
        one.add_argument('--boot', metavar='FILE', type=Path, help='the first file of what starts the live project')
        one.add_argument('--fleet', metavar='FILE', type=Path, help='the registry that has the staged project')


def _verb(verbs: Any, name: str, says: str, do: _Verb | None = None) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=says, description=says[0].upper() + says[1:] + '.')
    parser.set_defaults(do=do)
    return parser


def _group(verbs: Any, name: str, says: str, choices: str) -> Any:
    return _verb(verbs, name, says).add_subparsers(required=True, metavar=choices)


def _listing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--format', choices=('text', 'json'), default='text')


def _both(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('live', metavar='LIVE', type=Path, help='the agents.toml in force, or its folder')
    parser.add_argument('staged', metavar='STAGED', type=Path, help='the one that is to follow, or its folder')


def _load(path: Path) -> Config:
    return agents.load((path / agents.DEFAULT if path.is_dir() else path).resolve())


def _say(*lines: str) -> None:
    console(sys.stdout, os.environ).say(*lines)


def _look(config: Config, with_state: bool) -> tuple[Standing, Mapping[str, Sighting]]:
    """Where the project is in its phases, and, unless that is not wanted, how its agents are."""
    from hack.orchestrator.runtime import sightings

    here = sightings.project(config, os.environ)
    seen = sightings.survey(here) if with_state else sightings.Survey({})
    if seen.problems:
        raise UserError(seen.problems)
    return here.store.standing(config), seen.agents


def _parity(asked: argparse.Namespace) -> int:
    from hack.orchestrator.staging import parity

    live, staged = (_view(_load(path), not asked.no_state) for path in (asked.live, asked.staged))
    if asked.no_state and live.standing.at < max(1, len(staged.phases)):
        staged = staged._replace(standing=live.standing)  # where it will be once it is in force
    compared = parity.compare(live, staged)
    if asked.format == 'json':
        _say(json.dumps([one._asdict() for one in compared], ensure_ascii=False, indent=1))
    else:
        _say(*(f'{one.subject:<8}  {one.difference or f"equal ({one.number})"}' for one in compared))
    return Exit.RED if any(one.difference for one in compared) else Exit.GREEN


def _view(config: Config, with_state: bool) -> 'parity.View':
    from hack.orchestrator.staging import parity

    standing, sightings = _look(config, with_state)
    phases = config.tables.get('loop', {}).get('phases', [])
    return parity.View(config, phases, standing, sightings if with_state else None)


def _take(asked: argparse.Namespace) -> int:
    from hack.common import files
    from hack.orchestrator.staging import baseline

    config = _load(asked.config)
    path = _record(asked, config)
    record = baseline.take(config, *_look(config, True), [Path(also) for also in asked.also])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(path, record, durable=True)
    except OSError as error:
        raise UserError(f'{path}: {error.strerror} (name a file that can be written)') from error
    _say(f'{path}: {len(record["files"])} files, {len(record["sessions"])} sessions')
    return Exit.GREEN


def _check(asked: argparse.Namespace) -> int:
    from hack.orchestrator.staging import baseline

    config = _load(asked.config)
    record = baseline.read(_record(asked, config))
    moved = baseline.moved(record, baseline.again(record, config, *_look(config, True)))
    if asked.format == 'json':
        _say(json.dumps({'taken': record['taken'], 'moved': moved}, ensure_ascii=False, indent=1))
    else:
        _say(*(moved or [f'nothing has moved since {record["taken"]}']))
    return Exit.RED if moved else Exit.GREEN


def _record(asked: argparse.Namespace, config: Config) -> Path:
    return Path(asked.file) if asked.file else config.state_dir / 'baseline.json'


def _plan(asked: argparse.Namespace) -> int:
    from hack.orchestrator.staging import cutover

    facts = cutover.inspect(_load(asked.live), _load(asked.staged), asked.boot, asked.fleet)
    sys.stdout.write(cutover.markdown(cutover.plan(facts)))
    return Exit.GREEN


def _rehearse(asked: argparse.Namespace) -> int:
    from hack.orchestrator.staging import rehearsal

    def tell(trial: 'rehearsal.Trial') -> None:
        _say(f'{"FAILED" if trial.wrong else "ok":<6}  {trial.killed}', *(f'        {why}' for why in trial.wrong))

    given = rehearsal.Given(_load(asked.live), _load(asked.staged), asked.boot, asked.fleet)
    trials = rehearsal.rehearse(given, tell, asked.thorough)
    failed = sum(bool(trial.wrong) for trial in trials)
    proof = '; rollback restored the tree each time, and there were never two watchdogs' if not failed else ''
    _say(f'{len(trials)} trials, {failed} failed{proof}')
    return Exit.RED if failed else Exit.GREEN

"""The verbs of run_agents.py with which a live project is moved to a staged config: parity, baseline, cutover."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hack.common import files
from hack.common.console import console
from hack.common.errors import Exit, UserError
from hack.common.source import load_toml
from hack.orchestrator import agents, baseline, cutover, parity, rehearsal
from hack.orchestrator.model import Config, Sighting, Standing

# What is known of a project: where it is in its phases, and, unless that is not wanted, what tmux says of its agents.
Look = Callable[[Config, bool], tuple[Standing, Mapping[str, Sighting]]]


def add_verbs(verbs: Any, look: Look) -> None:
    """Add the three to the subparsers of argparse; each sets `do`, which takes what was asked and gives the status."""
    _add_parity(verbs, look)
    _add_baseline(verbs, look)
    _add_cutover(verbs)


def _add_parity(verbs: Any, look: Look) -> None:
    one = _verb(verbs, 'parity', 'compare a staged config with the live one, byte by byte')
    _both(one)
    one.add_argument('--no-state', action='store_true', help='leave STATE out of the status')
    one.add_argument('--format', choices=('text', 'json'), default='text')
    one.set_defaults(do=lambda asked: _parity(asked, look))


def _add_baseline(verbs: Any, look: Look) -> None:
    inner = _verb(verbs, 'baseline', 'record what a live project is made of, and say what has moved').add_subparsers(
        required=True, metavar='take|check'
    )
    take = _verb(inner, 'take', 'write the record')
    check = _verb(inner, 'check', 'say what differs from the record; exit 1 where something does')
    for one in (take, check):
        one.add_argument('file', metavar='FILE', nargs='?', help='the record (default: state/baseline.json of log_dir)')
    take.add_argument('--also', metavar='PATH', action='append', default=[], help='another file, as of the boot chain')
    check.add_argument('--format', choices=('text', 'json'), default='text')
    take.set_defaults(do=lambda asked: _take(asked, look))
    check.set_defaults(do=lambda asked: _check(asked, look))


def _add_cutover(verbs: Any) -> None:
    inner = _verb(verbs, 'cutover', 'move a live project to a staged config').add_subparsers(
        required=True, metavar='plan|rehearse'
    )
    for name, do, says in (
        ('plan', _plan, 'write the runbook, rollback included'),
        ('rehearse', _rehearse, 'carry it out in a scratch copy, killed at every step in turn'),
    ):
        one = _verb(inner, name, says)
        _both(one)
        one.add_argument('--boot', metavar='FILE', type=Path, help='the first file of what starts the live project')
        one.add_argument('--fleet', metavar='FILE', type=Path, help='the registry that has the staged project')
        one.set_defaults(do=do)


def _verb(verbs: Any, name: str, says: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=says, description=says.capitalize() + '.')
    return parser


def _both(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('live', metavar='LIVE', type=Path, help='the agents.toml in force, or its folder')
    parser.add_argument('staged', metavar='STAGED', type=Path, help='the one that is to follow, or its folder')


def _load(path: Path) -> Config:
    return agents.load(path / agents.DEFAULT if path.is_dir() else path)


def _say(*lines: str) -> None:
    console(sys.stdout, os.environ).say(*lines)


def _parity(asked: argparse.Namespace, look: Look) -> int:
    live, staged = (_view(_load(path), look, not asked.no_state) for path in (asked.live, asked.staged))
    compared = parity.compare(live, staged)
    if asked.format == 'json':
        _say(json.dumps([one._asdict() for one in compared], ensure_ascii=False, indent=1))
    else:
        _say(*(f'{one.subject:<8}  {one.difference or f"equal ({one.number})"}' for one in compared))
    return Exit.RED if any(one.difference for one in compared) else Exit.GREEN


def _view(config: Config, look: Look, with_state: bool) -> parity.View:
    standing, sightings = look(config, with_state)
    phases = load_toml(str(config.path)).get('loop', {}).get('phases', [])
    return parity.View(config, phases, standing, sightings if with_state else None)


def _take(asked: argparse.Namespace, look: Look) -> int:
    config = _load(asked.config)
    path = _record(asked, config)
    record = baseline.take(config, *look(config, True), [Path(also) for also in asked.also])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(path, record, durable=True)
    except OSError as error:
        raise UserError(f'{path}: {error.strerror} (name a file that can be written)') from error
    _say(f'{path}: {len(record["files"])} files, {len(record["sessions"])} sessions')
    return Exit.GREEN


def _check(asked: argparse.Namespace, look: Look) -> int:
    config = _load(asked.config)
    record = baseline.read(_record(asked, config))
    moved = baseline.moved(record, baseline.again(record, config, *look(config, True)))
    if asked.format == 'json':
        _say(json.dumps({'taken': record['taken'], 'moved': moved}, ensure_ascii=False, indent=1))
    else:
        _say(*(moved or [f'nothing has moved since {record["taken"]}']))
    return Exit.RED if moved else Exit.GREEN


def _record(asked: argparse.Namespace, config: Config) -> Path:
    return Path(asked.file) if asked.file else config.state_dir / 'baseline.json'


def _plan(asked: argparse.Namespace) -> int:
    facts = cutover.inspect(_load(asked.live), _load(asked.staged), asked.boot, asked.fleet)
    sys.stdout.write(cutover.markdown(cutover.plan(facts)))
    return Exit.GREEN


def _rehearse(asked: argparse.Namespace) -> int:
    def tell(trial: rehearsal.Trial) -> None:
        _say(f'{"FAILED" if trial.wrong else "ok":<6}  {trial.killed}', *(f'        {why}' for why in trial.wrong))

    given = rehearsal.Given(_load(asked.live), _load(asked.staged), asked.boot, asked.fleet)
    trials = rehearsal.rehearse(given, tell)
    failed = sum(bool(trial.wrong) for trial in trials)
    proof = '; rollback restored the tree each time, and there were never two watchdogs' if not failed else ''
    _say(f'{len(trials)} trials, {failed} failed{proof}')
    return Exit.RED if failed else Exit.GREEN

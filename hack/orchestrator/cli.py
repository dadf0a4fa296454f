"""The command line of the orchestrator: arguments in, exit status out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hack.common.console import console
from hack.common.errors import Exit, UserError
from hack.orchestrator.config import agents, phases
from hack.orchestrator.model import Agent, Config, Sighting, Standing, State
from hack.orchestrator.policy import status
from hack.orchestrator.runtime import sightings
from hack.orchestrator.runtime.sightings import Project

# What a verb does is imported when it is asked for: status is looked at often, and most of it would be imports.
if TYPE_CHECKING:
    import argparse


def main(arguments: list[str]) -> int:
    """Run one verb; raises UserError for what the caller can mend."""
    asked: Any = _bare_status(arguments) or _parser().parse_args(arguments)
    status: int = asked.do(asked)
    return status


def _bare_status(arguments: list[str]) -> SimpleNamespace | None:
    """What the parser would say of `[--config PATH] status`: to make it takes a fifth of the time of a look."""
    match arguments:
        case ['status']:
            config = agents.DEFAULT
        case ['--config', path, 'status']:
            config = Path(path)
        case _:
            return None
    return SimpleNamespace(do=_status, config=config, format='text', no_state=False)


def _project(asked: argparse.Namespace) -> Project:
    return sightings.load(asked.config, os.environ)


def _running(asked: argparse.Namespace) -> tuple[Project, tuple[str, ...]]:
    """The project to look at or to end, though its file be no good, and what is wrong with that; says so."""
    here, problems = sightings.load_or_recall(asked.config, os.environ)
    _complain(*problems)
    return here, problems


def _say(*lines: str) -> None:
    if lines:
        console(sys.stdout, os.environ).say(*lines)


def _complain(*lines: str) -> None:
    if lines:
        out = console(sys.stderr, os.environ)
        out.say(*map(out.fold, lines))


def _say_json(value: Any) -> None:
    import json

    _say(json.dumps(value, ensure_ascii=False, indent=1))


def _known(config: Config, name: str) -> Agent:
    from hack.orchestrator.runtime import supervisor

    supervisor.check_names(config, [name])
    agent = config.agent(name)
    assert agent is not None
    return agent


# -- verbs that read -------------------------------------------------------------------------


def _status(asked: argparse.Namespace) -> int:
    """Exit 3 where tmux does not answer, or a state file cannot be read; 2 where the configuration is no good."""
    here, bad = _running(asked)
    standing, problems = _standing(here)
    seen = sightings.Survey({}) if asked.no_state else sightings.survey(here)
    if asked.format == 'json':
        _say_json(status.as_json(here.config, seen.agents, standing, not asked.no_state))
    else:
        _say(*_painted(status.lines(here.config, seen.agents, standing, not asked.no_state), here.config, seen.agents))
    _complain(*problems, *seen.problems)
    unknown = any(one.state is State.UNKNOWN for one in seen.agents.values())
    return Exit.MISUSE if bad else Exit.BROKEN if unknown or problems or seen.problems else Exit.GREEN


def _painted(lines: list[str], config: Config, seen: Mapping[str, Sighting]) -> list[str]:
    """The lines of a status, the states in colours where the terminal has them."""
    out = console(sys.stdout, os.environ)
    title, *rows = lines
    if not (out.colour and seen):
        return lines
    for number, (agent, row) in enumerate(zip(config.agents, rows, strict=True)):
        told = status.state(seen[agent.name])
        rows[number] = row.removesuffix(told) + out.paint(told, status.style(seen[agent.name]))
    return [title, *rows]


def _standing(here: Project) -> tuple[Standing | None, tuple[str, ...]]:
    """Where the project is in its phases; None, and why, where the record of that cannot be read."""
    try:
        return here.store.standing(here.config), ()
    except UserError as error:
        return None, error.problems


def _validate(asked: argparse.Namespace) -> int:
    config = agents.load(asked.config, os.environ)
    count, of = len(config.agents) - 1, len(config.loop.phases)
    if asked.format == 'json':
        _say_json({'ok': True, 'agents': count, 'phases': of})
    else:
        _say(f'OK: {count} agent{"" if count == 1 else "s"}, {of} phase{"" if of == 1 else "s"}')
    return Exit.GREEN


def _render(asked: argparse.Namespace) -> int:
    """The kickoffs that would be sent now."""
    from hack.orchestrator.config import kickoff

    here = _project(asked)
    phase = phases.current(here.config, here.store.standing(here.config))
    chosen = [_known(here.config, asked.name)] if asked.name else [one for one in here.config.agents if one.backend]
    rendered = {agent.name: kickoff.render(here.config, phase, agent) for agent in chosen}
    if asked.format == 'json':
        _say_json(rendered)
    elif asked.name:
        sys.stdout.write(rendered[asked.name])
    else:
        sys.stdout.write(''.join(f'== {name}\n{text.rstrip()}\n' for name, text in rendered.items() if text))
    return Exit.GREEN


def _logs(asked: argparse.Namespace) -> int:
    """What earlier incarnations have shown, and what is on the screen now."""
    from hack.orchestrator.runtime import logs

    here, _ = _running(asked)
    _known(here.config, asked.name)
    for line in logs.follow(here, asked.name) if asked.follow else logs.lines(here, asked.name):
        _say(line)
    return Exit.GREEN


def _phase(asked: argparse.Namespace) -> int:
    here = _project(asked)
    standing = here.store.standing(here.config) if asked.what != 'set' else Standing()
    if asked.what == 'show':
        told = status.as_json(here.config, {}, standing)['phase']
        _say_json(told) if asked.format == 'json' else _say(phases.title(here.config, standing))
        return Exit.GREEN
    count = len(here.config.loop.phases)
    if not count:
        raise UserError(f'{here.config.path}: has no phases (write [[loop.phases]])')
    if asked.what == 'next':
        then = phases.after(here.config, standing)
    else:
        then = Standing(_phase_number(here.config, asked.number) - 1)
    return _stand(here, then)


def _phase_number(config: Config, said: str | None) -> int:
    """From 1; by its number or its id."""
    ids = [phase.id for phase in config.loop.phases]
    if said in ids:
        return ids.index(said) + 1
    if said is None or not said.isdecimal() or not 1 <= int(said) <= len(ids):
        raise UserError(f'phase set: {said or "nothing"} is no phase (1 to {len(ids)}, or {", ".join(ids)})')
    return int(said)


def _stand(here: Project, then: Standing) -> int:
    """The watchdog then starts the loops anew, for the phase they are in."""
    from hack.orchestrator.runtime import supervisor

    here.store.make()
    with here.store.acting():
        here.store.stand(then)
    supervisor.wake_watchdog(here)
    _say(phases.title(here.config, then))
    return Exit.GREEN


# -- verbs that act --------------------------------------------------------------------------


def _up(asked: argparse.Namespace) -> int:
    from hack.orchestrator.config import fleet
    from hack.orchestrator.runtime import mending, supervisor
    from hack.orchestrator.runtime.tmux import HungError, check_version

    here = _project(asked)
    if why := fleet.refusal(asked.config, os.environ):
        raise UserError(why)
    chosen = supervisor.chosen(here.config, asked.names)
    check_version(os.environ)
    if missing := supervisor.missing_programs(here, chosen):
        raise UserError(missing)
    supervisor.ensure_ready(here)
    try:
        with here.store.acting():
            _say(*mending.mend(here))
        here.store.standing(here.config)
        problems = supervisor.up(here, asked.names, _say, os.environ.get('RESUME_PHASE') == '1')
    except HungError as hung:
        raise UserError(str(hung), Exit.BROKEN) from None
    except OSError as error:
        raise _no_room(here, error) from None
    _complain(*problems)
    return Exit.BROKEN if problems else Exit.GREEN


def _no_room(here: Project, error: OSError) -> UserError:
    """What to say where the state folder cannot be written to."""
    return UserError(f'{here.store.folder}: {error.strerror} (make room there, or name another log_dir)', Exit.BROKEN)


def _down(asked: argparse.Namespace) -> int:
    from hack.orchestrator.runtime import mending, supervisor
    from hack.orchestrator.runtime.tmux import HungError

    here, _ = _running(asked)
    supervisor.check_names(here.config, asked.names)
    if not here.store.folder.is_dir():
        _say('nothing was ever started here')
        return Exit.GREEN
    try:
        problems = supervisor.down(here, asked.names)
        with here.store.acting():
            _say(*mending.mend(here))
    except HungError as hung:
        raise UserError(str(hung), Exit.BROKEN) from None
    except OSError as error:
        raise _no_room(here, error) from None
    _complain(*problems)
    _say(f'down: {", ".join(asked.names) or "all"}')
    return Exit.BROKEN if problems else Exit.GREEN


def _watchdog(asked: argparse.Namespace) -> int:
    from hack.orchestrator.config import fleet
    from hack.orchestrator.runtime import keeper

    if why := fleet.refusal(asked.config, os.environ):
        raise UserError(why)
    return keeper.run(_running(asked)[0], asked.standby)


def _attach(asked: argparse.Namespace) -> int:
    here, _ = _running(asked)
    agent = _known(here.config, asked.name)
    from hack.orchestrator.runtime import tmux

    command = here.tmux.command('attach-session', '-t', f'={here.session(agent.name)}')
    os.execvpe(command[0], command, tmux.clean(os.environ))


def _clear_backoff(asked: argparse.Namespace) -> int:
    from hack.orchestrator.runtime import state, supervisor

    here = _project(asked)
    _known(here.config, asked.name)
    with here.store.acting():
        record = here.store.read(f'{state.WANTED}-{asked.name}.json')
        here.store.note(state.BACKOFF, asked.name, None)
        if record:  # changed: that is how the watchdog sees that what it remembers is no longer so
            here.store.note(state.WANTED, asked.name, {**record, 'cleared': record.get('cleared', 0) + 1})
    supervisor.wake_watchdog(here)
    _say(f'{asked.name}: back-off cleared')
    return Exit.GREEN


def _init(asked: argparse.Namespace) -> int:
    from hack.orchestrator.config import scaffold

    _say(*map(str, scaffold.init(asked.folder)))
    return Exit.GREEN


def _doctor(asked: argparse.Namespace) -> int:
    """Exit 1 where something is wrong and was not mended."""
    from hack.orchestrator.runtime import doctor
    from hack.orchestrator.runtime.tmux import check_version

    here, bad = _running(asked)
    check_version(os.environ)
    found = doctor.examine(here)
    for one in found:
        if asked.fix and one.mend:
            one.mend()
    left = doctor.examine(here) if asked.fix else found
    mended = [one for one in found if one[:2] not in {it[:2] for it in left}]
    if asked.format == 'json':
        _say_json([{**dict(zip(one._fields[:3], one, strict=False)), 'mended': one in mended} for one in found])
    else:
        out = console(sys.stdout, os.environ)
        cures = ['mended' if one in mended else one.cure + ' (doctor --fix)' * bool(one.mend) for one in found]
        _say(*(out.fold(f'{one.kind}: {one.what}: {cure}') for one, cure in zip(found, cures, strict=True)))
        _say(*(() if found or bad else ('well',)))
    return Exit.RED if left or bad else Exit.GREEN


def _selftest(asked: argparse.Namespace) -> int:
    from hack.orchestrator.proof import selftest

    return selftest.run(_say)


def _campaign(asked: argparse.Namespace) -> int:
    from hack.orchestrator.proof import campaign

    return campaign.run(asked.faults, asked.seed, asked.agents, _say)


# -- the parser ------------------------------------------------------------------------------


Verbs = Any  # what add_subparsers gives


def _parser() -> argparse.ArgumentParser:
    import argparse

    from hack.orchestrator.staging import migration

    parser = argparse.ArgumentParser(prog='run_agents.py', description='Keep the agents of a project up.')
    parser.add_argument('--config', type=Path, default=agents.DEFAULT, help='default: agents.toml')
    verbs = parser.add_subparsers(required=True, metavar='VERB')
    _add_acting(verbs)
    shown = _listing(_verb(verbs, 'status', _status, 'the phase, and how every agent is; writes nothing'))
    shown.add_argument('--no-state', action='store_true', help='only what the configuration says')
    _add_reading(verbs)
    _add_tests(verbs)
    migration.add_verbs(verbs)
    return parser


def _verb(verbs: Verbs, name: str, do: Callable[[argparse.Namespace], int], says: str) -> argparse.ArgumentParser:
    one: argparse.ArgumentParser = verbs.add_parser(name, help=says, description=says[0].upper() + says[1:] + '.')
    one.set_defaults(do=do)
    return one


def _listing(one: argparse.ArgumentParser) -> argparse.ArgumentParser:
    one.add_argument('--format', choices=('text', 'json'), default='text')
    return one


def _add_acting(verbs: Verbs) -> None:
    up = _verb(verbs, 'up', _up, 'start what is not up, and the watchdog (RESUME_PHASE=1: in the recorded phase)')
    up.add_argument('names', metavar='NAME', nargs='*')
    down = _verb(verbs, 'down', _down, 'end the named ones, or all')
    down.add_argument('names', metavar='NAME', nargs='*')
    kept = _verb(verbs, 'watchdog', _watchdog, 'keep the agents up, here; `up` does so in a session')
    kept.add_argument('--standby', action='store_true', help='wait until no other watchdog runs')
    cleared = _verb(verbs, 'clear-backoff', _clear_backoff, 'start an agent again that was left down')
    cleared.add_argument('name', metavar='NAME')
    made = _verb(verbs, 'init', _init, 'write a builder and an adversary, with their documents')
    made.add_argument('folder', type=Path, metavar='DIR')


def _add_reading(verbs: Verbs) -> None:
    logged = _verb(verbs, 'logs', _logs, 'what an agent has shown; writes nothing')
    logged.add_argument('name', metavar='NAME')
    logged.add_argument('--follow', action='store_true', help='and what it shows from now on')
    _verb(verbs, 'attach', _attach, 'look at an agent in its session').add_argument('name', metavar='NAME')
    phase = _listing(_verb(verbs, 'phase', _phase, 'show the phase, or go to another'))
    phase.add_argument('what', choices=('show', 'next', 'set'))
    phase.add_argument('number', metavar='N', nargs='?', help='of set: from 1, or the id')
    rendered = _listing(_verb(verbs, 'render', _render, 'the kickoffs that would be sent'))
    rendered.add_argument('name', metavar='NAME', nargs='?')
    _listing(_verb(verbs, 'validate', _validate, 'check the configuration and list all that is wrong with it'))


def _add_tests(verbs: Verbs) -> None:
    examined = _listing(_verb(verbs, 'doctor', _doctor, 'find orphans, a second server, a lost socket, stale locks'))
    examined.add_argument('--fix', action='store_true', help='and mend them')
    _verb(verbs, 'selftest', _selftest, 'a whole scratch life cycle, leaving nothing')
    says = 'kill agents, watchdogs and servers of a scratch project at random'
    faults = _verb(verbs, 'fault-campaign', _campaign, says)
    faults.add_argument('faults', type=int, metavar='N')
    faults.add_argument('--seed', type=int, default=0)
    faults.add_argument('--agents', type=int, default=12)

"""A cutover carried out in a scratch copy, killed in each of its steps in turn, and rolled back each time.

The copy has every file that the cutover knows of, at the same places below a folder of its own. Its agents are of the
demo backend and its services sleep: a rehearsal spends nothing, and touches nothing of the live project.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common import files
from hack.common.errors import Exit, UserError
from hack.orchestrator.config import agents, fleet
from hack.orchestrator.model import WATCHDOG, Config
from hack.orchestrator.proof import scratch
from hack.orchestrator.runtime import boot, state
from hack.orchestrator.runtime.state import Store
from hack.orchestrator.staging import baseline, cutover

_SCRIPT_SECONDS: Final = 120.0
_UP_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.005
_KNOWN: Final = (*state.LASTING, f'{state.WANTED}-*.json', f'{state.OVERRIDE}-*.json')  # what a cutover looks at
_PASSED_ON: Final = ('PATH', 'LANG', 'LC_ALL', 'TZ')


class Given(NamedTuple):
    """What a cutover is planned from."""

    live: Config
    staged: Config
    boot: Path | None = None
    registry: Path | None = None


class Trial(NamedTuple):
    """One kill and what came of it. `wrong` is empty where rollback restored everything."""

    killed: str  # where
    wrong: tuple[str, ...]


class Copy(NamedTuple):
    """A copy to rehearse in: what is at PATH in the world is at `tree`/PATH here."""

    folder: Path
    given: Given  # of the copy
    facts: cutover.Facts  # of the copy as it was made; the engines are run from where they are
    environment: Mapping[str, str]
    lasting: Mapping[str, bytes] = {}  # what is to be carried over: state files of the live project by name

    @property
    def tree(self) -> Path:
        return self.folder / 't'


def rehearse(
    given: Given,
    tell: Callable[[Trial], None],
    thorough: bool = False,
    make_plan: Callable[[cutover.Facts], cutover.Plan] = cutover.plan,
) -> tuple[Trial, ...]:
    """Every trial, told as it ends; nothing of the rehearsal is left, whatever happens.

    `thorough`: killed not only in each step, half-way, but before each command. Raises UserError where the live project
    does not even come up in the copy.
    """
    with scratch.place('cut-') as folder:
        copy = _copy(folder, given)
        if wrong := _run(copy, [' '.join(('live up', *copy.facts.up))]):
            raise UserError(f'{given.live.path}: does not come up in a copy: {wrong[0]} (see validate)', Exit.BROKEN)
        facts = _facts(copy.given, copy.facts)  # with those that are up now
        copy = copy._replace(facts=facts, lasting=_lasting(facts.live.state))
        trials = []
        for trial in _trials(copy, make_plan(copy.facts), thorough):
            tell(trial)
            trials.append(trial)
        return tuple(trials)


# -- the copy ----------------------------------------------------------------------------------


def _copy(folder: Path, given: Given) -> Copy:
    tree = folder / 't'
    facts = cutover.inspect(*given)
    _fill(tree, given, facts)
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {'HOME': str(folder), 'TMPDIR': str(folder), scratch.MARK: str(folder)}
    there = Given(
        agents.load(_at(tree, facts.live.config), environment),
        agents.load(_at(tree, facts.staged.config), environment),
        given.boot and _at(tree, given.boot.resolve()),
        given.registry and _at(tree, given.registry.resolve()),
    )
    if there.registry:
        environment[fleet.FLEET_VARIABLE] = str(there.registry)
    return Copy(folder, there, _facts(there, facts), environment)


def _facts(there: Given, of: cutover.Facts) -> cutover.Facts:
    """What is to be seen in the copy; the engines are those of the world."""
    seen = cutover.inspect(*there)
    live, staged = seen.live._replace(engine=of.live.engine), seen.staged._replace(engine=of.staged.engine)
    return seen._replace(live=live, staged=staged)


def _fill(tree: Path, given: Given, facts: cutover.Facts) -> None:
    """Write every file that the cutover knows of below the tree."""
    for config in (given.live, given.staged):
        for path in (*baseline.inputs(config)[1:], *_state(config.state_dir, _KNOWN)):
            _place(tree, path, path.read_bytes())
        _place(tree, config.path.resolve(), _harmless(tree, config).encode())
    for link in facts.chain:
        lines = link.path.read_text().split('\n')
        lines[link.number - 1] = lines[link.number - 1].replace(link.word, str(_at(tree, link.leads_to)), 1)
        _place(tree, link.path, '\n'.join(lines).encode(), link.path.stat().st_mode)
    if given.registry:
        _place(tree, given.registry.resolve(), _registry(tree, given.registry).encode())


def _state(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files of a state folder that are called so."""
    return sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file())


def _at(tree: Path, path: Path) -> Path:
    return tree / path.relative_to('/')


def _place(tree: Path, path: Path, data: bytes, mode: int = 0o644) -> None:
    target = _at(tree, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    target.chmod(mode)


def _harmless(tree: Path, config: Config) -> str:
    """The config as TOML, with demo agents, services that sleep, a socket of its own, and paths below the tree."""
    said = _below(tree, config.tables)
    said.pop('backend', None)
    said['defaults'] |= {'backend': 'demo', 'socket': ''}
    for agent in said.get('agent', ()):
        agent.pop('backend', None)
        agent.pop('liveness', None)
    for service in said.get('service', ()):
        service.pop('liveness', None)
        service['command'] = 'exec sleep infinity'
    return ''.join(f'{json.dumps(key)} = {_toml(value)}\n' for key, value in said.items())


def _below(tree: Path, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _below(tree, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_below(tree, item) for item in value]
    return f'{tree}{value}' if isinstance(value, str) and value.startswith('/') else value


def _toml(value: Any) -> str:
    """One value as TOML has it, tables inline."""
    if isinstance(value, dict):
        return '{' + ', '.join(f'{json.dumps(key)} = {_toml(item)}' for key, item in value.items()) + '}'
    if isinstance(value, list):
        return '[' + ', '.join(map(_toml, value)) + ']'
    # What JSON writes of a text, TOML reads, but for DEL, which it wants written out.
    return json.dumps(value, ensure_ascii=False).replace('\x7f', '\\u007f')


def _registry(tree: Path, path: Path) -> str:
    """The registry, with its local projects where they are in the copy."""
    text = path.read_text()
    for project in fleet.load(path).projects:
        if project.folder:
            place = json.dumps(str(_at(tree, project.folder.resolve())))
            text = re.sub(rf"""(location\s*=\s*)["']{re.escape(project.location)}["']""", rf'\1{place}', text)
    return text


# -- trials ------------------------------------------------------------------------------------


def _trials(copy: Copy, plan: cutover.Plan, thorough: bool) -> Iterator[Trial]:
    """Killed on the way forward, then not at all, then on the way back from there."""
    forward, back = (list(_points(steps, thorough)) for steps in (plan.forward, plan.rollback))
    for what, commands in forward:
        yield _trial(copy, plan, f'killed at: {what}', [(commands, True)])
    done = (_commands(plan.forward), False)
    yield _trial(copy, plan, 'not killed', [done])
    for what, commands in back:
        yield _trial(copy, plan, f'killed on the way back, at: {what}', [done, (commands, True)])


def _points(steps: Sequence[cutover.Step], thorough: bool) -> Iterator[tuple[str, list[str]]]:
    """Where to be killed, and what has been run by then: before the last command of a step, or before each."""
    before: list[str] = []
    for step in steps:
        last = len(step.commands) - 1
        for number in range(last + 1) if thorough else (last,):
            where = step.title if not thorough else f'{step.title}: {step.commands[number]}'
            yield where, [*before, *step.commands[:number]]
        before += step.commands


def _commands(steps: Sequence[cutover.Step]) -> list[str]:
    return [command for step in steps for command in step.commands]


def _trial(copy: Copy, plan: cutover.Plan, what: str, parts: Sequence[tuple[list[str], bool]]) -> Trial:
    """Run the parts, each killed at its end or not, then roll back; the next trial starts from what that leaves."""
    sides = plan.facts.live, plan.facts.staged
    before = _tree_hash(copy)
    wrong: list[str] = []
    with _watched(sides, wrong):
        for commands, killed in parts:
            wrong += _run(copy, commands, killed) or ([] if killed else _undone(copy))
        wrong += _run(copy, _commands(plan.rollback))
    if _tree_hash(copy) != before:
        wrong.append('rollback did not restore the tree')
    if not _comes_up(sides[0]) or (_watches(sides[1]) and sides[0].state != sides[1].state):
        wrong.append('after rollback, it was not the live watchdog alone that was up')
    return Trial(what, tuple(wrong))


def _undone(copy: Copy) -> list[str]:
    """What a cutover that ran to its end has not done."""
    staged = copy.facts.staged
    wrong = []
    if not _comes_up(staged):
        wrong.append('when all was done, no watchdog was up')
    if _lasting(staged.state) != copy.lasting:
        wrong.append('the staged project has another state: phase, hand-offs or tasks that are done')
    if (up := set(Store(staged.state).noted(state.WANTED))) != set(copy.facts.follow) - {WATCHDOG}:
        wrong.append(f'others are up than before: {", ".join(sorted(up ^ set(copy.facts.follow)))}')
    if copy.given.boot:
        try:
            boot.chain(copy.given.boot, staged.config)
        except UserError as error:
            wrong.append(str(error))
    return wrong


def _lasting(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in _state(folder, state.LASTING)}


def _run(copy: Copy, commands: Sequence[str], killed: bool = False) -> list[str]:
    """Run the commands as the runbook has them; what went wrong. `killed`: the shell then kills itself."""
    text = cutover.script(copy.facts, [*commands, 'kill -KILL $$'] if killed else commands)
    ended = subprocess.run(
        ['bash', '-c', text],
        cwd=copy.folder,
        env=copy.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        timeout=_SCRIPT_SECONDS,
    )
    if ended.returncode == (-signal.SIGKILL if killed else 0):
        return []
    return [f'a command failed: {ended.stdout.decode(errors="replace").strip()[-400:]}']


def _comes_up(side: cutover.Side) -> bool:
    """Whether its watchdog holds its lock; `up` does not wait for that."""
    return scratch.until(lambda: _watches(side), _UP_SECONDS)


def _watches(side: cutover.Side) -> bool:
    return files.lock_is_held(side.state / 'watchdog.lock')


@contextlib.contextmanager
def _watched(sides: Sequence[cutover.Side], wrong: list[str]) -> Iterator[None]:
    """Look all the time whether both watchdogs are up at once."""
    done = threading.Event()
    both: list[str] = []

    def look() -> None:
        while not done.wait(_LOOK_SECONDS):
            # The first one again: between two looks it may have gone, and the other come.
            if not both and all(map(_watches, (*sides, sides[0]))):
                both.append('two watchdogs were up at once')

    watcher = threading.Thread(target=look, daemon=True)
    try:
        if sides[0].state != sides[1].state:
            watcher.start()
        yield
    finally:
        done.set()
        if watcher.ident:
            watcher.join()
        wrong += both


def _tree_hash(copy: Copy) -> str:
    """Of all files of the copy but what runs leave behind: logs, and what of the state need not last."""
    given = copy.given
    lasting = {path for config in (given.live, given.staged) for path in _state(config.state_dir, state.LASTING)}
    logs = (given.live.log_dir, given.staged.log_dir)
    seen = []
    for path in sorted(path for path in copy.tree.rglob('*') if not path.is_dir()):
        if path in lasting or not path.is_relative_to(logs[0]) and not path.is_relative_to(logs[1]):
            seen.append(f'{path} {path.stat().st_mode:o} {files.sha256(path.read_bytes())}\n')
    return files.sha256(''.join(seen).encode())

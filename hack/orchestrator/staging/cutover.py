"""Moving a live project to a staged config: the runbook, its steps being the very commands that are rehearsed."""

import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from hack.common import files
from hack.common.errors import UserError
from hack.orchestrator.config import fleet
from hack.orchestrator.model import WATCHDOG, Config
from hack.orchestrator.runtime import boot, state
from hack.orchestrator.runtime.state import Store

_OWN_ENGINE: Final = Path(__file__).resolve().parents[1] / 'run_agents.py'
_PLAIN: Final = re.compile(r'[\w./+,@%-]+')  # needs no quotes in a script
_NEW: Final = '.cutover'  # ending of a file that is about to take the place of another


class Change(NamedTuple):
    """One line of one file; the whole cutover is one such change of the boot chain and one of the registry."""

    path: Path
    number: int  # of the line, from 1
    old: str
    new: str
    sha256: str  # of the file as it was inspected


class Side(NamedTuple):
    """One of the two: its config and what runs it."""

    config: Path
    engine: Path
    state: Path  # folder
    log_dir: Path


class Facts(NamedTuple):
    """What was inspected; a plan is made of nothing else."""

    live: Side
    staged: Side
    chain: tuple[boot.Link, ...]
    changes: tuple[Change, ...]
    up: tuple[str, ...] = ()  # the live agents that are to be up; none where nothing was started
    follow: tuple[str, ...] = ()  # those of them that are to be up afterwards
    overrides: tuple[str, ...] = ()  # `NAME=value` of the environment they were started with, quoted


class Step(NamedTuple):
    title: str
    why: str
    commands: tuple[str, ...]


class Plan(NamedTuple):
    facts: Facts
    forward: tuple[Step, ...]
    rollback: tuple[Step, ...]


def inspect(live: Config, staged: Config, boot_file: Path | None, registry: Path | None) -> Facts:
    """Look at both configs, the boot chain and the registry; raises UserError where there is nothing to go by."""
    sides = side(live), side(staged)
    if sides[0].config == sides[1].config:
        raise UserError(f'{live.path}: live and staged are the same file (stage a config of its own)')
    chain = boot.chain(boot_file, live.path) if boot_file else ()
    changes = [_indirection(chain[-1], sides[1].config, sides[0].config)] if chain else []
    if registry and (enabling := _enabling(registry, sides[1].config)):
        changes.append(enabling)
    return Facts(*sides, chain, tuple(changes), *_up(live))


def _up(live: Config) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Who is to be up, who of them afterwards, and the one-run overrides of these."""
    store = Store(live.state_dir)
    up = tuple(store.noted(state.WANTED))
    over = store.standing(live).complete
    loops = {agent.name for agent in live.agents if agent.kind == 'loop'}
    follow = tuple(name for name in up if not (over and name in loops)) or ((WATCHDOG,) if up else ())
    told = store.about(state.OVERRIDE)
    given = {key: value for name in up for key, value in told.get(name, {}).get('environment', {}).items()}
    return up, follow, tuple(f'{key.replace("-", "_")}={shlex.quote(value)}' for key, value in given.items())


def side(config: Config) -> Side:
    path = config.path.resolve()
    pinned = path.parent / fleet.HARNESSES['agent-orchestrator']
    return Side(path, pinned if pinned.is_file() else _OWN_ENGINE, config.log_dir / 'state', config.log_dir)


def plan(facts: Facts) -> Plan:
    """The steps forward and those back, each a list of shell commands that may be cut off anywhere."""
    return Plan(facts, tuple(_forward(facts)), tuple(_rollback(facts)))


def prelude(facts: Facts) -> tuple[str, ...]:
    """What the commands of a plan are written with: bash variables and functions."""
    live, staged = facts.live, facts.staged
    return (
        *(f'{name}() {{ {_run(side)} "$@"; }}' for name, side in (('live', live), ('staged', staged))),
        f'live_state={_quoted(live.state)} staged_state={_quoted(staged.state)}',
        f'kept={_quoted(live.log_dir / "cutover")} # the originals; beside the state, which belongs to no tree',
        f'replace() {{ cp -p "$1" "$2{_NEW}" && mv -f "$2{_NEW}" "$2"; }} # the old file or the new, never a part',
        'unchanged() { ! test -e "$kept/complete"; }',
        f'lasting() {{ (cd "$1" 2>/dev/null && ls -d {" ".join(state.LASTING)} 2>/dev/null) || true; }}',
        'carry() { mkdir -p "$2"; for name in $(lasting "$2"); do rm "$2/$name"; done; rm -f "$2"/*.cutover',
        '  for name in $(lasting "$1"); do replace "$1/$name" "$2/$name"; done; } # of the state: all that must last',
        'up_now() { (cd "$live_state" 2>/dev/null && LC_ALL=C ls -d wanted-*.json 2>/dev/null) | xargs || true; }',
        'no_watchdog() { ! test -e "$1/watchdog.lock" || flock --shared --timeout 2 "$1/watchdog.lock" true; }',
    )


def script(facts: Facts, commands: Sequence[str]) -> str:
    """The commands as one script for bash, which stops at the first that fails."""
    return '\n'.join(('set -euo pipefail', *prelude(facts), *commands, ''))


def markdown(plan: Plan) -> str:
    """The runbook."""
    facts = plan.facts
    parts = [f'# Cutover of {facts.live.config} to {facts.staged.config}', *_inspected(facts)]
    parts += ['## Before', 'In the bash that you work in, forward and back:', _block(prelude(facts))]
    parts += ['## Forward', 'Where a command fails, or you stop for any reason: roll back.']
    parts += list(_written(plan.forward))
    parts += ['## Rollback', 'From any point, also one where a command was cut off, and as often as you like.']
    parts += list(_written(plan.rollback))
    return '\n\n'.join(parts) + '\n'


# -- what was inspected ------------------------------------------------------------------------


def _indirection(link: boot.Link, staged: Path, live: Path) -> Change:
    """The last word of the boot chain, led to the staged config, or to its folder where it named the live one's."""
    new = staged if link.leads_to == live else staged.parent
    if not (link.quoted or _PLAIN.fullmatch(str(new))) or '"' in str(new) or "'" in str(new):
        raise UserError(f'{link.path}:{link.number}: {link.word} is not in quotes, which {new} would need (quote it)')
    return _change(link.path, link.number, link.line, link.line.replace(link.word, str(new), 1))


def _enabling(registry: Path, config: Path) -> Change | None:
    """The line of the registry that keeps the staged project from being started; None where none does."""
    project = next((one for one in fleet.load(registry).projects if _is_at(one, config)), None)
    if project is None or project.enabled:
        return None
    lines = registry.read_text().splitlines()
    entries = [number for number, line in enumerate(lines, 1) if re.match(r'\s*\[\[\s*project\s*\]\]', line)]
    for first, last in zip(entries, [*entries[1:], len(lines) + 1], strict=True):
        said = tomllib.loads('\n'.join(lines[first - 1 : last - 1]))['project'][0]
        if said['name'] == project.name:
            number = next(n for n in range(first, last) if re.match(r'\s*enabled\s*=', lines[n - 1]))
            return _change(registry, number, lines[number - 1], lines[number - 1].replace('false', 'true', 1))
    raise UserError(f'{registry}: {project.name} has no [[project]] of its own (write it as one)')


def _is_at(project: fleet.Project, config: Path) -> bool:
    return project.folder is not None and (project.folder / project.config).resolve() == config


def _change(path: Path, number: int, old: str, new: str) -> Change:
    return Change(path.resolve(), number, old, new, files.sha256(path.read_bytes()))


# -- steps -------------------------------------------------------------------------------------


def _forward(facts: Facts) -> Iterator[Step]:
    both = shlex.join(map(str, (facts.live.config, facts.staged.config)))
    compare = f'live parity {both} --no-state'
    yield Step('Compare', 'The staged config must mean what the live one means.', (compare,))
    yield Step(
        'Keep what will be changed',
        'Once `complete` is there, rollback trusts these copies; before that, nothing is changed.',
        tuple(_keeping(facts)),
    )
    yield Step(
        'Quiesce',
        'The watchdog goes first: it would heal what is stopped, and move on while the state is kept.',
        ('live down watchdog', 'carry "$live_state" "$kept/live"', 'touch "$kept/quiet"', 'live down'),
    )
    for change in facts.changes:
        title = 'The one indirection' if change.path in [link.path for link in facts.chain] else 'The one config change'
        yield Step(title, f'`{change.old.strip()}` becomes `{change.new.strip()}`.', tuple(_edit(change)))
    yield Step(
        'Carry the state over',
        'The staged agents go on where the live ones stopped: in their phase, and no task that is done runs again.',
        ('carry "$kept/live" "$staged_state"',),
    )
    yield Step(
        'Start',
        'Only here may a watchdog start again: the old one is gone.',
        ('no_watchdog "$live_state"', _starting('staged', facts, facts.follow)),
    )
    yield Step('Look', 'Every agent and the watchdog are RUNNING.', ('staged status',))


def _keeping(facts: Facts) -> Iterator[str]:
    yield 'unchanged || { echo "a cutover is under way: roll it back first" >&2; false; }'
    yield f'test "$(up_now)" = {_planned(facts)} || {{ echo "other agents are up now: plan anew" >&2; false; }}'
    yield from _digests(facts)
    yield 'rm -rf "$kept" && mkdir -p "$kept"'
    yield from (f'cp -p {_quoted(change.path)} "$kept/{number}"' for number, change in enumerate(facts.changes))
    yield 'carry "$staged_state" "$kept/staged"'
    yield 'touch "$kept/complete"'


def _rollback(facts: Facts) -> Iterator[Step]:
    changed = [_quoted(change.path) for change in facts.changes]
    yield Step('Stop the staged agents', 'Also where they never started.', ('staged down',))
    yield Step(
        'Put back what was changed',
        'Where there is no `complete`, nothing was changed.',
        (
            *(f'unchanged || replace "$kept/{number}" {path}' for number, path in enumerate(changed)),
            'unchanged || carry "$kept/staged" "$staged_state"',
            '! test -e "$kept/quiet" || carry "$kept/live" "$live_state"',
            ' '.join(('rm -f', *(f'{path}{_NEW}' for path in changed))),
        ),
    )
    if facts.changes:
        yield Step('Check', 'The files are those that were inspected.', tuple(_digests(facts)))
    yield Step(
        'Start the live agents',
        'Only here: the staged watchdog is gone. Then the copies have served.',
        (
            'no_watchdog "$staged_state"',
            _starting('live', facts, facts.up),
            'rm -f "$kept/complete" "$kept/quiet" && rm -rf "$kept"',
            'live status',
        ),
    )


def _planned(facts: Facts) -> str:
    return shlex.quote(' '.join(f'{state.WANTED}-{name}.json' for name in facts.up))


def _starting(side: str, facts: Facts, names: Sequence[str]) -> str:
    """Exactly those, with what they were started with; all that are enabled, where none was up."""
    return ' '.join((*facts.overrides, 'RESUME_PHASE=1', side, 'up', *names))


def _digests(facts: Facts) -> Iterator[str]:
    for change in facts.changes:
        yield f'echo {shlex.quote(f"{change.sha256}  {change.path}")} | sha256sum --quiet -c -'


def _edit(change: Change) -> Iterator[str]:
    """The line replaced in a copy, which then takes the file's place whole; repeated, it changes nothing."""
    path = _quoted(change.path)
    line = re.sub(r'([\\&|])', r'\\\1', change.new)
    yield f'cp -p {path} {path}{_NEW}'  # for its mode
    yield f'sed {shlex.quote(f"{change.number}s|.*|{line}|")} {path} >{path}{_NEW}'
    yield f'mv -f {path}{_NEW} {path}'


def _run(side: Side) -> str:
    return shlex.join(['python3', str(side.engine), '--config', str(side.config)])


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


# -- the runbook -------------------------------------------------------------------------------


def _inspected(facts: Facts) -> Iterator[str]:
    yield '## What was inspected'
    lines = [f'- live: `{facts.live.config}`, run by `{facts.live.engine}`']
    lines += [f'- staged: `{facts.staged.config}`, run by `{facts.staged.engine}`']
    lines += [f'- boot chain: `{link.path}` line {link.number}: `{link.line.strip()}`' for link in facts.chain]
    if not facts.chain:
        lines.append(
            '- boot chain: none was named (--boot FILE); whatever starts the live config must be led on by hand'
        )
    lines.append(
        f'- up: {", ".join(facts.up) or "none"}' + (f', with `{" ".join(facts.overrides)}`' * bool(facts.overrides))
    )
    yield '\n'.join(lines)
    yield '\n'.join(f'- changes: `{one.path}` line {one.number}, sha256 `{one.sha256}`' for one in facts.changes) or (
        '- changes: no file'
    )


def _written(steps: Sequence[Step]) -> Iterator[str]:
    for number, step in enumerate(steps, 1):
        yield f'### {number}. {step.title}'
        yield step.why
        yield _block(step.commands)


def _block(commands: Sequence[str]) -> str:
    return '\n'.join(('```bash', *commands, '```'))

"""The verbs that look back over runs, and the one that keeps what a reviewer decided about them."""

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from hack.common import collector
from hack.common.console import Column, Console, Row, console, counted, cut
from hack.common.errors import Exit, UserError
from hack.dogfood.model import Json
from hack.dogfood.past import compare, history, trend
from hack.dogfood.reporting import bundle, decisions, salvage, triage
from hack.dogfood.reporting.decisions import Decision
from hack.dogfood.running import runs

_SHOWN: Final = 160  # characters of a message in a table
_NAMED: Final = 3  # journeys of a cause; --format json has all
_STYLES: Final = {'product': 'bold red', 'harness': 'magenta', 'flaky': 'yellow', 'need': 'cyan'}
_COLUMNS: Final = (
    Column('cause'),
    Column('blames'),
    Column('journeys'),
    Column('waiting'),
    Column('decided'),
    Column('step and message'),
)


@collector.paused()
def show_trend(asked: Namespace) -> int:
    """Rates, durations and signal to noise of the last runs."""
    path = asked.state / history.FILE
    told, shown = trend.of(history.read(path), asked.last), console(sys.stdout, os.environ)
    _complain(told.complaints)
    if asked.format == 'json':
        shown.say(json.dumps(trend.as_json(told), ensure_ascii=False))
    elif not told.points:
        shown.say(f'{path}: tells of no run yet (make dogfood adds one)')
    else:
        trend.show(told, shown)
    return Exit.GREEN


@collector.paused()
def show_comparison(asked: Namespace) -> int:
    """What changed from one run to another. Exit 1: something newly failed; 3: not (wholly) comparable."""
    before, after = (_bundle(asked.state, name) for name in (asked.a, asked.b))
    found = compare.of(before, after, history.read(asked.state / history.FILE))
    _complain(found.complaints)
    shown = console(sys.stdout, os.environ)
    match asked.format:
        case 'json':
            shown.say(json.dumps(compare.as_json(found), ensure_ascii=False))
        case 'markdown':
            from hack.dogfood.reporting.summary import markdown_table

            shown.say(compare.markdown(found, markdown_table)[:-1])
        case _:
            compare.show(found, shown)
    return found.exit


@collector.paused()
def show_triage(asked: Namespace) -> int:
    """The causes behind what did not pass, with what is decided about them now."""
    said, shown = _bundle(asked.state, asked.bundle), console(sys.stdout, os.environ)
    review = _reviewed(said)
    if asked.format == 'json':
        shown.say(json.dumps({'run': said['run']['id'], **review}, ensure_ascii=False))
        return Exit.GREEN
    if review['causes']:
        shown.table(*_without_empty(_COLUMNS, [_row(cause) for cause in review['causes']]))
        shown.say('')
    for old in review['stale']:
        where = f'{old["path"]}:{old["line"]}'
        shown.say(shown.fold(f'stale: {where}: {old["fingerprint"]} ({triage.in_words(old)}) did not occur'))
    _conclude(said, review, shown)
    return Exit.GREEN


def decide(asked: Namespace) -> int:
    """Keep a reviewer's decision beside the corpus that the run was of."""
    said, fingerprint = _bundle(asked.state, asked.of), asked.fingerprint
    causes = {cause['fingerprint']: cause for cause in _reviewed(said)['causes']}
    paths = decisions.of_run(said['run'])
    if not paths:
        raise UserError(f'{said["run"]["id"]}: does not say which corpus it is of (decide about a newer run)')
    cause = causes.get(fingerprint)
    if cause is None and fingerprint not in decisions.load(paths):
        raise UserError(f'{fingerprint}: no cause in {said["run"]["id"]} has it (run_journeys.py triage lists them)')
    path = next((path for path in paths if cause is None or _is_beside(path, cause, said)), paths[0])
    text = ' '.join(f'{cause["step"]}: {cause["message"]}'.split())[:_SHOWN] if cause else ''
    note = asked.note.encode('utf-8', 'replace').decode()
    decisions.keep(path, fingerprint, Decision(asked.decision, note, f'{datetime.now(UTC):%Y-%m-%d}', text))
    print(f'{path}: {fingerprint} is {asked.decision} (run_journeys.py report shows it in the reports of a run)')
    return Exit.GREEN


# -- what they share -----------------------------------------------------------------------


def _bundle(state: Path, name: str) -> dict[str, Any]:
    """As far as it fits this version; raises UserError, exit 3, where it does not at all, or is not whole."""
    path = runs.bundle(state, name)
    try:
        said = bundle.read(path)
    except UserError as error:
        raise UserError(error.problems, Exit.BROKEN) from error
    fitted, troubles = salvage.whole(said, [])
    _complain(f'{path}: {trouble}' for trouble in troubles)
    return fitted


def _reviewed(said: Json) -> dict[str, Any]:
    """Triage of the bundle as it would be now."""
    known = decisions.load(decisions.of_run(said['run']))
    in_part = bool((said['run'].get('options') or {}).get('in_part'))
    return triage.as_json(triage.causes(said['journeys']), known, in_part=in_part)


def _is_beside(path: str, cause: Json, said: Json) -> bool:
    """Whether the file stands at, or above, where the cause's first journey is written."""
    of = next((journey['path'] for journey in said['journeys'] if journey['id'] in cause['journeys']), '')
    folder = os.path.dirname(os.path.abspath(path))
    return os.path.join(os.path.abspath(said['run'].get('cwd') or ''), of).startswith(f'{folder}{os.sep}')


def _row(cause: Json) -> Row:
    what = ': '.join(filter(None, ('; '.join(map(str.strip, cause['step'].splitlines())), cause['message'])))
    decided = triage.in_words(cause['decision']) if cause['decision'] else '-'
    names = _named(cause['journeys']), _named(cause['waiting'])
    return Row(
        [cause['fingerprint'], cause['blames'], *names, decided, cut(what, _SHOWN)], _STYLES.get(cause['blames'], '')
    )


def _without_empty(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[list[Column], list[Row]]:
    """A terminal is narrow: columns in which nothing stands take no room from the others."""
    kept = [number for number in range(len(columns)) if any(row.cells[number] != '-' for row in rows)]
    return [columns[at] for at in kept], [row._replace(cells=[row.cells[at] for at in kept]) for row in rows]


def _named(journeys: Sequence[str]) -> str:
    more = [f'and {len(journeys) - _NAMED} more'] if len(journeys) > _NAMED else []
    return ', '.join([*journeys[:_NAMED], *more]) or '-'


def _conclude(said: Json, review: Json, shown: Console) -> None:
    causes = review['causes']
    touched = len({name for cause in causes for name in (*cause['journeys'], *cause['waiting'])})
    open_ones = sum(cause['decision'] is None for cause in causes)
    if not causes:
        shown.say(f'{said["run"]["id"]}: nothing to look at: all that was measured passed')
        return
    text = f'{said["run"]["id"]}: {counted(len(causes), "cause")}, felt by {counted(touched, "journey")}'
    shown.say(shown.fold(f'{text}, {open_ones} not decided (run_journeys.py triage decide CAUSE DECISION --note …)'))


def _complain(complaints: Iterable[str]) -> None:
    for complaint in complaints:
        print(complaint, file=sys.stderr)


VERBS: Final = {'trend': show_trend, 'compare': show_comparison, 'triage': show_triage, 'triage decide': decide}

"""What a run leaves behind: a folder that no other run shares, and in it, for each scenario, all that was seen.

Names of the files are those that tools for the format know (manifest.json, stdout.jsonl, summary.json …); beside them
stand copies in which what changes from run to run is masked, and what was expected against what was observed.
"""

import json
import secrets
import shlex
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common import files
from hack.common.errors import UserError
from hack.exec_harness.model import Finding, Observed, Request, Result, TurnRun

_TRIES: Final = 20
_TEXT_TYPES: Final = ('agent_message', 'assistant_message')


class Normalised(NamedTuple):
    """What two runs of the same scenario have in common: events, and requests to the model, masked."""

    events: list[Any]
    requests: list[Any]


def new_run(out: Path) -> Path:
    """A new folder below `out`, this run's alone; raises UserError where there can be none."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            path = out / f'{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}'
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return path.resolve()
    except OSError as error:
        raise UserError(f'{out}: no folder can be made there: {error.strerror} (name another: --out DIR)') from error
    raise UserError(f'{out}: every name for a new folder was taken (name another: --out DIR)')


def write(folder: Path, manifest: Mapping[str, Any], observed: Observed, normalised: Normalised) -> None:
    """All that was seen of one attempt; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / 'manifest.json', {**manifest, 'turns': [_turn(turn) for turn in observed.turns]})
    (folder / 'stdout.jsonl').write_bytes(b''.join(turn.stdout for turn in observed.turns))
    (folder / 'stderr.log').write_bytes(b''.join(turn.stderr for turn in observed.turns))
    for number, turn in enumerate(observed.turns, 1):
        (folder / f'turn-{number}-command.txt').write_text(shlex.join(turn.command) + '\n', errors='backslashreplace')
        (folder / f'turn-{number}-stdout.jsonl').write_bytes(turn.stdout)
        (folder / f'turn-{number}-stderr.log').write_bytes(turn.stderr)
    files.write_json(folder / 'responses-requests.json', [_request(request) for request in observed.requests])
    files.write_json(folder / 'gh-calls.json', [dict(call) for call in observed.gh_calls])
    files.write_json(folder / 'gh-state.json', dict(observed.gh_state))
    (folder / 'normalised').mkdir(exist_ok=True)
    files.write_atomic(folder / 'normalised/events.jsonl', ''.join(map(files.compact, normalised.events)))
    files.write_json(folder / 'normalised/requests.json', normalised.requests)


def write_verdict(folder: Path, observed: Observed, result: Result) -> None:
    """What it came to: summary.json, result.json and, where something was found, findings.txt; raises OSError."""
    files.write_json(folder / 'summary.json', _summary(observed, result.findings))
    if result.findings:
        files.write_atomic(folder / 'findings.txt', '\n\n'.join(map(in_full, result.findings)) + '\n')
    files.write_json(folder / 'result.json', as_json(result))


def read_normalised(folder: Path) -> Normalised:
    """What `write` wrote there; raises OSError or ValueError."""
    lines = (folder / 'normalised/events.jsonl').read_text().splitlines()
    return Normalised([json.loads(line) for line in lines], files.read_json(folder / 'normalised/requests.json'))


def as_json(result: Result) -> dict[str, Any]:
    return {**result._asdict(), 'findings': [finding._asdict() for finding in result.findings]}


def from_json(value: Mapping[str, Any]) -> Result:
    """What `as_json` made; raises KeyError or TypeError where it did not."""
    return Result(**{**value, 'findings': tuple(Finding(**finding) for finding in value['findings'])})


def in_full(finding: Finding) -> str:
    """Claim, expected against observed, and what came nearest, for people."""
    lines = [
        f'{finding.kind}: {finding.claim}',
        f'  expected: {_indented(finding.expected)}',
        f'  observed: {_indented(finding.observed)}',
    ]
    return '\n'.join([*lines, *([f'  nearest:  {_indented(finding.nearest)}'] if finding.nearest else [])])


def _indented(text: str) -> str:
    first, *rest = text.splitlines() or ['']
    return '\n'.join([first, *(f'            {line}' for line in rest)])


def _turn(turn: TurnRun) -> dict[str, Any]:
    return {
        'command': list(turn.command),
        'end': turn.end.value,
        'returncode': turn.returncode,
        'seconds': round(turn.seconds, 4),
    }


def _request(request: Request) -> dict[str, Any]:
    """The body as JSON where it is some, else as text."""
    told = {**request._asdict(), 'headers': [list(header) for header in request.headers], 'body': request.json}
    del told['json']
    if request.json is None:
        told['body'] = request.body.decode('utf-8', 'backslashreplace')
    return {**told, 'seconds': round(request.seconds, 4)}


def _summary(observed: Observed, findings: Iterable[Finding]) -> dict[str, Any]:
    events = observed.events
    items = [event['item'] for event in events if _is_finished(event)]
    said = [item.get('text', '') for item in items if item.get('type') in _TEXT_TYPES]
    return {
        'returncode': observed.turns[-1].returncode if observed.turns else None,
        'final_answer': said[-1] if said else None,
        'usage': [event['usage'] for event in events if event.get('type') == 'turn.completed' and 'usage' in event],
        'commands': [item for item in items if item.get('type') == 'command_execution'],
        'responses_request_count': sum(request.asks_model for request in observed.requests),
        'unused_replies': list(observed.unused_replies),
        'gh_calls': [dict(call) for call in observed.gh_calls],
        'gh_state': dict(observed.gh_state),
        'git_status': observed.git_status,
        'egress': 'not checked' if observed.egress is None else list(observed.egress),
        'bad_lines': list(observed.bad_lines),
        'events': [dict(event) for event in events],
        'failures': [in_full(finding) for finding in findings],
    }


def _is_finished(event: Mapping[str, Any]) -> bool:
    return event.get('type') == 'item.completed' and isinstance(event.get('item'), dict)

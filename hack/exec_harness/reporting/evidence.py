"""What a run leaves behind: a folder that no other run shares, and in it, for each scenario, all that was seen.

Names of the files are those that tools for the format know (manifest.json, stdout.jsonl, summary.json …); beside them
stand copies in which what changes from run to run is masked, and what was expected against what was observed.
"""

import json
import secrets
import shlex
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common import files
from hack.common.errors import UserError
from hack.exec_harness.format import events
from hack.exec_harness.model import Finding, Observed, Request, Result, TurnRun

SECOND: Final = '~2'  # ends the name of a second attempt's folder
_TRIES: Final = 20


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


class Records:
    """The records of a run in its folder: what it was, each result as it comes, and how it ended.

    `problem` is why they are not all there; the results are told all the same.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self._folder = folder
        self.problem = ''
        self._keep(lambda: files.write_json(folder / 'run.json', facts))

    def add(self, result: Result) -> None:
        self._keep(lambda: _append(self._folder / 'results.jsonl', as_json(result)))

    def close(self, junit: str, status: int) -> None:
        self._keep(lambda: files.write_atomic(self._folder / 'junit.xml', junit))
        self._keep(lambda: files.write_atomic(self._folder / 'exit', f'{status}\n'))

    def _keep(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            self.problem = self.problem or f'{self._folder}: records cannot be written: {error.strerror}'


def _append(path: Path, value: Mapping[str, Any]) -> None:
    lines = files.JsonLines(path)
    try:
        lines.append(value)
    finally:
        lines.close()


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


def write_summary(folder: Path, observed: Observed, result: Result) -> None:
    """What of all that matters at first sight; raises OSError."""
    files.write_json(folder / 'summary.json', _summary(observed, result.findings))


def write_result(folder: Path, result: Result) -> None:
    """What it came to and, where something was found, that for people; raises OSError."""
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
    said = events.messages(observed.events)
    return {
        'returncode': observed.turns[-1].returncode if observed.turns else None,
        'final_answer': said[-1] if said else None,
        'usage': events.usage(observed.events),
        'commands': [command._asdict() for command in events.commands(observed.events)],
        'responses_request_count': sum(request.asks_model for request in observed.requests),
        'unused_replies': list(observed.unused_replies),
        'gh_calls': [dict(call) for call in observed.gh_calls],
        'gh_state': dict(observed.gh_state),
        'git_status': observed.git_status,
        'egress': 'not checked' if observed.egress is None else list(observed.egress),
        'bad_lines': list(observed.bad_lines),
        'events': [dict(event) for event in observed.events],
        'failures': [in_full(finding) for finding in findings],
    }

"""The fake `gh` as a program: what stands in a folder that comes first on PATH, and what runs when it is called.

Its state is kept in the temporary folder of the run, which a sandboxed command may write to where it may write at all.
"""

import fcntl
import json
import shlex
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parents[3])  # the repository, not this folder

from hack.common import files
from hack.exec_harness.driving import gh
from hack.exec_harness.model import Gh, GhMatch, GhReply

_CANNOT_RECORD: Final = 4


class Record(NamedTuple):
    """What was asked of `gh`, in order, and the state after it."""

    calls: tuple[Mapping[str, Any], ...]  # {'argv', 'exit_code', 'stdout', 'stderr', 'body', 'by'}
    state: Mapping[str, Any]


def install(folder: Path, state: Path, scripted: Gh) -> None:
    """Put `gh` into `folder`, and what it begins with into `state`, a file that need not exist; raises OSError."""
    state.parent.mkdir(parents=True, exist_ok=True)
    begin = {
        'gh': scripted._replace(responses=(), default_response=None)._asdict(),
        'responses': [_reply_as_json(reply) for reply in scripted.responses],
        'default_response': scripted.default_response and _reply_as_json(scripted.default_response),
        'state': gh.start(scripted),
        'calls': [],
    }
    files.write_atomic(state, json.dumps(begin))
    # A first line `#!` knows no spaces in a path. Isolated, and writing no bytecode: nothing of the agent's gets in.
    words = [sys.executable, '-I', '-S', '-B', str(Path(__file__).resolve()), str(state)]
    program = folder / 'gh'
    program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def read(state: Path) -> Record:
    """What `install` and the calls since wrote; raises OSError, also where somebody else has written there."""
    try:
        kept = json.loads(state.read_bytes())
        return Record(tuple(kept['calls']), kept['state'])
    except (ValueError, KeyError, TypeError) as error:
        raise OSError(f'what the fake gh keeps was overwritten: {error}') from error


def main(arguments: Sequence[str]) -> int:
    """Answer one call: the state's path, then the words after `gh`."""
    state, *argv = arguments
    try:
        with open(f'{state}.lock', 'w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # calls that run at once are answered one after the other
            reply = _answer(Path(state), argv)
    except OSError as error:
        why = 'the sandbox of this command lets it write nothing there'
        print(f'fake gh: cannot keep its state: {error} ({why})', file=sys.stderr)
        return _CANNOT_RECORD
    sys.stderr.write(reply.stderr)
    sys.stdout.write(reply.stdout)
    return reply.exit_code


def _answer(state: Path, argv: Sequence[str]) -> GhReply:
    kept = json.loads(state.read_bytes())
    body, problem = _body(argv)
    if problem:
        answered = gh.Answered(GhReply(stderr=problem, exit_code=1), 'nothing', kept['state'])
    else:
        answered = gh.answer(_gh(kept), kept['state'], argv, body)
    call = {'argv': list(argv), **answered.reply._asdict(), 'by': answered.by}
    del call['match']
    kept['calls'].append(call if body is None else {**call, 'body': body})
    files.write_atomic(state, json.dumps({**kept, 'state': answered.state}))
    return answered.reply


def _body(argv: Sequence[str]) -> tuple[str | None, str]:
    """The text that a file holds which the call names, or what is wrong with that."""
    name = gh.body_file(argv)
    if name is None:
        return None, ''
    try:
        return (sys.stdin.read() if name == '-' else Path(name).read_text(errors='replace')), ''
    except OSError as error:
        return None, f'open {name}: {error.strerror}\n'


def _gh(kept: Mapping[str, Any]) -> Gh:
    default = kept['default_response'] and _reply(kept['default_response'])
    responses = tuple(map(_reply, kept['responses']))
    return Gh(**{**kept['gh'], 'responses': responses, 'default_response': default})


def _reply(value: Mapping[str, Any]) -> GhReply:
    return GhReply(**{**value, 'match': GhMatch(**value['match'])})


def _reply_as_json(reply: GhReply) -> dict[str, Any]:
    return {**reply._asdict(), 'match': reply.match._asdict()}


if __name__ == '__main__':
    raise SystemExit(main(sys.argv[1:]))

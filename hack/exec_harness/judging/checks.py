"""What was expected against what was seen: findings, each with what came closest."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common import jsonpath
from hack.common.process import End
from hack.exec_harness.api import bodies
from hack.exec_harness.format import events
from hack.exec_harness.format.events import Command
from hack.exec_harness.judging import golden, normalise
from hack.exec_harness.model import (
    CommandExpect,
    Expect,
    FileExpect,
    Finding,
    FindingKind,
    Observed,
    OutputExpect,
    Request,
    RequestExpect,
    StatusExpect,
)

_SHOWN: Final = 300  # characters of a text in a finding
_NEAR: Final = 100_000  # characters that are searched for what comes closest
_LAST_LINES: Final = 5  # of standard error, where an exit status is not the expected one


class _Parts(NamedTuple):
    """What a text must hold, must hold one of, and must not hold."""

    contains_all: Sequence[str] = ()
    contains_any: Sequence[str] = ()
    not_contains: Sequence[str] = ()


def check(expect: Expect, observed: Observed) -> tuple[Finding, ...]:
    """Every violation, in the order in which a reader wants to know of them."""
    return tuple(
        finding
        for look in (
            _ends,
            _stream,
            _traffic,
            _egress,
            _texts,
            _commands,
            _events,
            _requests,
            _outputs,
            _workspace,
            _golden,
        )
        for finding in look(expect, observed)
    )


# -- how it ended, and what it promised anyway ---------------------------------------------


def _ends(expect: Expect, observed: Observed) -> Iterator[Finding]:
    for number, turn in enumerate(observed.turns):
        if turn.end is End.TIMED_OUT:
            wanted = f'turn {number + 1} ends by itself'
            yield Finding('timeout', 'timeout_seconds', wanted, f'ended after {turn.seconds:.1f} s', _tail(turn.stderr))
        elif turn.end is End.SIGNALLED and turn.returncode != expect.returncode:
            signal = (turn.returncode or 128) - 128
            yield Finding('crash', 'returncode', 'no death by a signal', f'signal {signal}', _tail(turn.stderr))
    if not observed.turns or observed.turns[-1].end is not End.EXITED:
        return
    last = observed.turns[-1]
    if last.returncode != expect.returncode:
        wanted, seen = f'exit status {expect.returncode}', f'{last.returncode}, of turn {len(observed.turns)}'
        yield Finding('exit', 'expect.returncode', wanted, seen, _tail(last.stderr))
    if last.returncode == 0 and len(observed.turns) < observed.turns_asked:
        yield Finding('events', 'turns', 'the first turn names its session, for the next to resume', 'it names none')


def _stream(expect: Expect, observed: Observed) -> Iterator[Finding]:
    """Whatever the scenario says: `exec --json` prints a JSON object on each line, and at least one if it works."""
    if observed.bad_lines:
        seen = f'{len(observed.bad_lines)} others, first {_quoted(observed.bad_lines[0])}'
        yield Finding('stdout', 'exec --json', 'a JSON object on every line', seen)
    if not observed.events and expect.returncode == 0 and observed.turns:
        yield Finding('stdout', 'exec --json', 'events on standard output', 'none')


def _traffic(expect: Expect, observed: Observed) -> Iterator[Finding]:
    """Each request is answered by the scenario, and each reply is asked for."""
    for request in observed.requests:
        what = f'{request.method} {request.path} (request {request.number})'
        if request.asks_model and request.json is None:
            yield Finding(
                'requests', 'responses_api', 'JSON in every request to the model', f'{what}: none', _asks(request)
            )
        if request.problem:
            yield Finding(
                'requests', 'responses_api', 'a reply for every request', f'{what}: {request.problem}', _asks(request)
            )
    for name in observed.unused_replies:
        yield Finding('replies', 'responses_api', 'every reply is asked for', f'unused: {name}')


def _egress(expect: Expect, observed: Observed) -> Iterator[Finding]:
    """What is reached for is what is expected to be: nothing, where nothing is said. None: that was not seen."""
    reached = observed.egress
    for host in dict.fromkeys(reached or ()):
        if host not in expect.egress:
            yield Finding('egress', 'isolation', 'nothing but loopback is reached for', host)
    for number, host in enumerate(expect.egress if reached is not None else ()):
        if host not in (reached or ()):
            seen = f'reached for: {", ".join(reached or ()) or "nothing"}'
            yield Finding('egress', f'expect.egress[{number}]', f'{host} is reached for', seen)


# -- texts ---------------------------------------------------------------------------------


def _texts(expect: Expect, observed: Observed) -> Iterator[Finding]:
    said = events.messages(observed.events)
    yield from _each('assistant', 'expect.assistant_contains', expect.assistant_contains, ['\n'.join(said)], said)
    wrong = events.errors(observed.events)
    yield from _each('events', 'expect.error_contains', expect.error_contains, wrong, wrong)
    complaints = b''.join(turn.stderr for turn in observed.turns).decode('utf-8', 'replace')
    yield from _each('stderr', 'expect.stderr_contains', expect.stderr_contains, [complaints], complaints.splitlines())
    calls = [_command_line(call) for call in observed.gh_calls]
    yield from _each('gh', 'expect.gh_contains', expect.gh_contains, calls, calls)
    ran = [command.command for command in events.commands(observed.events)]
    yield from _each('commands', 'expect.command_contains', expect.command_contains, ran, ran)


def _each(
    kind: FindingKind, claim: str, wanted: Sequence[str], hay: Sequence[str], candidates: Sequence[str]
) -> Iterator[Finding]:
    """Each text stands in one of `hay`."""
    for number, part in enumerate(wanted):
        if not any(part in text for text in hay):
            seen = f'in none of {len(candidates)}' if candidates else 'there is nothing'
            yield Finding(kind, f'{claim}[{number}]', _quoted(part), seen, _nearest(part, candidates))


def _command_line(call: Mapping[str, Any]) -> str:
    argv = call.get('argv')
    return ' '.join(map(str, argv)) if isinstance(argv, list) else str(argv or '')


def _parts(kind: FindingKind, claim: str, parts: _Parts, value: Any) -> Iterator[Finding]:
    """Of one text, or one JSON value."""
    text = bodies.text(value)
    for number, part in enumerate(parts.contains_all):
        if not bodies.count(part, value):
            yield Finding(
                kind, f'{claim}.contains_all[{number}]', _quoted(part), 'absent', _nearest(part, _lines(text))
            )
    if parts.contains_any and not any(bodies.count(part, value) for part in parts.contains_any):
        wanted = 'one of ' + ', '.join(map(_quoted, parts.contains_any))
        yield Finding(
            kind, f'{claim}.contains_any', wanted, 'none of them', _nearest(parts.contains_any[0], _lines(text))
        )
    for number, part in enumerate(parts.not_contains):
        if times := bodies.count(part, value):
            seen = f'stands there {times} times' if times > 1 else 'stands there'
            yield Finding(kind, f'{claim}.not_contains[{number}]', f'no {_quoted(part)}', seen, _around(part, text))


# -- commands and events -------------------------------------------------------------------


def _commands(expect: Expect, observed: Observed) -> Iterator[Finding]:
    ran = events.commands(observed.events)
    for number, wanted in enumerate(expect.command_events):
        missed = [(_command_misses(wanted, command), command) for command in ran]
        if all(misses for misses, _ in missed):
            closest = min(missed, key=lambda entry: len(entry[0]), default=None)
            nearest = f'{_short(_said(closest[1]))}\nit misses {", ".join(closest[0])}' if closest else ''
            seen = f'no such one among {len(ran)} events about commands'
            yield Finding('commands', f'expect.command_events[{number}]', _said(wanted), seen, nearest)


def _command_misses(wanted: CommandExpect, command: Command) -> list[str]:
    """What it does not satisfy, in words; empty if it satisfies all."""
    misses = [f'the command {_quoted(part)}' for part in wanted.command_contains if part not in command.command]
    misses += [f'the output {_quoted(part)}' for part in wanted.output_contains if part not in command.output]
    if wanted.status_any and command.status not in wanted.status_any:
        misses.append(f'the status {" or ".join(wanted.status_any)} (it is {command.status})')
    if wanted.exit_code is not None and command.exit_code != wanted.exit_code:
        misses.append(f'the exit code {wanted.exit_code} (it is {command.exit_code})')
    return misses


def _said(value: Any) -> str:
    """What an expectation or a command says, without what it leaves out."""
    said = {key: inner for key, inner in value._asdict().items() if inner not in (None, ())}
    return ', '.join(f'{key} {_json(inner)}' for key, inner in said.items())


def _events(expect: Expect, observed: Observed) -> Iterator[Finding]:
    for number, fragment in enumerate(expect.events):
        if not any(_is_part(fragment, event) for event in observed.events):
            seen = f'part of none of {len(observed.events)} events'
            nearest = _nearest_event(fragment, observed.events)
            yield Finding('events', f'expect.events[{number}]', _json(fragment), seen, nearest)
    named = events.sessions(observed.events)
    if expect.session_count not in (None, len(named)):
        yield Finding('events', 'expect.session_count', str(expect.session_count), str(len(named)), '\n'.join(named))
    counted = Counter(kind for event in observed.events for kind in events.kinds(event))
    for kind, wanted in expect.event_count.items():
        if counted[kind] not in wanted:
            yield Finding('events', f'expect.event_count.{kind}', _times(wanted), str(counted[kind]), _tally(counted))
    if expect.event_count_any and not any(_holds(counts, counted) for counts in expect.event_count_any):
        either = ' or '.join(
            ' and '.join(f'{kind}: {_times(wanted)}' for kind, wanted in counts.items())
            for counts in expect.event_count_any
        )
        yield Finding('events', 'expect.event_count_any', either, 'none of these', _tally(counted))


def _is_part(fragment: Any, whole: Any) -> bool:
    """A mapping by its keys, a list by its items in their order, with others between; anything else by equality."""
    if isinstance(fragment, Mapping):
        return isinstance(whole, Mapping) and all(
            key in whole and _is_part(inner, whole[key]) for key, inner in fragment.items()
        )
    if isinstance(fragment, list):
        left = iter(whole) if isinstance(whole, list) else None
        return left is not None and all(any(_is_part(inner, item) for item in left) for inner in fragment)
    return jsonpath.same(whole, fragment)


def _nearest_event(fragment: Any, candidates: Sequence[Any]) -> str:
    """The event that shares most of the fragment's values, and where it first departs from it."""
    wanted = _leaves(fragment)
    closest = max(candidates, key=lambda event: len(wanted & _leaves(event)), default=None)
    if closest is None or not wanted & _leaves(closest):
        return ''
    missing = ', '.join(f'{path} {value}' for path, value in sorted(wanted - _leaves(closest)))
    return f'{_short(_json(closest))}\nit misses {_short(missing)}'


def _leaves(value: Any, path: str = '') -> frozenset[tuple[str, str]]:
    if isinstance(value, Mapping):
        return frozenset().union(*(_leaves(inner, f'{path}.{key}'.lstrip('.')) for key, inner in value.items()))
    if isinstance(value, list):
        return frozenset().union(*(_leaves(inner, f'{path}[]') for inner in value))
    return frozenset({(path, _json(value))})


def _holds(counts: Mapping[str, Sequence[int]], counted: Mapping[str, int]) -> bool:
    return all(counted[kind] in wanted for kind, wanted in counts.items())


def _times(wanted: Sequence[int]) -> str:
    return ' or '.join(map(str, wanted))


def _tally(counted: Mapping[str, int]) -> str:
    return ', '.join(f'{kind}: {number}' for kind, number in sorted(counted.items()))


# -- requests ------------------------------------------------------------------------------


def asked(observed: Observed) -> list[Request]:
    """The requests to the model: those that expect.responses… counts."""
    return [request for request in observed.requests if request.asks_model]


def _requests(expect: Expect, observed: Observed) -> Iterator[Finding]:
    requests, wanted = asked(observed), expect.responses_request_count
    if wanted is not None and len(requests) != wanted:
        nearest = '\n'.join(f'{request.seconds:.3f} s  {_asks(request)}' for request in requests)
        seen = str(len(requests))
        yield Finding('requests', 'expect.responses_request_count', f'{wanted} requests to the model', seen, nearest)
    for number, entry in enumerate(expect.responses):
        claim = f'expect.responses[{number}]'
        request = _at(requests, entry.request)
        if request is None:
            yield Finding('requests', claim, f'a request {entry.request}', f'there are {len(requests)}')
        else:
            yield from _request(claim, entry, request)


def _at(requests: Sequence[Request], number: int) -> Request | None:
    return requests[number] if -len(requests) <= number < len(requests) else None


def _request(claim: str, wanted: RequestExpect, request: Request) -> Iterator[Finding]:
    value = bodies.scope(request, wanted.scope)
    claim = f'{claim} ({wanted.scope} of request {wanted.request})'
    yield from _parts('requests', claim, _Parts(wanted.contains_all, (), wanted.not_contains), value)
    for part, times in wanted.counts.items():
        if (seen := bodies.count(part, value)) != times:
            nearest = _around(part, bodies.text(value)) if seen else _nearest(part, _lines(bodies.text(value)))
            yield Finding('requests', f'{claim}.count', f'{_quoted(part)} {times} times', f'{seen} times', nearest)
    if (number := bodies.out_of_order(wanted.in_order, value)) is not None:
        late = f'{_quoted(wanted.in_order[number])} is not there after what stands before it'
        yield Finding('requests', f'{claim}.in_order', ', then '.join(map(_quoted, wanted.in_order)), late)
    size = bodies.image_bytes(value)
    if wanted.image_payload_bytes not in (None, size):
        expected = f'{wanted.image_payload_bytes} bytes of images'
        yield Finding('requests', f'{claim}.image_payload_bytes', expected, f'{size} bytes')


def _outputs(expect: Expect, observed: Observed) -> Iterator[Finding]:
    for number, wanted in enumerate(expect.function_call_outputs):
        claim = f'expect.function_call_outputs[{number}]'
        outputs = list(_outputs_of(wanted, asked(observed)))
        found = [list(_parts('requests', claim, _Parts(*wanted[2:]), text)) for _, text in outputs]
        if not found:
            there = ', '.join(
                dict.fromkeys(call for request in asked(observed) for call, _ in bodies.tool_outputs(request))
            )
            yield Finding('requests', claim, _said(wanted), 'no such output was sent', there and f'there are: {there}')
        elif all(found):
            yield from min(found, key=len)


def _outputs_of(wanted: OutputExpect, requests: Sequence[Request]) -> Iterator[tuple[str, str]]:
    if wanted.request is not None:
        request = _at(requests, wanted.request)
        requests = [request] if request else []
    for request in requests:
        yield from ((call, text) for call, text in bodies.tool_outputs(request) if wanted.call_id in (None, call))


# -- the workspace, and golden requests ----------------------------------------------------


def _workspace(expect: Expect, observed: Observed) -> Iterator[Finding]:
    for number, wanted in enumerate(expect.workspace_files):
        yield from _file(f'expect.workspace_files[{number}] ({wanted.path})', wanted, observed.workspace)
    for number, status in enumerate(expect.workspace_git_status):
        yield from _status(f'expect.workspace_git_status[{number}]', status, observed)


def _file(claim: str, wanted: FileExpect, workspace: Path) -> Iterator[Finding]:
    path = workspace / wanted.path
    there = path.exists() or path.is_symlink()
    if there != wanted.exists:
        words = 'it does not exist', 'it exists'
        nearest = _nearest(wanted.path, _files(workspace)) if wanted.exists else ''
        yield Finding('workspace', claim, words[wanted.exists], words[there], nearest)
    elif wanted.equals is not None or wanted.contains_all or wanted.not_contains:
        text, fault = _read(path, workspace)
        if fault:
            yield Finding('workspace', claim, 'it is a file that can be read', fault)
        else:
            yield from _text(claim, wanted, text)


def _files(workspace: Path) -> list[str]:
    names = (path.relative_to(workspace) for path in workspace.rglob('*'))
    return sorted(str(name) for name in names if name.parts[0] != '.git')


def _read(path: Path, workspace: Path) -> tuple[str, str]:
    """The text, and why there is none."""
    if not path.is_file():
        return '', 'it is no file'  # a named pipe would keep us waiting
    if not (real := path.resolve()).is_relative_to(workspace.resolve()):
        return '', f'a link leads out of the workspace, to {real}'
    try:
        return path.read_bytes().decode('utf-8', 'replace'), ''
    except OSError as error:
        return '', str(error.strerror)


def _status(claim: str, wanted: StatusExpect, observed: Observed) -> Iterator[Finding]:
    status = observed.git_status
    if status is None:
        yield Finding('workspace', claim, 'a git repository', observed.no_git_status)
    else:
        yield from _text(
            claim, wanted._replace(equals=wanted.equals and wanted.equals.rstrip('\n')), status.rstrip('\n')
        )


def _text(claim: str, wanted: FileExpect | StatusExpect, text: str) -> Iterator[Finding]:
    if wanted.equals is not None and text != wanted.equals:
        difference = golden.difference(wanted.equals, text)
        yield Finding('workspace', f'{claim}.equals', _quoted(wanted.equals), _quoted(text), difference)
    yield from _parts('workspace', claim, _Parts(wanted.contains_all, (), wanted.not_contains), text)


def _golden(expect: Expect, observed: Observed) -> Iterator[Finding]:
    if expect.requests_match is not None:
        path = Path(expect.requests_match)
        comparison = golden.compare(path, comparable(observed))
        if comparison.wrong:
            wanted = f'the requests of {path.name}'
            yield Finding('golden', 'expect.requests_match', wanted, comparison.wrong, comparison.difference)


def comparable(observed: Observed) -> list[Any]:
    """The bodies of the requests to the model, normalised: what golden files and second runs are held to."""
    normaliser = normalise.Normaliser(observed.masks)
    return [normaliser.value(bodies.scope(request, 'body')) for request in asked(observed)]


# -- words ---------------------------------------------------------------------------------


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _quoted(text: str) -> str:
    return _short(_json(text))


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f'{text[: _SHOWN // 2]} … {text[-_SHOWN // 2 :]}'


def _asks(request: Request) -> str:
    """What a request asks last, to tell it from others."""
    items = bodies.scope(request, 'input')
    last = items[-1] if isinstance(items, list) and items else items
    return f'{request.status} {request.reply or "refused"}: {_short(bodies.text(last))}'


def _tail(output: bytes) -> str:
    return '\n'.join(map(_short, output.decode('utf-8', 'replace').splitlines()[-_LAST_LINES:]))


def _lines(text: str) -> list[str]:
    """The lines of a text; of JSON, the lines within its texts."""
    return text.replace('\\n', '\n').splitlines()


def _nearest(part: str, candidates: Sequence[str]) -> str:
    """The candidate that has most in common with it; '' where none has anything worth telling."""
    part = part[:_SHOWN]
    matcher = SequenceMatcher(None, b=part, autojunk=False)
    best, ratio, looked = '', 0.0, 0
    for candidate in candidates:
        looked += len(candidate)
        if looked > _NEAR:
            break
        matcher.set_seq1(candidate)
        block = matcher.find_longest_match()
        if block.size / len(part) > ratio:
            best, ratio = candidate[max(0, block.a - _SHOWN // 2) : block.a + _SHOWN // 2], block.size / len(part)
    return best if ratio > 0.3 else ''


def _around(part: str, text: str) -> str:
    at = text.find(part)
    return text[max(0, at - _SHOWN // 4) : at + len(part) + _SHOWN // 4] if at >= 0 else ''

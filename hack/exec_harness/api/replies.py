"""Decides which reply a request gets: those that say for whom they are come first, the others in their order."""

import json
from collections.abc import Sequence

from hack.common import jsonpath
from hack.exec_harness.api import bodies
from hack.exec_harness.model import Reply, Request, When


def choose(replies: Sequence[Reply], uses: Sequence[int], request: Request) -> int | None:
    """The index of the reply; `uses`: how often each was sent already. None where none is left for this request.

    A reply without `when` answers requests to the model only, in order. One with `when` goes before them, so that
    a retry or a sub-agent takes its own and not the next turn's.
    """
    left = [number for number, reply in enumerate(replies) if reply.times is None or uses[number] < reply.times]
    for number in left:
        when = replies[number].when
        if when is not None and mismatch(when, request) is None:
            return number
    return next((number for number in left if replies[number].when is None and request.asks_model), None)


def mismatch(when: When, request: Request) -> str | None:
    """The first of its conditions that does not hold, in words; None where all do."""
    headers = dict(request.headers)
    outputs = [call for call, _ in bodies.tool_outputs(request)]
    body = bodies.scope(request, 'body')
    if when.method is None and when.path is None and not request.asks_model:
        return f'{request.method} {request.path} does not ask the model'
    if when.method is not None and when.method != request.method:
        return f'the method is {request.method}, not {when.method}'
    if when.path is not None and when.path != request.path:
        return f'the path is {request.path}, not {when.path}'
    for name, part in when.header.items():
        if part not in headers.get(name, ''):
            return f'the header {name} holds no {part!r}'
    for path, wanted in when.json.items():
        if not _holds(request, path, wanted):
            return f'{path} is not {json.dumps(wanted)}'
    for part in when.text:
        if not bodies.count(part, body):
            return f'the text {part!r} is not in it'
    return _output_mismatch(when.tool_output, outputs)


def _holds(request: Request, path: str, wanted: object) -> bool:
    try:
        return jsonpath.same(jsonpath.value_at(request.json, path), wanted)
    except LookupError:
        return False


def _output_mismatch(wanted: str | bool | None, calls: list[str]) -> str | None:
    if isinstance(wanted, str):
        return None if wanted in calls else f'it carries no output of the tool call {wanted!r}'
    if wanted is None or wanted == bool(calls):
        return None
    return 'it carries no tool output' if wanted else 'it carries a tool output'


def unused(replies: Sequence[Reply], uses: Sequence[int]) -> tuple[str, ...]:
    """The replies that were not sent as often as the scenario says."""
    pairs = zip(replies, uses, strict=True)
    return tuple(
        f'{reply.name} (sent {used} of {reply.times} times)' for reply, used in pairs if used < (reply.times or 0)
    )


def refusal(replies: Sequence[Reply], uses: Sequence[int], request: Request) -> str:
    """Why nothing answers the request, in one line: it names what is left, and why that is not for it."""
    what = f'{request.method} {request.path} (request {request.number})'
    if not replies:
        return f'the scenario has no reply for {what}'
    left = [reply for reply, used in zip(replies, uses, strict=True) if reply.times is None or used < reply.times]
    if not left:
        return f'all {len(replies)} replies were used before {what}'
    reasons = (f'{reply.name}: {mismatch(reply.when or When(), request)}' for reply in left)
    return f'no reply that is left is for {what}: {"; ".join(reasons)}'

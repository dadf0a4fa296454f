"""Says the replies of a scenario in the words of an API: the Responses API; another one is another `Dialect`."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from hack.exec_harness.api import sse
from hack.exec_harness.api.sse import Answer, Close
from hack.exec_harness.model import Event, Fault, Reply, Request

_STARTS: Final = frozenset({'response.created', 'response.queued', 'response.in_progress'})
_ENDS: Final = frozenset({'response.completed', 'response.failed', 'response.incomplete', 'error'})
_CREATED_AT: Final = 1_700_000_000  # the same in every run


class Dialect(NamedTuple):
    """All that the server needs to know of an API."""

    asks_model: Callable[[str, str], bool]  # method, path: a request that replies in order are for
    answer: Callable[[Reply, Request], Answer]
    error: Callable[[int, str], Answer]  # status, message
    models: Callable[[Sequence[Any]], Answer]


def _asks_model(method: str, path: str) -> bool:
    return method == 'POST' and (path == '/v1/responses' or path.startswith('/v1/responses/'))


def _answer(reply: Reply, request: Request) -> Answer:
    if reply.sse is not None:
        frames, first, kind = [reply.sse.encode('utf-8', 'backslashreplace')], 0, sse.STREAM
    elif reply.has_body or (reply.status >= 400 and not reply.events):
        frames, first, kind = [_json(reply.body if reply.has_body else _error(reply.status))], 0, sse.JSON
    elif not _streams(request):
        frames, first, kind = [_json(_response(reply, request, 'completed'))], 0, sse.JSON
    else:
        events, first = _events(reply, request)
        frames, kind = [sse.encode(event) for event in events], sse.STREAM
    return _on_the_wire(reply, frames, first, kind)


def _streams(request: Request) -> bool:
    return isinstance(request.json, dict) and request.json.get('stream') is True


def _on_the_wire(reply: Reply, frames: list[bytes], first: int, kind: str) -> Answer:
    sent, close, length = frames, Close.END, None
    if reply.fault is not None:
        after = reply.fault.after
        scripted = len(reply.events) if len(frames) > 1 else 0
        fault = reply.fault
        if kind == sse.JSON and fault.kind == 'malformed':
            fault = Fault('truncate')  # half a value is no JSON
        sent, close = sse.broken(frames, first + (scripted if after is None else after), fault)
    if kind == sse.JSON:
        length = len(b''.join(frames if close is not Close.END else sent))
    headers = {'content-type': kind, **reply.headers}
    pause = reply.chunk.seconds if reply.chunk else 0.0
    return Answer(reply.status, headers, sse.pieces(sent, reply.chunk), length, close, reply.delay, pause)


def _events(reply: Reply, request: Request) -> tuple[list[Event], int]:
    """All events of the stream, numbered, and how many come before the scenario's own."""
    opening = [] if reply.events and reply.events[0].name in _STARTS else [_lifecycle(reply, request, 'created')]
    events = [*opening, *(_with_item_defaults(event, number) for number, event in enumerate(reply.events))]
    if reply.completed and not any(event.name in _ENDS for event in reply.events):
        events.append(_lifecycle(reply, request, 'completed'))
    numbered = [
        Event(event.name, {**event.data, 'sequence_number': event.data.get('sequence_number', number)})
        for number, event in enumerate(events)
    ]
    return numbered, len(opening)


def _lifecycle(reply: Reply, request: Request, word: str) -> Event:
    status = 'completed' if word == 'completed' else 'in_progress'
    name = f'response.{word}'
    return Event(name, {'type': name, 'response': _response(reply, request, status)})


def _response(reply: Reply, request: Request, status: str) -> dict[str, Any]:
    done = status == 'completed'
    asked = request.json if isinstance(request.json, dict) else {}
    return {
        'id': reply.response_id,
        'object': 'response',
        'created_at': _CREATED_AT,
        'status': status,
        'model': asked.get('model', 'fake'),
        'output': _output(reply) if done else [],
        'parallel_tool_calls': True,
        'tool_choice': 'auto',
        'tools': [],
        'error': None,
        'incomplete_details': None,
        'instructions': None,
        'metadata': {},
        'temperature': None,
        'top_p': None,
        'usage': _usage(reply.usage) if done else None,
    }


def _output(reply: Reply) -> list[Any]:
    events = (_with_item_defaults(event, number) for number, event in enumerate(reply.events))
    return [
        event.data['item'] for event in events if event.name == 'response.output_item.done' and 'item' in event.data
    ]


def _with_item_defaults(event: Event, number: int) -> Event:
    """The event with what the API always says of an item and a scenario may leave out."""
    item = event.data.get('item')
    if event.name != 'response.output_item.done' or not isinstance(item, Mapping):
        return event
    whole = {'id': f'item_{number}', 'status': 'completed', **item}
    if isinstance(item.get('arguments'), Mapping):
        whole['arguments'] = json.dumps(item['arguments'], ensure_ascii=False)
    if item.get('type') == 'message':
        content = item.get('content')
        parts = content if isinstance(content, list) else []
        whole = {**whole, 'role': item.get('role', 'assistant'), 'content': [_part(part) for part in parts]}
    return Event(event.name, {'output_index': number, **event.data, 'item': whole})


def _part(part: Any) -> Any:
    return {'annotations': [], **part} if isinstance(part, Mapping) and part.get('type') == 'output_text' else part


def _usage(told: Mapping[str, int]) -> dict[str, Any]:
    sent, received = told.get('input_tokens', 0), told.get('output_tokens', 0)
    return {
        'input_tokens': sent,
        'input_tokens_details': {
            'cached_tokens': told.get('cached_input_tokens', 0),
            'cache_write_tokens': told.get('cache_write_input_tokens', 0),
        },
        'output_tokens': received,
        'output_tokens_details': {'reasoning_tokens': told.get('reasoning_output_tokens', 0)},
        'total_tokens': told.get('total_tokens', sent + received),
    }


def _error(status: int, message: str = '') -> dict[str, Any]:
    kinds = {401: 'authentication_error', 403: 'permission_error', 429: 'rate_limit_error'}
    kind = kinds.get(status, 'server_error' if status >= 500 else 'invalid_request_error')
    return {
        'error': {'message': message or f'the scenario answers {status}', 'type': kind, 'param': None, 'code': None}
    }


def _json(value: Any) -> bytes:
    return sse.compact(value).encode('utf-8', 'backslashreplace')


def _refuse(status: int, message: str) -> Answer:
    return _whole(status, _error(status, message))


def _models(listed: Sequence[Any]) -> Answer:
    """In the shape of the public API, with what its own agents look for beside it."""
    known = [
        {'id': model, 'object': 'model', 'created': _CREATED_AT, 'owned_by': 'fake'}
        for model in listed
        if isinstance(model, str)
    ]
    whole = [model for model in listed if not isinstance(model, str)]
    return _whole(200, {'object': 'list', 'data': [*known, *whole], 'models': whole})


def _whole(status: int, value: Any) -> Answer:
    body = _json(value)
    return Answer(status, {'content-type': sse.JSON}, (body,), len(body))


RESPONSES: Final = Dialect(_asks_model, _answer, _refuse, _models)

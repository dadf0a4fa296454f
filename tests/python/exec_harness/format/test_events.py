"""Both spellings of an agent's events say the same."""

import pytest

from hack.exec_harness.format import events
from hack.exec_harness.format.events import Command

ITEMS: list[events.Event] = [
    {'type': 'thread.started', 'thread_id': 't-1'},
    {
        'type': 'item.started',
        'item': {'id': '0', 'type': 'command_execution', 'command': 'ls a', 'status': 'in_progress'},
    },
    {
        'type': 'item.completed',
        'item': {
            'id': '0',
            'type': 'command_execution',
            'command': 'ls a',
            'aggregated_output': 'x',
            'exit_code': 1,
            'status': 'failed',
        },
    },
    {'type': 'item.completed', 'item': {'id': '1', 'type': 'agent_message', 'text': 'done'}},
    {'type': 'turn.completed', 'usage': {'input_tokens': 3}},
]
MESSAGES: list[events.Event] = [
    {'id': '0', 'msg': {'type': 'session_configured', 'session_id': 't-1'}},
    {'id': '0', 'msg': {'type': 'exec_command_begin', 'call_id': 'c', 'command': ['ls', 'a']}},
    {'id': '0', 'msg': {'type': 'exec_command_end', 'call_id': 'c', 'stdout': 'x', 'stderr': '', 'exit_code': 1}},
    {'id': '0', 'msg': {'type': 'agent_message', 'message': 'done'}},
    {'id': '0', 'msg': {'type': 'token_count', 'info': {'total_token_usage': {'input_tokens': 3}}}},
]


@pytest.mark.parametrize('told', [ITEMS, MESSAGES])
def test_what_is_read_from_either_spelling(told: list[events.Event]) -> None:
    assert events.sessions(told) == ['t-1']
    assert events.messages(told) == ['done']
    assert events.usage(told) == {'input_tokens': 3}
    begun, ended = events.commands(told)
    assert begun.command == 'ls a'
    assert begun.exit_code is None
    assert ended == Command('ls a', 'x', 'failed', 1)


@pytest.mark.parametrize(
    'event',
    [
        {'type': 'error', 'message': 'no oar'},
        {'type': 'turn.failed', 'error': {'message': 'no oar'}},
        {'type': 'item.completed', 'item': {'type': 'error', 'message': 'no oar'}},
        {'id': '0', 'msg': {'type': 'stream_error', 'message': 'no oar'}},
    ],
)
def test_what_went_wrong_is_read_wherever_it_is_told(event: events.Event) -> None:
    assert events.errors([*MESSAGES, event]) == ['no oar']


def test_a_session_is_named_once_however_often_it_is_told() -> None:
    again = {'type': 'thread.started', 'thread_id': 't-2'}
    assert events.sessions([*ITEMS, *ITEMS, again]) == ['t-1', 't-2']


def test_what_an_event_counts_as() -> None:
    assert events.kinds(ITEMS[2]) == {'item.completed', 'item.command_execution'}
    assert events.kinds(MESSAGES[3]) == {'msg.agent_message'}


@pytest.mark.parametrize(
    'event', [{}, {'type': 3}, {'item': None}, {'msg': 'text'}, {'item': {'type': 'agent_message'}}]
)
def test_other_shapes_say_nothing(event: events.Event) -> None:
    assert events.messages([event]) == []
    assert events.commands([event]) == []
    assert events.sessions([event]) == []
    assert events.errors([event]) == []
    assert events.usage([event]) == {}


def test_lines_that_are_no_events_are_told_apart() -> None:
    output = b'{"type":"a"}\r\n\n  {"type":"b"}\nnonsense\n[1]\n\xff\n{"torn":'
    assert events.split(output) == (({'type': 'a'}, {'type': 'b'}), ('nonsense', '[1]', '\\xff', '{"torn":'))
    assert events.split(b'[' * 100_000) == ((), ('[' * 100_000,))


@pytest.mark.parametrize('word', ['NaN', 'Infinity', '-Infinity'])
def test_a_number_that_json_does_not_have_is_no_event(word: str) -> None:
    line = f'{{"type": "x", "n": {word}}}'
    assert events.split(line.encode()) == ((), (line,))

"""Both spellings of the events say the same."""

from typing import Any

import pytest

from hack.exec_harness import events
from hack.exec_harness.events import Command

RAN = {'id': 'i0', 'type': 'command_execution', 'command': 'ls', 'aggregated_output': 'a\n'}
ITEMS: tuple[dict[str, Any], ...] = (
    {'type': 'thread.started', 'thread_id': 'T'},
    {'type': 'turn.started'},
    {
        'type': 'item.started',
        'item': {'id': 'i0', 'type': 'command_execution', 'command': 'ls', 'status': 'in_progress'},
    },
    {'type': 'item.completed', 'item': {**RAN, 'exit_code': 3, 'status': 'failed'}},
    {'type': 'item.completed', 'item': {'type': 'agent_message', 'text': 'one'}},
    {'type': 'item.completed', 'item': {'type': 'agent_message', 'text': 'two'}},
    {'type': 'turn.completed', 'usage': {'input_tokens': 5, 'output_tokens': 2}},
    {'type': 'turn.completed', 'usage': {'input_tokens': 4, 'output_tokens': 1}},
)
MESSAGES: tuple[dict[str, Any], ...] = (
    {'id': '0', 'msg': {'type': 'session_configured', 'session_id': 'T'}},
    {'id': '0', 'msg': {'type': 'exec_command_begin', 'call_id': 'c', 'command': ['ls']}},
    {'id': '0', 'msg': {'type': 'exec_command_end', 'call_id': 'c', 'stdout': 'a\n', 'stderr': '', 'exit_code': 3}},
    {'id': '0', 'msg': {'type': 'agent_message', 'message': 'one'}},
    {'id': '0', 'msg': {'type': 'agent_message', 'message': 'two'}},
    {'id': '0', 'msg': {'type': 'token_count', 'info': {'last_token_usage': {'input_tokens': 5, 'output_tokens': 2}}}},
    {'id': '0', 'msg': {'type': 'token_count', 'info': {'last_token_usage': {'input_tokens': 4, 'output_tokens': 1}}}},
)


@pytest.mark.parametrize('spelt', [ITEMS, MESSAGES])
def test_both_spellings_say_the_same(spelt: tuple[dict[str, Any], ...]) -> None:
    assert events.session(spelt) == 'T'
    assert events.answers(spelt) == ('one', 'two')
    assert events.commands(spelt) == (Command('ls', 'a\n', 'failed', 3),)
    assert events.usage(spelt) == {'input_tokens': 9, 'output_tokens': 3}


def test_an_event_goes_by_its_type_its_message_and_its_complete_item() -> None:
    assert events.kinds(ITEMS[0]) == ('thread.started',)
    assert events.kinds(ITEMS[2]) == ('item.started',)
    assert events.kinds(ITEMS[3]) == ('item.completed', 'item.command_execution')
    assert events.kinds(MESSAGES[3]) == ('msg.agent_message',)


@pytest.mark.parametrize(
    'odd', [{}, {'type': 3}, {'msg': 'x'}, {'type': 'item.completed'}, {'type': 'item.completed', 'item': [1]}]
)
def test_what_says_nothing_of_the_kind_is_no_error(odd: dict[str, Any]) -> None:
    assert (events.session([odd]), events.answers([odd]), events.commands([odd]), events.usage([odd])) == (
        None,
        (),
        (),
        {},
    )
    assert len(events.kinds(odd)) <= 1


def test_lines_that_are_no_events_are_told_apart() -> None:
    output = b'{"type":"a"}\r\n\n  {"type":"b"}\nnonsense\n[1]\n\xff\n{"torn":'
    assert events.split(output) == (({'type': 'a'}, {'type': 'b'}), ('nonsense', '[1]', '\\xff', '{"torn":'))
    assert events.split(b'[' * 100_000) == ((), ('[' * 100_000,))

"""Reads the events that agents print, in either spelling: `{type, item}` or `{id, msg: {type}}`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from hack.exec_harness.format import strict_json

Event = Mapping[str, Any]

_TYPES: Final = """
    thread.started turn.started turn.completed turn.failed item.started item.updated item.completed error
"""
_ITEMS: Final = """
    agent_message assistant_message reasoning command_execution file_change mcp_tool_call collab_tool_call web_search
    todo_list error
"""
_MESSAGES: Final = """
    agent_message agent_message_content_delta agent_message_delta agent_reasoning agent_reasoning_delta
    agent_reasoning_raw_content agent_reasoning_raw_content_delta agent_reasoning_section_break
    apply_patch_approval_request background_event context_compacted deprecation_notice elicitation_request
    entered_review_mode error exec_approval_request exec_command_begin exec_command_end exec_command_output_delta
    exited_review_mode get_history_entry_response item_completed item_started list_custom_prompts_response
    mcp_list_tools_response mcp_startup_complete mcp_startup_update mcp_tool_call_begin mcp_tool_call_end
    patch_apply_begin patch_apply_end plan_update raw_response_item request_user_input session_configured
    shutdown_complete stream_error task_complete task_started terminal_interaction token_count turn_aborted turn_diff
    undo_completed undo_started user_message view_image_tool_call warning web_search_begin web_search_end
"""
# What events are known to count as: the whole of what Codex prints since 0.99, and what older builds and forks print.
KINDS: Final = frozenset(
    prefix + kind for prefix, known in (('', _TYPES), ('item.', _ITEMS), ('msg.', _MESSAGES)) for kind in known.split()
)


class Command(NamedTuple):
    """What one event says of a command; None where it does not say."""

    command: str
    output: str = ''
    status: str | None = None
    exit_code: int | None = None


def split(stdout: bytes) -> tuple[tuple[Event, ...], tuple[str, ...]]:
    """The events of a program's output, one JSON object a line; and the lines that hold none, but something."""
    events, bad = [], []
    for line in filter(None, (line.strip() for line in stdout.split(b'\n'))):
        try:
            event = strict_json.parse(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            events.append(event)
        else:
            bad.append(line.decode('utf-8', 'backslashreplace'))
    return tuple(events), tuple(bad)


def kinds(event: Event) -> set[str]:
    """What the event counts as: its type, `item.T` and `msg.T`."""
    found = {event.get('type')}
    found |= {f'{key}.{inner["type"]}' for key in ('item', 'msg') if (inner := _inner(event, key)).get('type')}
    return {kind for kind in found if isinstance(kind, str)}


def sessions(events: Sequence[Event]) -> list[str]:
    """The sessions that they name, each once, in order: the first is what a later turn resumes."""
    named = (
        event.get('thread_id') if event.get('type') == 'thread.started' else _inner(event, 'msg').get('session_id')
        for event in events
    )
    return list(dict.fromkeys(name for name in named if isinstance(name, str)))


def messages(events: Sequence[Event]) -> list[str]:
    """What the assistant said, whole messages only."""
    return list(_messages(events))


def _messages(events: Sequence[Event]) -> Iterator[str]:
    for event in events:
        item, message = _inner(event, 'item'), _inner(event, 'msg')
        if event.get('type') == 'item.completed' and item.get('type') in ('agent_message', 'assistant_message'):
            yield str(item.get('text', ''))
        elif message.get('type') == 'agent_message':
            yield str(message.get('message', ''))


def errors(events: Sequence[Event]) -> list[str]:
    """What went wrong, in the agent's words: of the stream, of a turn, of an item."""
    told = [(event, *(_inner(event, key) for key in ('error', 'item', 'msg'))) for event in events]
    return [str(said['message']) for each in told for said in each if 'message' in said and _is_error(said)]


def _is_error(said: Event) -> bool:
    """What a turn failed by has no type."""
    return said.get('type', 'error') in ('error', 'stream_error')


def commands(events: Sequence[Event]) -> list[Command]:
    """What the events say of commands, one entry for each event; its end carries what its begin was."""
    return list(_commands(events))


def _commands(events: Sequence[Event]) -> Iterator[Command]:
    begun: dict[Any, str] = {}
    for event in events:
        item, message = _inner(event, 'item'), _inner(event, 'msg')
        if item.get('type') == 'command_execution':
            yield _command(_line(item.get('command')), item)
        elif message.get('type') == 'exec_command_begin':
            begun[message.get('call_id')] = _line(message.get('command'))
            yield _command(begun[message.get('call_id')], message)
        elif message.get('type') == 'exec_command_end':
            yield _command(begun.get(message.get('call_id'), ''), message)


def _command(line: str, said: Event) -> Command:
    whole = said.get('aggregated_output')
    output = whole if whole is not None else f'{said.get("stdout") or ""}{said.get("stderr") or ""}'
    status, code = said.get('status'), said.get('exit_code')
    if status is None and code is not None:
        status = 'failed' if code else 'completed'
    return Command(line, str(output), status, code)


def _line(command: Any) -> str:
    return ' '.join(map(str, command)) if isinstance(command, list) else str(command or '')


def usage(events: Sequence[Event]) -> Mapping[str, Any]:
    """The last numbers of tokens that were told; empty where none were."""
    told: list[Any] = [event.get('usage') for event in events]
    told += [info.get('total_token_usage') for event in events if (info := _inner(_inner(event, 'msg'), 'info'))]
    return next((numbers for numbers in reversed(told) if isinstance(numbers, dict)), {})


def _inner(event: Event, key: str) -> Event:
    value = event.get(key)
    return value if isinstance(value, dict) else {}

"""What the events of `exec --json` say, however a build spells them.

Two spellings are known, and an event shows which one it has: `{"type": "item.completed", "item": {"type": T, …}}`
(Codex), and `{"id": "0", "msg": {"type": T, …}}` (builds of the `code` family).
"""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

Event = Mapping[str, Any]


class Command(NamedTuple):
    """A command that the agent ran, as one event tells it; what an event does not say is None or empty."""

    command: str
    output: str
    status: str  # in_progress, completed, failed, declined
    exit_code: int | None


def split(stdout: bytes) -> tuple[tuple[dict[str, Any], ...], tuple[str, ...]]:
    """The events of a program's output, one JSON object a line; and the lines that hold none, but something."""
    events, bad = [], []
    for line in filter(None, (line.strip() for line in stdout.split(b'\n'))):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):  # also bytes that are no text
            event = None
        if isinstance(event, dict):
            events.append(event)
        else:
            bad.append(line.decode('utf-8', 'backslashreplace'))
    return tuple(events), tuple(bad)


def kinds(event: Event) -> tuple[str, ...]:
    """The names an event goes by: its `type`, `msg.T`, and once an item is complete, `item.T`."""
    names = [event['type']] if isinstance(event.get('type'), str) else []
    names += [f'msg.{kind}' for kind in [_part(event, 'msg').get('type')] if kind]
    if event.get('type') == 'item.completed':
        names += [f'item.{kind}' for kind in [_part(event, 'item').get('type')] if kind]
    return tuple(names)


def session(events: Iterable[Event]) -> str | None:
    """The id by which the session of these events is resumed."""
    for event in events:
        if event.get('type') == 'thread.started':
            return _text(event, 'thread_id') or None
        if _part(event, 'msg').get('type') == 'session_configured':
            return _text(_part(event, 'msg'), 'session_id') or None
    return None


def answers(events: Iterable[Event]) -> tuple[str, ...]:
    """What the assistant said, in order; the last is its final answer."""
    return tuple(text for event in events for text in _said(event))


def commands(events: Iterable[Event]) -> tuple[Command, ...]:
    """The commands that came to their end, in order."""
    return tuple(_commands(events))


def usage(events: Iterable[Event]) -> dict[str, int]:
    """Tokens by kind, summed over the turns."""
    total: dict[str, int] = {}
    for event in events:
        counts = _part(event, 'usage') if event.get('type') == 'turn.completed' else {}
        if _part(event, 'msg').get('type') == 'token_count':
            counts = _part(_part(_part(event, 'msg'), 'info'), 'last_token_usage') or _part(event, 'msg')
        for kind, count in counts.items():
            if isinstance(count, int):
                total[kind] = total.get(kind, 0) + count
    return total


def _commands(events: Iterable[Event]) -> Iterator[Command]:
    begun: dict[Any, str] = {}
    for event in events:
        item, message = _part(event, 'item'), _part(event, 'msg')
        if event.get('type') == 'item.completed' and item.get('type') == 'command_execution':
            yield _command(_text(item, 'command'), _text(item, 'aggregated_output'), item)
        elif message.get('type') == 'exec_command_begin':
            begun[message.get('call_id')] = _line(message.get('command'))
        elif message.get('type') == 'exec_command_end':
            command = begun.get(message.get('call_id')) or _line(message.get('command'))
            output = _text(message, 'aggregated_output') or _text(message, 'stdout') + _text(message, 'stderr')
            yield _command(command, output, message)


def _command(command: str, output: str, told: Event) -> Command:
    code = told.get('exit_code')
    exit_code = code if isinstance(code, int) else None
    status = _text(told, 'status') or ('completed' if exit_code == 0 else 'failed')
    return Command(command, output, status, exit_code)


def _said(event: Event) -> list[str]:
    item, message = _part(event, 'item'), _part(event, 'msg')
    if event.get('type') == 'item.completed' and item.get('type') == 'agent_message':
        return [_text(item, 'text')]
    return [_text(message, 'message')] if message.get('type') == 'agent_message' else []


def _line(command: Any) -> str:
    """A command as one would type it."""
    if isinstance(command, list):
        return shlex.join(map(str, command))
    return command if isinstance(command, str) else ''


def _part(value: Event, key: str) -> Event:
    part = value.get(key)
    return part if isinstance(part, dict) else {}


def _text(value: Event, key: str) -> str:
    text = value.get(key)
    return text if isinstance(text, str) else ''

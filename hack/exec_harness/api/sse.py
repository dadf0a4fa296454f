"""Puts answers on the wire, byte for byte: server-sent events, in the pieces and with the faults that are asked for."""

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

from hack.exec_harness.model import Chunk, Event, Fault

STREAM: Final = 'text/event-stream'
JSON: Final = 'application/json'
_NO_JSON: Final = b'data: {"type":"response.output_item.done","item":{"type":\n\n'


class Close(Enum):
    """What follows the last byte."""

    END = 'end'  # of the body; the connection lives on
    RESET = 'reset'
    STALL = 'stall'  # nothing, as long as the other side waits


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    pieces: tuple[bytes, ...]  # written one by one
    length: int | None = None  # of the whole body, where it is announced; else it is sent in chunks
    close: Close = Close.END
    delay: float = 0.0  # seconds before the first byte
    pause: float = 0.0  # seconds between two pieces


def encode(event: Event) -> bytes:
    """One event as a frame. JSON on one line holds no line break, so one data line is enough."""
    return f'event: {event.name}\ndata: {compact(event.data)}\n\n'.encode('utf-8', 'backslashreplace')


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(',', ':'))


def broken(frames: Sequence[bytes], at: int, fault: Fault) -> tuple[list[bytes], Close]:
    """The frames with a fault at the index: what is sent, and what follows.

    Cut off (reset, truncate) in the middle of the frame there; what is malformed comes before it, and the rest is sent.
    """
    before, rest = list(frames[:at]), list(frames[at:])
    half = [rest[0][: len(rest[0]) // 2]] if rest else []
    match fault.kind:
        case 'reset':
            return before + half, Close.RESET
        case 'stall':
            return before, Close.STALL
        case 'truncate':
            return before + half, Close.END
        case 'malformed':
            return [*before, _NO_JSON, *rest], Close.END


def pieces(frames: Sequence[bytes], chunk: Chunk | None) -> tuple[bytes, ...]:
    """The frames as they are, or the same bytes cut to the size asked for."""
    if chunk is None:
        return tuple(frames)
    whole = b''.join(frames)
    return tuple(whole[start : start + chunk.bytes] for start in range(0, len(whole), chunk.bytes))

"""Looks into the body of a request to the model: texts, tool outputs, images."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hack.exec_harness.model import Request, Scope

_IMAGE_URL: Final = re.compile(r'data:image/[^,;"\s]*(?:;[^,"\s]*)?,([^"\s)]*)')
_OUTPUT: Final = '_call_output'


def scope(request: Request, name: Scope) -> Any:
    """The body, or its `input` or `instructions`; None where there is none. A body that is no JSON is a text."""
    if name == 'body':
        return request.body.decode('utf-8', 'replace') if request.json is None else request.json
    return request.json.get(name) if isinstance(request.json, dict) else None


def text(value: Any) -> str:
    """What one searches in: a text as it stands, anything else as JSON on one line."""
    if value is None:
        return ''
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def count(needle: str, value: Any) -> int:
    """How often the text stands there, as it is or as JSON writes it within a text; overlapping ones count once."""
    hay, written = text(value), _written(needle)
    return hay.count(needle) + (hay.count(written) if written != needle and not isinstance(value, str) else 0)


def _written(part: str) -> str:
    """As JSON writes it within a text."""
    return json.dumps(part, ensure_ascii=False)[1:-1]


def out_of_order(parts: Sequence[str], value: Any) -> int | None:
    """Which of the texts does not stand there after the ones before it; None where all do."""
    hay, at = text(value), 0
    for number, part in enumerate(parts):
        ends = [hay.find(each, at) + len(each) for each in (part, _written(part)) if each in hay[at:]]
        if not ends:
            return number
        at = min(ends)
    return None


def tool_outputs(request: Request) -> Iterator[tuple[str, str]]:
    """Call id and text of each tool output that the request carries."""
    items = scope(request, 'input')
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and str(item.get('type')).endswith(_OUTPUT):
            yield str(item.get('call_id')), _output(item.get('output'))


def _output(value: Any) -> str:
    """A text, or the texts of a list of parts; anything else as JSON."""
    if isinstance(value, list) and all(isinstance(part, dict) and 'text' in part for part in value):
        return '\n'.join(str(part['text']) for part in value)
    return text(value)


def image_bytes(value: Any) -> int:
    """Bytes of image data, as they are sent: of data URLs, of generated images, of parts with a media type."""
    if isinstance(value, str):
        return sum(len(found[1]) for found in _IMAGE_URL.finditer(value))
    if isinstance(value, Mapping):
        raw = _raw_image(value)
        return len(str(value.get(raw, ''))) + sum(image_bytes(inner) for key, inner in value.items() if key != raw)
    return sum(map(image_bytes, value)) if isinstance(value, list) else 0


def _raw_image(value: Mapping[str, Any]) -> str | None:
    """The key under which image data stands that is no URL."""
    if value.get('type') == 'image_generation_call':
        return 'result'
    media_type = value.get('media_type') or value.get('mime_type') or value.get('mimeType')
    return 'data' if str(media_type).startswith('image/') else None

"""What is found in the body of a request."""

import json
from typing import Any

import pytest

from hack.exec_harness.api import bodies
from hack.exec_harness.model import Request


def request(raw: bytes) -> Request:
    try:
        parsed = json.loads(raw)
    except ValueError:
        parsed = None
    return Request(0, 'POST', '/v1/responses', '', (), raw, parsed, 0.0, True)


def test_scopes() -> None:
    asked = request(b'{"input": [1], "instructions": "i"}')
    assert bodies.scope(asked, 'body') == {'input': [1], 'instructions': 'i'}
    assert bodies.scope(asked, 'input') == [1]
    assert bodies.scope(asked, 'instructions') == 'i'
    assert bodies.scope(request(b'[]'), 'input') is None
    assert bodies.scope(request(b'no json \xff'), 'body') == 'no json \ufffd'


@pytest.mark.parametrize(
    ('needle', 'value', 'times'),
    [
        ('RULE', 'RULE RULE', 2),
        ('aa', 'aaa', 1),
        ('a\nb', {'t': 'xa\nb', 'u': ['a\nb']}, 2),
        ('say "hi"', {'t': 'say "hi"'}, 1),
        ('"type": "message"', {'type': 'message'}, 1),
        ('"', '"quoted"', 2),
        ('ü', {'t': 'ü'}, 1),
        ('x', None, 0),
    ],
)
def test_texts_are_counted_as_they_stand_or_as_json_writes_them(needle: str, value: Any, times: int) -> None:
    assert bodies.count(needle, value) == times


def test_tool_outputs_of_every_kind() -> None:
    items = [
        {'type': 'function_call_output', 'call_id': 'a', 'output': 'text'},
        {'type': 'custom_tool_call_output', 'call_id': 'b', 'output': [{'type': 'input_text', 'text': 'part'}]},
        {'type': 'function_call_output', 'call_id': 'c', 'output': {'content': 'deep'}},
        {'type': 'function_call', 'call_id': 'd', 'output': 'none'},
        'text',
    ]
    outputs = list(bodies.tool_outputs(request(json.dumps({'input': items}).encode())))
    assert outputs == [('a', 'text'), ('b', 'part'), ('c', '{"content": "deep"}')]
    assert list(bodies.tool_outputs(request(b'{"input": "text"}'))) == []


@pytest.mark.parametrize(
    ('value', 'size'),
    [
        ({'input': [{'image_url': 'data:image/png;base64,' + 'A' * 65536}]}, 65536),
        ({'image_url': {'url': 'data:image/svg+xml;charset=utf-8,abc'}}, 3),
        ('see data:image/png;base64,AAAA and "data:image/gif;base64,BB"', 6),
        ([{'type': 'image_generation_call', 'result': 'AAAA', 'id': 'x'}], 4),
        ({'type': 'image', 'source': {'media_type': 'image/png', 'data': 'AAA'}}, 3),
        ({'mimeType': 'image/png', 'data': 'AA'}, 2),
        ({'media_type': 'text/plain', 'data': 'AAA'}, 0),
        ({'type': 'input_text', 'text': 'an image of data'}, 0),
        (None, 0),
    ],
)
def test_image_data_is_counted_in_bytes(value: Any, size: int) -> None:
    assert bodies.image_bytes(value) == size

"""Which reply a request gets."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.exec_harness.api import replies
from hack.exec_harness.model import Reply, Request, When


def request(
    body: Any = None, *, method: str = 'POST', path: str = '/v1/responses', headers: Mapping[str, str] = {}
) -> Request:
    raw = b'' if body is None else json.dumps(body).encode()
    asks = method == 'POST' and path == '/v1/responses'
    return Request(0, method, path, '', tuple(headers.items()), raw, body, 0.0, asks)


OUTPUT = {'input': [{'type': 'function_call_output', 'call_id': 'c1', 'output': 'x'}]}


@pytest.mark.parametrize(
    ('when', 'asked', 'why'),
    [
        (When(), request({}), None),
        (When(), request({}, method='GET'), 'GET /v1/responses does not ask the model'),
        (When(method='GET'), request({}), 'the method is POST, not GET'),
        (When(method='GET', path='/v1/x'), request(method='GET', path='/v1/x'), None),
        (When(path='/v1/x'), request({}), 'the path is /v1/responses, not /v1/x'),
        (When(header={'session': 'b'}), request({}, headers={'session': 'abc'}), None),
        (When(header={'session': 'd'}), request({}, headers={'session': 'abc'}), "the header session holds no 'd'"),
        (When(header={'other': ''}), request({}), None),
        (When(json={'input[-1].n': 1}), request({'input': [{}, {'n': 1}]}), None),
        (When(json={'input[-1].n': 1}), request({'input': [{'n': True}]}), 'input[-1].n is not 1'),
        (When(json={'a.b': None}), request({'a': 1}), 'a.b is not null'),
        (When(text=('say "hi"', 'x')), request({'a': 'say "hi"', 'x': 1}), None),
        (When(text=('b', 'y')), request({'a': 'b'}), "the text 'y' is not in it"),
        (When(tool_output='c1'), request(OUTPUT), None),
        (When(tool_output='c2'), request(OUTPUT), "it carries no output of the tool call 'c2'"),
        (When(tool_output=True), request(OUTPUT), None),
        (When(tool_output=True), request({'input': 'text'}), 'it carries no tool output'),
        (When(tool_output=False), request({}), None),
        (When(tool_output=False), request(OUTPUT), 'it carries a tool output'),
    ],
)
def test_conditions(when: When, asked: Request, why: str | None) -> None:
    assert replies.mismatch(when, asked) == why


def served(script: list[Reply], requests: list[Request]) -> tuple[list[str | None], tuple[str, ...]]:
    uses = [0] * len(script)
    names: list[str | None] = []
    for asked in requests:
        chosen = replies.choose(script, uses, asked)
        names.append(None if chosen is None else script[chosen].name)
        if chosen is not None:
            uses[chosen] += 1
    return names, replies.unused(script, uses)


def test_by_default_replies_are_sent_in_order_and_once() -> None:
    assert served([Reply('a'), Reply('b')], [request({})] * 3) == (['a', 'b', None], ())


def test_only_requests_to_the_model_take_a_reply_without_when() -> None:
    asked = [request(method='GET', path='/v1/models'), request(path='/v1/other'), request({})]
    assert served([Reply('a')], asked) == ([None, None, 'a'], ())


def test_a_sub_agent_takes_its_own_reply_wherever_that_stands() -> None:
    script = [Reply('first'), Reply('second'), Reply('sub', When(text=('SUB',)))]
    asked = [request({'input': text}) for text in ('one', 'SUB', 'two')]
    assert served(script, asked) == (['first', 'sub', 'second'], ())


def test_a_retry_does_not_take_what_is_meant_for_a_tool_output() -> None:
    script = [Reply('call'), Reply('answer', When(tool_output='c1'))]
    assert served(script, [request({}), request({}), request(OUTPUT)]) == (['call', None, 'answer'], ())


def test_times_and_what_is_unused() -> None:
    script = [Reply('twice', times=2), Reply('any', When(text=('x',)), times=None), Reply('never', When(text=('y',)))]
    asked = [request({}), request({'a': 'x'}), request({'a': 'x'})]
    assert served(script, asked) == (
        ['twice', 'any', 'any'],
        ('twice (sent 1 of 2 times)', 'never (sent 0 of 1 times)'),
    )


@pytest.mark.parametrize(
    ('script', 'uses', 'said'),
    [
        ([], [], 'the scenario has no reply for POST /v1/responses (request 0)'),
        ([Reply('a')], [1], 'all 1 replies were used before POST /v1/responses (request 0)'),
        (
            [Reply('a'), Reply('b', When(text=('B',))), Reply('c', When(tool_output=True))],
            [1, 0, 0],
            'no reply that is left is for POST /v1/responses (request 0): '
            "b: the text 'B' is not in it; c: it carries no tool output",
        ),
    ],
)
def test_a_refusal_says_why(script: list[Reply], uses: list[int], said: str) -> None:
    assert replies.refusal(script, uses, request({})) == said


@given(st.lists(st.integers(0, 3)), st.lists(st.booleans()))
def test_no_reply_is_sent_more_often_than_it_says(times: list[int], marked: list[bool]) -> None:
    script = [
        Reply(str(number), When(text=('M',)) if number % 2 else None, count) for number, count in enumerate(times)
    ]
    names, left = served(script, [request({'a': 'M' if mark else ''}) for mark in marked])
    assert all(names.count(reply.name) <= (reply.times or 0) for reply in script)
    assert len(left) == sum(names.count(reply.name) < (reply.times or 0) for reply in script)

"""The fake API as real clients meet it: the strict parser of the official SDK, and bare sockets."""

import gzip
import json
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import openai
import pytest
import zstandard
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseOutputMessage

from hack.common.errors import UserError
from hack.exec_harness.api import responses_server
from hack.exec_harness.api.responses_server import ResponsesServer
from hack.exec_harness.model import Api, Chunk, Event, Fault, Reply, Request, Scenario, Served, Turn, When


def item(**said: Any) -> Event:
    return Event('response.output_item.done', {'type': 'response.output_item.done', 'item': said})


def message(text: str) -> Event:
    return item(type='message', role='assistant', content=[{'type': 'output_text', 'text': text}])


HELLO = Reply('hello', response_id='resp-1', events=(message('HELLO'),), usage={'input_tokens': 3, 'output_tokens': 2})
CALL = item(type='function_call', call_id='c1', name='shell', arguments={'command': 'echo "hi"'})


class Running:
    def __init__(self, server: ResponsesServer) -> None:
        self.url = server.base_url
        self.host = ('127.0.0.1', int(server.base_url.split(':')[2].partition('/')[0]))
        self.client = openai.OpenAI(base_url=self.url, api_key='sk-very-secret', max_retries=0, timeout=20)
        self.served = Served()

    def post(self, body: bytes = b'{"stream": true}', headers: Mapping[str, str] = {}) -> tuple[int, bytes]:
        asked = urllib.request.Request(f'{self.url}/responses', body, {'content-type': 'application/json', **headers})
        try:
            with urllib.request.urlopen(asked, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def raw(self, data: bytes) -> bytes:
        """What the other side sends until it ends the connection; raises ConnectionResetError."""
        with socket.create_connection(self.host, timeout=20) as connection:
            connection.sendall(data)
            received = b''
            while piece := connection.recv(65536):
                received += piece
            return received


@contextmanager
def running(*replies: Reply, api: Api | None = None) -> Iterator[Running]:
    server = ResponsesServer()
    server.start(api or Api(replies))
    there = Running(server)
    try:
        yield there
    finally:
        there.client.close()
        there.served = server.stop()
        assert there.served.crash == ''


# -- the wire format -----------------------------------------------------------------------


def test_the_official_sdk_reads_the_stream() -> None:
    with running(HELLO) as api, api.client.responses.stream(model='gpt-5', input='hi') as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds == ['response.created', 'response.output_item.done', 'response.completed']
    assert final.output_text == 'HELLO'
    assert final.id == 'resp-1'
    assert final.model == 'gpt-5'
    assert final.usage is not None
    assert (final.usage.input_tokens, final.usage.output_tokens, final.usage.total_tokens) == (3, 2, 5)


def test_the_official_sdk_reads_an_answer_that_is_not_streamed() -> None:
    with running(HELLO._replace(events=(message('A'), CALL))) as api:
        answer = api.client.responses.create(model='gpt-5', input='hi')
    assert answer.output_text == 'A'
    called = answer.output[1]
    assert isinstance(called, ResponseFunctionToolCall)
    assert json.loads(called.arguments) == {'command': 'echo "hi"'}


def test_what_is_sent_holds_all_that_the_official_types_want() -> None:
    with running(HELLO._replace(events=(message('A'), CALL), times=2)) as api:
        _, whole = api.post(b'{}')
        _, stream = api.post()
    answer = Response.model_validate_json(whole)
    assert isinstance(answer.output[0], ResponseOutputMessage)
    frames = [frame.split(b'\n') for frame in stream.split(b'\n\n') if frame]
    assert all(name.startswith(b'event: ') and data.startswith(b'data: ') for name, data in frames)
    told = [json.loads(data[6:]) for _, data in frames]
    assert [event['sequence_number'] for event in told] == [0, 1, 2, 3]
    assert [event.get('output_index') for event in told] == [None, 0, 1, None]
    assert Response.model_validate(told[-1]['response']) == answer


def test_events_are_sent_as_the_scenario_has_them() -> None:
    created = Event('response.created', {'type': 'response.created', 'response': {'id': 'own'}})
    failed = Event('response.failed', {'type': 'response.failed', 'response': {'id': 'own', 'error': {'code': 'x'}}})
    with running(Reply('a', events=(created, failed)), Reply('b', events=(message('x'),), completed=False)) as api:
        _, own = api.post()
        _, open_ended = api.post()
    assert own.count(b'event: ') == 2
    assert b'response.completed' not in own
    assert open_ended.count(b'event: ') == 2
    assert b'response.completed' not in open_ended


def test_raw_streams_and_json_bodies_are_sent_untouched() -> None:
    raw = 'data: ü\n\n: comment\n\n'
    body: dict[str, Any] = {'output': [], 'z': None}
    with running(
        Reply('raw', sse=raw, events=(message('x'),)),
        Reply('body', body=body, has_body=True, status=201, headers={'x-mine': '1'}),
        Reply('null', body=None, has_body=True),
    ) as api:
        assert api.post() == (200, raw.encode())
        status, said = api.post()
        assert (status, json.loads(said)) == (201, body)
        assert api.post() == (200, b'null')


def test_bytes_arrive_in_the_pieces_and_with_the_pauses_asked_for() -> None:
    with running(HELLO._replace(chunk=Chunk(100, 0.02), delay=0.1)) as api:
        started = time.monotonic()
        said = api.raw(
            b'POST /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 15\r\n\r\n{"stream":true}'
        )
        took = time.monotonic() - started
    sizes = [int(size, 16) for size in said.partition(b'\r\n\r\n')[2].split(b'\r\n')[::2] if size]
    assert set(sizes[:-2]) == {100}
    assert took >= 0.1 + 0.02 * (len(sizes) - 2)


# -- refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('status', 'error'),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_a_status_alone_is_an_error_that_the_sdk_knows(status: int, error: type[openai.APIStatusError]) -> None:
    with running(Reply('refuse', status=status)) as api, pytest.raises(error, match=f'the scenario answers {status}'):
        api.client.responses.create(model='m', input='hi', stream=True)
    assert [request.status for request in api.served.requests] == [status]


def test_an_exhausted_script_is_refused_and_named() -> None:
    with running(HELLO) as api:
        assert api.post()[0] == 200
        status, said = api.post()
    problem = 'all 1 replies were used before POST /v1/responses (request 1)'
    assert status == 400
    assert json.loads(said)['error']['message'] == problem
    assert [request.problem for request in api.served.requests] == ['', problem]


def test_what_nothing_answers_is_404_and_leaves_the_replies_alone() -> None:
    with running(HELLO) as api:
        answer = api.raw(b'GET /favicon.ico HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    assert answer.startswith(b'HTTP/1.1 404 ')
    assert api.served.unused_replies == ('hello (sent 0 of 1 times)',)
    assert api.served.requests[0].problem.startswith('no reply that is left is for GET /favicon.ico')


def test_a_reply_may_be_for_any_path() -> None:
    reply = Reply('other', When(method='GET', path='/v1/other'), body={'a': 1}, has_body=True)
    with running(reply) as api:
        answer = api.raw(b'GET /v1/other?x=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    assert answer.endswith(b'{"a":1}')
    assert (api.served.requests[0].path, api.served.requests[0].query) == ('/v1/other', 'x=1')


# -- beside the model ----------------------------------------------------------------------

UPGRADE = (
    b'GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n'
    b'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
)


@pytest.mark.parametrize(('asked', 'status'), [(Api(), b'426'), (Api(websocket=501), b'501')])
def test_a_websocket_is_refused_as_the_scenario_says(asked: Api, status: bytes) -> None:
    with running(api=asked) as api, socket.create_connection(api.host, timeout=20) as connection:
        connection.sendall(UPGRADE)
        assert connection.recv(65536).startswith(b'HTTP/1.1 ' + status)
    assert [(request.status, request.problem) for request in api.served.requests] == [(int(status), '')]


def test_models_are_listed() -> None:
    with running(api=Api(models=('gpt-5', {'id': 'own', 'slug': 'own'}))) as api:
        assert [model.id for model in api.client.models.list()] == ['gpt-5', 'own']
    assert [request.problem for request in api.served.requests] == ['']


# -- what is recorded ----------------------------------------------------------------------


def zstd_in_two_frames(body: bytes) -> bytes:
    return zstandard.compress(body[:5]) + zstandard.compress(body[5:])


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ('encoding', 'pack'),
    [
        ('identity', bytes),
        ('gzip', gzip.compress),
        ('deflate', zlib.compress),
        ('deflate', raw_deflate),
        ('zstd', zstandard.compress),
        ('zstd', zstd_in_two_frames),
        ('gzip, zstd', lambda body: zstandard.compress(gzip.compress(body))),
    ],
)
def test_compressed_bodies_are_read(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    body = json.dumps({'stream': True, 'input': 'x' * 100_000}).encode()
    with running(HELLO) as api:
        assert api.post(pack(body), {'content-encoding': encoding})[0] == 200
    assert api.served.requests[0].body == body
    assert api.served.requests[0].json['stream'] is True


@pytest.mark.parametrize(
    ('encoding', 'body', 'why'),
    [
        ('gzip', b'{}', 'cannot be read as gzip: Error -3'),
        ('gzip', gzip.compress(b'{}')[:-4], 'cannot be read as gzip: it ends too early'),
        ('zstd', b'{}', 'cannot be read as zstd: '),
        ('br', b'{}', 'cannot be read as br: known here are gzip, deflate and zstd'),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_by_name(encoding: str, body: bytes, why: str) -> None:
    with running(HELLO) as api:
        status, said = api.post(body, {'content-encoding': encoding})
    assert status == 400
    assert why in json.loads(said)['error']['message']
    assert why in api.served.requests[0].problem
    assert api.served.unused_replies == ('hello (sent 0 of 1 times)',)


def test_a_chunked_body_is_read() -> None:
    head = b'POST /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n'
    with running(HELLO) as api:
        assert api.raw(head + b'7\r\n{"strea\r\n8\r\nm":true}\r\n0\r\n\r\n').startswith(b'HTTP/1.1 200')
    assert api.served.requests[0].json == {'stream': True}


def test_a_body_that_is_no_json_is_kept() -> None:
    with running(HELLO) as api:
        api.post(b'\xffno json')
    assert (api.served.requests[0].body, api.served.requests[0].json) == (b'\xffno json', None)


def test_secrets_are_masked_and_the_rest_of_the_headers_kept() -> None:
    secrets = {
        'Authorization': 'Bearer sk-very-secret',
        'X-Api-Key': 'sk-very-secret',
        'Cookie': 'a=sk-very-secret',
        'Session-Id': 'kept',
    }
    with running(HELLO) as api:
        api.post(headers=secrets)
    headers = dict(api.served.requests[0].headers)
    assert 'very-secret' not in str(api.served)
    assert headers['authorization'] == 'Bearer (masked)'
    assert headers['x-api-key'] == headers['cookie'] == '(masked)'
    assert headers['session-id'] == 'kept'


def test_secrets_of_the_query_are_masked() -> None:
    with running() as api:
        api.raw(b'GET /v1/other?a=1&api_key=hush&b=2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    assert api.served.requests[0].query == 'a=1&api_key=(masked)&b=2'


def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    head = b'POST /v1/responses HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n'
    with running(HELLO) as api, socket.create_connection(api.host, timeout=20) as connection:
        connection.sendall(head)
        assert connection.recv(65536) == b'HTTP/1.1 100 Continue\r\n\r\n'
        connection.sendall(b'{}')
        assert connection.recv(65536).startswith(b'HTTP/1.1 200')


@pytest.mark.parametrize(
    'data',
    [
        b'POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc',
        b'POST /v1/responses HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
        b'NONSENSE\r\n\r\n',
        b'',
    ],
)
def test_half_a_request_takes_no_reply_and_is_no_crash(data: bytes) -> None:
    with running(HELLO) as api:
        with socket.create_connection(api.host, timeout=20) as connection:
            connection.sendall(data)
        assert api.post()[0] == 200
    assert [request.reply for request in api.served.requests] == ['hello']


def test_requests_are_numbered_in_order_with_their_times() -> None:
    with running(HELLO._replace(times=3)) as api:
        for _ in range(3):
            api.post()
    assert [request.number for request in api.served.requests] == [0, 1, 2]
    seconds = [request.seconds for request in api.served.requests]
    assert seconds == sorted(seconds)
    assert [request.reply for request in api.served.requests] == ['hello'] * 3


def test_requests_at_once_never_take_the_same_reply() -> None:
    script = [Reply(str(number), body=number, has_body=True, delay=0.05) for number in range(8)]
    said: list[bytes] = []
    with running(*script) as api:
        threads = [threading.Thread(target=lambda: said.append(api.post()[1])) for _ in script]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(said) == [str(number).encode() for number in range(8)]
    assert api.served.unused_replies == ()


def received(connection: socket.socket) -> tuple[bytes, type[Exception] | None]:
    """What arrives until nothing more does, and what that end was."""
    whole = b''
    while True:
        try:
            piece = connection.recv(65536)
        except OSError as error:
            return whole, type(error)
        if not piece:
            return whole, None
        whole += piece


# -- faults --------------------------------------------------------------------------------

ASK = b'POST /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 15\r\n\r\n{"stream":true}'
TWO = HELLO._replace(events=(message('ONE'), message('TWO')))


@pytest.mark.parametrize(('after', 'whole'), [(None, 3), (0, 1), (1, 2), (9, 4)])
def test_a_reset_comes_after_the_events_asked_for(after: int | None, whole: int) -> None:
    with (
        running(TWO._replace(fault=Fault('reset', after))) as api,
        socket.create_connection(api.host, 20) as connection,
    ):
        connection.sendall(ASK)
        said, end = received(connection)
    assert end is ConnectionResetError
    assert said.count(b'}\n\n') == whole


def test_a_truncated_stream_ends_in_the_middle_of_an_event_and_cleanly() -> None:
    with running(TWO._replace(fault=Fault('truncate', 1))) as api:
        status, said = api.post()
    assert status == 200
    assert said.count(b'\n\n') == 2
    assert b'ONE' in said
    assert not said.endswith(b'\n')
    assert b'response.completed' not in said


def test_malformed_data_stands_among_whole_events() -> None:
    with running(TWO._replace(fault=Fault('malformed', 1))) as api:
        _, said = api.post()
    data = [frame.partition(b'data: ')[2] for frame in said.split(b'\n\n') if frame]
    assert len(data) == 5
    with pytest.raises(ValueError, match='Expecting value'):
        json.loads(data[2])
    assert [json.loads(data[number])['type'] for number in (0, 1, 3, 4)][-1] == 'response.completed'


@pytest.mark.parametrize('kind', ['malformed', 'truncate'])
def test_a_json_answer_can_be_broken_too(kind: Any) -> None:
    with running(Reply('a', body={'a': [1, 2, 3]}, has_body=True, fault=Fault(kind))) as api:
        assert api.post() == (200, b'{"a":[')


def test_a_stalled_stream_is_silent_and_does_not_hold_up_the_end() -> None:
    server = ResponsesServer()
    server.start(Api((TWO._replace(fault=Fault('stall', 1)),)))
    with socket.create_connection(Running(server).host, timeout=0.5) as connection:
        connection.sendall(ASK)
        said, end = received(connection)
        started = time.monotonic()
        served = server.stop()
        took = time.monotonic() - started
    assert (said.count(b'}\n\n'), end) == (2, TimeoutError)
    assert served.crash == ''
    assert took < 2  # it takes milliseconds; there is no limit for it to wait for


def test_who_goes_away_in_the_middle_harms_nobody() -> None:
    with running(HELLO._replace(chunk=Chunk(10, 0.05)), HELLO) as api:
        with socket.create_connection(api.host, timeout=20) as connection:
            connection.sendall(ASK)
            connection.recv(10)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        assert api.post()[0] == 200
    assert len(api.served.requests) == 2


# -- beginning and end ---------------------------------------------------------------------


def test_idle_connections_do_not_hold_up_the_end() -> None:
    server = ResponsesServer()
    server.start(Api((HELLO,)))
    there = Running(server)
    there.client.responses.create(model='m', input='hi')  # the SDK keeps the connection
    started = time.monotonic()
    assert len(server.stop().requests) == 1
    assert time.monotonic() - started < 2
    there.client.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(there.host, timeout=5)


def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    with socket.create_server(('127.0.0.1', 0)) as taken, pytest.raises(OSError, match='in use'):
        ResponsesServer(taken.getsockname()[1])


def test_a_crash_is_told_and_is_no_answer() -> None:
    def fail(_: Request) -> None:
        raise RuntimeError('a fault of ours')

    server = ResponsesServer()
    server.start(Api((HELLO,)), fail)
    there = Running(server)
    with pytest.raises(openai.APIError):
        there.client.responses.create(model='m', input='hi')
    there.client.close()
    assert 'a fault of ours' in server.stop().crash


# -- by hand -------------------------------------------------------------------------------

SCENARIO = Scenario('by-hand', 's.yaml', 1, (Turn('hi'),), responses_api=Api((Reply('a', sse='{{base_url}}'),)))


def test_serve_answers_until_it_is_interrupted() -> None:
    said: list[str] = []

    def hear(line: str) -> None:
        said.append(line)
        if len(said) == 1:
            url = line.split()[0]
            asked = urllib.request.Request(f'{url}/responses', b'{}')
            threading.Thread(target=lambda: urllib.request.urlopen(asked, timeout=20).close()).start()
            time.sleep(0.5)
            raise KeyboardInterrupt

    served = responses_server.serve(SCENARIO, 0, {}, hear)
    assert said[0].endswith('answers as by-hand says (Ctrl-C ends it)')
    assert said[1].split()[2:] == ['POST', '/v1/responses', '2', 'bytes', '200', 'a']
    assert [request.reply for request in served.requests] == ['a']


def test_serve_wants_an_api_a_free_port_and_known_names() -> None:
    with pytest.raises(UserError, match=r's\.yaml: there is no API to serve \(give it a responses_api\)'):
        responses_server.serve(SCENARIO._replace(responses_api=None), 0, {}, print)
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf'^127\.0\.0\.1:{port}: cannot listen there: '):
            responses_server.serve(SCENARIO, port, {}, print)
    lacking = SCENARIO._replace(responses_api=Api((Reply('a', sse='{{tool.x}}'),)))
    with pytest.raises(UserError, match=r'nothing stands for \{\{tool\.x\}\} here'):
        responses_server.serve(lacking, 0, {}, print)

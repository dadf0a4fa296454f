"""The fake API: answers on loopback what a scenario says, from a thread of its own, and records what it was asked."""

import asyncio
import contextlib
import logging
import re
import socket
import struct
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import zstandard
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from hack.common.errors import UserError
from hack.exec_harness.api import dialects, replies
from hack.exec_harness.api.dialects import Dialect
from hack.exec_harness.api.sse import Answer, Close
from hack.exec_harness.format import strict_json, templates
from hack.exec_harness.model import Api, Request, Scenario, Served

_HOST: Final = '127.0.0.1'
_LARGEST: Final = 256 * 2**20  # bytes of a body, uncompressed
_ARRIVE_SECONDS: Final = 0.05  # between the last byte and a reset, which would overtake it
_AT_ONCE: Final = 0.001  # seconds; 0 would be for ever
_LINGER_NOT: Final = struct.pack('ii', 1, 0)  # socket(7): closing then resets the connection
_MASKED: Final = '(masked)'
_SECRET: Final = ('authorization', 'cookie', 'key', 'token', 'secret', 'account')
_SECRET_QUERY: Final = re.compile(rf'(?i)([^&=]*(?:{"|".join(_SECRET)})[^&=]*=)[^&]*')
_QUIET: Final = logging.Logger('fake API', logging.CRITICAL + 1)

Watch = Callable[[Request], None]


class ResponsesServer:
    """One scenario's API. Listens at once (raises OSError where it cannot), answers from `start` to `stop`."""

    def __init__(self, port: int = 0, dialect: Dialect = dialects.RESPONSES) -> None:
        """`port` 0: any that is free."""
        self._socket = socket.create_server((_HOST, port), backlog=128)
        self.base_url = f'http://{_HOST}:{self._socket.getsockname()[1]}/v1'
        self._dialect = dialect
        self._running: tuple[_Session, threading.Thread] | None = None

    def start(self, api: Api, watch: Watch = lambda _: None) -> None:
        """Answer as `api` says; `watch` is told of each request, in the server's own thread."""
        session = _Session(api, self._dialect, watch)
        thread = threading.Thread(target=session.run, args=(self._socket,), name='fake API', daemon=True)
        self._running = session, thread
        thread.start()

    def wait(self) -> None:
        """Return when it has stopped by itself, which only a crash brings about."""
        if self._running:
            self._running[1].join()

    def stop(self) -> Served:
        """End all that is open, at once; returns what was asked and what was left over."""
        if self._running is None:
            self._socket.close()
            return Served()
        session, thread = self._running
        session.end()
        thread.join()
        return session.served()


class _Session:
    """What happens in the thread: one loop, one list of requests."""

    def __init__(self, api: Api, dialect: Dialect, watch: Watch) -> None:
        self._api, self._dialect, self._watch = api, dialect, watch
        self._uses = [0] * len(api.responses)
        self._requests: list[Request] = []
        self._crash = ''
        self._started = time.monotonic()
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._ended = asyncio.Event()

    def run(self, listening: socket.socket) -> None:
        try:
            with listening, self._runner:
                self._runner.run(self._serve(listening))
        except Exception:
            self._crash = traceback.format_exc()

    def end(self) -> None:
        with contextlib.suppress(RuntimeError):  # it crashed: the loop is closed
            self._loop.call_soon_threadsafe(self._ended.set)

    def served(self) -> Served:
        return Served(tuple(self._requests), replies.unused(self._api.responses, self._uses), self._crash)

    async def _serve(self, listening: socket.socket) -> None:
        server = web.Server(
            self._handle,
            request_factory=_request,
            auto_decompress=False,  # we do that: an encoding that is unknown must be told
            access_log=None,
            logger=_QUIET,
            handler_cancellation=True,
        )
        acceptor = await self._loop.create_server(server, sock=listening)
        await self._ended.wait()
        acceptor.close()
        await server.shutdown(_AT_ONCE)

    async def _handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        try:
            request, answer = await self._decide(raw)
            return await self._send(raw, answer)
        except (asyncio.CancelledError, ConnectionError):
            raise  # the other side went away, or we were told to end
        except Exception:
            self._crash = self._crash or traceback.format_exc()
            self._ended.set()
            raise

    async def _decide(self, raw: web.BaseRequest) -> tuple[Request, Answer]:
        arrived = time.monotonic() - self._started
        body, fault = await _body(raw)
        asks_model = self._dialect.asks_model(raw.method, raw.rel_url.raw_path)
        request = Request(
            number=len(self._requests),
            method=raw.method,
            path=raw.rel_url.raw_path,
            query=_SECRET_QUERY.sub(rf'\1{_MASKED}', raw.rel_url.raw_query_string),
            headers=tuple((name.lower(), _masked(name.lower(), value)) for name, value in raw.headers.items()),
            body=body,
            json=_parsed(body),
            seconds=arrived,
            asks_model=asks_model,
        )
        request, answer = self._choose(request, fault)
        self._requests.append(request)
        self._watch(request)
        return request, answer

    def _choose(self, request: Request, fault: str) -> tuple[Request, Answer]:
        """The request with what became of it, and its answer. No `await` in here: two never take the same reply."""
        chosen = None if fault else replies.choose(self._api.responses, self._uses, request)
        if chosen is not None:
            reply = self._api.responses[chosen]
            self._uses[chosen] += 1
            return request._replace(status=reply.status, reply=reply.name), self._dialect.answer(reply, request)
        answer, problem = self._without_reply(request, fault)
        return request._replace(status=answer.status, problem=problem), answer

    def _without_reply(self, request: Request, fault: str) -> tuple[Answer, str]:
        if fault:
            return self._dialect.error(400, fault), fault
        if dict(request.headers).get('upgrade', '').lower() == 'websocket':
            return self._dialect.error(self._api.websocket, 'no WebSocket here, use HTTP'), ''
        if (request.method, request.path) == ('GET', '/v1/models'):
            return self._dialect.models(self._api.models), ''
        problem = replies.refusal(self._api.responses, self._uses, request)
        # 400 is what no client tries again: after 500 they go on for half a minute.
        return self._dialect.error(400 if request.asks_model else 404, problem), problem

    async def _send(self, raw: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        if answer.delay:
            await asyncio.sleep(answer.delay)
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_length = answer.length
        await response.prepare(raw)
        for number, piece in enumerate(answer.pieces):
            if number and answer.pause:
                await asyncio.sleep(answer.pause)
            await response.write(piece)
        if answer.close is Close.STALL:
            await self._ended.wait()
        elif answer.close is Close.RESET:
            await asyncio.sleep(_ARRIVE_SECONDS)
            _reset(raw)
        else:
            await response.write_eof()
        return response


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: 'asyncio.Task[None]',
) -> web.BaseRequest:
    return web.BaseRequest(
        message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=_LARGEST
    )


def _reset(raw: web.BaseRequest) -> None:
    if raw.transport is not None:
        raw.transport.get_extra_info('socket').setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        raw.transport.abort()


def _masked(name: str, value: str) -> str:
    if not any(word in name for word in _SECRET):
        return value
    scheme, _, secret = value.partition(' ')
    return f'{scheme} {_MASKED}' if secret and name.endswith('authorization') else _MASKED


def _parsed(body: bytes) -> Any:
    try:
        return strict_json.parse(body)
    except ValueError:
        return None


async def _body(raw: web.BaseRequest) -> tuple[bytes, str]:
    """The body, uncompressed, and what is wrong with it: then it is as it came."""
    if raw.headers.get('expect', '').lower() == '100-continue' and raw.transport is not None:
        raw.transport.write(b'HTTP/1.1 100 Continue\r\n\r\n')
    body = await raw.read()
    for encoding in reversed(raw.headers.get('content-encoding', '').lower().split(',')):
        try:
            body = _uncompressed(body, encoding.strip())
        except (ValueError, zlib.error, zstandard.ZstdError) as error:
            return body, f'the body of {raw.method} {raw.path} cannot be read as {encoding.strip()}: {error}'
    return body, ''


def _uncompressed(body: bytes, encoding: str) -> bytes:
    """Raises ValueError where the encoding is not known, and the error of its library where the body is not in it."""
    if encoding in ('', 'identity'):
        return body
    if encoding in ('gzip', 'x-gzip', 'deflate'):
        raw_deflate = encoding == 'deflate' and body[:1] and (body[0] & 0x0F != 8)  # without the header of zlib
        return _inflated(body, -zlib.MAX_WBITS if raw_deflate else zlib.MAX_WBITS | 32)
    if encoding == 'zstd':
        with zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True) as reader:
            return _limited(reader.read(_LARGEST + 1))
    raise ValueError('known here are gzip, deflate and zstd')


def _inflated(body: bytes, bits: int) -> bytes:
    inflater = zlib.decompressobj(bits)
    whole = _limited(inflater.decompress(body, _LARGEST + 1))
    if not inflater.eof:
        raise ValueError('it ends too early')
    return whole


def _limited(body: bytes) -> bytes:
    if len(body) > _LARGEST:
        raise ValueError(f'it has more than {_LARGEST} bytes')
    return body


def serve(scenario: Scenario, port: int, values: Mapping[str, str], say: Callable[[str], None]) -> Served:
    """Answer by hand-driven clients as the scenario says, a line for each request, until interrupted.

    `values` stand for the names in double braces, beside {{base_url}}. Raises UserError.
    """
    if scenario.responses_api is None:
        raise UserError(f'{scenario.path}: there is no API to serve (give it a responses_api)')
    server = _listening(port)
    try:
        api = templates.expand(scenario.responses_api, {**values, 'base_url': server.base_url})
        server.start(api, lambda request: say(line(request)))
        say(f'{server.base_url} answers as {scenario.name} says (Ctrl-C ends it)')
        server.wait()
    except templates.NoValueError as error:
        raise UserError(
            f'{scenario.path}: nothing stands for {{{{{error}}}}} here (name an agent that has it)'
        ) from None
    except KeyboardInterrupt:
        pass
    finally:
        served = server.stop()
    return served


def _listening(port: int) -> ResponsesServer:
    try:
        return ResponsesServer(port)
    except OSError as error:
        what = f'{_HOST}:{port}: cannot listen there: {error.strerror} (choose another port, 0 is any)'
        raise UserError(what) from None


def line(request: Request) -> str:
    """What a request was and what it got, for people."""
    what = f'{request.seconds:8.3f} s  {request.method} {request.path}  {len(request.body)} bytes  {request.status}'
    return f'{what}  {request.reply or request.problem or "built in"}'

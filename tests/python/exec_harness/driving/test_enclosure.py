"""Whatever a program looks up or reaches for outside is seen; what it does on loopback is not."""

import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hack.exec_harness.driving import enclosure

OBSTACLE = enclosure.obstacle()
needs_enclosure = pytest.mark.skipif(OBSTACLE is not None, reason=f'no enclosure on this machine: {OBSTACLE}')


def inside(act: Callable[[], object], hidden: Sequence[str] = ()) -> tuple[object, list[str]]:
    """What `act` returns in an enclosure, and what was seen of it."""
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            enclosed = enclosure.Enclosure(hidden)
            answer = json.dumps((act(), enclosed.stop()))
        except BaseException:
            answer = json.dumps((traceback.format_exc(), ['the worker crashed']))
        os.write(write, answer.encode())
        os._exit(0)
    os.close(write)
    with open(read) as file:
        returned, seen = json.load(file)
    os.waitpid(pid, 0)
    return returned, seen


def program(source: str) -> Callable[[], str]:
    """A program of its own, as the agent and its commands are; what it says."""
    argv = [sys.executable, '-c', f'import socket\ntry: {source}\nexcept OSError as error: print(type(error).__name__)']
    return lambda: subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


@needs_enclosure
@pytest.mark.parametrize(
    ('attempt', 'ends', 'seen'),
    [
        ("socket.getaddrinfo('api.example.com', 443)", 'gaierror', ['api.example.com']),
        # A resolver that believes to be offline would ask nothing, and nothing would be seen.
        (
            "socket.getaddrinfo('only.four.example', 1, socket.AF_INET, 0, 0, socket.AI_ADDRCONFIG)",
            'gaierror',
            ['only.four.example'],
        ),
        ("socket.create_connection(('203.0.113.9', 443), 20)", 'ConnectionRefusedError', ['203.0.113.9:443']),
        ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('198.51.100.7', 99))", '', ['198.51.100.7:99/udp']),
        ("socket.create_connection(('localhost', 9), 20)", 'ConnectionRefusedError', []),
    ],
)
def test_what_is_meant_for_elsewhere_is_seen(attempt: str, ends: str, seen: list[str]) -> None:
    assert inside(program(attempt)) == (ends, seen)


@needs_enclosure
def test_what_the_machine_says_to_all_agents_is_hidden(tmp_path: Path) -> None:
    (tmp_path / 'config.toml').write_text('model = "another"')
    hidden = str(tmp_path), str(tmp_path / 'gone')
    assert inside(lambda: os.listdir(tmp_path), hidden) == ([], [])
    assert os.listdir(tmp_path) == ['config.toml']


@needs_enclosure
def test_a_name_server_of_the_programs_own_choice_knows_nothing() -> None:
    query = b'\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03abc\x07example\x00\x00\x01\x00\x01'

    def ask() -> list[object]:
        with socket.socket(type=socket.SOCK_DGRAM) as asking:
            asking.settimeout(20)
            asking.sendto(query, ('203.0.113.53', 53))
            answer, server = asking.recvfrom(512)
        with socket.create_connection(('203.0.113.53', 53), 20) as stream:
            stream.sendall(struct.pack('!H', len(query)) + query)
            return [answer[2:4].hex(), server[0], stream.recv(512)[2:] == answer]

    assert inside(ask) == (['8183', '203.0.113.53', True], ['abc.example'])


@needs_enclosure
def test_a_server_on_loopback_is_reached_and_one_of_the_machines_outside_is_not() -> None:
    with socket.create_server(('127.0.0.1', 0)) as outside:

        def reach() -> list[object]:
            with socket.create_server(('127.0.0.1', 0)) as server, socket.create_connection(server.getsockname(), 20):
                pass
            return [socket.socket().connect_ex(outside.getsockname()) != 0]

        assert inside(reach) == ([True], [])


@needs_enclosure
def test_nothing_of_it_is_left_in_the_caller() -> None:
    files = [path for path in (Path('/etc/resolv.conf'), Path('/etc/nsswitch.conf')) if path.is_file()]
    before = [path.read_text() for path in files]
    network = os.readlink('/proc/self/ns/net')
    inner, _ = inside(lambda: [os.readlink('/proc/self/ns/net'), os.getuid()])
    assert isinstance(inner, list)
    assert inner[0] != network == os.readlink('/proc/self/ns/net')
    assert inner[1] == os.getuid()
    assert [path.read_text() for path in files] == before


@needs_enclosure
@pytest.mark.skipif(os.getuid() != 0, reason='only root can become another user')
def test_another_user_than_root_can_have_one() -> None:
    def as_another() -> str:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as after an exec: /proc/self is its own again
        return enclosure.obstacle() or 'none'

    if _no_user_spaces():
        pytest.skip('no user name spaces on this machine')
    assert _in_child(as_another) == 'none'


def _no_user_spaces() -> bool:
    unshare = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'unshare', '-rn', 'true']
    return subprocess.run(unshare, capture_output=True).returncode != 0


def _in_child(act: Callable[[], str]) -> str:
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(write, act().encode())
        os._exit(0)
    os.close(write)
    with open(read) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said


@pytest.mark.skipif(os.getuid() != 0, reason='only root can forbid itself name spaces')
def test_where_the_kernel_refuses_it_says_why() -> None:
    def forbidden() -> str:
        # A user of its own, in which no further name space may be made.
        enclosure._call('unshare', 0x10000000)
        with open('/proc/sys/user/max_net_namespaces', 'w') as limit:
            limit.write('0')
        return enclosure.obstacle() or 'none'

    if _no_user_spaces():
        pytest.skip('no user name spaces on this machine')
    assert 'unshare' in _in_child(forbidden)


QUERY = b'\0\0\1\0\0\1\0\0\0\0\0\0'


@pytest.mark.parametrize(
    ('query', 'name'),
    [
        (QUERY + b'\x03WwW\x07example\x00\x00\x01\x00\x01', 'www.example'),
        (QUERY + b'\x03www\x07example\x00\x00\x01', None),
        (QUERY + b'\x00\x00\x01\x00\x01', None),
        (QUERY + b'\xc0\x0c\x00\x01\x00\x01', None),
        (QUERY + b'\x3fx', None),
        (b'junk', None),
    ],
)
def test_a_question_is_whole_or_none(query: bytes, name: str | None) -> None:
    asked = enclosure.question(query)
    assert (asked.name if asked else None) == name


def four(protocol: int, data: bytes) -> bytes:
    return bytes([0x45, *[0] * 8, protocol, *[0] * 6, 203, 0, 113, 9]) + data


def six(protocol: int, data: bytes) -> bytes:
    return bytes([0x60, *[0] * 5, protocol, *[0] * 17, *[0x20, 1, 0xD, 0xB8], *[0] * 11, 9]) + data


def tcp(source: int, port: int, flags: int) -> bytes:
    return struct.pack('!HH9xB6x', source, port, flags)


@pytest.mark.parametrize(
    ('packet', 'told'),
    [
        (four(6, tcp(40000, 443, 0x02)), '203.0.113.9:443'),
        (four(6, tcp(443, 40000, 0x12)), None),  # SYN and ACK: an answer
        (four(6, tcp(443, 40000, 0x14)), None),  # the refusal
        (four(6, tcp(40000, 53, 0x02)), None),  # told by what is asked there
        (four(17, tcp(40000, 123, 0)), '203.0.113.9:123/udp'),
        (four(1, b'\x08\0\0\0'), '203.0.113.9/ping'),
        (four(1, b'\x03\x03\0\0'), None),  # the kernel says that a port is closed
        (four(132, tcp(1, 2, 0)), '203.0.113.9/protocol-132'),
        (four(2, b'\x16\0\0\0'), None),
        (six(6, tcp(40000, 443, 0x02)), '[2001:db8::9]:443'),
        (six(58, b'\x80\0\0\0'), '[2001:db8::9]/ping'),
        (six(58, b'\x8f\0\0\0'), None),
    ],
)
def test_only_what_begins_an_exchange_is_told(packet: bytes, told: str | None) -> None:
    assert enclosure.destination(packet) == told

"""A network of a worker's own: loopback only, where every look-up and connection meant for elsewhere is seen.

Inside, all addresses of the world are this machine's own (a `local` route for 0.0.0.0/0 and ::/0), so that nothing
leaves it and nothing waits: a connection is refused at once, and a packet socket has seen its address. Names are asked
of a server of ours, which knows none. No program and no privilege is needed where user name spaces are allowed.
"""

import contextlib
import ctypes
import os
import re
import select
import socket
import struct
import tempfile
import threading
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final, NamedTuple

_CLONE_NEWNS: Final = 0x00020000
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_MS_BIND: Final = 0x1000
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 0x40000
_LOOPBACK: Final = 1  # its index in every network name space

# Without an address that is not loopback's, the resolver believes to be offline and asks nothing (AI_ADDRCONFIG).
# These two are kept for documentation (RFC 5737, RFC 3849): nobody has them.
_ADDRESSES: Final = (IPv4Address('192.0.2.1'), IPv6Address('2001:db8::1'))

_RESOLVER: Final = 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n'
_CACHES: Final = ('/run/nscd', '/run/systemd/resolve')  # daemons that would look names up outside for us

_DNS: Final = 53
_NOT_FOUND: Final = 0x8183  # a response, recursion desired and available, NXDOMAIN: RFC 1035, 4.1.1
_MOST_NAMED: Final = 100

_TCP, _UDP, _ICMP, _ICMP6 = 6, 17, 1, 58
_ECHO_REQUESTS: Final = {_ICMP: 8, _ICMP6: 128}
_HOUSEKEEPING: Final = (0, 2)  # hop-by-hop options and IGMP: the kernel's own

_ALL_PACKETS: Final = 3
_SO_ATTACH_FILTER: Final = 26
_LOAD, _LOAD_BYTE, _AND, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x30, 0x54, 0x15, 0x06
_NOT_TO_LOOPBACK: Final = (  # classic BPF: only what is neither for 127.0.0.0/8 nor for ::1
    *((_LOAD_BYTE, 0, 0, 0), (_AND, 0, 0, 0xF0), (_JUMP_IF_EQUAL, 0, 3, 0x40)),
    *((_LOAD, 0, 0, 16), (_AND, 0, 0, 0xFF000000), (_JUMP_IF_EQUAL, 8, 9, 0x7F000000)),
    *((_LOAD, 0, 0, 24), (_JUMP_IF_EQUAL, 0, 7, 0)),
    *((_LOAD, 0, 0, 28), (_JUMP_IF_EQUAL, 0, 5, 0)),
    *((_LOAD, 0, 0, 32), (_JUMP_IF_EQUAL, 0, 3, 0)),
    *((_LOAD, 0, 0, 36), (_JUMP_IF_EQUAL, 0, 1, 1)),
    *((_RETURN, 0, 0, 0), (_RETURN, 0, 0, 256)),
)


class Enclosure:
    """The calling process's own network; it must have one thread still. Raises OSError where the kernel refuses."""

    def __init__(self, hidden: Sequence[str] = ()) -> None:
        """`hidden`: folders of the machine that are empty in here, those of them that are there."""
        _enter(hidden)
        self._packets = _packet_socket()
        self._datagrams = [_name_server(family, socket.SOCK_DGRAM) for family in _families()]
        self._streams = [_name_server(family, socket.SOCK_STREAM) for family in _families()]
        self._seen: dict[str, None] = {}
        self._stopped, self._stop = os.pipe2(os.O_CLOEXEC)
        self._all_seen = threading.Event()
        self._crash: BaseException | None = None
        threading.Thread(target=self._live, daemon=True).start()

    def stop(self) -> tuple[str, ...]:
        """What was looked up (`a.example`) or reached for (`203.0.113.9:443`) outside, each once, in order.

        Call it when the programs have ended. Other ways than TCP are named: `203.0.113.9:123/udp`.
        """
        os.write(self._stop, b'.')
        self._all_seen.wait()
        os.close(self._stop)
        if self._crash:
            raise RuntimeError('the watch over the network came to a bad end') from self._crash
        return tuple(self._seen)

    def _live(self) -> None:
        try:
            self._watch()
        except BaseException as error:
            self._crash = error
        self._all_seen.set()
        # The kernel takes its time to close a packet socket (10 ms): nobody waits for that here.
        for each in (self._packets, *self._datagrams, *self._streams):
            each.close()
        os.close(self._stopped)

    def _watch(self) -> None:
        poll = select.poll()
        sockets = {each.fileno(): each for each in (self._packets, *self._datagrams, *self._streams)}
        for descriptor in (self._stopped, *sockets):
            poll.register(descriptor, select.POLLIN)
        while ready := [descriptor for descriptor, _ in poll.poll()]:
            if ready == [self._stopped]:  # and nothing is left to be seen
                return
            for descriptor in ready:
                if descriptor != self._stopped:
                    self._hear_out(sockets[descriptor])

    def _hear_out(self, ready: socket.socket) -> None:
        try:
            self._hear(ready)
        except OSError:  # a client that went away
            pass
        except Exception:  # nothing that is on its way elsewhere goes unseen, whatever it is
            self._note('something that cannot be read')

    def _hear(self, ready: socket.socket) -> None:
        if ready is self._packets:
            self._note(destination(ready.recv(256)))
        elif ready in self._datagrams:
            query, client = ready.recvfrom(4096)
            ready.sendto(self._answer(query), client)
        else:
            connection, _ = ready.accept()
            with connection:
                connection.settimeout(0.2)
                answer = self._answer(connection.recv(4096)[2:])
                connection.sendall(struct.pack('!H', len(answer)) + answer)

    def _answer(self, query: bytes) -> bytes:
        asked = question(query)
        if asked is None:
            self._note(f'port {_DNS}, with what is no question')
            return b''
        if asked.name != 'localhost' and not asked.name.endswith('.localhost'):
            self._note(asked.name)
        return query[:2] + struct.pack('!5H', _NOT_FOUND, 1, 0, 0, 0) + asked.section

    def _note(self, what: str | None) -> None:
        if what is not None and len(self._seen) < _MOST_NAMED:
            self._seen[what] = None


def obstacle() -> str | None:
    """Why no enclosure can be had on this machine, found by trying in a child; None: it can.

    Tried and not only asked: some systems allow the name spaces and then forbid to set them up.
    """
    read, write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            Enclosure().stop()
            said = b''
        except BaseException as error:
            said = str(error).encode() or type(error).__name__.encode()
        os.write(write, said)
        os._exit(0)
    os.close(write)
    with open(read, 'rb') as file:
        why = file.read().decode()
    _, status = os.waitpid(pid, 0)
    return why or (None if status == 0 else 'the attempt died')


class Question(NamedTuple):
    """What a query asks first: the name, and the bytes of the section that say so."""

    name: str
    section: bytes


def question(query: bytes) -> Question | None:
    """The first question of a DNS message (RFC 1035, 4.1.2); None where it holds none."""
    labels, at = [], 12
    while at < len(query) and (length := query[at]):
        if length > 63:
            return None
        labels.append(query[at + 1 : at + 1 + length].decode('ascii', 'backslashreplace'))
        at += 1 + length
    section = query[12 : at + 5]
    is_whole = labels and at + 5 <= len(query)
    return Question('.'.join(labels).lower(), section) if is_whole else None


def destination(packet: bytes) -> str | None:
    """Where an IP packet that begins an exchange wants to go; None for an answer, the kernel's own, and for DNS."""
    if packet[0] >> 4 == 4:
        protocol, address, data = packet[9], str(IPv4Address(packet[16:20])), packet[(packet[0] & 15) * 4 :]
    else:
        protocol, address, data = packet[6], f'[{IPv6Address(packet[24:40])}]', packet[40:]
    if protocol in _HOUSEKEEPING:
        return None
    if protocol in _ECHO_REQUESTS:
        return f'{address}/ping' if data[0] == _ECHO_REQUESTS[protocol] else None
    if protocol not in (_TCP, _UDP):
        return f'{address}/protocol-{protocol}'
    source, port = struct.unpack('!HH', data[:4])
    if _DNS in (source, port):
        return None
    if protocol == _UDP:
        return f'{address}:{port}/udp'
    begins = data[13] & 0x12 == 0x02  # SYN without ACK
    return f'{address}:{port}' if begins else None


# -- setting it up -------------------------------------------------------------------------


def _enter(hidden: Sequence[str]) -> None:
    """Move this process into its name spaces: root needs no new user for that, unless it is root of little."""
    user, group = os.geteuid(), os.getegid()
    try:
        _call('unshare', _CLONE_NEWNET | _CLONE_NEWNS)
    except PermissionError:
        _call('unshare', _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWNS)
        Path('/proc/self/setgroups').write_text('deny')
        Path('/proc/self/uid_map').write_text(f'{user} {user} 1')
        Path('/proc/self/gid_map').write_text(f'{group} {group} 1')
    _call('mount', b'none', b'/', None, _MS_REC | _MS_PRIVATE, None)
    _raise_loopback()
    _ask_nobody_outside()
    for path in (*_CACHES, *hidden):
        if os.path.isdir(path):
            _call('mount', b'none', os.fsencode(path), b'tmpfs', 0, None)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        _netlink(netlink, 'NEWLINK', struct.pack('=BxHiII', 0, 0, _LOOPBACK, 1, 1))
        for address in _ADDRESSES:
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            if family not in _families():
                continue
            local = struct.pack('=HH', 4 + len(address.packed), 2) + address.packed
            no_waiting = 2 if address.version == 6 else 0  # no search for duplicates
            head = struct.pack('=BBBBI', family, address.max_prefixlen, no_waiting, 0, _LOOPBACK)
            _netlink(netlink, 'NEWADDR', head + local)
            head = struct.pack('=8BI', family, 0, 0, 0, 255, 3, 254, 2, 0)  # all is local: rtnetlink(7)
            _netlink(netlink, 'NEWROUTE', head + struct.pack('=HHI', 8, 4, _LOOPBACK))


def _netlink(netlink: socket.socket, what: str, body: bytes) -> None:
    kind = {'NEWLINK': 16, 'NEWADDR': 20, 'NEWROUTE': 24}[what]
    create = 0 if what == 'NEWLINK' else 0x600
    netlink.send(struct.pack('=IHHII', 16 + len(body), kind, 0x5 | create, 1, 0) + body)
    (number,) = struct.unpack_from('=i', netlink.recv(4096), 16)
    if number:
        raise OSError(-number, f'{os.strerror(-number)} (netlink {what})')


def _families() -> tuple[socket.AddressFamily, ...]:
    has_six = os.path.exists('/proc/net/if_inet6')
    return (socket.AF_INET, socket.AF_INET6) if has_six else (socket.AF_INET,)


def _ask_nobody_outside() -> None:
    """Have names looked up by our server alone: no other servers, no search list."""
    own = {'/etc/resolv.conf': _RESOLVER}
    with contextlib.suppress(OSError):
        text = Path('/etc/nsswitch.conf').read_text()
        own['/etc/nsswitch.conf'] = re.sub(r'(?m)^hosts:.*$', 'hosts: files dns', text)
    for path, text in own.items():
        if os.path.isfile(path):
            with tempfile.NamedTemporaryFile('w', suffix='.conf') as file:
                file.write(text)
                file.flush()
                os.chmod(file.name, 0o644)
                _call('mount', os.fsencode(file.name), os.fsencode(os.path.realpath(path)), None, _MS_BIND, None)


def _call(name: str, *arguments: int | bytes | None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    values = [ctypes.c_ulong(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    if getattr(libc, name)(*values) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f'{os.strerror(number)} ({name})')


def _packet_socket() -> socket.socket:
    """Sees every packet on loopback that is not for it, as it leaves and as it arrives."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    program = ctypes.create_string_buffer(b''.join(struct.pack('=HBBI', *line) for line in _NOT_TO_LOOPBACK))
    filtered = struct.pack('HL', len(_NOT_TO_LOOPBACK), ctypes.addressof(program))
    made.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filtered)
    made.bind(('lo', _ALL_PACKETS))
    return made


def _name_server(family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    """Hears questions to whatever address: all are ours."""
    made = socket.socket(family, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind(('', _DNS))
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made

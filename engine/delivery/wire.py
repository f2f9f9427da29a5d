"""What goes over one SMTP connection? Bytes out, replies in, each wait with an end that a signal can bring closer.

Every fault of the connection is an OSError: closed, reset, timed out, or no SMTP on the other side.
"""

import errno
import os
import re
import select
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from engine.config import TransportSettings

_SLICE = 0.1  # seconds; a signal handler runs between two slices of a wait
_SLICE_OF_A_CALL = struct.pack("ll", 0, int(_SLICE * 1_000_000))  # struct timeval
_LINE = 8192  # far beyond RFC 5321 4.5.3.1.5, so that a flood ends somewhere
_LINES = 200
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing throws away what is unsent and tells the server so


Buffer: TypeAlias = bytes | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long each answer may take, in seconds; the defaults are RFC 5321 4.5.3.2."""

    connect: float = 30
    greeting: float = 300
    command: float = 300
    data: float = 120
    block: float = 180
    dot: float = 600


def waits(settings: TransportSettings) -> Waits:
    """The waits of a transport: `timeout` shortens them all.

    As long as the owner has not set `timeout`, the answer to the dot keeps its ten minutes: giving up on it early
    leaves a message uncertain that a slow server has accepted.
    """
    rfc, most = Waits(), settings.timeout
    return Waits(
        connect=min(rfc.connect, most),
        greeting=min(rfc.greeting, most),
        command=min(rfc.command, most),
        data=min(rfc.data, most),
        block=min(rfc.block, most),
        dot=most if "timeout" in settings.model_fields_set else rfc.dot,
    )


class Patience:
    """How long may still be waited? A signal handler cuts it."""

    def __init__(self) -> None:
        self._until: float | None = None

    @property
    def is_cut(self) -> bool:
        """Whether somebody wants an end."""
        return self._until is not None

    def cut(self, seconds: float) -> None:
        """Wait no longer than this from now on; only ever shortens."""
        until = time.monotonic() + seconds
        self._until = until if self._until is None else min(until, self._until)

    def check(self, deadline: float) -> None:
        """TimeoutError when the deadline has passed, or the cut if that is nearer."""
        if time.monotonic() >= (deadline if self._until is None else min(deadline, self._until)):
            raise TimeoutError("it does not answer in time")


class Reply(NamedTuple):
    """What the server said: its code, and its lines without it."""

    code: int
    raw: tuple[bytes, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines as text."""
        return tuple(line.decode("utf-8", "replace").strip() for line in self.raw)

    @property
    def text(self) -> str:
        """The lines as one."""
        if len(self.raw) == 1:
            return self.raw[0].decode("utf-8", "replace").strip()
        return " ".join(self.lines).strip()


class HeldUp(Exception):
    """Not all of a body fit on the wire at once, and nothing of what was to follow it is there."""

    def __init__(self, left: Buffer) -> None:
        super().__init__("the wire did not take all of it at once")
        self.left = left


class Connection:
    """A socket on which SMTP is spoken, plain or under TLS."""

    def __init__(self, host: str, port: int, wait: float, patience: Patience) -> None:
        self.is_open = True
        self._patience = patience
        self._buffer = b""
        self._at = 0  # where in the buffer the next line begins
        self._socket = _connected(host, port, wait, patience)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        # Without it the dot would wait for the acknowledgement of the body.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The kernel ends a slice: one system call a wait, where a timeout of Python's costs a poll more.
        self._socket.setblocking(True)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, option, _SLICE_OF_A_CALL)
        self._more: int = getattr(socket, "MSG_MORE", 0)
        self._at_once: int = socket.MSG_DONTWAIT
        self._room = self._room_now()

    @property
    def here(self) -> str:
        """The address of this end."""
        return str(self._socket.getsockname()[0])

    @property
    def is_encrypted(self) -> bool:
        """Whether nobody listens in."""
        return isinstance(self._socket, ssl.SSLSocket)

    def start_tls(self, context: ssl.SSLContext, host: str, wait: float) -> None:
        """Encrypt from here on; whatever came in plain text before is a fault (CVE-2011-0411)."""
        if self._at < len(self._buffer):
            raise ConnectionError("it sent more than its answer before TLS began")
        deadline = time.monotonic() + wait
        self._socket.settimeout(_SLICE)  # under TLS only Python's own timeout ends a slice
        self._socket = encrypted = context.wrap_socket(
            self._socket, server_hostname=host, do_handshake_on_connect=False
        )
        self._more = self._at_once = self._room = 0  # TLS knows no flags, and no more than one record at a time
        while True:
            try:
                return encrypted.do_handshake()
            except TimeoutError:
                self._patience.check(deadline)

    def write(self, data: bytes, wait: float) -> None:
        """Put all of it on the wire."""
        self._put(data, wait, 0)

    def write_more(self, data: Buffer, wait: float) -> None:
        """Put all of it on the wire, where the last packet may wait a moment for the next write to fill it."""
        self._put(data, wait, self._more)

    def write_ahead(self, data: bytes) -> bytes:
        """Put on the wire what fits there without waiting for the server; the rest comes back."""
        sent = self._sent(data, self._at_once)
        return b"" if sent == len(data) else data[sent:]

    def has_room(self, size: int) -> bool:
        """Whether so many bytes should fit on the wire at once, if the server has answered all that was said before."""
        if size > self._room > 0:
            self._room = self._room_now()  # it grows with what goes through
        return size <= self._room

    def write_both(self, end: bytes, ahead: Sequence[Buffer], wait: float, body: Buffer = b"") -> bytes:
        """Put `end` on the wire and, in the same packet, what fits of `ahead`; the rest of that comes back.

        Raises:
            HeldUp: `body`, which goes before it, was not taken whole, and nothing of `end` was.
            OSError: `end` may be on the wire or not.
        """
        if not self._at_once:  # under TLS a write that was begun must be ended before another
            self.write(end, wait)
            if not ahead:
                return b""
            said = b"".join(ahead)
            with suppress(OSError):
                return self.write_ahead(said)
            return said
        sent = self._sent_together((body, end, *ahead) if body else (end, *ahead), bool(body)) - len(body)
        if body and sent <= 0:
            self._room = 0  # so it must not be asked of this connection
            raise HeldUp(memoryview(body)[len(body) + sent :])
        if sent < len(end):
            self._put(end[sent:], wait, 0)
            sent = len(end)
        sent -= len(end)
        return b"" if sent == sum(map(len, ahead)) else b"".join(ahead)[sent:]

    def reply(self, wait: float) -> Reply:
        """The next reply, however many lines it has."""
        deadline = time.monotonic() + wait
        line = self._line(deadline)
        if line[3:4] != b"-":
            return Reply(_code(line), (line[4:],))
        lines: list[bytes] = []
        while len(lines) < _LINES:
            code = _code(line)
            lines.append(line[4:])
            if line[3:4] != b"-":
                return Reply(code, tuple(lines))
            line = self._line(deadline)
        raise ConnectionError("its answer has no end")

    def hears(self, replies: re.Pattern[bytes], wait: float) -> bool:
        """Take what has arrived if it reads like this, to the end of its last line; else leave it to `reply`.

        Waits for a first line only: what is missing then may never come.
        """
        self._await_line(time.monotonic() + wait)
        found = replies.match(self._buffer, self._at)
        if found is None:
            return False
        self._at = found.end()
        return True

    def has_input(self) -> bool:
        """Whether the server has said something, or has gone, without being asked."""
        pending = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        return pending or self._at < len(self._buffer) or bool(self._poll.poll(0))

    def close(self) -> None:
        """End the connection in order."""
        self.is_open = False
        self._socket.close()

    def drop(self) -> None:
        """End the connection hard: an unfinished message is void (RFC 5321 4.1.1.4)."""
        self.is_open = False
        with suppress(OSError):  # the server may have been faster
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._socket.close()

    def _put(self, data: Buffer, wait: float, flags: int) -> None:
        sent = self._sent(data, flags)
        if sent == len(data):
            return
        deadline, rest = time.monotonic() + wait, memoryview(data)[sent:]
        while rest:
            self._patience.check(deadline)
            rest = rest[self._sent(rest, flags) :]

    def _sent(self, data: bytes | memoryview, flags: int) -> int:
        try:
            return self._socket.send(data, flags)
        except (BlockingIOError, TimeoutError):
            return 0

    def _sent_together(self, pieces: Sequence[Buffer], may_fail: bool) -> int:
        try:
            return self._socket.sendmsg(pieces, (), self._at_once)
        except (BlockingIOError, TimeoutError):
            return 0
        except OSError:
            if may_fail:
                return 0  # nothing was taken, or it would have been told; the next write says why
            raise

    def _room_now(self) -> int:
        # The kernel's own books need some of what it says: socket(7).
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) * 3 // 4

    def _line(self, deadline: float) -> bytes:
        end = self._await_line(deadline)
        line, self._at = self._buffer[self._at : end], end + 1
        return line.rstrip(b"\r")

    def _await_line(self, deadline: float) -> int:
        """Where the next line ends."""
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            if len(self._buffer) - self._at > _LINE:
                raise ConnectionError("its answer has no end")
            self._buffer = self._buffer[self._at :] + self._received(deadline)
            self._at = 0
        return end

    def _received(self, deadline: float) -> bytes:
        while True:
            try:
                data = self._socket.recv(4096)
            except (BlockingIOError, TimeoutError):
                self._patience.check(deadline)
                continue
            if not data:
                raise ConnectionError("it closed the connection")
            if b"\n" not in data:
                self._patience.check(deadline)  # whoever sends a byte now and then
            return data


def _code(line: bytes) -> int:
    code = line[:3]
    if len(code) < 3 or not code.isdigit() or line[3:4] not in (b" ", b"-", b""):
        raise ConnectionError("it does not speak SMTP")
    return int(code)


def _connected(host: str, port: int, wait: float, patience: Patience) -> socket.socket:
    """A connection to the first of the host's addresses that answers, each given this long."""
    faults: list[OSError] = [ConnectionError("it has no address")]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as fault:  # two dots in a row, a label that is too long
        raise ConnectionError("that is no host name") from fault
    for family, kind, protocol, _, address in found:
        connecting = socket.socket(family, kind, protocol)
        try:
            _connect(connecting, address, time.monotonic() + wait, patience)
        except OSError as fault:
            connecting.close()
            faults.append(fault)
        else:
            return connecting
    raise faults[-1]


def _connect(connecting: socket.socket, address: Any, deadline: float, patience: Patience) -> None:
    connecting.setblocking(False)
    code = connecting.connect_ex(address)
    if code == errno.EINPROGRESS:
        done = select.poll()
        done.register(connecting, select.POLLOUT)
        while not done.poll(_SLICE * 1000):
            patience.check(deadline)
        code = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))

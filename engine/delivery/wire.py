"""What goes over one SMTP connection? Bytes out, replies in, each wait with an end that a signal can bring closer.

Every fault of the connection is an OSError: closed, reset, timed out, or no SMTP on the other side.
"""

import select
import socket
import ssl
import struct
import time
from contextlib import suppress
from dataclasses import dataclass

from engine.config import TransportSettings

_SLICE = 0.1  # a signal handler runs between two slices of a wait
_LINE = 8192  # far beyond RFC 5321 4.5.3.1.5, so that a flood ends somewhere
_LINES = 200
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing throws away what is unsent and tells the server so


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

    def left(self, deadline: float) -> float:
        """Seconds until the deadline, or until the cut if that is nearer."""
        return (deadline if self._until is None else min(deadline, self._until)) - time.monotonic()


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server said: its code, and its lines without it."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lines as one."""
        return " ".join(self.lines).strip()


class Connection:
    """A socket on which SMTP is spoken, plain or under TLS."""

    def __init__(self, host: str, port: int, wait: float, patience: Patience) -> None:
        self._patience = patience
        self._buffer = b""
        self._socket = socket.create_connection((host, port), max(0.001, patience.left(time.monotonic() + wait)))
        # Without it the dot would wait for the acknowledgement of the body.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def here(self) -> str:
        """The address of this end."""
        return str(self._socket.getsockname()[0])

    def start_tls(self, context: ssl.SSLContext, host: str, wait: float) -> None:
        """Encrypt from here on; whatever came in plain text before is a fault (CVE-2011-0411)."""
        if self._buffer:
            raise ConnectionError("it sent more than its answer before TLS began")
        self._socket.settimeout(wait)
        self._socket = context.wrap_socket(self._socket, server_hostname=host)

    def write(self, data: bytes, wait: float) -> None:
        """Put all of it on the wire."""
        deadline, rest = time.monotonic() + wait, memoryview(data)
        while rest:
            self._wait_a_slice(deadline)
            try:
                rest = rest[self._socket.send(rest) :]
            except TimeoutError:
                continue  # the next slice finds out whether time is up

    def reply(self, wait: float) -> Reply:
        """The next reply, however many lines it has."""
        deadline, lines = time.monotonic() + wait, []
        for _ in range(_LINES):
            line = self._line(deadline)
            if len(line) < 3 or not line[:3].isdigit() or line[3:4] not in ("", " ", "-"):
                raise ConnectionError("it does not speak SMTP")
            lines.append(line[4:].strip())
            if line[3:4] != "-":
                return Reply(int(line[:3]), tuple(lines))
        raise ConnectionError("its answer has no end")

    def has_input(self) -> bool:
        """Whether the server has said something, or has gone, without being asked."""
        pending = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        return bool(self._buffer) or pending or bool(select.select([self._socket], [], [], 0)[0])

    def close(self) -> None:
        """End the connection in order."""
        self._socket.close()

    def drop(self) -> None:
        """End the connection hard: an unfinished message is void (RFC 5321 4.1.1.4)."""
        with suppress(OSError):  # the server may have been faster
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._socket.close()

    def _line(self, deadline: float) -> str:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LINE:
                raise ConnectionError("its answer has no end")
            self._buffer += self._received(deadline)
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        return line.decode("utf-8", "replace").rstrip("\r")

    def _received(self, deadline: float) -> bytes:
        while True:
            self._wait_a_slice(deadline)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            if not data:
                raise ConnectionError("it closed the connection")
            return data

    def _wait_a_slice(self, deadline: float) -> None:
        left = self._patience.left(deadline)
        if left <= 0:
            raise TimeoutError("it does not answer in time")
        self._socket.settimeout(min(left, _SLICE))

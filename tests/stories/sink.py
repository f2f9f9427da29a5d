"""A mail server in the test's own process: it can be told what to answer, or be made to wait, at every step.

One that can be killed, and that fails by itself, is in `faulty_server`.
"""

import re
import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

AT_ONCE = "no answer"  # instead of an answer: hang up
_MESSAGE_ID = re.compile(rb"^Message-ID:\s*(<[^>]+>)", re.MULTILINE | re.IGNORECASE)
_PATH = re.compile(rb"<([^>]*)>")

Answers = Callable[[str, str], str | None]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One message that the server took."""

    message_id: str
    recipient: str
    data: bytes


class Sink:
    """A server in threads; `answers(stage, recipient)` says what to reply, None is yes. Stages: AUTH MAIL RCPT DATA `.`

    It is called when the step is complete: at `.` the server holds the whole message. Whatever it does there, the
    sender waits for it.
    """

    def __init__(self) -> None:
        self.port = 0
        self.answers: Answers = lambda _stage, _recipient: None
        self.taken: list[Taken] = []
        self.offered: list[Taken] = []  # every message that came in whole, accepted or not
        self.connections = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def go_down(self) -> None:
        """Hang up on everybody, in the middle of whatever they say; `answers` may do it, too."""
        for one in (self._listener, *list(self._open)):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def stop(self) -> None:
        """Go down, and be gone when this is back."""
        self.go_down()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def recipients(self) -> Counter[str]:
        """How often each person got something."""
        return Counter(one.recipient for one in self.taken)

    def _listen(self) -> None:
        serving = []
        with suppress(OSError):
            while True:
                connected, _ = self._listener.accept()
                self._open.add(connected)
                self.connections += 1
                serving.append(threading.Thread(target=self._serve, args=(connected,), daemon=True))
                serving[-1].start()
        for one in serving:
            one.join(10)

    def _serve(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError), connected, connected.makefile("rb") as lines:
            _Dialogue(self, connected, lines).run()
        self._open.discard(connected)

    def take(self, message: Taken) -> None:
        """From here on the server is responsible for the message."""
        with self._lock:
            self.taken.append(message)


class _Dialogue:
    """One connection."""

    def __init__(self, sink: Sink, connected: socket.socket, lines: BinaryIO) -> None:
        self._sink = sink
        self._connected = connected
        self._lines = lines
        self._recipient = ""

    def run(self) -> None:
        self._say("220 sink.test ready")
        while line := self._lines.readline():
            word = line[:4].upper()
            if word == b"QUIT":
                self._say("221 bye")
                return
            if word == b"EHLO":
                self._say("250-sink.test", "250-PIPELINING", "250-AUTH PLAIN", "250 SIZE 10000000")
            elif word == b"AUTH":
                self._answer("AUTH", "235 welcome")
            elif word == b"MAIL":
                self._recipient = ""
                self._answer("MAIL", "250 ok")
            elif word == b"RCPT":
                self._rcpt(line)
            elif word == b"DATA":
                self._data()
            else:
                self._say("250 ok")

    def _rcpt(self, line: bytes) -> None:
        found = _PATH.search(line)
        self._recipient = found[1].decode() if found else ""
        if not self._answer("RCPT", "250 ok"):
            self._recipient = ""

    def _data(self) -> None:
        if not self._recipient:
            self._say("554 no valid recipients")
            return
        if not self._answer("DATA", "354 go on"):
            return
        body = []
        while (line := self._lines.readline()) != b".\r\n":
            if not line.endswith(b"\n"):
                raise ConnectionError("the sender went: the message is void")
            body.append(line[1:] if line.startswith(b".") else line)
        data = b"".join(body)
        found = _MESSAGE_ID.search(data)
        message = Taken(message_id=found[1].decode() if found else "", recipient=self._recipient, data=data)
        self._sink.offered.append(message)
        self._answer(".", "250 taken", message)

    def _answer(self, stage: str, yes: str, message: Taken | None = None) -> bool:
        said = self._sink.answers(stage, self._recipient)
        if said == AT_ONCE:
            raise ConnectionError("hung up")
        if message is not None and (said is None or said.startswith("2")):
            self._sink.take(message)
        self._say(said or yes)
        return said is None or said[0] in "23"

    def _say(self, *lines: str) -> None:
        self._connected.sendall("".join(f"{line}\r\n" for line in lines).encode())

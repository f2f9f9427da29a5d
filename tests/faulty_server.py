"""A mail server that fails on purpose, as a process of its own, and a record of what it took responsibility for.

Which try of which recipient meets which fault is drawn from the seed alone, so that a seed repeats a run however its
senders take turns. A line stands in the record before the answer is given: a killed server had accepted what its
record says, and nothing else. Times are of CLOCK_MONOTONIC, which all processes of a machine share.
"""

import hashlib
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

TAKEN, DOT, TRY = "taken", "dot", "try"

# What happens at which step, and what is said before the server hangs up or goes on.
AT_CONNECT = {"going": "421 4.3.2 shutting down", "no_tls": ""}  # no_tls: it goes in the middle of the handshake
AT_MAIL = {"closing": "421 4.7.0 closing, come back"}
AT_RCPT = {
    "unknown": "550 5.1.1 no such mailbox",
    "greylisted": "450 4.2.0 greylisted, try again later",
    "busy": "451 4.3.0 not now",
    "full": "452 4.2.2 mailbox full",
}
AT_BODY = {"torn": ""}  # it goes while the body comes in
AT_DOT = {
    "late_no": "451 4.3.0 not now",  # certain: it has not stored anything
    "lost": "",  # it goes without having stored anything
    "kept": "",  # all from here on have stored it
    "kept_421": "421 4.3.2 closing",
    "kept_silent": "",
    "half": "250 2.0",
    "garbage": "\x00\x01 what?",
    "slow": "250 2.0.0 taken, at last",
}
DOUBTFUL = frozenset(AT_DOT) - {"late_no", "slow"}  # the sender can't know whether it was stored
FINAL = frozenset({"unknown"})

_MESSAGE_ID = re.compile(rb"^Message-ID:\s*(<[^>]+>)", re.MULTILINE | re.IGNORECASE)
_PATH = re.compile(rb"<([^>]*)>")


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How the server is; `faults` gives each fault's share of the tries (of the connections, for those at connect)."""

    seed: int = 0
    faults: Mapping[str, float] = field(default_factory=dict)
    pipelining: bool = True
    chunking: bool = False
    certificate: str = ""  # a file with key and certificate: STARTTLS is offered
    silence: float = 3.0  # seconds that `kept_silent` says nothing, and then goes
    pause: float = 0.0  # seconds before each answer to a dot


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the record."""

    word: str
    message_id: str
    recipient: str
    at: int  # nanoseconds


# ------------------------------------------------------------------------------------------- the test's end


class FaultyServer:
    """The process, and its record; it may be killed and started again on its port, behaving otherwise."""

    def __init__(self, record: Path, **behaviour: object) -> None:
        self.port = 0
        self.record = record
        self._behaviour: dict[str, object] = behaviour
        record.touch()

    def start(self, **behaviour: object) -> None:
        """Listen, on the same port as before."""
        self._behaviour |= behaviour
        said = json.dumps(asdict(Behaviour(**self._behaviour)))  # type: ignore[arg-type]
        command = [sys.executable, __file__, str(self.port), str(self.record), said]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """kill -9, where it lives: what it had not recorded it had not accepted."""
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def restart(self, **behaviour: object) -> None:
        """Kill it, and start it again."""
        self.kill()
        self.start(**behaviour)

    def lines(self, word: str = "") -> list[Line]:
        """What it wrote down, in order; only these words."""
        whole = self.record.read_text().rpartition("\n")[0]
        found = (line.split(" ") for line in whole.splitlines())
        return [Line(word=w, message_id=i, recipient=r, at=int(t)) for w, i, r, t in found if word in ("", w)]

    def count(self) -> int:
        """How many messages it has taken so far."""
        return self.record.read_bytes().count(f"{TAKEN} ".encode())

    def recipients(self) -> Counter[str]:
        """How often each person got something."""
        return Counter(line.recipient for line in self.lines(TAKEN))

    def faults(self) -> Counter[str]:
        """How often each fault was met."""
        return Counter(line.word for line in self.lines() if line.word not in (TAKEN, DOT, TRY))

    def met(self, *faults: str) -> set[str]:
        """Who met one of these faults."""
        return {line.recipient for line in self.lines() if line.word in faults}


# ------------------------------------------------------------------------------------------- the server's own


class _Server:
    """Listens, draws faults, writes the record."""

    def __init__(self, port: int, record: Path, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.context = _context(behaviour.certificate)
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        lines = record.read_text().splitlines()
        self._tries = Counter(line.split(" ")[2] for line in lines if line.startswith(f"{TRY} "))
        self._connections = len(lines)  # another one than before the restart
        self._record = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._lock = threading.Lock()

    def listen(self) -> None:
        while True:
            connected, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connected,), daemon=True).start()

    def note(self, word: str, recipient: str, message_id: str = "-") -> None:
        """One write, whole or not at all: it survives the death of this process."""
        os.write(self._record, f"{word} {message_id} {recipient or '-'} {time.monotonic_ns()}\n".encode())

    def fault_of(self, recipient: str) -> str:
        """What this try of this recipient meets at RCPT or later, if anything."""
        with self._lock:
            self._tries[recipient] += 1
            number = self._tries[recipient]
        self.note(TRY, recipient)
        return self._drawn(recipient, number, {**AT_RCPT, **AT_BODY, **AT_DOT})

    def fault_at(self, step: Mapping[str, str]) -> str:
        """What this connection, or this MAIL, meets."""
        with self._lock:
            self._connections += 1
        return self._drawn("connection", self._connections, step)

    def _drawn(self, whom: str, number: int, among: Mapping[str, str]) -> str:
        drawn = hashlib.sha256(f"{self.behaviour.seed} {whom} {number}".encode()).digest()
        point = int.from_bytes(drawn[:8]) / 2**64
        for name, share in self.behaviour.faults.items():
            if name in among:
                point -= share
                if point < 0:
                    return name
        return ""

    def _serve(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        dialogue = _Dialogue(self, connected)
        with suppress(OSError, ValueError):
            dialogue.run()
        dialogue.hang_up()


class _Dialogue:
    """One connection."""

    def __init__(self, server: _Server, connected: socket.socket) -> None:
        self._server = server
        self._socket = connected
        self._lines: BinaryIO = connected.makefile("rb")
        self._recipient = self._fault = ""
        self._chunks: list[bytes] = []

    def run(self) -> None:
        fault = self._server.fault_at(AT_CONNECT)
        if fault == "going":
            self._fail(fault, AT_CONNECT[fault])
        self._say("220 faulty.test ready")
        while line := self._lines.readline():
            word = line[:4].upper()
            if word == b"QUIT":
                self._say("221 2.0.0 bye")
                return
            if word == b"EHLO":
                self._say(*self._features())
            elif word == b"STAR":
                self._start_tls(fault)
            elif word == b"MAIL":
                self._mail()
            elif word == b"RCPT":
                self._rcpt(line)
            elif word == b"DATA":
                self._data()
            elif word == b"BDAT":
                self._bdat(line.split())
            else:
                self._say("250 2.0.0 ok")

    def hang_up(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._lines.close()
        self._socket.close()

    def _features(self) -> Iterator[str]:
        be = self._server.behaviour
        is_plain = not isinstance(self._socket, ssl.SSLSocket)
        yield "250-faulty.test"
        if be.pipelining:
            yield "250-PIPELINING"
        if be.chunking:
            yield "250-CHUNKING"
        if self._server.context and is_plain:
            yield "250-STARTTLS"
        yield "250 SIZE 10000000"

    def _start_tls(self, fault: str) -> None:
        assert self._server.context is not None
        self._say("220 2.0.0 go on")
        if fault == "no_tls":
            self._socket.recv(16)
            self._fail(fault, "")
        self._lines.close()
        self._socket = self._server.context.wrap_socket(self._socket, server_side=True)
        self._lines = self._socket.makefile("rb")

    def _mail(self) -> None:
        self._recipient, self._chunks = "", []
        fault = self._server.fault_at(AT_MAIL)
        if fault:
            self._fail(fault, AT_MAIL[fault])
        self._say("250 2.1.0 ok")

    def _rcpt(self, line: bytes) -> None:
        found = _PATH.search(line)
        recipient = found[1].decode() if found else ""
        self._fault = self._server.fault_of(recipient) if self._server.behaviour.faults else ""
        if self._fault in AT_RCPT:
            self._server.note(self._fault, recipient)
            self._say(AT_RCPT[self._fault])
            return
        self._recipient = recipient
        self._say("250 2.1.5 ok")

    def _data(self) -> None:
        if not self._recipient:
            self._say("554 5.5.1 no valid recipients")
            return
        self._say("354 go on")
        body = []
        while (line := self._lines.readline()) != b".\r\n":
            if not line.endswith(b"\n"):
                raise ConnectionError("the sender went: the message is void")
            body.append(line[1:] if line.startswith(b".") else line)
            if self._fault == "torn" and len(body) > 10:
                self._fail("torn", "")
        self._ended(b"".join(body))

    def _bdat(self, words: list[bytes]) -> None:
        size = int(words[1])
        chunk = self._lines.read(size // 2 if self._fault == "torn" and self._recipient else size)
        if not self._recipient:
            self._say("554 5.5.1 no valid recipients")
            return
        if self._fault == "torn":
            self._fail("torn", "")
        if len(chunk) < size:
            raise ConnectionError("the sender went: the message is void")
        self._chunks.append(chunk)
        if len(words) > 2:
            self._ended(b"".join(self._chunks))
        else:
            self._say("250 2.0.0 more")

    def _ended(self, data: bytes) -> None:
        """The message is complete: from here on it may be ours."""
        found = _MESSAGE_ID.search(data)
        message_id = found[1].decode() if found else "-"
        recipient, fault = self._recipient, self._fault
        self._recipient, self._chunks = "", []
        self._server.note(DOT, recipient, message_id)
        if self._server.behaviour.pause:
            time.sleep(self._server.behaviour.pause)
        if fault in AT_DOT:
            self._server.note(fault, recipient, message_id)
        if fault == "late_no":
            self._say(AT_DOT[fault])
            return
        if fault != "lost":
            self._server.note(TAKEN, recipient, message_id)
        if fault in ("kept_silent", "slow"):
            time.sleep(self._server.behaviour.silence if fault == "kept_silent" else 0.2)
        if fault in DOUBTFUL:
            self._go(AT_DOT[fault], whole=fault != "half")
        self._say("250 2.0.0 taken")

    def _fail(self, fault: str, last_words: str) -> None:
        self._server.note(fault, self._recipient)
        self._go(last_words)

    def _go(self, last_words: str, *, whole: bool = True) -> None:
        if last_words:
            self._socket.sendall(last_words.encode() + (b"\r\n" if whole else b""))
        raise ConnectionError("hung up")

    def _say(self, *lines: str) -> None:
        self._socket.sendall("".join(f"{line}\r\n" for line in lines).encode())


def _context(certificate: str) -> ssl.SSLContext | None:
    if not certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


if __name__ == "__main__":
    server = _Server(int(sys.argv[1]), Path(sys.argv[2]), Behaviour(**json.loads(sys.argv[3])))
    print(server.port, flush=True)
    server.listen()

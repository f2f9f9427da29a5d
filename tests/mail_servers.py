"""Real mail servers on loopback for tests: aiosmtpd with faults on demand, and a socket that says what a test wants."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Received:
    """One message as the server took it."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    options: tuple[str, ...]
    encrypted: bool
    login: str | None


@dataclass
class Inbox:
    """An SMTP server in a thread; its fields make it misbehave, counts and mails stay over restarts."""

    tls: ssl.SSLContext | None = None
    implicit: bool = False
    password: str | None = None
    pipelining: bool = True
    smtputf8: bool = True
    replies: dict[str, str] = field(default_factory=dict)  # stage -> instead of yes
    after_storing: str = ""  # abort | hang: instead of the 250
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    port: int = 0

    def start(self) -> None:
        ready = threading.Event()
        self._open: set[Any] = set()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self, ready: threading.Event) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(lambda *_: None)  # torn connections are what these tests are about
        context = self.tls if self.implicit else None
        server = await self._loop.create_server(self._protocol, "127.0.0.1", self.port, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stop.wait()
        server.close()
        for one in list(self._open):
            one.abort()
        await server.wait_closed()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def _protocol(self) -> SMTP:
        return _Server(
            _Handler(self),
            hostname="inbox.test",
            enable_SMTPUTF8=self.smtputf8,
            tls_context=None if self.implicit else self.tls,
            authenticator=self._authenticate if self.password else None,
            auth_require_tls=self.tls is not None and not self.implicit,
            loop=self._loop,
        )

    def _authenticate(self, _server: SMTP, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        right = data.password == (self.password or "").encode()
        return AuthResult(success=right, handled=False, auth_data=data.login.decode())


class _Server(SMTP):
    def connection_made(self, transport: Any) -> None:
        inbox = self.event_handler.inbox
        if not isinstance(self.transport, asyncio.Transport) or self.transport is None:
            inbox.connections += 1
        inbox._open.add(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.event_handler.inbox._open.discard(self.transport)
        super().connection_lost(error)

    async def push(self, status: Any) -> None:
        with suppress(ConnectionError):
            await super().push(status)

    async def smtp_RSET(self, arg: str) -> None:  # noqa: N802 - aiosmtpd finds it by this name
        self.event_handler.inbox.commands.append("RSET")
        await super().smtp_RSET(arg)

    async def smtp_QUIT(self, arg: str) -> None:  # noqa: N802
        self.event_handler.inbox.commands.append("QUIT")
        await super().smtp_QUIT(arg)


class _Handler:
    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Any, _envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]] if self.inbox.pipelining else responses

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if "MAIL" in self.inbox.replies:
            return self.inbox.replies["MAIL"]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 ok"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        if "RCPT" in self.inbox.replies:
            return self.inbox.replies["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
        if "." in self.inbox.replies:
            return self.inbox.replies["."]
        self.inbox.received.append(
            Received(
                sender=envelope.mail_from,
                recipients=tuple(envelope.rcpt_tos),
                data=envelope.content,
                options=tuple(envelope.mail_options),
                encrypted=session.ssl is not None or self.inbox.implicit,
                login=session.auth_data if session.authenticated else None,
            )
        )
        if self.inbox.after_storing == "abort":
            server.transport.abort()
        elif self.inbox.after_storing == "hang":
            await asyncio.Event().wait()
        elif self.inbox.after_storing:
            return self.inbox.after_storing
        return "250 2.0.0 stored"


@contextmanager
def scripted(*scripts: Callable[["Line"], None]) -> Iterator["Scripted"]:
    """A server that runs one script a connection, in order; the last one serves all further connections."""
    server = Scripted(scripts)
    try:
        yield server
    finally:
        server.stop()


class Scripted:
    """Runs scripts in a thread; what they raise counts as hanging up."""

    def __init__(self, scripts: tuple[Callable[["Line"], None], ...]) -> None:
        self._scripts = scripts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self._lines: list[Line] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                line = Line(self._listener.accept()[0])
                self._lines.append(line)
                script = self._scripts[min(self.connections, len(self._scripts) - 1)]
                self.connections += 1
                with suppress(OSError):
                    script(line)
                line.socket.close()

    def stop(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._lines:
            with suppress(OSError):
                line.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        assert not self._thread.is_alive()
        for line in self._lines:
            line.socket.close()


class Line:
    """The server's end of one scripted connection."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.socket.settimeout(10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.heard: list[str] = []

    def say(self, *lines: str) -> None:
        self.socket.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def hear(self) -> str:
        while b"\r\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the client went")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        self.heard.append(line.decode())
        return self.heard[-1]

    def take(self, octets: int) -> bytes:
        while len(self.buffer) < octets:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the client went")
            self.buffer += data
        taken, self.buffer = self.buffer[:octets], self.buffer[octets:]
        return taken

    def greet(self, *features: str) -> None:
        self.say("220 scripted.test ready")
        self.hear()
        lines = ("scripted.test", *features)
        self.say(*(f"250{'-' if n < len(lines) - 1 else ' '}{one}" for n, one in enumerate(lines)))

    def take_envelope(self) -> None:
        for answer in ("250 ok", "250 ok", "354 go on"):
            self.hear()
            self.say(answer)

    def take_body(self) -> list[str]:
        body = []
        while (line := self.hear()) != ".":
            body.append(line)
        return body


@dataclass
class Chunks:
    """A script for `scripted`: a server that takes mail by BDAT and by DATA, and answers what its fields say."""

    features: tuple[str, ...] = ("PIPELINING", "CHUNKING", "SIZE 10000000")
    refused: dict[str, str] = field(default_factory=dict)  # recipient -> answer to RCPT
    answers: dict[str, str] = field(default_factory=dict)  # recipient -> answer to what came for her; "" hangs up
    lies: dict[str, str] = field(default_factory=dict)  # BDAT, "BDAT 9" -> what it says without reading a chunk
    received: list[tuple[str, bytes]] = field(default_factory=list)

    def __call__(self, line: Line) -> None:
        line.greet(*self.features)
        recipient, content = "", b""
        while (command := line.hear()) != "QUIT":
            verb = command.partition(" ")[0].upper()
            if verb == "MAIL":
                recipient, content, answer = "", b"", "250 2.1.0 ok"
            elif verb == "RCPT":
                named = command.partition("<")[2].rstrip(">")
                answer = self.refused.get(named, "250 2.1.5 ok")
                recipient = "" if named in self.refused else named
            elif verb == "BDAT" and (lie := self.lies.get(command) or self.lies.get(verb)):
                answer = lie
            elif verb == "BDAT":
                _, size, *last = command.split()
                content += line.take(int(size))
                answer = self._ended(recipient, content) if last and recipient else "250 2.0.0 octets"
                answer = answer if recipient else "503 5.5.1 no valid recipients"
            elif verb == "DATA" and recipient:
                line.say("354 go on")
                body = "".join(f"{one[1:] if one.startswith('.') else one}\r\n" for one in line.take_body())
                answer = self._ended(recipient, body.encode())
            else:
                answer = "250 2.0.0 ok" if verb == "RSET" else "503 5.5.1 out of turn"
            if not answer:
                return
            line.say(answer)
        line.say("221 bye")

    def _ended(self, recipient: str, content: bytes) -> str:
        answer = self.answers.pop(recipient, "250 2.0.0 stored")
        if not answer or answer[0] == "2":
            self.received.append((recipient, content))
        return answer


def certificate(folder: Path, host: str = "127.0.0.1") -> tuple[Path, ssl.SSLContext]:
    """A fresh self-signed certificate: its file (to trust it), and the context of a server that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + built.public_bytes(Encoding.PEM)
    )
    authority = folder / "authority.pem"
    authority.write_bytes(built.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return authority, context

"""How does a connection become ready for mail? Greeting, EHLO, STARTTLS, AUTH.

What a person must mend (no TLS, wrong certificate, login refused) is a TransportRefused at once; what may pass
by itself (no route, 421, closed) is an OSError, and the transport decides how often to try.
"""

import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field

from engine.config import TransportSettings
from engine.delivery.login import log_in, mechanism
from engine.delivery.wire import Connection, Patience, Reply, Waits
from engine.errors import TransportRefused
from engine.replies import shortened

_GOODBYE = 2.0  # seconds for the answer to QUIT, which changes nothing


@dataclass(slots=True, kw_only=True)
class Session:
    """A connection that takes mail."""

    connection: Connection
    features: dict[str, str]  # what EHLO offered, by keyword
    messages: int = 0
    used_at: float = field(default_factory=time.monotonic)
    takes_chunks: bool = False  # as it has shown

    @property
    def is_open(self) -> bool:
        """Whether mail may still go this way."""
        return self.connection.is_open

    def reset(self, wait: float) -> None:
        """Have the server forget a refused envelope; without a yes the connection ends."""
        try:
            self.connection.write(b"RSET\r\n", wait)
            if self.connection.reply(wait).code != 250:
                self.drop()
        except OSError:
            self.drop()

    def drop(self) -> None:
        """Hang up without a word: whatever was begun is void."""
        self.connection.drop()

    def quit(self) -> None:
        """Say goodbye and hang up."""
        with suppress(OSError):  # it may have gone already
            self.connection.write(b"QUIT\r\n", _GOODBYE)
            self.connection.reply(_GOODBYE)
        self.connection.close()


def place_of(name: str, settings: TransportSettings) -> str:
    """How messages to people name the server."""
    return f"transport {name!r}: {settings.host}:{settings.port}"


def open_session(name: str, settings: TransportSettings, waits: Waits, patience: Patience) -> Session:
    """A session after EHLO, TLS and login as the settings ask."""
    connection = Connection(settings.host, settings.port, waits.connect, patience)
    try:
        return _Opening(name, settings, waits, connection).run()
    except ssl.SSLCertVerificationError as fault:
        connection.drop()
        why = f"the certificate is not valid ({fault.verify_message})"
        cure = 'check host, or tls = "required" encrypts without asking who is there'
        raise TransportRefused(f"{place_of(name, settings)}: {why}; {cure}") from fault
    except BaseException:
        connection.drop()
        raise


@dataclass(frozen=True, slots=True)
class _Opening:
    name: str
    settings: TransportSettings
    waits: Waits
    connection: Connection

    def run(self) -> Session:
        tls = self.settings.tls
        if tls == "implicit":
            self.connection.start_tls(_context(verify=True), self.settings.host, self.waits.greeting)
        self._needs(self.connection.reply(self.waits.greeting), "220", "does not take mail")
        features = self._ehlo()
        if tls in ("required", "verify"):
            features = self._start_tls(features)
        if self.settings.username:
            self._login(features)
        return Session(connection=self.connection, features=features)

    def _ehlo(self) -> dict[str, str]:
        host = socket.gethostname()
        here = self.connection.here
        # Without a full name the address stands for it: RFC 5321 4.1.4.
        own = host if "." in host and host.isascii() else f"[IPv6:{here}]" if ":" in here else f"[{here}]"
        self.connection.write(f"EHLO {own}\r\n".encode(), self.waits.command)
        reply = self._needs(self.connection.reply(self.waits.command), "250", "refuses EHLO")
        return _features(reply)

    def _start_tls(self, offered: dict[str, str]) -> dict[str, str]:
        if "STARTTLS" not in offered:
            cure = 'use the port with TLS (587, or 465 with tls = "implicit")'
            raise self._unavailable("offers no STARTTLS, and mail never goes out in plain text", cure)
        self._needs(self._said("STARTTLS"), "220", "refuses STARTTLS")
        context = _context(verify=self.settings.tls == "verify")
        self.connection.start_tls(context, self.settings.host, self.waits.command)
        return self._ehlo()  # what was offered in plain text is void: RFC 3207 4.2

    def _login(self, offered: dict[str, str]) -> None:
        password, wanted = self.settings.password, self.settings.auth
        if password is None:
            raise self._unavailable("wants a password", "set password_env or password_file")
        way = mechanism(wanted, offered.get("AUTH", ""), encrypted=self.connection.is_encrypted)
        if not way:
            known = "PLAIN, LOGIN, CRAM-MD5 or XOAUTH2" if wanted == "auto" else wanted.upper()
            raise self._unavailable(
                f"offers no login by {known}", "change auth, leave out username, or use another port"
            )
        reply = log_in(way, self.settings.username, password.get_secret_value(), self._said)
        self._needs(reply, "235", "refuses the login", "check username and password")

    def _said(self, line: str) -> Reply:
        self.connection.write(f"{line}\r\n".encode(), self.waits.command)
        return self.connection.reply(self.waits.command)

    def _needs(self, reply: Reply, code: str, fault: str, cure: str = "ask the one who runs it") -> Reply:
        if str(reply.code) == code:
            return reply
        said = shortened(f"{reply.code} {reply.text}")
        if 400 <= reply.code < 500:
            raise ConnectionError(f"{fault} for now ({said})")
        raise self._unavailable(f"{fault} ({said})", cure)

    def _unavailable(self, fault: str, cure: str) -> TransportRefused:
        return TransportRefused(f"{place_of(self.name, self.settings)} {fault}; {cure}")


def _context(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        # Encrypts against listeners; relays on one's own network often have no certificate of a known authority.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _features(reply: Reply) -> dict[str, str]:
    """Keyword to parameters; old servers write AUTH= (RFC 4954 has a blank)."""
    offered = (line.replace("=", " ", 1).partition(" ") for line in reply.lines[1:])
    return {keyword.upper(): parameters for keyword, _, parameters in offered}

"""How does one mail get to a mail server, with certainty about whether it did?

The body goes out without its last line, the dot. Every failure up to there is a certain non-delivery: the server must
forget what it has (RFC 5321 4.1.1.4). Then `before_dot` is asked, and the dot follows as a write of its own. Between
it and the reply lies the only moment of doubt (RFC 1047); a connection lost there makes the message uncertain.

Reasons beside those of `replies`: bad_address, needs_smtputf8, malformed (never offered to the server),
connection_lost (deferred: the server is there, yet drops this message each time), stopped.
"""

import re
import time
from collections.abc import Callable, Iterator

from engine.config import TransportSettings
from engine.delivery.offers import ENDING, Answer, Offer
from engine.delivery.session import Session, open_session, place_of
from engine.delivery.wire import Patience, Reply, Waits, waits
from engine.errors import TransportRefused, TransportUnavailable
from engine.model import Mail, MessageState, Outcome
from engine.replies import DOT, classify, shortened

PER_CONNECTION = 100  # messages, then a new one: long connections look like abuse to some servers
IDLE_SECONDS = 60.0  # then a new one: firewalls forget silent connections
PAUSES = (0.2, 1.0, 3.0)  # between tries to reach the server
_GLIMPSE = 0.05
# No blank, bracket, quote, comma or control character: nothing that could end the command or name a second person.
_PATH = re.compile(
    r"[^\s<>()\[\],;:\\\"@\x00-\x20\x7f-\xa0\ud800-\udfff]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
)
_LONGEST_PATH = 254
_LIES = {500, 502, 503}  # what a server says that offers PIPELINING and can't do it


class SmtpTransport:
    """One connection, kept and renewed; one mail at a time."""

    def __init__(self, name: str, settings: TransportSettings, pauses: tuple[float, ...] = PAUSES) -> None:
        self.name = name
        self.idle_seconds = IDLE_SECONDS
        self._settings = settings
        self._pauses = pauses
        self._waits: Waits = waits(settings)
        self._patience = Patience()
        self._session: Session | None = None
        self._may_pipeline = True
        self._stage = ""

    def check(self) -> None:
        """Connect, encrypt, log in and leave; TransportUnavailable when one of them fails."""
        try:
            open_session(self.name, self._settings, self._waits, self._patience).quit()
        except OSError as fault:
            raise self._unavailable(fault) from fault

    def deliver(self, offers: Iterator[Offer]) -> Iterator[Answer]:
        """Hand mails over, one after another; see `transport.Transport.deliver`."""
        for offer in offers:
            try:
                outcome = self.send(offer.mail, offer.before_dot)
            except TransportRefused as fault:
                outcome = Outcome(state=MessageState.DEFERRED, reason="configuration", reply=str(fault))
            except TransportUnavailable as fault:
                outcome = Outcome(state=MessageState.DEFERRED, reason="unavailable", reply=str(fault))
            yield offer.ord, outcome
            if outcome.reason in ENDING:
                return

    def send(self, mail: Mail, before_dot: Callable[[], Outcome | None]) -> Outcome:
        """Hand one mail over; see `transport.Transport.send`."""
        try:
            return self._unsendable(mail) or self._offered(mail) or self._asked(before_dot) or self._dot()
        except BaseException:
            self._drop()  # whatever happened, half a message must not stay on the wire
            raise

    def give_up_after(self, seconds: float) -> None:
        """Hand over nothing more, and wait this long at most for a reply under way."""
        self._patience.cut(seconds)

    def close(self) -> None:
        """Say goodbye; a later send connects again."""
        self._patience = Patience()
        session, self._session = self._session, None
        if session:
            session.quit()

    # ------------------------------------------------------------ before the dot: every failure is certain

    def _unsendable(self, mail: Mail) -> Outcome | None:
        if self._patience.is_cut:
            return _stopped("")
        if not _is_path(mail.recipient):
            return Outcome(state=MessageState.REFUSED, reason="bad_address", stage="RCPT")
        if not _is_path(mail.envelope_from):
            return Outcome(state=MessageState.DEFERRED, reason="configuration", reply="bad return path", stage="MAIL")
        ends = mail.data.count(b"\r\n")
        # A bare CR or LF can make some servers see two messages in one.
        if mail.data.count(b"\n") != ends or mail.data.count(b"\r") != ends:
            return Outcome(state=MessageState.REFUSED, reason="malformed", reply="bare CR or LF", stage="DATA")
        return None

    def _offered(self, mail: Mail) -> Outcome | None:
        """Get the whole mail but its dot onto the wire; None when it is there."""
        for pause in (*self._pauses, None):
            kept = self._session is not None
            try:
                return self._offer(mail, self._ready())
            except OSError as fault:
                reached = self._session is not None
                self._drop()
                if self._patience.is_cut:
                    return _stopped(self._stage)
                if pause is None and reached:
                    reply = shortened(str(fault))
                    return Outcome(
                        state=MessageState.DEFERRED, reason="connection_lost", reply=reply, stage=self._stage
                    )
                if pause is None:
                    raise self._unavailable(fault) from fault
                if not kept:  # a kept connection may just have grown old
                    self._rest(pause)
        raise AssertionError("the last try returns or raises")

    def _ready(self) -> Session:
        """The kept session, or a new one when it is used up, old or gone."""
        session = self._session
        if session and (session.messages >= PER_CONNECTION or time.monotonic() - session.used_at > self.idle_seconds):
            self._session = None
            session.quit()
        if self._session is None:
            self._stage = "CONNECT"
            self._session = open_session(self.name, self._settings, self._waits, self._patience)
        return self._session

    def _offer(self, mail: Mail, session: Session) -> Outcome | None:
        fresh = session.messages == 0
        session.messages += 1
        commands = _envelope(mail, session.features)
        if commands is None:
            return Outcome(state=MessageState.REFUSED, reason="needs_smtputf8", stage="MAIL")
        refusal = self._envelope_refusal(session, commands, fresh)
        if refusal is None:
            session.connection.write(_stuffed(mail.data), self._waits.block)
            refusal = self._early_refusal(session)
        session.used_at = time.monotonic()
        return refusal

    def _envelope_refusal(self, session: Session, commands: list[tuple[str, str]], fresh: bool) -> Outcome | None:
        """Say MAIL, RCPT and DATA; the meaning of the first answer that is no yes."""
        pipelined = self._may_pipeline and "PIPELINING" in session.features
        try:
            replies = self._dialogue(session, commands, pipelined)
        except OSError:
            if pipelined and fresh:
                self._may_pipeline = False  # perhaps a server that offers what it can't do
            raise
        stage, reply = next(((s, r) for s, r in replies if not _is_yes(s, r)), (None, None))
        if stage is None or reply is None:
            return None
        if pipelined and reply.code in _LIES:
            self._may_pipeline = False
            raise ConnectionError(f"it mixes up pipelined commands ({reply.code})")
        if reply.code == 421 and not fresh:
            raise ConnectionError(shortened(f"it closes the connection ({reply.code} {reply.text})"))
        if reply.code == 421 or replies[-1][1].code == 354:
            self._drop()  # going anyway; or waiting for a message that nobody is to get
        else:
            self._reset(session)
        return classify(reply.code, reply.text, stage)

    def _dialogue(self, session: Session, commands: list[tuple[str, str]], pipelined: bool) -> list[tuple[str, Reply]]:
        connection, replies = session.connection, []
        if pipelined:
            connection.write("".join(line for _, line in commands).encode(), self._waits.command)
        for self._stage, line in commands:
            if not pipelined:
                connection.write(line.encode(), self._waits.command)
            reply = connection.reply(self._waits.data if self._stage == "DATA" else self._waits.command)
            replies.append((self._stage, reply))
            if reply.code == 421 or not (pipelined or _is_yes(self._stage, reply)):
                break
        return replies

    def _reset(self, session: Session) -> None:
        try:
            session.connection.write(b"RSET\r\n", self._waits.command)
            if session.connection.reply(self._waits.command).code != 250:
                self._drop()
        except OSError:
            self._drop()

    def _early_refusal(self, session: Session) -> Outcome | None:
        """What the server says of its own accord before the dot; mostly that it is going."""
        if self._patience.is_cut:
            self._drop()
            return _stopped("DATA")
        if not session.connection.has_input():
            return None
        try:
            reply = session.connection.reply(_GLIMPSE)
        except TimeoutError:
            return None
        if reply.code == 421:
            raise ConnectionError(shortened(f"it closes the connection ({reply.code} {reply.text})"))
        self._drop()
        if reply.code < 400:
            return _uncertain(f"{reply.code} {reply.text}")  # no telling what this server took for the end
        return classify(reply.code, reply.text, "DATA")

    def _asked(self, before_dot: Callable[[], Outcome | None]) -> Outcome | None:
        skip = before_dot()
        if skip is not None:
            self._drop()
        return skip

    # ------------------------------------------------------------ the dot: from its first byte on, doubt

    def _dot(self) -> Outcome:
        session = self._session
        assert session is not None
        try:
            session.connection.write(b".\r\n", self._waits.block)
            reply = session.connection.reply(self._waits.dot)
        except OSError as fault:
            self._drop()
            return _uncertain(str(fault))
        session.used_at = time.monotonic()
        outcome = classify(reply.code, reply.text, DOT)
        if outcome.state is MessageState.UNCERTAIN:
            self._drop()
        return outcome

    # ------------------------------------------------------------ the connection

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session:
            session.connection.drop()

    def _rest(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := min(deadline - time.monotonic(), 0.1)) > 0 and not self._patience.is_cut:
            time.sleep(left)

    def _unavailable(self, fault: OSError) -> TransportUnavailable:
        why = shortened(fault.strerror or str(fault))
        cure = "check host and port, or whether the server runs"
        return TransportUnavailable(f"{place_of(self.name, self._settings)} can't be used: {why}; {cure}")


def _envelope(mail: Mail, features: dict[str, str]) -> list[tuple[str, str]] | None:
    """The commands before the body, with their stages; None when an address needs SMTPUTF8 and it is not offered."""
    parameters = f" SIZE={len(mail.data)}" if "SIZE" in features else ""
    if not (mail.recipient.isascii() and mail.envelope_from.isascii()):
        if "SMTPUTF8" not in features:
            return None
        parameters += " SMTPUTF8"
    return [
        ("MAIL", f"MAIL FROM:<{mail.envelope_from}>{parameters}\r\n"),
        ("RCPT", f"RCPT TO:<{mail.recipient}>\r\n"),
        ("DATA", "DATA\r\n"),
    ]


def _is_yes(stage: str, reply: Reply) -> bool:
    return reply.code == 354 if stage == "DATA" else 200 <= reply.code < 300


def _is_path(address: str) -> bool:
    return len(address) <= _LONGEST_PATH and _PATH.fullmatch(address) is not None


def _stuffed(data: bytes) -> bytes:
    """The mail as it stands on the wire, up to but without the dot (RFC 5321 4.5.2)."""
    stuffed = data.replace(b"\r\n.", b"\r\n..") if b"\r\n." in data else data
    stuffed = b"." + stuffed if stuffed.startswith(b".") else stuffed
    return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"


def _uncertain(why: str) -> Outcome:
    return Outcome(state=MessageState.UNCERTAIN, reason="reply_lost", reply=shortened(why), stage=DOT)


def _stopped(stage: str) -> Outcome:
    return Outcome(state=MessageState.DEFERRED, reason="stopped", stage=stage)

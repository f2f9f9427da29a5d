"""How is one mail said to a server by DATA, and what do the answers mean before and after the dot?

The steps of every way (`chunking` has another): `begin` puts on the wire what may go while the server is still busy
with the mail before; `reach` goes on to the last step and not further, so that every failure is a certain
non-delivery; `finish` takes the last step, and begins the next mail in the same write; `answer` hears what became of
it. A mail that fits on the wire at once goes in that write as well.
"""

import re
import time
from typing import ClassVar

from engine.delivery.envelope import Letter, stuffed
from engine.delivery.session import Session
from engine.delivery.wire import Buffer, HeldUp, Reply, Waits
from engine.model import MessageState, Outcome
from engine.replies import DOT, classify, shortened

_GLIMPSE = 0.05
LIES = {500, 502, 503}  # what a server says that mixes up what it offered to understand
_LONGEST_REPLY = 196  # as kept, without its code


class Lied(ConnectionError):
    """The server can't do what it offered; nothing was handed over, and a plainer way may work."""


class StepByStep:
    """Each command after the answer to the one before: any server can do that."""

    level: ClassVar[int] = 0  # the higher, the more is asked of the server
    steps: ClassVar[tuple[tuple[str, int], ...]] = (("MAIL", 2), ("RCPT", 2), ("DATA", 3))  # and the class of its yes

    def __init__(self, session: Session, letter: Letter, commands: bytes, waits: Waits) -> None:
        self.session = session
        self.letter = letter
        self.stage = "MAIL"
        self.is_fresh = session.messages == 0
        self.in_envelope = True
        self.is_begun = False
        self._connection = session.connection
        self._commands = commands
        self._waits = waits
        self._rest = b""  # of what was begun and did not fit on the wire
        self._held: Buffer | None = None  # of the content, what is to go with the dot
        session.messages += 1

    def begin(self) -> None:
        """Say what may be said ahead: here nothing."""

    def opening(self) -> tuple[Buffer, ...]:
        """What may be said ahead, in pieces."""
        return ()

    def reach(self) -> Outcome | None:
        """Go to the last step; None when only that is missing, else what the server's no means.

        Raises:
            Lied: a plainer way may work.
            OSError: the connection is lost, with nothing handed over.
        """
        refusal = self._envelope_refusal() if self.in_envelope else None
        self.in_envelope = False
        if refusal is None:
            self.stage = "DATA"
            try:
                self._say_content()
            except OSError:
                refusal = self._early_refusal()  # it may have said why it hung up
                if refusal is None:
                    raise
            else:
                refusal = self._early_refusal()
        self.session.used_at = time.monotonic()
        return refusal

    def finish(self, following: "StepByStep | None" = None) -> None:
        """Take the last step, and begin the next mail.

        Raises:
            HeldUp: the step was not taken, for something before it did not fit on the wire; `reach` it again.
            OSError: from its first byte on nobody knows.
        """
        self.stage = DOT
        ahead = () if following is None else following.opening()
        try:
            rest = self._connection.write_both(self._last_step(), ahead, self._waits.block, self._held or b"")
        except HeldUp as fault:
            self._held = fault.left
            raise
        if following is not None:
            following.is_begun, following._rest = True, rest

    def _last_step(self) -> bytes:
        return b".\r\n"

    def answer(self) -> Outcome:
        """What became of the mail; OSError: nobody knows."""
        reply = self._connection.reply(self._waits.dot)
        self.session.used_at = time.monotonic()
        return receipt(reply)

    # ------------------------------------------------------------ before the last step: every failure is certain

    def _envelope_refusal(self) -> Outcome | None:
        said = [*self._commands.splitlines(keepends=True), b"DATA\r\n"]
        for line, (stage, yes) in zip(said, self.steps, strict=True):
            self.stage = stage
            self._connection.write(line, self._waits.command)
            reply = self._connection.reply(self._waits.data if self.stage == "DATA" else self._waits.command)
            if not _is_yes(reply, yes):
                return self._refused(self.stage, reply, reply)
        return None

    def _say_content(self) -> None:
        """Say it, unless all of it can go in one write with the dot."""
        content, self._held = self._held, None
        if content is None:
            content = stuffed(self.letter)
            if self._connection.has_room(len(content)):
                self._held = content
                return
        # The dot is a write of its own, and follows at once: no need to send off a last small packet before it.
        self._connection.write_more(content, self._waits.block)

    def _refused(self, stage: str, reply: Reply, last: Reply) -> Outcome:
        """What the first no means; the session is left fit for the next mail, or closed."""
        if reply.code == 421 and not self.is_fresh:  # that is only about its age
            raise ConnectionError(shortened(f"it closes the connection ({reply.code} {reply.text})"))
        if reply.code == 421 or last.code == 354:
            self.session.drop()  # going anyway; or waiting for a message that nobody is to get
        else:
            self.session.reset(self._waits.command)
        return classify(reply.code, reply.text, stage)

    def _early_refusal(self) -> Outcome | None:
        """What the server says of its own accord before the last step; mostly that it is going."""
        if not self._connection.has_input():
            return None
        try:
            reply = self._connection.reply(_GLIMPSE)
        except TimeoutError:
            return None
        return self._meant_early(reply)

    def _meant_early(self, reply: Reply) -> Outcome:
        if reply.code == 421:
            raise ConnectionError(shortened(f"it closes the connection ({reply.code} {reply.text})"))
        self.session.drop()
        if reply.code < 400:
            return uncertain(f"{reply.code} {reply.text}")  # no telling what this server took for the end
        return classify(reply.code, reply.text, self.stage)


class InOneGo(StepByStep):
    """MAIL, RCPT and DATA in one write, even before the last mail was answered (RFC 2920)."""

    level = 1
    all_yes: ClassVar[re.Pattern[bytes]] = re.compile(rb"(?:2\d\d [^\n]*\n){2}354 [^\n]*\n")  # to `steps`: the rule

    def begin(self) -> None:
        """Say the opening."""
        said, self.is_begun = b"".join(self.opening()), True
        try:
            self._rest = self._connection.write_ahead(said)
        except OSError:
            self._rest = said  # the mail before this one is still to be answered; `reach` will find out

    def opening(self) -> tuple[Buffer, ...]:
        """The envelope."""
        return self._commands, b"DATA\r\n"

    def _envelope_refusal(self) -> Outcome | None:
        if self._rest:
            self._connection.write(self._rest, self._waits.block)
        if self._connection.hears(self.all_yes, self._waits.command):
            return None
        no: tuple[str, Reply] | None = None
        for stage, yes in self.steps:
            self.stage = stage
            reply = self._connection.reply(self._waits.data if self.stage == "DATA" else self._waits.command)
            if not _is_yes(reply, yes):
                no = no or (self.stage, reply)
                if reply.code == 421:
                    break
        return None if no is None else self._refused(*no, reply)

    def _refused(self, stage: str, reply: Reply, last: Reply) -> Outcome:
        # A yes to another command than the one that was said is a mix-up too.
        if reply.code in LIES or reply.code < 400:
            raise Lied(f"it mixes up pipelined commands ({reply.code})")
        return super()._refused(stage, reply, last)


def receipt(reply: Reply) -> Outcome:
    """What the answer to the last step means; a plain yes, the rule, comes to the same as `classify` sooner."""
    code, text = reply.code, reply.text
    plain = text and text.isprintable() and "@" not in text and "  " not in text and len(text) <= _LONGEST_REPLY
    if plain and 200 <= code < 300:
        return Outcome(state=MessageState.SENT, reply=f"{code} {text}", stage=DOT)
    return classify(code, text, DOT)


def uncertain(why: str) -> Outcome:
    """The last step was taken, or may have been."""
    return Outcome(state=MessageState.UNCERTAIN, reason="reply_lost", reply=shortened(why), stage=DOT)


def _is_yes(reply: Reply, yes: int) -> bool:
    return reply.code == 354 if yes == 3 else 200 <= reply.code < 300

"""How is one mail said to a server by BDAT (RFC 3030), with the next already under way?

Envelope and chunk go ahead while the mail before is not yet answered, all but the chunk's last line end. A chunk that
is not complete is no message, so up to there every failure is a certain non-delivery; the line end follows when the
mail before has been answered and `before_dot` agrees. One LAST is unanswered at any time.

A server that offers CHUNKING and does not know BDAT would take the lines of the body for commands. So the first mail
of each connection asks with its first line as a chunk, which is no command, and waits. (An empty chunk would be
simpler, but Postfix refuses it: "551 5.7.1 Null BDAT request".)
"""

import re
import time
from typing import ClassVar

from engine.delivery.dialogue import LIES, InOneGo, Lied, receipt
from engine.delivery.wire import Buffer, Reply
from engine.model import Outcome
from engine.replies import classify

_LIES = LIES | {501, 504}
_HELD_BACK = 2  # bytes


class ByChunk(InOneGo):
    """MAIL, RCPT and the mail as one chunk, without dots to stuff."""

    level = 2
    steps: ClassVar[tuple[tuple[str, int], ...]] = (("MAIL", 2), ("RCPT", 2))
    all_yes = re.compile(rb"(?:2\d\d [^\n]*\n){2}")

    def opening(self) -> tuple[Buffer, ...]:
        """The envelope and the mail, but for its end."""
        return self._commands, *self._all_but_the_end()

    def answer(self) -> Outcome:
        """What became of the mail; Lied: nothing, for the server does not know BDAT after all."""
        reply = self._connection.reply(self._waits.dot)
        self.session.used_at = time.monotonic()
        self._believed(reply)
        return receipt(reply)

    def _last_step(self) -> bytes:
        return self.letter.data[-_HELD_BACK:]

    def _say_content(self) -> None:
        """It is on the wire already."""

    def _all_but_the_end(self, start: int = 0) -> tuple[Buffer, ...]:
        data = self.letter.data
        return b"BDAT %d LAST\r\n" % (len(data) - start), memoryview(data)[start:-_HELD_BACK]

    def _refused(self, stage: str, reply: Reply, last: Reply) -> Outcome:
        if reply.code >= 400 and reply.code != 421 and reply.code not in LIES:
            if last.code < 400:  # the sender is refused and the recipient is not: a whole chunk might be taken
                self.session.drop()
                return classify(reply.code, reply.text, stage)
            last = self._completed(reply)
        return super()._refused(stage, reply, last)

    def _completed(self, refusal: Reply) -> Reply:
        """The answer to a chunk that goes to nobody: the server reads it to its end all the same (RFC 3030 4.2)."""
        try:
            self._connection.write(self._last_step(), self._waits.block)
            return self._connection.reply(self._waits.dot)
        except OSError:
            self.session.drop()
            return refusal

    def _meant_early(self, reply: Reply) -> Outcome:
        self._believed(reply)
        return super()._meant_early(reply)

    def _believed(self, reply: Reply) -> None:
        if reply.code in _LIES:
            raise Lied(f"it offers CHUNKING and does not know BDAT ({reply.code})")


class ByFirstChunk(ByChunk):
    """The first mail of a connection: a chunk of one line shows whether the server knows what a chunk is."""

    steps: ClassVar[tuple[tuple[str, int], ...]] = (*ByChunk.steps, ("DATA", 2))
    all_yes = re.compile(rb"(?:2\d\d [^\n]*\n){3}")

    def opening(self) -> tuple[Buffer, ...]:
        """The envelope, and the first line of the mail."""
        line = self.letter.data[: self._first_line()]
        return self._commands, b"BDAT %d\r\n" % len(line), line

    def _say_content(self) -> None:
        self.session.takes_chunks = True
        self._connection.write(b"".join(self._all_but_the_end(self._first_line())), self._waits.block)

    def _first_line(self) -> int:
        """Where it ends, before what is held back."""
        return min(self.letter.data.find(b"\r\n") + 2, len(self.letter.data) - _HELD_BACK)

    def _refused(self, stage: str, reply: Reply, last: Reply) -> Outcome:
        if stage == "DATA":
            self._believed(reply)
        return InOneGo._refused(self, stage, reply, last)

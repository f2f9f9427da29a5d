"""How do mails get to a mail server, with certainty about each whether it did?

A mail's last bytes (by DATA the dot, by BDAT the end of its chunk) go out when `before_dot` has been asked, in one
write with the envelope of the next mail. What comes before them goes ahead; of a mail by DATA that fits on the wire at
once it goes in the same write, and when the wire does not take it whole, none of the last bytes is there: then the
rest goes ahead, and `before_dot` is asked again. Every failure before the last bytes is a certain non-delivery: the
server must forget what it has (RFC 5321 4.1.1.4). Between them and the reply lies the only moment of doubt (RFC 1047);
a connection lost there makes the message uncertain. While the server works on that reply, the mail after the next is
built; never more than one mail is in doubt.

What the server offers is believed until it lies: then the transport goes on by a plainer way (chunks, one write,
step by step), and remembers.

Reasons beside those of `replies` and `envelope`: connection_lost (deferred: the server is there, yet drops this
message each time), stopped, unavailable.
"""

import time
from collections import deque
from collections.abc import Iterator

from engine.config import TransportSettings
from engine.delivery.chunking import ByChunk, ByFirstChunk
from engine.delivery.dialogue import InOneGo, Lied, StepByStep, uncertain
from engine.delivery.envelope import Letter, commands, sealed
from engine.delivery.offers import ENDING, Answer, Offer
from engine.delivery.session import Session, open_session, place_of
from engine.delivery.wire import HeldUp, Patience, Waits, waits
from engine.errors import TransportRefused, TransportUnavailable
from engine.model import MessageState, Outcome
from engine.replies import shortened

IDLE_SECONDS = 60.0  # then a new connection: firewalls forget silent ones
AHEAD = 2  # mails taken before the last is answered: one whose envelope goes with its dot, one that is built meanwhile
_IMPLICIT_PORT = 465  # RFC 8314 3.3
PAUSES = (0.2, 1.0, 3.0)  # between tries to reach the server


class SmtpTransport:
    """One connection, kept and renewed; one mail in doubt at a time."""

    def __init__(self, name: str, settings: TransportSettings, pauses: tuple[float, ...] = PAUSES) -> None:
        self.name = name
        self.idle_seconds = IDLE_SECONDS
        self._settings = settings
        self._pauses = pauses
        self._waits: Waits = waits(settings)
        self._patience = Patience()
        self._session: Session | None = None
        self._level = ByChunk.level if settings.chunking else InOneGo.level  # the most that is asked of the server
        self._dialogue: StepByStep | None = None  # about the mail whose turn it is
        self._ahead: tuple[Offer, StepByStep] | None = None  # the next one, begun while the server works

    def check(self) -> None:
        """Connect, encrypt, log in and leave; TransportUnavailable when one of them fails."""
        try:
            open_session(self.name, self._settings, self._waits, self._patience).quit()
        except OSError as fault:
            raise self._unavailable(fault) from fault

    def deliver(self, offers: Iterator[Offer]) -> Iterator[Answer]:
        """Hand mails over; see `transport.Transport.deliver`."""
        taken: deque[Offer] = deque()  # and not answered yet
        self._take(offers, taken, 1)
        try:
            while taken:
                outcome = self._handed_over(taken)
                if outcome is None:
                    self._take(offers, taken, 1 + AHEAD)
                    self._begin_ahead(taken)
                    outcome = self._answer()
                if outcome is None:
                    continue  # it lied, and has nothing: once more, by a plainer way
                yield taken.popleft().ord, outcome
                if outcome.reason in ENDING:
                    self._drop_what_is_begun()
                    yield from [(offer.ord, outcome) for offer in taken]
                    return
                if not taken:
                    self._take(offers, taken, 1)
        except BaseException:
            self._drop()  # whatever happened, half a message must not stay on the wire
            raise

    def give_up_after(self, seconds: float) -> None:
        """Hand over nothing more, and wait this long at most for a reply under way."""
        self._patience.cut(seconds)

    def close(self) -> None:
        """Say goodbye; a later delivery connects again."""
        self._patience = Patience()
        session, self._session = self._session, None
        if session:
            session.quit()

    def _take(self, offers: Iterator[Offer], taken: deque[Offer], most: int) -> None:
        """Take so many that there are `most`; after a stop no more than the first."""
        while len(taken) < most and not (taken and self._patience.is_cut):
            offer = next(offers, None)
            if offer is None:
                return
            taken.append(offer)

    # ------------------------------------------------------------ before the last step: every failure is certain

    def _handed_over(self, taken: deque[Offer]) -> Outcome | None:
        """Do all that is to be done for the first of these; None when only its answer is missing."""
        offer = taken[0]
        if self._patience.is_cut:
            self._drop_what_is_begun()
            return _stopped("")
        begun = self._begun(offer)
        letter = begun.letter if begun else sealed(offer.mail)
        if isinstance(letter, Outcome):
            return letter
        pauses = iter(self._pauses)
        while True:
            try:
                outcome = self._reached(letter, begun, pauses)
            except TransportRefused as fault:
                return Outcome(state=MessageState.DEFERRED, reason="configuration", reply=str(fault))
            if outcome is not None:
                return outcome
            following = self._dialogue_ahead(taken)
            try:
                return self._asked(offer) or self._finished(following)
            except HeldUp:
                begun = self._dialogue  # the wire may stay full for long: the rest of the body, then a fresh look

    def _reached(self, letter: Letter, begun: StepByStep | None, pauses: Iterator[float]) -> Outcome | None:
        """Get as far as to the mail's last step; None when it is there."""
        level = self._level
        while True:
            self._dialogue = begun
            try:
                outcome = self._tried(letter, level)
            except Lied:
                level = self._plainer(level)
            except OSError as fault:
                level = self._plainer(level) if self._may_have_lied(fault) else level
                ended = self._lost(fault, pauses)
                if ended:
                    return ended
            else:
                self._level = level  # what worked is remembered
                return outcome
            begun = None

    def _tried(self, letter: Letter, level: int) -> Outcome | None:
        dialogue = self._dialogue
        if dialogue is None:
            begun = self._dialogue_on(self._ready(), letter, level)
            if isinstance(begun, Outcome):
                return begun
            self._dialogue = dialogue = begun
            dialogue.begin()
        outcome = dialogue.reach()
        if outcome is None and self._patience.is_cut:
            self._drop()
            return _stopped(dialogue.stage)
        return outcome

    def _dialogue_on(self, session: Session, letter: Letter, level: int) -> StepByStep | Outcome:
        """What to say about this letter on this session, or why it can't be said there."""
        said = commands(letter, session.features)
        if isinstance(said, Outcome):
            return said
        way: type[StepByStep] = StepByStep
        if "PIPELINING" in session.features and level >= InOneGo.level:
            way = InOneGo
            if "CHUNKING" in session.features and level >= ByChunk.level:
                way = ByChunk if session.takes_chunks else ByFirstChunk
        return way(session, letter, said, self._waits)

    def _ready(self) -> Session:
        """The kept session, or a new one when it is used up, old or gone."""
        session, self._session = self._session, None
        if session and session.is_open:
            if not self._is_used_up(session):
                self._session = session
                return session
            session.quit()
        self._session = open_session(self.name, self._settings, self._waits, self._patience)
        return self._session

    def _is_used_up(self, session: Session) -> bool:
        idle = time.monotonic() - session.used_at
        return session.messages >= self._settings.messages_per_connection or idle > self.idle_seconds

    def _may_have_lied(self, fault: OSError) -> bool:
        """Whether a plainer way may help: nothing sensible came to an envelope that was said in one go."""
        dialogue = self._dialogue
        return (
            dialogue is not None
            and dialogue.in_envelope
            and dialogue.level > 0
            and (dialogue.is_fresh or isinstance(fault, TimeoutError))
        )

    def _plainer(self, level: int) -> int:
        used = self._dialogue.level if self._dialogue else level
        self._drop()
        return max(0, min(level, used) - 1)

    def _lost(self, fault: OSError, pauses: Iterator[float]) -> Outcome | None:
        """Make ready for another try, or say how this mail ended."""
        dialogue, kept = self._dialogue, self._dialogue is not None and not self._dialogue.is_fresh
        self._drop()
        if self._patience.is_cut:
            return _stopped(dialogue.stage if dialogue else "CONNECT")
        if kept:
            return None  # it may just have grown old
        pause = next(pauses, None)
        if pause is not None:
            self._rest(pause)
            return None
        if dialogue is None:
            return Outcome(state=MessageState.DEFERRED, reason="unavailable", reply=str(self._unavailable(fault)))
        said = shortened(str(fault))
        return Outcome(state=MessageState.DEFERRED, reason="connection_lost", reply=said, stage=dialogue.stage)

    def _asked(self, offer: Offer) -> Outcome | None:
        skip = offer.before_dot()
        if skip is not None:
            self._drop()
        return skip

    # ------------------------------------------------------------ the last step: from its first byte on, doubt

    def _finished(self, following: StepByStep | None) -> Outcome | None:
        assert self._dialogue is not None
        try:
            self._dialogue.finish(following)
        except OSError as fault:
            self._drop()
            return uncertain(str(fault))
        return None

    def _begin_ahead(self, taken: deque[Offer]) -> None:
        """Begin the second of these, unless that was done, while the answer about the first is awaited."""
        following = self._dialogue_ahead(taken)
        if following is not None and not following.is_begun:
            following.begin()

    def _dialogue_ahead(self, taken: deque[Offer]) -> StepByStep | None:
        """What there is to say about the second of these on the connection in use, if that is to carry it too."""
        session = self._session
        if self._ahead is not None and self._ahead[1].session is session:
            return self._ahead[1]
        if len(taken) < 2 or session is None or self._is_used_up(session):
            return None
        letter = sealed(taken[1].mail)
        if isinstance(letter, Outcome):
            return None
        dialogue = self._dialogue_on(session, letter, self._level)
        if isinstance(dialogue, Outcome):
            return None
        self._ahead = taken[1], dialogue
        return dialogue

    def _begun(self, offer: Offer) -> StepByStep | None:
        """What was said about this mail already, if the connection still holds it."""
        ahead, self._ahead = self._ahead, None
        return ahead[1] if ahead and ahead[0] is offer and ahead[1].session.is_open else None

    def _answer(self) -> Outcome | None:
        """What became of the mail whose last step was taken; None when it certainly has to be said another way."""
        assert self._dialogue is not None
        try:
            outcome = self._dialogue.answer()
        except Lied:
            self._level = self._plainer(self._level)
            return None
        except OSError as fault:
            outcome = uncertain(str(fault))
        if outcome.state is MessageState.UNCERTAIN:
            self._drop()
        return outcome

    # ------------------------------------------------------------ the connection

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session:
            session.drop()

    def _drop_what_is_begun(self) -> None:
        if self._ahead is not None:
            self._ahead = None
            self._drop()

    def _rest(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := min(deadline - time.monotonic(), 0.1)) > 0 and not self._patience.is_cut:
            time.sleep(left)

    def _unavailable(self, fault: OSError) -> TransportUnavailable:
        why = shortened(fault.strerror or str(fault))
        cure = "check host and port, or whether the server runs"
        if self._settings.tls != "off" and (self._settings.tls == "implicit") != (
            self._settings.port == _IMPLICIT_PORT
        ):
            cure = (
                f'tls = "implicit" belongs to port {_IMPLICIT_PORT}, "required" and "verify" to 587 and 25; else {cure}'
            )
        return TransportUnavailable(f"{place_of(self.name, self._settings)} can't be used: {why}; {cure}")


def _stopped(stage: str) -> Outcome:
    return Outcome(state=MessageState.DEFERRED, reason="stopped", stage=stage)

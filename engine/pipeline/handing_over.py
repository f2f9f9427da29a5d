"""How does one claimed batch reach the wire? Look, render, compose, offer; look again before the dot; keep the answer.

The transport takes the next mail while the server still works on the last one, so that a batch flows: leave for each
window is asked of the ledger when its first mail is taken, and the last answers of a window are recorded with the next.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from engine import audience, delivery, ledger, replies
from engine.errors import RenderFailed, StoreUnavailable
from engine.ledger import Claim, Ended, Item, Plan
from engine.model import Mail, MessageState, Outcome, SkipReason
from engine.pipeline.aftermath import Aftermath
from engine.pipeline.composing import Composer, letter_of
from engine.pipeline.holding import Hold
from engine.pipeline.lateness import Lateness
from engine.pipeline.pacing import Pace, Wait
from engine.pipeline.stopping import Stop
from engine.pipeline.workspace import Mailer
from engine.store import chunks

PACED = "paced"  # why a batch ended when it is not its turn just now

_SENT = MessageState.SENT  # asked of every answer: to look a member of an enumeration up costs a call
_STOPPED = Outcome(state=MessageState.DEFERRED, reason="stopped")
_TAKEN_OVER = Outcome(state=MessageState.DEFERRED, reason="taken_over", reply="it slept past its lease")
_FIRST_WINDOW = 20  # messages, until it is known how fast they go
# Mails, stage after stage: what a stage needs is still in the processor's caches then. Made one at a time, between two
# others' ways over the wire, each costs a quarter more.
_MADE_AT_ONCE = 16
_SHORT_WAIT_SECONDS = 2.0  # waited for on the spot, with the batch in hand

log = logging.getLogger("mailer.send")


class Tempo:
    """How many messages a commit covers, by how fast they went lately."""

    def __init__(self) -> None:
        self._size = _FIRST_WINDOW
        self._since = 0.0

    def size(self) -> int:
        """For the window that begins now."""
        now = time.monotonic()
        if self._since:
            self._size = ledger.window_size(self._size / max(now - self._since, 1e-6))
        self._since = now
        return self._size

    def pause(self) -> None:
        """What comes now is no work: waiting, or another batch."""
        self._since = 0.0


@dataclass(slots=True, kw_only=True)
class Handover:
    """One claim on its way: what was taken, what came back, and why it ended before its time, if it did."""

    mailer: Mailer
    stop: Stop
    claim: Claim
    plan: Plan
    compose: Composer
    transport: delivery.Transport
    gate: audience.Gate
    journal: delivery.Journal
    hold: Hold
    pace: Pace
    tempo: Tempo
    aftermath: Aftermath
    reached: set[int]  # contacts who did what the campaign asks for
    noticed: Callable[[], None]  # called after each window
    ended: Outcome | None = None
    wait: Wait | None = None  # with `ended` for its pace: how long
    sent: int = 0
    lacks_store: bool = False  # with `ended`: what was missing is the journal or the database, not the transport
    _taken: dict[int, tuple[Item, str]] = field(default_factory=dict)  # offered, not answered yet; the mail's digest
    _done: list[Ended] = field(default_factory=list)  # answered, not recorded yet
    _left: list[int] = field(default_factory=list)  # taken and certainly not handed over
    _later: dict[str, list[Item]] = field(default_factory=dict)  # by destination: not now, though others may
    _postponed: set[int] = field(default_factory=set)
    _next: int = 0  # the first item that was never taken
    _granted_to: int = 0  # every item before this one may have been handed over, as far as the ledger knows
    _is_ours: bool = True
    _fault: StoreUnavailable | None = None
    _lateness: Lateness = field(init=False)

    def __post_init__(self) -> None:
        self._lateness = Lateness.of(self.plan)

    def run(self) -> None:
        """Hand everybody over, or hand back who was not; `ended` tells what stopped it."""
        self.pace.begin(self.claim)
        self.gate.expect([item.contact_id for item in self.claim.items])
        for ord_, outcome in self.transport.deliver(self._offers()):
            self._answered(ord_, outcome)
        self.tempo.pause()
        if self._fault:
            raise self._fault
        if self._is_ours:
            done = self._done
            self._is_ours = self._close()
            if self._is_ours:
                self._follow_up(done)
        if not self._is_ours:
            self._settle()
        self.journal.finish()

    def _close(self) -> bool:
        """Record the last answers; False when somebody took the batch over meanwhile."""
        if not self._move_the_later_ones():
            return False
        store, at, name = self.mailer.store, self.mailer.clock(), self.transport.name
        if self.ended is None:
            return ledger.finish(store, self.claim, self._done, at, name)
        return ledger.hand_back(store, self.claim, self._next, self._done, at, name, left=self._left)

    def _settle(self) -> None:
        """Somebody took the batch over: what we know for sure turns `uncertain` into what it was."""
        kept = [
            item for item in self.claim.items if item.ord in self._left or self._next <= item.ord < self._granted_to
        ]
        known = [(one.item, one.outcome) for one in self._done]
        for item, outcome in (*known, *((item, _TAKEN_OVER) for item in kept)):
            ledger.settle(self.mailer.store, item, outcome, self.mailer.clock())

    # ------------------------------------------------------------ what the transport takes

    def _offers(self) -> Iterator[delivery.Offer]:
        """The mails of the batch, made a little before they are asked for; never raises."""
        for window in ledger.windows(self.claim, self.tempo.size):
            self._next = window[0].ord
            if not self._granted(window):
                return
            for item, made in self._made(window):
                self._next = item.ord
                if item.ord in self._postponed:
                    continue
                if not self._may_go_on(item):
                    return
                if item.ord in self._postponed:
                    continue
                offer = self._offer(item, made)
                self._next = item.ord + 1
                if offer is not None:
                    yield offer

    def _granted(self, window: tuple[Item, ...]) -> bool:
        """Leave to hand the window over; what was answered so far is recorded in the same commit."""
        done, self._done = self._done, []
        up_to, at = window[-1].ord + 1, self.mailer.clock()
        try:
            self._is_ours = self._move_the_later_ones() and ledger.advance(
                self.mailer.store, self.claim, up_to, done, at, self.transport.name
            )
        except StoreUnavailable as fault:
            self._fault = fault
        if self._fault or not self._is_ours:
            self._done = done
            return False
        self._granted_to = up_to
        self.hold.renewed()
        self._follow_up(done)
        self.noticed()
        return True

    def _may_go_on(self, item: Item) -> bool:
        """Whether the batch goes on with this item, once its turn has come; a short wait is waited here."""
        while self.ended is None:
            if self.stop.asked:
                self.ended = _STOPPED
                break
            try:
                wait = self.pace.leave_for(item)
            except StoreUnavailable as fault:
                self._fault = fault
                return False
            if wait is None:
                return True
            if wait.seconds <= _SHORT_WAIT_SECONDS:
                self.tempo.pause()
                self.stop.rest(wait.seconds)
            elif wait.is_for_all:
                self.ended, self.wait = Outcome(state=MessageState.DEFERRED, reason=PACED, reply=wait.why), wait
            else:
                self._postpone_all_like(item)
                return True
        return False

    def _postpone_all_like(self, item: Item) -> None:
        """This destination must wait; the rest of the mixed batch need not.

        Their hour stays now: what they wait for is the hold or the rate of their destination, and either may end
        sooner (an operator's word, another config.toml).
        """
        where = self.pace.destination_of
        same = [one for one in self.claim.items if one.ord >= item.ord and where(one) == where(item)]
        self._later[where(item)] = same
        self._postponed.update(one.ord for one in same)

    def _move_the_later_ones(self) -> bool:
        while self._later:
            destination, items = self._later.popitem()
            rest = ledger.postpone(self.mailer.store, self.claim, items, self.mailer.clock(), destination)
            if rest is None:
                return False
            self.claim = rest
        return True

    def _made(self, window: tuple[Item, ...]) -> Iterator[tuple[Item, Mail | Outcome]]:
        """Each item with its mail, or with why it gets none; some are made at a time."""
        store = self.mailer.store
        for some in chunks(window, _MADE_AT_ONCE):
            wanted = [item for item in some if item.ord not in self._postponed]
            made = self.compose.compose_all([letter_of(store, item) for item in wanted], self.mailer.clock())
            yield from [
                (item, _lacking(one) if isinstance(one, RenderFailed) else one[1])
                for item, one in zip(wanted, made, strict=True)
            ]

    def _offer(self, item: Item, made: Mail | Outcome) -> delivery.Offer | None:
        now = self.mailer.clock()
        made = self._no_longer(item, now) or made
        if isinstance(made, Mail):
            self._taken[item.ord] = item, made.digest
            return delivery.Offer(item.ord, made, partial(self._before_dot, item))
        self._keep(Ended(item, made, "", now))
        return None

    def _no_longer(self, item: Item, now: datetime) -> Outcome | None:
        """Why this message is not wanted any more, if so."""
        if self._lateness.is_over(item, now):
            return ledger.skip(SkipReason.EXPIRED)
        return ledger.skip(SkipReason.GOAL_REACHED) if item.contact_id in self.reached else None

    def _before_dot(self, item: Item) -> Outcome | None:
        try:
            if not self.hold.is_sure():
                return _TAKEN_OVER
            reason = self.gate.may_receive(item.contact_id, self.compose.message_class)
            if reason:
                return ledger.skip(reason)
            key = delivery.handover_key(self.transport)
            self.journal.handing_over(item.ord, key and delivery.journalled(self.transport.name, key))
        except StoreUnavailable as fault:  # the journal or the database: nothing is handed over
            self.lacks_store = True
            return Outcome(state=MessageState.DEFERRED, reason="unavailable", reply=str(fault))
        return None

    # ------------------------------------------------------------ what comes back

    def _answered(self, ord_: int, outcome: Outcome) -> None:
        item, digest = self._taken.pop(ord_)
        if outcome.state is _SENT:
            self.sent += 1
        elif outcome.state is MessageState.DEFERRED:
            if outcome.reason in delivery.ENDING:
                self._left.append(ord_)
                self.ended = self.ended or outcome
                return
            outcome = _put_off(item, outcome, self.mailer.clock())
        self.journal.answered(ord_, outcome)
        # A window is recorded together, later: but a reader who opens at once must not look faster than the mail.
        self._keep(Ended(item, outcome, digest, self.mailer.clock()))

    def _keep(self, ended: Ended) -> None:
        self._done.append(ended)
        # What went well is counted by its batch; everything else is told. Never an address: the id leads to it.
        if ended.outcome.state is not _SENT:
            told = (self.claim.campaign, ended.item.delivery_id, ended.outcome.state.value, ended.outcome.reason)
            log.info("message_not_sent campaign=%s message=%s state=%s reason=%s", *told)
            try:
                self.pace.answered(ended.item, ended.outcome)
            except StoreUnavailable as fault:
                self._fault = fault

    def _follow_up(self, done: list[Ended]) -> None:
        """What the recorded answers mean for addresses and for the campaign."""
        troubles = [(one.item, one.outcome) for one in done if one.outcome.state is not _SENT]
        if troubles:
            self.aftermath.recorded(self.claim.campaign, troubles, self.mailer.clock())


def _lacking(fault: RenderFailed) -> Outcome:
    return Outcome(state=MessageState.SKIPPED, reason=SkipReason.MISSING_DATA, reply=str(fault)[:200])


def _put_off(item: Item, outcome: Outcome, now: datetime) -> Outcome:
    """When to try again, by the schedule of the reason; used up, it ends as refused."""
    again = replies.retry_at(outcome.reason, item.first_at or now, item.attempt, now)
    if again is None:
        return replace(outcome, state=MessageState.REFUSED, reason=SkipReason.EXPIRED.value)
    return replace(outcome, retry_at=again)

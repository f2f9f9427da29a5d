"""How does one claimed batch reach the wire? Look, render, compose, offer; look again before the dot; keep the answer.

The transport takes the next mail while the server still works on the last one, so that a batch flows: leave for each
window is asked of the ledger when its first mail is taken, and the last answers of a window are recorded with the next.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from engine import audience, delivery, ledger
from engine.errors import RenderFailed, StoreUnavailable
from engine.ledger import Claim, Item, Plan
from engine.model import MessageState, Outcome, SkipReason
from engine.pipeline.composing import Composer, Letter, stored_template
from engine.pipeline.holding import Hold
from engine.pipeline.stopping import Stop
from engine.pipeline.workspace import Mailer

_STOPPED = Outcome(state=MessageState.DEFERRED, reason="stopped")
_TAKEN_OVER = Outcome(state=MessageState.DEFERRED, reason="taken_over", reply="it slept past its lease")

log = logging.getLogger("mailer.send")


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
    reached: set[int]  # contacts who did what the campaign asks for
    noticed: Callable[[], None]  # called after each window
    ended: Outcome | None = None
    _taken: dict[int, Item] = field(default_factory=dict)  # offered, not answered yet
    _done: list[tuple[Item, Outcome]] = field(default_factory=list)  # answered, not recorded yet
    _left: list[int] = field(default_factory=list)  # taken and certainly not handed over
    _next: int = 0  # the first item that was never taken
    _granted_to: int = 0  # every item before this one may have been handed over, as far as the ledger knows
    _is_ours: bool = True
    _fault: StoreUnavailable | None = None

    def run(self) -> None:
        """Hand everybody over, or hand back who was not; `ended` tells what stopped it."""
        for ord_, outcome in self.transport.deliver(self._offers()):
            self._answered(ord_, outcome)
        if self._fault:
            raise self._fault
        if self._is_ours and not self._close():
            self._is_ours = False
        if not self._is_ours:
            self._settle()
        self.journal.finish()

    def _close(self) -> bool:
        """Record the last answers; False when somebody took the batch over meanwhile."""
        store, at, name = self.mailer.store, self.mailer.clock(), self.transport.name
        if self.ended is None:
            return ledger.finish(store, self.claim, self._done, at, name)
        return ledger.hand_back(store, self.claim, self._next, self._done, at, name, left=self._left)

    def _settle(self) -> None:
        """Somebody took the batch over: what we know for sure turns `uncertain` into what it was."""
        kept = [
            item for item in self.claim.items if item.ord in self._left or self._next <= item.ord < self._granted_to
        ]
        for item, outcome in (*self._done, *((item, _TAKEN_OVER) for item in kept)):
            ledger.settle(self.mailer.store, item, outcome, self.mailer.clock())

    # ------------------------------------------------------------ what the transport takes

    def _offers(self) -> Iterator[delivery.Offer]:
        """The mails of the batch, each made when it is asked for; never raises."""
        for window in ledger.windows(self.claim):
            self._next = window[0].ord
            if not self._granted(window):
                return
            for item in window:
                self._next = item.ord
                if self.ended is None and self.stop.asked:
                    self.ended = _STOPPED
                if self.ended is not None:
                    return
                offer = self._offer(item)
                self._next = item.ord + 1
                if offer is not None:
                    yield offer

    def _granted(self, window: tuple[Item, ...]) -> bool:
        """Leave to hand the window over; what was answered so far is recorded in the same commit."""
        done, self._done = self._done, []
        up_to, at = window[-1].ord + 1, self.mailer.clock()
        try:
            self._is_ours = ledger.advance(self.mailer.store, self.claim, up_to, done, at, self.transport.name)
        except StoreUnavailable as fault:
            self._fault = fault
        if self._fault or not self._is_ours:
            self._done = done
            return False
        self._granted_to = up_to
        self.hold.renewed()
        self.noticed()
        return True

    def _offer(self, item: Item) -> delivery.Offer | None:
        now = self.mailer.clock()
        ended = self._no_longer(item, now)
        if ended is None:
            try:
                _, mail = self.compose.compose(_letter(self.mailer, item), now)
                self._taken[item.ord] = replace(item, digest=mail.digest)
                return delivery.Offer(item.ord, mail, lambda: self._before_dot(item))
            except RenderFailed as fault:
                reason, said = SkipReason.MISSING_DATA, str(fault)[:200]
                ended = Outcome(state=MessageState.SKIPPED, reason=reason, reply=said)
        self._keep(item, ended)
        return None

    def _no_longer(self, item: Item, now: datetime) -> Outcome | None:
        """Why this message is not wanted any more, if so."""
        if is_over(self.plan, item, now):
            return ledger.skip(SkipReason.EXPIRED)
        return ledger.skip(SkipReason.GOAL_REACHED) if item.contact_id in self.reached else None

    def _before_dot(self, item: Item) -> Outcome | None:
        try:
            if not self.hold.is_sure():
                return _TAKEN_OVER
            reason = self.gate.may_receive(item.contact_id, self.compose.message_class)
            if reason:
                return ledger.skip(reason)
            self.journal.handing_over(item.ord)
        except StoreUnavailable as fault:  # the journal or the database: nothing is handed over
            return Outcome(state=MessageState.DEFERRED, reason="unavailable", reply=str(fault))
        return None

    # ------------------------------------------------------------ what comes back

    def _answered(self, ord_: int, outcome: Outcome) -> None:
        item = self._taken.pop(ord_)
        if outcome.reason in delivery.ENDING and outcome.state is MessageState.DEFERRED:
            self._left.append(ord_)
            self.ended = self.ended or outcome
            return
        self.journal.answered(ord_, outcome)
        # A window is recorded together, later: but a reader who opens at once must not look faster than the mail.
        self._keep(item, replace(outcome, at=self.mailer.clock()))

    def _keep(self, item: Item, outcome: Outcome) -> None:
        self._done.append((item, outcome))
        # What went well is counted by its batch; everything else is told. Never an address: the id leads to it.
        if outcome.state is not MessageState.SENT:
            told = (self.claim.campaign, item.delivery_id, outcome.state.value, outcome.reason)
            log.info("message_not_sent campaign=%s message=%s state=%s reason=%s", *told)


def is_over(plan: Plan, item: Item, now: datetime) -> bool:
    """Whether it is too late for this message: the campaign has expired, or its hour passed longer ago than it allows.

    Who released a plan after its hour wanted it to go out then: lateness counts from the later of the two.
    """
    expires, patience = plan.definition["expires"], plan.definition["max_lateness"]
    if expires is not None and now >= datetime.fromisoformat(expires):
        return True
    since = max(item.send_at, plan.released_at or item.send_at)
    return patience is not None and now - since > timedelta(seconds=patience)


def _letter(mailer: Mailer, item: Item) -> Letter:
    template = stored_template(mailer.store, item.template_hash)
    assert template is not None, "freeze keeps every template it names"
    return Letter(
        delivery_id=item.delivery_id,
        email=item.email,
        variant=item.variant,
        template=template,
        context=item.context,
        tracked=item.tracked,
    )

"""How does a released message reach the wire exactly once? Claim, render, compose, look again, hand over, record.

Any number of senders may run, be stopped, killed and started again at any moment. What a sender may hand over is
committed before (ledger.advance); what it handed over stands in its journal; what was answered is committed with the
next window. Suppression and consent are read just before each dot.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import FrameType

from engine import audience, delivery, ledger
from engine.errors import RenderFailed, StoreUnavailable, TransportUnavailable
from engine.ledger import Claim, Item
from engine.model import CampaignState, MessageState, Outcome, SkipReason
from engine.pipeline.composing import Composer, Letter, stored_template
from engine.pipeline.dry_running import mailer_composer
from engine.pipeline.workspace import Mailer

_HEARTBEAT_SECONDS = 15
_NOT_HANDED_OVER = ("stopped", "unavailable", "configuration")  # reasons after which a batch is handed back
_GRACE_SECONDS = 10  # how long a stop waits for the answer to a message that is already handed over


@dataclass(slots=True)
class Stop:
    """Asked once: hand off nothing new, wait 10 s for the reply in flight. Asked twice: don't wait."""

    asked: threading.Event = field(default_factory=threading.Event)
    transport: delivery.Transport | None = None

    def ask(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """A signal handler."""
        seconds = 0 if self.asked.is_set() else _GRACE_SECONDS
        self.asked.set()
        if self.transport is not None:
            self.transport.give_up_after(seconds)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """A Stop that Ctrl-C and SIGTERM ask, while the block runs."""
    stop = Stop()
    before = {one: signal.signal(one, stop.ask) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def send_due(
    mailer: Mailer, stop: Stop, plan_id: int | None = None, noticed: Callable[[], None] = lambda: None
) -> None:
    """Send every message that is due; safe to run again, and beside others, at any moment.

    `noticed` is called after each window. Raises TransportUnavailable when no mail gets through: what is left stays
    planned, nobody is lost.
    """
    owner = delivery.owner_name()
    journals = mailer.settings.state_dir / "journal"
    with ExitStack() as opened:
        sender = _Sender(mailer, stop, opened, journals, noticed)
        proof = partial(delivery.trusted_journal, journals)
        while not stop.asked.is_set():
            claim = ledger.claim(mailer.store, owner, mailer.clock(), plan_id, proof=proof, is_dead=delivery.is_dead)
            if claim is None:
                return
            sender.send_batch(claim)


class _Sender:
    """One connection's worth of sending."""

    def __init__(
        self, mailer: Mailer, stop: Stop, opened: ExitStack, journals: Path, noticed: Callable[[], None]
    ) -> None:
        self._mailer = mailer
        self._stop = stop
        self._opened = opened
        self._journals = journals
        self._noticed = noticed
        self._gate = opened.enter_context(closing(audience.gate(mailer.store, mailer.keys)))
        self._transports: dict[str, delivery.Transport] = {}
        self._composers: dict[int, Composer] = {}

    def send_batch(self, claim: Claim) -> None:
        """Drive one claimed batch to its end, or hand back what was not handed over."""
        store, clock = self._mailer.store, self._mailer.clock
        compose = self._composer(claim.plan_id)
        transport = self._transport(compose)
        over = _goals_reached(self._mailer, claim)
        done: list[tuple[Item, Outcome]] = []
        # The journal must exist before the first hand-over is allowed: a missing one proves nothing.
        with delivery.Journal(self._journals, claim.batch_id, claim.fence) as journal, _heartbeat(self._mailer, claim):
            for window in ledger.windows(claim):
                if not ledger.advance(store, claim, window[-1].ord + 1, done, clock(), transport.name):
                    self._settle(done)
                    journal.finish()
                    return
                done = []
                for item in window:
                    ended = ledger.skip(SkipReason.GOAL_REACHED) if item.contact_id in over else None
                    sent, outcome = (item, ended) if ended else self._send_one(compose, transport, journal, item)
                    if outcome.reason in _NOT_HANDED_OVER:
                        self._hand_back(claim, item.ord, done, transport.name)
                        journal.finish()
                        self._refuse_to_go_on(claim, outcome)
                        return
                    done.append((sent, outcome))
                self._noticed()
            if not ledger.finish(store, claim, done, clock(), transport.name):
                self._settle(done)
            journal.finish()
        self._noticed()

    def _send_one(
        self, compose: Composer, transport: delivery.Transport, journal: delivery.Journal, item: Item
    ) -> tuple[Item, Outcome]:
        if self._stop.asked.is_set():
            return item, Outcome(state=MessageState.DEFERRED, reason="stopped")
        try:
            _, mail = compose.compose(_letter(self._mailer, item), self._mailer.clock())
        except RenderFailed as fault:
            return item, Outcome(state=MessageState.SKIPPED, reason=SkipReason.MISSING_DATA, reply=str(fault)[:200])

        def before_dot() -> Outcome | None:
            reason = self._gate.may_receive(item.contact_id, compose.message_class)
            if reason:
                return ledger.skip(reason)
            journal.handing_over(item.ord)
            return None

        try:
            outcome = transport.send(mail, before_dot)
        except (TransportUnavailable, StoreUnavailable) as fault:
            # Either the server can't be reached or the journal can't be written: nothing was handed over.
            return item, Outcome(state=MessageState.DEFERRED, reason="unavailable", reply=str(fault))
        journal.answered(item.ord, outcome)
        return replace(item, digest=mail.digest), outcome

    def _refuse_to_go_on(self, claim: Claim, outcome: Outcome) -> None:
        """Nobody was lost; an operator must look: the campaign is paused where the server refuses all of it."""
        if outcome.reason == "stopped":
            return
        if outcome.reason == "configuration":
            reason = f"the server refuses our mail: {outcome.reply}"
            ledger.set_state(self._mailer.store, claim.campaign, CampaignState.PAUSED, reason, self._mailer.clock())
        raise TransportUnavailable(outcome.reply)

    def _hand_back(self, claim: Claim, next_ord: int, done: list[tuple[Item, Outcome]], transport: str) -> None:
        if not ledger.hand_back(self._mailer.store, claim, next_ord, done, self._mailer.clock(), transport):
            self._settle(done)

    def _settle(self, done: list[tuple[Item, Outcome]]) -> None:
        """Somebody took the batch over meanwhile: what we know for sure turns `uncertain` into what it was."""
        for item, outcome in done:
            ledger.settle(self._mailer.store, item, outcome, self._mailer.clock())

    def _composer(self, plan_id: int) -> Composer:
        if plan_id not in self._composers:
            self._composers[plan_id] = mailer_composer(self._mailer, plan_id)
        return self._composers[plan_id]

    def _transport(self, compose: Composer) -> delivery.Transport:
        name = compose.transport_name
        if name not in self._transports:
            opened = delivery.open_transport(name, compose.transport, self._mailer.folder)
            self._transports[name] = self._opened.enter_context(closing(opened))
        self._stop.transport = self._transports[name]
        return self._transports[name]


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


def _goals_reached(mailer: Mailer, claim: Claim) -> set[int]:
    """Who did what the campaign asks for since the plan was frozen: no need to write to her."""
    plan = ledger.plan_of(mailer.store, claim.plan_id)
    since = {item.contact_id: plan.at for item in claim.items}
    return audience.goals_reached(mailer.store, plan.definition["goal"], since, mailer.clock())


@contextmanager
def _heartbeat(mailer: Mailer, claim: Claim) -> Iterator[None]:
    """Hold the lease while the block runs: a dot may be answered after ten minutes."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_HEARTBEAT_SECONDS):
            with suppress(StoreUnavailable):  # a lost beat costs nothing unless the lease runs out
                ledger.heartbeat(mailer.store, claim)

    thread = threading.Thread(target=beat, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

"""How does a released message reach the wire exactly once? Claim, render, compose, look again, hand over, record.

Any number of senders may run, be stopped, killed and started again at any moment. What a sender may hand over is
committed before (ledger.advance); what it handed over stands in its journal; what was answered is committed with the
next window. Suppression and consent are read just before each dot.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NoReturn

from engine import audience, delivery, ledger
from engine.errors import BadConfig, RenderFailed, StoreUnavailable, TransportRefused, TransportUnavailable
from engine.ledger import Claim, Item, Plan
from engine.model import CampaignState, MessageState, Outcome, SkipReason
from engine.pipeline.composing import Composer, Letter, stored_template
from engine.pipeline.dry_running import mailer_composer
from engine.pipeline.holding import Hold
from engine.pipeline.stopping import Stop
from engine.pipeline.workspace import Mailer

_NOT_HANDED_OVER = ("stopped", "taken_over", "unavailable", "configuration")  # then the batch is handed back
_CLICK = "click"
_TAKEN_OVER = Outcome(state=MessageState.DEFERRED, reason="taken_over", reply="it slept past its lease")

log = logging.getLogger("mailer.send")


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
        while not stop.asked:
            claim = ledger.claim(mailer.store, owner, mailer.clock(), plan_id, proof=proof, is_dead=delivery.is_dead)
            if claim is None:
                return
            sender.send_batch(claim)


def is_over(plan: Plan, item: Item, now: datetime) -> bool:
    """Whether it is too late for this message: the campaign has expired, or its hour passed longer ago than it allows.

    Who released a plan after its hour wanted it to go out then: lateness counts from the later of the two.
    """
    expires, patience = plan.definition["expires"], plan.definition["max_lateness"]
    if expires is not None and now >= datetime.fromisoformat(expires):
        return True
    since = max(item.send_at, plan.released_at or item.send_at)
    return patience is not None and now - since > timedelta(seconds=patience)


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
        plan = ledger.plan_of(store, claim.plan_id)
        try:
            compose = self._composer(claim.plan_id)
        except BadConfig as fault:  # a transport or a key went away since the release
            self._hand_back(claim, claim.items, [], "")
            self._pause(claim, str(fault))
        transport = self._transport(compose)
        reached = _goals_reached(self._mailer, plan, claim)
        log.info("batch_taken campaign=%s plan=%s batch=%s messages=%s", *_named(claim), len(claim.items))
        done: list[tuple[Item, Outcome]] = []
        hold = Hold(store, claim)
        # The journal must exist before the first hand-over is allowed: a missing one proves nothing.
        with delivery.Journal(self._journals, claim.batch_id, claim.fence) as journal, hold.kept():
            delivery.forget_older(self._journals, claim.batch_id, claim.fence)
            for window in ledger.windows(claim):
                if not ledger.advance(store, claim, window[-1].ord + 1, done, clock(), transport.name):
                    self._settle(done)
                    journal.finish()
                    return
                done = []
                hold.renewed()
                for place, item in enumerate(window):
                    ended = _no_longer(plan, item, reached, clock())
                    sent, outcome = (item, ended) if ended else self._send_one(compose, transport, journal, hold, item)
                    if outcome.reason in _NOT_HANDED_OVER:
                        self._hand_back(claim, window[place:], done, transport.name)
                        journal.finish()
                        self._refuse_to_go_on(claim, outcome)
                        return
                    done.append((sent, outcome))
                    _log_ending(claim, item, outcome)
                self._noticed()
            if not ledger.finish(store, claim, done, clock(), transport.name):
                self._settle(done)
            journal.finish()
        log.info("batch_done campaign=%s plan=%s batch=%s", *_named(claim))
        self._noticed()

    def _send_one(
        self,
        compose: Composer,
        transport: delivery.Transport,
        journal: delivery.Journal,
        hold: Hold,
        item: Item,
    ) -> tuple[Item, Outcome]:
        if self._stop.asked:
            return item, Outcome(state=MessageState.DEFERRED, reason="stopped")
        try:
            _, mail = compose.compose(_letter(self._mailer, item), self._mailer.clock())
        except RenderFailed as fault:
            return item, Outcome(state=MessageState.SKIPPED, reason=SkipReason.MISSING_DATA, reply=str(fault)[:200])

        def before_dot() -> Outcome | None:
            if not hold.is_sure():
                return _TAKEN_OVER
            reason = self._gate.may_receive(item.contact_id, compose.message_class)
            if reason:
                return ledger.skip(reason)
            journal.handing_over(item.ord)
            return None

        try:
            outcome = transport.send(mail, before_dot)
        except TransportRefused as fault:
            return item, Outcome(state=MessageState.DEFERRED, reason="configuration", reply=str(fault))
        except (TransportUnavailable, StoreUnavailable) as fault:
            # Either the server can't be reached or the journal can't be written: nothing was handed over.
            return item, Outcome(state=MessageState.DEFERRED, reason="unavailable", reply=str(fault))
        journal.answered(item.ord, outcome)
        # A window is recorded together, later: but a reader who opens at once must not look faster than the mail.
        return replace(item, digest=mail.digest), replace(outcome, at=self._mailer.clock())

    def _refuse_to_go_on(self, claim: Claim, outcome: Outcome) -> None:
        """Nobody was lost; an operator must look: the campaign is paused where the server refuses all of it."""
        if outcome.reason in ("stopped", "taken_over"):
            return
        if outcome.reason == "configuration":
            self._pause(claim, f"the server refuses our mail: {outcome.reply}")
        raise TransportUnavailable(outcome.reply)

    def _pause(self, claim: Claim, reason: str) -> NoReturn:
        ledger.set_state(self._mailer.store, claim.campaign, CampaignState.PAUSED, reason, self._mailer.clock())
        log.warning("campaign_paused campaign=%s reason=%r", claim.campaign, reason)
        raise TransportUnavailable(f"{claim.campaign} is paused: {reason}")

    def _hand_back(self, claim: Claim, left: Sequence[Item], done: list[tuple[Item, Outcome]], transport: str) -> None:
        """`left` were granted and certainly not handed over."""
        if not ledger.hand_back(self._mailer.store, claim, left[0].ord, done, self._mailer.clock(), transport):
            self._settle([*done, *((item, _TAKEN_OVER) for item in left)])

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


def _no_longer(plan: Plan, item: Item, reached: set[int], now: datetime) -> Outcome | None:
    """Why this message is not wanted any more, if so."""
    if is_over(plan, item, now):
        return ledger.skip(SkipReason.EXPIRED)
    return ledger.skip(SkipReason.GOAL_REACHED) if item.contact_id in reached else None


def _named(claim: Claim) -> tuple[str, int, int]:
    return claim.campaign, claim.plan_id, claim.batch_id


def _log_ending(claim: Claim, item: Item, outcome: Outcome) -> None:
    """What went well is counted by its batch; everything else is told. Never an address: the id leads to it."""
    if outcome.state is not MessageState.SENT:
        told = (claim.campaign, item.delivery_id, outcome.state.value, outcome.reason)
        log.info("message_not_sent campaign=%s message=%s state=%s reason=%s", *told)


def _goals_reached(mailer: Mailer, plan: Plan, claim: Claim) -> set[int]:
    """Who did what the campaign asks for since the plan was frozen: no need to write to her."""
    if plan.definition["goal"] == _CLICK:
        return set()  # there is nothing to click before the message has come
    since = {item.contact_id: plan.at for item in claim.items}
    return audience.goals_reached(mailer.store, plan.definition["goal"], since, mailer.clock())

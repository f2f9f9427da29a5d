"""How does a released message reach the wire exactly once? Claim, choose the way, hand over, record.

Any number of senders may run, be stopped, killed and started again at any moment. What a sender may hand over is
committed before (ledger.advance); what it handed over stands in its journal; what was answered is committed with the
next window. Suppression and consent are read just before each dot.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from typing import NoReturn

from engine import audience, delivery, ledger
from engine.errors import BadConfig, TransportUnavailable
from engine.ledger import Claim, Plan
from engine.model import CampaignState
from engine.pipeline.composing import Composer, plan_composer, routes
from engine.pipeline.handing_over import Handover
from engine.pipeline.holding import Hold
from engine.pipeline.stopping import Stop
from engine.pipeline.workspace import Mailer

_CLICK = "click"

log = logging.getLogger("mailer.send")


def send_due(
    mailer: Mailer, stop: Stop, plan_id: int | None = None, noticed: Callable[[], None] = lambda: None
) -> None:
    """Send every message that is due; safe to run again, and beside others, at any moment.

    `noticed` is called after each batch. Raises TransportUnavailable when no mail gets through: what is left stays
    planned, nobody is lost.
    """
    owner = delivery.owner_name()
    with ExitStack() as opened:
        sender = _Sender(mailer, stop, opened, noticed)
        proof = partial(delivery.trusted_journal, sender.journals)
        while not stop.asked:
            claim = ledger.claim(mailer.store, owner, mailer.clock(), plan_id, proof=proof, is_dead=delivery.is_dead)
            if claim is None:
                return
            sender.send_batch(claim)


class _Sender:
    """One process's worth of sending: a connection for each transport it came to use, and the look before the dot."""

    def __init__(self, mailer: Mailer, stop: Stop, opened: ExitStack, noticed: Callable[[], None]) -> None:
        self.journals = mailer.settings.state_dir / "journal"
        self._mailer = mailer
        self._stop = stop
        self._opened = opened
        self._noticed = noticed
        self._gate = opened.enter_context(closing(audience.gate(mailer.store, mailer.keys)))
        self._transports: dict[str, delivery.Transport] = {}
        self._composers: dict[tuple[int, str], Composer] = {}
        self._broken: dict[str, str] = {}  # transports that failed meanwhile, and how

    def send_batch(self, claim: Claim) -> None:
        """Drive one claimed batch to its end, or hand back what was not handed over."""
        plan = ledger.plan_of(self._mailer.store, claim.plan_id)
        compose = self._way(claim, plan)
        log.info("batch_taken campaign=%s plan=%s batch=%s messages=%s", *_named(claim), len(claim.items))
        hold = Hold(self._mailer.store, claim)
        # The journal must exist before the first hand-over is allowed: a missing one proves nothing.
        with delivery.Journal(self.journals, claim.batch_id, claim.fence) as journal, hold.kept():
            delivery.forget_older(self.journals, claim.batch_id, claim.fence)
            handover = Handover(
                mailer=self._mailer,
                stop=self._stop,
                claim=claim,
                plan=plan,
                compose=compose,
                transport=self._transport(compose),
                gate=self._gate,
                journal=journal,
                hold=hold,
                reached=_goals_reached(self._mailer, plan, claim),
                noticed=self._noticed,
            )
            handover.run()
        if handover.ended is None:
            log.info("batch_done campaign=%s plan=%s batch=%s", *_named(claim))
        elif handover.ended.reason in ("unavailable", "configuration"):
            self._give_up(claim, plan, compose.transport_name, handover.ended.reason, handover.ended.reply)
        self._noticed()

    def _way(self, claim: Claim, plan: Plan) -> Composer:
        """The composer for the first transport of this plan that works, as far as anybody knows."""
        try:
            ways = routes(self._mailer, plan.definition["transport"])
            name = next((one for one in ways if one not in self._broken), ways[0])
            if (claim.plan_id, name) not in self._composers:
                self._composers[claim.plan_id, name] = plan_composer(self._mailer, plan, name)
        except BadConfig as fault:  # a transport or a key went away since the release
            self._hand_back(claim)
            self._pause(claim, str(fault))
        return self._composers[claim.plan_id, name]

    def _give_up(self, claim: Claim, plan: Plan, transport: str, reason: str, said: str) -> None:
        """Nobody was lost. Where another way is left the next batch takes it; else an operator must look."""
        self._broken[transport] = said
        if any(one not in self._broken for one in routes(self._mailer, plan.definition["transport"])):
            log.warning("transport_failed transport=%s reason=%r", transport, said)
            return
        if reason == "configuration":
            self._pause(claim, f"the server refuses our mail: {said}")
        raise TransportUnavailable(said)

    def _pause(self, claim: Claim, reason: str) -> NoReturn:
        ledger.set_state(self._mailer.store, claim.campaign, CampaignState.PAUSED, reason, self._mailer.clock())
        log.warning("campaign_paused campaign=%s reason=%r", claim.campaign, reason)
        raise TransportUnavailable(f"{claim.campaign} is paused: {reason}")

    def _hand_back(self, claim: Claim) -> None:
        """Nothing of it was granted."""
        ledger.hand_back(self._mailer.store, claim, claim.items[0].ord, [], self._mailer.clock())

    def _transport(self, compose: Composer) -> delivery.Transport:
        name = compose.transport_name
        if name not in self._transports:
            opened = delivery.open_transport(name, compose.transport, self._mailer.folder)
            self._transports[name] = self._opened.enter_context(closing(opened))
        self._stop.transport = self._transports[name]
        return self._transports[name]


def _named(claim: Claim) -> tuple[str, int, int]:
    return claim.campaign, claim.plan_id, claim.batch_id


def _goals_reached(mailer: Mailer, plan: Plan, claim: Claim) -> set[int]:
    """Who did what the campaign asks for since the plan was frozen: no need to write to her."""
    if plan.definition["goal"] == _CLICK:
        return set()  # there is nothing to click before the message has come
    since = {item.contact_id: plan.at for item in claim.items}
    return audience.goals_reached(mailer.store, plan.definition["goal"], since, mailer.clock())

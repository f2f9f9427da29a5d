"""How does a released message reach the wire exactly once? Claim, choose the way, hand over, record.

Any number of senders may run, be stopped, killed and started again at any moment. What a sender may hand over is
committed before (ledger.advance); what it handed over stands in its journal; what was answered is committed with the
next window. Suppression and consent are read just before each dot.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NoReturn

from engine import audience, delivery, ledger
from engine.errors import BadConfig, TransportUnavailable
from engine.ledger import Claim, Plan
from engine.model import CampaignState, Outcome
from engine.pipeline.aftermath import Aftermath
from engine.pipeline.arbitrating import Arbiter
from engine.pipeline.composing import Composer, plan_composer
from engine.pipeline.handing_over import Handover, Tempo
from engine.pipeline.holding import Hold
from engine.pipeline.pacing import Pace
from engine.pipeline.routing import Routing
from engine.pipeline.stopping import Stop
from engine.pipeline.workspace import Mailer

_CLICK = "click"
_PATIENCE_SECONDS = 30.0  # so long a sender waits for its turn; longer, it goes and comes back
_ASK_AGAIN_SECONDS = 60.0  # at most: an operator may have raised the cap meanwhile

log = logging.getLogger("mailer.send")


class Turns:
    """Scopes whose turn comes later, as far as one process knows; kept from round to round, so that it asks rarely."""

    def __init__(self) -> None:
        self._later: dict[str, tuple[float, float]] = {}  # when to ask again, and when the turn comes

    def wait(self, scope: str, seconds: float) -> None:
        """Its turn comes in so many seconds."""
        now = time.monotonic()
        self._later[scope] = now + min(seconds, _ASK_AGAIN_SECONDS), now + seconds

    def shut(self) -> list[str]:
        """The scopes of which nothing should be claimed now."""
        now = time.monotonic()
        self._later = {scope: times for scope, times in self._later.items() if times[0] > now}
        return sorted(self._later)

    def soonest(self) -> float:
        """Seconds until the next turn; endless where nothing waits."""
        return min((turn for _, turn in self._later.values()), default=float("inf")) - time.monotonic()


def send_due(
    mailer: Mailer,
    stop: Stop,
    plan_id: int | None = None,
    noticed: Callable[[], None] = lambda: None,
    turns: Turns | None = None,
) -> None:
    """Send every message that is due; safe to run again, and beside others, at any moment.

    `noticed` is called after each batch; `turns` is what this process knows from the last time. Raises
    TransportUnavailable when no mail gets through: what is left stays planned, nobody is lost.
    """
    owner = delivery.owner_name()
    with ExitStack() as opened:
        journals = mailer.settings.state_dir / "journal"
        opened.enter_context(delivery.presence(journals, owner))
        turns = turns or Turns()
        sender = _Sender(mailer, stop, opened, noticed, journals, turns)
        proof = partial(delivery.trusted_journal, journals)
        is_dead = partial(delivery.is_dead, folder=journals)
        claim_next = partial(ledger.claim, mailer.store, owner, proof=proof, is_dead=is_dead)
        while not stop.asked:
            claim = claim_next(at=mailer.clock(), plan_id=plan_id, via=sender.routing.via(), shut=turns.shut())
            if claim is not None:
                sender.send_batch(claim)
            elif not sender.rest():
                return


class _Sender:
    """One process's worth of sending: a connection for each transport it came to use, and the look before the dot."""

    def __init__(
        self,
        mailer: Mailer,
        stop: Stop,
        opened: ExitStack,
        noticed: Callable[[], None],
        journals: Path,
        turns: Turns,
    ) -> None:
        self.routing = Routing(mailer)
        self._journals = journals
        self._mailer = mailer
        self._stop = stop
        self._opened = opened
        self._noticed = noticed
        self._gate = opened.enter_context(closing(audience.gate(mailer.store, mailer.keys)))
        self._aftermath = Aftermath(mailer)
        self._arbiter = Arbiter(mailer)
        self._transports: dict[str, delivery.Transport] = {}
        self._paces: dict[str, Pace] = {}
        self._tempi: dict[str, Tempo] = {}
        self._composers: dict[tuple[int, str], Composer] = {}
        self._plans: dict[int, Plan] = {}
        self._turns = turns

    def rest(self) -> bool:
        """Wait for the next scope's turn where that is soon; False when there is nothing to wait for."""
        soonest = self._turns.soonest()
        if soonest > _PATIENCE_SECONDS:
            return False
        self._stop.rest(soonest)
        return True

    def send_batch(self, claim: Claim) -> None:
        """Drive one claimed batch to its end, or hand back what was not handed over."""
        plan = self._plan(claim.plan_id)
        allowed = self._arbiter.let_go(claim, plan)
        if allowed is None:
            return
        claim = allowed
        compose = self._composer(claim, plan)
        name = compose.transport_name
        log.info("batch_taken campaign=%s plan=%s batch=%s messages=%s", *_named(claim), len(claim.items))
        hold = Hold(self._mailer.store, claim)
        # The journal must exist before the first hand-over is allowed: a missing one proves nothing.
        with delivery.Journal(self._journals, claim.batch_id, claim.fence) as journal, hold.kept():
            delivery.forget_older(self._journals, claim.batch_id, claim.fence)
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
                pace=self._paces[name],
                tempo=self._tempi[name],
                aftermath=self._aftermath,
                reached=_goals_reached(self._mailer, plan, claim),
                noticed=self._noticed,
            )
            handover.run()
        self._learn(claim, plan, name, handover)
        self._noticed()

    def _learn(self, claim: Claim, plan: Plan, transport: str, handover: Handover) -> None:
        """What the end of a batch says about its transport."""
        if handover.sent:
            self.routing.worked(transport)
        ended = handover.ended
        if ended is None:
            log.info("batch_done campaign=%s plan=%s batch=%s", *_named(claim))
        elif handover.wait is not None:
            self._turns.wait(handover.wait.scope, handover.wait.seconds)
            log.info("batch_waits campaign=%s plan=%s batch=%s reason=%r", *_named(claim), handover.wait.why)
        elif handover.lacks_store:
            raise TransportUnavailable(ended.reply)  # no other way would do better
        elif ended.reason in ("unavailable", "configuration"):
            self._give_up(claim, plan, transport, ended)

    def _give_up(self, claim: Claim, plan: Plan, transport: str, ended: Outcome) -> None:
        """Nobody was lost. Where another way is left the next batch takes it; else an operator must look."""
        is_refused = ended.reason == "configuration"
        self.routing.failed(transport, ended.reply, for_good=is_refused)
        if self.routing.is_another_left(plan.definition["transport"]):
            return
        if is_refused:
            self._pause(claim, f"the server refuses our mail: {ended.reply}")
        raise TransportUnavailable(ended.reply)

    def _pause(self, claim: Claim, reason: str) -> NoReturn:
        ledger.set_state(self._mailer.store, claim.campaign, CampaignState.PAUSED, reason, self._mailer.clock())
        log.warning("campaign_paused campaign=%s reason=%r", claim.campaign, reason)
        raise TransportUnavailable(f"{claim.campaign} is paused: {reason}")

    def _plan(self, plan_id: int) -> Plan:
        """The plan of a batch, read once: of a released plan only its state changes, and `advance` looks at that."""
        if plan_id not in self._plans:
            self._plans[plan_id] = ledger.plan_of(self._mailer.store, plan_id)
        return self._plans[plan_id]

    def _composer(self, claim: Claim, plan: Plan) -> Composer:
        """The composer for the transport in use; a transport or a key may have gone away since the release."""
        try:
            key = claim.plan_id, self.routing.way_of(plan.definition["transport"])
            if key not in self._composers:
                self._composers[key] = plan_composer(self._mailer, plan, key[1])
            return self._composers[key]
        except (BadConfig, KeyError) as fault:
            ledger.hand_back(self._mailer.store, claim, claim.items[0].ord, [], self._mailer.clock())
            gone = f"transport {plan.definition['transport']!r} is not in config.toml"
            self._pause(claim, gone if isinstance(fault, KeyError) else str(fault))

    def _transport(self, compose: Composer) -> delivery.Transport:
        name = compose.transport_name
        if name not in self._transports:
            opened = delivery.open_transport(name, compose.transport, self._mailer.folder)
            self._transports[name] = self._opened.enter_context(closing(opened))
            self._paces[name] = self._opened.enter_context(closing(Pace(self._mailer, name)))
            self._tempi[name] = Tempo()
        self._stop.transport = self._transports[name]
        return self._transports[name]


def _named(claim: Claim) -> tuple[str, int, int]:
    return claim.campaign, claim.plan_id, claim.batch_id


def _goals_reached(mailer: Mailer, plan: Plan, claim: Claim) -> set[int]:
    """Who did what the campaign asks for since the plan was frozen: no need to write to her."""
    if plan.definition["goal"] == _CLICK:
        return set()  # there is nothing to click before the message has come
    # A journey's plan stands for a month: what she did counts from her own entry on.
    since: Mapping[int, datetime] = (
        ledger.entered_at(mailer.store, [item.message_id for item in claim.items])
        if "journey" in plan.definition
        else {item.contact_id: plan.at for item in claim.items}
    )
    return audience.goals_reached(mailer.store, plan.definition["goal"], since, mailer.clock())

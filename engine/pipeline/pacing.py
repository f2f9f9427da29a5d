"""May one more message go out now, to this destination, over this transport? And what does an answer say about that?

Limits come from config.toml and from what the other side answered; they are shared by all senders through the ledger's
buckets. A sender leases leave for some messages at a time, so that an unlimited transport costs nothing at all.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from functools import partial

from engine import ledger, replies
from engine.config import TransportSettings
from engine.destinations import domain_of, group_of
from engine.ledger import Claim, Item, PaceLimit
from engine.model import MessageState, Outcome
from engine.pipeline.routing import ways_in_use
from engine.pipeline.workspace import Mailer

# How long a scope is left alone: after a throttle (it goes on at half the rate), and after it turned us away for what
# it thinks of us. A block that says "later" concerns all our mail; one that says "never" may concern one message.
_COOL_DOWN_SECONDS = 60.0
_BLOCK_SECONDS = 4 * 3600.0
_BLOCKS_IN_A_ROW = 3
# Commands whose refusal speaks of this destination; before them the server judges the connection.
_ABOUT_THE_RECIPIENT = ("RCPT", ".", "http")

log = logging.getLogger("mailer.send")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Not now: how long, and for which scope; `is_for_all` when nothing more of the batch may go either."""

    seconds: float
    scope: str
    why: str
    is_for_all: bool


class Pace:
    """One sender's view of one transport. Ask `leave_for` before each message, tell it each answer."""

    def __init__(self, mailer: Mailer, transport: str) -> None:
        self._mailer = mailer
        self._transport = transport
        self._settings = mailer.settings.transport[transport]
        self._group_of = destination_of(mailer)
        self._slowed: dict[str, ledger.Restraint] = {}
        self._free = self._is_free()
        self._batch_destination = ""
        self._tokens: dict[tuple[str, ...], int] = defaultdict(int)
        self._leased_on = date.min
        self._blocks: dict[str, int] = defaultdict(int)
        self._began, self._number = time.monotonic(), 0

    def begin(self, claim: Claim) -> None:
        """A new batch: what holds or slows its scopes was read with the claim."""
        self._slowed = dict(claim.restraints)
        self._free = self._is_free()
        self._batch_destination = claim.destination
        self._began, self._number = time.monotonic(), 0

    def leave_for(self, item: Item) -> Wait | None:
        """None: this message may go now. Costs nothing where nothing is limited."""
        self._number += 1
        if self._free:
            return None
        day, left = self._day()
        limits = self._limits(self.destination_of(item), day)
        scopes = tuple(one.scope for one in limits)
        if day != self._leased_on:
            self.close()  # leave of yesterday counts for yesterday
            self._leased_on = day
        if limits and not self._tokens[scopes]:
            leased = self._leased(limits, day, left)
            if not leased.granted and any(self._tokens.values()):
                self.close()  # what was leased for another destination may be just what is missing
                leased = self._leased(limits, day, left)
            if not leased.granted:
                for_all = leased.scope == self._transport or bool(self._batch_destination)
                return Wait(seconds=leased.wait_seconds, scope=leased.scope, why=leased.why, is_for_all=for_all)
            self._tokens[scopes] += leased.granted
        if limits:
            self._tokens[scopes] -= 1
        return None

    def _leased(self, limits: list[PaceLimit], day: date, seconds_left: float) -> ledger.Lease:
        slowest = min((self._rate(one) for one in limits if self._rate(one)), default=0.0)
        return ledger.lease(self._mailer.store, limits, ledger.lease_size(slowest), day, seconds_left)

    def destination_of(self, item: Item) -> str:
        """The batch's destination; in a mixed batch the mail system behind the recipient's own domain."""
        return self._batch_destination or self._group_of(domain_of(item.email))

    def answered(self, item: Item, outcome: Outcome) -> None:
        """Slow down or hold what the other side asked us to leave alone; other senders see it at their next claim."""
        destination = self.destination_of(item)
        if outcome.state is MessageState.SENT:
            if self._blocks:
                self._blocks.pop(destination, None)
            return
        action = replies.action_of(outcome.reason)
        if action.destination == "none" or outcome.state not in (MessageState.DEFERRED, MessageState.REFUSED):
            return
        is_theirs = outcome.stage in _ABOUT_THE_RECIPIENT
        scope = ledger.scope_of(self._transport, destination if is_theirs else "")
        why = f"{outcome.reason}: {outcome.reply}"
        if action.destination == "slow_down":
            rate = ledger.slow_down(self._mailer.store, scope, why, _COOL_DOWN_SECONDS, self._seen_rate())
            log.warning("slowed_down scope=%s rate=%.3g reason=%r", scope, rate, why)
            self._restrain(scope, _COOL_DOWN_SECONDS, why)
            return
        self._blocks[destination] += 1
        if outcome.state is MessageState.DEFERRED or self._blocks[destination] >= _BLOCKS_IN_A_ROW:
            ledger.hold(self._mailer.store, scope, _BLOCK_SECONDS, why)
            log.warning("held scope=%s hours=%.3g reason=%r", scope, _BLOCK_SECONDS / 3600, why)
            self._restrain(scope, _BLOCK_SECONDS, why)

    def _seen_rate(self) -> float:
        """Messages a second in this batch: what is halved where nothing else is known."""
        return self._number / max(1.0, time.monotonic() - self._began)

    def close(self) -> None:
        """Give back what was leased and not used."""
        for scopes, tokens in self._tokens.items():
            if tokens:
                ledger.give_back(self._mailer.store, scopes, tokens, self._leased_on)
        self._tokens.clear()

    def _is_free(self) -> bool:
        settings = self._settings
        return not (
            settings.rate
            or settings.daily
            or settings.warm_up
            or self._slowed
            or self._mailer.settings.limits.destination
        )

    def _limits(self, destination: str, day: date) -> list[PaceLimit]:
        """The scopes of a message that limit anything."""
        own = self._mailer.settings.limits.destination.get(destination)
        limits = [
            PaceLimit(
                scope=ledger.scope_of(self._transport), rate=self._settings.rate, daily=allowance(self._settings, day)
            ),
            PaceLimit(
                scope=ledger.scope_of(self._transport, destination),
                rate=own.rate if own else 0.0,
                daily=(own.daily or None) if own else None,
            ),
        ]
        return [one for one in limits if one.rate or one.daily is not None or one.scope in self._slowed]

    def _rate(self, limit: PaceLimit) -> float:
        slowed = self._slowed.get(limit.scope)
        return slowed.rate if slowed and slowed.rate else limit.rate

    def _restrain(self, scope: str, seconds: float, why: str) -> None:
        """From now on this sender, too, asks before each message of the scope, and gives back what it had leased."""
        self._slowed[scope] = ledger.Restraint(held_seconds=seconds, rate=0.0, why=why)
        self._free = False
        self.close()

    def _day(self) -> tuple[date, float]:
        """The shop's day, and how many seconds of it are left."""
        now = self._mailer.clock().astimezone(self._mailer.zone)
        midnight = datetime.combine(now.date() + timedelta(days=1), time_of_day(), self._mailer.zone)
        return now.date(), (midnight.timestamp() - now.timestamp())


def destination_of(mailer: Mailer) -> Callable[[str], str]:
    """The mail system behind a domain, by config.toml and the known providers."""
    return partial(group_of, configured=mailer.settings.limits.destination)


def held_up(mailer: Mailer, plan_id: int | None = None) -> list[str]:
    """What holds released messages back beside their hour, a sentence each; of one plan, or of all."""
    found = ledger.holdups(mailer.store, mailer.clock(), plan_id, via=ways_in_use(mailer))
    return [_sentence(mailer, one) for one in found if one.kind != ledger.DAILY or _is_capped(mailer, one)]


def _is_capped(mailer: Mailer, one: ledger.Holdup) -> bool:
    """Whether config.toml still sets the cap that was reached: nobody asks the bucket about one that is gone."""
    if one.destination:
        own = mailer.settings.limits.destination.get(one.destination)
        return own is not None and own.daily > 0
    settings = mailer.settings.transport.get(one.transport)
    return settings is not None and allowance(settings, mailer.clock().astimezone(mailer.zone).date()) is not None


def _sentence(mailer: Mailer, one: ledger.Holdup) -> str:
    to = f" to {one.destination}" if one.destination else ""
    by = f" over {one.transport}" if one.transport else ""
    until = f", until {one.until.astimezone(mailer.zone):%Y-%m-%d %H:%M}" if one.until else ""
    number = "1 message" if one.messages == 1 else f"{one.messages:,} messages"
    wait = "waits" if one.messages == 1 else "wait"
    return f"{number}{to}{by} {wait}: {one.why}{until}"


def allowance(settings: TransportSettings, day: date) -> int | None:
    """How many messages a transport may send on this day of the shop's: its warm-up, then its cap; None: any number."""
    cap = settings.daily or None
    if not settings.warm_up or settings.warm_up_from is None:
        return cap
    step = max(0, (day - settings.warm_up_from).days)
    if step >= len(settings.warm_up):
        return cap
    return min(settings.warm_up[step], cap) if cap else settings.warm_up[step]

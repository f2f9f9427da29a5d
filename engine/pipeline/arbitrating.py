"""May these messages go to these people now? Quiet hours, caps, and which of several messages is the best for somebody.

Asked when a batch was claimed, before anything of it is handed over. Costs nothing where neither caps nor quiet hours
are set, and for transactional messages.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from engine import audience, campaign, ledger
from engine.audience import Place
from engine.campaign import Allowance, OwnTime
from engine.campaign.own_time import Whereabouts
from engine.ledger import CAPPED, OUTRANKED, QUIET, Claim, Item, Known, Later, Plan, Waiting
from engine.model import TRANSACTIONAL, Outcome, SkipReason
from engine.pipeline.workspace import Mailer

_LOOK_AGAIN = timedelta(minutes=10)  # who yields to a better message that is not out yet asks again then
_GRID = timedelta(minutes=15)  # so that those who wait lie in few batches
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOWHERE = Place(timezone=None, region=None, country=None)

log = logging.getLogger("mailer.send")


class Arbiter:
    """One sender's arbiter: what config.toml says of quiet hours and caps."""

    def __init__(self, mailer: Mailer) -> None:
        limits = mailer.settings.limits
        self._mailer = mailer
        self._allowance = Allowance.of(limits)
        self._time = OwnTime(shop_zone=mailer.zone, quiet=campaign.Quietness.of(limits))

    def let_go(self, claim: Claim, plan: Plan) -> Claim | None:
        """The claim with those who may go now; the others wait for their moment, or are skipped for good.

        None: nobody is left, or somebody took the batch over. Then there is nothing more to do with it.
        """
        message_class = plan.definition["message_class"]
        is_capped = self._allowance.concerns(message_class)
        if message_class == TRANSACTIONAL or not (is_capped or self._time.quiet.is_set):
            return claim
        store, at = self._mailer.store, self._mailer.clock()
        places = audience.places(store, [item.contact_id for item in claim.items])
        judge = self._judge(places, at)
        if is_capped:
            rest = ledger.take_turns(store, claim, judge, at)
        else:
            waiting = ledger.waiting_of(store, claim)
            verdicts = {item.ord: judge(item, waiting[item.message_id], Known()) for item in claim.items}
            rest = ledger.put_off(store, claim, verdicts, at)
        if rest is not None and len(rest.items) < len(claim.items):
            told = (claim.campaign, claim.batch_id, len(claim.items) - len(rest.items))
            log.info("not_their_turn campaign=%s batch=%s messages=%s", *told)
        if rest is not None and not rest.items:
            ledger.finish(store, rest, [], at)
            return None
        return rest

    def _judge(self, places: dict[int, Place], at: datetime) -> ledger.Judge:
        def judge(item: Item, mine: Waiting, known: Known) -> ledger.Verdict:
            return self.verdict(places.get(item.contact_id, _NOWHERE), mine, known, at)

        return judge

    def verdict(self, where: Whereabouts, mine: Waiting, known: Known, at: datetime) -> ledger.Verdict:
        """Whether this message may go to somebody who lives there, beside all else that goes to her."""

        def legal(moment: datetime) -> datetime:
            return self._time.legal(where, mine.message_class, moment)

        if (awake := legal(at)) > at:
            why = "where she lives the quiet hours end after it has expired"
            return _later(mine, awake, QUIET) or _over(SkipReason.EXPIRED, why)
        return self._by_caps(mine, known, at, legal)

    def _by_caps(
        self, mine: Waiting, known: Known, at: datetime, legal: Callable[[datetime], datetime]
    ) -> ledger.Verdict:
        allowance, of_class = self._allowance, mine.message_class
        sent = [(one.at, one.message_class) for one in known.went]
        if not allowance.room(of_class, sent, at):
            free = _on_the_grid(legal(allowance.next_room(of_class, sent, at)), legal, mine.ends_at)
            return _later(mine, free, CAPPED) or _over(SkipReason.CAPPED, self._words(mine, known, at))
        going = [*sent, *((at, one.message_class) for one in known.under_way)]
        if not allowance.room(of_class, going, at):
            again = _later(mine, at + _LOOK_AGAIN, OUTRANKED)
            return again or _over(SkipReason.CAPPED, self._words(mine, known, at))
        ahead = going
        for rival in sorted(known.rivals, key=lambda one: one.rank):
            if rival.rank < mine.rank and allowance.room(rival.message_class, ahead, at):
                ahead = [*ahead, (at, rival.message_class)]
        # Nobody expires for a better message that may never go: at its last chance it takes the room there is.
        return None if allowance.room(of_class, ahead, at) else _later(mine, at + _LOOK_AGAIN, OUTRANKED)

    def _words(self, mine: Waiting, known: Known, at: datetime) -> str:
        """Which cap, and which messages took all that it allows."""
        went = [(one.at, one.message_class) for one in known.went]
        going = [(at, one.message_class) for one in known.under_way]
        cap = self._allowance.blocking(mine.message_class, [*went, *going], at)
        got = [f"{one.campaign} ({one.at:%Y-%m-%d %H:%M} UTC)" for one in sorted(known.went, key=lambda one: one.at)]
        got = got[-3:] + [f"{one.campaign} (on its way)" for one in known.under_way]
        return f"{cap}; she got {', '.join(got)}, and it expires before there is room again"


def _later(mine: Waiting, moment: datetime, waits_for: str) -> Later | None:
    """Wait until then, if that is not too late."""
    return Later(until=moment, waits_for=waits_for) if moment < mine.ends_at else None


def _over(reason: SkipReason, words: str) -> Outcome:
    return replace(ledger.skip(reason), reply=words)


def _on_the_grid(moment: datetime, legal: Callable[[datetime], datetime], ends_at: datetime) -> datetime:
    """The next full quarter of an hour, where that is legal and in time; else the moment itself."""
    rounded = _EPOCH + -(-(moment - _EPOCH) // _GRID) * _GRID
    return rounded if rounded < ends_at and legal(rounded) == rounded else moment

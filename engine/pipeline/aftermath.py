"""What follows from the answers that a sender got, once they are in the ledger? For addresses, and for the campaign."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from engine import ledger, replies
from engine.errors import StoreUnavailable
from engine.ledger import Item
from engine.model import MessageState, Outcome
from engine.pipeline.braking import look_if_due
from engine.pipeline.noticing import Effect, address_consequence
from engine.pipeline.workspace import Mailer

_CAUGHT_UP_FOR = timedelta(days=3)

log = logging.getLogger("mailer.send")


class Aftermath:
    """One sender's: gives dead addresses up, and asks the brake when something went wrong."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer

    def recorded(self, campaign: str, done: Sequence[tuple[Item, Outcome]], at: datetime) -> str | None:
        """Call it when these outcomes are in the ledger; gives why the campaign was paused just now, if it was.

        Costs nothing where nothing went wrong, and never raises: what the database could not take is made up for by
        the tick and by the night.
        """
        troubles = [(item, outcome) for item, outcome in done if _is_trouble(outcome)]
        try:
            for item, outcome in troubles:
                if replies.action_of(outcome.reason).address != "keep":
                    address_consequence(self._mailer, item.contact_id, outcome.reason, at, "smtp")
            return look_if_due(self._mailer, campaign, at) if troubles else None
        except StoreUnavailable as fault:
            log.warning("aftermath_put_off campaign=%s reason=%r", campaign, str(fault))
            return None


def catch_up(mailer: Mailer, at: datetime) -> int:
    """Give up the addresses that a killed sender had no time for; gives how many."""
    gone = [word for word, one in replies.ACTIONS.items() if one.address != "keep"]
    found = ledger.refused_since(mailer.store, gone, at - _CAUGHT_UP_FOR)
    given_up = [address_consequence(mailer, contact_id, reason, at, "smtp") for contact_id, reason in found]
    return sum(one is Effect.SUPPRESSED for one in given_up)


def _is_trouble(outcome: Outcome) -> bool:
    return outcome.state in (MessageState.REFUSED, MessageState.DEFERRED)

"""How does a journey tell another system? A POST of JSON, at least once, with the same `Idempotency-Key` each time.

The body names journey, step and moment, and the person by the shop's own number and a SHA-256 of her address in lower
case: who knows her can tell who is meant, and a log on the way holds no address. A 2xx is an answer; anything else is
tried again, later each time, and given up after three days. No redirect is followed.
"""

import logging
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from engine import ledger
from engine.ledger import Call
from engine.pipeline.workspace import Mailer
from engine.webhooks import Poster

GIVEN_UP_AFTER = timedelta(days=3)
_MOST = 200  # in one tick: another one goes on
_MOST_FAILURES = 5  # of one host, in one tick: a dead host must not hold up the others'
_BUSY = timedelta(minutes=5)  # then somebody else may call: whoever took it is dead
_WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360))

log = logging.getLogger("mailer.journeys")


def call_out(mailer: Mailer, at: datetime) -> None:
    """Call the webhooks that are due; a step of the tick."""
    failures: dict[str, int] = {}
    with Poster() as poster:
        for _ in range(_MOST):
            taken = ledger.take_call(mailer.store, at, at + _BUSY)
            if taken is None:
                return
            host = urlsplit(taken.url).netloc
            is_dead = failures.get(host, 0) >= _MOST_FAILURES
            trouble = (
                "the host failed" if is_dead else poster.post(taken.url, taken.body, {"Idempotency-Key": taken.key})
            )
            if trouble:
                failures[host] = failures.get(host, 0) + 1
            again_at = next_try(taken, at) if trouble else None
            ledger.answer_call(mailer.store, taken, again_at, trouble)
            if trouble:
                log.warning("call_failed key=%s tries=%s given_up=%s reason=%r", *_told(taken, again_at), trouble)


def next_try(taken: Call, at: datetime) -> datetime | None:
    """When a call that failed is tried again; None: three days are over."""
    again_at = at + _WAITS[min(taken.tries, len(_WAITS)) - 1]
    return again_at if again_at - taken.at <= GIVEN_UP_AFTER else None


def _told(taken: Call, again_at: datetime | None) -> tuple[str, int, bool]:
    return taken.key, taken.tries, again_at is None

"""Which batches could a sender take this moment? A look without a lock and without a promise: `claim` alone decides.

What is told here has been told before, and will be again as long as it is true: whoever hears of it may be late.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engine.ledger import choosing
from engine.ledger.breakers import OPEN
from engine.store import Store
from engine.store.tables import breaker, bucket

MOST = 10_000  # batches told of at once; those that wait longest at the highest priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Runnable:
    """A batch that is due, or whose sender was not heard of for a whole lease."""

    plan_id: int
    batch_id: int
    priority: int


def runnable(
    store: Store, at: datetime, *, via: Mapping[str, str], shut: Collection[str] = (), limit: int = MOST
) -> list[Runnable]:
    """What a sender could take now: nothing that is paused, held, capped for today or of a scope in `shut`.

    `via` as for `claim`.
    """
    scopes = tuple(sorted({*shut, *_used_up(store)}))
    wanted = choosing.runnable(store, scopes, tuple(sorted(via.items())))
    with store.read() as db:
        return [Runnable(**row._mapping) for row in db.execute(wanted.limit(limit), {"at": at})]


def left_alone(store: Store) -> frozenset[str]:
    """The transports that nobody tries just now. Only a look: unlike `breaker_open` it makes nobody the one to try."""
    wanted = sa.select(breaker.c.transport).where(breaker.c.state == OPEN, breaker.c.open_until > store.epoch_now())
    with store.read() as db:
        return frozenset(db.scalars(wanted))


def _used_up(store: Store) -> list[str]:
    """Scopes that are held, or have had all of today's messages."""
    now = store.epoch_now()
    is_capped = (bucket.c.day_count >= bucket.c.daily) & (bucket.c.day_ends > now)
    with store.read() as db:
        return list(db.scalars(sa.select(bucket.c.scope).where((bucket.c.held_until > now) | is_capped)))

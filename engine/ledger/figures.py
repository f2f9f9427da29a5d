"""How much lies ready, how fast may it go, and is each way open? Small tables, for metrics."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from engine.model import BatchState
from engine.store import Store
from engine.store.tables import batch, breaker, bucket


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """How fast messages may go over one scope just now."""

    scope: str
    rate: float  # messages a second; 0: no limit
    held_seconds: float


def open_batches(store: Store) -> Mapping[str, int]:
    """How many batches are ready, and how many are leased, by the index on their state."""
    wanted = sa.select(batch.c.state, sa.func.count()).group_by(batch.c.state)
    found = {BatchState.READY.value: 0, BatchState.LEASED.value: 0}
    with store.read() as db:
        return found | dict(map(tuple, db.execute(wanted.where(batch.c.state.in_(list(found))))))


def flows(store: Store) -> list[Flow]:
    """Every scope that was ever limited, held or slowed."""
    wanted = sa.select(bucket, store.epoch_now().label("now")).order_by(bucket.c.scope)
    with store.read() as db:
        return [
            Flow(scope=row.scope, rate=row.rate * row.factor, held_seconds=max(0.0, row.held_until - row.now))
            for row in db.execute(wanted)
        ]


def breaker_states(store: Store) -> Mapping[str, str]:
    """The breaker of each transport that ever failed: closed, open or half_open."""
    with store.read() as db:
        return dict(map(tuple, db.execute(sa.select(breaker.c.transport, breaker.c.state))))

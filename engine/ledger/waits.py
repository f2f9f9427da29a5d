"""Who was postponed to a better hour or for a better message, until when, and what does she wait for?"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engine.ledger.turns import CAPPED, OUTRANKED, QUIET
from engine.model import BatchState, MessageState
from engine.store import Store
from engine.store.tables import attempt, batch, batch_item, message

_WAITS = (
    sa.select(message.c.id, message.c.contact_id, batch.c.waits_for, batch.c.not_before)
    .select_from(message)
    .join(batch_item, batch_item.c.message_id == message.c.id)
    .join(batch, batch.c.id == batch_item.c.batch_id)
    .outerjoin(attempt, (attempt.c.message_id == message.c.id) & (attempt.c.n == batch_item.c.attempt))
    .where(
        message.c.state == MessageState.PLANNED,
        batch.c.state == BatchState.READY,
        batch.c.waits_for.in_([QUIET, CAPPED, OUTRANKED]),
        attempt.c.n.is_(None),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponed:
    """What a message waits for, in a word (quiet, capped, outranked), and from when on it may be claimed."""

    waits_for: str
    until: datetime


def postponed_of(db: sa.Connection, contact_id: int) -> dict[int, Postponed]:
    """The postponed messages of a contact, by message."""
    rows = db.execute(_WAITS.where(message.c.contact_id == contact_id))
    return {row.id: Postponed(waits_for=row.waits_for, until=row.not_before) for row in rows}


def postponed_in(store: Store, plan_id: int) -> dict[int, Postponed]:
    """The postponed messages of a plan, by contact."""
    with store.read() as db:
        rows = db.execute(_WAITS.where(batch.c.plan_id == plan_id)).all()
    return {row.contact_id: Postponed(waits_for=row.waits_for, until=row.not_before) for row in rows}

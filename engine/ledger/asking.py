"""Which messages went out under a key by which their provider can still be asked what became of them?"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engine.ledger.items import Item
from engine.ledger.rows import Row
from engine.model import MessageState, PlanState
from engine.store import Store
from engine.store.tables import attempt, batch_item, contact, message, plan, plan_entry

_KEYED = "key=%"  # how the reply of such an attempt begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """An uncertain attempt whose reply kept its key. `item` is None once its address or context is gone."""

    plan_id: int
    batch_id: int
    ord: int
    transport: str  # empty: the sender died before it could say; the reply tells
    reply: str
    at: datetime
    item: Item | None


def keyed_doubts(store: Store, since: datetime, limit: int = 2000) -> list[Keyed]:
    """Uncertain messages of released plans, last tried since then under a key; in the order in which they went out."""
    later = sa.select(sa.func.max(batch_item.c.attempt)).where(batch_item.c.message_id == message.c.id)
    wanted = (
        sa.select(
            message,
            batch_item.c.batch_id,
            batch_item.c.ord,
            attempt.c.n.label("tried"),
            attempt.c.transport,
            attempt.c.reply,
            attempt.c.at,
            contact.c.email,
            plan_entry.c.language,
            plan_entry.c.template_hash,
            plan_entry.c.tracked,
            plan_entry.c.context,
        )
        .join(attempt, (attempt.c.message_id == message.c.id) & (attempt.c.state == MessageState.UNCERTAIN))
        .join(batch_item, (batch_item.c.message_id == message.c.id) & (batch_item.c.attempt == attempt.c.n))
        .join(plan_entry, (plan_entry.c.plan_id == message.c.plan_id) & (plan_entry.c.n == message.c.n))
        .join(plan, plan.c.id == message.c.plan_id)
        .join(contact, contact.c.id == message.c.contact_id)
        .where(
            message.c.state == MessageState.UNCERTAIN,
            attempt.c.n == later.correlate(message).scalar_subquery(),
            attempt.c.reply.like(_KEYED),
            attempt.c.at >= since,
            plan.c.state == PlanState.RELEASED,
        )
        .order_by(batch_item.c.batch_id, batch_item.c.ord)
        .limit(limit)
    )
    with store.read() as db:
        return [
            Keyed(
                plan_id=row.plan_id,
                batch_id=row.batch_id,
                ord=row.ord,
                transport=row.transport,
                reply=row.reply,
                at=row.at,
                item=_item(row) if row.email is not None and row.context is not None else None,
            )
            for row in db.execute(wanted)
        ]


def _item(row: Row) -> Item:
    return Item(
        ord=row.ord,
        message_id=row.id,
        contact_id=row.contact_id,
        n=row.n,
        attempt=row.tried,
        delivery_id=row.delivery_id,
        variant=row.variant,
        email=row.email,
        language=row.language,
        template_hash=row.template_hash,
        tracked=row.tracked,
        send_at=row.send_at,
        digest=row.digest,
        first_at=None,
        packed=row.context,
    )

"""What is there to hand over in a batch, with all that is needed to render it?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from engine.ledger import prepared
from engine.ledger.freezing import unpacked
from engine.ledger.prepared import said
from engine.model import MessageState
from engine.store import Store, among, chunks, from_micros
from engine.store.tables import attempt, batch_item, contact, message, plan_entry


class Item(NamedTuple):
    """One message to hand over."""

    ord: int  # its place in the batch
    message_id: int
    contact_id: int
    n: int  # its place in the plan
    attempt: int
    delivery_id: str
    variant: str
    email: str
    language: str
    template_hash: str
    tracked: bool
    send_at: datetime
    digest: str  # of the mail the dry run showed
    first_at: datetime | None  # when it was tried first; None: never yet
    packed: bytes  # the context as it was frozen

    @property
    def context(self) -> Mapping[str, Any]:
        """What the template reads. Unpacked anew by each look: 500 of them would lie in memory otherwise."""
        return unpacked(self.packed) or {}

    def __repr__(self) -> str:
        return f"Item(ord={self.ord}, message_id={self.message_id}, attempt={self.attempt})"


_OPEN = (
    sa.select(
        batch_item.c.ord,
        message.c.id,
        message.c.contact_id,
        message.c.n,
        batch_item.c.attempt,
        message.c.delivery_id,
        message.c.variant,
        contact.c.email,
        plan_entry.c.language,
        plan_entry.c.template_hash,
        plan_entry.c.tracked,
        message.c.send_at,
        plan_entry.c.digest,
        plan_entry.c.context,
    )
    .join(message, message.c.id == batch_item.c.message_id)
    .join(plan_entry, (plan_entry.c.plan_id == message.c.plan_id) & (plan_entry.c.n == message.c.n))
    .join(contact, contact.c.id == message.c.contact_id)
    .outerjoin(attempt, (attempt.c.message_id == message.c.id) & (attempt.c.n == batch_item.c.attempt))
    .where(
        batch_item.c.batch_id == sa.bindparam("batch"),
        attempt.c.n.is_(None),
        message.c.state == said(MessageState.PLANNED),
    )
    .order_by(batch_item.c.ord)
)
_MESSAGE, _ATTEMPT, _EMAIL, _CONTEXT = 1, 4, 7, 13  # places in a row of _OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """An item that can't be rendered any more: the address is gone, or what was frozen."""

    message_id: int
    attempt: int
    has_address: bool


def open_items(store: Store, batch_id: int) -> tuple[tuple[Item, ...], list[Erased]]:
    """The messages of the batch that are still to be handed over, in order; and those that never can be."""
    with store.read() as db:
        rows = prepared.ask(db, store, _OPEN, ("batch",), (batch_id,))
        firsts = _first_tries(db, [row[_MESSAGE] for row in rows if row[_ATTEMPT] > 1])
    items = _items(rows, firsts)
    gone = [
        Erased(message_id=row[_MESSAGE], attempt=row[_ATTEMPT], has_address=row[_EMAIL] is not None)
        for row in rows
        if row[_EMAIL] is None or row[_CONTEXT] is None
    ]
    return items, gone


def _items(rows: Sequence[Any], firsts: Mapping[int, datetime]) -> tuple[Item, ...]:
    """Those that can be rendered. Row by row, each taken apart by name: slices cost twice as much."""
    items = []
    for place, key, who, n, tried, sent_as, variant, email, language, template, tracked, hour, digest, packed in rows:
        if email is not None and packed is not None:
            known = (place, key, who, n, tried, sent_as, variant, email, language, template, bool(tracked))
            items.append(Item._make((*known, from_micros(hour), digest, firsts.get(key), packed)))
    return tuple(items)


def _first_tries(db: sa.Connection, message_ids: Sequence[int]) -> dict[int, datetime]:
    """When each of these was tried first."""
    found: dict[int, datetime] = {}
    for some in chunks(message_ids, 500):
        first = sa.select(attempt.c.message_id, attempt.c.at).where(among(attempt.c.message_id, some), attempt.c.n == 1)
        found |= {row.message_id: row.at for row in db.execute(first)}
    return found

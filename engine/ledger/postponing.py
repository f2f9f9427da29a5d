"""Whose turn is not now, though the rest of the batch may go on? They move to a batch of their own."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from engine.ledger.claiming import Claim
from engine.ledger.items import Item
from engine.ledger.recording import add_batch, plan_again
from engine.model import BatchState, MessageState
from engine.store import Store, among
from engine.store.tables import attempt, batch, batch_item, message


def postpone(
    store: Store, claim: Claim, items: Collection[Item], not_before: datetime, destination: str = ""
) -> Claim | None:
    """Move items that were certainly not handed over to a new batch, to be claimed from `not_before` on.

    They keep the number of their attempt and get no outcome. Gives the claim without them: go on with that one. None
    when somebody took the batch over: then nothing was moved, and `settle` what you know.
    """
    moved = {item.ord for item in items}
    rest = replace(claim, items=tuple(item for item in claim.items if item.ord not in moved))
    if not moved:
        return claim
    with store.write() as db:
        mine = (batch.c.id == claim.batch_id, batch.c.fence == claim.fence, batch.c.state == BatchState.LEASED)
        held = db.execute(sa.select(batch.c.plan_id).where(*mine).with_for_update()).first()
        if held is None:
            return None
        move(db, store, claim, moved, not_before, destination)
    return rest


def move(
    db: sa.Connection,
    store: Store,
    claim: Claim,
    ords: Collection[int],
    not_before: datetime,
    destination: str = "",
    waits_for: str = "",
) -> None:
    """The same in a transaction that has made sure of the claim; `waits_for` says in a word what postponed them."""
    rows = db.execute(_still_open(claim.batch_id, ords)).all()
    if not rows:
        return
    away = (batch_item.c.batch_id == claim.batch_id, among(batch_item.c.ord, [row.ord for row in rows]))
    db.execute(sa.delete(batch_item).where(*away))
    plan_again(db, [row.message_id for row in rows])
    tries = [(row.message_id, row.attempt) for row in rows]
    add_batch(db, store, claim.plan_id, not_before, tries, destination, waits_for)


def _still_open(batch_id: int, ords: Collection[int]) -> sa.Select[tuple[int, int, int]]:
    """Those of the items that have no outcome and that nobody decided against."""
    return (
        sa.select(batch_item.c.ord, batch_item.c.message_id, batch_item.c.attempt)
        .join(message, message.c.id == batch_item.c.message_id)
        .outerjoin(attempt, (attempt.c.message_id == batch_item.c.message_id) & (attempt.c.n == batch_item.c.attempt))
        .where(
            batch_item.c.batch_id == batch_id,
            among(batch_item.c.ord, ords),
            attempt.c.n.is_(None),
            message.c.state.in_([MessageState.PLANNED, MessageState.CLAIMED]),
        )
        .order_by(batch_item.c.ord)
    )

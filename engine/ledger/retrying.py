"""Whose hour for another try has come? Every deferred message carries its own; whatever restarts meanwhile, it stands.

The schedule is decided where the answer is read (`Outcome.retry_at`); who may not be tried again ends there as refused.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter

import sqlalchemy as sa

from engine.ledger.choosing import HELD_BACK
from engine.ledger.chunking import CHUNK, write_in_turn
from engine.ledger.recording import add_batch
from engine.ledger.rows import Query, Row
from engine.model import CampaignState, MessageState, PlanState
from engine.store import Store, among, chunks
from engine.store.tables import attempt, batch, batch_item, campaign, message, plan

_LIMIT = 10_000  # messages in one call: a tick must come to an end


def offer_retries(store: Store, at: datetime, limit: int = _LIMIT) -> int:
    """Offer deferred messages whose hour has come as the next attempt, by plan and destination; gives their number.

    Of campaigns that are held back nothing is offered. A message that an earlier attempt delivered after all becomes
    sent instead. Safe beside others and at any kill: a message is offered with its batch, or stays as it was.
    """
    offered = 0
    for plan_id in _plans_with_some(store, at):
        for destination, rows in _due(store, plan_id, at, limit - offered):
            with write_in_turn(store) as db:
                offered += _offer(db, store, plan_id, destination, rows, at)
        if offered >= limit:
            break
    return offered


def _plans_with_some(store: Store, at: datetime) -> list[int]:
    some = sa.exists().where(message.c.plan_id == plan.c.id, message.c.retry_at <= at)
    wanted = (
        sa.select(plan.c.id)
        .outerjoin(campaign, campaign.c.name == plan.c.campaign)
        .where(
            plan.c.state == PlanState.RELEASED,
            sa.func.coalesce(campaign.c.state, CampaignState.RUNNING).not_in(HELD_BACK),
            some,
        )
        .order_by(plan.c.priority.desc(), plan.c.id)
    )
    with store.read() as db:
        return list(db.scalars(wanted))


def _due(store: Store, plan_id: int, at: datetime, limit: int) -> Iterator[tuple[str, Sequence[Row]]]:
    """Those who have waited longest, a batch at a time: each of one destination."""
    with store.read() as db:
        rows = db.execute(_waiting(plan_id, at).limit(limit)).all()
    by_destination = attrgetter("destination")
    for destination, same in groupby(sorted(rows, key=by_destination), key=by_destination):
        for some in chunks(list(same), CHUNK):
            yield destination, some


def _waiting(plan_id: int, at: datetime) -> Query:
    """The due ones with the number and destination of their last attempt, and when any attempt delivered them."""
    last = sa.select(sa.func.max(batch_item.c.attempt)).where(batch_item.c.message_id == message.c.id)
    sent = sa.select(sa.func.min(attempt.c.at)).where(
        attempt.c.message_id == message.c.id, attempt.c.state == MessageState.SENT
    )
    return (
        sa.select(
            message.c.id,
            batch_item.c.attempt.label("n"),
            batch.c.destination,
            sent.correlate(message).scalar_subquery().label("sent_at"),
        )
        .join(batch_item, batch_item.c.message_id == message.c.id)
        .join(batch, batch.c.id == batch_item.c.batch_id)
        .where(
            message.c.plan_id == plan_id,
            message.c.state == MessageState.DEFERRED,
            message.c.retry_at <= at,
            batch_item.c.attempt == last.correlate(message).scalar_subquery(),
        )
        .order_by(message.c.retry_at)
    )


def _offer(db: sa.Connection, store: Store, plan_id: int, destination: str, rows: Sequence[Row], at: datetime) -> int:
    """The states first: who lost the race for a message leaves it to the other."""
    for row in rows:
        if row.sent_at is not None:
            mine = sa.update(message).where(message.c.id == row.id, message.c.state == MessageState.DEFERRED)
            db.execute(mine.values(state=MessageState.SENT, reason="", sent_at=row.sent_at, retry_at=None))
    number = {row.id: row.n for row in rows if row.sent_at is None}
    due = (among(message.c.id, list(number)), message.c.state == MessageState.DEFERRED, message.c.retry_at <= at)
    planned = {"state": MessageState.PLANNED, "reason": "", "sent_at": None, "retry_at": None}
    won = sorted(db.scalars(sa.update(message).where(*due).values(planned).returning(message.c.id)))
    if won:
        add_batch(db, store, plan_id, at, [(one, number[one] + 1) for one in won], destination)
    return len(won)

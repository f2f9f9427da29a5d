"""What proves that a message went out, although its answer was lost? Whatever only a mail in the world can cause.

A bounce, a complaint, a click, an opt-out, a provider's event: each names the message by an id that nobody can guess.
It turns `uncertain` (assumed ones too) into sent and ends a resend that has not begun.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engine.ledger.chunking import CHUNK
from engine.ledger.outcomes import ASSUMED
from engine.ledger.touching import touch_mailed
from engine.model import MessageState, PlanState
from engine.store import Store, chunks
from engine.store.tables import attempt, batch_item, message, plan

# A message in one of these may have been delivered by an attempt whose answer was lost. Evidence changes no other.
_UNSETTLED = (MessageState.UNCERTAIN, MessageState.CLAIMED, MessageState.PLANNED, MessageState.DEFERRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """The messages of a plan of which nobody knows whether they went out, and nobody has decided yet."""

    plan_id: int
    campaign: str
    occurrence: str
    policy: str  # of the campaign: assume-sent | resend | ask
    messages: int
    since: datetime  # when the first answer was lost


def prove(store: Store, delivery_ids: Iterable[str], by: str, at: datetime) -> int:
    """Something came back of these messages; gives how many that settled. Costs one look where none is in doubt.

    `by` names it, for `mailer why`: a click, a bounce ... Of a message that is just being sent it is noted, for the
    case that the answer is lost.
    """
    wanted = sa.select(message.c.id).where(
        message.c.delivery_id.in_(sa.bindparam("ids", expanding=True)), message.c.state.in_(_UNSETTLED)
    )
    settled = 0
    for some in chunks(sorted({one for one in delivery_ids if one.isascii() and one.isalnum()}), CHUNK):
        with store.read() as db:
            doubted = list(db.scalars(wanted, {"ids": list(some)}))
        for message_id in doubted:
            with store.write() as db:
                if _prove_one(db, message_id, by, at):
                    touch_mailed(db, store, [message_id])
                    settled += 1
    return settled


def settle_proven(store: Store, at: datetime) -> int:
    """Settle what became uncertain after its evidence had come in; gives how many."""
    released = sa.select(plan.c.id).where(plan.c.state == PlanState.RELEASED)
    wanted = sa.select(message.c.delivery_id).where(
        message.c.plan_id.in_(released), message.c.state == MessageState.UNCERTAIN, message.c.proven_at.is_not(None)
    )
    with store.read() as db:
        proven = list(db.scalars(wanted))
    return prove(store, proven, "what had come back before", at)


def in_doubt(store: Store) -> list[Doubt]:
    """The uncertain messages that are not assumed to be sent, by plan."""
    wanted = (
        sa.select(
            plan.c.id,
            plan.c.campaign,
            plan.c.occurrence,
            plan.c.definition,
            sa.func.count(sa.distinct(message.c.id)).label("messages"),
            sa.func.min(attempt.c.at).label("since"),
        )
        .join(message, message.c.plan_id == plan.c.id)
        .join(attempt, (attempt.c.message_id == message.c.id) & (attempt.c.state == MessageState.UNCERTAIN))
        .where(
            plan.c.state == PlanState.RELEASED,
            message.c.state == MessageState.UNCERTAIN,
            message.c.reason != ASSUMED,
        )
        .group_by(plan.c.id)
        .order_by(plan.c.id)
    )
    with store.read() as db:
        rows = db.execute(wanted).all()
    return [
        Doubt(
            plan_id=row.id,
            campaign=row.campaign,
            occurrence=row.occurrence,
            policy=str(row.definition.get("uncertain", "assume-sent")),
            messages=row.messages,
            since=row.since,
        )
        for row in rows
    ]


def _prove_one(db: sa.Connection, message_id: int, by: str, at: datetime) -> bool:
    """The last attempt that nobody knew the end of delivered it; the message follows, unless a later one is at work."""
    mine = sa.update(message).where(message.c.id == message_id)
    state = db.scalar(sa.select(message.c.state).where(message.c.id == message_id).with_for_update())
    lost = (attempt.c.message_id == message_id, attempt.c.state == MessageState.UNCERTAIN)
    tried = db.execute(sa.select(attempt.c.n, attempt.c.at).where(*lost).order_by(attempt.c.n.desc()).limit(1)).first()
    if tried is None:
        if state == MessageState.CLAIMED:
            db.execute(mine.where(message.c.proven_at.is_(None)).values(proven_at=at))
        return False
    ended = {"state": MessageState.SENT, "reason": "", "reply": f"proved by {by}"}
    db.execute(sa.update(attempt).where(*lost, attempt.c.n == tried.n).values(ended))
    last = db.scalar(sa.select(sa.func.max(batch_item.c.attempt)).where(batch_item.c.message_id == message_id))
    may_change = [MessageState.UNCERTAIN]
    may_change += [] if tried.n == last else [MessageState.PLANNED, MessageState.DEFERRED]
    # As of the attempt, for caps and for judging how fast a click came.
    sent = mine.where(message.c.state.in_(may_change)).values(
        state=MessageState.SENT, reason="", sent_at=tried.at, retry_at=None
    )
    return db.execute(sent).rowcount == 1

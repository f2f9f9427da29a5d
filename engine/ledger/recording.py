"""How does an outcome get into the ledger? The statements that claiming, advancing and settling share.

An item of a batch is *open* as long as its attempt has no row in `attempt` and nobody decided against its message:
that, not the order of sending, is what makes it impossible to lose or to repeat anybody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from engine.model import BatchState, MessageState, Outcome, SkipReason
from engine.store import Store
from engine.store.tables import attempt, batch, batch_item, message

ENDS = frozenset(MessageState) - {MessageState.PLANNED, MessageState.CLAIMED}

# Spelled out, since an IN list can't be part of an executemany.
_IS_OPEN = (message.c.state == MessageState.PLANNED) | (message.c.state == MessageState.CLAIMED)
_REPLY_CHARS = 500

_END = (
    sa.update(message)
    .where(message.c.id == sa.bindparam("key"), _IS_OPEN)
    .values(
        state=sa.bindparam("end"),
        reason=sa.bindparam("why"),
        sent_at=sa.bindparam("when", type_=message.c.sent_at.type),
        digest=sa.bindparam("shown"),
    )
)
_OPEN = (
    sa.select(batch_item.c.ord, batch_item.c.message_id, batch_item.c.attempt, message.c.state)
    .join(message, message.c.id == batch_item.c.message_id)
    .outerjoin(attempt, (attempt.c.message_id == batch_item.c.message_id) & (attempt.c.n == batch_item.c.attempt))
    .where(batch_item.c.batch_id == sa.bindparam("batch"), attempt.c.n.is_(None), _IS_OPEN)
    .order_by(batch_item.c.ord)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one attempt of one message ended; `digest` is that of the mail that went out."""

    message_id: int
    attempt: int
    outcome: Outcome
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A claim as the database knows it: the batch and the fence that its holder was given."""

    batch_id: int
    fence: int


def record(
    db: sa.Connection, store: Store, held: Held, endings: Sequence[Ending], at: datetime, transport: str
) -> None:
    """Write attempts and message states; an attempt that has its row already keeps it."""
    if not endings:
        return
    rows = [
        {
            "message_id": one.message_id,
            "n": one.attempt,
            "batch_id": held.batch_id,
            "fence": held.fence,
            "transport": transport,
            "at": one.outcome.at or at,
            **told(one.outcome),
        }
        for one in endings
    ]
    db.execute(_attempts(store), rows)
    db.execute(_END, [_end(one, one.outcome.at or at) for one in endings])


def told(outcome: Outcome) -> dict[str, str]:
    """The columns of an attempt that an outcome fills. Servers say what they like: no NUL gets to PostgreSQL."""
    if outcome.state not in ENDS:
        raise ValueError(f"{outcome.state} is no outcome")
    return {
        "state": outcome.state,
        "reason": outcome.reason,
        "stage": outcome.stage,
        "reply": clean(outcome.reply[:_REPLY_CHARS]),
    }


def clean(text: str) -> str:
    """Foreign text without what a database refuses: NUL and halves of characters."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def sort_out(
    db: sa.Connection,
    store: Store,
    held: Held,
    hi: int,
    verdict: Callable[[int], Outcome | None],
    at: datetime,
) -> None:
    """Give each item that may be handed over what `verdict` says of its ord; None makes it planned again."""
    granted = [
        row for row in db.execute(_OPEN, {"batch": held.batch_id}) if row.ord < hi or row.state == MessageState.CLAIMED
    ]
    judged = [(row, verdict(row.ord)) for row in granted]
    endings = [
        Ending(message_id=row.message_id, attempt=row.attempt, outcome=outcome)
        for row, outcome in judged
        if outcome is not None
    ]
    record(db, store, held, endings, at, transport="")
    again = [row.message_id for row, outcome in judged if outcome is None and row.state == MessageState.CLAIMED]
    if again:
        db.execute(sa.update(message).where(message.c.id.in_(again)).values(state=MessageState.PLANNED))


def resume_point(db: sa.Connection, batch_id: int) -> int | None:
    """The first ord that is still to be handed over; None when nobody of the batch is."""
    first = db.execute(_OPEN.limit(1), {"batch": batch_id}).first()
    return None if first is None else int(first.ord)


def skip_open(db: sa.Connection, batch_id: int) -> None:
    """The plan was cancelled: who was still to be mailed in this batch won't be."""
    ids = [row.message_id for row in db.execute(_OPEN, {"batch": batch_id})]
    if ids:
        drop = sa.update(message).where(message.c.id.in_(ids), message.c.state == MessageState.PLANNED)
        db.execute(drop.values(state=MessageState.SKIPPED, reason=SkipReason.CANCELLED))


def add_batch(db: sa.Connection, plan_id: int, not_before: datetime, items: Sequence[tuple[int, int]]) -> None:
    """A batch of (message, attempt), in this order."""
    row = {"plan_id": plan_id, "size": len(items), "state": BatchState.READY, "not_before": not_before}
    batch_id = db.execute(sa.insert(batch).values(row).returning(batch.c.id)).scalar_one()
    rows = [
        {"batch_id": batch_id, "ord": place, "message_id": message_id, "attempt": n}
        for place, (message_id, n) in enumerate(items)
    ]
    db.execute(sa.insert(batch_item), rows)


@lru_cache(maxsize=4)  # built once: there is one a window
def _attempts(store: Store) -> sa.Insert:
    insert: sa.Insert = store.insert(attempt).on_conflict_do_nothing()
    return insert


def _end(one: Ending, at: datetime) -> dict[str, Any]:
    outcome = one.outcome
    return {
        "key": one.message_id,
        "end": outcome.state,
        "why": outcome.reason,
        "when": at if outcome.state is MessageState.SENT else None,
        "shown": one.digest if outcome.state in (MessageState.SENT, MessageState.UNCERTAIN) else "",
    }

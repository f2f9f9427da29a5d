"""How does an outcome get into the ledger? The statements that claiming, advancing and settling share.

An item of a batch is *open* as long as its attempt has no row in `attempt` and nobody decided against its message:
that, not the order of sending, is what makes it impossible to lose or to repeat anybody.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from engine.ledger import prepared
from engine.ledger.prepared import said
from engine.ledger.touching import touch_mailed
from engine.model import BatchState, MessageState, Outcome, SkipReason
from engine.store import Store, among, to_micros
from engine.store.tables import attempt, batch, batch_item, message

ENDS = frozenset(MessageState) - {MessageState.PLANNED, MessageState.CLAIMED}

_IS_OPEN = (message.c.state == said(MessageState.PLANNED)) | (message.c.state == said(MessageState.CLAIMED))
# Words, for the loop over every answer: to look a member of an enumeration up costs a call.
_NO_ENDS = (MessageState.PLANNED.value, MessageState.CLAIMED.value)
_SENT, _UNCERTAIN, _DEFERRED = MessageState.SENT.value, MessageState.UNCERTAIN.value, MessageState.DEFERRED.value
_REPLY_CHARS = 500

_ATTEMPT = ("message_id", "n", "batch_id", "fence", "transport", "state", "reason", "stage", "reply", "at")
_ENDING = ("end", "why", "when", "shown", "key")
_END = (
    sa.update(message)
    .where(message.c.id == sa.bindparam("key"), _IS_OPEN)
    .values(
        state=sa.bindparam("end"),
        reason=sa.bindparam("why"),
        sent_at=sa.bindparam("when"),
        digest=sa.bindparam("shown"),
    )
)
# Apart from _END: what is not named there costs its index nothing.
_RETRY = (
    sa.update(message)
    .where(message.c.id == sa.bindparam("key"), message.c.state == said(MessageState.DEFERRED))
    .values(retry_at=sa.bindparam("hour"))
)
_ADD_ITEM = sa.insert(batch_item).values(
    {name: sa.bindparam(name) for name in ("batch_id", "ord", "message_id", "attempt")}
)
_OPEN = (
    sa.select(batch_item.c.ord, batch_item.c.message_id, batch_item.c.attempt, message.c.state)
    .join(message, message.c.id == batch_item.c.message_id)
    .outerjoin(attempt, (attempt.c.message_id == batch_item.c.message_id) & (attempt.c.n == batch_item.c.attempt))
    .where(batch_item.c.batch_id == sa.bindparam("batch"), attempt.c.n.is_(None), _IS_OPEN)
    .order_by(batch_item.c.ord)
)


class Ending(NamedTuple):
    """How one attempt of one message ended; `digest` is that of the mail that went out, `at` when the answer came."""

    message_id: int
    attempt: int
    outcome: Outcome
    digest: str = ""
    at: datetime | None = None


# Bare where there are thousands of them: a named one costs five times as much to make.
AnEnding: TypeAlias = Ending | tuple[int, int, Outcome, str, datetime | None]


class _Open(NamedTuple):
    """A row of _OPEN."""

    ord: int
    message_id: int
    attempt: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A claim as the database knows it: the batch and the fence that its holder was given."""

    batch_id: int
    fence: int


def record(
    db: sa.Connection, store: Store, held: Held, endings: Sequence[AnEnding], at: datetime, transport: str
) -> None:
    """Write attempts and message states; an attempt that has its row already keeps it."""
    if not endings:
        return
    tries, later, sent = [], [], []
    ends: list[tuple[Any, ...]] = []
    batch_id, fence = held.batch_id, held.fence
    for message_id, n, outcome, digest, answered_at in endings:
        word, reason = outcome.state._value_, outcome.reason  # plain text: the driver asks twice otherwise
        if word in _NO_ENDS:
            raise ValueError(f"{word} is no outcome")
        when, reply = to_micros(answered_at or outcome.at or at), clean(outcome.reply[:_REPLY_CHARS])
        tries.append((message_id, n, batch_id, fence, transport, word, reason, outcome.stage, reply, when))
        if word == _SENT:
            sent.append(message_id)
            ends.append((word, reason, when, digest, message_id))
            continue
        ends.append((word, reason, None, digest if word == _UNCERTAIN else "", message_id))
        if outcome.retry_at is not None and word == _DEFERRED:
            later.append((to_micros(outcome.retry_at), message_id))
    prepared.run(db, store, _attempts(store.is_sqlite), _ATTEMPT, tries)
    prepared.run(db, store, _END, _ENDING, ends)
    if later:
        prepared.run(db, store, _RETRY, ("hour", "key"), later)
    touch_mailed(db, store, sent)


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
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def sort_out(
    db: sa.Connection,
    store: Store,
    held: Held,
    hi: int,
    verdict: Callable[[int], Outcome | None],
    at: datetime,
) -> list[int]:
    """Give each item that may be handed over what `verdict` says of its ord; None makes it planned again.

    Gives the ords that are still to be handed over.
    """
    rows = [_Open._make(one) for one in prepared.ask(db, store, _OPEN, ("batch",), (held.batch_id,))]
    judged = [(row, verdict(row.ord)) for row in rows if row.ord < hi or row.state == MessageState.CLAIMED]
    ended = {row.ord: Ending(row.message_id, row.attempt, outcome) for row, outcome in judged if outcome is not None}
    record(db, store, held, list(ended.values()), at, transport="")
    plan_again(db, [row.message_id for row, outcome in judged if outcome is None and row.state == MessageState.CLAIMED])
    return [row.ord for row in rows if row.ord not in ended]


def plan_again(db: sa.Connection, message_ids: Collection[int]) -> None:
    """They were claimed and certainly not handed over."""
    if message_ids:
        claimed = sa.update(message).where(among(message.c.id, message_ids), message.c.state == MessageState.CLAIMED)
        db.execute(claimed.values(state=MessageState.PLANNED))


def open_ords(db: sa.Connection, batch_id: int) -> list[int]:
    """Those of the batch that are still to be handed over."""
    return [row.ord for row in db.execute(_OPEN, {"batch": batch_id})]


def skip_open(db: sa.Connection, batch_id: int) -> list[int]:
    """The plan was cancelled: who was still to be mailed in this batch won't be. Gives who is left."""
    ids = [row.message_id for row in db.execute(_OPEN, {"batch": batch_id})]
    if ids:
        drop = sa.update(message).where(among(message.c.id, ids), message.c.state == MessageState.PLANNED)
        db.execute(drop.values(state=MessageState.SKIPPED, reason=SkipReason.CANCELLED))
    return open_ords(db, batch_id)


def add_batch(
    db: sa.Connection,
    store: Store,
    plan_id: int,
    not_before: datetime,
    items: Sequence[tuple[int, int]],
    destination: str = "",
    waits_for: str = "",
) -> None:
    """A batch of (message, attempt), in this order; `waits_for` says in a word what postponed them."""
    new = {
        "plan_id": plan_id,
        "size": len(items),
        "state": BatchState.READY,
        "not_before": not_before,
        "destination": destination,
        "waits_for": waits_for,
        "open": len(items),
    }
    batch_id = db.execute(sa.insert(batch).values(new).returning(batch.c.id)).scalar_one()
    rows = [(batch_id, place, message_id, n) for place, (message_id, n) in enumerate(items)]
    prepared.run(db, store, _ADD_ITEM, ("batch_id", "ord", "message_id", "attempt"), rows)


@lru_cache(maxsize=2)
def _attempts(is_sqlite: bool) -> sa.Insert:
    insert = sqlite.insert(attempt) if is_sqlite else postgresql.insert(attempt)
    return insert.values({name: sa.bindparam(name) for name in _ATTEMPT}).on_conflict_do_nothing()

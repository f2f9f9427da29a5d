"""What becomes of messages whose first try did not end them? Late answers, retries, and the ones nobody knows about.

Attempt n+1 exists only after attempt n certainly did not deliver, or where somebody asked for `resend` in so many
words; a message that any attempt delivered is never tried again.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from operator import attrgetter

import sqlalchemy as sa

from engine.ledger.chunking import CHUNK, write_in_turn
from engine.ledger.items import Item
from engine.ledger.recording import add_batch, told
from engine.ledger.rows import Query, Row
from engine.ledger.touching import touch_mailed
from engine.model import MessageState, Outcome, PlanState, SkipReason
from engine.store import Store, among
from engine.store.tables import attempt, batch, batch_item, message, plan

ASSUMED = "assumed"
ATTEMPTS = 5  # then a deferred message without an hour of its own is refused as expired


class UncertainPolicy(StrEnum):
    """What to do with messages whose answer was lost."""

    ASSUME_SENT = "assume-sent"  # leave them alone; they stay counted as uncertain, marked `assumed`
    RESEND = "resend"  # try again: somebody may get it twice
    ASK = "ask"  # a person decides


def skip(reason: str) -> Outcome:
    """The outcome of an item that must not be handed over now: recorded like any other."""
    return Outcome(state=MessageState.SKIPPED, reason=reason)


def settle(store: Store, what: Item | int, outcome: Outcome, at: datetime, transport: str = "") -> bool:
    """A late certainty about an item, or a message's last attempt; True when it changed the message.

    Only `uncertain` and `claimed` become something else. A delivery that came to light also ends a resend that has
    not begun.
    """
    message_id, given = (what, None) if isinstance(what, int) else (what.message_id, what.attempt)
    with store.write() as db:
        state = db.scalar(sa.select(message.c.state).where(message.c.id == message_id).with_for_update())
        last = db.scalar(sa.select(sa.func.max(batch_item.c.attempt)).where(batch_item.c.message_id == message_id))
        if state is None or last is None:
            return False
        n = last if given is None else given
        in_flight = state == MessageState.CLAIMED
        if not _settle_attempt(db, store, message_id, n, outcome, at, in_flight, transport):
            return False
        return _settle_message(db, store, message_id, outcome, at, is_last=n == last)


def retry_deferred(
    store: Store,
    plan_id: int,
    at: datetime,
    *,
    limit: int = ATTEMPTS,
    older_than: timedelta = timedelta(0),
    waits: Sequence[timedelta] = (),
) -> int:
    """Offer deferred messages again, as attempt n+1 in new batches; gives their number.

    Only those whose last attempt is at least `older_than` old. With `waits`, one for each attempt and the last of them
    for all later ones, only those that have no hour of their own (`offer_retries`). Of these last, who had `limit`
    attempts is refused as expired; the others' schedule has decided that they may be tried again.
    """
    wanted = _ended(plan_id, MessageState.DEFERRED, at - older_than)
    if waits:
        wanted = wanted.where(message.c.retry_at.is_(None))
        patient = [(attempt.c.n == n) & (attempt.c.at <= at - wait) for n, wait in enumerate(waits, 1)]
        late = (attempt.c.n > len(waits)) & (attempt.c.at <= at - waits[-1])
        wanted = wanted.where(sa.or_(*patient, late))

    def again(db: sa.Connection, rows: list[Row]) -> int:
        used_up = {row.id for row in rows if row.n >= limit and row.retry_at is None}
        if used_up:
            expired = {"state": MessageState.REFUSED, "reason": SkipReason.EXPIRED}
            db.execute(sa.update(message).where(among(message.c.id, used_up)).values(expired))
        return _offer_again(db, store, plan_id, at, [row for row in rows if row.id not in used_up])

    _own_up(store, plan_id)
    return _in_chunks(store, wanted, again)


def resolve_uncertain(
    store: Store, plan_id: int, policy: str, at: datetime, older_than: timedelta = timedelta(0)
) -> int:
    """Apply `assume-sent`, `resend` or `ask` to messages that have been uncertain for `older_than`; gives their number.

    Assumed ones stay `uncertain` in every count, with the reason `assumed` and the time of the attempt as `sent_at`
    (so that they count for caps); they can still be settled, or resent by a later decision. `ask` changes nothing.
    """
    chosen = UncertainPolicy(policy)
    if chosen is UncertainPolicy.ASK:
        return 0
    _own_up(store, plan_id)
    wanted = _ended(plan_id, MessageState.UNCERTAIN, at - older_than)
    if chosen is UncertainPolicy.RESEND:
        return _in_chunks(store, wanted, lambda db, rows: _offer_again(db, store, plan_id, at, rows))
    return _in_chunks(store, wanted.where(message.c.reason != ASSUMED), _assume)


def _settle_attempt(
    db: sa.Connection,
    store: Store,
    message_id: int,
    n: int,
    outcome: Outcome,
    at: datetime,
    in_flight: bool,
    transport: str,
) -> bool:
    """Make the attempt's row say so, if it is uncertain or (in flight) not there yet."""
    known = (attempt.c.message_id == message_id, attempt.c.n == n, attempt.c.state == MessageState.UNCERTAIN)
    certain = sa.update(attempt).where(*known).values(at=at, **told(outcome))
    if outcome.state is not MessageState.UNCERTAIN and db.execute(certain).rowcount == 1:
        return True
    if not in_flight:
        return False
    held = (
        sa.select(batch.c.id, batch.c.fence)
        .join(batch_item, batch_item.c.batch_id == batch.c.id)
        .where(batch_item.c.message_id == message_id, batch_item.c.attempt == n)
    )
    row = db.execute(held).one()
    new = {"message_id": message_id, "n": n, "batch_id": row.id, "fence": row.fence, "transport": transport, "at": at}
    insert = store.insert(attempt).values(**new, **told(outcome)).on_conflict_do_nothing()
    return db.execute(insert.returning(attempt.c.n)).first() is not None


def _settle_message(
    db: sa.Connection, store: Store, message_id: int, outcome: Outcome, at: datetime, is_last: bool
) -> bool:
    """The message follows its last attempt; an earlier one that did deliver stops the attempts still to come."""
    is_sent = outcome.state is MessageState.SENT
    if not is_last and not is_sent:
        return False
    may_change = [MessageState.UNCERTAIN]
    may_change += [MessageState.CLAIMED] if is_last else [MessageState.PLANNED, MessageState.DEFERRED]
    retry_at = outcome.retry_at if outcome.state is MessageState.DEFERRED else None
    values = {
        "state": outcome.state,
        "reason": outcome.reason,
        "sent_at": at if is_sent else None,
        "retry_at": retry_at,
    }
    changed = sa.update(message).where(message.c.id == message_id, message.c.state.in_(may_change)).values(values)
    if not db.execute(changed).rowcount:
        return False
    if is_sent:
        touch_mailed(db, store, [message_id])
    return True


def _ended(plan_id: int, state: MessageState, before: datetime) -> Query:
    """Messages of a released plan whose last attempt ended in `state` by then, and that no attempt delivered."""
    last = sa.select(sa.func.max(batch_item.c.attempt)).where(batch_item.c.message_id == message.c.id)
    earlier = attempt.alias("earlier")
    delivered = sa.select(earlier.c.n).where(earlier.c.message_id == message.c.id, earlier.c.state == MessageState.SENT)
    return (
        sa.select(message.c.id, message.c.retry_at, attempt.c.n, attempt.c.at, batch.c.destination)
        .join(attempt, attempt.c.message_id == message.c.id)
        .join(plan, plan.c.id == message.c.plan_id)
        .join(batch, batch.c.id == attempt.c.batch_id)
        .where(
            message.c.plan_id == plan_id,
            message.c.state == state,
            plan.c.state == PlanState.RELEASED,
            attempt.c.n == last.scalar_subquery(),
            attempt.c.state == state,
            attempt.c.at <= before,
            ~delivered.exists(),
        )
        .order_by(message.c.id)
        .limit(CHUNK)
        .with_for_update(of=message, skip_locked=True)
    )


def _own_up(store: Store, plan_id: int) -> None:
    """A message whose last attempt was put off or lost, while an earlier one was delivered after all, is sent."""
    unsettled = (MessageState.DEFERRED, MessageState.UNCERTAIN)
    delivered = (
        sa.select(message.c.id, sa.func.min(attempt.c.at).label("at"))
        .join(attempt, attempt.c.message_id == message.c.id)
        .where(
            message.c.plan_id == plan_id,
            message.c.state.in_(unsettled),
            attempt.c.state == MessageState.SENT,
        )
        .group_by(message.c.id)
    )
    with store.read() as db:  # hardly ever finds one: a lock is taken only then
        rows = db.execute(delivered).all()
    for row in rows:
        sent = {"state": MessageState.SENT, "reason": "", "sent_at": row.at, "retry_at": None}
        still = (message.c.id == row.id, message.c.state.in_(unsettled))
        with store.write() as db:
            db.execute(sa.update(message).where(*still).values(sent))
            touch_mailed(db, store, [row.id])


def _in_chunks(store: Store, wanted: Query, change: Callable[[sa.Connection, list[Row]], int]) -> int:
    """Change what is wanted until nothing is, a short transaction at a time; a changed row is wanted no more."""
    count = 0
    while True:
        with write_in_turn(store) as db:
            rows = list(db.execute(wanted).all())
            if not rows:
                return count
            count += change(db, rows)


def _offer_again(db: sa.Connection, store: Store, plan_id: int, at: datetime, rows: list[Row]) -> int:
    if rows:
        planned = {"state": MessageState.PLANNED, "reason": "", "sent_at": None, "retry_at": None}
        db.execute(sa.update(message).where(among(message.c.id, [row.id for row in rows])).values(planned))
    by_destination = attrgetter("destination")
    for destination, same in groupby(sorted(rows, key=by_destination), key=by_destination):
        add_batch(db, store, plan_id, at, [(row.id, row.n + 1) for row in same], destination)
    return len(rows)


def _assume(db: sa.Connection, rows: list[Row]) -> int:
    when = sa.bindparam("when", type_=message.c.sent_at.type)
    assumed = sa.update(message).where(message.c.id == sa.bindparam("key")).values(reason=ASSUMED, sent_at=when)
    db.execute(assumed, [{"key": row.id, "when": row.at} for row in rows])
    return len(rows)

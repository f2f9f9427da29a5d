"""Who may send an occurrence, and what then lies ready? One plan wins it; its messages are written in chunks."""

from collections.abc import Generator
from contextlib import closing
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from engine.errors import Refused, UnknownPlan
from engine.ledger.chunking import CHUNK, Progress, quiet, write_in_turn
from engine.ledger.recording import add_batch
from engine.ledger.rows import Row
from engine.links import Keys
from engine.model import CampaignState, EntryState, MessageState, PlanState
from engine.store import Store
from engine.store.tables import campaign, message, plan, plan_entry
from engine.store.tables import release as won  # one row an occurrence: the plan that has it


def release(
    store: Store, plan_id: int, at: datetime, keys: Keys, *, chunk: int = CHUNK, progress: Progress = quiet
) -> int:
    """Make this plan the one that is sent for its occurrence; gives the number of its messages.

    Whoever comes second is refused, in this process or another. Nothing can be claimed before the last step. When it
    is cut off, `finish_releases` goes on where it stopped.
    """
    _win(store, plan_id, at)
    return _write_all(store, plan_id, keys, chunk, progress)


def finish_releases(store: Store, keys: Keys, *, chunk: int = CHUNK) -> list[int]:
    """Complete the releases that were cut off; gives their plans. Safe beside one that is still going on."""
    with store.read() as db:
        open_ones = list(db.scalars(sa.select(won.c.plan_id).where(~won.c.ready)))
    for plan_id in open_ones:
        _write_all(store, plan_id, keys, chunk, quiet)
    return open_ones


def _win(store: Store, plan_id: int, at: datetime) -> None:
    """Claim the occurrence, by the primary key of the table, or say who has it."""
    with store.write() as db:
        row = db.execute(sa.select(plan).where(plan.c.id == plan_id).with_for_update()).first()
        if row is None:
            raise UnknownPlan(f"there is no plan {plan_id}; `mailer plan CAMPAIGN` makes one and prints its number")
        key = {"campaign": row.campaign, "occurrence": row.occurrence}
        holder = db.scalar(sa.select(won.c.plan_id).filter_by(**key))
        if holder is None:
            _must_be_ready(db, row)
            claim = store.insert(won).values(**key, plan_id=plan_id, at=at, ready=False).on_conflict_do_nothing()
            # RETURNING, since PostgreSQL's driver leaves the row count of an INSERT unsaid.
            if db.execute(claim.returning(won.c.plan_id)).first() is not None:
                return
            holder = db.scalar(sa.select(won.c.plan_id).filter_by(**key))
    raise Refused(
        f"campaign {row.campaign!r}, occurrence {row.occurrence!r}, is released already, as plan {holder}; "
        "`mailer resume` goes on with it, `--occurrence NAME` sends the campaign once more to everyone in it"
    )


def _must_be_ready(db: sa.Connection, row: Row) -> None:
    if row.state != PlanState.DRAFT:
        raise Refused(f"plan {row.id} is {row.state}; make a new one with `mailer plan {row.campaign}`")
    if not row.frozen:
        raise Refused(
            f"plan {row.id} is not complete: it is still being written, or that was cut off; "
            f"make a new one with `mailer plan {row.campaign}`"
        )
    if db.scalar(sa.select(campaign.c.state).where(campaign.c.name == row.campaign)) == CampaignState.CANCELLED:
        raise Refused(
            f"campaign {row.campaign!r} is cancelled, so nothing of it would go out; "
            f"`mailer campaign start {row.campaign}` takes that back"
        )


def _write_all(store: Store, plan_id: int, keys: Keys, chunk: int, progress: Progress) -> int:
    """Every chunk is a transaction of its own, and does nothing where it was done before."""
    with store.read() as db:
        row = db.execute(sa.select(plan).where(plan.c.id == plan_id)).one()
        wanted = (plan_entry.c.plan_id == plan_id, plan_entry.c.state == EntryState.MESSAGE)
        total = db.scalar(sa.select(sa.func.count()).select_from(plan_entry).where(*wanted)) or 0
    done = 0
    with closing(_chunks(store, row, chunk)) as parts:
        for send_at, entries in parts:
            rows = [_message_row(row, send_at, entry, keys) for entry in entries]
            with write_in_turn(store) as db:
                _write(db, store, plan_id, send_at, rows)
            done += len(rows)
            progress(done, total)
    _flip(store, plan_id)
    return total


def _chunks(store: Store, row: Row, chunk: int) -> Generator[tuple[datetime, list[Row]]]:
    """An hour and at most `chunk` of the message entries planned for it: a batch becomes claimable as a whole."""
    send_at = sa.func.coalesce(plan_entry.c.send_at, sa.literal(row.at, plan_entry.c.send_at.type)).label("hour")
    entries = (
        sa.select(send_at, plan_entry.c.n, plan_entry.c.contact_id, plan_entry.c.variant)
        .where(plan_entry.c.plan_id == row.id, plan_entry.c.state == EntryState.MESSAGE)
        .order_by(send_at, plan_entry.c.n)
    )
    with store.read() as db, db.execution_options(yield_per=chunk).execute(entries) as streamed:
        for hour, same in groupby(streamed, key=itemgetter(0)):
            while some := list(islice(same, chunk)):
                yield hour, some


def _message_row(row: Row, send_at: datetime, entry: Row, keys: Keys) -> dict[str, Any]:
    return {
        "campaign": row.campaign,
        "occurrence": row.occurrence,
        "contact_id": entry.contact_id,
        "plan_id": row.id,
        "n": entry.n,
        "delivery_id": keys.delivery_id(row.campaign, row.occurrence, entry.contact_id),
        "variant": entry.variant,
        "state": MessageState.PLANNED,
        "send_at": send_at,
    }


def _write(db: sa.Connection, store: Store, plan_id: int, send_at: datetime, rows: list[dict[str, Any]]) -> None:
    """Messages and their batch together; only those count that nobody has written yet."""
    statement = store.insert(message).on_conflict_do_nothing().returning(message.c.id, message.c.n)
    new = sorted(db.execute(statement, rows).all(), key=itemgetter(1))
    if new:
        add_batch(db, plan_id, send_at, [(one.id, 1) for one in new])


def _flip(store: Store, plan_id: int) -> None:
    released_at = sa.select(won.c.at).where(won.c.plan_id == plan_id).scalar_subquery()
    flip = sa.update(plan).where(plan.c.id == plan_id, plan.c.state == PlanState.DRAFT)
    with store.write() as db:
        db.execute(flip.values(state=PlanState.RELEASED, released_at=released_at))
        db.execute(sa.update(won).where(won.c.plan_id == plan_id).values(ready=True))

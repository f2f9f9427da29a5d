"""Who may send an occurrence, and what then lies ready? One plan wins it; its messages are written in chunks."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from engine.errors import Refused, UnknownPlan
from engine.ledger.chunking import CHUNK, write_in_turn
from engine.ledger.recording import add_batch
from engine.ledger.rows import Query, Row
from engine.links import Keys
from engine.model import CampaignState, EntryState, MessageState, PlanState, Progress, unwatched
from engine.store import Store
from engine.store.tables import campaign, contact, message, plan, plan_entry
from engine.store.tables import release as won  # one row an occurrence: the plan that has it

DestinationOf = Callable[[str], str]

OWN_BATCHES = 50  # messages of a plan from which on a destination has batches of its own
_IN_HAND = 20_000  # entries that wait in memory for their batch to fill


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What becomes one batch: one hour, one destination."""

    send_at: datetime
    destination: str
    entries: list[Row]


def unsorted(_domain: str) -> str:
    """All domains are one destination."""
    return ""


def release(
    store: Store,
    plan_id: int,
    at: datetime,
    keys: Keys,
    *,
    chunk: int = CHUNK,
    progress: Progress = unwatched,
    destination_of: DestinationOf = unsorted,
) -> int:
    """Make this plan the one that is sent for its occurrence; gives the number of its messages.

    Whoever comes second is refused, in this process or another. Nothing can be claimed before the last step. When it
    is cut off, `finish_releases` goes on where it stopped. `destination_of` tells the mail system behind a recipient's
    domain; one with 50 messages or more gets batches of its own, so that what slows it down slows nobody else.
    """
    _win(store, plan_id, at)
    return _write_all(store, plan_id, keys, chunk, progress, destination_of)


def finish_releases(
    store: Store, keys: Keys, *, chunk: int = CHUNK, destination_of: DestinationOf = unsorted
) -> list[int]:
    """Complete the releases that were cut off; gives their plans. Safe beside one that is still going on."""
    with store.read() as db:
        open_ones = list(db.scalars(sa.select(won.c.plan_id).where(~won.c.ready)))
    for plan_id in open_ones:
        _write_all(store, plan_id, keys, chunk, unwatched, destination_of)
    return open_ones


def holder_of(store: Store, campaign_name: str, occurrence: str) -> int | None:
    """The plan that has this occurrence; None as long as nobody released it."""
    with store.read() as db:
        return db.scalar(sa.select(won.c.plan_id).filter_by(campaign=campaign_name, occurrence=occurrence))


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


def _write_all(
    store: Store, plan_id: int, keys: Keys, chunk: int, progress: Progress, destination_of: DestinationOf
) -> int:
    """Every chunk is a transaction of its own, and does nothing where it was done before."""
    with store.read() as db:
        row = db.execute(sa.select(plan).where(plan.c.id == plan_id)).one()
        wanted = (plan_entry.c.plan_id == plan_id, plan_entry.c.state == EntryState.MESSAGE)
        total = db.scalar(sa.select(sa.func.count()).select_from(plan_entry).where(*wanted)) or 0
    done = 0
    for part in _parts(store, row, chunk, destination_of):
        rows = [_message_row(row, part.send_at, entry, keys) for entry in part.entries]
        with write_in_turn(store) as db:
            _write(db, store, plan_id, part, rows)
        done += len(rows)
        progress(done, total)
    _flip(store, plan_id)
    return total


def _parts(store: Store, row: Row, chunk: int, destination_of: DestinationOf) -> Iterator[_Part]:
    """The message entries by hour and destination, at most `chunk` at a time; never more than some in memory."""
    own = _own_batches(store, row.id, destination_of)
    waiting: dict[tuple[datetime, str], list[Row]] = {}
    in_hand = 0
    for entry in _entries(store, row):
        destination = destination_of(_domain(entry.email)) if own else ""
        key = (entry.hour, destination if destination in own else "")
        waiting.setdefault(key, []).append(entry)
        in_hand += 1
        if len(waiting[key]) < chunk and in_hand < _IN_HAND:
            continue
        fullest = max(waiting, key=lambda one: len(waiting[one])) if in_hand >= _IN_HAND else key
        some = waiting.pop(fullest)
        in_hand -= len(some)
        yield _Part(send_at=fullest[0], destination=fullest[1], entries=some)
    for hour, destination in sorted(waiting):
        yield _Part(send_at=hour, destination=destination, entries=waiting[hour, destination])


def domain_in(store: Store) -> sa.ColumnElement[str]:
    """The domain of a contact's address, in lower case."""
    at_sign = sa.func.instr(contact.c.email, "@") if store.is_sqlite else sa.func.strpos(contact.c.email, "@")
    return sa.func.lower(sa.func.substr(contact.c.email, at_sign + 1))


def _own_batches(store: Store, plan_id: int, destination_of: DestinationOf) -> set[str]:
    """The destinations with enough messages in this plan to have batches of their own."""
    if destination_of is unsorted:
        return set()
    domain, number = domain_in(store), sa.func.count()
    wanted = (
        sa.select(domain.label("domain"), number)
        .select_from(plan_entry)
        .join(contact, contact.c.id == plan_entry.c.contact_id)
        .where(plan_entry.c.plan_id == plan_id, plan_entry.c.state == EntryState.MESSAGE, contact.c.email.is_not(None))
        .group_by(domain)
    )
    counted: Counter[str] = Counter()
    with store.read() as db, db.execution_options(yield_per=CHUNK).execute(wanted) as rows:
        for name, messages in rows:
            destination = destination_of(name)
            # A domain that stands for itself and is rare need not be remembered: there may be a million of them.
            if destination and (destination != name or messages >= OWN_BATCHES):
                counted[destination] += messages
    return {destination for destination, messages in counted.items() if messages >= OWN_BATCHES}


def _entries(store: Store, row: Row) -> Iterator[Row]:
    """In short reads: one long one would keep SQLite's log from being written back all the while."""
    after = -1
    while True:
        with store.read() as db:
            some = db.execute(_PAGE, {"plan": row.id, "after": after, "at": row.at}).all()
        yield from some
        if len(some) < _PAGE_ROWS:
            return
        after = some[-1].n


_PAGE_ROWS = 2000
_PAGE: Query = (
    sa.select(
        sa.func.coalesce(plan_entry.c.send_at, sa.bindparam("at", type_=plan_entry.c.send_at.type)).label("hour"),
        plan_entry.c.n,
        plan_entry.c.contact_id,
        plan_entry.c.variant,
        contact.c.email,
    )
    .join(contact, contact.c.id == plan_entry.c.contact_id)
    .where(
        plan_entry.c.plan_id == sa.bindparam("plan"),
        plan_entry.c.n > sa.bindparam("after"),
        plan_entry.c.state == EntryState.MESSAGE,
    )
    .order_by(plan_entry.c.n)
    .limit(_PAGE_ROWS)
)


def _domain(address: str | None) -> str:
    return (address or "").rpartition("@")[2].lower()


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


def _write(db: sa.Connection, store: Store, plan_id: int, part: _Part, rows: list[dict[str, Any]]) -> None:
    """Messages and their batch together; only those count that nobody has written yet."""
    statement = store.insert(message).on_conflict_do_nothing().returning(message.c.id, message.c.n)
    new = sorted(db.execute(statement, rows).all(), key=itemgetter(1))
    if new:
        add_batch(db, store, plan_id, part.send_at, [(one.id, 1) for one in new], part.destination)


def _flip(store: Store, plan_id: int) -> None:
    released_at = sa.select(won.c.at).where(won.c.plan_id == plan_id).scalar_subquery()
    flip = sa.update(plan).where(plan.c.id == plan_id, plan.c.state == PlanState.DRAFT)
    with store.write() as db:
        db.execute(flip.values(state=PlanState.RELEASED, released_at=released_at))
        db.execute(sa.update(won).where(won.c.plan_id == plan_id).values(ready=True))

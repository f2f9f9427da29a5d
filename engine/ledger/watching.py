"""What did journeys see when they last looked at a contact, when must they look again, and how is a look written down?

A look is written in one transaction: what was seen, who comes in, what was missed, and the contact's number cleared.
Before that, everything it rests on is read again under a lock: the number, the watch, and which journeys there are.
Where any of it is another by now, somebody else has looked or something has happened: nothing of this contact's look is
written, and the next tick looks again. So any number of processes may look, and be killed, at any moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from engine.ledger.chunking import write_in_turn
from engine.ledger.enrolments import ENROL_AT_ONCE, Newcomer, let_in
from engine.ledger.rows import Row
from engine.ledger.schedules import Missed, write_missed
from engine.ledger.touching import Touched, clear
from engine.store import Store, among, chunks
from engine.store.tables import contact, fact, journey, watch

_LOOKED_AT = "journeys_looked_at"
_FAULTY_CLOCK = timedelta(days=1)


class Enlisted(NamedTuple):
    """A journey, how it stands, and what its base was looked at by."""

    name: str
    state: str
    version: int
    base_of: str
    base_done: bool


Roll = tuple[Enlisted, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What a journey saw of a contact. `mark` is the last event or order (id) or day (yyyymmdd) that it looked at.

    `seq` counts the looks, also those that found all as it was.
    """

    inside: bool = False
    look_at: datetime | None = None
    mark: int | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One journey's look at one contact: what it found written (None: nothing), and what it came to."""

    journey: str
    contact_id: int
    before: Watch | None
    after: Watch | None
    newcomer: Newcomer | None = None
    missed: tuple[Missed, ...] = ()


def roll(store: Store) -> Roll:
    """Which journeys there are, and how each stands: looks made by it hold only as long as it is the same."""
    with store.read() as db:
        return _roll(db)


def watches(store: Store, journeys: Sequence[str], contact_ids: Sequence[int]) -> dict[tuple[str, int], Watch]:
    """What these journeys saw of these contacts."""
    with store.read() as db:
        return _watches(db, journeys, contact_ids)


def due_looks(
    store: Store, name: str, at: datetime, limit: int = 500, after: tuple[datetime, int] | None = None
) -> list[tuple[int, Watch]]:
    """Whom the journey must look at again though nothing happened, the longest due first; beyond a look and contact."""
    wanted = sa.select(watch).where(watch.c.journey == name, watch.c.look_at <= at)
    if after is not None:
        since, contact_id = after
        later = sa.and_(watch.c.look_at == since, watch.c.contact_id > contact_id)
        wanted = wanted.where(watch.c.look_at >= since, sa.or_(watch.c.look_at > since, later))
    with store.read() as db:
        rows = db.execute(wanted.order_by(watch.c.look_at, watch.c.contact_id).limit(limit))
        return [(row.contact_id, _watch(row)) for row in rows]


def write_looks(
    store: Store,
    looks: Sequence[Look],
    touched: Sequence[Touched],
    at: datetime,
    *,
    known: Roll,
    reentries: Mapping[str, timedelta | None],
) -> int | None:
    """Write what still holds of some hundreds of looks; gives how many came in, None when the journeys changed.

    `touched` are the numbers that were read before the looks. `reentries` says for each journey how long after she left
    somebody may come again.
    """
    numbers = {one.contact_id: one.number for one in touched}
    ids = sorted(numbers.keys() | {one.contact_id for one in looks})
    with write_in_turn(store) as db:
        stands = _lock(db, ids)
        if _roll(db) != known:
            return None
        now = _watches(db, sorted({one.journey for one in looks}), ids)
        moved = {one.contact_id for one in looks if now.get((one.journey, one.contact_id)) != one.before}
        moved |= {one for one in ids if one not in stands or (one in numbers and stands[one] != numbers[one])}
        ours = [one for one in looks if one.contact_id not in moved]
        clear(db, [one for one in touched if one.contact_id not in moved])
        _write_watches(db, store, ours)
        write_missed(db, store, [lost for one in ours for lost in one.missed])
        _remember(db, store, at)
        return enrol_within(db, store, [one.newcomer for one in ours if one.newcomer is not None], at, reentries)


def enrol_within(
    db: sa.Connection,
    store: Store,
    newcomers: Sequence[Newcomer],
    at: datetime,
    reentries: Mapping[str, timedelta | None],
) -> int:
    """Let newcomers of several journeys in, as a part of the caller's transaction; gives how many came in."""
    came = 0
    for name in sorted({one.journey for one in newcomers}):
        mine = [one for one in newcomers if one.journey == name]
        came += sum(let_in(db, store, some, at, reentries[name]) for some in chunks(mine, ENROL_AT_ONCE))
    return came


def steady(store: Store, at: datetime) -> datetime:
    """This moment, or that of the last look where a clock was set back: nobody is seen to leave and come in again.

    A last look more than a day ahead was made by a clock that had gone wrong: then it counts no more.
    """
    with store.read() as db:
        told = db.scalar(sa.select(fact.c.value).where(fact.c.name == _LOOKED_AT))
    last = at if told is None else datetime.fromisoformat(str(told))
    return last if at < last <= at + _FAULTY_CLOCK else at


def _roll(db: sa.Connection) -> Roll:
    one = journey.c
    rows = db.execute(sa.select(one.name, one.state, one.version, one.base_of, one.base_done).order_by(one.name))
    return tuple(Enlisted(*row) for row in rows)


def _lock(db: sa.Connection, contact_ids: Sequence[int]) -> dict[int, int | None]:
    """The contacts that nobody else is writing, with their numbers; on PostgreSQL they are ours until the end."""
    free = sa.select(contact.c.id, contact.c.touched).where(among(contact.c.id, contact_ids)).order_by(contact.c.id)
    return {row.id: row.touched for row in db.execute(free.with_for_update(skip_locked=True, key_share=True))}


def _watches(db: sa.Connection, journeys: Sequence[str], contact_ids: Sequence[int]) -> dict[tuple[str, int], Watch]:
    wanted = sa.select(watch).where(watch.c.journey.in_(journeys), among(watch.c.contact_id, contact_ids))
    return {(row.journey, row.contact_id): _watch(row) for row in db.execute(wanted)}


def _watch(row: Row) -> Watch:
    return Watch(inside=row.inside, look_at=row.look_at, mark=row.mark, seq=row.seq)


def _write_watches(db: sa.Connection, store: Store, looks: Sequence[Look]) -> None:
    """A contact of whom there was never anything to remember has no row; a row that is there counts every look."""
    rows = []
    for one in looks:
        if one.after is not None or one.before is not None:
            seq = one.before.seq + 1 if one.before else 0
            rows.append((one.journey, one.contact_id, replace(one.after or Watch(), seq=seq)))
    put_watches(db, store, rows)


def put_watches(db: sa.Connection, store: Store, rows: Sequence[tuple[str, int, Watch]]) -> None:
    """Write watches over whatever was there."""
    values = [{"journey": name, "contact_id": one, **asdict(seen)} for name, one, seen in rows]
    if values:
        insert = store.insert(watch)
        anew = {name: insert.excluded[name] for name in Watch.__dataclass_fields__}
        db.execute(insert.on_conflict_do_update(index_elements=["journey", "contact_id"], set_=anew), values)


def _remember(db: sa.Connection, store: Store, at: datetime) -> None:
    """When the last look was."""
    told = db.execute(sa.select(fact.c.value).where(fact.c.name == _LOOKED_AT).with_for_update()).scalar()
    last = None if told is None else datetime.fromisoformat(str(told))
    if last is None or last < at or last > at + _FAULTY_CLOCK:
        row = store.insert(fact).values(name=_LOOKED_AT, value=at.isoformat())
        db.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": row.excluded.value}))

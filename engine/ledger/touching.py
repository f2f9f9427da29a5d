"""To whom did something happen that a journey may wait for? `contact.touched`, another number each time.

Whoever writes a fact that a rule, a goal or an awaited event may see touches the contact in the same transaction. The
number is cleared only by who has looked since, and only as long as it is the one that was read. Where no journey was
ever published nobody is touched.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import sqlalchemy as sa

from engine.ledger.chunking import CHUNK, write_in_turn
from engine.store import Store, among, chunks
from engine.store.tables import contact, hit, journey, message

_ANY = sa.exists().select_from(journey)
_READS_SENT = "SELECT 1 FROM journey WHERE reads_sent LIMIT 1"


class Touched(NamedTuple):
    """A contact, and the number that stood there."""

    contact_id: int
    number: int


def touch_value(store: Store) -> sa.ColumnElement[int]:
    """What `contact.touched` becomes, for a statement that writes the contact anyway."""
    value: sa.ColumnElement[int] = sa.case((_ANY, _next_number(store.is_sqlite)), else_=contact.c.touched)
    return value


def touch(db: sa.Connection, store: Store, which: sa.ColumnElement[bool]) -> None:
    """Something happened to the contacts for whom `which` holds."""
    if not db.scalar(sa.select(_ANY)):
        return
    if not store.is_sqlite:  # in one order, or two who touch the same contacts wait for each other
        locked = sa.select(contact.c.id).where(which).order_by(contact.c.id).with_for_update(key_share=True)
        which = among(contact.c.id, db.scalars(locked).all())
    db.execute(sa.update(contact).where(which).values(touched=_next_number(store.is_sqlite)))


def touch_readers(db: sa.Connection, store: Store, hit_ids: Sequence[int]) -> None:
    """Hits of theirs got another verdict."""
    whose = sa.select(message.c.contact_id).join(hit, hit.c.message_id == message.c.id).where(among(hit.c.id, hit_ids))
    touch(db, store, contact.c.id.in_(whose))


def touch_mailed(db: sa.Connection, store: Store, message_ids: Sequence[int]) -> None:
    """These messages went out: something only to journeys whose start asks what was sent."""
    if message_ids and db.exec_driver_sql(_READS_SENT).first() is not None:
        whose = sa.select(message.c.contact_id).where(among(message.c.id, message_ids))
        touch(db, store, contact.c.id.in_(whose))


def touch_all(store: Store, contact_ids: Sequence[int]) -> None:
    """Look at these contacts again, in short transactions."""
    for some in chunks(contact_ids, CHUNK):
        with write_in_turn(store) as db:
            touch(db, store, contact.c.id.in_(some))


def touched(store: Store, after: int = 0, limit: int = 500) -> list[Touched]:
    """The next touched contacts beyond an id."""
    wanted = sa.select(contact.c.id, contact.c.touched).where(contact.c.touched.is_not(None), contact.c.id > after)
    with store.read() as db:
        return [Touched(*row) for row in db.execute(wanted.order_by(contact.c.id).limit(limit))]


def clear(db: sa.Connection, pairs: Sequence[Touched]) -> None:
    """The journeys have looked at these contacts: clears the numbers that were read, none that came since."""
    if pairs:
        same = sa.and_(contact.c.id == sa.bindparam("whose"), contact.c.touched == sa.bindparam("was"))
        rows = [{"whose": one.contact_id, "was": one.number} for one in pairs]
        db.execute(sa.update(contact).where(same).values(touched=None), rows)


@lru_cache(maxsize=2)
def _next_number(is_sqlite: bool) -> sa.ColumnElement[int]:
    """Microseconds by the database's clock, the last three drawn; always above the number that stands there."""
    # SQLite's clock has milliseconds; without the draw a number could come back within one.
    if is_sqlite:
        milliseconds = "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"
        drawn = "abs(random() % 1000)"
    else:
        milliseconds = "(extract(epoch from clock_timestamp()) * 1000)::bigint"
        drawn = "floor(random() * 1000)::bigint"
    now = sa.literal_column(f"({milliseconds}) * 1000", sa.BigInteger)
    value: sa.ColumnElement[int] = sa.case(
        (contact.c.touched >= now, contact.c.touched + 1), else_=now + sa.literal_column(drawn, sa.BigInteger)
    )
    return value

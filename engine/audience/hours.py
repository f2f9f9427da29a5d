"""When did people click and order? Their moments, for the hour at which each is best mailed, and where they live.

Only what a person did by herself: orders, and clicks by human hand; never opens, which machines make as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engine.audience.fields import clicked_until
from engine.store import Store, among, chunks, from_micros
from engine.store.tables import contact, hit, message, orders

_IDS_A_QUERY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a contact lives, as it was told us."""

    timezone: str | None
    region: str | None
    country: str | None


def places(store: Store, contact_ids: Sequence[int]) -> dict[int, Place]:
    """Where each of these contacts lives."""
    found: dict[int, Place] = {}
    with store.read() as db:
        for some in chunks(contact_ids, _IDS_A_QUERY):
            wanted = sa.select(contact.c.id, *_PLACE).where(among(contact.c.id, some))
            for row in db.execute(wanted):
                found[row.id] = Place(timezone=row.timezone, region=row.region, country=row.country)
    return found


def last_acts(store: Store, contact_ids: Sequence[int], at: datetime, most: int) -> dict[int, list[datetime]]:
    """The moments of each contact's last `most` clicks and orders up to `at`, the newest first."""
    found: dict[int, list[datetime]] = {}
    with store.read() as db:
        for some in chunks(contact_ids, _IDS_A_QUERY):
            for row in db.execute(_newest(some, at, most)):
                found.setdefault(row.contact_id, []).append(from_micros(row.moment))
    return {one: sorted(moments, reverse=True)[:most] for one, moments in found.items()}


def everybodys_acts(store: Store, at: datetime, most: int) -> Iterator[tuple[Place, datetime]]:
    """The shop's last orders and its last clicks up to `at`, at most `most` of each, and where who did it lives."""
    ordered = sa.select(*_PLACE, _micros(orders.c.ordered_at).label("moment")).join(
        contact, contact.c.id == orders.c.contact_id
    )
    ordered = ordered.where(orders.c.ordered_at <= at).order_by(orders.c.ordered_at.desc())
    clicked = clicked_until(at).join(contact, contact.c.id == message.c.contact_id)
    clicked = clicked.add_columns(*_PLACE, _micros(hit.c.at).label("moment")).order_by(hit.c.at.desc())
    for wanted in (ordered, clicked):
        with store.read() as db:
            rows = db.execute(wanted.limit(most)).all()
        for row in rows:
            yield Place(timezone=row.timezone, region=row.region, country=row.country), from_micros(row.moment)


_PLACE = (contact.c.timezone, contact.c.region, contact.c.country)


def _micros(moment: sa.Column[datetime]) -> sa.ColumnElement[int]:
    return sa.type_coerce(moment, sa.BigInteger)


def _newest(contact_ids: Sequence[int], at: datetime, most: int) -> sa.Select[tuple[int, int]]:
    """Of each contact's orders and of her clicks the newest `most`."""
    ordered = sa.select(orders.c.contact_id, _micros(orders.c.ordered_at).label("moment")).where(
        among(orders.c.contact_id, contact_ids), orders.c.ordered_at <= at
    )
    clicked = clicked_until(at).add_columns(message.c.contact_id, _micros(hit.c.at).label("moment"))
    clicked = clicked.where(among(message.c.contact_id, contact_ids))
    acts = sa.union_all(ordered, clicked).subquery()
    place = sa.func.row_number().over(partition_by=acts.c.contact_id, order_by=acts.c.moment.desc())
    numbered = sa.select(acts.c.contact_id, acts.c.moment, place.label("place")).subquery()
    return sa.select(numbered.c.contact_id, numbered.c.moment).where(numbered.c.place <= most)

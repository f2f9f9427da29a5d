"""Who is simulated? The base as it stands, read once: people, their past orders, mails, clicks and events, as arrays.

What happened after the moment is not read: a forecast from a past `--at` sees what was known then (attributes, consent
and tags have no history and are today's, as everywhere).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from engine import audience
from engine.journeys.simulating.chance import Ints
from engine.model import HitKind, MessageState, Standing, TrackingMode, Verdict
from engine.pipeline import Mailer
from engine.store import to_micros
from engine.store.tables import contact, contact_attribute, event, hit, message, order_line, orders, product, profile

DAY = 86_400_000_000  # microseconds
MONTH = 30 * DAY
_ROWS = 20_000
_ATTRIBUTES = "attributes."

# The columns of `contact` that a profile shows as they stand.
SHOWN = (
    "email external_id given_name family_name full_name honorific language country region city timezone gender "
    "job_title company industry company_size income_band"
).split()


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """One contact as the database has her; whoever is simulated changes, this does not."""

    contact_id: int
    shown: Mapping[str, Any]  # the columns of SHOWN
    greeting: str | None
    birth_date: date | None
    interests: tuple[str, ...]
    tags: tuple[str, ...]
    standing: Standing
    created: int  # microseconds since 1970, as every time here


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Things that happened, by contact and time: those of the contact at place i are `first[i]` to `first[i + 1]`."""

    first: Ints
    at: Ints

    def of(self, place: int) -> slice:
        """Where hers stand."""
        return slice(*self.first[place : place + 2].tolist())

    def number(self, place: int) -> int:
        """How many hers are."""
        first, end = self.first[place : place + 2].tolist()
        return int(end - first)

    def moments(self, place: int) -> list[int]:
        """When hers were."""
        found: list[int] = self.at[self.of(place)].tolist()
        return found

    @property
    def owners(self) -> Ints:
        """The place of the contact of each."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Orders(Rows):
    """Every order, and its lines: those of order j are `first_line[j]` to `first_line[j + 1]`."""

    revenue: Ints  # minor units
    discount: Ints
    before: Ints  # price before money off
    first_line: Ints
    product: Ints  # of the kept lines: its place in `products`, -1 where the catalogue lacks it or nothing was kept
    line_revenue: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crowd:
    """The whole base as of one moment."""

    at: datetime
    zone: ZoneInfo
    lens: audience.Lens
    ids: Ints  # ascending
    people: Sequence[Who]
    attributes: Mapping[int, Mapping[str, str]]  # by contact id; only those that somebody asks for
    orders: Orders
    products: Sequence[tuple[str, str | None, str | None]]  # product, category, brand
    sent: Rows
    clicks: Rows
    events: Mapping[str, Rows]  # by kind
    is_tracked: bool  # whether the shop sees clicks at all

    @property
    def now(self) -> int:
        """The moment in microseconds."""
        return to_micros(self.at)

    def place(self, contact_id: int) -> int | None:
        """Where a contact stands in the arrays."""
        found = int(np.searchsorted(self.ids, contact_id))
        return found if found < len(self.ids) and self.ids[found] == contact_id else None


def read_crowd(mailer: Mailer, at: datetime, *, names: Collection[str], kinds: Collection[str]) -> Crowd:
    """The base as of `at`, with the attributes among `names` (as rules write them) and the events of these kinds."""
    store = mailer.store
    audience.refresh_changed(store, at, mailer.zone)
    with store.read() as db:
        lens = audience.look(db, at, mailer.zone, mailer.currency)
        people = _people(db, mailer, lens)
        ids = np.array([one.contact_id for one in people], np.int64)
        found, products = _orders(db, ids, at)
        return Crowd(
            at=at,
            zone=mailer.zone,
            lens=lens,
            ids=ids,
            people=people,
            attributes=_attributes(db, [one.removeprefix(_ATTRIBUTES) for one in names if one.startswith(_ATTRIBUTES)]),
            orders=found,
            products=products,
            sent=_rows(db, ids, _sent(at)),
            clicks=_rows(db, ids, _clicked(at)),
            events={kind: _rows(db, ids, _happened(kind, at)) for kind in sorted(kinds)},
            is_tracked=mailer.settings.tracking.mode is TrackingMode.INDIVIDUAL_WITH_CONSENT,
        )


def _people(db: sa.Connection, mailer: Mailer, lens: audience.Lens) -> list[Who]:
    columns = [contact.c[name] for name in (*SHOWN, "id", "birth_date", "interests", "tags", "created_at")]
    known = sa.or_(contact.c.email.is_not(None), contact.c.address_key.is_not(None), contact.c.external_id.is_not(None))
    rows = db.execute(sa.select(*columns).where(known).order_by(contact.c.id)).all()
    standing_of = audience.standings(mailer.store, mailer.keys, [row.id for row in rows])
    greeting_of = {row[0]: row[1] for row in db.execute(sa.select(profile.c.contact_id, profile.c.greeting))}
    width = len(SHOWN)
    return [
        Who(
            contact_id=row.id,
            shown=dict(zip(SHOWN, row[:width], strict=True)),
            greeting=greeting_of.get(row.id),
            birth_date=row.birth_date,
            interests=tuple(row.interests),
            tags=tuple(row.tags),
            standing=standing_of[row.id],
            created=to_micros(row.created_at),
        )
        for row in rows
    ]


def _attributes(db: sa.Connection, names: Sequence[str]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    one = contact_attribute.c
    if names:
        for contact_id, name, value in db.execute(
            sa.select(one.contact_id, one.name, one.value).where(one.name.in_(sorted(set(names))))
        ):
            found.setdefault(contact_id, {})[name] = value
    return found


def _micros(column: "sa.Column[datetime]") -> sa.ColumnElement[int]:
    return sa.type_coerce(column, sa.BigInteger)


def _sent(at: datetime) -> sa.Select[Any]:
    query = sa.select(message.c.contact_id, _micros(message.c.sent_at))
    return query.where(message.c.state == MessageState.SENT, message.c.sent_at <= at)


def _clicked(at: datetime) -> sa.Select[Any]:
    by_hand = sa.and_(hit.c.kind == HitKind.CLICK, hit.c.verdict == Verdict.HUMAN, hit.c.at <= at)
    query = sa.select(message.c.contact_id, _micros(hit.c.at))
    return query.join_from(message, hit, hit.c.message_id == message.c.id).where(by_hand)


def _happened(kind: str, at: datetime) -> sa.Select[Any]:
    return sa.select(event.c.contact_id, _micros(event.c.at)).where(event.c.kind == kind, event.c.at <= at)


def _rows(db: sa.Connection, ids: Ints, query: sa.Select[Any]) -> Rows:
    """What a query tells as (contact, microseconds), by contact and time."""
    owner, moment = _columns(_rows_of(db.execute(query.execution_options(yield_per=_ROWS))), 2)
    place, known = _placed(owner, ids)
    owner, moment = place[known], moment[known]
    order = np.lexsort((moment, owner))
    return Rows(first=_firsts(owner[order], len(ids)), at=moment[order])


def _orders(db: sa.Connection, ids: Ints, at: datetime) -> tuple[Orders, list[tuple[str, str | None, str | None]]]:
    heads = sa.select(orders.c.id, orders.c.contact_id, _micros(orders.c.ordered_at)).where(orders.c.ordered_at <= at)
    pk, owner, moment = _columns(_rows_of(db.execute(heads.execution_options(yield_per=_ROWS))), 3)
    place, known = _placed(owner, ids)
    pk, owner, moment = pk[known], place[known], moment[known]
    order = np.lexsort((pk, moment, owner))
    pk, owner, moment = pk[order], owner[order], moment[order]
    catalogue = [tuple(row) for row in db.execute(sa.select(product.c.product_id, product.c.category, product.c.brand))]
    number = {one[0]: n for n, one in enumerate(catalogue)}
    line = order_line.c
    lines = (
        sa.select(
            line.order_pk,
            line.product_id,
            line.quantity,
            line.returned,
            line.unit_price_cents,
            line.discount_cents,
            line.revenue_cents,
        )
        .join_from(orders, order_line, line.order_pk == orders.c.id)
        .where(orders.c.ordered_at <= at)
        .execution_options(yield_per=_ROWS)
    )
    told = (
        (key, number.get(what, -1) if quantity > returned else -1, round(quantity * price), discount, revenue)
        for key, what, quantity, returned, price, discount, revenue in _rows_of(db.execute(lines))
    )
    key, item, before, discount, revenue = _columns(told, 5)
    by_pk = np.argsort(pk)
    found, known = _placed(key, pk[by_pk])
    row = by_pk[np.minimum(found, len(pk) - 1)] if len(pk) else found
    row, item, before, discount, revenue = row[known], item[known], before[known], discount[known], revenue[known]
    by_row = np.argsort(row, kind="stable")

    def summed(what: Ints) -> Ints:
        return np.bincount(row, weights=what, minlength=len(pk)).astype(np.int64)

    return (
        Orders(
            first=_firsts(owner, len(ids)),
            at=moment,
            revenue=summed(revenue),
            discount=summed(discount),
            before=summed(before),
            first_line=_firsts(row[by_row], len(pk)),
            product=item[by_row],
            line_revenue=revenue[by_row],
        ),
        catalogue,
    )


def _rows_of(result: sa.Result[Any]) -> Iterator[Any]:
    """All rows, taken by the thousand: asked for one by one each costs a call more."""
    return chain.from_iterable(result.partitions())


def _columns(rows: Iterable[Iterable[int]], width: int) -> Ints:
    """Rows of whole numbers as columns."""
    flat = np.fromiter(chain.from_iterable(rows), np.int64)
    return flat.reshape(-1, width).T.copy()


def _placed(owner: Ints, ids: Ints) -> tuple[Ints, Any]:
    """Each one's place among the ids, and which of them are known at all."""
    place = np.searchsorted(ids, owner)
    inside = np.minimum(place, max(len(ids) - 1, 0))
    return place, (ids[inside] == owner) if len(ids) else np.zeros(len(owner), bool)


def _firsts(owner: Ints, size: int) -> Ints:
    """Where each owner's rows begin; the rows lie by owner."""
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=size))]).astype(np.int64)

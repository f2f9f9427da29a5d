"""What is recent, often and much in this shop? The cut points behind the scores 1-5, and the shop's usual gap.

Cut points are the quintiles (nearest rank, so real values) of all contacts with orders: days since the last order,
orders, revenue. A score is 1 and one more for each cut point that the value exceeds; for recency fewer days score
higher. Equal values get equal scores, so where most bought once, most have frequency 1. The yardstick moves with each
`refresh` (nightly), not with each order, and stands in fact "yardstick".
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from engine.store import to_micros
from engine.store.tables import order_line, orders, profile

DAY = 86_400_000_000  # microseconds

Cuts = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """The cut points as of a moment; empty, and the gap None, while nobody has bought (twice)."""

    as_of: datetime
    recency: Cuts = ()  # days
    frequency: Cuts = ()  # orders
    monetary: Cuts = ()  # minor units
    shop_gap_days: float | None = None  # median gap between purchase days, over all gaps of all contacts

    def to_fact(self) -> dict[str, object]:
        """As fact "yardstick" holds it."""
        cuts = {"recency": self.recency, "frequency": self.frequency, "monetary": self.monetary}
        return {"as_of": self.as_of.isoformat(), "cuts": cuts, "shop_gap_days": self.shop_gap_days}


def from_fact(value: Mapping[str, object]) -> Yardstick:
    """The yardstick of `to_fact`."""
    cuts, gap = value["cuts"], value["shop_gap_days"]
    assert isinstance(cuts, Mapping)
    return Yardstick(
        as_of=datetime.fromisoformat(str(value["as_of"])),
        shop_gap_days=None if gap is None else float(str(gap)),
        **{name: tuple(points) for name, points in cuts.items()},
    )


def from_profiles(db: sa.Connection, at: datetime, zone: ZoneInfo) -> Yardstick:
    """The yardstick as of `at`, from stored profiles that are as of `at`."""
    query = sa.select(_micros(profile.c.last_order_at), profile.c.orders_count, profile.c.revenue_cents)
    return _drawn(db, query.where(profile.c.orders_count > 0), at, zone)


def from_orders(db: sa.Connection, at: datetime, zone: ZoneInfo) -> Yardstick:
    """The same yardstick from every order up to `at`, whatever moment the stored profiles are of."""
    placed = orders.c.ordered_at <= at
    lines = (
        sa.select(orders.c.contact_id, sa.func.sum(order_line.c.revenue_cents).label("revenue"))
        .join_from(orders, order_line, order_line.c.order_pk == orders.c.id)
        .where(placed)
        .group_by(orders.c.contact_id)
        .subquery()
    )
    heads = (
        sa.select(
            orders.c.contact_id,
            sa.func.max(_micros(orders.c.ordered_at)).label("last"),
            sa.func.count().label("number"),
        )
        .where(placed)
        .group_by(orders.c.contact_id)
        .subquery()
    )
    query = sa.select(heads.c.last, heads.c.number, sa.func.coalesce(lines.c.revenue, 0))
    return _drawn(db, query.outerjoin_from(heads, lines, lines.c.contact_id == heads.c.contact_id), at, zone)


def rank(value: int, cuts: Sequence[int]) -> int:
    """1 to 5: one more for each cut point that the value exceeds."""
    return 1 + bisect_left(cuts, value)


def rank_sql(value: sa.ColumnElement[int], cuts: Sequence[int]) -> sa.ColumnElement[int]:
    """`rank` in SQL; NULL has rank 1, so ask only where there is a value."""
    return sa.literal(1) + sum((sa.case((value > cut, 1), else_=0) for cut in cuts), sa.literal(0))


def _drawn(db: sa.Connection, people: sa.Select[int, int, int], at: datetime, zone: ZoneInfo) -> Yardstick:
    rows = [(last, number, int(cents)) for last, number, cents in db.execute(people)]
    now = to_micros(at)
    return Yardstick(
        as_of=at,
        recency=_quintiles([(now - last) // DAY for last, _, _ in rows]),
        frequency=_quintiles([number for _, number, _ in rows]),
        monetary=_quintiles([cents for _, _, cents in rows]),
        shop_gap_days=_median(_gaps(db, at, zone)),
    )


def _quintiles(values: list[int]) -> Cuts:
    values.sort()
    return tuple(values[math.ceil(len(values) * fifth / 5) - 1] for fifth in (1, 2, 3, 4)) if values else ()


def _gaps(db: sa.Connection, at: datetime, zone: ZoneInfo) -> Counter[int]:
    """How often each gap, in days, lies between two purchase days of one contact."""
    query = (
        sa.select(orders.c.contact_id, _micros(orders.c.ordered_at))
        .where(orders.c.ordered_at <= at)
        .order_by(orders.c.contact_id, orders.c.ordered_at)
        .execution_options(yield_per=10_000)
    )
    return Counter(_between(db.execute(query), zone))


def _between(rows: Iterable[tuple[int, int]], zone: ZoneInfo) -> Iterable[int]:
    last_contact, last_day = None, 0
    for contact_id, micros in rows:
        day = datetime.fromtimestamp(micros // 1_000_000, zone).toordinal()
        if contact_id == last_contact and day > last_day:
            yield day - last_day
        last_contact, last_day = contact_id, day


def _median(counts: Counter[int]) -> float | None:
    total = counts.total()
    if not total:
        return None
    middle, seen, found = {(total - 1) // 2, total // 2}, 0, []
    for value in sorted(counts):
        seen += counts[value]
        found += [value for place in sorted(middle) if seen > place >= seen - counts[value]]
    return sum(found) / len(found)


def _micros(column: sa.ColumnElement[datetime]) -> sa.ColumnElement[int]:
    return sa.type_coerce(column, sa.BigInteger)

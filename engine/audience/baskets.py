"""Who bought what, how often and when? The shop's purchases as numbers: one pair for each contact and product.

An order counts once for a product, whatever the quantity. Products marked as not recommendable (gift cards, fees,
coupons, fuel) are left out altogether: they say nothing about taste.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from engine.store import Store, to_micros
from engine.store.tables import order_line, orders, product

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Numbers = TypeVar("Numbers", Ints, Floats)
Flags = npt.NDArray[np.bool_]

HALF_LIFE = timedelta(days=120)
RECENT = timedelta(days=30)

_ROWS_AT_ONCE = 50_000
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lines:
    """Order lines as columns of equal length; `products` are the shop's ids, in the order of their text."""

    order: Ints
    contact: Ints
    at: Ints  # microseconds since 1970
    product: Ints  # place in `products`
    kept: Flags  # false: all of it came back
    products: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Every pair of contact and product ever bought, as of a moment, sorted by row and column."""

    contacts: Ints  # contact ids, ascending: the rows
    products: tuple[str, ...]  # the columns, in the order of their text, so that ties are always broken alike
    row: Ints
    column: Ints
    times: Ints  # orders that kept it; 0: everything was returned
    first: Ints  # microseconds since 1970
    last: Ints
    weight: Floats  # sum of 0.5^(age / half-life) over the orders that kept it
    recent: Flags  # kept from an order of the last 30 days

    def buyers(self) -> Floats:
        """Distinct contacts who ever bought and kept each product."""
        return self._counted(self.times > 0)

    def recent_buyers(self) -> Floats:
        """Distinct contacts who bought and kept each product in the last 30 days."""
        return self._counted(self.recent)

    def _counted(self, which: Flags) -> Floats:
        return np.bincount(self.column[which], minlength=len(self.products)).astype(np.float64)


def read_lines(store: Store, *, last: datetime, first: datetime | None = None) -> Lines:
    """The lines of all orders from `first` to `last`, both included."""
    codes: dict[str, int] = {}
    columns: list[list[Ints]] = [[np.zeros(0, np.int64)] for _ in range(5)]
    with store.read() as db:
        barred = set(db.execute(sa.select(product.c.product_id).where(~product.c.recommendable)).scalars())
        found = db.execution_options(yield_per=_ROWS_AT_ONCE).execute(_lines_between(first, last))
        for part in found.partitions():
            order, contact, at, names, returned = zip(*part, strict=True)
            coded = [codes.setdefault(name, len(codes)) for name in names]
            for column, values in zip(columns, (order, contact, at, coded, returned), strict=True):
                column.append(np.fromiter(values, np.int64, len(coded)))
    return _sorted_out(codes, barred, [np.concatenate(column) for column in columns])


def history(lines: Lines, at: datetime) -> History:
    """The pairs of contact and product in `lines`, aged as of `at`."""
    contacts, row = np.unique(lines.contact, return_inverse=True)
    order = np.lexsort((~lines.kept, lines.order, lines.at, lines.product, row))
    row, column, moment, basket = row[order], lines.product[order], lines.at[order], lines.order[order]
    # Two lines of one order are one basket; the sort puts the line that was kept before the one that came back.
    new_basket = _changes(row, column, basket)
    row, column, moment, kept = row[new_basket], column[new_basket], moment[new_basket], lines.kept[order][new_basket]
    starts = np.flatnonzero(_changes(row, column))
    now = to_micros(at)
    weight = kept * 0.5 ** ((now - moment) / (HALF_LIFE / _MICROSECOND))
    recent = kept & (moment >= now - RECENT // _MICROSECOND)
    return History(
        contacts=contacts,
        products=lines.products,
        row=row[starts],
        column=column[starts],
        times=_summed(kept.astype(np.int64), starts),
        first=moment[starts],
        last=moment[(np.append(starts[1:], len(moment)) - 1)[: len(starts)]],
        weight=_summed(weight, starts),
        recent=_summed(recent.astype(np.int64), starts) > 0,
    )


def _lines_between(first: datetime | None, last: datetime) -> sa.Select[tuple[int, int, int, str, int]]:
    returned = sa.and_(order_line.c.returned > 0, order_line.c.returned >= order_line.c.quantity)
    wanted = (
        sa.select(
            orders.c.id,
            orders.c.contact_id,
            # Moments stay whole microseconds, as they lie: a datetime for each of millions of lines is slow.
            sa.type_coerce(orders.c.ordered_at, sa.BigInteger),
            order_line.c.product_id,
            sa.case((returned, 1), else_=0),
        )
        .join_from(order_line, orders, order_line.c.order_pk == orders.c.id)
        .where(orders.c.ordered_at <= last, order_line.c.product_id.is_not(None))
    )
    return wanted if first is None else wanted.where(orders.c.ordered_at >= first)


def _sorted_out(codes: dict[str, int], barred: set[str], columns: list[Ints]) -> Lines:
    """Products in the order of their text, barred ones dropped; what the catalogue lacks was bought all the same."""
    order, contact, at, coded, returned = columns
    products = sorted(codes.keys() - barred)
    place = np.full(len(codes), -1, np.int64)
    place[[codes[name] for name in products]] = np.arange(len(products))
    product_place = place[coded]
    wanted = product_place >= 0
    return Lines(
        order=order[wanted],
        contact=contact[wanted],
        at=at[wanted],
        product=product_place[wanted],
        kept=returned[wanted] == 0,
        products=tuple(products),
    )


def _changes(*columns: Ints) -> Flags:
    """True where any of the sorted columns differs from the line before."""
    size = len(columns[0])
    changed = np.zeros(size, np.bool_)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return changed


def _summed(values: Numbers, starts: Ints) -> Numbers:
    return np.add.reduceat(values, starts) if len(starts) else values


def rows_of(contact_ids: Iterable[int], past: History) -> Ints:
    """The row of each contact in the history; -1 for those who never bought."""
    ids = np.asarray(list(contact_ids), np.int64)
    if not len(past.contacts):
        return np.full(len(ids), -1, np.int64)
    place = np.minimum(np.searchsorted(past.contacts, ids), len(past.contacts) - 1)
    return np.where(past.contacts[place] == ids, place, -1)

"""What have a contact's orders come to, as of a moment? The figures that table `profile` stores; none depends on "now".

What counts: every order placed at or before the moment, also one returned in full (buying is what rhythm is about;
the money of returned goods is taken off `revenue`). Several orders on one local day are one purchase day, and gaps lie
between purchase days. Favourites, categories and brands look at lines of which something was kept, and at products
that the catalogue knows; most revenue wins, then the name that comes first. `discount_share` is money off by price
before it, returned goods included on both sides.
"""

import itertools
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from engine import locale
from engine.model import frozen
from engine.store import among, chunks, from_micros
from engine.store.tables import contact, order_line, orders, product

_IDS_A_QUERY = 5000  # far below the 32,766 variables that SQLite allows


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """As of what figures are drawn: the moment, the shop's zone, and the language of those who gave none."""

    at: datetime
    zone: ZoneInfo
    language: str


@frozen
class Figures:
    """The stored part of a profile, named as the columns of table `profile`."""

    greeting: str | None = None
    orders_count: int = 0
    purchase_days: int = 0
    revenue_cents: int = 0
    first_order_at: datetime | None = None
    last_order_at: datetime | None = None
    usual_gap_days: float | None = None
    mean_gap_days: float | None = None
    favourite_product: str | None = None
    favourite_category: str | None = None
    favourite_brand: str | None = None
    categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    discount_share: float | None = None


class Catalogue:
    """Category and brand of the products met so far: each is read once, however many baskets hold it."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str | None, str | None] | None] = {}

    def learn(self, db: sa.Connection, product_ids: Collection[str]) -> None:
        """Read what is not known yet."""
        wanted = [one for one in product_ids if one not in self._known]
        for some in chunks(wanted, _IDS_A_QUERY):
            self._known.update(dict.fromkeys(some))
            found = sa.select(product.c.product_id, product.c.category, product.c.brand)
            for row in db.execute(found.where(among(product.c.product_id, some))):
                self._known[row.product_id] = (row.category, row.brand)

    def get(self, product_id: str) -> tuple[str | None, str | None] | None:
        """Category and brand; None for a product that the shop's catalogue lacks."""
        return self._known[product_id]


@dataclass(slots=True)
class _Basket:
    """All that one contact ever bought."""

    kept: dict[str, int] = field(default_factory=dict)  # product -> revenue of lines of which something was kept
    revenue: int = 0
    discount: int = 0
    before: int = 0  # price before money off


def figures(db: sa.Connection, contact_ids: Sequence[int], basis: Basis, catalogue: Catalogue) -> dict[int, Figures]:
    """The figures of each contact as of `basis.at`, from orders and catalogue. Hand in some hundreds at a time."""
    moments = _moments(db, contact_ids, basis.at)
    baskets = _baskets(db, contact_ids, basis.at)
    catalogue.learn(db, {one for basket in baskets.values() for one in basket.kept})
    greetings = _greetings(db, contact_ids, basis.language)
    nothing = _Basket()
    return {
        one: _drawn(greetings.get(one), moments.get(one, []), baskets.get(one, nothing), basis.zone, catalogue)
        for one in contact_ids
    }


def purchase_days(moments: Iterable[int], zone: ZoneInfo) -> list[int]:
    """The distinct local days (ordinals, ascending) of moments in microseconds."""
    return sorted({datetime.fromtimestamp(one // 1_000_000, zone).toordinal() for one in moments})


def _moments(db: sa.Connection, contact_ids: Sequence[int], at: datetime) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    query = (
        sa.select(orders.c.contact_id, sa.type_coerce(orders.c.ordered_at, sa.BigInteger))
        .where(among(orders.c.contact_id, contact_ids), orders.c.ordered_at <= at)
        .order_by(orders.c.contact_id, orders.c.ordered_at)
    )
    for contact_id, micros in db.execute(query):
        found[contact_id].append(micros)
    return found


def _baskets(db: sa.Connection, contact_ids: Sequence[int], at: datetime) -> dict[int, _Basket]:
    found: dict[int, _Basket] = defaultdict(_Basket)
    line = order_line.c
    query = (
        sa.select(
            orders.c.contact_id,
            line.product_id,
            line.quantity,
            line.returned,
            line.unit_price_cents,
            line.discount_cents,
            line.revenue_cents,
        )
        .join_from(orders, order_line, line.order_pk == orders.c.id)
        .where(among(orders.c.contact_id, contact_ids), orders.c.ordered_at <= at)
    )
    for contact_id, product_id, quantity, returned, price, discount, revenue in db.execute(query):
        basket = found[contact_id]
        basket.revenue += revenue
        basket.discount += discount
        basket.before += round(quantity * price)
        if product_id is not None and quantity > returned:
            basket.kept[product_id] = basket.kept.get(product_id, 0) + revenue
    return found


def _greetings(db: sa.Connection, contact_ids: Sequence[int], language: str) -> dict[int, str]:
    who = contact.c
    query = sa.select(
        who.id, who.language, who.given_name, who.family_name, who.full_name, who.honorific, who.gender
    ).where(among(who.id, contact_ids))
    return {
        row.id: locale.greeting(
            row.language or language, row.given_name, row.family_name, row.full_name, row.honorific, row.gender
        )
        for row in db.execute(query)
    }


def _drawn(
    greeting: str | None, moments: Sequence[int], basket: _Basket, zone: ZoneInfo, catalogue: Catalogue
) -> Figures:
    if not moments:
        return Figures(greeting=greeting)
    days = purchase_days(moments, zone)
    gaps = [later - earlier for earlier, later in itertools.pairwise(days)]
    by_category, by_brand, known = _revenues(basket, catalogue)
    return Figures(
        greeting=greeting,
        orders_count=len(moments),
        purchase_days=len(days),
        revenue_cents=basket.revenue,
        first_order_at=from_micros(moments[0]),
        last_order_at=from_micros(moments[-1]),
        usual_gap_days=float(statistics.median(gaps)) if gaps else None,
        mean_gap_days=(days[-1] - days[0]) / len(gaps) if gaps else None,
        favourite_product=_favourite(known),
        favourite_category=_favourite(by_category),
        favourite_brand=_favourite(by_brand),
        categories=tuple(sorted(by_category)),
        brands=tuple(sorted(by_brand)),
        discount_share=basket.discount / basket.before if basket.before > 0 else None,
    )


def _revenues(basket: _Basket, catalogue: Catalogue) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Revenue by category, by brand, and by product that the catalogue knows."""
    by_category: dict[str, int] = defaultdict(int)
    by_brand: dict[str, int] = defaultdict(int)
    by_product: dict[str, int] = {}
    for product_id, revenue in basket.kept.items():
        entry = catalogue.get(product_id)
        if entry is None:
            continue
        by_product[product_id] = revenue
        category, brand = entry
        if category:
            by_category[category] += revenue
        if brand:
            by_brand[brand] += revenue
    return by_category, by_brand, by_product


def _favourite(revenue_by_name: dict[str, int]) -> str | None:
    return min(revenue_by_name, key=lambda name: (-revenue_by_name[name], name), default=None)

"""Which products may a template show to this contact, and what is said of each?

`buy_again` and `new_for_you` come from table `recommendation` (today's, also for a past moment) and are looked at
again here: up to six each that can be bought now, with title, address and price, none in both, none bought since the
lists were made as far as the five latest orders tell. `last_purchases` are the latest products kept, one card each, at
most four, the dearest line of an order first; these and `favourite_product` are memories, shown even when sold out.
`basket` is what was filled and not ordered, as far as the catalogue knows it and it is not sold out.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from engine import locale
from engine.audience.asof import Lens
from engine.audience.left_baskets import LeftBasket, left_baskets
from engine.audience.profile import Figures
from engine.clock import local_day
from engine.model import Card, Picks, Profile
from engine.store import among, chunks
from engine.store.tables import order_line, orders, product, recommendation

_LATEST_ORDERS = 5
_LAST_PURCHASES = 4
_CARDS_A_LIST = 6
_IDS_A_QUERY = 5000

Row = sa.Row[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shelf:
    """What can be said of the products that matter now."""

    products: Mapping[str, Row]
    minor: int

    def card(self, product_id: str, reason: str = "") -> Card:
        """A product that the catalogue knows."""
        row = self.products[product_id]
        price = None if row.price_cents is None else row.price_cents / self.minor
        return Card(
            product_id=product_id,
            title=row.title,
            url=row.url or "",
            image_url=row.image_url or "",
            price=price,
            reason=reason,
        )

    def memory(self, product_id: str | None) -> Card | None:
        """A product once bought, if the catalogue still knows it."""
        return self.card(product_id) if product_id is not None and product_id in self.products else None

    def basket(self, product_ids: Iterable[str]) -> tuple[Card, ...]:
        """What she chose herself: a gift card, too, which nobody would recommend."""
        rows = ((one, self.products.get(one)) for one in product_ids)
        there = (one for one, row in rows if row is not None and row.title and (row.stock is None or row.stock > 0))
        return tuple(self.card(one) for one in islice(there, _CARDS_A_LIST))

    def can_sell(self, product_id: str) -> bool:
        """In stock as far as known, and with all that an offer needs."""
        row = self.products.get(product_id)
        if row is None or not row.recommendable or (row.stock is not None and row.stock <= 0):
            return False
        return bool(row.title and row.url and row.price_cents is not None)


def picks_for(
    db: sa.Connection, people: Sequence[tuple[Profile, Figures]], lens: Lens, languages: Sequence[str]
) -> dict[int, Picks]:
    """The picks of some hundreds of contacts, worded in the best of the shop's languages for each."""
    contact_ids = [who.contact_id for who, _ in people]
    latest, lists = _latest(db, contact_ids, lens), _lists(db, contact_ids)
    wanted = {row.product_id for rows in (*latest.values(), *lists.values()) for row in rows}
    wanted |= {drawn.favourite_product for _, drawn in people if drawn.favourite_product}
    left = left_baskets(db, contact_ids, lens.at)
    wanted |= {product_id for one in left.values() for product_id in one.product_ids}
    shelf = _Shelf(products=_products(db, wanted), minor=lens.minor)
    picks = {}
    for who, drawn in people:
        language, _ = locale.negotiate(who.language, languages, languages[0])
        mine = _Mine(latest=latest[who.contact_id], lens=lens, shelf=shelf, language=language)
        again = mine.offers((row for row in lists[who.contact_id] if row.list == "buy_again"), taken=())
        taken = [card.product_id for card in again]
        basket = left.get(who.contact_id, LeftBasket())
        picks[who.contact_id] = Picks(
            favourite_product=shelf.memory(drawn.favourite_product),
            last_purchases=mine.memories(),
            buy_again=again,
            new_for_you=mine.offers((row for row in lists[who.contact_id] if row.list == "new_for_you"), taken),
            basket=shelf.basket(basket.product_ids),
            basket_url=basket.url,
        )
    return picks


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mine:
    """One contact's latest lines, newest first, and how to speak to them."""

    latest: Sequence[Row]
    lens: Lens
    shelf: _Shelf
    language: str

    def memories(self) -> tuple[Card, ...]:
        """The latest products, each once."""
        found: dict[str, Card] = {}
        for row in self.latest:
            if row.product_id in found or row.quantity <= row.returned:
                continue
            if row.product_id in self.shelf.products:
                said = {"code": "bought_times", "times": 1, "last": self._day(row.ordered_at)}
                found[row.product_id] = self.shelf.card(row.product_id, locale.reason(self.language, said))
            if len(found) == _LAST_PURCHASES:
                break
        return tuple(found.values())

    def offers(self, rows: Iterable[Row], taken: Collection[str]) -> tuple[Card, ...]:
        """The first of a list that still make sense."""
        offered = (
            self.shelf.card(row.product_id, locale.reason(self.language, row.reason))
            for row in rows
            if row.product_id not in taken and self.shelf.can_sell(row.product_id) and not self._bought_since(row)
        )
        return tuple(islice(offered, _CARDS_A_LIST))

    def _bought_since(self, row: Row) -> bool:
        # A "buy again" reason tells the last purchase that its list knew of; "new" lists know of none.
        latest = next((one.ordered_at for one in self.latest if one.product_id == row.product_id), None)
        return latest is not None and self._day(latest) > str(row.reason.get("last", ""))

    def _day(self, moment: datetime) -> str:
        return local_day(moment, self.lens.basis.zone).isoformat()


def _latest(db: sa.Connection, contact_ids: Sequence[int], lens: Lens) -> dict[int, list[Row]]:
    """The lines of each contact's latest orders up to the moment."""
    place = sa.func.row_number().over(
        partition_by=orders.c.contact_id, order_by=(orders.c.ordered_at.desc(), orders.c.id.desc())
    )
    numbered = (
        sa.select(orders.c.id, orders.c.contact_id, orders.c.ordered_at, place.label("place"))
        .where(among(orders.c.contact_id, contact_ids), orders.c.ordered_at <= lens.at)
        .subquery()
    )
    line = order_line.c
    query = (
        sa.select(numbered.c.contact_id, numbered.c.ordered_at, line.product_id, line.quantity, line.returned)
        .join_from(numbered, order_line, line.order_pk == numbered.c.id)
        .where(numbered.c.place <= _LATEST_ORDERS, line.product_id.is_not(None))
        .order_by(numbered.c.contact_id, numbered.c.place, line.revenue_cents.desc(), line.line_no)
    )
    return _by_contact(db.execute(query))


def _lists(db: sa.Connection, contact_ids: Sequence[int]) -> dict[int, list[Row]]:
    one = recommendation.c
    query = sa.select(one.contact_id, one.list, one.product_id, one.reason).where(among(one.contact_id, contact_ids))
    return _by_contact(db.execute(query.order_by(one.contact_id, one.list, one.rank)))


def _by_contact(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.contact_id].append(row)
    return found


def _products(db: sa.Connection, product_ids: Collection[str]) -> dict[str, Row]:
    found = {}
    for some in chunks(sorted(product_ids), _IDS_A_QUERY):
        for row in db.execute(sa.select(product).where(among(product.c.product_id, some))):
            found[row.product_id] = row
    return found

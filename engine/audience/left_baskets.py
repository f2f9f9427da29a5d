"""What has somebody put into a basket and not ordered? The shop tells: by an event `basket`, each time that it changes.

Its column `product_ids` names the products (a list, or a text with `;` between them), `basket_url` the page on which
she finds it again. The latest such event counts, unless she has ordered since.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engine.store import among
from engine.store.tables import event, orders

BASKET = "basket"  # the kind of event that tells of one

_WEB = ("https://", "http://")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBasket:
    """A basket that waits to be ordered; by itself, an empty one."""

    product_ids: tuple[str, ...] = ()  # each once, in the shop's order
    url: str | None = None


def left_baskets(db: sa.Connection, contact_ids: Sequence[int], at: datetime) -> dict[int, LeftBasket]:
    """The basket of each of these contacts who has one, as of `at`."""
    place = sa.func.row_number().over(partition_by=event.c.contact_id, order_by=(event.c.at.desc(), event.c.id.desc()))
    hers = (among(event.c.contact_id, contact_ids), event.c.kind == BASKET, event.c.at <= at)
    told = sa.select(event.c.contact_id, event.c.at, event.c.properties, place.label("place")).where(*hers).subquery()
    ordered = sa.exists().where(
        orders.c.contact_id == told.c.contact_id, orders.c.ordered_at >= told.c.at, orders.c.ordered_at <= at
    )
    wanted = sa.select(told.c.contact_id, told.c.properties).where(told.c.place == 1, ~ordered)
    return {row.contact_id: _basket(row.properties) for row in db.execute(wanted)}


def _basket(told: Mapping[str, Any]) -> LeftBasket:
    named = told.get("product_ids") or ()
    ids = named.split(";") if isinstance(named, str) else named if isinstance(named, list) else [named]
    texts = (str(one).strip() for one in ids)
    url = told.get("basket_url")
    opens_a_page = isinstance(url, str) and url.startswith(_WEB)
    return LeftBasket(product_ids=tuple(dict.fromkeys(one for one in texts if one)), url=url if opens_a_page else None)

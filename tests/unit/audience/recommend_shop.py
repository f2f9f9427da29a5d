"""Small shops for the tests of recommendations, written as who bought what how many days ago."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from engine.store import Store
from engine.store.tables import contact, order_line, orders, product, recommendation

Purchase = tuple[str, float, str]  # contact, days ago, "product product ..."


def people(store: Store, names: str, at: datetime) -> dict[str, int]:
    """Contacts by name, numbered from 1."""
    numbers = {name: n for n, name in enumerate(names.split(), start=1)}
    rows = [
        {"id": n, "email": f"{name}@shop.test", "address_key": f"{name}@shop.test", "created_at": at}
        for name, n in numbers.items()
    ]
    with store.write() as db:
        db.execute(sa.insert(contact), rows)
    return numbers


def catalogue(store: Store, products: Iterable[str], **columns: Mapping[str, object]) -> None:
    """Products titled as their id in capitals; `stock={"tea": 0}` sets a column of some."""
    given = {name: {column: by[name] for column, by in columns.items() if name in by} for name in products}
    usual = {"recommendable": True, "stock": None, "category": None}
    with store.write() as db:
        rows = [{"product_id": name, "title": name.upper(), **usual, **more} for name, more in given.items()]
        if rows:
            db.execute(sa.insert(product), rows)


def sell(store: Store, numbers: Mapping[str, int], purchases: Iterable[Purchase], at: datetime) -> None:
    """One order a purchase; a product ending in `!` came back."""
    with store.write() as db:
        start = db.execute(sa.select(sa.func.count()).select_from(orders)).scalar_one()
        for n, (name, days, products) in enumerate(purchases, start=start + 1):
            moment = at - timedelta(days=days)
            key = {"id": n, "order_id": f"o{n}", "contact_id": numbers[name], "ordered_at": moment}
            db.execute(sa.insert(orders), key)
            for line_no, one in enumerate(products.split(), start=1):
                line = {"product_id": one.rstrip("!"), "quantity": 2, "returned": 2 * one.endswith("!")}
                money = {"unit_price_cents": 100, "revenue_cents": 200}
                db.execute(sa.insert(order_line), {"order_pk": n, "line_no": line_no, **line, **money})


def listed(store: Store, contact_id: int, name: str) -> list[str]:
    """The product ids of one stored list, best first."""
    return [row.product_id for row in rows(store, contact_id, name)]


def rows(store: Store, contact_id: int, name: str) -> list[sa.Row[tuple[object, ...]]]:
    """The rows of one stored list, best first."""
    wanted = sa.select(recommendation).where(recommendation.c.contact_id == contact_id, recommendation.c.list == name)
    with store.read() as db:
        return list(db.execute(wanted.order_by(recommendation.c.rank)))


def silent(_done: int, _total: int | None) -> None:
    """No progress is shown."""

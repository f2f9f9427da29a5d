"""Products and events from a file."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from engine.audience import ImportResult
from engine.store import Store
from engine.store.tables import contact, event, product

Take = Callable[..., ImportResult]
People = Callable[[Store], dict[str, dict[str, Any]]]


def products_in(store: Store) -> dict[str, sa.Row[Any]]:
    with store.read() as db:
        return {row.product_id: row for row in db.execute(sa.select(product))}


def test_a_product_arrives_with_all_its_columns(store: Store, take: Take) -> None:
    text = (
        "sku,name,category,brand,price,cost,stock,url,image_url,recommendable,shelf\n"
        "P1,Cod,Fish,Kala,12.50,7.25,4,https://shop.test/cod?x=1,https://cdn.test/cod.jpg,yes,A3\n"
        "P2,Gift card,,,,,,,,no,\n"
    )
    told = take(store, "products", text)

    found = products_in(store)
    assert (2, 2, ("shelf",)) == (told.rows, told.added, told.ignored)
    assert (
        "Cod",
        "Fish",
        "Kala",
        1250,
        725,
        4,
        "https://shop.test/cod?x=1",
        "https://cdn.test/cod.jpg",
        True,
    ) == tuple(found["P1"][2:])
    assert ("Gift card", None, None, None, None, None, None, None, False) == tuple(found["P2"][2:])
    take(store, "products", "sku,name\n")
    again = take(store, "products", text)
    assert (0, 0, 2) == (again.added, again.updated, again.unchanged)


def test_a_blank_cell_keeps_what_is_known_of_a_product(store: Store, take: Take) -> None:
    take(store, "products", "product_id,title,price,stock\nP1,Cod,12.50,4\n")

    told = take(store, "products", "product_id,title,price,stock\nP1,,13,\\N\n")

    assert (1, "Cod", 1300, None) == (
        told.updated,
        *(getattr(products_in(store)["P1"], name) for name in ("title", "price_cents", "stock")),
    )


@pytest.mark.parametrize(
    ("header", "row", "why"),
    [
        ("url", "javascript:alert(1)", "url is no http or https address fit for a mail"),
        ("url", "//evil.test/x", "url is no http or https address fit for a mail"),
        ("url", "https://good@evil.test", "url is no http or https address fit for a mail"),
        ("image_url", "https://a b.test", "image_url is no http or https address fit for a mail"),
        ("price", "-1", "price is below 0"),
        ("recommendable", "perhaps", "recommendable is neither yes nor no"),
        ("stock", "many", "stock is not a number"),
    ],
)
def test_a_wrong_product_is_refused(sqlite_store: Store, take: Take, header: str, row: str, why: str) -> None:
    told = take(sqlite_store, "products", f"product_id,title,{header}\nP1,Cod,{row}\nP2,,\n")

    assert [(2, why), (3, "no title")] == [(one.line, one.why) for one in told.refused]


def test_buyers_are_marked_where_a_products_category_changes(store: Store, take: Take, people: People) -> None:
    take(store, "products", "product_id,title,category\nP1,Cod,Fish\nP2,Ham,Meat\n")
    take(
        store,
        "orders",
        "order_id,email,ordered_at,product_id\nO1,anna@shop.test,2026-01-02,P1\nO2,bo@shop.test,2026-01-02,P2\n",
    )
    with store.write() as db:
        db.execute(sa.update(contact).values(changed=False))

    take(store, "products", "product_id,title,category\nP1,Cod,Frozen\nP2,Big ham,Meat\n")

    assert {"anna@shop.test": True, "bo@shop.test": False} == {
        email: one["changed"] for email, one in people(store).items()
    }


def test_an_event_arrives_with_its_properties(store: Store, take: Take, people: People) -> None:
    text = (
        "event_id,email,kind,at,page,properties.depth\n"
        "E1,anna@shop.test,visit,2026-01-02T10:00Z,/cod,3\n"
        "E2,,visit,2026-01-02,,\n"
    )
    told = take(store, "events", text)

    with store.read() as db:
        row = db.execute(sa.select(event)).one()
    assert (2, 1, 3, "neither email nor external_id says who did it") == (
        told.rows,
        told.added,
        told.refused[0].line,
        told.refused[0].why,
    )
    assert ("E1", "visit", datetime(2026, 1, 2, 10, tzinfo=UTC), {"page": "/cod", "depth": "3"}) == (
        row.event_id,
        row.kind,
        row.at,
        row.properties,
    )
    assert None is people(store)["anna@shop.test"]["mailing_consent"]
    take(store, "events", "event_id,email,kind,at\n")
    again = take(store, "events", text)
    assert (0, 0, 1) == (again.added, again.updated, again.unchanged)


def test_an_events_json_keeps_its_shape(store: Store, take: Take) -> None:
    take(
        store,
        "events",
        '{"event_id": "E1", "email": "a@x.test", "kind": "cart", "at": "2026-01-02T10:00:00+02:00",'
        ' "items": [{"sku": "P1", "n": 2, "price": 1.5, "gift": false}], "note": null}\n',
        name="events.jsonl",
    )

    with store.read() as db:
        row = db.execute(sa.select(event)).one()
    assert {"items": [{"sku": "P1", "n": 2, "price": 1.5, "gift": False}]} == row.properties

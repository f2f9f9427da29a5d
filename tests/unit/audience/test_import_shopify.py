"""Shopify's three exports, recognised by their headers."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from engine.audience import ImportResult
from engine.errors import BadFile
from engine.store import Store
from engine.store.tables import order_line, orders, product

Take = Callable[..., ImportResult]
People = Callable[[Store], dict[str, dict[str, Any]]]

CUSTOMERS = (
    "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,Default Address City,"
    "Default Address Province Code,Default Address Country Code,Default Address Zip,Phone,Total Spent,Tags\n"
    "'6940095564,Anna,Berg,anna@shop.test,yes,Kala Oy,Tampere,,FI,'33100,,120.50,\"vip, autumn\"\n"
    "'6940095565,Bo,,bo@shop.test,no,,,,,,,0.00,\n"
    "'6940095566,No,Mail,,yes,,,,,,+358401234567,0.00,\n"
)
ORDERS = (
    "Name,Email,Financial Status,Paid at,Currency,Subtotal,Discount Amount,Created at,Lineitem quantity,Lineitem name,"
    "Lineitem price,Lineitem sku,Lineitem discount,Cancelled at,Id\n"
    "#1002,anna@shop.test,paid,2026-01-15 10:23:45 +0200,EUR,30.00,0,"
    "2026-01-15 10:23:45 +0200,2,Cod - Large,10.00,COD-L,1.00,,55\n"
    "#1002,,,,,,,,1,Ham,10.00,,0,,\n"
    "#1001,bo@shop.test,refunded,2026-01-14 09:00:00 +0200,EUR,5.00,0,"
    "2026-01-14 09:00:00 +0200,1,Cod - Small,5.00,COD-S,0,"
    "2026-01-14 12:00:00 +0200,54\n"
)
PRODUCTS = (
    "Handle,Title,Vendor,Type,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Tracker,Variant Inventory Qty,"
    "Variant Price,Image Src,Status,Cost per item\n"
    "cod,Cod,Kala,Fish,Size,Small,COD-S,shopify,3,5.00,https://cdn.test/cod.jpg,active,2.50\n"
    "cod,,,,,Large,COD-L,shopify,0,10.00,,,5.00\n"
    "cod,,,,,,,,,,https://cdn.test/cod2.jpg,,\n"
    "ham,Ham,Liha,Meat,Title,Default Title,,,7,10.00,,draft,\n"
)


def test_customers_arrive(store: Store, take: Take, people: People) -> None:
    told = take(store, "contacts", CUSTOMERS, name="customers_export.csv")

    anna, bo = people(store)["anna@shop.test"], people(store)["bo@shop.test"]
    assert (3, 2, 1, [4]) == (told.rows, told.added, told.mailable, [one.line for one in told.refused])
    assert ("6940095564", "Anna", "Berg", True, "Kala Oy", "Tampere", "FI", ["vip", "autumn"]) == tuple(
        anna[name]
        for name in (
            "external_id",
            "given_name",
            "family_name",
            "mailing_consent",
            "company",
            "city",
            "country",
            "tags",
        )
    )
    assert ("120.50", False) == (anna["attributes"]["total_spent"], bo["mailing_consent"])
    assert "33100" == anna["postal_code"]


def test_orders_arrive_with_their_blank_rows(store: Store, take: Take, people: People) -> None:
    told = take(store, "orders", ORDERS, name="orders_export.csv")

    with store.read() as db:
        query = sa.select(orders.c.order_id, orders.c.contact_id, orders.c.ordered_at, order_line).join(order_line)
        rows = db.execute(query.order_by(orders.c.order_id, order_line.c.line_no)).all()
    anna, bo = people(store)["anna@shop.test"]["id"], people(store)["bo@shop.test"]["id"]
    at = datetime(2026, 1, 15, 8, 23, 45, tzinfo=UTC)
    assert (3, 3) == (told.rows, told.added)
    assert [
        ("#1001", bo, datetime(2026, 1, 14, 7, tzinfo=UTC), "COD-S", 0),  # cancelled: it earned nothing
        ("#1002", anna, at, "COD-L", 1900),
        ("#1002", anna, at, "Ham", 1000),
    ] == [(row.order_id, row.contact_id, row.ordered_at, row.product_id, row.revenue_cents) for row in rows]


def test_products_arrive_a_variant_each(store: Store, take: Take) -> None:
    told = take(store, "products", PRODUCTS, name="products_export.csv")

    with store.read() as db:
        rows = db.execute(sa.select(product).order_by(product.c.product_id)).all()
    image = "https://cdn.test/cod.jpg"
    assert (4, 3, 1, ()) == (told.rows, told.added, told.unchanged, told.refused)
    assert [
        ("COD-L", "Cod - Large", "Fish", "Kala", 1000, 500, 0, image, True),
        ("COD-S", "Cod - Small", "Fish", "Kala", 500, 250, 3, image, True),
        ("ham", "Ham", "Meat", "Liha", 1000, None, None, None, False),
    ] == [
        (
            row.product_id,
            row.title,
            row.category,
            row.brand,
            row.price_cents,
            row.cost_cents,
            row.stock,
            row.image_url,
            row.recommendable,
        )
        for row in rows
    ]


@pytest.mark.parametrize(
    ("kind", "text", "other"),
    [("contacts", ORDERS, "orders"), ("orders", CUSTOMERS, "contacts"), ("contacts", PRODUCTS, "products")],
)
def test_an_export_of_another_kind_is_named(sqlite_store: Store, take: Take, kind: str, text: str, other: str) -> None:
    with pytest.raises(BadFile, match=f"export of {other}, not of {kind}; run `mailer import {other}`"):
        take(sqlite_store, kind, text)


@pytest.mark.parametrize(("kind", "text"), [("contacts", CUSTOMERS), ("orders", ORDERS), ("products", PRODUCTS)])
def test_an_export_twice_changes_nothing(sqlite_store: Store, take: Take, kind: str, text: str) -> None:
    take(sqlite_store, kind, text)
    take(sqlite_store, kind, text.splitlines()[0] + "\n")

    told = take(sqlite_store, kind, text)

    assert (0, 0, told.rows - told.refused_rows) == (told.added, told.updated, told.unchanged)

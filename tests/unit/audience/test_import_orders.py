"""Orders from a file: a row a line, money exact, baskets over several rows and chunks."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from engine.audience import ImportResult
from engine.errors import BadFile
from engine.model import RefusedRow
from engine.store import Store
from engine.store.tables import contact, order_line, orders

Take = Callable[..., ImportResult]
People = Callable[[Store], dict[str, dict[str, Any]]]
HEADER = "order_id,line_no,email,external_id,ordered_at,product_id,quantity,unit_price,discount,returned,currency\n"


def lines_in(store: Store) -> list[sa.Row[Any]]:
    with store.read() as db:
        query = sa.select(orders.c.order_id, orders.c.contact_id, orders.c.ordered_at, order_line)
        return list(db.execute(query.join(order_line).order_by(orders.c.order_id, order_line.c.line_no)))


def test_a_basket_arrives_line_by_line(store: Store, take: Take, people: People) -> None:
    told = take(
        store,
        "orders",
        HEADER
        + "O1,,anna@shop.test,,2026-01-02 10:00,P1,3,10.00,3.00,1,EUR\n"
        + "O1,,anna@shop.test,,2026-01-02 10:00,P2,1,0.99,,,\n"
        + "O2,,bo@shop.test,,2026-01-03T10:00:00Z,P1,0.5,7.25,,,eur\n",
    )

    anna, bo = people(store)["anna@shop.test"], people(store)["bo@shop.test"]
    assert (3, 3, 0, ()) == (told.rows, told.added, told.updated, told.refused)
    assert [
        ("O1", anna["id"], datetime(2026, 1, 2, 8, tzinfo=UTC), 1, "P1", 3.0, 1.0, 1000, 300, 1800),
        ("O1", anna["id"], datetime(2026, 1, 2, 8, tzinfo=UTC), 2, "P2", 1.0, 0.0, 99, 0, 99),
        ("O2", bo["id"], datetime(2026, 1, 3, 10, tzinfo=UTC), 1, "P1", 0.5, 0.0, 725, 0, 362),
    ] == [
        (
            row.order_id,
            row.contact_id,
            row.ordered_at,
            row.line_no,
            row.product_id,
            row.quantity,
            row.returned,
            row.unit_price_cents,
            row.discount_cents,
            row.revenue_cents,
        )
        for row in lines_in(store)
    ]


@pytest.mark.parametrize("name", ["placed_at", "Order date", "Timestamp", "purchased on"])
def test_the_moment_of_an_order_is_understood_by_other_names(sqlite_store: Store, take: Take, name: str) -> None:
    take(sqlite_store, "orders", f"order_id,email,{name},product_id\nO1,anna@shop.test,2026-01-02 10:00,P1\n")
    assert [datetime(2026, 1, 2, 8, tzinfo=UTC)] == [line.ordered_at for line in lines_in(sqlite_store)]


def test_a_column_that_is_understood_is_not_proposed_for_a_missing_one(sqlite_store: Store, take: Take) -> None:
    with pytest.raises(BadFile, match="column ordered_at is missing; say `--map theirs=ordered_at`"):
        take(sqlite_store, "orders", "order_id,email,bestellt\nO1,anna@shop.test,2026-01-02\n")


def test_an_unknown_buyer_becomes_a_contact_without_consent(store: Store, take: Take, people: People) -> None:
    take(store, "orders", "order_id,email,customer_id,ordered_at\nO1,Anna@shop.test,C1,2026-01-02\n")

    one = people(store)["Anna@shop.test"]
    assert (None, None, "C1", True) == (
        one["mailing_consent"],
        one["tracking_consent"],
        one["external_id"],
        one["changed"],
    )


def test_the_shops_own_number_says_who_bought(store: Store, take: Take, people: People) -> None:
    take(store, "contacts", "email,external_id\nanna@shop.test,C1\n")

    told = take(
        store,
        "orders",
        "order_id,email,external_id,ordered_at\nO1,office@shop.test,C1,2026-01-02\nO2,,C1,2026-01-03\nO3,,C9,2026-01-03\n",
        name="orders.csv",
    )

    assert ["anna@shop.test"] == list(people(store))
    assert (2, (RefusedRow(line=4, why="the external_id is not known"),)) == (told.added, told.refused)


def test_the_same_orders_twice_change_nothing(store: Store, take: Take) -> None:
    text = HEADER + "O1,,anna@shop.test,,2026-01-02,P1,3,10.00,,,\nO1,,,,,P2,1,5,,,\n"
    take(store, "orders", text)
    take(store, "orders", HEADER)  # another file between them: the first one is read anew
    with store.write() as db:
        db.execute(sa.update(contact).values(changed=False))

    told = take(store, "orders", text)

    assert (2, 0, 0, 2) == (told.rows, told.added, told.updated, told.unchanged)
    with store.read() as db:
        assert 0 == db.scalar(sa.select(sa.func.count()).where(contact.c.changed))


def test_an_order_that_comes_again_with_other_lines_is_updated(store: Store, take: Take, people: People) -> None:
    take(
        store,
        "orders",
        HEADER + "O1,1,anna@shop.test,,2026-01-02,P1,3,10.00,,,\nO2,1,bo@shop.test,,2026-01-02,P1,1,9,,,\n",
    )
    with store.write() as db:
        db.execute(sa.update(contact).values(changed=False))

    told = take(
        store,
        "orders",
        HEADER
        + "O1,1,anna@shop.test,,2026-01-02,P1,3,10.00,,3,\n"
        + "O1,2,,,,P9,1,4,,,\nO2,1,bo@shop.test,,2026-01-02,P1,1,9,,,\n",
    )

    assert (1, 1, 1) == (told.added, told.updated, told.unchanged)
    assert [("O1", 1, 0), ("O1", 2, 400), ("O2", 1, 900)] == [
        (row.order_id, row.line_no, row.revenue_cents) for row in lines_in(store)
    ]
    assert {"anna@shop.test": True, "bo@shop.test": False} == {
        email: one["changed"] for email, one in people(store).items()
    }


def test_an_order_given_to_another_contact_marks_both(store: Store, take: Take, people: People) -> None:
    take(store, "orders", "order_id,email,ordered_at\nO1,anna@shop.test,2026-01-02\n")
    with store.write() as db:
        db.execute(sa.update(contact).values(changed=False))

    take(store, "orders", "order_id,email,ordered_at\nO1,bo@shop.test,2026-01-02\n")

    found = people(store)
    assert (True, True) == (found["anna@shop.test"]["changed"], found["bo@shop.test"]["changed"])
    assert found["bo@shop.test"]["id"] == lines_in(store)[0].contact_id


def test_a_basket_over_the_border_of_a_chunk_stays_whole(sqlite_store: Store, take: Take) -> None:
    rows = "".join(f"O{n},,p{n}@shop.test,,2026-01-02,P1,1,1,,,\n" for n in range(498))
    basket = "BIG,,anna@shop.test,,2026-01-02,P1,1,1,,,\n" + "BIG,,,,,P2,1,1,,,\n" * 5

    told = take(sqlite_store, "orders", HEADER + rows + basket)

    assert (504, 504) == (told.rows, told.added)
    assert [1, 2, 3, 4, 5, 6] == [row.line_no for row in lines_in(sqlite_store) if row.order_id == "BIG"]


def test_lines_of_an_order_may_stand_apart(sqlite_store: Store, take: Take) -> None:
    take(
        sqlite_store,
        "orders",
        "order_id,email,ordered_at,price\nO1,a@x.test,2026-01-02,1\nO2,b@x.test,2026-01-02,2\nO1,a@x.test,2026-01-02,3\n",
    )

    assert [("O1", 1, 100), ("O1", 2, 300), ("O2", 1, 200)] == [
        (row.order_id, row.line_no, row.revenue_cents) for row in lines_in(sqlite_store)
    ]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("O1,,a@x.test,,2026-01-02,P1,1,1,,,USD", "currency is not the shop's, EUR"),
        ("O1,,,,2026-01-02,P1,1,1,,,", "neither email nor external_id says who bought"),
        ("O1,,a@x.test,,,P1,1,1,,,", "no ordered_at"),
        ("O1,,a@x.test,,01/02/03,P1,1,1,,,", "ordered_at can be read in several ways; say --dates dmy, mdy or ymd"),
        ("O1,,a@x.test,,yesterday,P1,1,1,,,", "ordered_at is not a date"),
        ("O1,,a@x.test,,2026-01-02,P1,0,1,,,", "quantity is not above 0"),
        ("O1,,a@x.test,,2026-01-02,P1,-1,1,,,", "quantity is not above 0"),
        ("O1,,a@x.test,,2026-01-02,P1,1,1,,2,", "returned is below 0 or above quantity"),
        ("O1,,a@x.test,,2026-01-02,P1,1,-1,,,", "unit_price or discount is below 0"),
        ("O1,,a@x.test,,2026-01-02,P1,2,1,3,,", "discount is larger than quantity x unit_price"),
        ('O1,,a@x.test,,2026-01-02,P1,1,"12,50",,,', "unit_price has a comma; say --decimal comma"),
        ('O1,,a@x.test,,2026-01-02,P1,1,"1,234",,,', "unit_price has a comma; say --decimal comma"),
        ("O1,,a@x.test,,2026-01-02,P1,1,€5,,,", "unit_price is not a number"),
        ("O1,,a@x.test,,2026-01-02,P1,1,1e999,,,", "unit_price is not a number"),
        ("O1,1.5,a@x.test,,2026-01-02,P1,1,1,,,", "line_no is not a whole number"),
        (",,a@x.test,,2026-01-02,P1,1,1,,,", "no order_id"),
        ("O1,,nobody,,2026-01-02,P1,1,1,,,", "no email address"),
    ],
)
def test_a_wrong_row_is_refused_with_its_reason(sqlite_store: Store, take: Take, row: str, why: str) -> None:
    told = take(sqlite_store, "orders", f"{HEADER}{row}\nOK,,b@x.test,,2026-01-02,P1,1,1,,,\n")

    assert (2, 1, 1) == (told.rows, told.added, told.refused_rows)
    assert (2, why) == (told.refused[0].line, told.refused[0].why[: len(why)])


def test_a_line_that_contradicts_the_one_above_is_refused(sqlite_store: Store, take: Take) -> None:
    told = take(
        sqlite_store,
        "orders",
        HEADER
        + "O1,1,a@x.test,,2026-01-02,P1,1,1,,,\n"
        + "O1,2,b@x.test,,2026-01-02,P1,1,1,,,\n"
        + "O1,1,a@x.test,,2026-01-02,P2,1,1,,,\n",
    )

    assert [
        (3, "the line above gives the same order to another contact"),
        (4, "line_no 1 of this order stands in the file twice"),
    ] == [(one.line, one.why) for one in told.refused]


@pytest.mark.parametrize(
    ("decimal", "cell", "cents"),
    [
        ("point", "12.50", 1250),
        ("point", "1,234.50", 123450),
        ("point", "1 234.50", 123450),
        ("point", "1'234.50", 123450),
        ("point", "0.125", 12),  # halves go to the even one
        ("point", "0.135", 14),
        ("comma", "12,50", 1250),
        ("comma", "1.234,50", 123450),
        ("comma", "1\u00a0234,50", 123450),
        ("comma", "7", 700),
    ],
)
def test_amounts_are_read_as_the_owner_says(
    sqlite_store: Store, take: Take, decimal: str, cell: str, cents: int
) -> None:
    take(sqlite_store, "orders", f"order_id;email;ordered_at;price\nO1;a@x.test;2026-01-02;{cell}\n", decimal=decimal)

    assert cents == lines_in(sqlite_store)[0].revenue_cents


@pytest.mark.parametrize(("currency", "cents"), [("JPY", 1250), ("KWD", 1250000), ("EUR", 125000)])
def test_money_is_kept_in_the_currencys_minor_units(sqlite_store: Store, take: Take, currency: str, cents: int) -> None:
    take(sqlite_store, "orders", "order_id,email,ordered_at,price\nO1,a@x.test,2026-01-02,1250\n", currency=currency)

    assert cents == lines_in(sqlite_store)[0].unit_price_cents


def test_a_program_writes_numbers_with_a_point_whatever_is_said_of_texts(sqlite_store: Store, take: Take) -> None:
    row = '{"order_id": 17, "email": "a@x.test", "ordered_at": "2026-01-02", "price": 12.5, "discount": "0,50"}\n'
    take(sqlite_store, "orders", row, name="orders.jsonl", decimal="comma")

    assert ("17", 1250, 50) == tuple(
        getattr(lines_in(sqlite_store)[0], name) for name in ("order_id", "unit_price_cents", "discount_cents")
    )

"""Consent in files: blank is unknown, the latest statement wins, and no file brings back who left."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from engine import audience
from engine.links import Keys
from engine.store import Store
from engine.store.tables import consent

Take = Callable[..., audience.ImportResult]
People = Callable[[Store], dict[str, dict[str, Any]]]


@pytest.mark.parametrize(
    ("cell", "stands"),
    [
        ("yes", True),
        ("TRUE", True),
        ("1", True),
        ("Subscribed", True),
        ("opt in", True),
        ("no", False),
        ("0", False),
        ("not subscribed", False),
        ("unsubscribed", False),
        ("pending", None),
        ("", None),
    ],
)
def test_answers_are_understood(
    sqlite_store: Store, take: Take, people: People, cell: str, stands: bool | None
) -> None:
    take(sqlite_store, "contacts", f"email,mailing_consent\nanna@shop.test,{cell}\n")

    assert stands is people(sqlite_store)["anna@shop.test"]["mailing_consent"]


def test_the_result_tells_how_many_can_be_mailed_and_tracked(
    store: Store, take: Take, keys: Keys, at: datetime, tmp_path: Path
) -> None:
    audience.suppress(store, keys, "gone@shop.test", "complained", at, "a provider", tmp_path)

    told = take(
        store,
        "contacts",
        "email,mailing_consent,tracking_consent\n"
        "a@shop.test,yes,yes\nb@shop.test,yes,no\nc@shop.test,,yes\nd@shop.test,no,yes\ngone@shop.test,yes,yes\n"
        "A@shop.test,yes,yes\n",
    )

    assert (2, 1, 1) == (told.mailable, told.trackable, told.withheld)


@pytest.mark.parametrize(
    ("rows", "stands"),
    [
        ("yes,2025-01-01\nno,2025-02-01", False),
        ("no,2025-02-01\nyes,2025-01-01", False),  # an older file undoes nothing
        ("no,2025-01-01\nyes,2025-02-01", True),
        ("yes,2025-01-01\nno,2025-01-01", False),
        ("no,2025-01-01\nyes,2025-01-01", False),
        ("no,2025-01-01\nyes,", False),  # a yes without a date may be older
        ("yes,2025-01-01\nno,", False),
        ("no,\nyes,", False),
        (",\nyes,", True),
    ],
)
@pytest.mark.parametrize("apart", [False, True], ids=["one file", "two files"])
def test_the_latest_statement_stands(
    sqlite_store: Store, take: Take, people: People, rows: str, stands: bool, apart: bool
) -> None:
    lines = [f"anna@shop.test,{row}\n" for row in rows.split("\n")]
    for part in lines if apart else ["".join(lines)]:
        take(sqlite_store, "contacts", f"email,mailing_consent,mailing_consent_at\n{part}")

    assert stands is people(sqlite_store)["anna@shop.test"]["mailing_consent"]


def test_every_statement_is_kept_with_its_proof(store: Store, take: Take) -> None:
    take(
        store,
        "contacts",
        "email,mailing_consent,mailing_consent_at,consent_source,consent_wording,tracking_consent\n"
        "anna@shop.test,yes,2025-01-02T10:00:00+02:00,till 4,Send me mail,no\n"
        "anna@shop.test,no,2024-01-02,,,\n",
    )

    with store.read() as db:
        rows = db.execute(sa.select(consent).order_by(consent.c.purpose, consent.c.at)).all()
    assert [
        ("mailing", False, datetime(2024, 1, 1, 22, tzinfo=UTC), "import of people.csv", ""),
        ("mailing", True, datetime(2025, 1, 2, 8, tzinfo=UTC), "till 4", "Send me mail"),
        ("tracking", False, datetime(2026, 3, 1, 12, tzinfo=UTC), "till 4", "Send me mail"),
    ] == [(row.purpose, row.given, row.at, row.source, row.wording) for row in rows]


def test_a_withdrawal_on_the_preference_page_outlives_an_older_file(
    store: Store, take: Take, people: People, at: datetime
) -> None:
    take(
        store,
        "contacts",
        "email,mailing_consent,mailing_consent_at,tracking_consent\nanna@shop.test,yes,2025-01-02,yes\n",
    )
    contact_id = audience.find(store, "anna@shop.test")
    audience.set_consent(store, contact_id, "mailing", False, at, "preference page")
    audience.set_consent(store, contact_id, "tracking", False, at, "preference page")

    told = take(
        store,
        "contacts",
        "email,mailing_consent,mailing_consent_at,tracking_consent,city\nanna@shop.test,yes,2025-01-02,yes,Turku\n",
        at=datetime(2026, 4, 1, tzinfo=UTC),
    )

    one = people(store)["anna@shop.test"]
    assert (False, False, "Turku") == (one["mailing_consent"], one["tracking_consent"], one["city"])
    assert (1, 0) == (told.withheld, told.mailable)


def test_a_suppressed_mailbox_is_not_revived_in_another_spelling(
    store: Store, take: Take, people: People, keys: Keys, at: datetime, tmp_path: Path
) -> None:
    take(store, "contacts", "email,mailing_consent\nanna@é.test,yes\n")
    audience.opt_out(store, keys, audience.find(store, "anna@é.test"), at, "one-click", tmp_path)

    told = take(
        store, "contacts", "email,mailing_consent,mailing_consent_at\nANNA@XN--9CA.test,yes,2026-03-01T13:00Z\n"
    )

    assert (0, 1, 1, 0) == (told.added, told.unchanged, told.withheld, told.mailable)
    assert False is people(store)["anna@xn--9ca.test"]["mailing_consent"]


def test_an_erased_person_is_not_taken_in_again(
    store: Store, take: Take, keys: Keys, at: datetime, tmp_path: Path
) -> None:
    take(store, "contacts", "email,mailing_consent\nanna@shop.test,yes\n")
    audience.erase(store, keys, audience.find(store, "anna@shop.test"), at, tmp_path)

    told = take(store, "contacts", "email,mailing_consent,city\nAnna@Shop.test,yes,Turku\nbo@shop.test,yes,\n")
    bought = take(store, "orders", "order_id,email,ordered_at\nO1,anna@shop.test,2026-03-01\n", name="orders.csv")

    assert (1, 1, 2) == (told.added, told.refused_rows, told.refused[0].line)
    assert "erased" in told.refused[0].why
    assert (0, 1) == (bought.added, bought.refused_rows)


@pytest.mark.parametrize(
    ("header", "row", "why"),
    [
        ("mailing_consent,unsubscribed", "yes,yes", "mailing_consent says yes and opted_out says yes too"),
        ("mailing_consent,mailing_consent_at", "yes,2027-01-01", "mailing_consent_at lies in the future"),
        ("mailing_consent,mailing_consent_at", "yes,soon", "mailing_consent_at is not a date"),
    ],
)
def test_contradictory_consent_refuses_the_row(
    sqlite_store: Store, take: Take, header: str, row: str, why: str
) -> None:
    told = take(sqlite_store, "contacts", f"email,{header}\nanna@shop.test,{row}\n")

    assert told.refused[0].why.startswith(why)


def test_a_column_of_opt_outs_says_no(sqlite_store: Store, take: Take, people: People) -> None:
    take(sqlite_store, "contacts", "email,Unsubscribed\nanna@shop.test,yes\nbo@shop.test,no\n")

    assert {"anna@shop.test": False, "bo@shop.test": None} == {
        email: one["mailing_consent"] for email, one in people(sqlite_store).items()
    }

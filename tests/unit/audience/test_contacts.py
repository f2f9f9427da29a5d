"""One person: found, shown, added, told in full, and forgotten for good."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from engine import audience, ledger
from engine.errors import Refused, UnknownContact, Usage
from engine.links import Keys
from engine.store import Store
from engine.store.tables import (
    attempt,
    batch,
    call,
    enrolment,
    enrolment_step,
    event,
    hit,
    journey,
    message,
    metadata,
    plan,
    plan_entry,
    profile,
    recommendation,
)

Take = Callable[..., audience.ImportResult]

HASHED = hashlib.sha256(b"zelda@shop.test").hexdigest()
SECRETS = ("zelda", "quixote", "kirkkokatu", "198.51.100", "firefoxish")


@pytest.fixture
def zelda(store: Store, take: Take, keys: Keys, at: datetime) -> int:
    """Somebody who left traces everywhere."""
    take(
        store,
        "contacts",
        "email,external_id,given_name,family_name,tags,street,mailing_consent,mailing_consent_at,consent_source\n"
        "Zelda@shop.test,ZELDA-1,Zelda,Quixote,zeldafan,Kirkkokatu 5,yes,2025-01-02,form filled by zelda\n"
        + "".join(f"p{n}@shop.test,C{n},P{n},,,,yes,,\n" for n in range(300)),
    )
    take(store, "orders", "order_id,email,ordered_at,product_id,price\nO1,zelda@shop.test,2026-01-02,P1,12.50\n")
    take(store, "events", "event_id,email,kind,at,said\nE1,zelda@shop.test,visit,2026-01-02,I am zelda\n")
    who = audience.find(store, "zelda@shop.test")
    with store.write() as db:
        db.execute(
            sa.insert(plan).values(
                id=1, campaign="spring", occurrence="once", state="released", at=at, definition={}, summary={}, hash="h"
            )
        )
        db.execute(
            sa.insert(plan_entry).values(
                plan_id=1, n=1, contact_id=who, state="message", context=b"Dear Zelda", detail="quixote"
            )
        )
        db.execute(
            sa.insert(message).values(
                id=1,
                campaign="spring",
                occurrence="once",
                contact_id=who,
                plan_id=1,
                n=1,
                delivery_id="d1",
                variant="a",
                state="refused",
                send_at=at,
            )
        )
        db.execute(sa.insert(batch).values(id=1, plan_id=1, size=1, state="done", not_before=at))
        db.execute(
            sa.insert(attempt).values(
                message_id=1,
                n=1,
                batch_id=1,
                fence=1,
                transport="smtp",
                state="refused",
                at=at,
                reply="550 5.1.1 <zelda@shop.test> unknown",
            )
        )
        db.execute(
            sa.insert(hit).values(
                spool_id="s1",
                kind="click",
                message_id=1,
                site=0,
                occurrence=0,
                at=at,
                method="GET",
                ip="198.51.100.7",
                agent="firefoxish",
                referer="https://zelda.test",
                accept_language="fi",
            )
        )
        db.execute(sa.insert(profile).values(contact_id=who, greeting="Hi Zelda,"))
        db.execute(
            sa.insert(recommendation).values(
                contact_id=who, list="buy_again", rank=1, product_id="P1", score=1.0, reason={"code": "zelda"}
            )
        )
        _enrol(db, keys, who, at)
    return who


def _enrol(db: sa.Connection, keys: Keys, who: int, at: datetime) -> None:
    """Inside a journey that has told another system of her and waits for its answer."""
    db.execute(sa.insert(journey).values(name="welcome", state="running", at=at, version=1))
    stands = {"journey": "welcome", "version": 1, "n": 1, "state": "waiting", "step": "pause", "visit": 1}
    when = dict.fromkeys(("entered_at", "step_at", "rings_at", "due_at"), at)
    db.execute(sa.insert(enrolment).values(id=7, contact_id=who, **stands, **when))
    done = {"journey": "welcome", "step": "tell", "result": "", "leads_to": "pause", "at": at}
    db.execute(sa.insert(enrolment_step).values(enrolment_id=7, visit=0, **done))
    key = keys.delivery_id("welcome/tell", "7/0", who)
    told = {"sha256": HASHED, "external_id": "ZELDA-1"}
    db.execute(sa.insert(call).values(key=key, url="https://crm.test", body=told, at=at, due_at=at, tries=1))


def everything(store: Store) -> str:
    """All cells of all tables, as text."""
    with store.read() as db:
        return "\n".join(
            str([bytes(cell) if isinstance(cell, memoryview) else cell for cell in row])
            for table in metadata.sorted_tables
            for row in db.execute(sa.select(table))
        ).lower()


def test_a_contact_is_found_by_any_spelling(sqlite_store: Store, take: Take) -> None:
    take(sqlite_store, "contacts", "email\nAnna@é.test\n")

    assert audience.find(sqlite_store, "ANNA@xn--9ca.test") == audience.find(sqlite_store, "Anna <anna@é.test>")
    for nobody in ("bo@shop.test", "nobody", ""):
        with pytest.raises(UnknownContact):
            audience.find(sqlite_store, nobody)


def test_a_card_tells_what_is_known(store: Store, keys: Keys, zelda: int, at: datetime, tmp_path: Path) -> None:
    audience.opt_out(store, keys, zelda, at, "one-click", tmp_path)

    card = audience.card(store, keys, zelda)

    assert ("Zelda@shop.test", "Zelda", {"street": "Kirkkokatu 5"}, ["zeldafan"]) == tuple(
        card[name] for name in ("email", "given_name", "attributes", "tags")
    )
    assert {"reason": "unsubscribed", "at": "2026-03-01T12:00:00+00:00", "source": "one-click"} == card["suppression"]
    assert [(True, "form filled by zelda"), (False, "one-click")] == [
        (said["given"], said["source"]) for said in card["consent"]
    ]


def test_an_export_holds_everything_and_is_json(store: Store, keys: Keys, zelda: int) -> None:
    told = audience.export(store, keys, zelda)

    assert told == json.loads(json.dumps(told))
    assert ("O1", 1250) == (told["orders"][0]["order_id"], told["orders"][0]["lines"][0]["revenue_cents"])
    assert {"said": "I am zelda"} == told["events"][0]["properties"]
    assert ("spring", "550 5.1.1 <zelda@shop.test> unknown") == (
        told["messages"][0]["campaign"],
        told["messages"][0]["attempts"][0]["reply"],
    )
    assert ("welcome", "waiting", "pause") == tuple(told["journeys"][0][name] for name in ("journey", "state", "step"))
    assert ("198.51.100.7", "Hi Zelda,", "P1") == (
        told["hits"][0]["ip"],
        told["profile"][0]["greeting"],
        told["recommendations"][0]["product_id"],
    )


def test_nothing_is_left_of_an_erased_person(
    store: Store, keys: Keys, zelda: int, at: datetime, tmp_path: Path
) -> None:
    assert all(secret in everything(store) for secret in (*SECRETS, HASHED))

    audience.erase(store, keys, zelda, at, tmp_path)
    audience.erase(store, keys, zelda, at, tmp_path)

    left = everything(store)
    assert [] == [secret for secret in (*SECRETS, HASHED) if secret in left]
    with store.read() as db:
        assert ("refused", "visit") == (db.scalar(sa.select(message.c.state)), db.scalar(sa.select(event.c.kind)))
    assert "zelda" not in (tmp_path / "optouts.log").read_text()
    with pytest.raises(UnknownContact):
        audience.find(store, "zelda@shop.test")


def test_the_journeys_of_an_erased_person_end_and_nobody_is_told_of_her_any_more(
    store: Store, keys: Keys, zelda: int, at: datetime, tmp_path: Path
) -> None:
    seen = ledger.take_call(store, at, at + timedelta(minutes=5))
    assert seen is not None

    audience.erase(store, keys, zelda, at, tmp_path)
    ledger.answer_call(store, seen, at, "HTTP 500")  # by the one who was at it meanwhile

    assert ledger.take_call(store, at + timedelta(days=1), at + timedelta(days=2)) is None
    with store.read() as db:
        stands = db.execute(sa.select(enrolment.c.state, enrolment.c.reason, enrolment.c.due_at, enrolment.c.seq)).one()
    assert ("left", "erased", None, 1) == tuple(stands)


def test_nothing_is_left_in_the_file_of_the_database(
    sqlite_store: Store, keys: Keys, take: Take, at: datetime, tmp_path: Path
) -> None:
    for city in ("Turku", "Oulu"):  # written twice: old pages hold the first copy
        rows = "".join(f"p{n}@shop.test,P{n},{city}\n" for n in range(400))
        take(sqlite_store, "contacts", f"email,given_name,city\nzelda@shop.test,Zelda Quixote,{city}\n{rows}")
    audience.erase(sqlite_store, keys, audience.find(sqlite_store, "zelda@shop.test"), at, tmp_path)

    audience.scrub(sqlite_store)

    left = b"".join(path.read_bytes().lower() for path in sorted(tmp_path.glob("mailer.db*")))
    assert b"p399@shop.test" in left
    assert [] == [secret for secret in SECRETS if secret.encode() in left]


def test_erasing_nobody_is_an_error(sqlite_store: Store, keys: Keys, at: datetime, tmp_path: Path) -> None:
    for verb in (audience.card, audience.export):
        with pytest.raises(UnknownContact):
            verb(sqlite_store, keys, 4711)
    with pytest.raises(UnknownContact):
        audience.erase(sqlite_store, keys, 4711, at, tmp_path)


def test_a_contact_is_added_by_hand(
    sqlite_store: Store, keys: Keys, options: audience.ImportOptions, at: datetime, tmp_path: Path
) -> None:
    values = {"email": "anna@shop.test", "given_name": "Anna", "city": "", "mailing_consent": "yes"}
    anna = audience.add(sqlite_store, values, options, at, "at the counter")

    card = audience.card(sqlite_store, keys, anna)
    assert ("Anna", None, True, "at the counter") == (
        card["given_name"],
        card["city"],
        card["mailing_consent"],
        card["consent"][0]["source"],
    )
    assert anna == audience.add(sqlite_store, {"email": "ANNA@shop.test", "city": "Turku"}, options, at, "a call")
    with pytest.raises(Usage, match="no email address"):
        audience.add(sqlite_store, {"email": "nobody"}, options, at, "a call")
    with pytest.raises(Usage, match="allow_test_domains"):
        audience.add(sqlite_store, {"email": "a@x.test"}, replace(options, allow_test_domains=False), at, "a call")
    audience.erase(sqlite_store, keys, anna, at, tmp_path)
    with pytest.raises(Refused, match="erased"):
        audience.add(sqlite_store, {"email": "anna@shop.test"}, options, at, "a call")

"""Opting out always works, once and for good; the gate sees it at once."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from engine import audience
from engine.audience.consent import OPT_OUT_LOG
from engine.errors import Refused, StoreUnavailable, UnknownContact, Usage
from engine.links import Keys
from engine.model import Standing
from engine.store import Store
from engine.store.tables import consent, contact, suppression

Take = Callable[..., audience.ImportResult]


@pytest.fixture
def anna(store: Store, take: Take) -> int:
    take(
        store,
        "contacts",
        "email,mailing_consent,mailing_consent_at,tracking_consent\nAnna@shop.test,yes,2025-01-02,yes\nbo@shop.test,,,\n",
    )
    return audience.find(store, "anna@shop.test")


def log_of(folder: Path) -> list[dict[str, Any]]:
    path = folder / OPT_OUT_LOG
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_an_opt_out_suppresses_withdraws_and_is_logged(
    store: Store, keys: Keys, anna: int, at: datetime, tmp_path: Path
) -> None:
    audience.opt_out(store, keys, anna, at, "one-click", tmp_path / "state")

    hashed = keys.address_hash("anna@shop.test")
    assert {
        anna: Standing(suppressed=True, mailing_consent=False, tracking_consent=True, address_key="anna@shop.test")
    } == (audience.standings(store, keys, [anna]))
    with store.read() as db:
        assert (hashed, "unsubscribed", at, "one-click") == tuple(db.execute(sa.select(suppression)).one())
        said = db.execute(sa.select(consent).where(consent.c.at == at, consent.c.purpose == "mailing")).one()
    assert (False, "one-click") == (said.given, said.source)
    assert [
        {"address_hash": hashed, "reason": "unsubscribed", "at": "2026-03-01T12:00:00+00:00", "source": "one-click"}
    ] == log_of(tmp_path / "state")


def test_opting_out_again_changes_nothing(store: Store, keys: Keys, anna: int, at: datetime, tmp_path: Path) -> None:
    for minutes in range(3):
        audience.opt_out(store, keys, anna, at + timedelta(minutes=minutes), "one-click", tmp_path)

    assert 1 == len(log_of(tmp_path))
    with store.read() as db:
        assert at == db.scalar(sa.select(suppression.c.at))


def test_many_opt_outs_at_once_are_one(store: Store, keys: Keys, anna: int, at: datetime, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: audience.opt_out(store, keys, anna, at, "one-click", tmp_path), range(8)))

    with store.read() as db:
        assert 1 == db.scalar(sa.select(sa.func.count()).select_from(suppression))
        assert 1 == db.scalar(sa.select(sa.func.count()).where(consent.c.at == at, consent.c.purpose == "mailing"))


def test_an_opt_out_is_on_disk_before_it_is_in_the_database(
    sqlite_store: Store, keys: Keys, take: Take, at: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(sqlite_store, "contacts", "email\nanna@shop.test\n")
    anna = audience.find(sqlite_store, "anna@shop.test")
    synced: list[bool] = []

    def look(descriptor: int) -> None:
        with sqlite_store.read() as db:
            synced.append(db.scalar(sa.select(sa.func.count()).select_from(suppression)) == 0)

    monkeypatch.setattr(os, "fsync", look)
    audience.opt_out(sqlite_store, keys, anna, at, "one-click", tmp_path)

    assert [True] == synced
    assert 1 == len(log_of(tmp_path))


def test_an_opt_out_works_after_erasure(store: Store, keys: Keys, anna: int, at: datetime, tmp_path: Path) -> None:
    audience.erase(store, keys, anna, at, tmp_path)

    audience.opt_out(store, keys, anna, at, "one-click", tmp_path)

    with store.read() as db:
        assert "erased" == db.scalar(sa.select(suppression.c.reason))


def test_nobody_is_told_apart_from_somebody(sqlite_store: Store, keys: Keys, at: datetime, tmp_path: Path) -> None:
    with pytest.raises(UnknownContact):
        audience.opt_out(sqlite_store, keys, 4711, at, "one-click", tmp_path)
    assert {} == audience.standings(sqlite_store, keys, [4711])


def test_a_mailbox_can_be_suppressed_before_anybody_knows_it(
    store: Store, keys: Keys, take: Take, at: datetime, tmp_path: Path
) -> None:
    audience.suppress(store, keys, "Anna@É.test", "by_hand", at, "a phone call", tmp_path)
    take(store, "contacts", "email,mailing_consent\nanna@xn--9ca.test,yes\n")

    anna = audience.find(store, "anna@é.test")
    assert (True, None) == (
        audience.standings(store, keys, [anna])[anna].suppressed,
        audience.standings(store, keys, [anna])[anna].mailing_consent,
    )


@pytest.mark.parametrize(
    ("first", "second", "stays"),
    [
        ("bounced", "complained", "complained"),
        ("complained", "bounced", "complained"),
        ("bounced", "unsubscribed", "bounced"),
    ],
)
def test_the_stronger_reason_stays(
    sqlite_store: Store, keys: Keys, at: datetime, tmp_path: Path, first: str, second: str, stays: str
) -> None:
    for reason in (first, second):
        audience.suppress(sqlite_store, keys, "anna@shop.test", reason, at, "test", tmp_path)

    with sqlite_store.read() as db:
        assert [stays] == list(db.scalars(sa.select(suppression.c.reason)))


def test_a_bounce_withdraws_no_consent(store: Store, keys: Keys, anna: int, at: datetime, tmp_path: Path) -> None:
    audience.suppress(store, keys, "anna@shop.test", "bounced", at, "550", tmp_path)

    assert True is audience.standings(store, keys, [anna])[anna].mailing_consent


@pytest.mark.parametrize(("email", "reason"), [("nobody", "by_hand"), ("anna@shop.test", "erased")])
def test_what_cannot_be_suppressed_is_refused(
    sqlite_store: Store, keys: Keys, at: datetime, tmp_path: Path, email: str, reason: str
) -> None:
    with pytest.raises(Usage):
        audience.suppress(sqlite_store, keys, email, reason, at, "test", tmp_path)


def test_she_may_come_back_herself(store: Store, keys: Keys, anna: int, at: datetime, tmp_path: Path) -> None:
    audience.opt_out(store, keys, anna, at, "one-click", tmp_path)

    audience.opt_in(store, keys, anna, at + timedelta(hours=1), "preference page", tmp_path)

    stands = audience.standings(store, keys, [anna])[anna]
    assert (False, True) == (stands.suppressed, stands.mailing_consent)
    assert ["unsubscribed", "opted_in"] == [line["reason"] for line in log_of(tmp_path)]


def test_a_complaint_is_not_taken_back_on_a_page(
    store: Store, keys: Keys, anna: int, at: datetime, tmp_path: Path
) -> None:
    audience.suppress(store, keys, "anna@shop.test", "complained", at, "a provider", tmp_path)

    with pytest.raises(Refused):
        audience.opt_in(store, keys, anna, at, "preference page", tmp_path)


def test_an_older_statement_is_recorded_and_changes_nothing(store: Store, keys: Keys, anna: int, at: datetime) -> None:
    audience.set_consent(store, anna, "tracking", False, at + timedelta(days=1), "preference page")
    audience.set_consent(store, anna, "tracking", True, at - timedelta(days=1), "a paper form", "I agree")

    assert False is audience.standings(store, keys, [anna])[anna].tracking_consent
    with store.read() as db:
        assert ["", "", "I agree"] == sorted(
            db.scalars(sa.select(consent.c.wording).where(consent.c.purpose == "tracking"))
        )


# ---------------------------------------------------------------- the gate


def test_the_gate_sees_every_commit_at_once(store: Store, keys: Keys, anna: int, at: datetime, tmp_path: Path) -> None:
    gate = audience.gate(store, keys)
    try:
        assert "" == gate.may_receive(anna, "marketing")
        audience.opt_out(store, keys, anna, at, "one-click", tmp_path)
        assert "opted_out" == gate.may_receive(anna, "marketing")
        assert "" == gate.may_receive(anna, "transactional")
        audience.suppress(store, keys, "anna@shop.test", "complained", at, "a provider", tmp_path)
        assert "opted_out" == gate.may_receive(anna, "transactional")
        audience.erase(store, keys, anna, at, tmp_path)
        assert "no_address" == gate.may_receive(anna, "marketing")
    finally:
        gate.close()


def test_what_the_gate_expects_changes_no_answer(
    store: Store, keys: Keys, anna: int, at: datetime, tmp_path: Path
) -> None:
    bo = audience.find(store, "bo@shop.test")
    gate = audience.gate(store, keys)
    try:
        gate.expect([anna, bo, 4711])
        assert ("", "no_consent", "no_address") == tuple(gate.may_receive(one) for one in (anna, bo, 4711))
        audience.opt_out(store, keys, anna, at, "one-click", tmp_path)
        assert "opted_out" == gate.may_receive(anna)
        audience.erase(store, keys, anna, at, tmp_path)
        assert "no_address" == gate.may_receive(anna)
    finally:
        gate.close()


@pytest.mark.parametrize("expected", [True, False])
def test_a_mailbox_that_changes_after_it_was_expected_is_looked_up_under_its_new_name(
    store: Store, keys: Keys, anna: int, at: datetime, tmp_path: Path, expected: bool
) -> None:
    audience.suppress(store, keys, "moved@shop.test", "complained", at, "a provider", tmp_path)
    gate = audience.gate(store, keys)
    try:
        gate.expect([anna] if expected else [])
        assert "" == gate.may_receive(anna)
        with store.write() as db:
            db.execute(sa.update(contact).where(contact.c.id == anna).values(address_key="moved@shop.test"))
        assert "opted_out" == gate.may_receive(anna)
    finally:
        gate.close()


def test_the_gate_asks_for_consent(store: Store, keys: Keys, anna: int, at: datetime, tmp_path: Path) -> None:
    bo = audience.find(store, "bo@shop.test")
    gate = audience.gate(store, keys)
    try:
        assert ("no_consent", "", "no_address") == (
            gate.may_receive(bo, "marketing"),
            gate.may_receive(bo, "transactional"),
            gate.may_receive(4711, "marketing"),
        )
        audience.set_consent(store, bo, "mailing", False, at, "preference page")
        assert "opted_out" == gate.may_receive(bo, "marketing")
        audience.suppress(store, keys, "bo@shop.test", "bounced", at, "550", tmp_path)
        assert ("suppressed", "suppressed") == (
            gate.may_receive(bo, "marketing"),
            gate.may_receive(bo, "transactional"),
        )
    finally:
        gate.close()


def test_the_gate_stays_shut_when_it_cannot_look(sqlite_store: Store, keys: Keys) -> None:
    gate = audience.gate(sqlite_store, keys)
    with sqlite_store.write() as db:
        contact.metadata.tables["suppression"].drop(db)
    try:
        gate.expect([1])
        with pytest.raises(StoreUnavailable, match="nothing is sent"):
            gate.may_receive(1, "marketing")
    finally:
        gate.close()

"""Three in the first version, one of them held out; one moved to the second."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from engine import ledger
from engine.store import Store
from engine.store.tables import contact, enrolment, enrolment_step

WAYS = {
    # contact: version, held out, state, step, the ways she went
    1: (1, False, "waiting", "rest", [("hello", "sent", "rest")]),
    2: (1, True, "done", "end", [("hello", "sent", "rest"), ("rest", "waited", "end")]),
    3: (1, False, "goal", "rest", [("hello", "missed", "rest")]),
    4: (2, False, "waiting", "rest", [("hello", "sent", "rest")]),
}


@pytest.fixture
def gone(store: Store, at: datetime) -> Store:
    for name in ("welcome", "other"):
        ledger.publish(store, name, {"start": {}}, f"first of {name}", at)
        ledger.publish(store, name, {"start": {}}, f"second of {name}", at)
    with store.write() as db:
        for who, (version, held_out, state, step, done) in WAYS.items():
            db.execute(sa.insert(contact).values(id=who, created_at=at))
            moments = {"entered_at": at, "step_at": at, "rings_at": at + timedelta(days=1)}
            where = {"journey": "welcome", "version": version, "contact_id": who, "n": 1, "state": state, "step": step}
            db.execute(sa.insert(enrolment).values(id=who, held_out=held_out, **where, **moments))
            for visit, (one, result, to) in enumerate(done):
                key = {"enrolment_id": who, "visit": visit, "journey": "welcome", "at": at}
                db.execute(sa.insert(enrolment_step).values(**key, step=one, result=result, leads_to=to))
    return store


def test_each_way_is_counted(gone: Store) -> None:
    assert {
        ("hello", "sent", "rest"): 3,
        ("hello", "missed", "rest"): 1,
        ("rest", "waited", "end"): 1,
    } == ledger.edge_counts(gone, "welcome")
    assert {} == ledger.edge_counts(gone, "other")


def test_a_version_is_counted_alone(gone: Store) -> None:
    assert {("hello", "sent", "rest"): 1} == ledger.edge_counts(gone, "welcome", 2)
    assert {"rest": 1} == ledger.standing_by_step(gone, "welcome", 2)
    assert {} == ledger.ends_by_step(gone, "welcome", 2)


def test_the_holdout_is_counted_alone(gone: Store) -> None:
    assert {("hello", "sent", "rest"): 1, ("rest", "waited", "end"): 1} == ledger.edge_counts(
        gone, "welcome", held_out=True
    )
    assert {("hello", "sent", "rest"): 2, ("hello", "missed", "rest"): 1} == ledger.edge_counts(
        gone, "welcome", held_out=False
    )
    assert {} == ledger.standing_by_step(gone, "welcome", held_out=True)
    assert {("end", "done"): 1} == ledger.ends_by_step(gone, "welcome", held_out=True)


def test_those_inside_and_those_who_ended_are_counted_by_step(gone: Store) -> None:
    assert {"rest": 2} == ledger.standing_by_step(gone, "welcome")
    assert {("end", "done"): 1, ("rest", "goal"): 1} == ledger.ends_by_step(gone, "welcome")


def test_a_journey_without_mails_sent_none(gone: Store) -> None:
    assert 0 == ledger.mails_sent(gone, "welcome")

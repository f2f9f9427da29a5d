"""Who may come into a journey, who is woken, and whose turn it is."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from engine import ledger
from engine.ledger import Newcomer
from engine.model import CampaignState, EnrolmentState
from engine.store import Store
from engine.store.tables import contact, enrolment, enrolment_hold

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def ids(store: Store) -> list[int]:
    """Five contacts, and the journeys `a` and `b`, which run."""
    for name in ("a", "b"):
        ledger.publish(store, name, {"name": name}, "h1", AT)
        ledger.set_journey_state(store, name, CampaignState.RUNNING, "", AT)
    with store.write() as db:
        db.execute(sa.insert(contact), [{"created_at": AT} for _ in range(5)])
        return list(db.scalars(sa.select(contact.c.id).order_by(contact.c.id)))


def comes(contact_id: int, cause: str = "", journey: str = "a") -> Newcomer:
    return Newcomer(journey=journey, version=1, contact_id=contact_id, cause=cause, held_out=False, step="hello")


def leaves(store: Store, contact_id: int, at: datetime) -> None:
    over = {"state": EnrolmentState.DONE, "due_at": None, "ended_at": at}
    with store.write() as db:
        db.execute(sa.update(enrolment).where(enrolment.c.contact_id == contact_id).values(over))


def free_all(store: Store) -> None:
    with store.write() as db:
        db.execute(sa.delete(enrolment_hold))


def test_who_is_inside_does_not_come_in_once_more(store: Store, ids: list[int]) -> None:
    assert 5 == ledger.enrol(store, [comes(one) for one in ids], AT, DAY)
    assert 0 == ledger.enrol(store, [comes(one) for one in ids], AT + 9 * DAY, DAY)


def test_somebody_named_twice_comes_in_once(store: Store, ids: list[int]) -> None:
    assert 1 == ledger.enrol(store, [comes(ids[0], "o1"), comes(ids[0], "o2")], AT, DAY)


def test_who_left_comes_again_after_the_span_and_never_without_one(store: Store, ids: list[int]) -> None:
    ledger.enrol(store, [comes(ids[0])], AT, DAY)
    leaves(store, ids[0], AT + DAY)

    assert 0 == ledger.enrol(store, [comes(ids[0])], AT + 99 * DAY, None)
    assert 0 == ledger.enrol(store, [comes(ids[0])], AT + 2 * DAY - timedelta(seconds=1), DAY)
    assert 1 == ledger.enrol(store, [comes(ids[0])], AT + 2 * DAY, DAY)
    assert [2, 1] == [one.n for one in ledger.enrolments_of(store, ids[0], "a")]


def test_one_cause_brings_somebody_in_once(store: Store, ids: list[int]) -> None:
    ledger.enrol(store, [comes(ids[0], "order O1")], AT, DAY)
    leaves(store, ids[0], AT)

    assert 0 == ledger.enrol(store, [comes(ids[0], "order O1")], AT + 9 * DAY, DAY)
    assert 1 == ledger.enrol(store, [comes(ids[0], "order O2")], AT + 9 * DAY, DAY)


def test_waking_brings_later_timers_forward_and_leaves_when_they_ring(store: Store, ids: list[int]) -> None:
    ledger.enrol(store, [comes(ids[0]), comes(ids[1])], AT + 3 * DAY, None)

    assert 1 == ledger.wake(store, [ids[0]], AT)

    (one,) = ledger.enrolments_of(store, ids[0])
    assert (AT, AT + 3 * DAY) == (one.due_at, one.rings_at)
    assert 0 == ledger.wake(store, [ids[0]], AT + DAY)


def test_a_claim_gives_who_is_due_in_the_order_of_their_hours_and_to_nobody_else(store: Store, ids: list[int]) -> None:
    for hours, one in enumerate(reversed(ids)):
        ledger.enrol(store, [comes(one)], AT + timedelta(hours=hours), None)

    claimed = ledger.claim_enrolments(store, AT + timedelta(hours=3))

    assert list(reversed(ids))[:4] == [one.contact_id for one in claimed]
    assert [] == ledger.claim_enrolments(store, AT + timedelta(hours=3))
    free_all(store)
    assert 4 == len(ledger.claim_enrolments(store, AT + timedelta(hours=3)))


def test_two_journeys_share_a_claim(store: Store, ids: list[int]) -> None:
    ledger.enrol(store, [comes(one) for one in ids], AT, None)
    ledger.enrol(store, [comes(one, journey="b") for one in ids[:1]], AT + timedelta(hours=1), None)

    claimed = ledger.claim_enrolments(store, AT + DAY, limit=4)

    assert ["a", "a", "b"] == sorted(one.journey for one in claimed)


def test_a_paused_journey_stands_in_no_others_way(store: Store, ids: list[int]) -> None:
    ledger.enrol(store, [comes(one) for one in ids], AT, None)
    ledger.enrol(store, [comes(ids[0], journey="b")], AT + DAY, None)
    ledger.set_journey_state(store, "a", CampaignState.PAUSED, "paused by hand", AT + DAY)

    claimed = ledger.claim_enrolments(store, AT + 2 * DAY, limit=1)

    assert [("b", ids[0])] == [(one.journey, one.contact_id) for one in claimed]


def test_publishing_the_same_again_makes_no_new_version(store: Store, ids: list[int]) -> None:
    assert 1 == ledger.publish(store, "a", {"name": "a"}, "h1", AT + DAY)
    assert 2 == ledger.publish(store, "a", {"name": "a", "more": 1}, "h2", AT + DAY)
    assert {"name": "a"} == ledger.version_of(store, "a", 1)


def test_a_pause_has_a_beginning_and_an_end_and_does_not_revive_what_is_over(store: Store, ids: list[int]) -> None:
    ledger.set_journey_state(store, "a", CampaignState.PAUSED, "why", AT)
    ledger.set_journey_state(store, "a", CampaignState.RUNNING, "", AT + DAY)
    ledger.set_journey_state(store, "b", CampaignState.CANCELLED, "", AT)

    (pause,) = ledger.pauses_of(store, "a")
    assert (1, AT, AT + DAY) == (pause.n, pause.began_at, pause.ended_at)
    assert not ledger.set_journey_state(store, "b", CampaignState.PAUSED, "why", AT)
    assert ["running", "paused", "running"] == [one.state for one in ledger.story_of(store, "a/")]

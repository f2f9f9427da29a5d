"""Until when is a message wanted? Each limit that a plan may have, at its very moment."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.ledger import Item, Plan
from engine.model import PlanState
from engine.pipeline.lateness import Lateness

HOUR = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = 86400.0
MOMENT = timedelta(microseconds=1)


def plan(released_at: datetime | None = None, **limits: object) -> Plan:
    return Plan(
        id=1,
        campaign="spring",
        occurrence="once",
        state=PlanState.RELEASED,
        frozen=True,
        at=HOUR,
        definition={"expires": None, "max_lateness": None, **limits},
        summary={},
        hash="",
        released_at=released_at,
        priority=0,
        brake_base=None,
    )


def item(first_at: datetime | None = None) -> Item:
    return Item(0, 1, 1, 0, 1, "d", "a", "p@shop.test", "en", "t", False, HOUR, "", first_at, b"")


def over(found: Plan, now: datetime, first_at: datetime | None = None) -> bool:
    return Lateness.of(found).is_over(item(first_at), now)


def test_without_a_limit_a_message_is_wanted_at_any_time() -> None:
    assert not over(plan(), HOUR + timedelta(days=5000))


@pytest.mark.parametrize(("early", "is_over"), [(MOMENT, False), (timedelta(0), True)])
def test_a_campaign_expires_at_its_very_moment(early: timedelta, is_over: bool) -> None:
    ends = HOUR + timedelta(days=3)

    assert is_over == over(plan(expires=ends.isoformat()), ends - early)


@pytest.mark.parametrize(("early", "is_over"), [(MOMENT, False), (timedelta(0), True)])
def test_a_journeys_mail_is_good_for_so_long_after_its_hour_however_often_it_was_tried(
    early: timedelta, is_over: bool
) -> None:
    found = plan(good_for=DAY, released_at=HOUR + timedelta(days=30))

    assert is_over == over(found, HOUR + timedelta(days=1) - early)
    assert is_over == over(found, HOUR + timedelta(days=1) - early, first_at=HOUR)


@pytest.mark.parametrize(("late", "is_over"), [(timedelta(0), False), (MOMENT, True)])
def test_a_message_may_be_as_late_as_its_campaign_allows(late: timedelta, is_over: bool) -> None:
    assert is_over == over(plan(max_lateness=DAY), HOUR + timedelta(days=1) + late)
    assert is_over == over(plan(max_lateness=DAY, released_at=HOUR - MOMENT), HOUR + timedelta(days=1) + late)


@pytest.mark.parametrize(("late", "is_over"), [(timedelta(0), False), (MOMENT, True)])
def test_who_releases_a_plan_after_its_hour_wants_it_to_go_out_then(late: timedelta, is_over: bool) -> None:
    released = HOUR + timedelta(days=10)

    assert is_over == over(plan(max_lateness=DAY, released_at=released), released + timedelta(days=1) + late)


def test_what_was_tried_in_time_may_be_tried_again_later() -> None:
    assert not over(plan(max_lateness=DAY), HOUR + timedelta(days=9), first_at=HOUR + timedelta(hours=23))

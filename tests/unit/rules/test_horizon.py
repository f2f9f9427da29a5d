"""When time alone changes a rule's answer: the exact moments, where a rule lets them be known."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.model import Profile
from engine.rules import check, fields_read, next_change, stands_still

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
BOUGHT = datetime(2026, 2, 10, 8, 30, tzinfo=UTC)  # 19 days and some hours ago
WHO = Profile(
    contact_id=1,
    orders_count=2,
    last_order_at=BOUGHT,
    days_since_last_order=19,
    usual_gap_days=12.0,
    created_at=datetime(2026, 2, 1, 9, tzinfo=UTC),
    attributes={"limit": "25"},
)
BIRTHDAY = datetime(2026, 5, 4, tzinfo=UTC)


def changes(source: str, who: Profile = WHO) -> datetime | None:
    segments = {"silent": check("days_since_last_order > 30")}
    turns = {"age": BIRTHDAY}
    return next_change(check(source, segments=segments), who, AT, turns.get, segments)


def after(days: int) -> datetime:
    return BOUGHT + timedelta(days=days)


@pytest.mark.parametrize(
    ("source", "moment"),
    [
        ("days_since_last_order > 30", after(31)),
        ("days_since_last_order >= 30", after(30)),
        ("30 < days_since_last_order", after(31)),
        ("days_since_last_order > 2 * usual_gap_days", after(25)),
        ("days_since_last_order > 22.5", after(23)),
        ("days_since_last_order >= attributes.limit", after(25)),
        ("days_since_last_order == 19", after(20)),
        ("days_since_last_order == 21", after(21)),
        ("days_since_last_order in [3, 40, 28]", after(28)),
        ("(days_since_last_order | default(999)) > 30", after(31)),
        ("days_since_last_order < 10", None),
        ("days_since_last_order == 22.5", None),
        ("days_since_last_order > attributes.unknown", None),
        ("segment('silent')", after(31)),
        ("not segment('silent')", after(31)),
    ],
)
def test_days_since_the_last_order_cross_what_stands_still_at_the_exact_moment(
    source: str, moment: datetime | None
) -> None:
    assert moment == changes(source)


def test_computed_days_are_looked_at_again_the_next_day() -> None:
    assert after(20) == changes("days_since_last_order / 7 > 30")


def test_who_never_bought_is_not_moved_by_days() -> None:
    assert changes("days_since_last_order > 30", Profile(contact_id=1)) is None


def test_ago_meets_a_moment_when_its_length_has_passed() -> None:
    met = datetime(2026, 4, 2, 9, tzinfo=UTC)

    assert met == changes("created_at > ago('60 days')")
    assert met == changes("created_at <= ago('60 days')")
    assert met == changes("created_at == ago('60 days')")


def test_ago_that_has_met_a_moment_lies_behind_it_an_instant_later() -> None:
    length = f"ago('{int((AT - BOUGHT).total_seconds() // 60)} minutes')"

    assert AT + timedelta(microseconds=1) == changes(f"last_order_at >= {length}")
    assert changes("created_at > ago('3 days')") is None


def test_a_field_that_turns_by_itself_is_asked_for_its_turn() -> None:
    assert BIRTHDAY == changes("age >= 18")


@pytest.mark.parametrize(
    ("source", "moment"),
    [
        ("orders_count > 9 and days_since_last_order > 30", None),  # false for good, whatever the days
        ("orders_count > 1 and days_since_last_order > 30", after(31)),
        ("orders_count > 1 or days_since_last_order > 30", None),
        ("days_since_last_order > 30 and days_since_last_order > 50", after(51)),
        ("days_since_last_order < 30 and days_since_last_order < 50", after(30)),
        ("days_since_last_order > 30 or days_since_last_order > 50", after(31)),
        ("days_since_last_order < 30 or days_since_last_order < 50", after(50)),
    ],
)
def test_a_part_that_decides_alone_lets_the_others_wait(source: str, moment: datetime | None) -> None:
    assert moment == changes(source)


def test_a_rule_tells_whether_time_can_change_it_at_all() -> None:
    segments = {"silent": check("days_since_last_order > 30")}

    assert stands_still(check("'vip' in tags and created_at > date('2026-01-01')"))
    assert not stands_still(check("not segment('silent')", segments=segments), segments)
    assert not stands_still(check("created_at > ago('1 day')"))
    assert frozenset({"age", "days_since_last_order"}) == fields_read(
        check("age > 3 or segment('silent')", segments=segments), segments
    )


def test_what_lies_beyond_the_calendar_never_comes() -> None:
    assert changes("days_since_last_order > 9007199254740992") is None

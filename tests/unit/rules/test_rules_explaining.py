"""Why somebody is in a segment, and which texts are numbers."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UnknownSegment
from engine.model import Profile
from engine.rules import check, evaluate, explain, number_of

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANNA = Profile(
    contact_id=1,
    orders_count=3,
    usual_gap_days=30.5,
    last_order_at=AT - timedelta(days=100),
    tags=("vip", "tea"),
    attributes={"size": "9"},
)


def test_an_explanation_shows_each_condition_with_the_contacts_values() -> None:
    loyal = check("orders_count >= 3 and 'vip' in tags")
    rule = check(
        "segment('loyal') and (last_order_at > ago('90 days') or not attributes.size * 2 > 20) and city is missing",
        segments=["loyal"],
    )

    steps = explain(rule, ANNA, AT, {"loyal": loyal})

    assert [
        (0, "all of these", "", True),
        (1, "segment('loyal')", "", True),
        (2, "all of these", "", True),
        (3, "orders_count >= 3", "orders_count = 3", True),
        (3, "'vip' in tags", "tags = ['vip', 'tea']", True),
        (1, "at least one of these", "", True),
        (
            2,
            "last_order_at > ago('90 days')",
            "last_order_at = 2025-11-21 12:00 UTC; ago('90 days') = 2025-12-01 12:00 UTC",
            False,
        ),
        (2, "not", "", True),
        (3, "(attributes.size * 2) > 20", "attributes.size = '9'", False),
        (1, "city is missing", "city = missing", True),
    ] == [(step.depth, step.text, step.value, step.holds) for step in steps]


def test_a_segment_that_was_not_handed_in_is_named_with_the_nearest() -> None:
    rule = check("segment('loyal')", segments=["loyal"])

    with pytest.raises(UnknownSegment, match="segment 'loyal' is not defined; did you mean 'loyals'"):
        evaluate(rule, ANNA, AT, {"loyals": check("age > 1")})


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12.0),
        (" -3.50 ", -3.5),
        ("+.5", 0.5),
        ("7.", 7.0),
        ("1e3", 1000.0),
        ("0", 0.0),
        ("", None),
        ("12,5", None),
        ("1 000", None),
        ("12 kg", None),
        ("0x1F", None),
        ("1_000", None),
        ("١٢", None),
        ("nan", None),
        ("inf", None),
        ("1e21", None),
        ("1e-21", None),
        ("9" * 400, None),
    ],
)
def test_a_text_reads_as_a_number_or_not(text: str, number: float | None) -> None:
    assert number == number_of(text)


@given(st.floats(1e-20, 1e20))
def test_every_number_in_range_is_read_back_from_its_text(number: float) -> None:
    assert number == number_of(repr(number))

"""Rules made ready for many looks answer as the others do, and stand as long."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import rules
from engine.model import Profile

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SEGMENTS = rules.check_all(
    {
        "regulars": ("orders_count >= 3 and usual_gap_days is not missing", ""),
        "quiet": ("segment('regulars') and days_since_last_order > 2 * usual_gap_days", ""),
    },
    ZoneInfo("UTC"),
)
ATOMS = [
    "orders_count >= 2",
    "orders_count != 3",
    "3 <= orders_count",
    "language == 'fi'",
    "city != 'Turku'",
    "city in ['Turku', 'Oulu']",
    "'vip' in tags",
    "tags == []",
    "company_size > 10",
    "attributes.shoe == 42",
    "mailing_consent",
    "usual_gap_days is missing",
    "days_since_last_order > 5",
    "days_since_last_order <= 5.5",
    "days_since_last_order >= 7",
    "days_since_last_order < 30",
    "10 > days_since_last_order",
    "days_since_last_order == 7",
    "days_since_last_order in [3, 9]",
    "days_since_last_order > 2 * usual_gap_days",
    "days_since_last_order < attributes.shoe",
    "days_since_last_order | default(99) > 20",
    "days_since_last_order % 7 == 0",
    "last_order_at < ago('10 days')",
    "last_order_at >= ago('3 days')",
    "lifecycle == 'at_risk'",
    "lifecycle != 'lost'",
    "lifecycle in ['new', 'loyal']",
    "age >= 18",
    "sent_30d > 1",
    "human_clicks_30d == 0",
    "recency_score + frequency_score > 6",
    "segment('regulars')",
    "segment('quiet')",
]
RULES = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        inner.map(lambda one: f"not ({one})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}) and ({two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}) or ({two[1]})"),
    ),
    max_leaves=5,
)
PEOPLE = st.builds(
    lambda days, **fields: Profile(
        contact_id=1,
        days_since_last_order=None if days is None else int(days),
        last_order_at=None if days is None else AT - timedelta(days=days),
        **fields,
    ),
    days=st.one_of(st.none(), st.floats(0, 40, allow_nan=False)),
    orders_count=st.integers(0, 5),
    usual_gap_days=st.one_of(st.none(), st.sampled_from([1.0, 3.5, 7.0])),
    language=st.sampled_from([None, "", "fi", "en"]),
    city=st.sampled_from([None, "Turku", "Oslo"]),
    tags=st.sampled_from([(), ("vip",), ("a", "vip")]),
    company_size=st.sampled_from([None, "12", "many"]),
    attributes=st.sampled_from([{}, {"shoe": "42"}, {"shoe": "8"}, {"shoe": "big"}]),
    mailing_consent=st.sampled_from([None, True, False]),
    lifecycle=st.sampled_from(["prospect", "new", "at_risk", "lost"]),
    age=st.sampled_from([None, 17, 18]),
    sent_30d=st.integers(0, 3),
    human_clicks_30d=st.integers(0, 2),
    recency_score=st.sampled_from([None, 2, 5]),
    frequency_score=st.sampled_from([None, 2, 5]),
)
TURNS = st.dictionaries(
    st.sampled_from(["age", "lifecycle", "recency_score", "sent_30d", "human_clicks_30d"]),
    st.integers(-2, 50).map(lambda days: AT + timedelta(days=days)),
)


class Whole:
    """A contact of whom everything is known already."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def read(self, name: str) -> Any:
        if name.startswith("attributes."):
            return self._profile.attributes.get(name.removeprefix("attributes."))
        return getattr(self._profile, name)

    def profile(self) -> Profile:
        return self._profile


@settings(max_examples=500)
@given(text=RULES, who=PEOPLE, turns=TURNS)
def test_a_prepared_rule_answers_as_the_outlook_does(text: str, who: Profile, turns: dict[str, datetime]) -> None:
    rule = rules.check(text, "", SEGMENTS)

    found = rules.outlook(rule, who, AT, turns.get, SEGMENTS)

    assert rules.PreparedRule(rule, SEGMENTS).outlook(Whole(who), AT, turns.get) == (found.holds, found.until)
    assert found.holds == rules.evaluate(rule, who, AT, SEGMENTS)


@pytest.mark.parametrize("text", ATOMS)
def test_one_prepared_rule_serves_one_contact_after_the_other(text: str) -> None:
    rule = rules.check(text, "", SEGMENTS)
    prepared = rules.PreparedRule(rule, SEGMENTS)
    bought = Profile(contact_id=1, orders_count=4, days_since_last_order=9, last_order_at=AT - timedelta(days=9))
    never = Profile(contact_id=2)

    for who in (bought, never, bought):
        assert prepared.outlook(Whole(who), AT, dict[str, datetime]().get)[0] is rules.evaluate(rule, who, AT, SEGMENTS)

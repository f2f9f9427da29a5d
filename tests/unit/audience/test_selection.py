"""Whom rules select: in SQL over stored profiles and in Python over computed ones."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_shop import SmallShop, line, moment

from engine import rules
from engine.audience.people import profiles
from engine.audience.refresh import refresh, refresh_changed
from engine.audience.selection import contacts_count, count, members, select, why
from engine.errors import UnknownContact
from engine.store import Store
from engine.store.tables import metadata

ZONE = ZoneInfo("America/New_York")


@pytest.fixture
def shop(store: Store) -> SmallShop:
    return SmallShop(store)


def selected(shop: SmallShop, rule: str, at: datetime, exclude: str | None = None) -> list[int]:
    refresh_changed(shop.store, at, ZONE)
    not_these = rules.check(exclude) if exclude else None
    return select(shop.store, rules.check(rule), at, {}, ZONE, currency="EUR", exclude=not_these)


def test_a_rule_on_orders_selects_by_id(shop: SmallShop, at: datetime) -> None:
    for one in (3, 1, 2):
        shop.contact(one)
    for one in (3, 1):
        shop.order(one, "2025-11-01")

    assert [1, 3] == selected(shop, "orders_count == 1 and days_since_last_order > 90", at)


def test_the_same_rule_gives_other_people_at_another_moment(shop: SmallShop, at: datetime) -> None:
    shop.contact(1)
    shop.order(1, "2026-01-01")

    assert [] == selected(shop, "days_since_last_order > 90", at)
    assert [1] == selected(shop, "days_since_last_order > 90", at + timedelta(days=40))


def test_exclude_takes_its_people_out(shop: SmallShop, at: datetime) -> None:
    shop.contact(1, tags=["vip"])
    shop.contact(2)

    assert [2] == selected(shop, "orders_count == 0", at, exclude="'vip' in tags")


def test_an_erased_contact_is_never_selected(shop: SmallShop, at: datetime) -> None:
    shop.contact(1, email=None, address_key=None)
    shop.contact(2, email=None, address_key=None, external_id="known-by-number")

    assert [2] == selected(shop, "orders_count == 0", at)
    assert 1 == contacts_count(shop.store)
    shop.order(2, "2026-02-01")
    assert [2] == selected(shop, "orders_count == 0", moment("2026-01-15"))  # computed


def test_segments_ask_for_each_other(shop: SmallShop, at: datetime) -> None:
    shop.contact(1, country="FI")
    shop.contact(2, country="SE")
    refresh_changed(shop.store, at, ZONE)
    both = rules.check_all({"finns": ("country == 'FI'", ""), "others": ("not segment('finns')", "")})

    assert [2] == select(shop.store, both["others"], at, both, ZONE, currency="EUR")


def test_count_and_members_agree_with_select_now_and_then(shop: SmallShop, at: datetime) -> None:
    for one in (1, 2, 3):
        shop.contact(one)
        shop.order(one, f"2026-02-{one * 7:02}")
    refresh(shop.store, at, ZONE)
    bought = rules.check("orders_count > 0")

    for then, expected in ((at, [1, 2, 3]), (moment("2026-02-15"), [1, 2])):
        assert len(expected) == count(shop.store, bought, then, {}, ZONE, currency="EUR")
        found = members(shop.store, bought, then, {}, ZONE, currency="EUR")
        assert expected == [who.contact_id for who in found]


def test_money_in_rules_is_in_the_main_unit(shop: SmallShop, at: datetime) -> None:
    shop.contact(1)
    shop.order(1, "2026-02-01", line("tea", 1999))

    assert [1] == selected(shop, "revenue == 19.99 and average_order < 20", at)


def test_why_tells_each_condition_with_the_contacts_value(shop: SmallShop, at: datetime) -> None:
    shop.contact(1, country="FI")
    refresh_changed(shop.store, at, ZONE)

    rule = rules.check("country == 'FI' and orders_count > 2")
    steps = why(shop.store, 1, rule, at, {}, ZONE, currency="EUR")

    assert [("country = 'FI'", True), ("orders_count = 0", False)] == [(s.value, s.holds) for s in steps[1:]]


def test_why_of_a_number_without_contact_is_refused(sqlite_store: Store, at: datetime) -> None:
    with pytest.raises(UnknownContact, match="no contact has the number 7"):
        why(sqlite_store, 7, rules.check("orders_count > 2"), at, {}, ZONE, currency="EUR")


# ---------------------------------------------------------------- both ways select the same contacts

NOW = datetime(2026, 3, 1, 4, 30, tzinfo=UTC)  # still 28 February in New York

RULES = (
    "age >= 40",
    "age < 40 or age is missing",
    "revenue > 20",
    "average_order <= 10.5",
    "average_order is missing",
    "days_since_last_order > 2 * usual_gap_days",
    "days_since_last_order in [0, 1, 30]",
    "days_since_last_order is missing",
    "usual_gap_days >= 3.5",
    "recency_score >= 3",
    "frequency_score == 5 or monetary_score == 1",
    "recency_score is missing",
    *(f"lifecycle == '{stage}'" for stage in "prospect new active loyal at_risk lapsed lost".split()),
    "last_order_at > ago('30 days')",
    "first_order_at < date('2026-01-01')",
    "favourite_category == 'Tea'",
    "favourite_brand is missing",
    "'Mugs' in categories",
    "'Zen' not in brands",
    "discount_share > 0.1",
    "sent_30d == 0",
    "sent_30d >= 1 and last_sent_at > ago('10 days')",
    "human_clicks_30d > 0",
    "last_click_at is not missing",
    "'vip' in tags",
    "interests == []",
    "mailing_consent",
    "tracking_consent == false",
    "company_size > 10",
    "attributes.Shoe > 40",
    "attributes.Shoe is missing",
    "greeting == 'Hei Anna,'",
    "created_at < ago('1 day')",
)

IDS = range(1, 8)
MINUTES = st.integers(min_value=0, max_value=150 * 24 * 60)


def _before(minutes: int) -> datetime:
    return NOW - timedelta(minutes=minutes)


LINES = st.builds(
    lambda product, cents, quantity, returned, off: line(
        product, cents, quantity, min(returned, quantity), min(off, cents)
    ),
    st.sampled_from(["tea", "mug", "pot", None, "unlisted"]),
    st.integers(0, 3000),
    st.sampled_from([1, 2, 0.5]),
    st.sampled_from([0, 0, 1]),
    st.sampled_from([0, 0, 100]),
)
PEOPLE = st.lists(
    st.fixed_dictionaries(
        {
            "columns": st.fixed_dictionaries(
                {
                    "given_name": st.sampled_from([None, "Anna"]),
                    "language": st.sampled_from([None, "fi"]),
                    "birth_date": st.sampled_from([None, date(1986, 2, 28), date(1986, 3, 1), date(2030, 1, 1)]),
                    "tags": st.sampled_from([[], ["vip"], ["b2b", "vip"]]),
                    "mailing_consent": st.sampled_from([None, True, False]),
                    "tracking_consent": st.sampled_from([None, True, False]),
                    "company_size": st.sampled_from([None, "50"]),
                }
            ),
            "shoe": st.sampled_from([None, "42", "wide"]),
            "orders": st.lists(st.tuples(MINUTES, st.lists(LINES, min_size=1, max_size=3)), max_size=5),
            "sent": st.lists(st.tuples(MINUTES, st.sampled_from([None, "human", "machine"])), max_size=2),
        }
    ),
    min_size=1,
    max_size=7,
)


def _fill(shop: SmallShop, people: list[dict[str, Any]]) -> None:
    for product, category, brand in (("tea", "Tea", "Zen"), ("mug", "Mugs", "Zen"), ("pot", "Mugs", None)):
        shop.product(product, category=category, brand=brand)
    for one, person in enumerate(people, start=1):
        size = person["columns"]["company_size"]
        shop.contact(one, **person["columns"], company_size_number=float(size) if size else None)
        if person["shoe"]:
            shop.attribute(one, "Shoe", person["shoe"], rules.number_of(person["shoe"]))
        for minutes, lines in person["orders"]:
            shop.order(one, _before(minutes), *lines)
        for minutes, verdict in person["sent"]:
            sent = shop.message(one, f"{_before(minutes):%Y-%m-%d %H:%M}")
            if verdict:
                shop.hit(sent, f"{_before(minutes - 5):%Y-%m-%d %H:%M}", verdict=verdict)


def _empty(store: Store) -> None:
    with store.write() as db:
        for table in reversed(metadata.sorted_tables):
            db.execute(table.delete())


ATOMS = st.sampled_from(RULES)
QUESTIONS = st.lists(
    st.one_of(
        ATOMS,
        st.builds("({}) and ({})".format, ATOMS, ATOMS),
        st.builds("not ({}) or ({})".format, ATOMS, ATOMS),
    ),
    min_size=8,
    max_size=8,
)


@settings(max_examples=20, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=PEOPLE, then=MINUTES, questions=QUESTIONS)
def test_sql_over_stored_profiles_selects_whom_python_selects_over_computed_ones(
    store: Store,
    people: list[dict[str, Any]],
    then: int,
    questions: list[str],
) -> None:
    _empty(store)
    shop = SmallShop(store)
    with shop.at_once():
        _fill(shop, people)
    checked = {text: rules.check(text, zone=ZONE) for text in questions}
    moments = sorted({_before(then), NOW})

    stored = []
    for at in moments:
        refresh(store, at, ZONE)
        seen = profiles(store, IDS, at, ZONE, "EUR")
        stored.append((seen, {t: select(store, rule, at, {}, ZONE, currency="EUR") for t, rule in checked.items()}))

    shop.order(1, NOW + timedelta(days=1))  # from here on nothing stored holds for those moments
    refresh(store, NOW + timedelta(days=2), ZONE)
    computed = []
    for at in moments:
        seen = profiles(store, IDS, at, ZONE, "EUR")
        by_rule = {t: [p.contact_id for p in seen if rules.evaluate(rule, p, at)] for t, rule in checked.items()}
        computed.append((seen, by_rule))

    assert computed == stored

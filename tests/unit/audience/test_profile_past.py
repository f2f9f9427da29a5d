"""A profile as of a past moment is the one that was stored then."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from small_shop import SmallShop, line, moment

from engine.audience.people import profiles
from engine.audience.refresh import refresh
from engine.store import Store

ZONE = ZoneInfo("Europe/Helsinki")
MARCH = moment("2026-03-01 12:00")
DECEMBER = moment("2026-12-01 12:00")


@pytest.fixture
def shop(store: Store) -> SmallShop:
    """Three contacts whose every field has something to say in March, and something else in December."""
    shop = SmallShop(store)
    shop.product("tea", category="Drinks", brand="Zen")
    shop.product("mug", category="Kitchen", brand="Arabia")
    shop.contact(1, given_name="Anna", birth_date=date(1980, 7, 1), tags=["vip"], mailing_consent=True)
    shop.contact(2, language="fi")
    shop.contact(3)
    shop.attribute(1, "shoe", "42", 42.0)
    for day in ("2025-11-01", "2025-12-01", "2026-01-15"):
        shop.order(1, day, line("tea", 700, discount=50))
    shop.order(2, "2026-02-20", line("mug", 900))
    shop.hit(shop.message(1, "2026-02-10"), "2026-02-11")
    for day in ("2026-04-01", "2026-06-01"):
        shop.order(1, day, line("mug", 5000))
        shop.order(3, day, line("tea", 100))
    shop.hit(shop.message(1, "2026-11-20"), "2026-11-21")
    return shop


def test_a_march_profile_computed_in_december_equals_the_one_stored_in_march(shop: SmallShop) -> None:
    refresh(shop.store, MARCH, ZONE)
    stored = profiles(shop.store, [1, 2, 3], MARCH, ZONE, "EUR")

    refresh(shop.store, DECEMBER, ZONE)
    computed = profiles(shop.store, [1, 2, 3], MARCH, ZONE, "EUR")

    assert stored == computed
    anna = computed[0]
    assert (3, 19.5, 6.5, 45) == (anna.orders_count, anna.revenue, anna.average_order, anna.days_since_last_order)
    assert (37.5, "Drinks", ("Drinks",), "active") == (
        anna.usual_gap_days,
        anna.favourite_category,
        anna.categories,
        anna.lifecycle,
    )
    assert (45, 1, 1, moment("2026-02-11")) == (anna.age, anna.sent_30d, anna.human_clicks_30d, anna.last_click_at)
    assert ["active", "new", "prospect"] == [one.lifecycle for one in computed]


def test_december_sees_other_figures(shop: SmallShop) -> None:
    refresh(shop.store, MARCH, ZONE)
    refresh(shop.store, DECEMBER, ZONE)

    anna = profiles(shop.store, [1], DECEMBER, ZONE, "EUR")[0]

    assert (5, "Kitchen", 46, moment("2026-11-20")) == (
        anna.orders_count,
        anna.favourite_category,
        anna.age,
        anna.last_sent_at,
    )


def test_profiles_can_be_read_before_any_refresh(shop: SmallShop) -> None:
    before = profiles(shop.store, [1, 2, 3], MARCH, ZONE, "EUR")
    refresh(shop.store, MARCH, ZONE)

    assert before == profiles(shop.store, [1, 2, 3], MARCH, ZONE, "EUR")


def test_attributes_have_no_history_and_are_todays(shop: SmallShop) -> None:
    refresh(shop.store, DECEMBER, ZONE)

    assert ("vip",) == profiles(shop.store, [1], moment("2024-01-01"), ZONE, "EUR")[0].tags

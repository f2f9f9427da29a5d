"""What a profile says of a contact, as of a moment."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from small_shop import SmallShop, line, moment

from engine.audience.people import profiles
from engine.audience.refresh import refresh
from engine.model import Profile
from engine.store import Store

HELSINKI = ZoneInfo("Europe/Helsinki")


@pytest.fixture
def shop(store: Store) -> SmallShop:
    return SmallShop(store)


def seen(shop: SmallShop, at: datetime, contact_id: int = 1, currency: str = "EUR") -> Profile:
    refresh(shop.store, at, HELSINKI)
    return profiles(shop.store, [contact_id], at, HELSINKI, currency)[0]


def test_a_contact_without_orders_is_a_prospect_with_nothing_known(shop: SmallShop, at: datetime) -> None:
    shop.contact(1, given_name="Anna", language="fi")

    who = seen(shop, at)

    expected = Profile(
        contact_id=1,
        email="p1@shop.test",
        given_name="Anna",
        language="fi",
        greeting="Hei Anna,",
        created_at=moment("2025-01-01"),
    )
    assert expected == who


def test_columns_tags_and_attributes_are_shown_as_imported(shop: SmallShop, at: datetime) -> None:
    shop.contact(1, tags=["vip", "b2b"], interests=["tea"], mailing_consent=True, company_size="50")
    shop.attribute(1, "Shoe size", "42", 42.0)

    who = seen(shop, at)

    assert ("vip", "b2b") == who.tags
    assert ("tea",) == who.interests
    assert {"Shoe size": "42"} == who.attributes
    assert (True, None) == (who.mailing_consent, who.tracking_consent)
    assert "50" == who.company_size


def test_orders_of_one_local_day_are_one_purchase_day(shop: SmallShop, at: datetime) -> None:
    shop.contact(1)
    shop.order(1, "2026-01-01 22:30")  # 2 January 00:30 in Helsinki
    shop.order(1, "2026-01-02 20:00")  # 2 January 22:00
    shop.order(1, "2026-01-12 08:00")

    who = seen(shop, at)

    assert (3, 10.0) == (who.orders_count, who.usual_gap_days)


def test_the_usual_gap_is_the_median_of_own_gaps(shop: SmallShop, at: datetime) -> None:
    shop.contact(1)
    for day in ("2026-01-01", "2026-01-05", "2026-01-12", "2026-02-20"):  # gaps 4, 7, 39
        shop.order(1, day)

    assert 7.0 == seen(shop, at).usual_gap_days


def test_one_purchase_day_has_no_gap(shop: SmallShop, at: datetime) -> None:
    shop.contact(1)
    shop.order(1, "2026-01-05 08:00")
    shop.order(1, "2026-01-05 09:00")

    assert seen(shop, at).usual_gap_days is None


def test_days_since_the_last_order_are_whole_days_of_24_hours(shop: SmallShop, at: datetime) -> None:
    shop.contact(1)
    shop.order(1, "2026-02-27 12:00:01")  # a second short of two days

    assert 1 == seen(shop, at).days_since_last_order


def test_an_order_counts_from_its_very_moment_on(shop: SmallShop, at: datetime) -> None:
    shop.contact(1)
    shop.order(1, at)
    shop.order(1, "2026-03-01 12:00:00.000001")

    assert (1, at) == ((who := seen(shop, at)).orders_count, who.last_order_at)


def test_money_is_decimal_and_net_of_returns_and_discounts(shop: SmallShop, at: datetime) -> None:
    shop.contact(1)
    shop.order(1, "2026-01-05", line("tea", 500, quantity=2, returned=1, discount=100))  # half of 9.00
    shop.order(1, "2026-02-05", line("tea", 550))

    who = seen(shop, at)

    assert (10.0, 5.0) == (who.revenue, who.average_order)
    assert 100 / 1550 == who.discount_share


def test_a_currency_without_minor_units_is_not_divided(shop: SmallShop, at: datetime) -> None:
    shop.contact(1)
    shop.order(1, "2026-01-05", line("tea", 500))

    assert 500.0 == seen(shop, at, currency="JPY").revenue


def test_an_order_returned_in_full_is_an_order_without_a_favourite(shop: SmallShop, at: datetime) -> None:
    shop.product("lamp", category="Light", brand="Lux")
    shop.contact(1)
    shop.order(1, "2026-01-05", line("lamp", 9000, returned=1))

    who = seen(shop, at)

    assert (1, 0.0, None, ()) == (who.orders_count, who.revenue, who.favourite_category, who.categories)


def test_favourites_earn_most_and_ties_go_by_name(shop: SmallShop, at: datetime) -> None:
    shop.product("tea", category="Drinks", brand="Zen")
    shop.product("mug", category="Kitchen", brand="Arabia")
    shop.product("pot", category="Kitchen", brand="Zen")
    shop.contact(1)
    shop.order(1, "2026-01-05", line("tea", 800), line("mug", 500), line("pot", 300), line("unlisted", 5000))

    who = seen(shop, at)

    assert ("Drinks", "Zen") == (who.favourite_category, who.favourite_brand)
    assert (("Drinks", "Kitchen"), ("Arabia", "Zen")) == (who.categories, who.brands)


@pytest.mark.parametrize(
    ("now", "age"),
    [
        ("2026-02-27 21:59", 21),  # 23:59 on the 27th in Helsinki
        ("2026-02-27 22:00", 21),  # the 28th: born on 29 February, so not yet
        ("2026-02-28 22:00", 22),  # 1 March
    ],
)
def test_age_turns_on_the_birthday_in_the_shops_zone(shop: SmallShop, now: str, age: int) -> None:
    shop.contact(1, birth_date=date(2004, 2, 29))

    assert age == seen(shop, moment(now)).age


def test_messages_and_human_clicks_count_for_thirty_days_up_to_the_moment(shop: SmallShop, at: datetime) -> None:
    shop.contact(1)
    old = shop.message(1, "2026-01-30 12:00")  # exactly 30 days ago: no more
    new = shop.message(1, "2026-02-20 12:00")
    shop.message(1, "2026-03-01 12:01")  # later
    shop.message(1, None, state="refused")
    shop.hit(old, "2026-01-30 12:00")
    shop.hit(new, "2026-02-21 09:00")
    shop.hit(new, "2026-02-22 09:00", verdict="machine")
    shop.hit(new, "2026-02-23 09:00", verdict=None)
    shop.hit(new, "2026-02-24 09:00", kind="open")
    shop.hit(new, "2026-03-01 12:01")

    who = seen(shop, at)

    assert (1, moment("2026-02-20 12:00")) == (who.sent_30d, who.last_sent_at)
    assert (1, moment("2026-02-21 09:00")) == (who.human_clicks_30d, who.last_click_at)


def test_scores_and_lifecycle_are_measured_among_all_buyers(shop: SmallShop, at: datetime) -> None:
    for one in range(1, 6):  # contact 5 bought most, most often and last
        shop.contact(one)
        for n in range(one):
            shop.order(one, f"2026-02-{one * 4 + n:02}", line("tea", one * 100))

    refresh(shop.store, at, HELSINKI)
    who = profiles(shop.store, [1, 2, 3, 4, 5], at, HELSINKI, "EUR")

    assert [1, 2, 3, 4, 5] == [one.recency_score for one in who]
    assert [1, 2, 3, 4, 5] == [one.frequency_score for one in who]
    assert [1, 2, 3, 4, 5] == [one.monetary_score for one in who]
    # 25, 20, 15, 10 and 5 days silent; a gap of a day counts as the shortest interval, 7 days
    assert ["at_risk", "at_risk", "at_risk", "loyal", "loyal"] == [one.lifecycle for one in who]


def test_profiles_come_in_the_order_asked_for_and_without_strangers(shop: SmallShop, at: datetime) -> None:
    shop.contact(1)
    shop.contact(2)
    refresh(shop.store, at, HELSINKI)

    assert [2, 1] == [one.contact_id for one in profiles(shop.store, [2, 99, 1], at, HELSINKI, "EUR")]


def test_who_gave_no_language_is_greeted_in_the_shops(shop: SmallShop, at: datetime) -> None:
    shop.contact(1, given_name="Anna")
    refresh(shop.store, at, HELSINKI, language="fi")

    assert "Hei Anna," == seen(shop, at).greeting

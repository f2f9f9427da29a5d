"""Days that come round, in a running journey: whose day is known, whose changes, and who moves to another zone."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from entrance import Entrance, by_day, moment

from engine.store import Store


@pytest.fixture
def shop(store: Store, tmp_path: Path) -> Entrance:
    return Entrance(store, tmp_path, {})


def test_a_birthday_brings_her_in_every_year(shop: Entrance) -> None:
    shop.contact(1, birth_date=date(1990, 5, 4))
    shop.contact(2)
    shop.publish(by_day(), "2026-03-01")

    shop.tick("2026-05-04 05:59")
    before = shop.came()
    shop.tick("2026-05-04 06:00")
    shop.ends(1, "2026-05-10")
    shop.tick("2027-05-04 06:00")

    assert ([], [1, 1]) == (before, shop.came())
    assert ["date/2026-05-04", "date/2027-05-04"] == shop.causes()


def test_a_day_in_an_attribute_brings_her_in(shop: Entrance) -> None:
    shop.contact(1)
    shop.attribute(1, "renewal", "2026-06-30")
    shop.publish(by_day("attributes.renewal", yearly=False, offset=timedelta(days=-14)), "2026-03-01")

    shop.tick("2026-06-16 06:00")

    assert [1] == shop.came()
    assert shop.look_at(1) is None


def test_a_day_that_becomes_known_is_waited_for(shop: Entrance) -> None:
    shop.contact(1)
    shop.publish(by_day(), "2026-03-01")
    shop.change(1, birth_date=date(1990, 5, 4))
    shop.tick("2026-03-02")

    shop.tick("2026-05-04 06:00")

    assert [1] == shop.came()


def test_a_day_that_came_round_before_it_was_known_brings_nobody_in(shop: Entrance) -> None:
    shop.contact(1)
    shop.publish(by_day(), "2026-03-01")
    shop.change(1, birth_date=date(1990, 5, 4))

    shop.tick("2026-05-04 06:00")

    assert [] == shop.came()
    assert moment("2027-05-04 06:00") == shop.look_at(1)


def test_who_moves_east_past_the_hour_is_not_lost(shop: Entrance) -> None:
    shop.contact(1, birth_date=date(1990, 5, 4), timezone="America/New_York")  # nine is 13:00 UTC
    shop.publish(by_day(), "2026-03-01")
    shop.tick("2026-05-04 07:00")
    shop.change(1, timezone="Europe/Helsinki")  # nine was 06:00 UTC

    shop.tick("2026-05-04 08:00")

    assert [1] == shop.came()


def test_who_moves_west_before_the_hour_does_not_come_in_twice(shop: Entrance) -> None:
    shop.contact(1, birth_date=date(1990, 5, 4))
    shop.publish(by_day(), "2026-03-01")
    shop.tick("2026-05-04 06:00")
    shop.ends(1, "2026-05-04 06:30")
    shop.change(1, timezone="America/New_York")

    shop.tick("2026-05-04 08:00")
    shop.tick("2026-05-04 13:00")

    assert [1] == shop.came()
    assert moment("2027-05-04 13:00") == shop.look_at(1)


def test_a_day_that_is_taken_back_brings_nobody_in(shop: Entrance) -> None:
    shop.contact(1, birth_date=date(1990, 5, 4))
    shop.publish(by_day(), "2026-03-01")
    shop.change(1, birth_date=None)
    shop.tick("2026-03-02")

    shop.tick("2026-05-04 06:00")

    assert ([], None) == (shop.came(), shop.look_at(1))


def test_a_day_seen_too_late_is_missed_and_the_next_one_comes(shop: Entrance) -> None:
    shop.contact(1, birth_date=date(1990, 5, 4))
    shop.publish(by_day(), "2026-03-01")

    shop.tick("2026-05-08")

    assert ([], ["date/2026-05-04/1"]) == (shop.came(), shop.lost())
    assert moment("2027-05-04 06:00") == shop.look_at(1)


def test_a_clock_set_back_over_the_hour_lets_nobody_in_twice(shop: Entrance) -> None:
    shop.contact(1, birth_date=date(1990, 5, 4))
    shop.publish(by_day(), "2026-03-01")
    shop.tick("2026-05-04 06:00")
    shop.ends(1, "2026-05-04 06:00")

    shop.change(1, city="Turku")
    shop.tick("2026-05-04 05:00")
    shop.tick("2026-05-04 06:30")

    assert [1] == shop.came()


def test_the_rule_of_a_start_is_asked_when_the_day_comes(store: Store, tmp_path: Path) -> None:
    shop = Entrance(store, tmp_path, {})
    for one in (1, 2):
        shop.contact(one, birth_date=date(1990, 5, 4))
    shop.publish(by_day(where="'club' in tags"), "2026-03-01")
    shop.tag(2, "club")

    shop.tick("2026-05-04 06:00")

    assert [2] == shop.came()

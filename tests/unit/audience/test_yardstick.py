"""The cut points of the scores, and the shop's usual gap."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from small_shop import SmallShop, line, moment

from engine.audience import yardstick
from engine.audience.refresh import refresh
from engine.audience.yardstick import Yardstick, rank
from engine.store import Store

UTC = ZoneInfo("UTC")


@pytest.mark.parametrize(("value", "score"), [(-5, 1), (10, 1), (11, 2), (20, 2), (30, 3), (40, 4), (41, 5)])
def test_a_score_is_one_more_for_each_cut_point_exceeded(value: int, score: int) -> None:
    assert score == rank(value, (10, 20, 30, 40))


def test_the_yardstick_of_ten_buyers_is_the_same_from_profiles_and_from_orders(store: Store, at: datetime) -> None:
    shop = SmallShop(store)
    with shop.at_once():
        for one in range(1, 12):  # contact 11 never bought
            shop.contact(one)
        for one in range(1, 11):
            shop.order(one, f"2026-02-{one:02}", line("tea", one * 100))
            if one >= 9:
                shop.order(one, f"2026-02-{one + 11:02}", line("tea", 1), line("tea", 1))
        shop.order(1, "2026-03-02", line("tea", 99_999))  # after the moment
    refresh(store, at, UTC)

    with store.read() as db:
        found = yardstick.from_profiles(db, at, UTC), yardstick.from_orders(db, at, UTC)

    # Last orders 1-8, 20 and 21 February, so 28, 27 ... 21, 9 and 8 whole days before 1 March noon.
    expected = Yardstick(
        as_of=at, recency=(9, 22, 24, 26), frequency=(1, 1, 1, 1), monetary=(200, 400, 600, 800), shop_gap_days=11.0
    )
    assert (expected, expected) == found


def test_the_shops_gap_is_the_median_over_all_gaps_of_all(sqlite_store: Store, at: datetime) -> None:
    shop = SmallShop(sqlite_store)
    shop.contact(1)
    shop.contact(2)
    for day in ("2026-01-01 08:00", "2026-01-01 20:00", "2026-01-02", "2026-01-04"):  # gaps 1, 2
        shop.order(1, day)
    for day in ("2026-01-01", "2026-01-10", "2026-02-10"):  # gaps 9, 31
        shop.order(2, day)

    with sqlite_store.read() as db:
        assert 5.5 == yardstick.from_orders(db, at, UTC).shop_gap_days


def test_a_shop_without_buyers_has_an_empty_yardstick(sqlite_store: Store, at: datetime) -> None:
    with sqlite_store.read() as db:
        assert Yardstick(as_of=at) == yardstick.from_orders(db, at, UTC)


def test_a_yardstick_comes_back_from_its_fact_as_it_was() -> None:
    one = Yardstick(as_of=moment("2026-03-01 03:00:00.000001"), recency=(1, 2, 3, 4), shop_gap_days=2.5)

    assert one == yardstick.from_fact(one.to_fact())

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from recommend_shop import Purchase, catalogue, people, sell

from engine.audience.backtest import backtest
from engine.errors import Usage
from engine.store import Store

UTC_ZONE = ZoneInfo("UTC")


def test_the_figures_of_a_tiny_shop_are_those_worked_out_by_hand(store: Store) -> None:
    cut = datetime(2026, 2, 1, tzinfo=UTC)
    numbers = people(store, "ann bob cid", cut)
    catalogue(store, ["a", "b", "c"])
    before: list[Purchase] = [("ann", 9, "a b"), ("bob", 9, "a"), ("cid", 40, "c"), ("cid", 41, "c"), ("ann", 50, "c")]
    after: list[Purchase] = [("ann", -1, "b"), ("bob", -2, "b c"), ("cid", -40, "c")]  # Cid: after the horizon
    sell(store, numbers, before + after, cut)

    result = backtest(store, date(2026, 1, 31), UTC_ZONE, k=1)

    methods = result["methods"]
    assert isinstance(methods, dict)
    nobody = {"hit_rate": 0.0, "ndcg": 0.0, "recall": 0.0, "coverage": 1}
    assert nobody == methods["best sellers"]  # a and c have two buyers each, ties go by id: a, which nobody bought
    assert nobody == methods["best sellers 30 days"]
    assert nobody | {"coverage": 1} == methods["buy again"]  # Ann's a and b weigh the same: a
    # New to Ann: nothing she bought in the time. New to Bob: b and c, each with equal buyers lately or ever.
    assert {"hit_rate": 1.0, "ndcg": 1.0, "recall": 0.5, "coverage": 1} == methods["new only: best sellers"]
    assert {"hit_rate": 1.0, "ndcg": 1.0, "recall": 0.5, "coverage": 1} == methods["new only: new for you"]
    assert 2 == result["contacts"]


def test_personal_lists_beat_best_sellers_in_a_shop_of_habits(sqlite_store: Store) -> None:
    cut = datetime(2026, 2, 1, tzinfo=UTC)
    _shop_of_habits(sqlite_store, cut, seed=7)

    result = backtest(sqlite_store, date(2026, 1, 31), UTC_ZONE, k=5)

    methods = result["methods"]
    assert isinstance(methods, dict)
    best, again = methods["best sellers 30 days"], methods["buy again"]
    assert again["hit_rate"] > best["hit_rate"] + 0.2
    assert again["ndcg"] > 2 * best["ndcg"]
    new, best_new = methods["new only: new for you"], methods["new only: best sellers 30 days"]
    assert new["ndcg"] > 1.5 * best_new["ndcg"]
    assert again["coverage"] > best["coverage"]
    assert ("buy again", "new only: new for you") == (result["chosen"], result["chosen_new"])


def test_the_last_day_counts_whole_in_the_shops_zone(sqlite_store: Store) -> None:
    new_york = ZoneInfo("America/New_York")
    midnight = datetime(2026, 2, 1, 5, tzinfo=UTC)  # of 31 January to 1 February over there
    numbers = people(sqlite_store, "ann", midnight)
    catalogue(sqlite_store, ["a"])
    sell(sqlite_store, numbers, [("ann", 1e-8, "a"), ("ann", 0, "a")], midnight)

    known = backtest(sqlite_store, date(2026, 1, 31), new_york)

    assert 1 == known["contacts"]
    with pytest.raises(Usage, match="nobody bought"):
        backtest(sqlite_store, date(2026, 1, 31), UTC_ZONE)


def test_goods_that_are_never_recommended_are_no_hits(sqlite_store: Store) -> None:
    cut = datetime(2026, 2, 1, tzinfo=UTC)
    numbers = people(sqlite_store, "ann", cut)
    catalogue(sqlite_store, ["fuel"], recommendable={"fuel": False})
    sell(sqlite_store, numbers, [("ann", 5, "fuel"), ("ann", -5, "fuel")], cut)

    with pytest.raises(Usage, match="choose another --until"):
        backtest(sqlite_store, date(2026, 1, 31), UTC_ZONE)


def test_where_nothing_new_was_bought_only_all_products_are_judged(sqlite_store: Store) -> None:
    cut = datetime(2026, 2, 1, tzinfo=UTC)
    numbers = people(sqlite_store, "ann", cut)
    sell(sqlite_store, numbers, [("ann", 5, "a"), ("ann", -5, "a")], cut)

    result = backtest(sqlite_store, date(2026, 1, 31), UTC_ZONE)

    assert {"hit_rate": 1.0, "ndcg": 1.0, "recall": 1.0, "coverage": 1} == result["methods"]["buy again"]  # type: ignore[index]
    assert None is result["chosen_new"]


def _shop_of_habits(store: Store, cut: datetime, seed: int) -> None:
    """Each contact has a taste (one of eight shelves of 40 products), a few products of habit, and tries new ones."""
    chance = random.Random(seed)
    names = [f"c{n}" for n in range(200)]
    shelves = [[f"s{shelf}p{n:02}" for n in range(40)] for shelf in range(8)]
    catalogue(store, [one for shelf in shelves for one in shelf])
    numbers = people(store, " ".join(names), cut)
    purchases: list[Purchase] = []
    for n, name in enumerate(names):
        shelf = shelves[n % 8]
        habits = chance.sample(shelf, 3)
        for day in range(-28, 150, 12):
            basket = [one for one in habits if chance.random() < 0.6]
            tried = chance.choice(shelf if chance.random() < 0.8 else shelves[0])
            purchases.append((name, day + chance.random(), " ".join([*basket, tried])))
    sell(store, numbers, purchases, cut - timedelta(seconds=1))

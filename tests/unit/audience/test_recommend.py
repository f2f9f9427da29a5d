from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from recommend_shop import catalogue, listed, people, rows, sell, silent

from engine.audience.recommend import rebuild_recommendations
from engine.store import Store
from engine.store.tables import contact, order_line, orders, product, recommendation


def test_buy_again_halves_what_is_120_days_old_and_counts_an_order_once(store: Store, at: datetime) -> None:
    ann = people(store, "ann", at)
    catalogue(store, ["coffee", "tea"])
    sell(store, ann, [("ann", 120, "coffee coffee tea"), ("ann", 240, "coffee tea"), ("ann", 360, "coffee")], at)

    rebuild_recommendations(store, at, silent)

    again = rows(store, 1, "buy_again")
    assert [("coffee", 1), ("tea", 2)] == [(row.product_id, row.rank) for row in again]
    assert [0.5 + 0.25 + 0.125, 0.5 + 0.25] == pytest.approx([row.score for row in again])


def test_the_reason_to_buy_again_counts_orders_and_names_the_last_day_in_the_shops_zone(
    sqlite_store: Store, at: datetime
) -> None:
    ann = people(sqlite_store, "ann", at)
    catalogue(sqlite_store, ["coffee"])
    sell(sqlite_store, ann, [("ann", 120, "coffee"), ("ann", 60.5, "coffee")], at)  # 30 December, midnight in UTC

    rebuild_recommendations(sqlite_store, at, silent, ZoneInfo("America/New_York"))

    expected = {"code": "bought_times", "times": 2, "last": "2025-12-30"}
    assert [expected] == [row.reason for row in rows(sqlite_store, 1, "buy_again")]


def test_new_for_you_follows_the_formula(store: Store, at: datetime) -> None:
    numbers = people(store, "ann bob", at)
    catalogue(store, ["a", "b"])
    sell(store, numbers, [("ann", 10, "a b"), ("bob", 10, "a")], at)

    rebuild_recommendations(store, at, silent)

    # B'B + 300 = [[302, 1], [1, 301]], so W[a, b] = 1/302; b has 1 recent buyer of 1 ever: sqrt(1.5 / 6) = 1/2.
    (only,) = rows(store, 2, "new_for_you")
    assert ("b", {"code": "because", "title": "A"}) == (only.product_id, only.reason)
    assert 1 / 302 / 2 + 1e-7 == pytest.approx(only.score, abs=6e-8)


def test_the_reason_names_the_bought_product_that_speaks_loudest(sqlite_store: Store, at: datetime) -> None:
    numbers = people(sqlite_store, "ann bob cid dan eve", at)
    catalogue(sqlite_store, ["bread", "butter", "soap"])
    pairs = [("ann", 9, "bread butter"), ("bob", 9, "bread butter"), ("cid", 9, "soap butter"), ("eve", 9, "soap")]
    sell(sqlite_store, numbers, [*pairs, ("dan", 9, "soap"), ("dan", 9, "bread")], at)

    rebuild_recommendations(sqlite_store, at, silent)

    assert [("butter", "BREAD")] == [
        (row.product_id, row.reason["title"]) for row in rows(sqlite_store, 4, "new_for_you")
    ]


def test_who_never_bought_sees_what_sold_to_most_in_30_days_and_ties_go_by_product_id(
    store: Store, at: datetime
) -> None:
    numbers = people(store, "ann bob newcomer", at)
    catalogue(store, ["a", "b", "c", "d", "never_sold"])
    sales = [("ann", 20, "d c"), ("bob", 29, "d b"), ("ann", 31, "a"), ("bob", 31, "a")]
    sell(store, numbers, sales, at)

    rebuild_recommendations(store, at, silent)

    assert ["d", "b", "c"] == listed(store, 3, "new_for_you")
    assert [] == listed(store, 3, "buy_again")
    assert {"code": "popular"} == rows(store, 3, "new_for_you")[0].reason


def test_a_shop_that_sold_nothing_lately_shows_newcomers_what_sold_ever(sqlite_store: Store, at: datetime) -> None:
    numbers = people(sqlite_store, "ann bob newcomer", at)
    catalogue(sqlite_store, ["a", "b"])
    sell(sqlite_store, numbers, [("ann", 200, "b"), ("bob", 200, "b a")], at)

    rebuild_recommendations(sqlite_store, at, silent)

    assert ["b", "a"] == listed(sqlite_store, 3, "new_for_you")


def test_nothing_that_cannot_be_sold_is_shown(store: Store, at: datetime) -> None:
    numbers = people(store, "ann newcomer", at)
    catalogue(
        store,
        ["gone", "gift_card", "uncounted", "left"],
        stock={"gone": 0, "left": 1},
        recommendable={"gift_card": False},
    )
    basket = "gone gift_card uncounted left not_in_catalogue"
    sell(store, numbers, [("ann", 90, basket), ("ann", 60, basket), ("ann", 20, basket)], at)

    rebuild_recommendations(store, at, silent)

    assert ["left", "uncounted"] == listed(store, 1, "buy_again")
    assert ["left", "uncounted"] == listed(store, 2, "new_for_you")


@pytest.mark.parametrize(
    ("purchases", "expected"),
    [
        ([40, 2.9], []),  # within 3 days
        ([6, 3.1], ["coffee"]),  # own gap 2.9 days: the 3 days count
        ([59, 19], []),  # own gap 40 days, 19 < 20
        ([61, 21], ["coffee"]),  # own gap 40 days, 21 > 20
    ],
)
def test_buy_again_leaves_out_what_was_just_bought(
    sqlite_store: Store, at: datetime, purchases: list[float], expected: list[str]
) -> None:
    ann = people(sqlite_store, "ann", at)
    catalogue(sqlite_store, ["coffee"])
    sell(sqlite_store, ann, [("ann", days, "coffee") for days in purchases], at)

    rebuild_recommendations(sqlite_store, at, silent)

    assert expected == listed(sqlite_store, 1, "buy_again")


@pytest.mark.parametrize(("days_ago", "expected"), [(19, []), (21, ["coffee"])])
def test_who_bought_it_once_waits_half_of_everybodys_gap(
    sqlite_store: Store, at: datetime, days_ago: float, expected: list[str]
) -> None:
    numbers = people(sqlite_store, "ann bob", at)
    catalogue(sqlite_store, ["coffee"])
    sell(sqlite_store, numbers, [("ann", 100, "coffee"), ("ann", 60, "coffee"), ("bob", days_ago, "coffee")], at)

    rebuild_recommendations(sqlite_store, at, silent)

    assert expected == listed(sqlite_store, 2, "buy_again")


def test_goods_that_nobody_rebuys_are_not_offered_again_but_to_the_one_who_did(
    sqlite_store: Store, at: datetime
) -> None:
    names = [f"c{n}" for n in range(40)]
    numbers = people(sqlite_store, " ".join(names), at)
    catalogue(sqlite_store, ["sofa"])
    sell(sqlite_store, numbers, [(name, 200, "sofa") for name in names] + [("c7", 90, "sofa")], at)

    rebuild_recommendations(sqlite_store, at, silent)

    assert ["sofa"] == listed(sqlite_store, numbers["c7"], "buy_again")
    assert [] == listed(sqlite_store, numbers["c8"], "buy_again")


def test_two_orders_on_one_day_are_no_sign_that_people_rebuy(sqlite_store: Store, at: datetime) -> None:
    ann = people(sqlite_store, "ann", at)
    catalogue(sqlite_store, ["sofa"])
    sell(sqlite_store, ann, [("ann", 60, "sofa"), ("ann", 60.2, "sofa")], at)

    rebuild_recommendations(sqlite_store, at, silent)

    assert [] == listed(sqlite_store, 1, "buy_again")


def test_what_came_back_is_neither_offered_again_nor_called_new(sqlite_store: Store, at: datetime) -> None:
    numbers = people(sqlite_store, "ann bob", at)
    catalogue(sqlite_store, ["coat", "hat"])
    sales = [("ann", 60, "coat! hat"), ("ann", 90, "coat!"), ("bob", 60, "coat hat"), ("bob", 10, "coat hat")]
    sell(sqlite_store, numbers, sales, at)

    rebuild_recommendations(sqlite_store, at, silent)

    assert "coat" not in listed(sqlite_store, 1, "buy_again")
    assert [] == listed(sqlite_store, 1, "new_for_you")


def test_a_list_holds_20_products_and_three_of_a_category(sqlite_store: Store, at: datetime) -> None:
    numbers = people(sqlite_store, "ann newcomer", at)
    products = [f"p{n:02}" for n in range(30)]
    catalogue(sqlite_store, products, category=dict.fromkeys(products[:8], "tea"))
    sell(sqlite_store, numbers, [("ann", 90, " ".join(products)), ("ann", 29, " ".join(products))], at)

    rebuild_recommendations(sqlite_store, at, silent)

    assert ["p00", "p01", "p02", "p08", "p09"] == listed(sqlite_store, 2, "new_for_you")[:5]
    assert 20 == len(listed(sqlite_store, 2, "new_for_you"))
    assert 0 == len(listed(sqlite_store, 1, "buy_again"))  # 29 days is less than half of the gap of 61


def test_orders_after_the_moment_are_not_seen(sqlite_store: Store, at: datetime) -> None:
    numbers = people(sqlite_store, "ann", at)
    catalogue(sqlite_store, ["a", "b"])
    sell(sqlite_store, numbers, [("ann", 0, "a"), ("ann", -0.001, "b")], at)

    rebuild_recommendations(sqlite_store, at - timedelta(days=1), silent)
    before = listed(sqlite_store, 1, "new_for_you")
    rebuild_recommendations(sqlite_store, at + timedelta(days=9), silent)

    assert [] == before
    assert [] == listed(sqlite_store, 1, "new_for_you")


def test_only_contacts_whose_lists_differ_are_written(store: Store, at: datetime) -> None:
    numbers = people(store, "ann bob cid", at)
    catalogue(store, ["coffee", "tea", "soap"])
    sales = [("ann", 90, "coffee"), ("ann", 50, "coffee"), ("bob", 90, "tea"), ("bob", 50, "tea"), ("cid", 9, "soap")]
    sell(store, numbers, sales, at)

    first = rebuild_recommendations(store, at, silent)
    next_night = rebuild_recommendations(store, at + timedelta(days=1), silent)
    with store.write() as db:
        db.execute(sa.update(product).where(product.c.product_id == "tea").values(stock=0))
    sold_out = rebuild_recommendations(store, at + timedelta(days=1), silent)

    assert (3, 0) == (first, next_night)
    assert 1 == sold_out  # Bob: nothing speaks to the others for tea, and nobody bought it lately
    assert [] == listed(store, 2, "buy_again")


def test_erased_contacts_lose_their_lists_and_get_none_again(store: Store, at: datetime) -> None:
    numbers = people(store, "ann bob", at)
    catalogue(store, ["coffee"])
    sell(store, numbers, [("ann", 60, "coffee"), ("ann", 20, "coffee"), ("bob", 20, "coffee")], at)
    rebuild_recommendations(store, at, silent)
    with store.write() as db:
        db.execute(sa.update(contact).where(contact.c.id == 1).values(email=None, address_key=None))

    changed = rebuild_recommendations(store, at, silent)

    assert (1, []) == (changed, listed(store, 1, "buy_again"))


@pytest.mark.parametrize("products", [[], ["tea"]])
def test_an_empty_shop_gets_no_lists_and_no_fault(store: Store, at: datetime, products: list[str]) -> None:
    catalogue(store, products)
    before = rebuild_recommendations(store, at, silent)
    people(store, "ann", at)
    after = rebuild_recommendations(store, at, silent)

    assert (0, 0) == (before, after)


def test_orders_without_any_catalogue_recommend_nothing(sqlite_store: Store, at: datetime) -> None:
    numbers = people(sqlite_store, "ann bob", at)
    sell(sqlite_store, numbers, [("ann", 60, "a b"), ("ann", 20, "a b"), ("bob", 20, "a")], at)

    assert 0 == rebuild_recommendations(sqlite_store, at, silent)


def test_the_same_shop_gives_the_same_lists_in_whatever_order_it_was_written(store: Store, at: datetime) -> None:
    names, products = [f"c{n}" for n in range(9)], [f"p{n:02}" for n in range(12)]
    sales = [(names[n % 9], 5.0 + n, f"{products[n % 12]} {products[n * 5 % 12]}") for n in range(60)]
    seen = []
    for step in (1, -1):
        numbers = people(store, " ".join(names), at)
        catalogue(store, products[::step])
        sell(store, numbers, sales[::step], at)
        rebuild_recommendations(store, at, silent)
        seen.append(_everything(store))
        _clear(store)

    assert seen[0] == seen[1]
    assert set(range(1, 10)) == {row[0] for row in seen[0]}


def test_progress_ends_with_everybody_done(sqlite_store: Store, at: datetime) -> None:
    people(sqlite_store, " ".join(f"c{n}" for n in range(300)), at)
    seen: list[tuple[int, int | None]] = []

    rebuild_recommendations(sqlite_store, at, lambda done, total: seen.append((done, total)))

    assert [(256, 300), (300, 300)] == seen


def _everything(store: Store) -> list[tuple[object, ...]]:
    with store.read() as db:
        found = db.execute(sa.select(recommendation).order_by(*recommendation.primary_key.columns))
        return [(*row[:4], row.score, tuple(sorted(row.reason.items()))) for row in found]


def _clear(store: Store) -> None:
    with store.write() as db:
        for table in (recommendation, order_line, orders, product, contact):
            db.execute(sa.delete(table))

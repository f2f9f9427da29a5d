"""What was bought and done in a stretch of time."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from small_shop import SmallShop, line, moment

from engine.audience.attribution import Purchase, first_events, goals_reached, orders_until, purchases
from engine.audience.refresh import refresh
from engine.store import Store
from engine.store.tables import event, fact


@pytest.fixture
def shop(store: Store) -> SmallShop:
    shop = SmallShop(store)
    shop.product("tea", cost_cents=300)
    shop.product("mug", cost_cents=None)
    for one in (1, 2):
        shop.contact(one)
    return shop


def bought(shop: SmallShop, first: str, last: str, *contact_ids: int) -> list[Purchase]:
    return list(purchases(shop.store, contact_ids, moment(first), moment(last)))


def test_each_order_tells_revenue_and_the_cost_of_what_was_kept(shop: SmallShop) -> None:
    shop.order(1, "2026-02-10", line("tea", 500, quantity=3, returned=1), line("tea", 100, discount=40))

    expected = Purchase(contact_id=1, at=moment("2026-02-10"), revenue_cents=1060, cost_cents=900)
    assert [expected] == bought(shop, "2026-02-01", "2026-03-01", 1)


def test_the_cost_is_unknown_when_one_kept_product_has_none(shop: SmallShop) -> None:
    shop.order(1, "2026-02-10", line("tea", 500), line("mug", 500))
    shop.order(1, "2026-02-11", line("tea", 500), line("unlisted", 500))
    shop.order(1, "2026-02-12", line("tea", 500), line("mug", 500, returned=1))

    assert [None, None, 300] == [one.cost_cents for one in bought(shop, "2026-02-01", "2026-03-01", 1)]


def test_a_stretch_begins_after_its_first_moment_and_includes_its_last(shop: SmallShop) -> None:
    for day in ("2026-02-01", "2026-02-02", "2026-02-03", "2026-02-04"):
        shop.order(2, day)
    shop.order(1, "2026-02-03")

    found = bought(shop, "2026-02-01", "2026-02-03", 2, 1)

    assert [(1, 3), (2, 2), (2, 3)] == [(one.contact_id, one.at.day) for one in found]


def test_an_order_goal_is_reached_after_the_contacts_own_moment(shop: SmallShop) -> None:
    shop.order(1, "2026-02-10")
    shop.order(2, "2026-02-10")
    since = {1: moment("2026-02-10"), 2: moment("2026-02-09")}

    assert {2} == goals_reached(shop.store, "order", since, moment("2026-03-01"))
    assert set() == goals_reached(shop.store, "order", since, moment("2026-02-09 12:00"))
    assert set() == goals_reached(shop.store, "order", {}, moment("2026-03-01"))


def test_an_event_goal_asks_for_that_kind_only(shop: SmallShop) -> None:
    with shop.store.write() as db:
        for one, kind in ((1, "signup"), (2, "visit")):
            db.execute(event.insert().values(event_id=kind, contact_id=one, kind=kind, at=moment("2026-02-10")))
    since = dict.fromkeys((1, 2), moment("2026-02-01"))

    assert {1} == goals_reached(shop.store, "event:signup", since, moment("2026-03-01"))


def test_the_first_event_after_each_contacts_own_moment_is_told(shop: SmallShop) -> None:
    with shop.store.write() as db:
        for n, (one, day) in enumerate([(1, "2026-02-01"), (1, "2026-02-05"), (1, "2026-02-09"), (2, "2026-02-01")]):
            db.execute(event.insert().values(event_id=str(n), contact_id=one, kind="visit", at=moment(day)))
    since = dict.fromkeys((1, 2), moment("2026-02-01"))

    assert {1: moment("2026-02-05")} == first_events(shop.store, "visit", since)
    assert {} == first_events(shop.store, "signup", since)


def test_a_click_goal_is_not_ours_to_tell(sqlite_store: Store, at: datetime) -> None:
    with pytest.raises(ValueError, match="'click'"):
        goals_reached(sqlite_store, "click", {1: at}, at)


def test_orders_are_known_until_the_latest_or_as_the_import_said(shop: SmallShop) -> None:
    assert orders_until(shop.store) is None
    shop.order(1, "2026-02-10")
    assert moment("2026-02-10") == orders_until(shop.store)
    with shop.store.write() as db:
        db.execute(fact.insert().values(name="orders_until", value="2026-02-28T00:00:00+00:00"))
    assert moment("2026-02-28") == orders_until(shop.store)


def test_what_counts_before_a_plan_never_counts_again_after_it(shop: SmallShop, at: datetime) -> None:
    shop.order(1, at)
    refresh(shop.store, at, ZoneInfo("UTC"))

    assert [] == list(purchases(shop.store, [1], at, moment("2026-04-01")))

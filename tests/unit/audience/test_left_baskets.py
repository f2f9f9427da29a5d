"""What a mail may say of a basket that was filled and not ordered."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from small_shop import SmallShop, line

from engine.audience.people import View, candidates
from engine.audience.refresh import refresh
from engine.links import Keys
from engine.model import Picks
from engine.store import Store
from engine.store.tables import event

ZONE = ZoneInfo("UTC")
HOUR = timedelta(hours=1)
PAGE = "https://shop.test/basket/77"


@pytest.fixture
def shop(store: Store) -> SmallShop:
    shop = SmallShop(store)
    shop.contact(1)
    for name in ("tea", "mug", "pot"):
        shop.product(name)
    return shop


def tells(shop: SmallShop, at: datetime, kind: str = "basket", **properties: Any) -> None:
    with shop.store.write() as db:
        row = {"event_id": f"{kind} {at} {len(properties)}", "contact_id": 1, "kind": kind, "at": at}
        db.execute(event.insert().values(**row, properties=properties))


def picks(shop: SmallShop, at: datetime) -> Picks:
    refresh(shop.store, at, ZONE)
    view = View(zone=ZONE, currency="EUR", languages=("en",))
    return next(candidates(shop.store, [1], at, Keys(b"a secret of tests that is long enough"), view)).picks


def basket(shop: SmallShop, at: datetime) -> list[str]:
    return [card.product_id for card in picks(shop, at).basket]


def test_the_latest_basket_is_shown_with_its_page(shop: SmallShop, at: datetime) -> None:
    tells(shop, at - 3 * HOUR, product_ids=["pot"], basket_url="https://shop.test/basket/76")
    tells(shop, at - HOUR, product_ids=["mug", "tea"], basket_url=PAGE)
    tells(shop, at + HOUR, product_ids=["pot"])

    found = picks(shop, at)

    assert (["Mug", "Tea"], PAGE) == ([card.title for card in found.basket], found.basket_url)


@pytest.mark.parametrize(
    ("named", "shown"),
    [("tea; mug;tea", ["tea", "mug"]), (["mug"], ["mug"]), ("", []), (None, []), (12, []), ("nobody-knows-it", [])],
)
def test_products_are_named_by_a_list_or_a_text(shop: SmallShop, at: datetime, named: Any, shown: list[str]) -> None:
    tells(shop, at - HOUR, product_ids=named)

    assert shown == basket(shop, at)


def test_an_order_since_then_has_emptied_it(shop: SmallShop, at: datetime) -> None:
    shop.order(1, at - 2 * HOUR, line("pot", 100))
    tells(shop, at - HOUR, product_ids="tea", basket_url=PAGE)
    assert ["tea"] == basket(shop, at)

    shop.order(1, at - HOUR / 2, line("mug", 100))

    assert Picks().basket_url is picks(shop, at).basket_url
    assert [] == basket(shop, at)


def test_what_is_sold_out_is_left_out_and_what_nobody_would_recommend_is_not(shop: SmallShop, at: datetime) -> None:
    shop.product("gone", stock=0)
    shop.product("gift-card", recommendable=False)
    tells(shop, at - HOUR, product_ids="gone;gift-card")

    assert ["gift-card"] == basket(shop, at)


def test_another_kind_of_event_is_no_basket(shop: SmallShop, at: datetime) -> None:
    tells(shop, at - HOUR, kind="looked_at", product_ids="tea", basket_url=PAGE)

    assert ([], None) == (basket(shop, at), picks(shop, at).basket_url)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "/basket/77", 77, None])
def test_an_address_that_opens_no_page_is_none(shop: SmallShop, at: datetime, address: Any) -> None:
    tells(shop, at - HOUR, product_ids="tea", basket_url=address)

    assert (["tea"], None) == (basket(shop, at), picks(shop, at).basket_url)

"""Which products a candidate brings along, and whether she may be mailed."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from small_shop import SmallShop, line, moment

from engine.audience.people import View, candidates
from engine.audience.refresh import refresh
from engine.links import Keys
from engine.model import Candidate, Card, Standing
from engine.store import Store
from engine.store.tables import recommendation, suppression

ZONE = ZoneInfo("UTC")
KEYS = Keys(b"a secret of tests that is long enough")
VIEW = View(zone=ZONE, currency="EUR", languages=("en", "fi"))


@pytest.fixture
def shop(store: Store) -> SmallShop:
    shop = SmallShop(store)
    shop.contact(1, language="en")
    return shop


def recommend(shop: SmallShop, name: str, *products: str, contact_id: int = 1, **reason: object) -> None:
    with shop.store.write() as db:
        for rank, product_id in enumerate(products, start=1):
            row = {"contact_id": contact_id, "list": name, "rank": rank, "product_id": product_id}
            db.execute(recommendation.insert().values(**row, score=1.0, reason=reason or {"code": "popular"}))


def candidate(shop: SmallShop, at: datetime, contact_id: int = 1) -> Candidate:
    refresh(shop.store, at, ZONE)
    return next(candidates(shop.store, [contact_id], at, KEYS, VIEW))


def names(cards: tuple[Card, ...]) -> list[str]:
    return [card.product_id for card in cards]


def test_an_offer_shows_the_product_with_its_reason(shop: SmallShop, at: datetime) -> None:
    shop.product("tea", price_cents=450, image_url="https://shop.test/tea.png")
    recommend(shop, "new_for_you", "tea", code="because", title="Mug")

    card = candidate(shop, at).picks.new_for_you[0]

    expected = Card(
        product_id="tea",
        title="Tea",
        url="https://shop.test/tea",
        image_url="https://shop.test/tea.png",
        price=4.5,
        reason="Because you bought Mug",
    )
    assert expected == card


def test_reasons_are_worded_in_the_contacts_language_or_the_shops_first(shop: SmallShop, at: datetime) -> None:
    shop.product("tea")
    shop.contact(2, language="fi")
    shop.contact(3, language="fa")
    for one in (2, 3):
        recommend(shop, "new_for_you", "tea", contact_id=one)

    said = [candidate(shop, at, one).picks.new_for_you[0].reason for one in (2, 3)]

    assert ["Suosittu juuri nyt", "Popular right now"] == said


def test_what_cannot_be_bought_now_is_not_offered(shop: SmallShop, at: datetime) -> None:
    shop.product("sold-out", stock=0)
    shop.product("hidden", recommendable=False)
    shop.product("nowhere", url=None)
    shop.product("priceless", price_cents=None)
    shop.product("last-one", stock=1)
    recommend(shop, "new_for_you", "sold-out", "hidden", "nowhere", "priceless", "gone-from-catalogue", "last-one")

    assert ["last-one"] == names(candidate(shop, at).picks.new_for_you)


def test_a_list_has_six_at_most_and_nothing_stands_in_both(shop: SmallShop, at: datetime) -> None:
    for n in range(9):
        shop.product(f"p{n}")
    recommend(shop, "buy_again", "p1")
    recommend(shop, "new_for_you", *(f"p{n}" for n in range(9)))

    picks = candidate(shop, at).picks

    assert ["p1"] == names(picks.buy_again)
    assert ["p0", "p2", "p3", "p4", "p5", "p6"] == names(picks.new_for_you)


def test_what_was_bought_since_the_lists_were_made_is_offered_no_more(shop: SmallShop, at: datetime) -> None:
    for name in ("tea", "mug", "pot"):
        shop.product(name)
    shop.order(1, "2026-02-01", line("tea", 100), line("pot", 100))
    recommend(shop, "buy_again", "tea", "pot", code="bought_times", times=1, last="2026-02-01")
    recommend(shop, "new_for_you", "mug")
    assert (["tea", "pot"], ["mug"]) == _both(shop, at)

    shop.order(1, "2026-02-20", line("tea", 100), line("mug", 100))

    assert (["pot"], []) == _both(shop, at)


def _both(shop: SmallShop, at: datetime) -> tuple[list[str], list[str]]:
    picks = candidate(shop, at).picks
    return names(picks.buy_again), names(picks.new_for_you)


def test_last_purchases_are_the_latest_four_kept_each_once(shop: SmallShop, at: datetime) -> None:
    for name in "abcdef":
        shop.product(name, stock=0)
    shop.order(1, "2026-01-01", line("a", 100), line("b", 100))
    shop.order(1, "2026-02-01", line("c", 100), line("d", 900), line("e", 500, returned=1), line("unlisted", 950))
    shop.order(1, "2026-02-02", line("c", 100))
    shop.order(1, "2026-03-02", line("f", 100))  # after the moment

    picks = candidate(shop, at).picks

    assert ["c", "d", "a", "b"] == names(picks.last_purchases)
    assert "You bought this on February 2, 2026" == picks.last_purchases[0].reason.replace("\xa0", " ")


def test_the_favourite_product_earned_most(shop: SmallShop, at: datetime) -> None:
    shop.product("tea")
    shop.product("mug")
    shop.order(1, "2026-01-01", line("tea", 300), line("mug", 500))
    shop.order(1, "2026-01-09", line("tea", 300))

    favourite = candidate(shop, at).picks.favourite_product

    assert favourite is not None
    assert "tea" == favourite.product_id


def test_standing_tells_consent_and_suppression(shop: SmallShop, at: datetime) -> None:
    shop.contact(2, mailing_consent=True, tracking_consent=False)
    with shop.store.write() as db:
        hashed = KEYS.address_hash("p1@shop.test")
        db.execute(suppression.insert().values(address_hash=hashed, reason="complained", at=at))

    refresh(shop.store, at, ZONE)
    found = [one.standing for one in candidates(shop.store, [2, 1], at, KEYS, VIEW)]

    free = Standing(suppressed=False, mailing_consent=True, tracking_consent=False, address_key="p2@shop.test")
    barred = Standing(suppressed=True, mailing_consent=None, tracking_consent=None, address_key="p1@shop.test")
    assert [free, barred] == found


def test_a_contact_without_address_is_not_suppressed(shop: SmallShop, at: datetime) -> None:
    shop.contact(2, email=None, address_key=None, external_id="2")

    assert not candidate(shop, at, 2).standing.suppressed


def test_an_opt_out_of_today_bars_the_plan_of_a_past_moment(shop: SmallShop, at: datetime) -> None:
    with shop.store.write() as db:
        hashed = KEYS.address_hash("p1@shop.test")
        db.execute(suppression.insert().values(address_hash=hashed, reason="unsubscribed", at=at))

    assert candidate(shop, moment("2025-06-01")).standing.suppressed

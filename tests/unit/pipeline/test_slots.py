"""When is a mail best sent to somebody? By her own clicks and orders, as the database holds them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from turn_steps import TurnShop

from engine import audience
from engine.model import Profile
from engine.pipeline.slots import EVERYBODYS_HOURS, Slots, remember_everybodys_hours
from engine.store.tables import fact, hit, message, orders

HELSINKI = ZoneInfo("Europe/Helsinki")


def ordered(shop: TurnShop, contact_id: int, hour: int, times: int) -> None:
    """Orders at this hour UTC, one a day, until yesterday."""
    midnight = shop.now.replace(hour=hour)
    rows = [
        {
            "order_id": f"o{contact_id}-{hour}-{n}",
            "contact_id": contact_id,
            "ordered_at": midnight - timedelta(days=n + 1),
        }
        for n in range(times)
    ]
    with shop.store.write() as db:
        db.execute(sa.insert(orders), rows)


def clicked(shop: TurnShop, contact_id: int, hour: int, times: int, verdict: str, kind: str = "click") -> None:
    """Hits in one of her messages at this hour UTC."""
    shop.release(f"mail of {verdict} {kind} {contact_id}", [contact_id])
    with shop.store.write() as db:
        newest = sa.select(sa.func.max(message.c.id)).where(message.c.contact_id == contact_id)
        rows = [
            {
                "spool_id": f"{contact_id}-{verdict}-{kind}-{n}",
                "kind": kind,
                "message_id": db.execute(newest).scalar_one(),
                "site": 0,
                "occurrence": 0,
                "at": shop.now.replace(hour=hour) - timedelta(days=n + 1),
                "method": "GET",
                "verdict": verdict,
            }
            for n in range(times)
        ]
        db.execute(sa.insert(hit), rows)


def who(shop: TurnShop, contact_id: int) -> Profile:
    (found,) = audience.profiles(shop.store, [contact_id], shop.now, HELSINKI, "EUR")
    return found


def slot(shop: TurnShop, contact_id: int, send_at: str = "best hour", message_class: str = "marketing") -> str:
    moment = Slots(shop.open(), [contact_id], shop.now).best(who(shop, contact_id), send_at, message_class, shop.now)
    return f"{moment.astimezone(HELSINKI):%d %H:%M}"


def test_her_own_orders_and_clicks_by_hand_tell_her_best_hour(either_shop: TurnShop) -> None:
    shop = either_shop
    buyer, clicker = shop.person(country="FI"), shop.person(country="FI")
    ordered(shop, buyer, 17, 6)
    clicked(shop, clicker, 11, 6, "human")
    clicked(shop, clicker, 15, 40, "machine")
    clicked(shop, clicker, 16, 40, "human", "open")

    assert ["03 19:30", "03 13:30"] == [slot(shop, one) for one in (buyer, clicker)]


def test_only_what_she_did_until_then_counts(shop: TurnShop) -> None:
    her = shop.person(country="FI")
    ordered(shop, her, 17, 6)
    shop.now -= timedelta(days=20)

    assert "13 10:30" == slot(shop, her)  # nothing is known yet: by day


def test_everybodys_hours_are_remembered_at_night_by_each_ones_own_clock(either_shop: TurnShop) -> None:
    shop = either_shop
    finn, american = shop.person(country="FI"), shop.person(country="US", region="NY")
    ordered(shop, finn, 17, 4)
    ordered(shop, american, 0, 3)
    remember_everybodys_hours(shop.open(), shop.now)
    remember_everybodys_hours(shop.open(), shop.now)

    with shop.store.read() as db:
        counts = db.execute(sa.select(fact.c.value).where(fact.c.name == EVERYBODYS_HOURS)).scalar_one()

    assert {19: 7} == {hour: number for hour, number in enumerate(counts) if number}


def test_of_whom_nothing_is_known_everybodys_habit_is_hers(shop: TurnShop) -> None:
    for _ in range(9):
        ordered(shop, shop.person(country="FI"), 17, 9)
    remember_everybodys_hours(shop.open(), shop.now)

    assert "03 18:30" == slot(shop, shop.person(country="FI"))  # of the windows that hold 19 o'clock, the first


@pytest.mark.parametrize(
    ("send_at", "expected"),
    [
        ("now", "03 10:00"),
        ("09:00 local", "04 09:00"),
        ("11:00 local", "03 11:00"),
        ("09:50 local", "03 10:00"),  # struck a moment ago
        ("22:00 local", "04 08:00"),  # quiet
    ],
)
def test_each_form_of_send_at_gives_her_moment(shop: TurnShop, send_at: str, expected: str) -> None:
    shop.limits = '[limits.quiet]\nhours = "21:00-08:00"'

    assert expected == slot(shop, shop.person(country="FI"), send_at)


def test_what_is_owed_knows_no_quiet_hour(shop: TurnShop) -> None:
    shop.limits = '[limits.quiet]\nhours = "21:00-08:00"'

    assert "03 22:00" == slot(shop, shop.person(country="FI"), "22:00 local", "transactional")
    slots = Slots(shop.open(), [], shop.now)
    night = datetime(2026, 12, 3, 22, tzinfo=UTC)
    assert night == slots.legal(Profile(contact_id=1), "transactional", night)
    assert night + timedelta(hours=8) == slots.legal(Profile(contact_id=1), "marketing", night)


def test_room_is_told_by_what_went_out(shop: TurnShop) -> None:
    shop.limits = "[limits.class.newsletter]\nmessages_per_7_days = 1"
    her = shop.person()
    shop.release("news", [her], message_class="newsletter")
    shop.send_due()
    slots = Slots(shop.open(), [her], shop.now)

    assert shop.now + timedelta(days=7) == slots.room_from(her, "newsletter", shop.now)
    assert shop.now == slots.room_from(her, "marketing", shop.now)

"""The simulator's quick profiles against those of the audience, for every field, at any virtual moment."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import audience, pipeline
from engine.journeys.simulating.crowd import read_crowd
from engine.journeys.simulating.person import person_of
from engine.journeys.simulating.seeing import Glass
from engine.model import FIELDS
from engine.pipeline import Mailer
from engine.rules import TURNING
from engine.store import to_micros
from engine.store.tables import contact, hit, message, order_line, orders, plan, product

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAST = NOW - timedelta(days=400)
CONFIG = """
[shop]
name = "Corner Shop"
postal_address = "1 Market Street, 00100 Helsinki, Finland"
timezone = "America/New_York"
[sender]
from = "Corner Shop <hello@shop.example>"
[transport.main]
kind = "outbox"
[clock]
fixed_at = 2026-03-01T12:00:00Z
"""
_MINUTES = st.integers(0, 400 * 24 * 60)
_MAILED = st.integers(0, 400 * 24 * 60 - 120)  # a click comes an hour later
_LINES = st.lists(
    st.tuples(
        st.sampled_from([None, "tea", "cake", "cup", "gone"]), st.integers(1, 3), st.integers(0, 900), st.booleans()
    ),
    min_size=1,
    max_size=3,
)
_PAST_ORDERS = st.lists(st.tuples(_MINUTES, _LINES), max_size=7)
_PEOPLE = st.lists(
    st.tuples(_PAST_ORDERS, st.lists(_MAILED, max_size=4), st.sampled_from([None, "1990-02-28", "1988-02-29"])),
    min_size=1,
    max_size=3,
)


@pytest.fixture(scope="module")
def mailer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailer]:
    folder: Path = tmp_path_factory.mktemp("profiles") / "shop"
    folder.mkdir()
    pipeline.init(folder, CONFIG)
    opened = pipeline.open_mailer(folder)
    yield opened
    opened.store.close()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=_PEOPLE, ahead=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 80 * 24 * 60)), max_size=4))
def test_every_field_is_as_the_audience_has_it_before_and_after_simulated_orders(
    mailer: Mailer, people: list, ahead: list[tuple[int, int]]
) -> None:
    _fill(mailer, people)
    audience.refresh(mailer.store, NOW, mailer.zone)
    names = set(FIELDS) | {"attributes.shoe"}
    crowd = read_crowd(mailer, NOW, names=names, kinds=())
    glass = Glass(crowd, names)
    walkers = [person_of(crowd, place) for place in range(len(crowd.ids))]

    assert [glass.profile(one, to_micros(NOW)) for one in walkers] == _profiles(mailer, crowd.ids.tolist(), NOW)

    at = NOW
    for who, minutes in sorted(ahead, key=lambda one: one[1]):
        at = NOW + timedelta(minutes=minutes)
        if who < len(walkers) and len(crowd.orders.at):
            like = minutes % len(crowd.orders.at)
            walkers[who].buy(to_micros(at), like)
            _copy_order(mailer, walkers[who].contact_id, at, like)
    later = at + timedelta(hours=5)
    now = to_micros(later)
    # The stored yardstick stays as it is until the next night, in the simulation as in the shop.
    audience.refresh_changed(mailer.store, later, mailer.zone)
    assert [glass.profile(one, now) for one in walkers] == _profiles(mailer, crowd.ids.tolist(), later)
    for one in walkers:
        whole = glass.profile(one, now)
        assert {name: glass.read(one, now, name) for name in FIELDS} == {name: getattr(whole, name) for name in FIELDS}
        assert glass.read(one, now, "attributes.shoe") == whole.attributes.get("shoe")
    seen = audience.foreseen(mailer.store, crowd.ids.tolist(), later, mailer.zone, mailer.currency, names)
    for one, foreseen in zip(walkers, seen, strict=True):
        own = {name: glass.turns(one, now, name) for name in TURNING}
        assert {name: moment for name, moment in own.items() if moment is not None} == dict(foreseen.turns)


def _profiles(mailer: Mailer, ids: list[int], at: datetime) -> list:
    return audience.profiles(mailer.store, ids, at, mailer.zone, mailer.currency)


def _fill(mailer: Mailer, people: list) -> None:
    tables = (hit, message, plan, order_line, orders, product)
    with mailer.store.write() as db:
        for table in tables:
            db.execute(table.delete())
        db.exec_driver_sql("DELETE FROM contact_attribute")
        db.exec_driver_sql("DELETE FROM profile")
        db.exec_driver_sql("DELETE FROM fact WHERE name IN ('profiles_as_of', 'profiles_drawn_by', 'yardstick')")
        db.execute(contact.delete())
        for name, category, brand in (("tea", "Drinks", "Leaf"), ("cake", "Bakery", None), ("cup", "Drinks", "Clay")):
            db.execute(product.insert().values(product_id=name, title=name, category=category, brand=brand))
        for number, (bought, sent, born) in enumerate(people, start=1):
            _person(db, number, born)
            for minute, lines in bought:
                _order(db, number, PAST + timedelta(minutes=minute), lines)
            for minute in sent:
                _mail(db, number, PAST + timedelta(minutes=minute))


def _person(db: sa.Connection, number: int, born: str | None) -> None:
    address = f"p{number}@shop.example"
    values = {
        "id": number,
        "email": address,
        "address_key": address,
        "given_name": "Anna",
        "language": "fi",
        "tags": ["a", f"t{number}"],
        "interests": ["tea"],
        "mailing_consent": number % 2 == 0,
        "birth_date": date.fromisoformat(born) if born else None,
        "created_at": PAST,
        "changed": True,
    }
    db.execute(contact.insert().values(values))
    db.exec_driver_sql("INSERT INTO contact_attribute (contact_id, name, value) VALUES (?, 'shoe', '42')", (number,))


def _order(db: sa.Connection, whose: int, at: datetime, lines: list) -> None:
    head = orders.insert().values(order_id=uuid.uuid4().hex, contact_id=whose, ordered_at=at)
    key = db.execute(head).inserted_primary_key[0]
    for n, (what, quantity, cents, is_returned) in enumerate(lines):
        off = cents // 4
        row = {
            "order_pk": key,
            "line_no": n,
            "product_id": what,
            "quantity": float(quantity),
            "returned": float(quantity if is_returned else 0),
            "unit_price_cents": cents,
            "discount_cents": off,
            "revenue_cents": 0 if is_returned else quantity * cents - off,
        }
        db.execute(order_line.insert().values(row))


def _copy_order(mailer: Mailer, whose: int, at: datetime, like: int) -> None:
    """The real order that the simulated one is a copy of."""
    heads = sa.select(orders.c.id).order_by(orders.c.contact_id, orders.c.ordered_at, orders.c.id)
    with mailer.store.write() as db:
        keys = db.scalars(heads.where(orders.c.ordered_at <= NOW)).all()
        rows = db.execute(sa.select(order_line).where(order_line.c.order_pk == keys[like])).all()
        new = orders.insert().values(order_id=uuid.uuid4().hex, contact_id=whose, ordered_at=at)
        key = db.execute(new).inserted_primary_key[0]
        for row in rows:
            db.execute(order_line.insert().values({**row._mapping, "order_pk": key}))
        db.execute(contact.update().where(contact.c.id == whose).values(changed=True))


def _mail(db: sa.Connection, whose: int, at: datetime) -> None:
    """A mail that went out, and a click in it an hour later."""
    values = {"campaign": f"c{whose}-{at.timestamp()}", "occurrence": "once", "state": "released", "at": at}
    number = db.scalar(sa.select(sa.func.count()).select_from(message)) or 0
    of = plan.insert().values(values | {"frozen": True, "definition": {}, "summary": {}, "hash": ""})
    plan_id = db.execute(of).inserted_primary_key[0]
    one = {"campaign": f"c{number}", "occurrence": "once", "contact_id": whose, "plan_id": plan_id, "n": 0}
    one |= {"delivery_id": f"d{number}", "variant": "a", "state": "sent", "send_at": at, "sent_at": at}
    message_id = db.execute(message.insert().values(one)).inserted_primary_key[0]
    click = {"spool_id": f"s{number}", "kind": "click", "message_id": message_id, "site": 0, "occurrence": 0}
    click_at = at + timedelta(hours=1)
    db.execute(hit.insert().values(click | {"at": click_at, "method": "GET", "verdict": "human"}))


def test_the_zone_of_a_contact_is_her_own_else_the_shops(mailer: Mailer) -> None:
    _fill(mailer, [([], [], None), ([], [], None)])
    with mailer.store.write() as db:
        db.execute(contact.update().where(contact.c.id == 1).values(timezone="Asia/Tokyo"))
    crowd = read_crowd(mailer, NOW, names=(), kinds=())
    glass = Glass(crowd, ())

    found = [glass.zone(person_of(crowd, place)) for place in (0, 1)]

    assert found == [ZoneInfo("Asia/Tokyo"), ZoneInfo("America/New_York")]

"""What a refresh touches, and what it leaves right when it is stopped or not alone."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from small_shop import SmallShop, line, moment

from engine.audience.profile import Catalogue, Figures, figures
from engine.audience.refresh import _take_up, _write, refresh, refresh_changed, stored
from engine.store import Store
from engine.store.tables import contact, fact, profile

ZONE = ZoneInfo("Europe/Helsinki")


@pytest.fixture
def shop(store: Store) -> SmallShop:
    shop = SmallShop(store)
    for one in (1, 2, 3):
        shop.contact(one)
        shop.order(one, f"2026-02-0{one}")
    return shop


def orders_counts(shop: SmallShop) -> dict[int, int]:
    with shop.store.read() as db:
        return {row.contact_id: row.orders_count for row in db.execute(sa.select(profile))}


def marks(shop: SmallShop) -> int:
    """Contacts of whom anything is left to do."""
    with shop.store.read() as db:
        changed = sa.select(contact.c.id).where(contact.c.changed)
        pending = sa.select(profile.c.contact_id).where(profile.c.pending.is_not(None))
        return len(db.execute(sa.union(changed, pending)).all())


def facts(shop: SmallShop) -> dict[str, Any]:
    with shop.store.read() as db:
        return {row.name: row.value for row in db.execute(sa.select(fact))}


def in_flight(shop: SmallShop, token: str) -> dict[int, Figures]:
    """A refresh that has computed its chunk and not yet written it."""
    some = _take_up(shop.store, token, 0)
    with shop.store.read() as db:
        basis = stored(db).basis
        assert basis is not None
        return figures(db, some, basis, Catalogue())


def test_the_first_refresh_computes_everybody_and_leaves_nothing_to_do(shop: SmallShop, at: datetime) -> None:
    assert 3 == refresh(shop.store, at, ZONE)

    assert {1: 1, 2: 1, 3: 1} == orders_counts(shop)
    assert 0 == marks(shop)


def test_only_contacts_with_changed_facts_are_computed_again(shop: SmallShop, at: datetime) -> None:
    refresh(shop.store, at, ZONE)
    shop.order(2, "2026-02-10")

    assert [1, 0] == [refresh(shop.store, at, ZONE), refresh(shop.store, at, ZONE)]
    assert {1: 1, 2: 2, 3: 1} == orders_counts(shop)


def test_an_order_of_a_later_day_counts_when_its_day_has_come(shop: SmallShop, at: datetime) -> None:
    shop.order(3, "2026-03-05")

    assert 3 == refresh(shop.store, at, ZONE)
    assert 1 == orders_counts(shop)[3]
    assert 1 == refresh_changed(shop.store, moment("2026-03-05"), ZONE)
    assert 2 == orders_counts(shop)[3]


def test_a_refresh_to_an_earlier_moment_takes_later_orders_out_again(shop: SmallShop, at: datetime) -> None:
    refresh(shop.store, at, ZONE)

    assert 2 == refresh(shop.store, moment("2026-02-01 12:00"), ZONE)
    assert {1: 1, 2: 0, 3: 0} == orders_counts(shop)


def test_refresh_changed_writes_nothing_when_nothing_changed(shop: SmallShop, at: datetime) -> None:
    refresh(shop.store, at, ZONE)
    before = facts(shop)

    assert 0 == refresh_changed(shop.store, at + timedelta(days=3), ZONE)
    assert before == facts(shop)


def test_refresh_changed_leaves_the_yardstick_where_it_is(shop: SmallShop, at: datetime) -> None:
    refresh(shop.store, at, ZONE)
    before = facts(shop)["yardstick"]
    shop.order(1, "2026-02-20", line("tea", 99_000))

    assert 1 == refresh_changed(shop.store, at, ZONE)
    assert before == facts(shop)["yardstick"]
    refresh(shop.store, at, ZONE)
    assert before != facts(shop)["yardstick"]


def test_refresh_changed_draws_a_first_yardstick(shop: SmallShop, at: datetime) -> None:
    assert 3 == refresh_changed(shop.store, at, ZONE)
    assert [1, 1, 1, 1] == facts(shop)["yardstick"]["cuts"]["frequency"]


def test_refresh_changed_never_goes_back_in_time(shop: SmallShop, at: datetime) -> None:
    refresh(shop.store, at, ZONE)
    shop.order(1, "2026-02-20")

    assert 1 == refresh_changed(shop.store, moment("2026-02-01 12:00"), ZONE)
    assert {1: 2, 2: 1, 3: 1} == orders_counts(shop)
    assert at.isoformat() == facts(shop)["profiles_as_of"]


def test_another_shop_zone_moves_everybodys_purchase_days(shop: SmallShop, at: datetime) -> None:
    shop.order(1, "2026-02-01 23:30")  # in Helsinki the next day
    refresh(shop.store, at, ZONE)

    assert 3 == refresh_changed(shop.store, at, ZoneInfo("UTC"))
    with shop.store.read() as db:
        days = db.scalar(sa.select(profile.c.purchase_days).where(profile.c.contact_id == 1))
    assert 1 == days


def test_an_empty_shop_is_refreshed_in_peace(store: Store, at: datetime) -> None:
    assert [0, 0, 0] == [refresh(store, at, ZONE), refresh_changed(store, at, ZONE), refresh(store, at, ZONE)]


def test_a_refresh_stopped_between_chunks_goes_on_where_it_was(shop: SmallShop, at: datetime) -> None:
    with shop.at_once():
        for one in range(4, 304):
            shop.contact(one)

    class Stopped(Exception):
        pass

    def stop(done: int, total: int | None) -> None:
        raise Stopped(f"{done} of {total}")

    with pytest.raises(Stopped, match="250 of 303"):
        refresh(shop.store, at, ZONE, stop)

    assert 53 == refresh(shop.store, at, ZONE)
    assert 303 == len(orders_counts(shop))


def test_a_chunk_that_a_killed_refresh_had_taken_up_is_done_by_the_next(shop: SmallShop, at: datetime) -> None:
    refresh(shop.store, at, ZONE)
    shop.order(2, "2026-02-10")
    in_flight(shop, "killed")

    assert 1 == refresh_changed(shop.store, at, ZONE)
    assert 2 == orders_counts(shop)[2]


def test_facts_imported_while_a_chunk_is_computed_are_not_lost(shop: SmallShop, at: datetime) -> None:
    refresh(shop.store, at, ZONE)
    shop.order(2, "2026-02-10")
    drawn = in_flight(shop, "slow")
    shop.order(2, "2026-02-11")
    with shop.store.read() as db:
        basis = stored(db).basis
    assert basis is not None

    assert _write(shop.store, drawn, "slow", basis)
    assert 1 == refresh_changed(shop.store, at, ZONE)
    assert 3 == orders_counts(shop)[2]


def test_a_slow_refresh_never_overwrites_what_a_later_one_stored(shop: SmallShop, at: datetime) -> None:
    refresh(shop.store, at, ZONE)
    shop.order(2, "2026-02-10")
    drawn = in_flight(shop, "slow")
    shop.order(2, "2026-02-11")
    refresh(shop.store, at, ZONE)
    with shop.store.read() as db:
        basis = stored(db).basis
    assert basis is not None

    _write(shop.store, drawn, "slow", basis)

    assert 3 == orders_counts(shop)[2]
    assert 0 == marks(shop)


def test_figures_of_a_moment_that_has_passed_are_not_written(shop: SmallShop, at: datetime) -> None:
    refresh(shop.store, at, ZONE)
    shop.order(2, "2026-02-10")
    with shop.store.read() as db:
        basis = stored(db).basis
    assert basis is not None
    drawn = in_flight(shop, "slow")
    refresh(shop.store, at + timedelta(days=2), ZONE)

    assert not _write(shop.store, drawn, "slow", basis)

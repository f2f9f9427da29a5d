"""Two who tick at once, and one who is killed between any two writes: nobody is lost, nobody comes in twice."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from entrance import Entrance, by_day, by_event, by_segment, moment

from engine import audience, journeys, ledger
from engine.journeys import admitting, basing
from engine.journeys.posts import posts
from engine.store import Store
from engine.store.tables import watch

SEGMENTS = {"chosen": "'chosen' in tags or days_since_last_order > 30"}


@pytest.fixture
def shop(store: Store, tmp_path: Path) -> Entrance:
    shop = Entrance(store, tmp_path, SEGMENTS)
    for one in range(1, 8):
        shop.contact(one)
    return shop


class Slow:
    """A tick that has looked and not yet written."""

    def __init__(self, shop: Entrance, at: str) -> None:
        mailer, when = shop.mailer, moment(at)
        audience.refresh_changed(shop.store, when, mailer.zone)
        now = admitting._round(mailer, posts(mailer), ledger.roll(shop.store), when)
        assert now is not None
        self._now, self._touched = now, ledger.touched(shop.store)
        occasions = {one.contact_id: str(one.number) for one in self._touched}
        self._looks = list(admitting._looks(now, now.posts, list(occasions), occasions))

    def write(self) -> bool:
        return admitting._written(self._now, self._looks, self._touched)


def inside(shop: Entrance) -> list[int]:
    with shop.store.read() as db:
        return list(db.scalars(sa.select(watch.c.contact_id).where(watch.c.inside).order_by(watch.c.contact_id)))


def test_of_two_who_looked_at_the_same_change_one_lets_her_in(shop: Entrance) -> None:
    shop.publish(by_segment(reentry=timedelta(0)), "2026-03-01")
    shop.tag(1, "chosen")
    slow = Slow(shop, "2026-03-01 12:00")
    shop.tick("2026-03-01 12:00")
    shop.ends(1, "2026-03-01 12:00")

    assert slow.write()

    assert [1] == shop.came()
    assert [] == shop.touched()


def test_a_change_while_somebody_looks_is_looked_at_again(shop: Entrance) -> None:
    shop.publish(by_segment(), "2026-03-01")
    shop.tag(1, "other")
    slow = Slow(shop, "2026-03-01 12:00")
    shop.tag(1, "chosen")
    audience.refresh_changed(shop.store, moment("2026-03-01 12:00"), shop.mailer.zone)

    assert slow.write()
    assert [1] == shop.touched()
    shop.tick("2026-03-01 12:01")

    assert [1] == shop.came()


def test_a_look_that_is_overtaken_does_not_bring_back_what_it_saw(shop: Entrance) -> None:
    shop.publish(by_segment(), "2026-03-01")
    shop.tag(1, "chosen")
    slow = Slow(shop, "2026-03-01 12:00")
    shop.tag(1)
    shop.tick("2026-03-01 12:00")
    assert slow.write()
    seen = inside(shop)

    shop.tag(1, "chosen")
    shop.tick("2026-03-01 12:01")

    assert ([], [1]) == (seen, shop.came())


def test_a_look_whose_hour_has_come_does_not_write_over_a_newer_one(shop: Entrance) -> None:
    shop.order(1, "2026-02-01")
    shop.publish(by_segment(), "2026-03-01")
    at = moment("2026-03-04 12:00")
    now = admitting._round(shop.mailer, posts(shop.mailer), ledger.roll(shop.store), at)
    assert now is not None
    looks = list(admitting._looks(now, now.posts, [1], {1: "late"}))
    shop.order(1, "2026-03-04 11:00")
    shop.tick("2026-03-04 12:00")

    assert admitting._written(now, looks, [])

    assert ([], []) == (shop.came(), inside(shop))


def test_a_journey_that_is_published_meanwhile_loses_nobody(shop: Entrance) -> None:
    shop.publish(by_segment(), "2026-03-01")
    shop.tag(2, "other")
    slow = Slow(shop, "2026-03-01 12:00")
    shop.publish(by_segment("second", "chosen"), "2026-03-01 12:00")
    shop.tag(1, "chosen")

    assert not slow.write()
    shop.tick("2026-03-01 12:01")

    assert [1, 1] == shop.came()


def test_several_tickers_at_once_let_everybody_in_once(shop: Entrance) -> None:
    for one in range(10, 210):
        shop.contact(one)
    shop.publish(by_segment(reentry=timedelta(0)), "2026-03-01")
    for one in range(10, 210):
        shop.tag(one, "chosen")
    troubles: list[Exception] = []

    def tick() -> None:
        try:
            journeys.enter(shop.mailer, moment("2026-03-01 12:00"))
        except Exception as trouble:
            troubles.append(trouble)

    threads = [threading.Thread(target=tick) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shop.tick("2026-03-01 12:01")

    assert [] == troubles
    assert list(range(10, 210)) == shop.came()
    assert [] == shop.touched()


# ---------------------------------------------------------------- kill -9


class Killed(BaseException):
    """As much of the process's work as was committed is there, and nothing else."""


@contextmanager
def killed_before(store: Store, commit: int) -> Iterator[None]:
    """The process ends before its n-th commit of a write."""
    left = [commit]

    def ends(connection: sa.Connection) -> None:
        if not store.is_sqlite and not connection.exec_driver_sql("SELECT pg_current_xact_id_if_assigned()").scalar():
            return  # a read
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    sa.event.listen(store._writer, "commit", ends)
    try:
        yield
    finally:
        sa.event.remove(store._writer, "commit", ends)


def test_whoever_is_killed_between_any_two_writes_loses_and_doubles_nobody(
    shop: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(basing, "_CONTACTS_A_CHUNK", 3)
    monkeypatch.setattr(admitting, "_AT_ONCE", 2)
    shop.order(1, "2026-02-01")
    shop.tag(2, "chosen")
    shop.publish_unseen(by_segment(existing=True, reentry=timedelta(0)), "2026-03-01")
    at, kills = "2026-03-03 12:00", 0
    for number in range(60):  # a dozen of writes, killed before the first, the second ...; each round goes on
        if number == 20:
            shop.tag(3, "chosen")
            shop.tag(4, "other")
            at = "2026-03-04 12:00"
        with suppress(Killed), killed_before(shop.store, 1 + number % 5):
            shop.tick(at)
            continue
        kills += 1
    shop.tick(at)

    assert kills > 10
    assert [1, 2, 3] == shop.came()
    assert ["existing/1"] == shop.causes()[:1]
    assert ([1, 2, 3], []) == (inside(shop), shop.touched())


@pytest.mark.parametrize("commit", range(1, 6))
def test_an_event_and_a_day_survive_a_kill_before_any_commit(shop: Entrance, commit: int) -> None:
    shop.contact(9, birth_date=date(1990, 3, 4))
    shop.publish(by_day(), "2026-03-01")
    shop.publish(replace(by_event(), name="carts"), "2026-03-01")
    shop.event(1, "2026-03-04 11:00")
    with suppress(Killed), killed_before(shop.store, commit):
        shop.tick("2026-03-04 12:00")

    shop.tick("2026-03-04 12:01")

    assert [1, 9] == shop.came()

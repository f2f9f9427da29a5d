"""Who comes into a running journey, and who doesn't: on both databases, tick by tick."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from entrance import Entrance, by_event, by_order, by_segment, moment

from engine import audience, ledger
from engine.errors import UnknownSegment
from engine.model import CampaignState
from engine.store import Store, open_store, upgrade
from engine.store.tables import contact, orders

CHOSEN = {"chosen": "'chosen' in tags"}


@pytest.fixture
def shop(store: Store, tmp_path: Path) -> Entrance:
    """Three people of long ago."""
    shop = Entrance(store, tmp_path, CHOSEN)
    for one in (1, 2, 3):
        shop.contact(one)
    return shop


# ---------------------------------------------------------------- segments


def test_whoever_comes_to_match_the_segment_comes_in_once(shop: Entrance) -> None:
    shop.publish(by_segment(), "2026-03-01")
    shop.tag(2, "chosen")

    shop.tick("2026-03-01 12:00")
    shop.tag(2, "chosen", "again")
    shop.tick("2026-03-01 13:00")

    assert [2] == shop.came()
    assert [] == shop.touched()


def test_whoever_was_in_the_segment_already_does_not_come_in(shop: Entrance) -> None:
    shop.tag(1, "chosen")
    shop.publish(by_segment(), "2026-03-01")
    shop.tag(1, "chosen", "more")

    shop.tick("2026-03-01 12:00")

    assert [] == shop.came()


def test_whoever_was_in_it_comes_in_when_the_file_says_existing(shop: Entrance) -> None:
    shop.tag(1, "chosen")
    shop.publish(by_segment(existing=True), "2026-03-01")
    shop.tick("2026-03-01 12:00")

    assert [1] == shop.came()
    assert ["existing/1"] == shop.causes()


def test_a_new_contact_was_not_inside_before(shop: Entrance) -> None:
    shop.publish(by_segment(), "2026-03-01")
    shop.contact(9, created="2026-03-01 10:00", tags=["chosen"])

    shop.tick("2026-03-01 12:00")

    assert [9] == shop.came()


def test_a_new_contact_comes_in_though_the_base_was_not_looked_at_yet(shop: Entrance) -> None:
    shop.tag(1, "chosen")
    shop.publish_unseen(by_segment(), "2026-03-01")
    shop.contact(9, created="2026-03-01 10:00", tags=["chosen"])

    shop.tick("2026-03-01 12:00")

    assert [9] == shop.came()


def test_whoever_left_the_segment_comes_in_again_when_she_may(shop: Entrance) -> None:
    shop.tag(1, "chosen")
    shop.publish(by_segment(reentry=timedelta(days=1)), "2026-03-01")
    shop.tag(1)
    shop.tick("2026-03-02")
    shop.tag(1, "chosen")
    shop.tick("2026-03-03")
    shop.ends(1, "2026-03-03")
    shop.tag(1)
    shop.tick("2026-03-04")
    shop.tag(1, "chosen")
    shop.tick("2026-03-05")

    assert [1, 1] == shop.came()


def test_whom_the_journey_leaves_out_does_not_come_in_until_that_is_over(shop: Entrance) -> None:
    shop.publish(by_segment(exclude="'staff' in tags"), "2026-03-01")
    shop.tag(1, "chosen", "staff")
    shop.tick("2026-03-02")
    before = shop.came()

    shop.tag(1, "chosen")
    shop.tick("2026-03-03")

    assert ([], [1]) == (before, shop.came())


def test_time_alone_brings_somebody_in_at_the_hour_it_does(store: Store, tmp_path: Path) -> None:
    shop = Entrance(store, tmp_path, {"chosen": "orders_count >= 1 and days_since_last_order > 30"})
    shop.contact(1)
    shop.order(1, "2026-02-10 08:30")
    shop.publish(by_segment(), "2026-03-01")

    due = shop.look_at(1)
    shop.tick("2026-03-13 08:29")
    before = shop.came()
    shop.tick("2026-03-13 08:30")

    assert moment("2026-03-13 08:30") == due
    assert ([], [1]) == (before, shop.came())


def test_an_order_puts_off_the_hour_at_which_time_brings_her_in(store: Store, tmp_path: Path) -> None:
    shop = Entrance(store, tmp_path, {"chosen": "days_since_last_order > 30"})
    shop.contact(1)
    shop.order(1, "2026-02-10 08:30")
    shop.publish(by_segment(), "2026-03-01")
    shop.order(1, "2026-03-05 10:00")

    shop.tick("2026-03-05 10:00")
    shop.tick("2026-03-14")

    assert [] == shop.came()
    assert moment("2026-04-05 10:00") == shop.look_at(1)


def test_a_clock_set_back_lets_nobody_in_twice(store: Store, tmp_path: Path) -> None:
    shop = Entrance(store, tmp_path, {"chosen": "days_since_last_order > 30"})
    shop.contact(1)
    shop.order(1, "2026-02-10 08:30")
    shop.publish(by_segment(reentry=timedelta(0)), "2026-03-01")
    shop.tick("2026-03-13 09:00")
    shop.ends(1, "2026-03-13 09:00")

    shop.change(1, city="Turku")
    shop.tick("2026-03-13 08:00")
    shop.tick("2026-03-13 09:30")

    assert [1] == shop.came()


def test_a_clock_that_was_days_ahead_holds_nothing_up(shop: Entrance) -> None:
    shop.publish(by_segment(), "2026-03-01")
    shop.tag(1, "chosen")
    shop.tick("2027-03-01")
    shop.tag(2, "chosen")
    shop.tick("2026-03-02")

    with shop.store.read() as db:
        entered = [row[0] for row in db.exec_driver_sql("SELECT entered_at FROM enrolment ORDER BY contact_id")]
    assert [365 * 86400 * 10**6, 86400 * 10**6] == [
        one - int(moment("2026-03-01").timestamp() * 10**6) for one in entered
    ]


def test_an_edited_segment_is_looked_at_anew_and_starts_no_flood(shop: Entrance) -> None:
    shop.tag(1, "other")
    shop.publish(by_segment(), "2026-03-01")
    shop.write_segments({"chosen": "'chosen' in tags or 'other' in tags"})
    shop.change(1, city="Turku")
    shop.tick("2026-03-02")
    before = shop.came()

    shop.tag(2, "other")
    shop.tick("2026-03-03")

    assert ([], [2]) == (before, shop.came())


def test_a_segment_that_is_gone_loses_nobody(shop: Entrance) -> None:
    shop.publish(by_segment(), "2026-03-01")
    shop.tag(1, "chosen")
    shop.write_segments({"other": "'other' in tags"})
    with pytest.raises(UnknownSegment, match="chosen"):
        shop.tick("2026-03-02")

    shop.write_segments(CHOSEN)
    shop.tick("2026-03-03")

    assert [1] == shop.came()


def test_consent_given_brings_somebody_in(store: Store, tmp_path: Path) -> None:
    shop = Entrance(store, tmp_path, {"chosen": "mailing_consent"})
    shop.contact(1)
    shop.publish(by_segment(), "2026-03-01")

    audience.set_consent(store, 1, "mailing", True, moment("2026-03-01 11:00"), "a form")
    shop.tick("2026-03-01 12:00")

    assert [1] == shop.came()


def test_a_birthday_moves_an_age_into_the_segment_at_the_shops_midnight(store: Store, tmp_path: Path) -> None:
    shop = Entrance(store, tmp_path, {"chosen": "age >= 18"}, zone="America/New_York")
    shop.contact(1, birth_date=date(2008, 3, 8))
    shop.publish(by_segment(), "2026-03-01")

    shop.tick("2026-03-08 04:59")
    before = shop.came()
    shop.tick("2026-03-08 05:00")

    assert ([], [1]) == (before, shop.came())


def test_a_new_yardstick_brings_in_whom_it_moves(store: Store, tmp_path: Path) -> None:
    shop = Entrance(store, tmp_path, {"chosen": "monetary_score >= 1 and frequency_score >= 2"})
    for one in (1, 2, 3, 4):
        shop.contact(one)
        shop.order(one, "2026-02-01")
    shop.publish(by_segment(), "2026-03-01")
    for _ in range(2):  # the cut points don't move with an order, so nobody's score is 2 yet but hers
        shop.order(1, "2026-02-02")
    shop.tick("2026-03-01 12:00")
    by_order = shop.came()

    with store.write() as db:  # somebody's orders, in the shop's books under another name
        db.exec_driver_sql("UPDATE orders SET contact_id = 2 WHERE contact_id = 1 AND order_id <> 'o1'")
        db.exec_driver_sql("UPDATE contact SET changed = true WHERE id IN (1, 2)")
    audience.refresh(store, moment("2026-03-02 03:30"), shop.mailer.zone)
    shop.tick("2026-03-02 03:31")

    assert ([1], [1, 2]) == (by_order, shop.came())


# ---------------------------------------------------------------- events and orders


def test_an_event_brings_her_in_and_is_its_cause(shop: Entrance) -> None:
    shop.publish(by_event(), "2026-03-01")
    shop.event(1, "2026-03-01 10:00")
    shop.event(2, "2026-03-01 10:00", kind="other")

    shop.tick("2026-03-01 12:00")

    assert ([1], ["event/e1"]) == (shop.came(), shop.causes())


def test_each_event_is_looked_at_once(shop: Entrance) -> None:
    shop.publish(by_event(where="'chosen' in tags", reentry=timedelta(0)), "2026-03-01")
    shop.event(1, "2026-03-01 10:00")
    shop.tick("2026-03-01 12:00")

    shop.tag(1, "chosen")
    shop.tick("2026-03-01 13:00")
    before = shop.came()
    shop.event(1, "2026-03-01 14:00")
    shop.tick("2026-03-01 15:00")

    assert ([], [1]) == (before, shop.came())


def test_what_happened_before_the_publishing_brings_nobody_in(shop: Entrance) -> None:
    shop.publish(by_event(), "2026-03-01")
    shop.event(1, "2026-02-28 23:59")

    shop.tick("2026-03-01 12:00")

    assert ([], []) == (shop.came(), shop.lost())


def test_what_comes_to_light_too_late_is_missed_and_told(shop: Entrance) -> None:
    shop.publish(by_event(max_lateness=timedelta(days=2)), "2026-03-01")
    shop.event(1, "2026-03-03 11:59")
    shop.event(2, "2026-03-03 12:00")

    shop.tick("2026-03-05 12:00")

    assert ([2], ["event/e1/1"]) == (shop.came(), shop.lost())


def test_three_days_late_is_early_enough_where_the_file_says_nothing(shop: Entrance) -> None:
    shop.publish(by_event(), "2026-03-01")
    shop.event(1, "2026-03-02 12:00")
    shop.event(2, "2026-03-02 11:59")

    shop.tick("2026-03-05 12:00")

    assert ([1], ["event/e2/2"]) == (shop.came(), shop.lost())


def test_an_event_that_lies_ahead_brings_her_in_at_its_hour(shop: Entrance) -> None:
    shop.publish(by_event(), "2026-03-01")
    shop.event(1, "2026-03-01 12:05")
    shop.tick("2026-03-01 12:00")
    before = shop.came()

    shop.tick("2026-03-01 12:05")

    assert ([], [1]) == (before, shop.came())


def test_an_order_brings_her_in_where_the_rule_holds_as_it_comes(shop: Entrance) -> None:
    shop.publish(by_order(where="orders_count == 1"), "2026-03-01")
    shop.order(1, "2026-02-01")
    for one in (1, 2):
        shop.order(one, "2026-03-01 10:00")

    shop.tick("2026-03-01 12:00")

    assert ([2], ["order/o3"]) == (shop.came(), shop.causes())


# ---------------------------------------------------------------- states of journeys


def test_a_pause_lets_people_in_all_the_same(shop: Entrance) -> None:
    shop.publish(by_segment(), "2026-03-01")
    ledger.set_journey_state(shop.store, "story", CampaignState.PAUSED, "paused by hand", moment("2026-03-01 10:00"))
    shop.tag(1, "chosen")

    shop.tick("2026-03-01 12:00")

    assert [1] == shop.came()


def test_an_ended_journey_lets_nobody_in(shop: Entrance) -> None:
    shop.publish(by_segment(), "2026-03-01")
    ledger.set_journey_state(shop.store, "story", CampaignState.ENDED, "", moment("2026-03-01 10:00"))
    shop.tag(1, "chosen")

    shop.tick("2026-03-01 12:00")

    assert ([], []) == (shop.came(), shop.touched())


def test_where_no_journey_was_ever_published_nobody_is_touched(shop: Entrance) -> None:
    audience.refresh_changed(shop.store, moment("2026-03-01"), shop.mailer.zone)
    audience.set_consent(shop.store, 1, "mailing", True, moment("2026-03-01"), "a form")

    assert [] == shop.touched()


def test_another_start_forgets_what_was_seen_by_the_old_one(shop: Entrance) -> None:
    shop.publish(by_event(), "2026-03-01")
    shop.event(1, "2026-03-01 10:00", kind="other")
    shop.tick("2026-03-01 12:00")
    shop.publish(by_event(kind="other"), "2026-03-02")
    shop.event(2, "2026-03-02 10:00", kind="other")

    shop.tick("2026-03-02 12:00")

    assert [2] == shop.came()


def test_an_erased_contact_comes_in_nowhere(shop: Entrance) -> None:
    shop.publish(by_segment(), "2026-03-01")
    shop.tag(1, "chosen")
    audience.erase(shop.store, shop.mailer.keys, 1, moment("2026-03-01 11:00"), shop.folder)
    shop.change(1)

    shop.tick("2026-03-01 12:00")

    assert [] == shop.came()


def test_the_held_out_come_in_and_are_marked(shop: Entrance) -> None:
    shop.publish(by_segment(holdout=0.999999), "2026-03-01")
    shop.tag(1, "chosen")

    shop.tick("2026-03-01 12:00")

    with shop.store.read() as db:
        assert [(1, True)] == [tuple(row) for row in db.exec_driver_sql("SELECT contact_id, held_out FROM enrolment")]


# ---------------------------------------------------------------- what it costs


def work(shop: Entrance, at: str) -> list[int]:
    """What a tick costs SQLite: statements, and steps of its machine, which grow with every row that is looked at."""
    done = [0, 0]

    def prepare(connection: Any, cursor: Any, statement: str, *_rest: object) -> None:
        done[0] += 1
        connection.connection.dbapi_connection.set_progress_handler(step, 100)

    def step() -> int:
        done[1] += 1
        return 0

    engines = (shop.store._reader, shop.store._writer)
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", prepare)
    shop.tick(at)
    for engine in engines:
        sa.event.remove(engine, "before_cursor_execute", prepare)
    return done


def test_a_tick_costs_what_changed_and_not_the_size_of_the_base(tmp_path: Path) -> None:
    costs = {}
    for base in (200, 6000):
        folder = tmp_path / str(base)
        folder.mkdir()
        url = f"sqlite:///{folder / 'mailer.db'}"
        upgrade(url)
        store = open_store(url)
        shop = Entrance(store, folder, {"chosen": "'chosen' in tags", "late": "days_since_last_order > 30"})
        with store.write() as db:
            rows = [
                {"id": n, "email": f"p{n}@x.example", "created_at": moment("2025-01-01")} for n in range(1, base + 1)
            ]
            db.execute(contact.insert(), rows)
            bought = [
                {"order_id": f"a{n}", "contact_id": n, "ordered_at": moment("2026-02-20")} for n in range(1, base)
            ]
            db.execute(orders.insert(), bought)
        audience.refresh(store, moment("2026-03-01"), shop.mailer.zone)
        for name, segment in (("story", "chosen"), ("other", "late")):
            shop.publish(by_segment(name, segment), "2026-03-01")
        for one in range(1, 101):
            shop.tag(one, "chosen")
        costs[base] = work(shop, "2026-03-01 12:00")
        assert list(range(1, 101)) == shop.came()
        store.close()

    small, large = costs.values()
    assert small[0] == large[0]
    assert 0 < large[1] < 1.1 * small[1], costs

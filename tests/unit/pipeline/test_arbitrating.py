"""Who gets which message when: caps, priorities, expiry and quiet hours at the claim, on a virtual clock."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from turn_steps import TurnShop

from engine import ledger
from engine.model import CampaignState, MessageState, Outcome
from engine.pipeline.arbitrating import Arbiter
from engine.pipeline.explaining import plan_rows, why
from engine.pipeline.pacing import held_up
from engine.store.tables import attempt, message

ONE_A_DAY = "[limits]\nmessages_per_day = 1"
NIGHT = '[limits.quiet]\nhours = "21:00-08:00"'
REFUSED = Outcome(state=MessageState.REFUSED, reason="unknown_address", reply="550 who?", stage="RCPT")
DEFERRED = Outcome(state=MessageState.DEFERRED, reason="throttled", reply="451 later", stage="RCPT")


def test_a_second_message_waits_until_a_day_after_the_first_went_out(either_shop: TurnShop) -> None:
    shop = either_shop
    shop.limits = ONE_A_DAY
    her = shop.person()
    shop.release("spring", [her])
    shop.release("summer", [her], send_at=shop.now + timedelta(hours=2))

    shop.run_through(shop.now + timedelta(days=9))

    assert {"spring": "12-03 08:00", "summer": "12-04 08:00"} == shop.sent()


@pytest.mark.parametrize(
    ("limits", "days"),
    [
        ("[limits]\nmessages_per_day = 1", [0, 1, 2]),
        ("[limits]\nmessages_per_7_days = 1", [0, 7, 14]),
        ("[limits]\nmessages_per_30_days = 1", [0, 30, 60]),
        ("[limits]\nmessages_per_day = 2\nmessages_per_7_days = 2", [0, 0, 7]),
        ("[limits.class.marketing]\nmessages_per_day = 1", [0, 1, 2]),
        ("[limits.class.marketing]\nmessages_per_7_days = 1", [0, 7, 14]),
        ("[limits.class.marketing]\nmessages_per_30_days = 1", [0, 30, 60]),
        ("[limits.class.newsletter]\nmessages_per_day = 1", [0, 0, 0]),
        ("[limits]\nmessages_per_day = 0", [0, 0, 0]),
    ],
)
def test_every_cap_is_obeyed(shop: TurnShop, limits: str, days: list[int]) -> None:
    shop.limits = limits
    her, start = shop.person(), shop.now
    for name in ("a", "b", "c"):
        shop.release(name, [her], window=timedelta(days=90).total_seconds())

    shop.run_through(start + timedelta(days=99))

    assert days == [(at - start).days for _, _, at in shop.outcomes().values() if at is not None]


def test_a_class_is_capped_beside_all_classes_together(shop: TurnShop) -> None:
    shop.limits = "[limits]\nmessages_per_day = 2\n[limits.class.newsletter]\nmessages_per_7_days = 1"
    her = shop.person()
    shop.release("news 1", [her], message_class="newsletter")
    shop.release("news 2", [her], message_class="newsletter")
    shop.release("offer 1", [her])
    shop.release("offer 2", [her])

    shop.run_through(shop.now + timedelta(days=12))

    expected = {"news 1": "12-03 08:00", "offer 1": "12-03 08:00", "offer 2": "12-04 08:00", "news 2": "12-10 08:00"}
    assert expected == shop.sent()


def test_transactional_messages_never_wait_and_are_not_counted(shop: TurnShop) -> None:
    shop.limits = f"{ONE_A_DAY}\n{NIGHT}"
    her = shop.person()
    shop.release("receipt 1", [her], message_class="transactional")
    shop.release("offer", [her])
    shop.release("receipt 2", [her], message_class="transactional")
    shop.release("receipt 3", [her], message_class="transactional", send_at=shop.now + timedelta(hours=14))

    shop.run_through(shop.now + timedelta(days=2))

    now = "12-03 08:00"
    assert {"offer": now, "receipt 1": now, "receipt 2": now, "receipt 3": "12-03 22:00"} == shop.sent()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"priority": 1}, {"priority": 2}),
        ({}, {"expires": "2026-12-05T00:00:00+00:00"}),
        ({"window": 9e5}, {"window": 8e5}),
    ],
)
def test_the_best_message_goes_first_whoever_was_claimed_first(
    shop: TurnShop, first: dict[str, Any], second: dict[str, Any]
) -> None:
    shop.limits = ONE_A_DAY
    her = shop.person()
    plan_id = shop.release("worse", [her], **first)
    shop.release("better", [her], **second)

    claim = shop.claim(plan_id)
    assert claim is not None
    assert shop.let_go(claim) is None
    shop.run_through(shop.now + timedelta(days=3))

    assert {"better": "12-03 08:00", "worse": "12-04 08:00"} == shop.sent()


def test_who_comes_up_within_a_quarter_of_an_hour_is_a_rival_already(shop: TurnShop) -> None:
    shop.limits = ONE_A_DAY
    her = shop.person()
    shop.release("offer", [her])
    shop.release("better", [her], priority=5, send_at=shop.now + timedelta(minutes=12))

    shop.run_through(shop.now + timedelta(days=3))

    assert {"better": "12-03 08:12", "offer": "12-04 08:15"} == shop.sent()


def test_nobody_yields_to_a_message_that_is_paused(shop: TurnShop) -> None:
    shop.limits = ONE_A_DAY
    her = shop.person()
    shop.release("offer", [her])
    shop.release("better", [her], priority=5)
    ledger.set_state(shop.store, "better", CampaignState.PAUSED, "by hand", shop.now)

    shop.send_due()

    assert {"offer": "12-03 08:00"} == shop.sent()


def test_who_would_expire_takes_the_room_that_a_better_message_does_not_use(shop: TurnShop) -> None:
    shop.limits = ONE_A_DAY
    her = shop.person()
    plan_id = shop.release("offer", [her], expires=(shop.now + timedelta(minutes=25)).isoformat())
    shop.release("better", [her], priority=5)

    for _ in range(3):  # the better one's transport is down: it is never claimed
        claim = shop.claim(plan_id)
        assert claim is not None
        allowed = shop.let_go(claim)
        if allowed is not None:
            shop.hand_over(allowed)
        shop.now += timedelta(minutes=10)

    assert {"offer": "12-03 08:20"} == shop.sent()


@pytest.mark.parametrize(
    "said",
    [
        {"expires": "2026-12-04T08:00:00+00:00"},
        {"window": timedelta(days=1).total_seconds()},
        {"max_lateness": timedelta(hours=5).total_seconds()},
        {"good_for": timedelta(hours=5).total_seconds()},
    ],
)
def test_a_message_without_room_before_its_end_is_skipped_and_says_who_was_better(
    shop: TurnShop, said: dict[str, Any]
) -> None:
    shop.limits = ONE_A_DAY
    her = shop.person()
    shop.release("spring", [her])
    shop.send_due()

    shop.release("summer", [her], **said)
    shop.send_due()

    assert ("skipped", "capped", None) == shop.outcomes()["summer"]
    with shop.store.read() as db:
        reply = db.execute(sa.select(attempt.c.reply).where(attempt.c.reason == "capped")).scalar_one()
    assert (
        "[limits] messages_per_day = 1; she got spring (2026-12-03 08:00 UTC), "
        "and it expires before there is room again" == reply
    )


@pytest.mark.parametrize("outcome", [REFUSED, DEFERRED])
def test_a_message_that_certainly_did_not_go_out_gives_its_turn_back(shop: TurnShop, outcome: Outcome) -> None:
    shop.limits = ONE_A_DAY
    her = shop.person()
    shop.release("spring", [her])
    shop.send_due(outcome)

    shop.release("summer", [her])
    shop.send_due()

    assert {"summer": "12-03 08:00"} == shop.sent()


def test_one_that_may_have_gone_out_keeps_its_turn(shop: TurnShop) -> None:
    shop.limits = ONE_A_DAY
    her = shop.person()
    shop.release("spring", [her])
    shop.send_due(Outcome(state=MessageState.UNCERTAIN, reason="reply_lost", stage="."))

    shop.release("summer", [her])
    shop.run_through(shop.now + timedelta(days=2))

    assert {"summer": "12-04 08:00"} == shop.sent()


def test_a_message_handed_back_before_it_went_out_gives_its_turn_back(shop: TurnShop) -> None:
    shop.limits = ONE_A_DAY
    her = shop.person()
    plan_id = shop.release("spring", [her])
    claim = shop.claim(plan_id)
    assert claim is not None
    allowed = shop.let_go(claim)
    assert allowed is not None
    assert ledger.hand_back(shop.store, allowed, 0, [], shop.now, not_before=shop.now + timedelta(days=5))

    shop.release("summer", [her])
    shop.send_due()

    assert {"summer": "12-03 08:00"} == shop.sent()


def test_a_message_on_its_way_at_another_sender_counts(either_shop: TurnShop) -> None:
    shop = either_shop
    shop.limits = ONE_A_DAY
    her = shop.person()
    first, second = shop.release("spring", [her]), shop.release("summer", [her])
    going = shop.claim(first, "another")
    assert going is not None
    assert shop.let_go(going) is not None

    claim = shop.claim(second)
    assert claim is not None
    assert shop.let_go(claim) is None

    assert shop.now + timedelta(minutes=10) == shop.next_hour()


def test_what_falls_due_at_night_waits_for_the_morning_of_each_contact(shop: TurnShop) -> None:
    shop.limits = NIGHT
    finn, american = shop.person(country="FI"), shop.person(country="US", region="NY")
    shop.now += timedelta(hours=15)  # 1 o'clock in Helsinki, 18 o'clock in New York: somebody resumed a campaign
    shop.release("spring", [finn, american])

    shop.run_through(shop.now + timedelta(days=1))

    with shop.store.read() as db:
        sent = {one: at for one, at in db.execute(sa.select(message.c.contact_id, message.c.sent_at))}  # noqa: C416
    assert {american: "12-03 23:00", finn: "12-04 06:00"} == {one: f"{at:%m-%d %H:%M}" for one, at in sent.items()}


def test_who_waits_for_room_at_night_waits_for_the_morning_too(shop: TurnShop) -> None:
    shop.limits = f"{ONE_A_DAY}\n{NIGHT}"
    her = shop.person(country="FI")
    shop.now += timedelta(hours=10, minutes=30)  # 20:30 in Helsinki
    shop.release("spring", [her])
    shop.send_due()
    shop.now += timedelta(minutes=40)
    shop.release("summer", [her])

    shop.run_through(shop.now + timedelta(days=3))

    # 20:30 the next day would be the first room; nobody is woken.
    assert {"spring": "12-03 18:30", "summer": "12-04 18:30"} == shop.sent()


def test_what_is_over_before_the_morning_is_skipped_as_expired(shop: TurnShop) -> None:
    shop.limits = NIGHT
    shop.now += timedelta(hours=15)
    shop.release("spring", [shop.person(country="FI")], expires="2026-12-04T05:00:00+00:00")

    shop.send_due()

    assert ("skipped", "expired", None) == shop.outcomes()["spring"]


def test_people_of_one_batch_are_let_go_each_by_herself(either_shop: TurnShop) -> None:
    shop = either_shop
    shop.limits = ONE_A_DAY
    people = [shop.person() for _ in range(60)]
    shop.release("spring", people[::2])
    shop.send_due()

    shop.release("summer", people)
    shop.send_due()

    with shop.store.read() as db:
        went = db.scalars(
            sa.select(message.c.contact_id).where(message.c.campaign == "summer", message.c.state == "sent")
        )
        assert people[1::2] == sorted(went)


@pytest.mark.parametrize("limits", ["", "[limits.class.newsletter]\nmessages_per_day = 1"])
def test_where_nothing_limits_a_class_the_database_is_not_asked(shop: TurnShop, limits: str) -> None:
    shop.limits = limits
    plan = ledger.plan_of(shop.store, shop.release("spring", [shop.person()]))
    claim = shop.claim()
    assert claim is not None
    arbiter = Arbiter(replace(shop.open(), store=None))  # type: ignore[arg-type]

    assert claim is arbiter.let_go(claim, plan)


def test_status_tells_what_waits_for_whose_turn(shop: TurnShop) -> None:
    shop.limits = f"{ONE_A_DAY}\n{NIGHT}"
    her = shop.person(country="FI")
    shop.release("spring", [her])
    shop.send_due()
    shop.release("summer", [her])
    shop.send_due()
    shop.now += timedelta(hours=15)
    plan_id = shop.release("autumn", [shop.person(country="FI")])
    shop.send_due()

    assert {
        "1 message waits: they got as much as the caps allow, until 2026-12-04 10:00",
        "1 message waits: it is a quiet hour where they live, until 2026-12-04 08:00",
    } == set(held_up(shop.open()))
    assert ["quiet"] == [one.waits_for for one in ledger.postponed_in(shop.store, plan_id).values()]


def test_why_tells_until_when_she_waits_and_who_was_better(shop: TurnShop) -> None:
    shop.limits = ONE_A_DAY
    her = shop.person(email="ann@shop.test", address_key="ann@shop.test")
    shop.release("spring", [her])
    shop.send_due()
    shop.release("summer", [her])
    shop.release("autumn", [her], max_lateness=3600.0)
    shop.send_due()

    waits, over = (why(shop.open(), "ann@shop.test", name, shop.now) for name in ("summer", "autumn"))

    reason = "she got as many mails as the caps allow"
    assert f"Her message of summer (a) is planned and waits until 2026-12-04 08:00 UTC: {reason}." == waits["answer"]
    assert {"what": "waits until", "value": f"2026-12-04 08:00 UTC: {reason}"} in waits["steps"]
    assert ("skipped", "capped") == (over["state"], over["reason"])
    assert "she got spring (2026-12-03 08:00 UTC)" in " ".join(step["value"] for step in over["steps"])


def test_a_plan_shows_who_waits_for_her_turn(shop: TurnShop) -> None:
    shop.limits = ONE_A_DAY
    her, other = shop.person(), shop.person()
    shop.release("spring", [her])
    shop.send_due()
    plan_id = shop.release("summer", [her, other])
    shop.send_due()

    rows = [(row["waits_for"], row["waits_until"]) for row in plan_rows(shop.open(), plan_id)]

    assert [("capped", shop.now + timedelta(days=1)), ("", None)] == rows

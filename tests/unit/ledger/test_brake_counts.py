"""What the brake counts: a plan's answers and what came back of it, anew from the moment somebody lets it go on."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from ledger_steps import DEFERRED, KEYS, REFUSED, SENT, UNCERTAIN, drafted, entry, people, released, send_all

from engine import ledger
from engine.ledger import BrakeCounts, Item
from engine.model import CampaignState, Outcome
from engine.store import Store
from engine.store.tables import event, message

BLOCKED = Outcome(state=REFUSED.state, reason="blocked", reply="554 5.7.1 policy", stage="rcpt")


def content(reply: str) -> Outcome:
    return Outcome(state=REFUSED.state, reason="content", reply=reply, stage=".")


def by_place(*outcomes: Outcome) -> Callable[[Item], Outcome]:
    return lambda item: outcomes[item.n]


def ids(store: Store) -> list[str]:
    with store.read() as db:
        return list(db.scalars(sa.select(message.c.delivery_id).order_by(message.c.n)))


def contact_of(store: Store, delivery_id: str) -> int:
    found = ledger.message_by_delivery(store, delivery_id)
    assert found is not None
    return found.contact_id


def test_answers_are_counted_by_what_they_say(store: Store, at: datetime) -> None:
    plan_id = released(store, 8, at)
    put_off = replace(BLOCKED, state=DEFERRED.state)
    doubtful = replace(REFUSED, reason="doubtful_address")
    send_all(store, at, by_place(SENT, SENT, REFUSED, doubtful, BLOCKED, put_off, DEFERRED, UNCERTAIN))

    assert BrakeCounts(tried=8, sent=2, refused=2, blocked=2) == ledger.brake_counts(store, plan_id)


def test_what_waits_was_not_tried(store: Store, at: datetime) -> None:
    plan_id = released(store, 3, at)

    assert BrakeCounts() == ledger.brake_counts(store, plan_id)


def test_bounces_and_complaints_count_and_a_shops_own_events_of_that_name_dont(store: Store, at: datetime) -> None:
    plan_id = released(store, 5, at)
    send_all(store, at)
    one, two, three, four, five = ids(store)
    ledger.add_bounce(store, one, at, {"reason": "unknown_address"})
    ledger.add_bounce(store, two, at, {"reason": "blocked"})
    ledger.add_bounce(store, three, at, {"reason": "mailbox_full"})
    ledger.add_return(store, ledger.COMPLAINT, four, contact_of(store, four), at, {})
    ledger.add_return(store, ledger.CLAIM, five, contact_of(store, five), at, {"reason": "unknown_address"})
    with store.write() as db:
        shops = {"contact_id": contact_of(store, five), "at": at, "properties": {}}
        db.execute(sa.insert(event), [{"event_id": f"shop{n}", "kind": n, **shops} for n in ("bounce", "complaint")])

    assert BrakeCounts(tried=5, sent=5, refused=1, blocked=1, complaints=1) == ledger.brake_counts(store, plan_id)


def test_another_plans_troubles_are_its_own(store: Store, at: datetime) -> None:
    plan_id = released(store, 1, at)
    send_all(store, at)
    others = released_again(store, at)
    send_all(store, at, lambda _: REFUSED)

    assert BrakeCounts(tried=1, sent=1) == ledger.brake_counts(store, plan_id)
    assert BrakeCounts(tried=1, refused=1) == ledger.brake_counts(store, others)


def released_again(store: Store, at: datetime) -> int:
    with store.read() as db:
        contact_id = db.scalar(sa.select(message.c.contact_id))
    assert contact_id is not None
    plan_id = drafted(store, [entry(contact_id)], at, occurrence="again")
    ledger.release(store, plan_id, at, KEYS)
    return plan_id


def test_the_same_words_are_counted_whatever_ids_stand_in_them(store: Store, at: datetime) -> None:
    plan_id = released(store, 4, at)
    send_all(
        store,
        at,
        by_place(
            content("554 5.6.0 Message looks like spam (id 4fGh1)"),
            content("554 5.6.0 Message looks like spam (id 9zzT7)"),
            content("552 5.3.4 too big"),
            SENT,
        ),
    )

    found = ledger.brake_counts(store, plan_id)
    assert (2, "Message looks like spam (id") == (found.alike, found.words)


def test_the_counts_start_anew_when_the_brake_is_taken_off(store: Store, at: datetime) -> None:
    plan_id = released(store, 4, at)
    first = {0: REFUSED, 1: content("554 spam"), 2: SENT, 3: replace(BLOCKED, state=DEFERRED.state)}
    send_all(store, at, lambda item: first[item.n])
    ledger.add_return(store, ledger.COMPLAINT, ids(store)[2], contact_of(store, ids(store)[2]), at, {})

    ledger.take_brake_off(store, plan_id, at)

    assert BrakeCounts() == ledger.brake_counts(store, plan_id)
    ledger.retry_deferred(store, plan_id, at + timedelta(days=1))
    send_all(store, at + timedelta(days=1), lambda _: content("554 spam"))
    found = ledger.brake_counts(store, plan_id)
    assert (1, "spam") == (found.alike, found.words)


def test_plans_long_gone_are_not_judged_unless_somebody_is_still_to_be_mailed(store: Store, at: datetime) -> None:
    plan_id = released(store, 1, at)
    month = timedelta(days=30)

    assert [plan_id] == ledger.braking_plans(store, "spring", at - month)
    assert [plan_id] == ledger.braking_plans(store, "spring", at + month)
    send_all(store, at)
    assert [] == ledger.braking_plans(store, "spring", at + month)
    assert [] == ledger.braking_plans(store, "autumn", at - month)


def test_a_campaigns_story_keeps_every_change_with_its_words(store: Store, at: datetime) -> None:
    people(store, 1, at)
    for hour, (state, reason) in enumerate(
        [
            (CampaignState.RUNNING, ""),
            (CampaignState.RUNNING, ""),
            (CampaignState.PAUSED, "the brake: too much"),
            (CampaignState.RUNNING, "resumed after the brake: it was the list"),
        ]
    ):
        ledger.set_state(store, "spring", state, reason, at + timedelta(hours=hour))
    ledger.note(store, "spring", "warned: complaints", at + timedelta(hours=5))

    assert [
        ("running", "", 0),
        ("paused", "the brake: too much", 2),
        ("running", "resumed after the brake: it was the list", 3),
        ("running", "warned: complaints", 5),
    ] == [(one.state, one.reason, (one.at - at) // timedelta(hours=1)) for one in ledger.story_of(store, "spring")]
    assert [False, True, False, False] == [one.is_braked for one in ledger.story_of(store, "spring")]

"""Deferred messages carry the hour of their next try; a tick offers them, whatever was restarted meanwhile."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from ledger_steps import DEFERRED, KEYS, SENT, UNCERTAIN, drafted, entry, granted, people, released, send_all, states

from engine import ledger
from engine.ledger import Item
from engine.model import CampaignState, Outcome
from engine.store import Store, open_store
from engine.store.tables import batch, contact, message

QUARTER = timedelta(minutes=15)


def greylisted(until: datetime) -> Outcome:
    return replace(DEFERRED, reason="greylisted", retry_at=until)


def deferred(store: Store, number: int, at: datetime, until: datetime) -> int:
    plan_id = released(store, number, at)
    send_all(store, at, lambda _: greylisted(until))
    return plan_id


def test_a_deferred_message_is_offered_at_its_hour_and_not_before(store: Store, at: datetime) -> None:
    deferred(store, 3, at, at + QUARTER)

    assert 0 == ledger.offer_retries(store, at + QUARTER - timedelta(seconds=1))
    assert 3 == ledger.offer_retries(store, at + QUARTER)
    assert 0 == ledger.offer_retries(store, at + QUARTER)

    assert ["planned"] * 3 == states(store)
    assert 3 == len(set(send_all(store, at + QUARTER)))


def test_the_next_attempt_keeps_its_delivery_id_and_knows_when_the_first_was(store: Store, at: datetime) -> None:
    released(store, 1, at)
    seen: list[Item] = []

    def answer(item: Item) -> Outcome:
        seen.append(item)
        return greylisted(at + len(seen) * QUARTER)

    for turn in range(3):
        ledger.offer_retries(store, at + turn * QUARTER)
        send_all(store, at + turn * QUARTER, answer)

    assert [1, 2, 3] == [item.attempt for item in seen]
    assert 1 == len({item.delivery_id for item in seen})
    assert [None, at, at] == [item.first_at for item in seen]


def test_a_retry_s_hour_survives_a_restart(store_url: str, at: datetime) -> None:
    before = open_store(store_url)
    deferred(before, 2, at, at + QUARTER)
    before.close()

    after = open_store(store_url)

    assert 2 == ledger.offer_retries(after, at + QUARTER)
    after.close()


def test_a_message_without_an_hour_waits_until_somebody_asks(store: Store, at: datetime) -> None:
    plan_id = released(store, 1, at)
    send_all(store, at, lambda _: DEFERRED)

    assert 0 == ledger.offer_retries(store, at + timedelta(days=9))
    assert 1 == ledger.retry_deferred(store, plan_id, at)


def test_an_operator_need_not_wait_for_the_hour(store: Store, at: datetime) -> None:
    plan_id = deferred(store, 2, at, at + QUARTER)

    assert 2 == ledger.retry_deferred(store, plan_id, at)

    assert 2 == len(send_all(store, at))
    assert 0 == ledger.offer_retries(store, at + QUARTER)


def test_the_tick_s_general_waits_leave_alone_who_has_an_hour(store: Store, at: datetime) -> None:
    plan_id = deferred(store, 1, at, at + timedelta(days=1))

    assert 0 == ledger.retry_deferred(store, plan_id, at + QUARTER, waits=[QUARTER])


def test_only_the_schedule_ends_greylisting_not_the_number_of_attempts(store: Store, at: datetime) -> None:
    plan_id = released(store, 1, at)
    for turn in range(9):
        send_all(store, at, lambda _, until=at + QUARTER: greylisted(until))  # type: ignore[misc]
        offered = ledger.offer_retries(store, at + QUARTER) if turn % 2 else ledger.retry_deferred(store, plan_id, at)
        assert 1 == offered
        at += QUARTER

    assert ["planned"] == states(store)


def test_a_retry_keeps_its_destination(store: Store, at: datetime) -> None:
    ids = people(store, 120, at)
    with store.write() as db:
        db.execute(sa.update(contact).where(contact.c.id % 2 == 0).values(email="x@slow.test"))
    plan_id = drafted(store, [entry(one) for one in ids], at)
    ledger.release(store, plan_id, at, KEYS, destination_of=lambda domain: domain.partition(".")[0])
    send_all(store, at, lambda _: greylisted(at + QUARTER))

    assert 120 == ledger.offer_retries(store, at + QUARTER)

    with store.read() as db:
        again = db.execute(sa.select(batch.c.destination, batch.c.size).where(batch.c.state == "ready"))
        assert {("shop", 60), ("slow", 60)} == set(map(tuple, again))


@pytest.mark.parametrize("state", [CampaignState.PAUSED, CampaignState.CANCELLED])
def test_nothing_is_offered_of_a_campaign_that_is_held_back(store: Store, at: datetime, state: CampaignState) -> None:
    deferred(store, 1, at, at)
    ledger.set_state(store, "spring", state, "", at)

    assert 0 == ledger.offer_retries(store, at)


def test_nothing_is_offered_of_a_cancelled_plan(store: Store, at: datetime) -> None:
    plan_id = deferred(store, 2, at, at)
    ledger.cancel(store, plan_id)

    assert 0 == ledger.offer_retries(store, at)
    with store.read() as db:
        assert [None, None] == list(db.scalars(sa.select(message.c.retry_at)))


def test_a_late_answer_may_bring_the_hour_too(store: Store, at: datetime) -> None:
    released(store, 1, at)
    claim = ledger.claim(store, "me", at)
    assert claim is not None
    granted(store, claim, at, 1)
    ledger.finish(store, claim, [], at)

    assert ledger.settle(store, claim.items[0], greylisted(at + QUARTER), at)

    assert 1 == ledger.offer_retries(store, at + QUARTER)


def test_what_an_earlier_attempt_delivered_becomes_sent_instead(store: Store, at: datetime) -> None:
    plan_id = released(store, 1, at)
    claim = ledger.claim(store, "me", at)
    assert claim is not None
    granted(store, claim, at, 1)
    ledger.finish(store, claim, [(claim.items[0], UNCERTAIN)], at)
    ledger.resolve_uncertain(store, plan_id, "resend", at)
    second = ledger.claim(store, "me", at)
    assert second is not None
    granted(store, second, at, 1)
    ledger.settle(store, claim.items[0], SENT, at)
    ledger.finish(store, second, [(second.items[0], greylisted(at))], at)

    assert 0 == ledger.offer_retries(store, at)

    assert ["sent"] == states(store)


def test_offers_end_at_the_limit_and_go_on_with_the_next_call(store: Store, at: datetime) -> None:
    deferred(store, 7, at, at)

    assert [4, 3, 0] == [ledger.offer_retries(store, at, limit=4) for _ in range(3)]

    assert 7 == len(set(send_all(store, at)))

"""What could a sender take this moment? All that is due and lost, nothing that is held back."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from ledger_steps import KEYS, drafted, entry, let_lease_run_out, people, released

from engine import ledger
from engine.model import CampaignState
from engine.store import Store
from engine.store.tables import batch, breaker, bucket

VIA = {"": "relay"}


def batches(store: Store, at: datetime, **more: object) -> list[int]:
    """The batches that could be taken."""
    return [one.batch_id for one in ledger.runnable(store, at, via=VIA, **more)]  # type: ignore[arg-type]


def test_every_batch_that_is_due_is_told_of_and_none_before_its_hour(store: Store, at: datetime) -> None:
    ids = people(store, 3, at)
    late = [entry(one, send_at=at + timedelta(hours=1)) for one in ids[2:]]
    plan_id = drafted(store, [*(entry(one) for one in ids[:2]), *late], at)
    ledger.release(store, plan_id, at, KEYS, chunk=1)

    assert 2 == len(batches(store, at))
    assert 3 == len(batches(store, at + timedelta(hours=1)))
    assert {plan_id} == {one.plan_id for one in ledger.runnable(store, at, via=VIA)}


def test_a_batch_with_a_sender_is_told_of_only_when_its_lease_has_run_out(store: Store, at: datetime) -> None:
    released(store, 2, at)
    claim = ledger.claim(store, "somebody", at)
    assert claim is not None

    assert [] == batches(store, at)

    let_lease_run_out(store)

    assert [claim.batch_id] == batches(store, at)


@pytest.mark.parametrize("state", [CampaignState.PAUSED, CampaignState.CANCELLED])
def test_what_is_held_back_by_its_campaign_is_not_told_of(store: Store, at: datetime, state: CampaignState) -> None:
    released(store, 2, at)
    assert 1 == len(batches(store, at))

    ledger.set_state(store, "spring", state, "by hand", at)

    assert [] == batches(store, at)


@pytest.mark.parametrize("scope", ["relay", "relay/gmail"])
def test_what_goes_over_a_held_scope_is_told_of_when_the_hold_is_over(store: Store, at: datetime, scope: str) -> None:
    released(store, 2, at)
    with store.write() as db:
        db.execute(sa.update(batch).values(destination="gmail"))
    ledger.hold(store, "other", 60, "too fast")
    assert 1 == len(batches(store, at))

    ledger.hold(store, scope, 60, "too fast")
    assert [] == batches(store, at)

    with store.write() as db:
        db.execute(sa.update(bucket).values(held_until=store.epoch_now() - 1))
    assert 1 == len(batches(store, at))


def test_a_transport_that_has_had_all_of_todays_messages_waits_for_tomorrow(store: Store, at: datetime) -> None:
    released(store, 2, at)
    row = {"scope": "relay", "daily": 10, "day_count": 10, "day_ends": store.epoch_now() + 60}
    with store.write() as db:
        db.execute(sa.insert(bucket).values(row))
    assert [] == batches(store, at)

    with store.write() as db:
        db.execute(sa.update(bucket).values(day_count=9))
    assert 1 == len(batches(store, at))


def test_what_a_caller_leaves_out_is_left_out(store: Store, at: datetime) -> None:
    released(store, 2, at)

    assert [] == batches(store, at, shut=["relay"])


def test_the_most_urgent_are_told_of_first_and_no_more_than_asked_for(store: Store, at: datetime) -> None:
    ids = people(store, 2, at)
    plans = []
    for n, (name, priority) in enumerate((("calm", 0), ("urgent", 5))):
        header = ledger.PlanHeader(
            campaign=name, occurrence="once", at=at, definition={"segment": "all", "priority": priority}
        )
        plans.append(ledger.freeze(store, header, [entry(ids[n])]))
        ledger.release(store, plans[-1], at, KEYS)

    assert [plans[1], plans[0]] == [one.plan_id for one in ledger.runnable(store, at, via=VIA)]
    assert [plans[1]] == [one.plan_id for one in ledger.runnable(store, at, via=VIA, limit=1)]


def test_looking_whether_a_transport_is_left_alone_makes_nobody_the_one_who_tries(store: Store) -> None:
    ledger.note_failure(store, "relay", "no route", at_once=True)
    assert {"relay"} == ledger.left_alone(store)

    with store.write() as db:  # its time is over
        db.execute(sa.update(breaker).values(open_until=store.epoch_now() - 1))

    assert set() == ledger.left_alone(store)
    assert ledger.breaker_open(store, "relay") is None, "the try was given away"

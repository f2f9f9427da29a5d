"""One plan wins an occurrence; its messages lie ready all at once, however often the writing was cut off."""

from collections import Counter
from datetime import datetime, timedelta
from threading import Barrier, Thread

import pytest
import sqlalchemy as sa
from ledger_steps import KEYS, drafted, entry, people, send_all

from engine import ledger
from engine.errors import Refused, UnknownPlan
from engine.model import CampaignState, EntryState, PlanState
from engine.store import Store
from engine.store.tables import batch, batch_item, message


def test_a_release_makes_a_message_for_every_message_entry_only(store: Store, at: datetime) -> None:
    ids = people(store, 3, at)
    entries = [
        entry(ids[0], variant="b"),
        entry(ids[1], state=EntryState.HOLDOUT),
        entry(ids[2], state=EntryState.SKIPPED, reason="minor"),
    ]
    plan_id = drafted(store, entries, at)

    assert 1 == ledger.release(store, plan_id, at, KEYS)

    assert PlanState.RELEASED == ledger.plan_of(store, plan_id).state
    assert at == ledger.plan_of(store, plan_id).released_at
    with store.read() as db:
        row = db.execute(sa.select(message)).one()
    assert (ids[0], 0, "b", "planned", at) == (row.contact_id, row.n, row.variant, row.state, row.send_at)
    assert KEYS.delivery_id("spring", "once", ids[0]) == row.delivery_id


def test_a_batch_holds_messages_of_one_hour_and_no_more_than_a_chunk(store: Store, at: datetime) -> None:
    later = at + timedelta(hours=2)
    ids = people(store, 25, at)
    plan_id = drafted(store, [entry(one, send_at=later if one % 2 else at) for one in ids], at)

    ledger.release(store, plan_id, at, KEYS, chunk=10)

    with store.read() as db:
        batches = db.execute(sa.select(batch.c.not_before, batch.c.size).order_by(batch.c.not_before, batch.c.id)).all()
    evens = sum(1 for one in ids if one % 2 == 0)
    assert [(at, 10), (at, evens - 10), (later, 10), (later, 25 - evens - 10)] == [tuple(row) for row in batches]
    assert evens == len(send_all(store, at))
    assert 25 - evens == len(send_all(store, later))


def test_a_second_release_of_the_occurrence_is_refused_and_told_what_to_do(store: Store, at: datetime) -> None:
    ids = people(store, 2, at)
    first, second = (drafted(store, [entry(one) for one in ids], at) for _ in range(2))
    ledger.release(store, first, at, KEYS)

    for plan_id in (first, second):
        with pytest.raises(Refused, match=f"plan {first}.*--occurrence NAME"):
            ledger.release(store, plan_id, at, KEYS)

    again = drafted(store, [entry(one) for one in ids], at, occurrence="again")
    assert 2 == ledger.release(store, again, at, KEYS)


def test_an_unknown_plan_is_not_released(store: Store, at: datetime) -> None:
    with pytest.raises(UnknownPlan):
        ledger.release(store, 5, at, KEYS)


def test_a_cancelled_campaign_is_not_released_into_silence(store: Store, at: datetime) -> None:
    plan_id = drafted(store, [entry(one) for one in people(store, 1, at)], at)
    ledger.set_state(store, "spring", CampaignState.CANCELLED, "", at)

    with pytest.raises(Refused, match="campaign start spring"):
        ledger.release(store, plan_id, at, KEYS)


def test_of_operators_releasing_at_once_exactly_one_wins(store: Store, at: datetime) -> None:
    ids = people(store, 40, at)
    for turn in range(5):
        plans = [drafted(store, [entry(one) for one in ids], at, occurrence=f"o{turn}") for _ in range(4)]
        ends: list[str] = []
        barrier = Barrier(4)

        def operator(plan_id: int, barrier: Barrier = barrier, ends: list[str] = ends) -> None:
            barrier.wait()
            try:
                ends.append(str(ledger.release(store, plan_id, at, KEYS, chunk=7)))
            except Refused:
                ends.append("refused")

        threads = [Thread(target=operator, args=(one,)) for one in plans]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert ["40", "refused", "refused", "refused"] == sorted(ends)
        assert Counter(released=1, draft=3) == Counter(str(ledger.plan_of(store, one).state) for one in plans)


@pytest.mark.parametrize("chunks_written", [1, 2, 3])
def test_nothing_is_claimable_of_a_release_cut_off_until_it_is_finished(
    store: Store, at: datetime, chunks_written: int
) -> None:
    plan_id = drafted(store, [entry(one) for one in people(store, 30, at)], at)

    def cut_off(done: int, _total: int | None) -> None:
        if done == 10 * chunks_written:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.release(store, plan_id, at, KEYS, chunk=10, progress=cut_off)
    assert ledger.claim(store, "me", at) is None
    assert [] == ledger.due(store, at)

    assert [plan_id] == ledger.finish_releases(store, KEYS, chunk=10)

    assert [] == ledger.finish_releases(store, KEYS)
    assert 30 == len(set(send_all(store, at)))
    assert 30 == ledger.counts(store, plan_id)["messages"]


def test_finishing_beside_a_release_that_still_goes_on_makes_nobody_twice(store: Store, at: datetime) -> None:
    plan_id = drafted(store, [entry(one) for one in people(store, 60, at)], at)
    helpers: list[Thread] = []

    def helped(done: int, _total: int | None) -> None:
        if done == 10:
            helpers.append(Thread(target=ledger.finish_releases, args=(store, KEYS), kwargs={"chunk": 7}))
            helpers[0].start()

    ledger.release(store, plan_id, at, KEYS, chunk=5, progress=helped)
    helpers[0].join()

    with store.read() as db:
        assert 60 == db.scalar(sa.select(sa.func.count()).select_from(message))
        assert 60 == db.scalar(sa.select(sa.func.count()).select_from(batch_item))
        assert 60 == db.scalar(sa.select(sa.func.sum(batch.c.size)))
    assert 60 == len(set(send_all(store, at)))


def test_a_message_without_an_hour_goes_at_the_plan_s_moment(store: Store, at: datetime) -> None:
    ids = people(store, 2, at)
    plan_id = drafted(store, [entry(ids[0], send_at=None), entry(ids[1], send_at=at)], at)

    ledger.release(store, plan_id, at + timedelta(hours=1), KEYS)

    with store.read() as db:
        assert [(at, 2)] == [tuple(row) for row in db.execute(sa.select(batch.c.not_before, batch.c.size))]

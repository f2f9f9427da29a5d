"""Takeovers: what a lost sender leaves behind, and what its journal proves."""

from datetime import datetime

import sqlalchemy as sa
from ledger_steps import (
    DEFERRED,
    REFUSED,
    SENT,
    granted,
    let_lease_run_out,
    released,
    states,
)

from engine import ledger
from engine.ledger import Claim
from engine.model import BatchState, CampaignState, JournalProof
from engine.store import Store
from engine.store.tables import batch

NOTHING_HANDED = JournalProof(handed=frozenset(), answered={})


def claimed(store: Store, at: datetime, owner: str = "me") -> Claim:
    claim = ledger.claim(store, owner, at)
    assert claim is not None
    return claim


def test_a_fenced_sender_gets_no_window_and_writes_nothing(store: Store, at: datetime) -> None:
    plan_id = released(store, 3, at)
    mine = granted(store, claimed(store, at), at, 1)
    let_lease_run_out(store)
    theirs = claimed(store, at, "other")

    assert not ledger.heartbeat(store, mine)
    assert not ledger.advance(store, mine, 3, [(mine.items[0], SENT)], at)
    assert not ledger.finish(store, mine, [(mine.items[0], SENT)], at)
    assert not ledger.hand_back(store, mine, 1, [(mine.items[0], SENT)], at)
    assert ["uncertain", "planned", "planned"] == states(store)
    assert [1, 2] == [item.ord for item in theirs.items]
    assert 2 == theirs.fence

    assert ledger.settle(store, mine.items[0], SENT, at)
    assert 1 == ledger.counts(store, plan_id)["sent"]


def test_without_a_journal_everybody_a_lost_sender_was_granted_is_uncertain(store: Store, at: datetime) -> None:
    released(store, 5, at)
    granted(store, claimed(store, at), at, 2)
    let_lease_run_out(store)

    claim = claimed(store, at, "other")

    assert ["uncertain", "uncertain", "planned", "planned", "planned"] == states(store)
    assert [2, 3, 4] == [item.ord for item in claim.items]


def test_a_dead_sender_s_batch_is_taken_over_at_once_and_its_journal_believed(store: Store, at: datetime) -> None:
    """Handed over and answered: that is the outcome. Handed over only: uncertain. Neither: sent now, gaps and all."""
    released(store, 8, at)
    lost = granted(store, claimed(store, at, "dead"), at, 6)
    asked: list[tuple[int, int, str]] = []

    def proof(batch_id: int, fence: int, owner: str) -> JournalProof:
        asked.append((batch_id, fence, owner))
        return JournalProof(handed=frozenset({0, 2, 3, 5}), answered={0: SENT, 3: DEFERRED, 5: REFUSED})

    claim = ledger.claim(store, "me", at, proof=proof, is_dead=lambda owner: owner == "dead")

    assert claim is not None
    assert [(lost.batch_id, 1, "dead")] == asked
    assert ["sent", "planned", "uncertain", "deferred", "planned", "refused", "planned", "planned"] == states(store)
    assert [1, 4, 6, 7] == [item.ord for item in claim.items]
    with store.read() as db:
        assert 1 == db.scalar(sa.select(batch.c.hi))


def test_a_living_sender_is_left_alone(store: Store, at: datetime) -> None:
    released(store, 3, at)
    granted(store, claimed(store, at, "alive"), at, 2)

    assert ledger.claim(store, "me", at, is_dead=lambda owner: owner == "dead") is None


def test_a_batch_survives_one_lost_sender_after_another_nobody_twice(store: Store, at: datetime) -> None:
    """The second sender's window spans people that the first one had settled already."""
    released(store, 6, at)
    granted(store, claimed(store, at, "first"), at, 4)
    by_first = JournalProof(handed=frozenset({0, 2}), answered={0: SENT, 2: SENT})
    second = ledger.claim(store, "second", at, proof=lambda *_: by_first, is_dead=lambda one: one == "first")
    assert second is not None
    assert [1, 3, 4, 5] == [item.ord for item in second.items]
    granted(store, second, at, 5)

    third = ledger.claim(
        store,
        "third",
        at,
        proof=lambda *_: JournalProof(handed=frozenset({1}), answered={}),
        is_dead=lambda one: one == "second",
    )

    assert third is not None
    assert [3, 4, 5] == [item.ord for item in third.items]
    assert ["sent", "uncertain", "sent", "planned", "planned", "planned"] == states(store)


def test_a_lost_sender_that_never_had_a_window_leaves_nobody_uncertain(store: Store, at: datetime) -> None:
    released(store, 3, at)
    claimed(store, at, "dead")
    let_lease_run_out(store)

    assert [0, 1, 2] == [item.ord for item in claimed(store, at).items]


def test_a_lost_batch_of_which_nobody_is_left_is_ended_and_the_next_one_claimed(store: Store, at: datetime) -> None:
    released(store, 4, at, chunk=2)
    first = granted(store, claimed(store, at, "dead"), at, 2)
    let_lease_run_out(store)

    claim = claimed(store, at)

    assert first.batch_id != claim.batch_id
    with store.read() as db:
        assert "done" == db.scalar(sa.select(batch.c.state).where(batch.c.id == first.batch_id))


def test_a_lost_batch_of_a_paused_campaign_is_sorted_out_but_not_sent(store: Store, at: datetime) -> None:
    released(store, 3, at)
    granted(store, claimed(store, at, "dead"), at, 2)
    ledger.set_state(store, "spring", CampaignState.PAUSED, "by hand", at)

    claim = ledger.claim(store, "me", at, proof=lambda *_: NOTHING_HANDED, is_dead=lambda owner: owner == "dead")

    assert claim is None
    assert ["planned"] * 3 == states(store)
    with store.read() as db:
        assert (BatchState.READY, 0) == tuple(db.execute(sa.select(batch.c.state, batch.c.hi)).one())


def test_a_lost_batch_of_a_cancelled_plan_is_skipped(store: Store, at: datetime) -> None:
    plan_id = released(store, 3, at)
    granted(store, claimed(store, at, "dead"), at, 2)
    ledger.cancel(store, plan_id)

    claim = ledger.claim(store, "me", at, proof=lambda *_: NOTHING_HANDED, is_dead=lambda owner: owner == "dead")

    assert claim is None
    assert {"cancelled": 3} == ledger.counts(store, plan_id)["skipped_by"]


def flowing(store: Store, at: datetime) -> Claim:
    """Two windows of two, granted to a sender that dies; of the first one answer was recorded with the second."""
    claim = granted(store, claimed(store, at, "dead"), at, 2)
    assert ledger.advance(store, claim, 4, [(claim.items[1], SENT)], at)
    return claim


def test_an_earlier_window_s_open_item_is_judged_by_the_journal_too(store: Store, at: datetime) -> None:
    released(store, 5, at)
    flowing(store, at)
    proof = JournalProof(handed=frozenset({0, 1, 2}), answered={1: SENT, 2: REFUSED})

    taken = ledger.claim(store, "me", at, proof=lambda *_: proof, is_dead=lambda owner: owner == "dead")

    assert taken is not None
    assert ["uncertain", "sent", "refused", "planned", "planned"] == states(store)
    assert [3, 4] == [item.ord for item in taken.items]


def test_an_earlier_window_s_open_item_is_uncertain_without_a_journal(store: Store, at: datetime) -> None:
    released(store, 5, at)
    flowing(store, at)
    let_lease_run_out(store)

    taken = claimed(store, at)

    assert ["uncertain", "sent", "uncertain", "uncertain", "planned"] == states(store)
    assert [4] == [item.ord for item in taken.items]

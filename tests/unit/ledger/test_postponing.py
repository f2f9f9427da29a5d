"""Whose turn is not now moves to a batch of its own: the same attempt, nobody twice, nobody lost."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from ledger_steps import DEFERRED, SENT, granted, let_lease_run_out, released, send_all, states

from engine import ledger
from engine.ledger import Claim
from engine.model import JournalProof
from engine.store import Store
from engine.store.tables import attempt, batch

LATER = timedelta(minutes=5)


def claimed(store: Store, at: datetime, owner: str = "me") -> Claim:
    claim = ledger.claim(store, owner, at)
    assert claim is not None
    return claim


def without(claim: Claim | None, *ords: int) -> Claim:
    assert claim is not None
    assert not {item.ord for item in claim.items} & set(ords)
    return claim


def test_postponed_items_go_out_at_their_hour_with_the_same_attempt(store: Store, at: datetime) -> None:
    released(store, 6, at)
    claim = claimed(store, at)

    rest = without(ledger.postpone(store, claim, claim.items[1:3], at + LATER), 1, 2)

    assert [0, 3, 4, 5] == [item.ord for item in rest.items]
    assert ledger.advance(store, rest, 6, [], at)
    assert ledger.finish(store, rest, [(item, SENT) for item in rest.items], at)
    assert ledger.claim(store, "me", at) is None
    again = claimed(store, at + LATER)
    assert [(item.delivery_id, 1) for item in claim.items[1:3]] == [(i.delivery_id, i.attempt) for i in again.items]
    with store.read() as db:
        assert 4 == db.scalar(sa.select(sa.func.count()).select_from(attempt))


def test_a_granted_item_that_was_not_handed_over_can_be_postponed(store: Store, at: datetime) -> None:
    released(store, 4, at)
    claim = granted(store, claimed(store, at), at, 3)

    rest = without(ledger.postpone(store, claim, [claim.items[1]], at + LATER, "gmail"), 1)

    assert ["claimed", "planned", "claimed", "planned"] == states(store)
    assert ledger.finish(store, rest, [(rest.items[0], SENT), (rest.items[1], SENT)], at)
    assert ["sent", "planned", "sent", "planned"] == states(store)
    with store.read() as db:
        assert ["", "gmail"] == list(db.scalars(sa.select(batch.c.destination).order_by(batch.c.id)))


def test_a_sender_that_goes_on_with_the_old_claim_is_stopped(store: Store, at: datetime) -> None:
    released(store, 4, at)
    claim = claimed(store, at)
    ledger.postpone(store, claim, [claim.items[1]], at + LATER)

    assert not ledger.advance(store, claim, 3, [], at)

    assert ["planned"] * 4 == states(store)


def test_a_fenced_sender_postpones_nobody(store: Store, at: datetime) -> None:
    released(store, 3, at)
    mine = claimed(store, at)
    let_lease_run_out(store)
    theirs = claimed(store, at, "other")

    assert ledger.postpone(store, mine, mine.items[:1], at + LATER) is None

    assert ledger.advance(store, theirs, 3, [], at)
    assert ledger.claim(store, "third", at + LATER) is None


def test_an_item_that_has_an_outcome_stays_where_it_is(store: Store, at: datetime) -> None:
    released(store, 3, at)
    claim = granted(store, claimed(store, at), at, 2)
    assert ledger.advance(store, claim, 2, [(claim.items[0], DEFERRED)], at)

    without(ledger.postpone(store, claim, claim.items[:2], at + LATER), 0, 1)

    assert ["deferred", "planned", "planned"] == states(store)
    assert 1 == len(claimed(store, at + LATER).items)


def test_all_items_may_be_postponed_and_the_batch_ends(store: Store, at: datetime) -> None:
    released(store, 3, at)
    claim = claimed(store, at)

    rest = without(ledger.postpone(store, claim, claim.items, at + LATER), 0, 1, 2)

    assert ledger.finish(store, rest, [], at)
    assert 3 == len(send_all(store, at + LATER))
    with store.read() as db:
        assert {"done"} == set(db.scalars(sa.select(batch.c.state)))


def test_a_journal_of_the_old_batch_says_nothing_of_who_was_postponed(store: Store, at: datetime) -> None:
    """Its number stands in the new batch, whoever takes the old one over."""
    released(store, 4, at)
    claim = granted(store, claimed(store, at, "dead"), at, 4)
    rest = without(ledger.postpone(store, claim, [claim.items[2]], at + LATER), 2)
    proof = JournalProof(handed=frozenset({0, 1}), answered={0: SENT})

    taken = ledger.claim(store, "me", at, proof=lambda *_: proof, is_dead=lambda owner: owner == "dead")

    assert taken is not None
    assert [3] == [item.ord for item in taken.items]
    assert ["sent", "uncertain", "planned", "planned"] == states(store)
    assert not ledger.finish(store, rest, [], at)
    assert [claim.items[2].message_id] == [item.message_id for item in claimed(store, at + LATER).items]


def test_due_counts_a_postponed_message_once(store: Store, at: datetime) -> None:
    released(store, 5, at)
    claim = claimed(store, at)
    rest = without(ledger.postpone(store, claim, claim.items[:2], at + LATER), 0, 1)
    assert ledger.hand_back(store, rest, rest.items[0].ord, [], at)

    assert [5] == [one.messages for one in ledger.due(store, at + LATER)]
    assert [3] == [one.messages for one in ledger.due(store, at)]

"""Late certainties, retries, and what is done about messages nobody knows the end of."""

from datetime import datetime, timedelta
from itertools import cycle

import pytest
import sqlalchemy as sa
from ledger_steps import DEFERRED, REFUSED, SENT, UNCERTAIN, granted, released, send_all, states

from engine import ledger
from engine.ledger import Item
from engine.model import Outcome
from engine.store import Store
from engine.store.tables import attempt, message


def all_end(store: Store, at: datetime, *outcomes: Outcome) -> None:
    """Everything that is due ends so, in turn."""
    turn = cycle(outcomes)
    send_all(store, at, lambda _: next(turn))


def items(store: Store, at: datetime) -> tuple[Item, ...]:
    claim = ledger.claim(store, "me", at)
    assert claim is not None
    granted(store, claim, at, len(claim.items))
    return claim.items


def test_a_late_answer_settles_an_uncertain_message(store: Store, at: datetime) -> None:
    released(store, 3, at)
    claim = ledger.claim(store, "me", at)
    assert claim is not None
    granted(store, claim, at, 3)
    ledger.finish(store, claim, [], at)
    later = at + timedelta(minutes=2)

    for item, outcome in zip(claim.items, (SENT, REFUSED, DEFERRED), strict=True):
        assert ledger.settle(store, item, outcome, later)

    assert ["sent", "refused", "deferred"] == states(store)
    with store.read() as db:
        assert ["sent", "refused", "deferred"] == list(
            db.scalars(sa.select(attempt.c.state).order_by(attempt.c.message_id))
        )
        assert [later, None, None] == list(db.scalars(sa.select(message.c.sent_at).order_by(message.c.n)))


@pytest.mark.parametrize("first", [SENT, REFUSED, DEFERRED])
def test_a_known_end_is_never_settled_into_another(store: Store, at: datetime, first: Outcome) -> None:
    released(store, 1, at)
    (item,) = items(store, at)
    assert ledger.settle(store, item, first, at)

    for other in (SENT, REFUSED, DEFERRED, UNCERTAIN):
        assert not ledger.settle(store, item, other, at)
        assert not ledger.settle(store, item.message_id, other, at)

    assert [first.state] == states(store)


def test_evidence_may_settle_by_the_message_s_number(store: Store, at: datetime) -> None:
    released(store, 1, at)
    all_end(store, at, UNCERTAIN)
    with store.read() as db:
        message_id = db.scalars(sa.select(message.c.id)).one()

    assert ledger.settle(store, message_id, SENT, at)
    assert not ledger.settle(store, message_id + 1, SENT, at)

    assert ["sent"] == states(store)


def test_only_deferred_messages_are_tried_again_as_the_next_attempt(store: Store, at: datetime) -> None:
    plan_id = released(store, 4, at)
    all_end(store, at, SENT, DEFERRED, REFUSED, UNCERTAIN)
    later = at + timedelta(hours=1)

    assert 1 == ledger.retry_deferred(store, plan_id, later)

    assert ["sent", "planned", "refused", "uncertain"] == states(store)
    assert ledger.claim(store, "me", at) is None
    assert 0 == ledger.retry_deferred(store, plan_id, later)
    assert 1 == len(send_all(store, later))
    with store.read() as db:
        tries = db.execute(sa.select(attempt.c.n, attempt.c.state).order_by(attempt.c.message_id, attempt.c.n))
        assert [(1, "sent"), (1, "deferred"), (2, "sent"), (1, "refused"), (1, "uncertain")] == [
            tuple(row) for row in tries
        ]


def test_a_retry_waits_until_the_last_attempt_is_old_enough(store: Store, at: datetime) -> None:
    plan_id = released(store, 1, at)
    all_end(store, at, DEFERRED)
    wait = timedelta(minutes=15)

    assert 0 == ledger.retry_deferred(store, plan_id, at + wait - timedelta(seconds=1), older_than=wait)
    assert 1 == ledger.retry_deferred(store, plan_id, at + wait, older_than=wait)


def test_when_retries_are_used_up_a_message_is_refused_as_expired(store: Store, at: datetime) -> None:
    plan_id = released(store, 1, at)
    for _ in range(2):
        all_end(store, at, DEFERRED)
        assert 1 == ledger.retry_deferred(store, plan_id, at, limit=3)
    all_end(store, at, DEFERRED)

    assert 0 == ledger.retry_deferred(store, plan_id, at, limit=3)

    assert {"expired": 1} == ledger.counts(store, plan_id)["refused_by"]


def test_the_lost_batch_of_an_earlier_attempt_does_not_offer_the_message_too(store: Store, at: datetime) -> None:
    """A message deferred in a batch that is still held, and planned again elsewhere, is only the new batch's."""
    plan_id = released(store, 2, at)
    first = ledger.claim(store, "dead", at)
    assert first is not None
    granted(store, first, at, 1)
    assert ledger.advance(store, first, 1, [(first.items[0], DEFERRED)], at)
    assert 1 == ledger.retry_deferred(store, plan_id, at)

    takeover = ledger.claim(store, "me", at, is_dead=lambda owner: owner == "dead")
    again = ledger.claim(store, "me", at)

    assert takeover is not None
    assert again is not None
    assert [(1, 1)] == [(item.ord, item.attempt) for item in takeover.items]
    assert [(0, 2, first.items[0].message_id)] == [(item.ord, item.attempt, item.message_id) for item in again.items]


def test_asking_about_uncertain_messages_changes_nothing(store: Store, at: datetime) -> None:
    plan_id = released(store, 2, at)
    all_end(store, at, UNCERTAIN)

    assert 0 == ledger.resolve_uncertain(store, plan_id, "ask", at)

    assert ["uncertain", "uncertain"] == states(store)


def test_assumed_messages_stay_uncertain_in_the_counts_and_count_for_caps(store: Store, at: datetime) -> None:
    plan_id = released(store, 2, at)
    all_end(store, at, UNCERTAIN, SENT)

    assert 1 == ledger.resolve_uncertain(store, plan_id, "assume-sent", at + timedelta(hours=1))
    assert 0 == ledger.resolve_uncertain(store, plan_id, "assume-sent", at + timedelta(hours=1))

    assert ["uncertain", "sent"] == states(store)
    with store.read() as db:
        row = db.execute(sa.select(message.c.reason, message.c.sent_at).order_by(message.c.n)).first()
    assert row is not None
    assert ("assumed", at) == tuple(row)


def test_uncertain_messages_are_resent_only_by_that_policy_and_when_old_enough(store: Store, at: datetime) -> None:
    plan_id = released(store, 3, at)
    all_end(store, at, UNCERTAIN, SENT, UNCERTAIN)
    wait = timedelta(minutes=30)

    assert 0 == ledger.resolve_uncertain(store, plan_id, "resend", at, wait)
    assert 2 == ledger.resolve_uncertain(store, plan_id, "resend", at + wait, wait)

    assert ["planned", "sent", "planned"] == states(store)
    assert 2 == len(send_all(store, at + wait))
    assert ["sent"] * 3 == states(store)


def test_a_policy_must_be_one_of_three(sqlite_store: Store, at: datetime) -> None:
    with pytest.raises(ValueError, match="maybe"):
        ledger.resolve_uncertain(sqlite_store, 1, "maybe", at)


def test_a_delivery_that_comes_to_light_ends_a_resend_that_has_not_begun(store: Store, at: datetime) -> None:
    plan_id = released(store, 1, at)
    (item,) = items(store, at)
    ledger.settle(store, item, UNCERTAIN, at)
    assert 1 == ledger.resolve_uncertain(store, plan_id, "resend", at)

    assert ledger.settle(store, item, SENT, at)

    assert ["sent"] == states(store)
    assert [] == send_all(store, at)


@pytest.mark.parametrize("second", [DEFERRED, UNCERTAIN])
def test_a_message_that_any_attempt_delivered_is_never_tried_again(store: Store, at: datetime, second: Outcome) -> None:
    """The first attempt's 250 arrives while the second is on the wire, and the second then comes to nothing."""
    plan_id = released(store, 1, at)
    (item,) = items(store, at)
    ledger.settle(store, item, UNCERTAIN, at)
    ledger.resolve_uncertain(store, plan_id, "resend", at)
    claim = ledger.claim(store, "me", at)
    assert claim is not None
    granted(store, claim, at, 1)
    assert not ledger.settle(store, item, SENT, at)  # the message follows its last attempt
    ledger.finish(store, claim, [(claim.items[0], second)], at)

    assert 0 == ledger.retry_deferred(store, plan_id, at + timedelta(days=1))
    assert 0 == ledger.resolve_uncertain(store, plan_id, "resend", at + timedelta(days=1))
    assert ["sent"] == states(store)


def test_retries_of_more_than_a_chunk_go_in_several_batches(sqlite_store: Store, at: datetime) -> None:
    plan_id = released(sqlite_store, 700, at)
    all_end(sqlite_store, at, DEFERRED)

    assert 700 == ledger.retry_deferred(sqlite_store, plan_id, at)

    assert 700 == len(set(send_all(sqlite_store, at)))


def test_nothing_of_a_cancelled_plan_is_tried_again(store: Store, at: datetime) -> None:
    plan_id = released(store, 2, at)
    all_end(store, at, DEFERRED, UNCERTAIN)
    ledger.cancel(store, plan_id)

    assert 0 == ledger.retry_deferred(store, plan_id, at)
    assert 0 == ledger.resolve_uncertain(store, plan_id, "resend", at)
    assert ["skipped", "uncertain"] == states(store)

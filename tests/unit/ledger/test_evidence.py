"""What came back proves that a message went out: uncertain and assumed ones become sent, and no resend begins."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from ledger_steps import DEFERRED, REFUSED, SENT, UNCERTAIN, granted, released, send_all

from engine import ledger
from engine.ledger import Claim
from engine.model import Outcome
from engine.store import Store
from engine.store.tables import attempt, message

LATER = timedelta(hours=1)


def messages(store: Store) -> list[tuple[str, str, str]]:
    """State, reason and id, in the order of the plan."""
    with store.read() as db:
        wanted = sa.select(message.c.state, message.c.reason, message.c.delivery_id).order_by(message.c.n)
        return [tuple(row) for row in db.execute(wanted)]


def states(store: Store) -> list[str]:
    return [state for state, _, _ in messages(store)]


def delivery_id(store: Store, place: int = 0) -> str:
    return messages(store)[place][2]


def claimed(store: Store, at: datetime) -> Claim:
    found = ledger.claim(store, "me", at)
    assert found is not None
    return granted(store, found, at, len(found.items))


@pytest.mark.parametrize("policy", ["ask", "assume-sent"])
def test_an_uncertain_message_of_which_something_came_back_is_sent_as_of_its_attempt(
    store: Store, at: datetime, policy: str
) -> None:
    plan_id = released(store, 2, at)
    send_all(store, at, lambda _: UNCERTAIN)
    ledger.resolve_uncertain(store, plan_id, policy, at)

    assert 1 == ledger.prove(store, [delivery_id(store)], "a click", at + LATER)

    assert ["sent", "uncertain"] == states(store)
    with store.read() as db:
        row = db.execute(sa.select(message.c.reason, message.c.sent_at).order_by(message.c.n)).first()
        told = sa.select(attempt.c.state, attempt.c.reason, attempt.c.reply, attempt.c.at)
        tried = db.execute(told.order_by(attempt.c.message_id)).first()
    assert ("", at) == tuple(row or ())
    assert ("sent", "", "proved by a click", at) == tuple(tried or ())


def test_evidence_ends_a_resend_that_has_not_begun(store: Store, at: datetime) -> None:
    plan_id = released(store, 1, at)
    send_all(store, at, lambda _: UNCERTAIN)
    assert 1 == ledger.resolve_uncertain(store, plan_id, "resend", at)
    assert ["planned"] == states(store)

    assert 1 == ledger.prove(store, [delivery_id(store)], "a bounce", at + LATER)

    assert ["sent"] == states(store)
    assert [] == send_all(store, at + LATER)


def test_evidence_ends_a_resend_that_was_put_off(store: Store, at: datetime) -> None:
    plan_id = released(store, 1, at)
    send_all(store, at, lambda _: UNCERTAIN)
    ledger.resolve_uncertain(store, plan_id, "resend", at)
    send_all(store, at, lambda _: DEFERRED)
    assert ["deferred"] == states(store)

    assert 1 == ledger.prove(store, [delivery_id(store)], "a click", at + LATER)

    assert ["sent"] == states(store)
    assert 0 == ledger.retry_deferred(store, plan_id, at + timedelta(days=9))


@pytest.mark.parametrize(("second", "ended"), [(DEFERRED, "sent"), (UNCERTAIN, "sent"), (SENT, "sent")])
def test_evidence_while_the_resend_is_on_the_wire_is_kept_for_its_end(
    store: Store, at: datetime, second: Outcome, ended: str
) -> None:
    plan_id = released(store, 1, at)
    send_all(store, at, lambda _: UNCERTAIN)
    ledger.resolve_uncertain(store, plan_id, "resend", at)
    claim = claimed(store, at)

    assert 0 == ledger.prove(store, [delivery_id(store)], "a click", at)
    assert ["claimed"] == states(store)
    ledger.finish(store, claim, [(claim.items[0], second)], at)
    ledger.retry_deferred(store, plan_id, at + timedelta(days=9))
    ledger.resolve_uncertain(store, plan_id, "resend", at + timedelta(days=9))

    assert [ended] == states(store)


def test_evidence_that_comes_before_the_answer_is_lost_settles_it_afterwards(store: Store, at: datetime) -> None:
    """A machine follows the links at once; then the sender is killed, and nobody knows the answer."""
    released(store, 2, at)
    claim = claimed(store, at)
    assert 0 == ledger.prove(store, [delivery_id(store)], "a click", at)
    assert ["claimed", "claimed"] == states(store)
    ledger.finish(store, claim, [], at)
    assert ["uncertain", "uncertain"] == states(store)

    assert 1 == ledger.settle_proven(store, at)

    assert ["sent", "uncertain"] == states(store)
    assert 0 == ledger.settle_proven(store, at)


def test_evidence_that_comes_before_the_answer_leaves_the_answer_as_it_is(store: Store, at: datetime) -> None:
    released(store, 1, at)
    claim = claimed(store, at)
    ledger.prove(store, [delivery_id(store)], "a click", at)

    ledger.finish(store, claim, [(claim.items[0], SENT)], at, "box")

    assert ["sent"] == states(store)
    with store.read() as db:
        assert "250 ok" == db.scalar(sa.select(attempt.c.reply))


@pytest.mark.parametrize("outcome", [REFUSED, DEFERRED, SENT])
def test_evidence_changes_no_message_whose_end_is_known(store: Store, at: datetime, outcome: Outcome) -> None:
    released(store, 1, at)
    send_all(store, at, lambda _: outcome)
    before = messages(store)

    assert 0 == ledger.prove(store, [delivery_id(store)], "a click", at)

    assert before == messages(store)


def test_evidence_about_nobodys_message_is_no_fault(store: Store, at: datetime) -> None:
    released(store, 1, at)

    assert 0 == ledger.prove(store, ["a" * 24, "'; drop", ""], "a click", at)
    assert 0 == ledger.prove(store, [delivery_id(store)], "a click", at)
    assert ["planned"] == states(store)


def test_what_is_in_doubt_is_told_until_somebody_decides(store: Store, at: datetime) -> None:
    plan_id = released(store, 3, at)
    send_all(store, at, lambda item: SENT if item.n == 0 else UNCERTAIN)

    (doubt,) = ledger.in_doubt(store)
    assert (plan_id, "spring", "once", 2, at) == (
        doubt.plan_id,
        doubt.campaign,
        doubt.occurrence,
        doubt.messages,
        doubt.since,
    )
    ledger.resolve_uncertain(store, plan_id, "assume-sent", at)
    assert [] == ledger.in_doubt(store)

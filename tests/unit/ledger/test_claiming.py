"""Claims: who may hand over what, window by window, and how a batch ends."""

from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier, Thread

import pytest
import sqlalchemy as sa
from ledger_steps import (
    DEFERRED,
    KEYS,
    REFUSED,
    SENT,
    UNCERTAIN,
    drafted,
    entry,
    granted,
    let_lease_run_out,
    people,
    released,
    send_all,
    states,
)

from engine import ledger
from engine.ledger import Claim
from engine.model import CampaignState, MessageState, Outcome
from engine.store import Store
from engine.store.tables import attempt, batch, contact, message


def claimed(store: Store, at: datetime, owner: str = "me") -> Claim:
    claim = ledger.claim(store, owner, at)
    assert claim is not None
    return claim


def test_a_claim_holds_all_that_is_needed_to_render(store: Store, at: datetime) -> None:
    ids = people(store, 2, at)
    plan_id = drafted(store, [entry(one, context={"city": "Hà Nội"}, tracked=True) for one in ids], at)
    ledger.release(store, plan_id, at, KEYS)

    claim = claimed(store, at)

    assert (plan_id, "spring", "once", 1) == (claim.plan_id, claim.campaign, claim.occurrence, claim.fence)
    first = claim.items[0]
    assert (0, 0, 1, ids[0]) == (first.ord, first.n, first.attempt, first.contact_id)
    assert ("p0@shop.test", "a", "en", "t1", True) == (
        first.email,
        first.variant,
        first.language,
        first.template_hash,
        first.tracked,
    )
    assert {"city": "Hà Nội"} == first.context
    assert KEYS.delivery_id("spring", "once", ids[0]) == first.delivery_id
    assert at == first.send_at


def test_windows_are_as_long_as_the_sender_is_fast(sqlite_store: Store, at: datetime) -> None:
    released(sqlite_store, 250, at)
    claim, sizes = claimed(sqlite_store, at), iter([20, 75, 1, 400])

    assert [100, 100, 50] == [len(window) for window in ledger.windows(claim)]
    assert [20, 75, 1, 154] == [len(window) for window in ledger.windows(claim, lambda: next(sizes))]


@pytest.mark.parametrize(("rate", "messages"), [(0.1, 1), (1, 1), (10, 5), (150, 75), (200, 100), (20_000, 100)])
def test_a_window_has_one_message_at_least_and_a_hundred_at_most(rate: float, messages: int) -> None:
    assert messages == ledger.window_size(rate)


def test_a_batch_is_claimed_by_one_sender_only(store: Store, at: datetime) -> None:
    released(store, 10, at)

    assert 10 == len(claimed(store, at, "one").items)
    assert ledger.claim(store, "two", at) is None


def test_senders_that_claim_at_once_get_different_batches(store: Store, at: datetime) -> None:
    released(store, 40, at, chunk=5)
    barrier, found = Barrier(4), list[Claim | None]()

    def sender(name: str) -> None:
        barrier.wait()
        found.extend([ledger.claim(store, name, at), ledger.claim(store, name, at)])

    threads = [Thread(target=sender, args=(f"s{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    claims = [one for one in found if one is not None]
    assert len(claims) == len({one.batch_id for one in claims})
    # On PostgreSQL one that stood in the way for a moment may be passed over; the next claim finds it.
    rest = 0
    while ledger.claim(store, "last", at):
        rest += 1
    assert 8 == len(claims) + rest


def test_a_batch_is_not_claimed_before_its_hour(store: Store, at: datetime) -> None:
    plan_id = drafted(store, [entry(one, send_at=at) for one in people(store, 2, at)], at)
    ledger.release(store, plan_id, at, KEYS)

    assert ledger.claim(store, "me", at - timedelta(microseconds=1)) is None
    assert ledger.claim(store, "me", at) is not None


def test_a_claim_may_ask_for_one_plan(store: Store, at: datetime) -> None:
    ids = people(store, 1, at)
    first, second = (drafted(store, [entry(one) for one in ids], at, occurrence=name) for name in ("a", "b"))
    for plan_id in (first, second):
        ledger.release(store, plan_id, at, KEYS)

    claim = ledger.claim(store, "me", at, second)

    assert claim is not None
    assert second == claim.plan_id
    assert ledger.claim(store, "me", at, second) is None
    assert ledger.claim(store, "me", at, first) is not None


@pytest.mark.parametrize("state", [CampaignState.PAUSED, CampaignState.CANCELLED])
def test_nothing_is_claimed_of_a_campaign_that_is_held_back(store: Store, at: datetime, state: CampaignState) -> None:
    released(store, 2, at)
    ledger.set_state(store, "spring", state, "too many refusals", at)

    assert ledger.claim(store, "me", at) is None

    ledger.set_state(store, "spring", CampaignState.RUNNING, "", at)
    assert ledger.claim(store, "me", at) is not None


def test_a_pause_stops_a_sender_at_its_next_window_and_loses_nobody(store: Store, at: datetime) -> None:
    plan_id = released(store, 30, at)
    claim = granted(store, claimed(store, at), at, 20)
    ledger.set_state(store, "spring", CampaignState.PAUSED, "by hand", at)

    assert not ledger.advance(store, claim, 30, [(item, SENT) for item in claim.items[:19]], at, "box")

    counts = ledger.counts(store, plan_id)
    assert (19, 1, 10) == (counts["sent"], counts["uncertain"], counts["waiting"])
    assert ledger.settle(store, claim.items[19], SENT, at)  # the answer that was still under way
    ledger.set_state(store, "spring", CampaignState.RUNNING, "", at)
    assert 10 == len(send_all(store, at))
    assert 30 == ledger.counts(store, plan_id)["sent"]


def test_a_window_is_claimed_before_it_is_handed_over_and_recorded_with_the_next(store: Store, at: datetime) -> None:
    released(store, 4, at)
    claim = claimed(store, at)

    assert ["planned"] * 4 == states(store)
    assert ledger.advance(store, claim, 2, [], at)
    assert ["claimed", "claimed", "planned", "planned"] == states(store)
    assert ledger.advance(store, claim, 4, [(claim.items[0], SENT), (claim.items[1], REFUSED)], at, "box")
    assert ["sent", "refused", "claimed", "claimed"] == states(store)
    assert ledger.finish(store, claim, [(claim.items[2], DEFERRED), (claim.items[3], UNCERTAIN)], at, "box")
    assert ["sent", "refused", "deferred", "uncertain"] == states(store)
    assert ledger.claim(store, "me", at) is None


def test_a_window_is_granted_whole_or_not_at_all(store: Store, at: datetime) -> None:
    """On PostgreSQL a cancel may take a message between the look at the plan and the grant."""
    released(store, 4, at)
    claim = claimed(store, at)
    with store.write() as db:
        db.execute(sa.update(message).where(message.c.n == 1).values(state=MessageState.SKIPPED))

    assert not ledger.advance(store, claim, 3, [], at)

    assert ["planned", "skipped", "planned", "planned"] == states(store)
    assert [0, 2, 3] == [item.ord for item in claimed(store, at).items]


def test_an_outcome_leaves_an_attempt_with_what_the_server_said(store: Store, at: datetime) -> None:
    released(store, 1, at)
    claim = granted(store, claimed(store, at), at, 1)

    ledger.finish(store, claim, [(claim.items[0], REFUSED)], at, "box")

    with store.read() as db:
        row = db.execute(sa.select(attempt)).one()
    assert (1, "box", "refused", "unknown_address", "rcpt", "550 who?", at) == (
        row.n,
        row.transport,
        row.state,
        row.reason,
        row.stage,
        row.reply,
        row.at,
    )


def test_the_digest_of_what_went_out_is_kept_with_a_sent_message(store: Store, at: datetime) -> None:
    released(store, 2, at)
    claim = granted(store, claimed(store, at), at, 2)
    first, second = (item._replace(digest=f"d{item.ord}") for item in claim.items)

    ledger.finish(store, claim, [(first, SENT), (second, REFUSED)], at)

    with store.read() as db:
        rows = db.execute(sa.select(message.c.digest, message.c.sent_at).order_by(message.c.n)).all()
    assert [("d0", at), ("", None)] == [tuple(row) for row in rows]


def test_whatever_a_server_says_can_be_kept(store: Store, at: datetime) -> None:
    released(store, 1, at)
    claim = granted(store, claimed(store, at), at, 1)
    rude = Outcome(state=MessageState.REFUSED, reply="550 \0 \ud800 " + "x" * 10_000)

    assert ledger.finish(store, claim, [(claim.items[0], rude)], at)

    with store.read() as db:
        assert 500 == len(db.scalars(sa.select(attempt.c.reply)).one())


def test_planned_is_no_outcome(sqlite_store: Store, at: datetime) -> None:
    released(sqlite_store, 1, at)
    claim = granted(sqlite_store, claimed(sqlite_store, at), at, 1)

    with pytest.raises(ValueError, match="planned is no outcome"):
        ledger.finish(sqlite_store, claim, [(claim.items[0], Outcome(state=MessageState.PLANNED))], at)


def test_a_heartbeat_holds_the_lease(store: Store, at: datetime) -> None:
    released(store, 3, at)
    claim = claimed(store, at)
    let_lease_run_out(store)

    assert ledger.heartbeat(store, claim)

    assert ledger.claim(store, "other", at) is None


def test_a_batch_handed_back_goes_on_where_it_stopped(store: Store, at: datetime) -> None:
    released(store, 6, at)
    claim = granted(store, claimed(store, at), at, 4)

    assert ledger.hand_back(store, claim, 2, [(item, SENT) for item in claim.items[:2]], at)

    assert ["sent", "sent", "planned", "planned", "planned", "planned"] == states(store)
    assert [2, 3, 4, 5] == [item.ord for item in claimed(store, at, "other").items]


def test_an_unanswered_message_of_a_batch_handed_back_is_uncertain(store: Store, at: datetime) -> None:
    released(store, 3, at)
    claim = granted(store, claimed(store, at), at, 3)

    ledger.hand_back(store, claim, 2, [(claim.items[0], SENT)], at)

    assert ["sent", "uncertain", "planned"] == states(store)


def test_a_batch_may_be_handed_back_until_later(store: Store, at: datetime) -> None:
    released(store, 3, at)

    ledger.hand_back(store, claimed(store, at), 0, [], at, not_before=at + timedelta(minutes=5))

    assert ledger.claim(store, "me", at) is None
    assert 3 == len(claimed(store, at + timedelta(minutes=5)).items)


def test_who_was_taken_ahead_and_not_handed_over_is_offered_again(store: Store, at: datetime) -> None:
    """The first was answered, the second was lost on the way, the third built and never sent."""
    released(store, 6, at)
    claim = granted(store, claimed(store, at), at, 5)

    assert ledger.hand_back(store, claim, 4, [(claim.items[0], SENT)], at, "box", left=[2, 3])

    assert ["sent", "uncertain", "planned", "planned", "planned", "planned"] == states(store)
    assert [2, 3, 4, 5] == [item.ord for item in claimed(store, at, "other").items]


def flowing(store: Store, at: datetime) -> Claim:
    """Two windows of two; of the first only one answer has come, and it came with the second's grant."""
    claim = granted(store, claimed(store, at), at, 2)
    assert ledger.advance(store, claim, 4, [(claim.items[1], SENT)], at, "box")
    assert ["claimed", "sent", "claimed", "claimed"] == states(store)[:4]
    return claim


def test_an_answer_may_come_a_window_late(store: Store, at: datetime) -> None:
    released(store, 6, at)
    claim = flowing(store, at)

    assert ledger.advance(store, claim, 6, [(claim.items[0], REFUSED), (claim.items[3], SENT)], at, "box")

    assert ["refused", "sent", "claimed", "sent", "claimed", "claimed"] == states(store)
    rest = [(claim.items[place], SENT) for place in (2, 4, 5)]
    assert ledger.finish(store, claim, rest, at, "box")
    assert ["refused", *["sent"] * 5] == states(store)


def test_who_never_got_a_late_answer_is_uncertain_at_the_end(store: Store, at: datetime) -> None:
    released(store, 4, at)
    claim = flowing(store, at)

    assert ledger.finish(store, claim, [(item, SENT) for item in claim.items[2:]], at)

    assert ["uncertain", "sent", "sent", "sent"] == states(store)


def test_an_earlier_window_s_open_item_is_not_lost_by_handing_back(store: Store, at: datetime) -> None:
    released(store, 6, at)
    claim = flowing(store, at)

    assert ledger.hand_back(store, claim, 4, [], at, left=[0])

    assert ["planned", "sent", "uncertain", "uncertain", "planned", "planned"] == states(store)
    assert [0, 4, 5] == [item.ord for item in claimed(store, at, "other").items]


def test_a_pause_while_answers_are_out_loses_none_of_them(store: Store, at: datetime) -> None:
    released(store, 6, at)
    claim = flowing(store, at)
    ledger.set_state(store, "spring", CampaignState.PAUSED, "by hand", at)

    assert not ledger.advance(store, claim, 6, [(claim.items[2], SENT)], at)

    assert ["uncertain", "sent", "sent", "uncertain", "planned", "planned"] == states(store)
    assert ledger.settle(store, claim.items[0], SENT, at)
    assert ledger.settle(store, claim.items[3], Outcome(state=MessageState.DEFERRED, reason="taken_over"), at)
    assert ["sent", "sent", "sent", "deferred", "planned", "planned"] == states(store)


def test_answers_are_recorded_with_the_way_they_came_by(store: Store, at: datetime) -> None:
    """Before a batch goes on over another transport, a grant of nothing more records what the first one did."""
    released(store, 4, at)
    claim = granted(store, claimed(store, at), at, 2)

    assert ledger.advance(store, claim, 2, [(claim.items[0], SENT)], at, "first")
    assert ["sent", "claimed", "planned", "planned"] == states(store)
    assert ledger.advance(store, claim, 4, [(claim.items[1], SENT)], at, "second")

    with store.read() as db:
        assert ["first", "second"] == list(db.scalars(sa.select(attempt.c.transport).order_by(attempt.c.message_id)))


def test_an_ending_may_bring_its_own_digest_and_time(store: Store, at: datetime) -> None:
    released(store, 2, at)
    claim = granted(store, claimed(store, at), at, 2)
    later = at + timedelta(seconds=7)
    own, plain = ledger.Ended(claim.items[0], SENT, "d0", later), ledger.Ended(claim.items[1], SENT)

    assert ledger.finish(store, claim, [own, plain], at)

    with store.read() as db:
        rows = db.execute(sa.select(message.c.digest, message.c.sent_at).order_by(message.c.n)).all()
    assert [("d0", later), ("", at)] == [tuple(row) for row in rows]


def test_a_batch_handed_back_at_its_end_is_done(store: Store, at: datetime) -> None:
    released(store, 2, at)
    claim = granted(store, claimed(store, at), at, 2)

    ledger.hand_back(store, claim, 2, [(item, SENT) for item in claim.items], at)

    assert ledger.claim(store, "me", at) is None
    with store.read() as db:
        assert "done" == db.scalar(sa.select(batch.c.state))


def test_finishing_loses_nobody_who_was_left_out(store: Store, at: datetime) -> None:
    released(store, 3, at)
    claim = granted(store, claimed(store, at), at, 2)

    ledger.finish(store, claim, [(claim.items[0], SENT)], at)

    assert ["sent", "uncertain", "planned"] == states(store)
    assert [2] == [item.ord for item in claimed(store, at).items]


def test_who_has_no_address_any_more_is_skipped_at_the_claim(store: Store, at: datetime) -> None:
    plan_id = released(store, 3, at)
    with store.write() as db:
        db.execute(sa.update(contact).where(contact.c.email == "p1@shop.test").values(email=None))

    assert [0, 2] == [item.ord for item in claimed(store, at).items]

    assert {"no_address": 1} == ledger.counts(store, plan_id)["skipped_by"]


def test_a_batch_of_erased_people_only_is_done(store: Store, at: datetime) -> None:
    plan_id = released(store, 3, at)
    with store.write() as db:
        db.execute(sa.update(contact).values(email=None))

    assert ledger.claim(store, "me", at) is None

    assert {"no_address": 3} == ledger.counts(store, plan_id)["skipped_by"]
    assert [] == ledger.due(store, at)


def test_each_message_is_sent_at_the_time_of_its_own_answer(store: Store, at: datetime) -> None:
    released(store, 2, at)
    claim = granted(store, claimed(store, at), at, 2)
    times = [at + timedelta(seconds=3), at + timedelta(seconds=9)]
    done = [(item, replace(SENT, at=time)) for item, time in zip(claim.items, times, strict=True)]

    ledger.finish(store, claim, done, at + timedelta(minutes=5))

    with store.read() as db:
        assert times == list(db.scalars(sa.select(message.c.sent_at).order_by(message.c.n)))
        assert times == list(db.scalars(sa.select(attempt.c.at).order_by(attempt.c.message_id)))


def test_the_campaign_with_the_higher_priority_goes_first(store: Store, at: datetime) -> None:
    (one,) = people(store, 1, at)
    for name, priority in (("newsletter", 0), ("recall", 5), ("offer", 2)):
        header = ledger.PlanHeader(campaign=name, occurrence="once", at=at, definition={"priority": priority})
        plan_id = ledger.freeze(store, header, [entry(one, send_at=at)])
        ledger.release(store, plan_id, at, KEYS)

    assert ["recall", "offer", "newsletter"] == [claimed(store, at).campaign for _ in range(3)]

"""Counts that add up, what is due, one person's history, and who was drawn into which arm."""

from datetime import datetime, timedelta

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
)

from engine import ledger
from engine.ledger import Assignment
from engine.model import CampaignState, EntryState, Hit, HitKind, MessageState, Outcome, PlanState, Verdict
from engine.store import Store

TOTALS = ("waiting", "claimed", "sent", "refused", "deferred", "skipped", "uncertain")


def test_counts_name_every_state_and_add_up(store: Store, at: datetime) -> None:
    plan_id = released(store, 9, at)
    claim = ledger.claim(store, "me", at)
    assert claim is not None
    granted(store, claim, at, 7)
    ends = [SENT, SENT, REFUSED, DEFERRED, UNCERTAIN, ledger.skip("opted_out")]
    ledger.advance(store, claim, 7, list(zip(claim.items, ends, strict=False)), at)

    counts = ledger.counts(store, plan_id)

    assert {
        "messages": 9,
        "waiting": 2,
        "claimed": 1,
        "sent": 2,
        "refused": 1,
        "deferred": 1,
        "skipped": 1,
        "uncertain": 1,
        "refused_by": {"unknown_address": 1},
        "skipped_by": {"opted_out": 1},
    } == counts
    assert 9 == sum(v for k, v in counts.items() if k in TOTALS and isinstance(v, int))


def test_an_unreleased_plan_has_no_messages(store: Store, at: datetime) -> None:
    plan_id = drafted(store, [entry(one) for one in people(store, 2, at)], at)

    assert 0 == ledger.counts(store, plan_id)["messages"]


def test_what_is_due_says_how_much_and_since_when(store: Store, at: datetime) -> None:
    ids = people(store, 5, at)
    hours = [at, at, at + timedelta(hours=1), at + timedelta(hours=1), at + timedelta(hours=5)]
    plan_id = drafted(store, [entry(one, send_at=hour) for one, hour in zip(ids, hours, strict=True)], at)
    ledger.release(store, plan_id, at, KEYS)
    now = at + timedelta(hours=2)

    (due,) = ledger.due(store, now)

    assert (plan_id, "spring", "once", 2, 4, at) == (
        due.plan_id,
        due.campaign,
        due.occurrence,
        due.batches,
        due.messages,
        due.since,
    )
    assert at + timedelta(hours=5) == ledger.next_due(store, now)
    assert ledger.next_due(store, at + timedelta(hours=5)) is None


def test_what_a_living_sender_holds_is_not_due_and_what_a_lost_one_left_is(store: Store, at: datetime) -> None:
    released(store, 5, at)
    claim = ledger.claim(store, "me", at)
    assert claim is not None
    granted(store, claim, at, 2)
    assert [] == ledger.due(store, at)

    let_lease_run_out(store)

    assert [3] == [one.messages for one in ledger.due(store, at)]


def test_a_paused_campaign_has_nothing_due(store: Store, at: datetime) -> None:
    plan_id = released(store, 2, at)
    ledger.set_state(store, "spring", CampaignState.PAUSED, "", at)

    assert [] == ledger.due(store, at)
    assert ledger.next_due(store, at - timedelta(hours=1)) is None

    ledger.set_state(store, "spring", CampaignState.RUNNING, "", at)
    assert [plan_id] == [one.plan_id for one in ledger.due(store, at)]


def test_plans_are_listed_newest_first_by_campaign_and_state(store: Store, at: datetime) -> None:
    ids = people(store, 1, at)
    first, second, third = (
        drafted(store, [entry(one) for one in ids], at, campaign=name, occurrence=str(number))
        for number, name in enumerate(["spring", "autumn", "spring"])
    )
    ledger.release(store, first, at, KEYS)

    assert [third, second, first] == [one.id for one in ledger.plans_of(store)]
    assert [third, first] == [one.id for one in ledger.plans_of(store, "spring")]
    assert [first] == [one.id for one in ledger.plans_of(store, "spring", PlanState.RELEASED)]


def test_a_message_is_found_by_its_delivery_id_with_what_links_need(store: Store, at: datetime) -> None:
    ids = people(store, 1, at)
    plan_id = drafted(store, [entry(ids[0], context={"url": "https://shop.test/a"}, tracked=True)], at)
    ledger.release(store, plan_id, at, KEYS)
    (delivery_id,) = send_all(store, at)

    found = ledger.message_by_delivery(store, delivery_id)

    assert found is not None
    assert ("spring", "once", plan_id, 0, ids[0], "a") == (
        found.campaign,
        found.occurrence,
        found.plan_id,
        found.n,
        found.contact_id,
        found.variant,
    )
    assert ("t1", "en", True, {"url": "https://shop.test/a"}) == (
        found.template_hash,
        found.language,
        found.tracked,
        found.context,
    )
    assert (MessageState.SENT, at) == (found.state, found.sent_at)
    assert ledger.message_by_delivery(store, "nobody") is None


def test_everybody_drawn_is_in_her_arm_whatever_became_of_her(store: Store, at: datetime) -> None:
    ids = people(store, 6, at)
    hour = at + timedelta(hours=1)
    entries = [
        entry(ids[0], variant="a", send_at=hour),
        entry(ids[1], variant="b", send_at=hour),
        entry(ids[2], variant="b", send_at=hour),
        entry(ids[3], state=EntryState.HOLDOUT, variant="", send_at=hour),
        entry(ids[4], state=EntryState.SKIPPED, reason="minor", variant=""),
        entry(ids[5], state=EntryState.HOLDOUT, variant=""),
    ]
    other = drafted(store, entries, at, occurrence="draft")
    plan_id = drafted(store, entries, at)
    ledger.release(store, plan_id, at, KEYS)
    ends = {ids[0]: SENT, ids[1]: ledger.skip("opted_out"), ids[2]: SENT}
    first, second = send_all(store, hour, lambda item: ends[item.contact_id])
    human, machine = Verdict.HUMAN, Verdict.MACHINE
    opened = [Hit(kind=HitKind.OPEN, delivery_id=first, site=-1, occurrence=0, at=hour) for _ in range(3)]
    clicked = [Hit(kind=HitKind.CLICK, delivery_id=first, site=1, occurrence=0, at=hour) for _ in range(2)]
    verdicts = [human, machine, None, human, human]
    ledger.add_hits(store, [(f"s{i}", one, verdicts[i], "") for i, one in enumerate([*opened, *clicked])])
    ledger.add_bounce(store, second, hour, {})

    rows = list(ledger.assignments(store, "spring", "once"))

    nothing = {"bounced": False, "human_opens": 0, "human_clicks": 0, "all_opens": 0, "all_clicks": 0}
    held = {"arm": "holdout", "state": "holdout", "reason": "", "sent_at": None, **nothing}
    sent = {"state": "sent", "reason": "", "planned_at": hour, "sent_at": hour, **nothing}
    hits = {"human_opens": 1, "human_clicks": 2, "all_opens": 3, "all_clicks": 2}
    skipped = {"state": "skipped", "reason": "opted_out", "sent_at": None}
    assert [
        Assignment(**{"contact_id": ids[0], "arm": "a", **sent, **hits}),
        Assignment(**{"contact_id": ids[1], "arm": "b", **sent, **skipped}),
        Assignment(**{"contact_id": ids[2], "arm": "b", **sent, "bounced": True}),
        Assignment(**{"contact_id": ids[3], "planned_at": hour, **held}),
        Assignment(**{"contact_id": ids[5], "planned_at": at, **held}),
    ] == rows
    assert rows == list(ledger.assignments(store, "spring"))
    assert [] == list(ledger.assignments(store, "spring", "draft"))
    assert PlanState.DRAFT == ledger.plan_of(store, other).state


def test_a_person_s_history_tells_plan_attempts_and_what_came_back(store: Store, at: datetime) -> None:
    ids = people(store, 2, at)
    plan_id = drafted(store, [entry(one) for one in ids], at)
    ledger.release(store, plan_id, at, KEYS)
    _, mine = send_all(store, at, lambda _: DEFERRED)
    later = at + timedelta(hours=1)
    ledger.retry_deferred(store, plan_id, later)
    send_all(store, later)
    ledger.add_hits(
        store,
        [("s1", Hit(kind=HitKind.CLICK, delivery_id=mine, site=4, occurrence=0, at=later), Verdict.HUMAN, "calm")],
    )
    ledger.add_bounce(store, mine, later + timedelta(minutes=1), {})
    skipped = drafted(
        store, [entry(ids[1], state=EntryState.SKIPPED, reason="capped", detail="3 in 7 days")], at, campaign="autumn"
    )

    newest, oldest = ledger.history(store, ids[1])

    assert (skipped, "autumn", PlanState.DRAFT, EntryState.SKIPPED, "capped", "3 in 7 days", None) == (
        newest.plan_id,
        newest.campaign,
        newest.plan_state,
        newest.state,
        newest.reason,
        newest.detail,
        newest.message,
    )
    message = oldest.message
    assert message is not None
    assert (mine, MessageState.SENT, later) == (message.delivery_id, message.state, message.sent_at)
    assert [(1, "deferred", "451 later", "box", at), (2, "sent", "250 ok", "box", later)] == [
        (one.n, one.state, one.reply, one.transport, one.at) for one in message.attempts
    ]
    assert [("click", 4, Verdict.HUMAN, "calm"), ("bounce", -1, None, "")] == [
        (one.kind, one.site, one.verdict, one.why) for one in message.responses
    ]
    assert [oldest] == ledger.history(store, ids[1], "spring")
    assert [] == ledger.history(store, 999)


def test_assignments_of_more_than_a_chunk_are_streamed(store: Store, at: datetime) -> None:
    released(store, 1100, at)

    rows = ledger.assignments(store, "spring")

    assert "planned" == next(rows).state
    assert 1099 == sum(1 for _ in rows)


def test_a_refusal_keeps_its_reason(store: Store, at: datetime) -> None:
    released(store, 1, at)
    send_all(store, at, lambda _: Outcome(state=MessageState.REFUSED, reason="blocked"))

    assert ["blocked"] == [one.reason for one in ledger.assignments(store, "spring")]

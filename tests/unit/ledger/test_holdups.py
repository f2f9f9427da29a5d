"""What keeps messages from going out: holds, caps, rates, broken transports, and the hours of retries."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
import sqlalchemy as sa
from ledger_steps import DEFERRED, KEYS, drafted, entry, people, released, send_all

from engine import ledger
from engine.ledger import Claim, PaceLimit
from engine.model import CampaignState, PlanEntry
from engine.store import Store
from engine.store.tables import contact

BY = {"": "relay"}  # campaigns that name no transport go over this one
HOUR = timedelta(hours=1)


def two_destinations(store: Store, at: datetime, later: timedelta = timedelta(0)) -> int:
    """60 messages to shop.test, and 60 to slow.test whose hour may come later."""
    ids = people(store, 120, at)
    with store.write() as db:
        db.execute(sa.update(contact).where(contact.c.id.in_(ids[60:])).values(email="x@slow.test"))
    entries: list[PlanEntry] = [entry(one, send_at=at) for one in ids[:60]]
    entries += [entry(one, send_at=at + later) for one in ids[60:]]
    plan_id = drafted(store, entries, at)
    ledger.release(store, plan_id, at, KEYS, destination_of=lambda domain: domain.partition(".")[0])
    return plan_id


def claims(store: Store, at: datetime, owner: str = "me", **how: object) -> list[Claim]:
    found = []
    while claim := ledger.claim(store, owner, at, **how):  # type: ignore[arg-type]
        found.append(claim)
    return found


def test_a_held_destination_stops_nobody_else(store: Store, at: datetime) -> None:
    two_destinations(store, at)
    ledger.hold(store, "relay/slow", 3600, "421 not now")

    (claim,) = claims(store, at, via=BY)

    assert ("shop", 60) == (claim.destination, len(claim.items))
    assert "421 not now" == claim.restraints["relay/slow"].why
    (held,) = ledger.holdups(store, at, via=BY)
    assert ("held", "relay", "slow", "421 not now", 60) == (
        held.kind,
        held.transport,
        held.destination,
        held.why,
        held.messages,
    )
    assert held.until is not None
    assert abs(held.until - (at + HOUR)) < timedelta(seconds=5)


def test_a_held_transport_stops_all_that_goes_over_it_and_a_backup_is_free(store: Store, at: datetime) -> None:
    two_destinations(store, at)
    ledger.hold(store, "relay", 3600, "blocked")

    assert [] == claims(store, at, via=BY)
    assert [120] == [one.messages for one in ledger.holdups(store, at, via=BY)]

    assert 2 == len(claims(store, at, via={"": "spare"}))


def test_a_sender_may_leave_scopes_out_itself(store: Store, at: datetime) -> None:
    two_destinations(store, at)

    assert ["slow"] == [one.destination for one in claims(store, at, via=BY, shut=["relay/shop"])]
    assert [] == claims(store, at, via=BY, shut=["relay"])


def test_a_campaign_that_names_a_transport_is_held_by_that_name(store: Store, at: datetime) -> None:
    ids = people(store, 2, at)
    for name in ("relay", "spare"):
        header = ledger.PlanHeader(campaign=name, occurrence="once", at=at, definition={"transport": name})
        ledger.release(store, ledger.freeze(store, header, [entry(one) for one in ids]), at, KEYS)
    ledger.hold(store, "relay", 3600, "blocked")

    assert ["spare"] == [one.campaign for one in claims(store, at)]


def test_a_lost_batch_of_a_held_destination_is_sorted_out_and_waits(store: Store, at: datetime) -> None:
    two_destinations(store, at)
    lost = [one for one in claims(store, at, via=BY) if one.destination == "slow"]
    ledger.advance(store, lost[0], 10, [], at)
    ledger.hold(store, "relay/slow", 3600, "421 not now")

    again = claims(store, at, "other", via=BY, is_dead=lambda owner: owner == "me")

    assert "slow" not in [one.destination for one in again]
    assert [50] == [one.messages for one in ledger.holdups(store, at, via=BY)]


def test_what_is_not_due_before_the_hold_ends_is_not_held_up(store: Store, at: datetime) -> None:
    two_destinations(store, at, later=timedelta(minutes=90))
    ledger.hold(store, "relay/slow", 3600, "421 not now")

    assert [] == ledger.holdups(store, at, via=BY)
    assert [60] == [one.messages for one in ledger.holdups(store, at + HOUR, via=BY)]


def test_a_paused_campaign_is_held_up_by_nothing_but_its_pause(store: Store, at: datetime) -> None:
    two_destinations(store, at)
    ledger.hold(store, "relay", 3600, "blocked")
    ledger.set_state(store, "spring", CampaignState.PAUSED, "by hand", at)

    assert [] == ledger.holdups(store, at, via=BY)


def test_a_used_up_day_holds_the_rest_back_until_it_ends(store: Store, at: datetime) -> None:
    plan_id = two_destinations(store, at)
    ledger.lease(store, [PaceLimit(scope="relay", daily=50)], 50, date(2026, 3, 1), 7200)

    (held,) = ledger.holdups(store, at, plan_id, via=BY)

    assert ("daily", "all 50 messages of today are out", 120) == (held.kind, held.why, held.messages)
    assert held.until is not None
    assert abs(held.until - (at + 2 * HOUR)) < timedelta(seconds=5)


def test_a_rate_tells_when_it_will_be_through(store: Store, at: datetime) -> None:
    two_destinations(store, at)
    ledger.lease(store, [PaceLimit(scope="relay", rate=2)], 1, date(2026, 3, 1), 7200)

    (held,) = ledger.holdups(store, at, via=BY)

    assert ("rate", "2 messages a second") == (held.kind, held.why)
    assert at + timedelta(minutes=1) == held.until


@pytest.mark.parametrize(
    ("rate", "said"),
    [(0.25, "0.25 messages a second"), (1500, "1,500 messages a second"), (1e-300, "1e-300 messages a second")],
)
def test_a_rate_is_told_as_people_read_it_with_an_end_that_anybody_will_see(
    store: Store, at: datetime, rate: float, said: str
) -> None:
    two_destinations(store, at)
    ledger.lease(store, [PaceLimit(scope="relay", rate=rate)], 1, date(2026, 3, 1), 7200)

    (held,) = ledger.holdups(store, at, via=BY)

    assert (said, rate < 0.01) == (held.why, held.until is None)


def test_a_transport_that_nobody_reaches_holds_its_messages_up(store: Store, at: datetime) -> None:
    two_destinations(store, at)
    ledger.note_failure(store, "relay", "no answer", at_once=True)

    (held,) = ledger.holdups(store, at, via=BY)

    assert ("unreachable", "relay", "no answer", 120) == (held.kind, held.transport, held.why, held.messages)


def test_deferred_messages_wait_for_the_hour_of_their_next_try(store: Store, at: datetime) -> None:
    plan_id = released(store, 3, at)
    send_all(store, at, lambda _: replace(DEFERRED, reason="greylisted", retry_at=at + HOUR))

    (held,) = ledger.holdups(store, at, plan_id)

    assert ("retry", "put off: greylisted", at + HOUR, 3) == (held.kind, held.why, held.until, held.messages)
    assert [] == ledger.holdups(store, at, plan_id + 1)


@pytest.mark.parametrize("domain", ["", "elsewhere.test"])
def test_who_is_too_few_for_an_own_batch_shares_a_mixed_one(store: Store, at: datetime, domain: str) -> None:
    plan_id = drafted(store, [entry(one) for one in people(store, 49, at)], at)
    ledger.release(store, plan_id, at, KEYS, destination_of=lambda _: domain or "shop.test")

    assert [""] == [one.destination for one in claims(store, at)]


def test_domains_of_one_group_count_together(store: Store, at: datetime) -> None:
    ids = people(store, 60, at)
    with store.write() as db:
        db.execute(sa.update(contact).where(contact.c.id.in_(ids[:30])).values(email="x@Web.DE"))
    plan_id = drafted(store, [entry(one) for one in ids], at)

    ledger.release(store, plan_id, at, KEYS, destination_of=lambda domain: "gmx" if domain else "")

    assert [("gmx", 60)] == [(one.destination, len(one.items)) for one in claims(store, at)]
    assert plan_id


def test_a_release_that_was_cut_off_is_finished_by_destination(store: Store, at: datetime) -> None:
    plan_id = drafted(store, [entry(one) for one in people(store, 100, at)], at)

    def cut_off(done: int, _total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.release(store, plan_id, at, KEYS, chunk=30, progress=cut_off, destination_of=lambda _: "shop")

    ledger.finish_releases(store, KEYS, chunk=30, destination_of=lambda _: "shop")

    found = claims(store, at)
    assert {"shop"} == {one.destination for one in found}
    assert 100 == sum(len(one.items) for one in found)

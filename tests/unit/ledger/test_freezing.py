"""Plans are frozen as drafts, read as they were frozen, and forgotten when they must be."""

import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from ledger_steps import KEYS, drafted, entry, people, send_all

from engine import ledger
from engine.errors import Refused, UnknownPlan
from engine.ledger.freezing import canonical, unpacked
from engine.model import EntryState, PlanEntry, PlanState, SkipReason
from engine.store import Store
from engine.store.tables import plan, plan_entry


def test_a_plan_reads_back_as_it_was_frozen(store: Store, at: datetime) -> None:
    first, second, third = people(store, 3, at)
    entries = [
        entry(first, context={"z": "ä", "a": [1, 2.5, None]}, tracked=True, send_at=at),
        entry(second, state=EntryState.HOLDOUT, variant="", context={}, send_at=at + timedelta(hours=1)),
        entry(third, state=EntryState.SKIPPED, reason="missing_data", detail="city is missing", context={}),
    ]

    plan_id = drafted(store, entries, at)

    emails = ["p0@shop.test", "p1@shop.test", "p2@shop.test"]
    expected = [replace(one, email=email) for one, email in zip(entries, emails, strict=True)]
    found = list(ledger.entries_of(store, plan_id))
    assert expected == [one.entry for one in found]
    assert [0, 1, 2] == [one.n for one in found]


def test_the_summary_is_counted_while_freezing_and_may_be_added_to(store: Store, at: datetime) -> None:
    ids = people(store, 5, at)
    entries = [
        entry(ids[0], variant="a"),
        entry(ids[1], variant="b"),
        entry(ids[2], variant="b"),
        entry(ids[3], state=EntryState.HOLDOUT),
        entry(ids[4], state=EntryState.SKIPPED, reason=SkipReason.MINOR),
    ]
    header = ledger.PlanHeader(campaign="spring", occurrence="once", at=at, definition={})

    plan_id = ledger.freeze(store, header, entries, lambda seen: {**seen, "detectable": 0.2})

    assert {
        "audience": 5,
        "messages": 3,
        "holdout": 1,
        "skipped": {"minor": 1},
        "variants": {"a": 1, "b": 2},
        "detectable": 0.2,
    } == ledger.plan_of(store, plan_id).summary


def test_more_than_one_chunk_is_read_in_order_and_by_state(sqlite_store: Store, at: datetime) -> None:
    ids = people(sqlite_store, 1203, at)
    entries = [entry(one, state=EntryState.HOLDOUT if one % 3 == 0 else EntryState.MESSAGE) for one in ids]
    seen: list[tuple[int, int | None]] = []
    header = ledger.PlanHeader(campaign="spring", occurrence="once", at=at, definition={})

    plan_id = ledger.freeze(
        sqlite_store, header, iter(entries), progress=lambda done, total: seen.append((done, total))
    )

    assert [(500, None), (1000, None), (1203, None)] == seen
    assert ids == [one.entry.contact_id for one in ledger.entries_of(sqlite_store, plan_id)]
    held_out = [one.entry.contact_id for one in ledger.entries_of(sqlite_store, plan_id, EntryState.HOLDOUT)]
    assert [one for one in ids if one % 3 == 0] == held_out


def test_the_hash_is_that_of_the_content_whatever_the_number(store: Store, at: datetime) -> None:
    ids = people(store, 2, at)
    entries = [entry(one, context={"a": 1, "b": 2}) for one in ids]
    other_order = [entry(one, context={"b": 2, "a": 1}) for one in ids]
    changed = [entries[0], entry(ids[1], context={"a": 1, "b": 3})]

    hashes = [ledger.plan_of(store, drafted(store, some, at)).hash for some in (entries, other_order, changed)]

    assert hashes[0] == hashes[1]
    assert hashes[0] != hashes[2]
    assert 64 == len(hashes[0])


def test_every_field_of_an_entry_changes_the_hash(sqlite_store: Store, at: datetime) -> None:
    (one,) = people(sqlite_store, 1, at)
    changes: list[dict[str, object]] = [
        {},
        {"state": EntryState.HOLDOUT},
        {"reason": "x"},
        {"detail": "x"},
        {"variant": "x"},
        {"language": "fi"},
        {"template_hash": "x"},
        {"send_at": at},
        {"tracked": True},
        {"context": {}},
    ]

    hashes = {
        ledger.plan_of(sqlite_store, drafted(sqlite_store, [entry(one, **change)], at)).hash for change in changes
    }

    assert len(changes) == len(hashes)


def test_a_plan_cut_off_while_freezing_is_no_plan_to_release(store: Store, at: datetime) -> None:
    ids = people(store, 600, at)

    def cut_off() -> Iterator[PlanEntry]:
        for place, one in enumerate(ids):
            if place == 550:
                raise KeyboardInterrupt
            yield entry(one)

    with pytest.raises(KeyboardInterrupt):
        ledger.freeze(store, ledger.PlanHeader(campaign="spring", occurrence="once", at=at, definition={}), cut_off())

    (left,) = ledger.plans_of(store)
    assert (False, PlanState.DRAFT) == (left.frozen, left.state)
    with pytest.raises(Refused, match="not complete"):
        ledger.release(store, left.id, at, KEYS)


def test_an_unknown_plan_is_named(store: Store) -> None:
    with pytest.raises(UnknownPlan, match="no plan 77"):
        ledger.plan_of(store, 77)


def test_templates_are_kept_by_hash_and_may_be_saved_again(store: Store) -> None:
    ledger.save_templates(store, {"h1": b"one", "h2": b"two"})
    ledger.save_templates(store, {"h1": b"one", "h3": b"three"})

    assert [b"one", b"two", b"three", None] == [ledger.template(store, key) for key in ("h1", "h2", "h3", "h4")]


def test_digests_of_the_dry_run_reach_the_items_of_a_claim(store: Store, at: datetime) -> None:
    plan_id = drafted(store, [entry(one) for one in people(store, 3, at)], at)

    ledger.save_digests(store, plan_id, {0: "d0", 2: "d2"})

    assert ["d0", "", "d2"] == [one.digest for one in ledger.entries_of(store, plan_id)]
    ledger.release(store, plan_id, at, KEYS)
    claim = ledger.claim(store, "me", at)
    assert claim is not None
    assert ["d0", "", "d2"] == [item.digest for item in claim.items]


def test_drafts_are_purged_after_seven_days_and_released_plans_never(store: Store, at: datetime) -> None:
    ids = people(store, 3, at)
    old = at - timedelta(days=7, seconds=1)
    gone = drafted(store, [entry(one) for one in ids], old, occurrence="gone")
    kept = drafted(store, [entry(one) for one in ids], old + timedelta(seconds=2), occurrence="kept")
    sent = drafted(store, [entry(one) for one in ids], old, occurrence="sent")
    ledger.release(store, sent, at, KEYS)

    assert 1 == ledger.purge_drafts(store, at)

    assert [sent, kept] == [one.id for one in ledger.plans_of(store)]
    with store.read() as db:
        assert 0 == db.scalar(sa.select(sa.func.count()).where(plan_entry.c.plan_id == gone))


def test_a_draft_whose_release_was_cut_off_is_not_purged(store: Store, at: datetime) -> None:
    old = at - timedelta(days=30)
    plan_id = drafted(store, [entry(one) for one in people(store, 3, at)], old)

    def cut_off(_done: int, _total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.release(store, plan_id, at, KEYS, chunk=1, progress=cut_off)

    assert 0 == ledger.purge_drafts(store, at)
    assert [plan_id] == ledger.finish_releases(store, KEYS)


def test_a_cancelled_plan_sends_nothing_more(store: Store, at: datetime) -> None:
    plan_id = drafted(store, [entry(one) for one in people(store, 30, at)], at)
    ledger.release(store, plan_id, at, KEYS, chunk=10)

    assert 30 == ledger.cancel(store, plan_id)

    assert ledger.claim(store, "me", at) is None
    assert {"cancelled": 30} == ledger.counts(store, plan_id)["skipped_by"]
    assert 0 == ledger.cancel(store, plan_id)
    with pytest.raises(Refused, match="cancelled"):
        ledger.release(store, drafted_and_cancelled(store, at), at, KEYS)


def drafted_and_cancelled(store: Store, at: datetime) -> int:
    plan_id = drafted(store, [], at, occurrence="other")
    ledger.cancel(store, plan_id)
    return plan_id


def test_a_plan_cancelled_under_a_sender_gets_no_other_window(store: Store, at: datetime) -> None:
    plan_id = drafted(store, [entry(one) for one in people(store, 30, at)], at)
    ledger.release(store, plan_id, at, KEYS)
    claim = ledger.claim(store, "me", at)
    assert claim is not None
    assert ledger.advance(store, claim, 10, [], at)

    assert 20 == ledger.cancel(store, plan_id)

    done = [(item, ledger.skip("opted_out")) for item in claim.items[:10]]
    assert not ledger.advance(store, claim, 20, done, at)
    assert {"cancelled": 20, "opted_out": 10} == ledger.counts(store, plan_id)["skipped_by"]
    assert ledger.claim(store, "other", at) is None


def test_a_plan_can_not_be_cancelled_while_it_is_being_released(store: Store, at: datetime) -> None:
    plan_id = drafted(store, [entry(one) for one in people(store, 2, at)], at)

    def in_the_middle(_done: int, _total: int | None) -> None:
        with pytest.raises(Refused, match="being released"):
            ledger.cancel(store, plan_id)

    ledger.release(store, plan_id, at, KEYS, chunk=1, progress=in_the_middle)

    assert PlanState.RELEASED == ledger.plan_of(store, plan_id).state


def test_erasure_empties_what_plans_froze_of_a_person_and_nobody_is_mailed_from_nothing(
    store: Store, at: datetime
) -> None:
    ids = people(store, 3, at)
    plan_id = drafted(store, [entry(one, detail="said") for one in ids], at)
    ledger.release(store, plan_id, at, KEYS)

    with store.write() as db:
        ledger.forget_contact(db, KEYS, ids[1], at)

    found = list(ledger.entries_of(store, plan_id))
    assert [True, False, True] == [bool(one.entry.context) for one in found]
    assert ["said", "", "said"] == [one.entry.detail for one in found]
    assert 2 == len(send_all(store, at))
    assert {"expired": 1} == ledger.counts(store, plan_id)["skipped_by"]


def test_contexts_are_dropped_when_the_window_is_over_and_the_digests_stay(sqlite_store: Store, at: datetime) -> None:
    plan_id = drafted(sqlite_store, [entry(one) for one in people(sqlite_store, 700, at)], at)
    ledger.save_digests(sqlite_store, plan_id, {0: "d0"})

    ledger.drop_contexts(sqlite_store, plan_id)

    with sqlite_store.read() as db:
        assert 0 == db.scalar(sa.select(sa.func.count()).where(plan_entry.c.context.is_not(None)))
        assert "d0" == db.scalar(sa.select(plan_entry.c.digest).where(plan_entry.c.n == 0))
        assert 1 == db.scalar(sa.select(sa.func.count()).select_from(plan))


_JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda some: st.lists(some, max_size=4) | st.dictionaries(st.text(max_size=8), some, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8), _JSON_VALUES, max_size=5))
def test_a_context_is_unpacked_to_what_was_frozen_to_the_last_digit(context: dict[str, object]) -> None:
    frozen = canonical(context)

    found = unpacked(zlib.compress(frozen))

    assert context == found
    assert frozen == canonical(found)

"""How does a mail of a journey get into the ledger? As one more entry of a plan that stands released for a month.

A journey's mails come up one by one. Those of one step, version and month hang on a plan that is released before its
first entry; entries, messages and a batch are added under a lock on it, in the transaction that moves the enrolments.
Who comes by again within the month, and what comes up after the plan was cancelled, goes to the month's next plan.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from engine.ledger import prepared
from engine.ledger.freezing import canonical, packed
from engine.ledger.recording import add_batch
from engine.ledger.releasing import OWN_BATCHES
from engine.links import Keys
from engine.model import CampaignState, EntryState, MessageState, PlanEntry, PlanState, frozen
from engine.store import Store, among, to_micros
from engine.store.tables import campaign, message, plan, plan_entry, release

_MOST_PLANS = 1000  # of one step in one month


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingPlan:
    """What a journey's mails of one step hang on. `campaign` is `JOURNEY/STEP`, `month` is `vN/YYYY-MM`."""

    campaign: str
    month: str
    definition: Mapping[str, Any] = field(hash=False, compare=False)


@frozen
class Dispatch:
    """One mail of one enrolment, planned: the occurrence is `ENROLMENT/VISIT`, which no other mail has."""

    plan: StandingPlan
    occurrence: str
    entry: PlanEntry
    delivery_id: str
    packed: bytes | None  # the context, compressed
    sealed: bytes  # what the plan's hash covers


def dispatch(plan: StandingPlan, occurrence: str, entry: PlanEntry, keys: Keys) -> Dispatch:
    """All that can be computed before the database is locked."""
    context = canonical(entry.context)
    is_message = entry.state is EntryState.MESSAGE
    send_at = None if entry.send_at is None else to_micros(entry.send_at)
    said = [occurrence, entry.contact_id, entry.state, entry.reason, entry.detail, entry.variant, entry.language]
    return Dispatch(
        plan=plan,
        occurrence=occurrence,
        entry=entry,
        delivery_id=keys.delivery_id(plan.campaign, occurrence, entry.contact_id) if is_message else "",
        packed=packed(context) if is_message else None,
        sealed=canonical([*said, entry.template_hash, send_at, entry.tracked]) + context + b"\n",
    )


def append(
    db: sa.Connection, store: Store, wanted: Sequence[Dispatch], at: datetime, destination_of: Callable[[str], str]
) -> None:
    """Add them to their plans; what is there already stays as it is. Plans are locked in one order for everybody."""
    by_plan: dict[StandingPlan, list[Dispatch]] = defaultdict(list)
    for one in wanted:
        by_plan[one.plan].append(one)
    for standing in sorted(by_plan, key=lambda one: (one.campaign, one.month)):
        left = by_plan[standing]
        for number in range(1, _MOST_PLANS):
            row = _locked_plan(db, store, standing, number, at)
            if row.state == PlanState.RELEASED:
                left = _appended(db, store, row, left, destination_of)
            if not left:
                break


def _locked_plan(db: sa.Connection, store: Store, standing: StandingPlan, number: int, at: datetime) -> Any:
    """The month's plan of this number, made where it is missing."""
    occurrence = standing.month if number == 1 else f"{standing.month}/{number}"
    key = {"campaign": standing.campaign, "occurrence": occurrence}
    wanted = (
        sa.select(plan.c.id, plan.c.state, plan.c.summary, plan.c.hash, plan.c.campaign)
        .join(release, release.c.plan_id == plan.c.id)
        .where(release.c.campaign == standing.campaign, release.c.occurrence == occurrence)
        .with_for_update(of=plan)
    )
    row = db.execute(wanted).first()
    if row is not None:
        return row
    new = {
        **key,
        "state": PlanState.RELEASED,
        "frozen": True,
        "at": at,
        "definition": dict(standing.definition),
        "summary": {"audience": 0, "messages": 0, "holdout": 0, "skipped": {}, "variants": {}},
        "hash": "",
        "released_at": at,
        "priority": int(standing.definition.get("priority", 0)),
    }
    plan_id = db.execute(sa.insert(plan).values(new).returning(plan.c.id)).scalar_one()
    claim = store.insert(release).values(**key, plan_id=plan_id, at=at, ready=True).on_conflict_do_nothing()
    if db.execute(claim.returning(release.c.plan_id)).first() is None:  # another was faster
        db.execute(sa.delete(plan).where(plan.c.id == plan_id))
    running = {"name": standing.campaign, "state": CampaignState.RUNNING, "at": at}
    db.execute(store.insert(campaign).values(running).on_conflict_do_nothing())
    return db.execute(wanted).one()


def _appended(
    db: sa.Connection, store: Store, row: Any, some: Sequence[Dispatch], destination_of: Callable[[str], str]
) -> list[Dispatch]:
    """Gives those for whom there is no place: an entry of the same contact is there."""
    mine = plan_entry.c.plan_id == row.id
    ids = {one.entry.contact_id for one in some}
    taken = set(db.scalars(sa.select(plan_entry.c.contact_id).where(mine, among(plan_entry.c.contact_id, ids))))
    last = db.scalar(sa.select(sa.func.max(plan_entry.c.n)).where(mine))
    n = 0 if last is None else last + 1
    here: list[tuple[int, Dispatch]] = []
    left: list[Dispatch] = []
    for one in some:
        if one.entry.contact_id in taken:
            left.append(one)
            continue
        taken.add(one.entry.contact_id)
        here.append((n + len(here), one))
    if here:
        prepared.run(db, store, _ADD_ENTRY, _ENTRY, [_entry_row(row.id, place, one) for place, one in here])
        _add_messages(db, store, row.id, here, destination_of)
        _count(db, row, [one for _, one in here])
    return left


_ENTRY = (
    *("plan_id", "n", "contact_id", "state", "reason", "detail", "variant", "language", "template_hash", "send_at"),
    *("tracked", "context"),
)
_ADD_ENTRY = sa.insert(plan_entry).values({name: sa.bindparam(name) for name in _ENTRY})
_MESSAGE = ("campaign", "occurrence", "contact_id", "plan_id", "n", "delivery_id", "variant", "state", "send_at")


@lru_cache(maxsize=2)
def _add_message(is_sqlite: bool) -> sa.Insert:
    insert = sqlite.insert(message) if is_sqlite else postgresql.insert(message)
    return insert.values({name: sa.bindparam(name) for name in _MESSAGE}).on_conflict_do_nothing()


def _entry_row(plan_id: int, n: int, one: Dispatch) -> tuple[Any, ...]:
    entry = one.entry
    texts = (str(entry.reason), entry.detail, entry.variant, entry.language, entry.template_hash)
    send_at = None if entry.send_at is None else to_micros(entry.send_at)
    return (plan_id, n, entry.contact_id, entry.state.value, *texts, send_at, entry.tracked, one.packed)


def _add_messages(
    db: sa.Connection,
    store: Store,
    plan_id: int,
    here: Sequence[tuple[int, Dispatch]],
    destination_of: Callable[[str], str],
) -> None:
    """A message each, and batches by hour and destination: one with few messages shares a batch with others."""
    rows = [
        (
            *(one.plan.campaign, one.occurrence, one.entry.contact_id, plan_id, n, one.delivery_id, one.entry.variant),
            *(MessageState.PLANNED.value, to_micros(one.entry.send_at)),
        )
        for n, one in here
        if one.entry.state is EntryState.MESSAGE and one.entry.send_at is not None
    ]
    if not rows:
        return
    prepared.run(db, store, _add_message(store.is_sqlite), _MESSAGE, rows)
    written = [one.delivery_id for _, one in here if one.delivery_id]
    # By the unique key alone: with the plan in the question PostgreSQL reads all that hangs on it.
    mine = sa.select(message.c.n, message.c.id, message.c.plan_id).where(among(message.c.delivery_id, written))
    ids = {n: message_id for n, message_id, of_plan in db.execute(mine) if of_plan == plan_id}
    where = {n: destination_of((one.entry.email or "").rpartition("@")[2].lower()) for n, one in here}
    often = {name for name, number in Counter(where[n] for n in ids).items() if name and number >= OWN_BATCHES}
    batches: dict[tuple[datetime, str], list[tuple[int, int]]] = defaultdict(list)
    for n, one in here:
        if n in ids and one.entry.send_at is not None:
            batches[one.entry.send_at, where[n] if where[n] in often else ""].append((ids[n], 1))
    for (hour, destination), items in sorted(batches.items()):
        add_batch(db, store, plan_id, hour, items, destination)


def _count(db: sa.Connection, row: Any, new: Sequence[Dispatch]) -> None:
    """The plan's sums and its hash go on with it."""
    states = Counter(one.entry.state for one in new)
    skipped = Counter(str(one.entry.reason) for one in new if one.entry.state is EntryState.SKIPPED)
    variants = Counter(one.entry.variant for one in new if one.entry.state is EntryState.MESSAGE)
    before = row.summary
    summary = {
        **before,
        "audience": before["audience"] + len(new),
        "messages": before["messages"] + states[EntryState.MESSAGE],
        "holdout": before["holdout"] + states[EntryState.HOLDOUT],
        "skipped": dict(sorted((Counter(before["skipped"]) + skipped).items())),
        "variants": dict(sorted((Counter(before["variants"]) + variants).items())),
    }
    seal = hashlib.sha256(row.hash.encode())
    for one in new:
        seal.update(one.sealed)
    db.execute(sa.update(plan).where(plan.c.id == row.id).values(summary=summary, hash=seal.hexdigest()))

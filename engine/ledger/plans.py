"""What do plans say? Reading them, cancelling them, and forgetting what need not be kept; they never change."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from engine.errors import Refused, UnknownPlan
from engine.ledger import prepared
from engine.ledger.chunking import CHUNK, write_in_turn
from engine.ledger.freezing import unpacked
from engine.ledger.rows import Row
from engine.model import EntryState, MessageState, PlanEntry, PlanState, SkipReason
from engine.store import Store, from_micros
from engine.store.tables import contact, message, plan, plan_entry, release

DRAFTS_KEPT = timedelta(days=7)

_STATES = {one.value: one for one in EntryState}
_ENTRIES = (
    sa.select(
        plan_entry.c.n,
        plan_entry.c.digest,
        plan_entry.c.context,
        plan_entry.c.send_at,
        plan_entry.c.state,
        plan_entry.c.tracked,
        plan_entry.c.contact_id,
        contact.c.email,
        plan_entry.c.reason,
        plan_entry.c.detail,
        plan_entry.c.variant,
        plan_entry.c.language,
        plan_entry.c.template_hash,
    )
    .join(contact, contact.c.id == plan_entry.c.contact_id)
    .where(plan_entry.c.plan_id == sa.bindparam("plan"), plan_entry.c.n > sa.bindparam("after"))
    .order_by(plan_entry.c.n)
    .limit(sa.literal_column(str(CHUNK)))
    .offset(sa.literal_column("0"))  # SQLite's dialect would ask for it as a value
)
_ENTRIES_IN_STATE = _ENTRIES.where(plan_entry.c.state == sa.bindparam("state"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan as it stands in the ledger, without its entries."""

    id: int
    campaign: str
    occurrence: str
    state: PlanState
    frozen: bool  # False: its entries are still being written, or the writing was cut off
    at: datetime
    definition: Mapping[str, Any]
    summary: Mapping[str, Any]
    hash: str
    released_at: datetime | None
    priority: int
    brake_base: Mapping[str, int] | None  # what the brake had counted when somebody last took it off


class FrozenEntry(NamedTuple):
    """A plan's entry in its place: `digest` is that of the mail the dry run showed, or empty."""

    n: int
    entry: PlanEntry
    digest: str


def plan_of(store: Store, plan_id: int) -> Plan:
    """The plan with this number, or UnknownPlan."""
    with store.read() as db:
        row = db.execute(sa.select(plan).where(plan.c.id == plan_id)).first()
    if row is None:
        raise UnknownPlan(f"there is no plan {plan_id}; `mailer plan CAMPAIGN` makes one and prints its number")
    return _plan(row)


def plans_of(store: Store, campaign: str | None = None, state: PlanState | None = None) -> list[Plan]:
    """All plans, newest first; of one campaign, in one state."""
    wanted = sa.select(plan).order_by(plan.c.id.desc())
    if campaign is not None:
        wanted = wanted.where(plan.c.campaign == campaign)
    if state is not None:
        wanted = wanted.where(plan.c.state == state)
    with store.read() as db:
        return [_plan(row) for row in db.execute(wanted)]


def entries_of(store: Store, plan_id: int, state: EntryState | None = None) -> Iterator[FrozenEntry]:
    """The plan's entries in order, read a chunk at a time, with the address that each contact has now."""
    query, asked = (_ENTRIES, ("plan", "after")) if state is None else (_ENTRIES_IN_STATE, ("plan", "after", "state"))
    after = -1
    while True:
        with store.read() as db:
            values = (plan_id, after) if state is None else (plan_id, after, state.value)
            rows = prepared.ask(db, store, query, asked, values)
        yield from map(_frozen_entry, rows)
        if len(rows) < CHUNK:
            return
        after = rows[-1][0]


def cancel(store: Store, plan_id: int) -> int:
    """Nothing more of this plan goes out; gives the number of messages that were still to go.

    A sender in the middle of a window ends that window and is given no other. Refused while it is being released.
    """
    with store.write() as db:
        changed = sa.update(plan).where(plan.c.id == plan_id, plan.c.state != PlanState.CANCELLED)
        found = db.execute(changed.values(state=PlanState.CANCELLED)).rowcount
        # Asked after the row is locked: a release takes the same lock before it writes its first row.
        if db.scalar(sa.select(release.c.plan_id).where(release.c.plan_id == plan_id, ~release.c.ready)) is not None:
            raise Refused(f"plan {plan_id} is being released; `mailer resume {plan_id}` completes that, then cancel it")
    if not found:
        plan_of(store, plan_id)  # raises when there is none; cancelling twice is no fault
    return _skip_waiting(store, plan_id)


def purge_drafts(store: Store, at: datetime) -> int:
    """Delete drafts made for a moment more than 7 days before `at`, cut-off ones too; gives their number."""
    old = sa.select(plan.c.id).where(plan.c.state == PlanState.DRAFT, plan.c.at < at - DRAFTS_KEPT)
    with store.read() as db:
        doomed = list(db.scalars(old))
    return sum(_purge(store, one) for one in doomed)


def drop_contexts(store: Store, plan_id: int) -> None:
    """Forget the frozen contexts of a plan whose window is over; the digests stay."""
    some = (
        sa.select(plan_entry.c.n).where(plan_entry.c.plan_id == plan_id, plan_entry.c.context.is_not(None)).limit(CHUNK)
    )
    drop = sa.update(plan_entry).where(plan_entry.c.plan_id == plan_id, plan_entry.c.n.in_(some)).values(context=None)
    while True:
        with write_in_turn(store) as db:
            if not db.execute(drop).rowcount:
                return


def _plan(row: Row) -> Plan:
    return Plan(**{**row._mapping, "state": PlanState(row.state)})


def _frozen_entry(row: Sequence[Any]) -> FrozenEntry:
    n, digest, packed, send_at, state, tracked, contact_id, email, reason, detail, variant, language, version = row
    entry = PlanEntry(
        contact_id=contact_id,
        email=email,
        state=_STATES[state],
        reason=reason,
        detail=detail,
        variant=variant,
        language=language,
        template_hash=version,
        send_at=None if send_at is None else _moment(send_at),
        tracked=bool(tracked),
        context=unpacked(packed) or {},
    )
    return FrozenEntry(n, entry, digest)


@lru_cache(maxsize=4096)
def _moment(micros: int) -> datetime:
    """Most of a plan's mails share their hour."""
    return from_micros(micros)


def _skip_waiting(store: Store, plan_id: int) -> int:
    waiting = message.c.state.in_([MessageState.PLANNED, MessageState.DEFERRED])
    some = sa.select(message.c.id).where(message.c.plan_id == plan_id, waiting).limit(CHUNK)
    drop = sa.update(message).where(message.c.id.in_(some), waiting)
    count = 0
    while True:
        with write_in_turn(store) as db:
            skipped = {"state": MessageState.SKIPPED, "reason": SkipReason.CANCELLED, "retry_at": None}
            dropped = db.execute(drop.values(skipped)).rowcount
        if not dropped:
            return count
        count += dropped


def _purge(store: Store, plan_id: int) -> bool:
    """Entries first, in chunks; a draft that somebody released meanwhile is left alone."""
    still_draft = sa.select(plan.c.id).where(plan.c.id == plan_id, plan.c.state == PlanState.DRAFT).with_for_update()
    in_release = sa.select(release.c.plan_id).where(release.c.plan_id == plan_id)
    some = sa.select(plan_entry.c.n).where(plan_entry.c.plan_id == plan_id).limit(CHUNK)
    entries = sa.delete(plan_entry).where(plan_entry.c.plan_id == plan_id, plan_entry.c.n.in_(some))
    while True:
        with write_in_turn(store) as db:
            # In this order: a release takes the same lock before it writes its first row.
            if db.scalar(still_draft) is None or db.scalar(in_release) is not None:
                return False
            db.execute(sa.update(plan).where(plan.c.id == plan_id).values(frozen=False))  # not to be released now
            if not db.execute(entries).rowcount:
                db.execute(sa.delete(plan).where(plan.c.id == plan_id))
                return True

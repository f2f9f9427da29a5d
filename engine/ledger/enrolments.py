"""Who is in which journey? `enrol` lets in, `wake` calls somebody up before her hour.

The table's own keys decide every race: nobody is inside the same journey twice at once, and nobody comes the n-th time
twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from engine.ledger.rows import Row
from engine.model import CampaignState, EnrolmentState, frozen
from engine.store import Store, among, chunks, from_micros, to_micros
from engine.store.columns import UtcTime
from engine.store.tables import enrolment, journey

ENROL_AT_ONCE = 200  # newcomers a write transaction
# Who is inside an ended journey goes on to her own end; nobody new comes in.
GO_ON = (CampaignState.RUNNING, CampaignState.ENDED)

# A paused journey holds its timers, but not its goal: whom something happens to meanwhile stands here, before all due
# ones, so that she is found without a look at those.
WOKEN = datetime(1970, 1, 1, tzinfo=UTC)
_CONTACTS_A_QUERY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """Somebody who may come into a journey. `cause` names the event, order or day that brings her; it does so once."""

    journey: str
    version: int
    contact_id: int
    cause: str
    held_out: bool
    step: str
    since: datetime | None = None  # when what brings her happened: from then on her goal counts; None: now


@frozen
class Enrolment:
    """One contact's way through a journey, as it stands."""

    id: int
    journey: str
    version: int
    contact_id: int
    n: int
    cause: str
    held_out: bool
    state: EnrolmentState
    reason: str
    step: str
    visit: int
    waiting: bool
    entered_at: datetime
    step_at: datetime
    rings_at: datetime
    due_at: datetime | None
    ended_at: datetime | None
    seq: int
    pauses: int


def enrol(store: Store, newcomers: Sequence[Newcomer], at: datetime, reentry: timedelta | None) -> int:
    """Let them in, unless they are inside, came for this cause before, or left too lately; gives how many came in.

    `reentry` is how long after she left somebody may come again; None: never. May be repeated, and done by several.
    """
    return sum(_enrol(store, some, at, reentry) for some in chunks(newcomers, ENROL_AT_ONCE))


def wake(store: Store, contact_ids: Sequence[int], at: datetime) -> int:
    """Something happened to these contacts: look at their enrolments now; gives how many were to ring later."""
    woken = 0
    for some in chunks(sorted(set(contact_ids)), _CONTACTS_A_QUERY):
        mine = (among(enrolment.c.contact_id, some), enrolment.c.state == EnrolmentState.WAITING)
        paused = sa.select(journey.c.name).where(journey.c.state == CampaignState.PAUSED)
        now = sa.update(enrolment).where(*mine, enrolment.c.due_at > at, enrolment.c.journey.not_in(paused))
        # `+ 0`: by the contact, not by the hours of all who are in a paused journey.
        rings_later = sa.type_coerce(enrolment.c.due_at, sa.BigInteger) + 0 > to_micros(WOKEN)
        held = sa.update(enrolment).where(*mine, rings_later, enrolment.c.journey.in_(paused))
        with store.write() as db:
            woken += db.execute(now.values(due_at=at)).rowcount
            woken += db.execute(held.values(due_at=WOKEN)).rowcount
    return woken


def enrolment_from(row: Row) -> Enrolment:
    """The value of a row of `COLUMNS`. One by one: hundreds are read at a time, and a loop takes twice as long."""
    ident, name, version, contact_id, n, cause, held_out, state, reason, step, visit, waiting = row[:12]
    entered_at, step_at, rings_at, due_at, ended_at, seq, pauses = row[12:]
    return Enrolment(
        id=ident,
        journey=name,
        version=version,
        contact_id=contact_id,
        n=n,
        cause=cause,
        held_out=held_out,
        state=_STATES[state],
        reason=reason,
        step=step,
        visit=visit,
        waiting=waiting,
        entered_at=from_micros(entered_at),
        step_at=from_micros(step_at),
        rings_at=from_micros(rings_at),
        due_at=None if due_at is None else from_micros(due_at),
        ended_at=None if ended_at is None else from_micros(ended_at),
        seq=seq,
        pauses=pauses,
    )


_STATES = {one.value: one for one in EnrolmentState}
# Moments as they lie in the table.
COLUMNS = [
    sa.type_coerce(column, sa.BigInteger) if isinstance(column.type, UtcTime) else column
    for column in (enrolment.c[name] for name in Enrolment.__dataclass_fields__)
]

# ---------------------------------------------------------------- in


def _enrol(store: Store, newcomers: Sequence[Newcomer], at: datetime, reentry: timedelta | None) -> int:
    with store.write() as db:
        return let_in(db, store, newcomers, at, reentry)


def let_in(
    db: sa.Connection, store: Store, newcomers: Sequence[Newcomer], at: datetime, reentry: timedelta | None
) -> int:
    """`enrol` as a part of the caller's transaction: at most `ENROL_AT_ONCE`.

    What is read here may be old when it is written on PostgreSQL: then a key says no.
    """
    known = _known(db, newcomers)
    pauses = _pauses(db, {one.journey for one in newcomers})
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for one in newcomers:
        key = one.journey, one.contact_id
        n = _next_number(known.get(key, ()), one.cause, at, reentry)
        if n is not None and key not in rows:
            rows[key] = _row(one, n, at, pauses.get(one.journey, 0))
    if not rows:
        return 0
    insert = store.insert(enrolment).on_conflict_do_nothing().returning(enrolment.c.id)
    return len(db.execute(insert, list(rows.values())).all())


def _known(db: sa.Connection, newcomers: Sequence[Newcomer]) -> dict[tuple[str, int], list[Row]]:
    """How these contacts went through these journeys before."""
    wanted = sa.select(
        enrolment.c.journey,
        enrolment.c.contact_id,
        enrolment.c.n,
        enrolment.c.cause,
        enrolment.c.state,
        enrolment.c.ended_at,
    ).where(
        among(enrolment.c.contact_id, {one.contact_id for one in newcomers}),
        enrolment.c.journey.in_({one.journey for one in newcomers}),
    )
    found: dict[tuple[str, int], list[Row]] = {}
    for row in db.execute(wanted):
        found.setdefault((row.journey, row.contact_id), []).append(row)
    return found


def _next_number(before: Sequence[Row], cause: str, at: datetime, reentry: timedelta | None) -> int | None:
    """Which time this is for her; None when she may not come in."""
    if not before:
        return 1
    last = max(before, key=lambda one: int(one.n))
    if last.state == EnrolmentState.WAITING or reentry is None or last.ended_at is None:
        return None
    if at < last.ended_at + reentry or (cause and any(one.cause == cause for one in before)):
        return None
    return int(last.n) + 1


def _pauses(db: sa.Connection, names: set[str]) -> Mapping[str, int]:
    rows = db.execute(sa.select(journey.c.name, journey.c.pauses).where(journey.c.name.in_(names)))
    return {row.name: row.pauses for row in rows}


def _row(one: Newcomer, n: int, at: datetime, pauses: int) -> dict[str, Any]:
    return {
        "journey": one.journey,
        "version": one.version,
        "contact_id": one.contact_id,
        "n": n,
        "cause": one.cause,
        "held_out": one.held_out,
        "state": EnrolmentState.WAITING,
        "step": one.step,
        "entered_at": one.since or at,
        "step_at": at,
        "rings_at": at,
        "due_at": at,
        "pauses": pauses,
    }

"""Who is in which journey, and whose turn is it? `enrol` lets in, `wake` calls, `claim_enrolments` tells who is due.

The table's own keys decide every race: nobody is inside the same journey twice at once, and nobody comes the n-th time
twice. A claim is a hint that saves work; what makes each step happen once is `write_moves`, which looks at `seq`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from engine.ledger.rows import Query, Row
from engine.model import CampaignState, EnrolmentState
from engine.store import Store, among, chunks, to_micros
from engine.store.tables import enrolment, enrolment_hold, journey, journey_pause

ENROL_AT_ONCE = 200  # newcomers a write transaction
CLAIM_SECONDS = 60.0  # so long a claim is somebody's, by the database's clock
# Who is inside an ended journey goes on to her own end; nobody new comes in.
GO_ON = (CampaignState.RUNNING, CampaignState.ENDED)

# A paused journey holds its timers, but not its goal: whom something happens to meanwhile stands here, before all due
# ones, so that she is found without a look at those.
_WOKEN = datetime(1970, 1, 1, tzinfo=UTC)
_WOKEN_BEFORE = timedelta(minutes=5)  # a pause: who was woken shortly before it and not looked at yet
_CONTACTS_A_QUERY = 500
_LEFT_SECONDS = 600.0  # after its end a hold is nobody's any more
_TRIES = 20  # to get what another had taken a moment before


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


@dataclass(frozen=True, slots=True, kw_only=True)
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
        rings_later = sa.type_coerce(enrolment.c.due_at, sa.BigInteger) + 0 > to_micros(_WOKEN)
        held = sa.update(enrolment).where(*mine, rings_later, enrolment.c.journey.in_(paused))
        with store.write() as db:
            woken += db.execute(now.values(due_at=at)).rowcount
            woken += db.execute(held.values(due_at=_WOKEN)).rowcount
    return woken


def claim_enrolments(store: Store, at: datetime, limit: int = 500) -> list[Enrolment]:
    """Enrolments to be looked at now, ordered by their hour; nobody else gets them for a minute.

    Of a paused journey only those to whom something happened: its goal still ends them. When many journeys have
    somebody due, each gets its share of the `limit`.
    """
    for _ in range(_TRIES):
        if not (queues := _waiting(store, at)):
            break
        if not (mine := _hold(store, queues, limit)):
            continue  # somebody was faster
        still = sa.select(*_COLUMNS).where(
            among(enrolment.c.id, mine), enrolment.c.state == EnrolmentState.WAITING, enrolment.c.due_at <= at
        )
        with store.read() as db:
            found = [enrolment_from(row) for row in db.execute(still)]
        if found:
            return sorted(found, key=lambda one: (one.due_at or at, one.id))
    return []


def enrolment_from(row: Row) -> Enrolment:
    """The value of a row of the columns of `Enrolment`, in their order."""
    values = dict(zip(_NAMES, row, strict=True))
    values["state"] = EnrolmentState(values["state"])
    return Enrolment(**values)


_NAMES = tuple(Enrolment.__dataclass_fields__)
_COLUMNS = [enrolment.c[name] for name in _NAMES]

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


# ---------------------------------------------------------------- due

_Queue = tuple[str, sa.ColumnElement[bool]]  # a journey, and which of its hours count


def _waiting(store: Store, at: datetime) -> list[_Queue]:
    """The queues in which somebody can be claimed, looked up without a lock: an idle ticker makes no writer wait."""
    with store.read() as db:
        now = _now(db, store)
        return [(name, which) for name, which in _queues(db, at) if db.scalar(_free(name, which, now, 1)) is not None]


def _queues(db: sa.Connection, at: datetime) -> list[_Queue]:
    """Of every journey that goes on or is paused."""
    open_pause = (journey_pause.c.journey == journey.c.name) & journey_pause.c.ended_at.is_(None)
    wanted = sa.select(journey.c.name, journey.c.state, journey_pause.c.began_at).outerjoin(journey_pause, open_pause)
    found = []
    for row in db.execute(wanted.where(journey.c.state.in_([*GO_ON, CampaignState.PAUSED])).order_by(journey.c.name)):
        due_at = enrolment.c.due_at
        if row.state in GO_ON:
            found.append((row.name, due_at <= at))
            continue
        found.append((row.name, due_at == _WOKEN))
        if row.began_at is not None:
            just_before = due_at.between(row.began_at - _WOKEN_BEFORE, min(row.began_at, at))
            found.append((row.name, just_before & (due_at < enrolment.c.rings_at)))
    return found


def _hold(store: Store, queues: Sequence[_Queue], limit: int) -> list[int]:
    """Take as many of the queues as the limit allows, each its share; what a killed process held is cleared away."""
    taken: list[int] = []
    with store.write() as db:
        now = _now(db, store)
        db.execute(sa.delete(enrolment_hold).where(enrolment_hold.c.held_until < now - _LEFT_SECONDS))
        for place, (name, which) in enumerate(queues):
            share = -(-(limit - len(taken)) // (len(queues) - place))  # what one leaves goes to the next
            free = _free(name, which, now, share).add_columns(sa.literal(now + CLAIM_SECONDS))
            insert = store.insert(enrolment_hold).from_select(["enrolment_id", "held_until"], free)
            mine = insert.on_conflict_do_update(
                index_elements=["enrolment_id"],
                set_={"held_until": insert.excluded.held_until},
                where=enrolment_hold.c.held_until < now,
            )
            taken += db.scalars(mine.returning(enrolment_hold.c.enrolment_id))
    return taken


def _free(name: str, which: sa.ColumnElement[bool], now: float, limit: int) -> Query:
    held = (enrolment_hold.c.enrolment_id == enrolment.c.id) & (enrolment_hold.c.held_until >= now)
    return (
        sa.select(enrolment.c.id)
        .where(enrolment.c.journey == name, enrolment.c.due_at.is_not(None), which)
        .where(~sa.exists().where(held))
        .order_by(enrolment.c.due_at)
        .limit(limit)
    )


def _now(db: sa.Connection, store: Store) -> float:
    """The database's clock, asked once and not for each row."""
    return float(db.execute(sa.select(store.epoch_now())).scalar_one())

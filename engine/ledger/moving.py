"""How does somebody get from step to step, once? Her move and all that goes with it are one transaction.

A move is written only on the enrolment it was decided on: `seq` is compared under the lock, so that of two who decided
the same move one is dropped, with its mails, tags and calls. What a killed process had decided is decided again.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engine.ledger import prepared
from engine.ledger.enrolments import GO_ON, Enrolment
from engine.ledger.releasing import unsorted
from engine.ledger.standing import Dispatch, append
from engine.model import CampaignState, EnrolmentState, frozen, with_tags
from engine.store import Store, among, to_micros
from engine.store.tables import call, contact, enrolment, enrolment_hold, enrolment_step, journey


@frozen
class StepDone:
    """A step that she passed: `visit` tells it from every other of her enrolment."""

    visit: int
    step: str
    result: str
    leads_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagging:
    """A tag to give to the contact, or to take away."""

    tag: str
    remove: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCall:
    """A webhook to be called; `key` is the same however often it is."""

    key: str
    url: str
    body: Mapping[str, Any]


@frozen
class EnrolmentMove:
    """Where an enrolment is to stand, and what is to happen with it."""

    was: Enrolment  # as it was claimed
    version: int
    state: EnrolmentState
    step: str
    visit: int
    waiting: bool
    step_at: datetime
    rings_at: datetime
    due_at: datetime | None  # None: over
    pauses: int
    reason: str = ""
    ended_at: datetime | None = None
    done: tuple[StepDone, ...] = ()
    mails: tuple[Dispatch, ...] = ()
    tags: tuple[Tagging, ...] = ()
    calls: tuple[NewCall, ...] = ()


def write_moves(
    store: Store,
    moves: Sequence[EnrolmentMove],
    at: datetime,
    *,
    destination_of: Callable[[str], str] = unsorted,
) -> list[EnrolmentMove]:
    """Write those that nobody was faster with, all or none of them; gives them. Some hundreds at most."""
    with store.write() as db:
        seqs = _locked(db, [one.was.id for one in moves])
        stands = _states(db, {one.was.journey for one in moves})
        mine = [one for one in moves if seqs.get(one.was.id) == one.was.seq and _may(one, stands)]
        if not mine:
            return []
        prepared.run(db, store, _MOVE, _MOVED, [_moved(one) for one in mine])
        _add_steps(db, store, mine, at)
        append(db, store, [mail for one in mine for mail in one.mails], at, destination_of)
        _tag(db, mine)
        _add_calls(db, store, mine, at)
        ids = [one.was.id for one in mine]
        db.execute(sa.delete(enrolment_hold).where(among(enrolment_hold.c.enrolment_id, ids)))
    return mine


def _may(one: EnrolmentMove, stands: Mapping[str, str]) -> bool:
    """Whether the journey lets her go on; what does nothing but end or wait is let through while it is paused."""
    state = stands.get(one.was.journey)
    return state in GO_ON or (state == CampaignState.PAUSED and not one.done)


def _locked(db: sa.Connection, ids: Sequence[int]) -> dict[int, int]:
    """In one order for everybody, so that two never wait for each other."""
    wanted = sa.select(enrolment.c.id, enrolment.c.seq).where(
        among(enrolment.c.id, ids), enrolment.c.state == EnrolmentState.WAITING
    )
    return {row.id: row.seq for row in db.execute(wanted.order_by(enrolment.c.id).with_for_update())}


def _states(db: sa.Connection, names: set[str]) -> dict[str, str]:
    """How the journeys stand, until this transaction is over: a pause waits for it."""
    wanted = sa.select(journey.c.name, journey.c.state).where(journey.c.name.in_(names)).order_by(journey.c.name)
    return {row.name: row.state for row in db.execute(wanted.with_for_update(read=True))}


_MOVED = (
    *("to_version", "to_state", "why", "to_step", "to_visit", "is_waiting", "came_at", "ring_at", "look_at"),
    *("over_at", "shifted", "key"),
)
_MOVE = (
    sa.update(enrolment)
    .where(enrolment.c.id == sa.bindparam("key"))
    .values(
        version=sa.bindparam("to_version"),
        state=sa.bindparam("to_state"),
        reason=sa.bindparam("why"),
        step=sa.bindparam("to_step"),
        visit=sa.bindparam("to_visit"),
        waiting=sa.bindparam("is_waiting"),
        step_at=sa.bindparam("came_at"),
        rings_at=sa.bindparam("ring_at"),
        due_at=sa.bindparam("look_at"),
        ended_at=sa.bindparam("over_at"),
        seq=enrolment.c.seq + sa.literal_column("1"),
        pauses=sa.bindparam("shifted"),
    )
)
_DONE = ("enrolment_id", "visit", "journey", "step", "result", "leads_to", "at")
_ADD_STEP = sa.insert(enrolment_step).values({name: sa.bindparam(name) for name in _DONE})


def _moved(one: EnrolmentMove) -> tuple[Any, ...]:
    return (
        one.version,
        one.state.value,
        one.reason,
        one.step,
        one.visit,
        one.waiting,
        to_micros(one.step_at),
        to_micros(one.rings_at),
        None if one.due_at is None else to_micros(one.due_at),
        None if one.ended_at is None else to_micros(one.ended_at),
        one.pauses,
        one.was.id,
    )


def _add_steps(db: sa.Connection, store: Store, moves: Sequence[EnrolmentMove], at: datetime) -> None:
    when = to_micros(at)
    rows = [
        (one.was.id, done.visit, one.was.journey, done.step, done.result, done.leads_to, when)
        for one in moves
        for done in one.done
    ]
    if rows:
        prepared.run(db, store, _ADD_STEP, _DONE, rows)


def _tag(db: sa.Connection, moves: Sequence[EnrolmentMove]) -> None:
    """Tags in the order of the moves; a contact that has it keeps its place in her list."""
    wanted: dict[int, list[Tagging]] = defaultdict(list)
    for one in moves:
        if one.tags:
            wanted[one.was.contact_id] += one.tags
    if not wanted:
        return
    known = sa.select(contact.c.id, contact.c.tags).where(among(contact.c.id, wanted)).order_by(contact.c.id)
    changed = sa.update(contact).where(contact.c.id == sa.bindparam("key"))
    for row in db.execute(known.with_for_update()).all():
        tags = list(with_tags(row.tags, wanted[row.id]))
        if tags != row.tags:
            db.execute(changed.values(tags=tags, changed=True), {"key": row.id})


def _add_calls(db: sa.Connection, store: Store, moves: Sequence[EnrolmentMove], at: datetime) -> None:
    rows = [
        {"key": each.key, "url": each.url, "body": dict(each.body), "at": at, "due_at": at}
        for one in moves
        for each in one.calls
    ]
    if rows:
        db.execute(store.insert(call).on_conflict_do_nothing(), rows)

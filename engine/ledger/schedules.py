"""Which campaigns come round by themselves, when next, and what was missed? Any number of processes may ask at once.

A schedule only remembers how far it has been seen to. What makes an occurrence happen once is the release of its plan.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engine.ledger.rows import Row
from engine.store import Store
from engine.store.tables import missed, schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A campaign that somebody armed. Every occurrence due up to `seen_until` was released or is in `missed`."""

    campaign: str
    repeat: str
    armed_at: datetime
    seen_until: datetime
    next_due_at: datetime | None
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """Something that should have happened and did not."""

    name: str
    occurrence: str
    due_at: datetime
    at: datetime
    why: str


def arm(store: Store, campaign: str, repeat: str, at: datetime, next_due_at: datetime) -> None:
    """From now on the campaign comes round. Armed anew with the same `repeat` it goes on where it was."""
    fresh = {"repeat": repeat, "armed_at": at, "seen_until": at, "next_due_at": next_due_at, "trouble": ""}
    statement = store.insert(schedule).values(campaign=campaign, **fresh)
    changed = schedule.c.repeat != statement.excluded.repeat
    with store.write() as db:
        db.execute(statement.on_conflict_do_update(index_elements=["campaign"], set_=fresh, where=changed))


def disarm(store: Store, campaign: str) -> bool:
    """It doesn't come round any more; False when it didn't."""
    with store.write() as db:
        return bool(db.execute(sa.delete(schedule).where(schedule.c.campaign == campaign)).rowcount)


def schedules(store: Store) -> list[Schedule]:
    """All that are armed, the next one first."""
    with store.read() as db:
        return [_schedule(row) for row in db.execute(sa.select(schedule).order_by(schedule.c.next_due_at))]


def due_schedules(store: Store, at: datetime) -> list[Schedule]:
    """Those that have an occurrence to run or to miss."""
    with store.read() as db:
        rows = db.execute(sa.select(schedule).where(schedule.c.next_due_at <= at).order_by(schedule.c.next_due_at))
        return [_schedule(row) for row in rows]


def pass_schedule(
    store: Store, one: Schedule, seen_until: datetime, next_due_at: datetime, lost: Iterable[Missed] = ()
) -> None:
    """Every occurrence up to `seen_until` is dealt with; does nothing where somebody armed it anew meanwhile."""
    mine = (schedule.c.campaign == one.campaign, schedule.c.armed_at == one.armed_at)
    seen = sa.update(schedule).where(*mine, schedule.c.seen_until <= seen_until)
    with store.write() as db:
        if db.execute(seen.values(seen_until=seen_until, next_due_at=next_due_at, trouble="")).rowcount:
            write_missed(db, store, lost)


def trouble_with(store: Store, one: Schedule, trouble: str) -> None:
    """The last try to run its occurrence failed; it is tried again as long as it isn't too late."""
    if trouble != one.trouble:
        with store.write() as db:
            mine = sa.update(schedule).where(schedule.c.campaign == one.campaign)
            db.execute(mine.values(trouble=trouble))


def missed_since(store: Store, since: datetime) -> list[Missed]:
    """What was missed since then, the latest first."""
    with store.read() as db:
        rows = db.execute(sa.select(missed).where(missed.c.at >= since).order_by(missed.c.due_at.desc()))
        return [Missed(**row._mapping) for row in rows]


def write_missed(db: sa.Connection, store: Store, lost: Iterable[Missed]) -> None:
    """Write down what was missed, as a part of the caller's transaction; what stands there already stays."""
    rows = [
        {"name": one.name, "occurrence": one.occurrence, "due_at": one.due_at, "at": one.at, "why": one.why}
        for one in lost
    ]
    if rows:
        db.execute(store.insert(missed).on_conflict_do_nothing(), rows)


def _schedule(row: Row) -> Schedule:
    return Schedule(**row._mapping)

"""Which processes of the engine live, and what keeps them from their work? They say so themselves, by the database's
clock.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from engine.store import Store
from engine.store.tables import fact, process

LIVES_SECONDS = 30.0  # without a beat
_FORGOTTEN_SECONDS = 86_400.0  # a killed process can't take its row away itself
_TICK = "last_tick"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One that was heard of within the last 30 seconds."""

    owner: str
    kind: str
    trouble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """The last time that somebody's clock went through all its steps."""

    age_seconds: float
    took_seconds: float


def beat(store: Store, owner: str, kind: str, trouble: str = "") -> None:
    """This process lives; say it every few seconds. Kinds: run, worker, web."""
    seen = {"kind": kind, "seen": store.epoch_now(), "trouble": trouble}
    statement = store.insert(process).values(owner=owner, **seen)
    with store.write() as db:
        db.execute(statement.on_conflict_do_update(index_elements=[process.c.owner], set_=seen))


def leave(store: Store, owner: str) -> None:
    """This process ends in order; whoever has been silent for a day goes with it."""
    silent = process.c.seen < store.epoch_now() - _FORGOTTEN_SECONDS
    with store.write() as db:
        db.execute(sa.delete(process).where((process.c.owner == owner) | silent))


def living(store: Store, kind: str) -> list[str]:
    """The owners of this kind that were heard of within the last 30 seconds."""
    return [one.owner for one in processes(store) if one.kind == kind]


def processes(store: Store) -> list[Process]:
    """All that were heard of within the last 30 seconds."""
    wanted = sa.select(process.c.owner, process.c.kind, process.c.trouble).order_by(process.c.owner)
    with store.read() as db:
        rows = db.execute(wanted.where(process.c.seen >= store.epoch_now() - LIVES_SECONDS)).all()
    return [Process(**row._mapping) for row in rows]


def note_tick(store: Store, took_seconds: float) -> None:
    """All that is to be done every few seconds was done just now."""
    with store.write() as db:
        now = db.scalar(sa.select(store.epoch_now()))
        row = {"name": _TICK, "value": {"at": now, "took": round(took_seconds, 3)}}
        db.execute(store.insert(fact).values(row).on_conflict_do_update(index_elements=["name"], set_=row))


def last_tick(store: Store) -> Tick | None:
    """By the database's clock; None where nobody ever ticked."""
    with store.read() as db:
        row = db.execute(sa.select(fact.c.value, store.epoch_now().label("now")).where(fact.c.name == _TICK)).first()
    return None if row is None else Tick(age_seconds=row.now - row.value["at"], took_seconds=row.value["took"])

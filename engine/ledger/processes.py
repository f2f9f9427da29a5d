"""Which processes of the engine live? They say so themselves; the database's clock decides."""

import sqlalchemy as sa

from engine.store import Store
from engine.store.tables import process

LIVES_SECONDS = 30.0  # without a beat


def beat(store: Store, owner: str, kind: str) -> None:
    """This process lives; say it every few seconds. Kinds: run, worker, web."""
    seen = {"kind": kind, "seen": store.epoch_now()}
    statement = store.insert(process).values(owner=owner, **seen)
    with store.write() as db:
        db.execute(statement.on_conflict_do_update(index_elements=[process.c.owner], set_=seen))


def leave(store: Store, owner: str) -> None:
    """This process ends in order."""
    with store.write() as db:
        db.execute(sa.delete(process).where(process.c.owner == owner))


def living(store: Store, kind: str) -> list[str]:
    """The owners of this kind that were heard of within the last 30 seconds."""
    since = store.epoch_now() - LIVES_SECONDS
    wanted = sa.select(process.c.owner).where(process.c.kind == kind, process.c.seen >= since)
    with store.read() as db:
        return list(db.scalars(wanted.order_by(process.c.owner)))

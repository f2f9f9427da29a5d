"""How far has a journey looked at those who were there when it was published? Once, in chunks, resumable.

Whoever was in its start segment by then is noted as inside, and has not come in. The rules' own texts are part of what
the base was looked at by (`base_of`), so that somebody who edits a segment starts no flood: it is looked at anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from engine.ledger.chunking import write_in_turn
from engine.ledger.enrolments import Newcomer
from engine.ledger.watching import Watch, enrol_within, put_watches
from engine.store import Store, chunks
from engine.store.tables import contact, journey, journey_version, watch

_ROWS_A_WRITE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """How a journey's look at its base stands.

    `of`: the start and rules that it was by. `at`: when the version with this start was published. `until`: the last
    contact who was there by then. `yardstick_at`: of which yardstick the watches are; None where rules don't ask.
    """

    of: str
    at: datetime | None
    until: int
    seen: int
    done: bool
    yardstick_at: datetime | None


def base_of(store: Store, name: str) -> Base:
    """Where the journey's look at its base stands."""
    one = journey.c
    wanted = sa.select(one.base_of, one.base_at, one.base_until, one.base_seen, one.base_done, one.yardstick_at)
    with store.read() as db:
        row = db.execute(wanted.where(one.name == name)).one()
    return Base(
        of=row.base_of,
        at=row.base_at,
        until=row.base_until or 0,
        seen=row.base_seen,
        done=row.base_done,
        yardstick_at=row.yardstick_at,
    )


def begin_base(
    store: Store, name: str, before: Base, of: str, *, reads_sent: bool, yardstick_at: datetime | None
) -> bool:
    """Begin to look at the base by another start or other rules; False when somebody else did so first.

    What stands before the `/` of `of` names the start: with another one, what was seen so far says nothing.
    """
    is_new_start = before.of.partition("/")[0] != of.partition("/")[0]
    everybody = sa.select(sa.func.max(contact.c.id)).scalar_subquery()
    published = sa.select(journey_version.c.at).where(
        journey_version.c.journey == name, journey_version.c.version == journey.c.version
    )
    begun = {
        "base_of": of,
        "base_seen": 0,
        "base_done": False,
        "base_until": everybody,
        "reads_sent": reads_sent,
        "yardstick_at": yardstick_at,
        "base_at": published.scalar_subquery() if is_new_start else journey.c.base_at,
    }
    with store.write() as db:
        first = sa.update(journey).where(journey.c.name == name, journey.c.base_of == before.of)
        return db.execute(first.values(begun)).rowcount == 1


def take_base(
    store: Store,
    name: str,
    base: Base,
    up_to: int,
    rows: Sequence[tuple[int, Watch]],
    newcomers: Sequence[Newcomer] = (),
    *,
    at: datetime,
    reentry: timedelta | None = None,
) -> bool:
    """Everybody of the base beyond those seen and up to the contact `up_to` was looked at: `rows` is what to remember.

    False when somebody else was there first: then nothing was written. `up_to` is the base's last contact at the end.
    """
    mine = (journey.c.base_of == base.of, journey.c.base_seen == base.seen, ~journey.c.base_done)
    values = {"base_seen": up_to, "base_done": up_to >= base.until}
    between = (watch.c.journey == name, watch.c.contact_id > base.seen, watch.c.contact_id <= up_to)
    with write_in_turn(store) as db:
        if not db.execute(sa.update(journey).where(journey.c.name == name, *mine).values(values)).rowcount:
            return False
        db.execute(sa.delete(watch).where(*between))
        for some in chunks(rows, _ROWS_A_WRITE):
            put_watches(db, store, [(name, contact_id, seen) for contact_id, seen in some])
        enrol_within(db, store, newcomers, at, {name: reentry})
    return True


def base_ids(store: Store, base: Base, limit: int) -> list[int]:
    """The next contacts of the base. Who came after the publishing is no part of it, and comes in by herself."""
    there = (contact.c.id > base.seen, contact.c.id <= base.until, contact.c.created_at <= base.at)
    with store.read() as db:
        return list(db.scalars(sa.select(contact.c.id).where(*there).order_by(contact.c.id).limit(limit)))


def insiders(store: Store, name: str) -> set[int]:
    """Whom the journey saw inside when it last looked."""
    with store.read() as db:
        return set(db.scalars(sa.select(watch.c.contact_id).where(watch.c.journey == name, watch.c.inside)))


def set_yardstick(store: Store, name: str, yardstick_at: datetime) -> None:
    """The journey was looked at by this yardstick."""
    with store.write() as db:
        db.execute(sa.update(journey).where(journey.c.name == name).values(yardstick_at=yardstick_at))

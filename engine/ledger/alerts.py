"""Of what was a person told, and of what not yet? One row a cause; any number of processes may look after them.

told_at says that a person believes the cause to be there. So: open and not told (told_at empty, over_at empty), open
and told, over and to be told (told_at set, over_at set), over and told, or over before anybody heard (told_at empty).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from engine.store import Store
from engine.store.tables import alert

_CLAIMED_SECONDS = 120.0  # a process that tells and has not come back by then is taken for dead


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One cause, as it stands."""

    cause: str
    text: str
    began_at: datetime
    told_at: datetime | None
    over_at: datetime | None

    @property
    def is_over(self) -> bool:
        """Whether the cause is gone."""
        return self.over_at is not None


def note_causes(store: Store, causes: Mapping[str, str], at: datetime) -> None:
    """These causes, each with its words, are what somebody should look at now; all others are over."""
    known = {one.cause: one for one in _all(store)}
    new = {cause: text for cause, text in causes.items() if cause not in known}
    back = {cause: text for cause, text in causes.items() if cause in known and known[cause].is_over}
    gone = [cause for cause, one in known.items() if not one.is_over and cause not in causes]
    if not (new or back or gone):
        return
    this = sa.update(alert)
    with store.write() as db:
        for cause, text in new.items():
            row = store.insert(alert).values(cause=cause, text=text, began_at=at)
            db.execute(row.on_conflict_do_nothing())
        for cause, text in back.items():
            # Of whom nobody told that it was over it is the same thing still; for the others it begins anew.
            began = sa.case((alert.c.told_at.is_(None), sa.literal(at, alert.c.began_at.type)), else_=alert.c.began_at)
            db.execute(this.where(alert.c.cause == cause).values(text=text, began_at=began, over_at=None))
        if gone:
            db.execute(this.where(alert.c.cause.in_(gone), alert.c.over_at.is_(None)).values(over_at=at))


def open_alerts(store: Store) -> list[Alert]:
    """What is not over, the oldest first."""
    return [one for one in _all(store) if not one.is_over]


def claim_untold(store: Store, at: datetime, patience: timedelta) -> list[Alert]:
    """What a person should be told now, new or over for as long as `patience`; nobody else tells it meanwhile."""
    free = alert.c.held_until < store.epoch_now()
    is_new = alert.c.told_at.is_(None) & alert.c.over_at.is_(None) & (alert.c.began_at <= at - patience)
    is_over = alert.c.told_at.is_not(None) & (alert.c.over_at <= at - patience)
    wanted = sa.select(*_COLUMNS).where(free, is_new | is_over).order_by(alert.c.began_at, alert.c.cause)
    with store.read() as db:
        if not db.execute(wanted.limit(1)).first():
            return []
    with store.write() as db:
        found = db.execute(wanted.with_for_update(skip_locked=True)).all()
        mine = sa.update(alert).where(alert.c.cause.in_([row.cause for row in found]))
        db.execute(mine.values(held_until=store.epoch_now() + _CLAIMED_SECONDS))
    return [Alert(**row._mapping) for row in found]


def note_told(store: Store, told: Sequence[Alert], at: datetime) -> None:
    """A person heard of these."""
    with store.write() as db:
        for one in told:
            mine = sa.update(alert).where(alert.c.cause == one.cause)
            db.execute(mine.values(told_at=None if one.is_over else at, held_until=0.0))


def note_untold(store: Store, untold: Sequence[Alert], seconds: float) -> None:
    """Nobody could be reached: these are tried again after so many seconds."""
    with store.write() as db:
        mine = sa.update(alert).where(alert.c.cause.in_([one.cause for one in untold]))
        db.execute(mine.values(held_until=store.epoch_now() + seconds))


_COLUMNS = (alert.c.cause, alert.c.text, alert.c.began_at, alert.c.told_at, alert.c.over_at)


def _all(store: Store) -> list[Alert]:
    with store.read() as db:
        return [Alert(**row._mapping) for row in db.execute(sa.select(*_COLUMNS).order_by(alert.c.began_at))]

"""Which webhooks of journeys are to be called, and what came of it? At least once, under the same key each time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engine.ledger.recording import clean
from engine.store import Store
from engine.store.tables import call

_TROUBLE_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A webhook as it stands. `due_at` None: answered, or given up (then `trouble` tells why)."""

    id: int
    key: str
    url: str
    body: Mapping[str, Any]
    at: datetime
    due_at: datetime | None
    tries: int
    trouble: str


def take_call(store: Store, at: datetime, busy_until: datetime) -> Call | None:
    """The call that is due longest, and nobody else's until `busy_until`: it is due again then, should its caller die.

    Its try counts from here.
    """
    first = sa.select(call.c.id).where(call.c.due_at <= at).order_by(call.c.due_at, call.c.id).limit(1)
    with store.read() as db:  # idle tickers make no writer wait
        if db.scalar(first) is None:
            return None
    if not store.is_sqlite:
        first = first.with_for_update(skip_locked=True)
    taken = sa.update(call).where(call.c.id == first.scalar_subquery())
    with store.write() as db:
        row = db.execute(taken.values(due_at=busy_until, tries=call.c.tries + 1).returning(call)).first()
    return None if row is None else Call(**row._mapping)


def answer_call(store: Store, taken: Call, again_at: datetime | None, trouble: str) -> None:
    """It was answered (no trouble), is tried again, or is given up; only if nobody has taken it over meanwhile."""
    mine = (call.c.id == taken.id, call.c.tries == taken.tries)
    values = {"due_at": again_at, "trouble": clean(trouble[:_TROUBLE_CHARS])}
    with store.write() as db:
        db.execute(sa.update(call).where(*mine).values(values))


def troubled_calls(store: Store, since: datetime) -> list[Call]:
    """Calls that fail: those still tried, and those that were given up and belong to a moment since then."""
    failing = (call.c.trouble != "") & (call.c.due_at.is_not(None) | (call.c.at >= since))
    with store.read() as db:
        return [Call(**row._mapping) for row in db.execute(sa.select(call).where(failing).order_by(call.c.id))]

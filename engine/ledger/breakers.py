"""Does a transport get anything through? After some failures in a row nobody tries it for a while; then one does.

closed --3 failures, or a refusal of our login--> open --its time is over--> half open: one sender tries
   ^------------------------- success ---------------------------------------'  '-- failure: open, twice as long
"""

from functools import lru_cache

import sqlalchemy as sa

from engine.ledger.rows import Query, Row
from engine.store import Store
from engine.store.tables import breaker

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"

_FAILURES = 3
_SHORTEST, _LONGEST = 30.0, 900.0  # seconds, doubled by every probe that fails
_PROBE_SECONDS = 120.0  # a prober that has said nothing by then is taken for dead


def breaker_open(store: Store, transport: str) -> str | None:
    """Why this transport should be left alone now; None: use it.

    When its time is over exactly one asker is told to try, until that one says how it went or two minutes pass.
    """
    with store.read() as db:
        row = _row(db, store, transport)
    if row is None or row.state == CLOSED:
        return None
    if row.open_until > row.now:
        return str(row.why)
    probe = sa.update(breaker).where(
        breaker.c.transport == transport, breaker.c.state != CLOSED, breaker.c.open_until <= store.epoch_now()
    )
    with store.write() as db:
        is_mine = db.execute(probe.values(state=HALF_OPEN, open_until=store.epoch_now() + _PROBE_SECONDS)).rowcount
    return None if is_mine else str(row.why)


def note_failure(store: Store, transport: str, why: str, *, at_once: bool = False) -> bool:
    """It let nothing through; True when it is to be left alone from now on.

    `at_once` for what trying again does not mend: a refused login, a wrong certificate.
    """
    with store.write() as db:
        db.execute(store.insert(breaker).values(transport=transport, state=CLOSED).on_conflict_do_nothing())
        row = _row(db, store, transport, lock=True)
        assert row is not None, "it was made above"
        if row.state == OPEN and row.open_until > row.now:
            return True  # somebody who had begun before: it is told already
        failures = row.failures + 1
        opens = at_once or row.state != CLOSED or failures >= _FAILURES
        values = {"failures": failures, "why": why}
        if opens:
            pause = min(_LONGEST, _SHORTEST * 2 ** min(row.opened, 10))
            values |= {"state": OPEN, "opened": row.opened + 1, "open_until": row.now + pause}
        db.execute(sa.update(breaker).where(breaker.c.transport == transport).values(values))
    return opens


def note_success(store: Store, transport: str) -> None:
    """It let something through. Writes only where that is news."""
    with store.read() as db:
        row = _row(db, store, transport)
    if row is None or (row.state == CLOSED and not row.failures):
        return
    with store.write() as db:
        mine = sa.update(breaker).where(breaker.c.transport == transport)
        db.execute(mine.values(state=CLOSED, failures=0, opened=0, open_until=0.0, why=""))


def _row(db: sa.Connection, store: Store, transport: str, lock: bool = False) -> Row | None:
    return db.execute(_asked(store, lock), {"transport": transport}).first()


@lru_cache(maxsize=8)  # asked for every batch
def _asked(store: Store, lock: bool) -> Query:
    wanted = sa.select(breaker, store.epoch_now().label("now")).where(breaker.c.transport == sa.bindparam("transport"))
    return wanted.with_for_update(of=breaker) if lock else wanted

"""How long is a claim of 500 due among millions of enrolments? `python -m benchmarks.enrolments URL [NUMBER]`.

The database must be empty and migrated. Its enrolments lie in the worst order: those due together lie far apart.
"""

import statistics
import sys
import time
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from engine import ledger
from engine.model import CampaignState
from engine.store import Store, open_store, to_micros
from engine.store.tables import enrolment, enrolment_hold

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
JOURNEYS = ("welcome", "winback", "held")  # the last one is paused, with as many due as the others
_DAYS = (1, 2, 5, 10, 20) * 5
_APART_MICROS = 1_555_200  # between two timers of a journey


def main(url: str, number: int = 5_000_000) -> None:
    """Fill the database and print the median, the best and the worst of 25 claims in milliseconds."""
    store = open_store(url)
    _fill(store, number // len(JOURNEYS))
    took = [_claim(store, AT + timedelta(days=day)) for day in _DAYS]
    print(f"{number:,} enrolments: median {statistics.median(took):.1f} ms, {min(took):.1f} to {max(took):.1f}")
    store.close()


def _claim(store: Store, at: datetime) -> float:
    """One claim; afterwards its enrolments are put off, as moves would do."""
    began = time.perf_counter()
    claimed = ledger.claim_enrolments(store, at, 500)
    took = (time.perf_counter() - began) * 1000
    ids = [one.id for one in claimed]
    with store.write() as db:
        later = sa.update(enrolment).where(enrolment.c.id.in_(ids))
        db.execute(later.values(due_at=AT + timedelta(days=1000)))
        db.execute(sa.delete(enrolment_hold))
    return took


def _fill(store: Store, each: int) -> None:
    for name in JOURNEYS:
        ledger.publish(store, name, {"name": name}, "hash", AT)
        ledger.set_journey_state(store, name, CampaignState.RUNNING, "", AT)
    ledger.set_journey_state(store, JOURNEYS[-1], CampaignState.PAUSED, "a bench", AT)
    moment = to_micros(AT)
    numbers = (
        f"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {each}) SELECT i FROM c"
        if store.is_sqlite
        else f"SELECT i::bigint FROM generate_series(1, {each}) AS i"
    )
    due = f"{moment} - 3600000000 + mod(i * 7919, {each}) * {_APART_MICROS}"
    if store.is_sqlite:
        due = f"{moment} - 3600000000 + (i * 7919 % {each}) * {_APART_MICROS}"
    with store.write() as db:
        db.execute(sa.text(f"INSERT INTO contact (id, created_at) SELECT i, {moment} FROM ({numbers}) AS n"))
        for name in JOURNEYS:
            db.execute(
                sa.text(
                    "INSERT INTO enrolment (journey, version, contact_id, n, state, step, entered_at, step_at, "
                    f"rings_at, due_at) SELECT '{name}', 1, i, 1, 'waiting', 'rest', {moment}, {moment}, {due}, {due} "
                    f"FROM ({numbers}) AS n"
                )
            )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))

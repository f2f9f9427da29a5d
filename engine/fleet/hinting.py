"""Who is told of what may be sent? The sweep: every batch that a sender could take is hinted at, again and again.

Every one, not only those whose sender was lost: a worker may die between taking a hint and taking the batch, and nobody
would ever hear of that batch again.
"""

import logging
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from engine import pipeline
from engine.fleet import schema
from engine.ledger import Runnable
from engine.pipeline import Mailer

QUEUE, TASK = "send", "look"

_ONE_AT_A_TIME = 0x6D61696C_02  # a lock's number that nobody else has in this database

log = logging.getLogger("mailer.fleet")


def hint_ready(mailer: Mailer, at: datetime) -> None:
    """Hint at every batch that is due, or whose sender was lost, and that nothing holds back; safe from any process.

    A batch has one hint at a time, however often and by whomever this is called; where somebody else is at it, it
    is left to them. Does nothing on SQLite, and where the hints' tables are missing or may not be written.
    """
    if mailer.store.is_sqlite or schema.fault_of(mailer.store):
        return
    wanted = pipeline.runnable(mailer, at)
    try:
        made = _sweep(mailer, wanted)
    except ProgrammingError as fault:  # no rights: workers look for themselves, and no send fails for want of a hint
        log.warning("not_hinted reason=%r", " ".join(str(fault.orig).split()))
        return
    if made:
        log.info("hinted batches=%s", made)


def _sweep(mailer: Mailer, wanted: Sequence[Runnable]) -> int:
    """Make the hints that are missing, and forget those that mean nothing any more; gives the number of new ones."""
    with mailer.store.write() as db, schema.within(db):
        if not db.scalar(sa.text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME}):
            return 0
        db.execute(_FORGET_ORPHANS, {"queue": QUEUE})
        db.execute(_FORGET_STALE, {"queue": QUEUE, "locks": [_lock(one) for one in wanted]})
        return db.execute(_HINT, _rows(wanted)).rowcount if wanted else 0


def _rows(wanted: Sequence[Runnable]) -> dict[str, object]:
    return {
        "queue": QUEUE,
        "task": TASK,
        "plans": [one.plan_id for one in wanted],
        "batches": [one.batch_id for one in wanted],
        "priorities": [one.priority for one in wanted],
        "locks": [_lock(one) for one in wanted],
    }


def _lock(one: Runnable) -> str:
    """Only one hint of this name waits at any time."""
    return f"{one.plan_id}/{one.batch_id}"


# The worker that had taken it is gone: its row went with its heartbeat.
_FORGET_ORPHANS = sa.text(
    "DELETE FROM procrastinate_jobs WHERE queue_name = :queue AND status = 'doing' AND worker_id IS NULL"
)
# What was sent meanwhile, by a worker that had come for another batch, or is held back now.
_FORGET_STALE = sa.text(
    "DELETE FROM procrastinate_jobs WHERE queue_name = :queue AND status = 'todo'"
    " AND queueing_lock <> ALL (CAST(:locks AS text[]))"
)
# Procrastinate's own way to queue a job fails as a whole where one of many is queued already.
_HINT = sa.text(
    "INSERT INTO procrastinate_jobs (queue_name, task_name, priority, queueing_lock, args)"
    " SELECT :queue, :task, priority, lock, jsonb_build_object('plan', plan, 'batch', batch)"
    " FROM unnest(CAST(:plans AS bigint[]), CAST(:batches AS bigint[]), CAST(:priorities AS int[]),"
    " CAST(:locks AS text[])) AS wanted (plan, batch, priority, lock)"
    " ON CONFLICT (queueing_lock) WHERE status = 'todo' DO NOTHING"
)

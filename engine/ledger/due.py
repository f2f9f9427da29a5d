"""Which enrolments are to be looked at now? `claim_enrolments` takes some of them, for a minute.

A claim is a hint that saves work; what makes each step happen once is `write_moves`, which looks at `seq`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from engine.ledger.enrolments import COLUMNS, GO_ON, WOKEN, Enrolment, enrolment_from
from engine.ledger.rows import Query, Row
from engine.model import CampaignState, EnrolmentState
from engine.store import Store, among, to_micros
from engine.store.tables import enrolment, enrolment_hold, journey, journey_pause

CLAIM_SECONDS = 60.0  # so long a claim is somebody's, by the database's clock
_WOKEN_BEFORE = timedelta(minutes=5)  # a pause: who was woken shortly before it and not looked at yet
_LEFT_SECONDS = 600.0  # after its end a hold is nobody's any more
_TRIES = 20  # to get what another had taken a moment before


class _Queue(NamedTuple):
    """Who is due in a journey between two moments, in microseconds."""

    journey: str
    low: int
    high: int
    only_early: bool = False  # of them those who were to ring later


def claim_enrolments(store: Store, at: datetime, limit: int = 500) -> list[Enrolment]:
    """Enrolments to be looked at now, ordered by their hour; nobody else gets them for a minute.

    Of a paused journey only those to whom something happened: its goal still ends them. When many journeys have
    somebody due, each gets its share of the `limit`.
    """
    for _ in range(_TRIES):
        now, queues = _waiting(store, at)
        if not queues:
            break
        if rows := _taken(store, queues, limit, now, at):  # else somebody was faster
            found = [enrolment_from(row) for row in rows]
            return sorted(found, key=lambda one: (one.due_at or at, one.id))
    return []


def _waiting(store: Store, at: datetime) -> tuple[float, list[_Queue]]:
    """The database's clock, and the queues in which somebody can be claimed.

    Looked up without a lock: an idle ticker makes no writer wait.
    """
    with store.read() as db:
        rows = db.execute(_open_journeys(store)).all()
        queues = [queue for row in rows for queue in _queues(row, at)]
        if not queues:
            return 0.0, []
        now = float(rows[0].now)
        values: dict[str, Any] = {"now": now}
        for place, queue in enumerate(queues):
            values |= _named(queue, f"_{place}")
        is_free = db.execute(_are_free(len(queues)), values).one()
    return now, [queue for queue, free in zip(queues, is_free, strict=True) if free]


def _open_journeys(store: Store) -> Query:
    """Every journey that goes on or is paused."""
    open_pause = (journey_pause.c.journey == journey.c.name) & journey_pause.c.ended_at.is_(None)
    return (
        sa.select(journey.c.name, journey.c.state, journey_pause.c.began_at, store.epoch_now().label("now"))
        .outerjoin(journey_pause, open_pause)
        .where(journey.c.state.in_([*GO_ON, CampaignState.PAUSED]))
        .order_by(journey.c.name)
    )


def _queues(row: Row, at: datetime) -> list[_Queue]:
    woken = to_micros(WOKEN)
    if row.state in GO_ON:
        return [_Queue(row.name, woken, to_micros(at))]
    queues = [_Queue(row.name, woken, woken, only_early=True)]
    if row.began_at is not None:
        began = to_micros(row.began_at - _WOKEN_BEFORE), to_micros(min(row.began_at, at))
        queues.append(_Queue(row.name, *began, only_early=True))
    return queues


def _taken(store: Store, queues: Sequence[_Queue], limit: int, now: float, at: datetime) -> Sequence[Row]:
    """Hold as many of the queues as the limit allows, each its share; gives those who are still due.

    What a killed process held is cleared away.
    """
    insert = _hold(store.is_sqlite)
    taken: list[int] = []
    with store.write() as db:
        db.execute(sa.delete(enrolment_hold).where(enrolment_hold.c.held_until < now - _LEFT_SECONDS))
        for place, queue in enumerate(queues):
            share = -(-(limit - len(taken)) // (len(queues) - place))  # what one leaves goes to the next
            values: dict[str, Any] = {"now": now, "until": now + CLAIM_SECONDS, "share": share}
            taken += db.scalars(insert, values | _named(queue)).all()
        still_due = (enrolment.c.state == EnrolmentState.WAITING, enrolment.c.due_at <= at)
        return db.execute(sa.select(*COLUMNS).where(among(enrolment.c.id, taken), *still_due)).all()


@lru_cache(maxsize=2)
def _hold(is_sqlite: bool) -> Any:
    """Hold the first `share` of a queue `until` then, and tell whom."""
    first = _free().add_columns(sa.bindparam("until", type_=sa.Float)).order_by(enrolment.c.due_at)
    dialect: Any = sqlite if is_sqlite else postgresql
    insert = dialect.insert(enrolment_hold).from_select(
        ["enrolment_id", "held_until"], first.limit(sa.bindparam("share", type_=sa.Integer))
    )
    mine = insert.on_conflict_do_update(
        index_elements=["enrolment_id"],
        set_={"held_until": insert.excluded.held_until},
        where=enrolment_hold.c.held_until < _NOW,
    )
    return mine.returning(enrolment_hold.c.enrolment_id)


@lru_cache(maxsize=64)
def _are_free(queues: int) -> Query:
    """Of so many queues, whether somebody can be claimed in each."""
    return sa.select(*(sa.exists(_free(f"_{place}")).label(f"q{place}") for place in range(queues)))


def _free(place: str = "") -> Query:
    """Those of a queue whom nobody holds; its values come by the names of `_named`."""
    held = (enrolment_hold.c.enrolment_id == enrolment.c.id) & (enrolment_hold.c.held_until >= _NOW)
    moment = sa.type_coerce(enrolment.c.due_at, sa.BigInteger)
    low, high = (sa.bindparam(f"{name}{place}", type_=sa.BigInteger) for name in ("low", "high"))
    only_early = sa.bindparam(f"only_early{place}", type_=sa.Integer)
    return sa.select(enrolment.c.id).where(
        enrolment.c.journey == sa.bindparam(f"journey{place}", type_=sa.Text),
        enrolment.c.due_at.is_not(None),
        moment.between(low, high),
        (only_early == 0) | (enrolment.c.due_at < enrolment.c.rings_at),
        ~sa.exists().where(held),
    )


def _named(queue: _Queue, place: str = "") -> dict[str, Any]:
    return {f"{name}{place}": value for name, value in zip(_Queue._fields, queue, strict=True)}


_NOW = sa.bindparam("now", type_=sa.Float)

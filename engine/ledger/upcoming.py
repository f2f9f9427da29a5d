"""What comes next, and what is late, of journeys? For `status`, alerts and metrics: small looks only.

Whoever looks at what is late sees the 10,000 that wait longest and no more, by the index on `due_at`.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engine.model import CampaignState
from engine.store import Store
from engine.store.tables import call, enrolment, journey

MOST_LATE = 10_000
_WAITING = "waiting"  # an enrolment inside its journey


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyStanding:
    """How a journey stands, and when its next timer rings."""

    journey: str
    state: str
    reason: str
    version: int
    inside: int
    next_timer: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """Steps of a journey, or its webhooks, whose hour has come."""

    name: str
    number: int  # at most MOST_LATE
    since: datetime


def journey_standings(store: Store) -> list[JourneyStanding]:
    """Every published journey, who is inside it, and its next timer."""
    inside = (
        sa.select(sa.func.count())
        .where(enrolment.c.journey == journey.c.name, enrolment.c.state == _WAITING)
        .scalar_subquery()
    )
    wanted = sa.select(journey.c.name, journey.c.state, journey.c.reason, journey.c.version, inside.label("inside"))
    with store.read() as db:
        rows = db.execute(wanted.order_by(journey.c.name)).all()
        timers = _next_timers(db)
    return [
        JourneyStanding(
            journey=row.name,
            state=row.state,
            reason=row.reason,
            version=row.version,
            inside=row.inside,
            next_timer=timers.get(row.name),
        )
        for row in rows
    ]


def paused_journeys(store: Store) -> list[tuple[str, str]]:
    """Name and reason of each journey that stands still."""
    wanted = sa.select(journey.c.name, journey.c.reason).where(journey.c.state == CampaignState.PAUSED)
    with store.read() as db:
        return [(row.name, row.reason) for row in db.execute(wanted.order_by(journey.c.name))]


def overdue_steps(store: Store, until: datetime) -> list[Overdue]:
    """Running journeys with steps that were due by then and nobody has taken."""
    running = sa.select(journey.c.name).where(journey.c.state == CampaignState.RUNNING).order_by(journey.c.name)
    late = sa.select(enrolment.c.journey, enrolment.c.due_at).where(enrolment.c.due_at <= until)
    with store.read() as db:
        names = list(db.scalars(running))
    found = []
    for name in names:  # one after the other, since the index on `due_at` is by journey
        first = late.where(enrolment.c.journey == name).order_by(enrolment.c.due_at).limit(MOST_LATE).subquery()
        found += _overdue(store, first.c.journey, first.c.due_at)
    return found


def overdue_calls(store: Store, until: datetime) -> list[Overdue]:
    """Webhooks of journeys that were due by then and nobody has called."""
    first = sa.select(sa.literal("webhooks").label("name"), call.c.due_at).where(call.c.due_at <= until)
    some = first.order_by(call.c.due_at).limit(MOST_LATE).subquery()
    return _overdue(store, some.c.name, some.c.due_at)


def _overdue(store: Store, name: sa.ColumnElement[str], due_at: sa.ColumnElement[datetime]) -> list[Overdue]:
    wanted = sa.select(name.label("name"), sa.func.count().label("number"), sa.func.min(due_at).label("since"))
    with store.read() as db:
        return [Overdue(**row._mapping) for row in db.execute(wanted.group_by(name).order_by(name))]


def _next_timers(db: sa.Connection) -> dict[str, datetime]:
    """The timer of each journey that rings next."""
    of_it = (enrolment.c.journey == journey.c.name, enrolment.c.due_at.is_not(None))
    first = sa.select(sa.func.min(enrolment.c.due_at)).where(*of_it).scalar_subquery()
    found = db.execute(sa.select(journey.c.name, first.label("rings_at")))
    return {row.name: row.rings_at for row in found if row.rings_at is not None}

"""What did it earn? Everybody as assigned, their orders within the window, arms compared, and what to know."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from engine import analysis, audience, ledger, locale
from engine.analysis import Assigned, Check, Economics, Purchase, Results
from engine.errors import UnknownCampaign
from engine.ledger import Plan
from engine.model import Arm
from engine.pipeline.workspace import Mailer
from engine.store.tables import fact

_HOLDOUT = "holdout"
_SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a report is asked: whom it compares, since when, and for how long their goal counts."""

    name: str
    occurrence: str
    goal: str
    window: timedelta
    people: Sequence[Assigned]  # without `event_at`: it is looked up by the goal
    shares: Mapping[str, float]  # the planned share of each arm, holdout included
    costs: Mapping[str, float] = field(default_factory=dict)  # per conversion, by arm; shop currency, decimal
    notes: Sequence[Check] = ()


def report(mailer: Mailer, name: str, occurrence: str | None, at: datetime) -> Results:
    """The results of a released campaign, as far as orders are known up to `at`."""
    plan = _released(mailer, name, occurrence)
    asked = Question(
        name=plan.campaign,
        occurrence=plan.occurrence,
        goal=plan.definition["goal"],
        window=timedelta(seconds=plan.definition["window"]),
        people=_people(mailer, plan),
        shares=with_holdout(
            {one["name"]: one["share"] for one in plan.definition["variants"]}, plan.definition["holdout"]
        ),
        costs={one["name"]: one["cost_per_conversion"] for one in plan.definition["variants"]},
        notes=_notes(mailer, plan),
    )
    ends = max((one.planned_at for one in asked.people), default=at) + asked.window
    return analysis.results(
        _arms(mailer, asked, at),
        campaign=asked.name,
        occurrence=asked.occurrence,
        currency=mailer.settings.shop.currency,
        orders_until=_orders_until(mailer, at),
        window_ends=ends,
        notes=asked.notes,
    )


def report_going_on(mailer: Mailer, asked: Question, at: datetime) -> Results:
    """The results of what has no end, such as a journey: of those whose window is over, told so that looking every day
    makes no false winner.
    """
    known = _orders_until(mailer, at)
    people = [one for one in asked.people if known is not None and one.planned_at + asked.window <= known]
    through = replace(asked, people=people)
    waiting = len(asked.people) - len(people)
    note = Check(
        name="going on", ok=True, message=f"{waiting} more are inside their window: they count when it is over"
    )
    return analysis.results(
        _arms(mailer, through, at),
        campaign=asked.name,
        occurrence=asked.occurrence,
        currency=mailer.settings.shop.currency,
        orders_until=known,
        window_ends=known,
        notes=[*asked.notes, note, *_simulated_note(mailer)],
        look=analysis.at_any_time,
    )


def _arms(mailer: Mailer, asked: Question, at: datetime) -> list[Arm]:
    return analysis.attribute(
        _with_events(mailer, asked),
        _purchases(mailer, list(asked.people), asked.window, at),
        goal=asked.goal,
        window=asked.window,
        shares=asked.shares,
        economics=Economics(margin=mailer.settings.shop.margin, cost_per_conversion=asked.costs),
    )


def _orders_until(mailer: Mailer, at: datetime) -> datetime | None:
    until = audience.orders_until(mailer.store)
    return min(until, at) if until else None


def with_holdout(shares: Mapping[str, float], holdout: float) -> Mapping[str, float]:
    """The planned share of each arm, those who get nothing included; `shares` are of those who get something."""
    mailed = {name: share * (1 - holdout) for name, share in shares.items()}
    return mailed | ({_HOLDOUT: holdout} if holdout else {})


def report_html(mailer: Mailer, found: Results) -> str:
    """The report as one self-contained page."""
    shop = mailer.settings.shop
    return analysis.to_html(found, lambda amount: locale.money(amount, shop.currency, "en"), _simulated(mailer))


def mark_simulated(mailer: Mailer, how: str) -> None:
    """Say wherever this workspace's results are shown that its people's behaviour is made up."""
    with mailer.store.write() as db:
        row = mailer.store.insert(fact).values(name=_SIMULATED, value=how)
        db.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": how}))


def start_of_yesterday(mailer: Mailer) -> datetime:
    """Midnight, local, of the day before today."""
    today = mailer.clock().astimezone(mailer.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today - timedelta(days=1)).astimezone(UTC)


def overview(mailer: Mailer, since: datetime | None) -> list[dict[str, Any]]:
    """One line for each released plan: where it stands."""
    plans = [
        one for one in ledger.plans_of(mailer.store) if one.released_at and (not since or one.released_at >= since)
    ]
    return [
        {"campaign": one.campaign, "occurrence": one.occurrence, "plan": one.id, "released_at": one.released_at}
        | ledger.counts(mailer.store, one.id)
        for one in plans
    ]


def _released(mailer: Mailer, name: str, occurrence: str | None) -> Plan:
    plans = [
        one
        for one in ledger.plans_of(mailer.store, campaign=name)
        if one.released_at and occurrence in (None, one.occurrence)
    ]
    if not plans:
        mailer.campaign_file(name)  # names the nearest when there is no such campaign at all
        raise UnknownCampaign(f"campaign {name!r} has not been sent yet; `mailer send {name}` does it")
    return max(plans, key=lambda one: one.released_at or one.at)


def _people(mailer: Mailer, plan: Plan) -> list[Assigned]:
    return [
        Assigned(
            contact_id=row.contact_id,
            arm=row.arm,
            planned_at=row.planned_at,
            sent=row.state == "sent",
            bounced=row.bounced,
            human_opens=row.human_opens,
            human_clicks=row.human_clicks,
        )
        for row in ledger.assignments(mailer.store, plan.campaign, plan.occurrence)
    ]


def _with_events(mailer: Mailer, asked: Question) -> Sequence[Assigned]:
    """The people with what they did, where the goal is an event and no order."""
    kind = asked.goal.removeprefix("event:")
    if kind == asked.goal:
        return asked.people
    events = audience.first_events(mailer.store, kind, {one.contact_id: one.planned_at for one in asked.people})
    return [replace(one, event_at=events.get(one.contact_id)) for one in asked.people]


def _purchases(mailer: Mailer, people: list[Assigned], window: timedelta, at: datetime) -> Iterable[Purchase]:
    if not people:
        return []
    first = min(one.planned_at for one in people) - timedelta(days=analysis.COVARIATE_DAYS)
    last = min(max(one.planned_at for one in people) + window, at)
    scale = 10 ** locale.minor_units(mailer.settings.shop.currency)
    rows = audience.purchases(mailer.store, [one.contact_id for one in people], first, last)
    return (
        Purchase(
            contact_id=row.contact_id,
            at=row.at,
            revenue=row.revenue_cents / scale,
            cost=None if row.cost_cents is None else row.cost_cents / scale,
        )
        for row in rows
    )


def _notes(mailer: Mailer, plan: Plan) -> list[Check]:
    counts = ledger.counts(mailer.store, plan.id)
    notes = _simulated_note(mailer)
    if counts["uncertain"]:
        said = f"{counts['uncertain']} messages are uncertain: the answer was lost; they count as not sent"
        notes.append(Check(name="uncertain", ok=False, message=said))
    if counts["waiting"] or counts["claimed"] or counts["deferred"]:
        left = counts["waiting"] + counts["claimed"] + counts["deferred"]
        said = f"{left} messages have not gone out yet; `mailer resume {plan.campaign}` goes on"
        notes.append(Check(name="unsent", ok=False, message=said))
    return notes


def _simulated_note(mailer: Mailer) -> list[Check]:
    simulated = _simulated(mailer)
    return [Check(name="simulated", ok=False, message=simulated)] if simulated else []


def _simulated(mailer: Mailer) -> str:
    with mailer.store.read() as db:
        return str(db.execute(sa.select(fact.c.value).where(fact.c.name == _SIMULATED)).scalar_one_or_none() or "")

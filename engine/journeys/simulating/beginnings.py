"""Who stands where when the simulation begins? Journeys under way, what they saw, and mails that wait, as stored."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from engine import ledger
from engine.campaign import ends_at
from engine.journeys.definition import Journey
from engine.journeys.simulating.her import CLICK, OPEN
from engine.journeys.simulating.inside import Inside
from engine.journeys.simulating.posting import Mail
from engine.journeys.simulating.programme import Programme, Route
from engine.journeys.simulating.walking import Beginning
from engine.journeys.standing import footing, shifted
from engine.journeys.stored import from_json
from engine.ledger import Enrolment, JourneyPause
from engine.model import Campaign, EnrolmentState, HitKind, MessageState, PlanState
from engine.pipeline import Mailer
from engine.store import Store, to_micros
from engine.store.tables import message, plan, watch

_MONTH = timedelta(days=30)
_WAITS = (MessageState.PLANNED, MessageState.DEFERRED)


def read_beginnings(mailer: Mailer, programme: Programme, at: datetime) -> dict[int, Beginning]:
    """By contact; who is not in it begins with nothing, except that running journeys have not seen her inside."""
    found: defaultdict[int, Beginning] = defaultdict(Beginning)
    running = {route.name: route for route in programme.routes if route.version}
    _add_watches(mailer.store, found, running)
    _add_enrolments(mailer.store, found, running, at)
    _add_messages(mailer.store, found, at)
    return found


def _add_watches(store: Store, found: defaultdict[int, Beginning], running: Mapping[str, Route]) -> None:
    inside = sa.select(watch.c.journey, watch.c.contact_id).where(watch.c.inside, watch.c.journey.in_(list(running)))
    seen: defaultdict[int, dict[str, bool]] = defaultdict(dict)
    with store.read() as db:
        for name, contact_id in db.execute(inside):
            seen[contact_id][name] = True
    for contact_id, of in seen.items():
        found[contact_id].seen = of


def _add_enrolments(
    store: Store, found: defaultdict[int, Beginning], running: Mapping[str, Route], at: datetime
) -> None:
    pauses = {name: ledger.pauses_of(store, name) for name in running}
    versions: dict[tuple[str, int], Journey] = {}
    latest: dict[tuple[str, int], Inside] = {}
    ways = ledger.enrolments_in(store, running)
    for one in ways:
        key = (one.journey, one.version)
        if key not in versions:
            versions[key] = from_json(ledger.version_of(store, *key))
        before = latest.get((one.journey, one.contact_id))
        inside = _inside(one, running[one.journey], versions[key], pauses[one.journey])
        inside.causes |= before.causes if before else set()
        latest[one.journey, one.contact_id] = inside
    for (_, contact_id), inside in latest.items():
        found[contact_id].inside.append(inside)
    numbers = {(one.contact_id, one.journey): f"{one.id}/" for one in ways if one.state is EnrolmentState.WAITING}
    _add_answers(store, found, numbers, running, at)


def _inside(one: Enrolment, route: Route, own: Journey, pauses: list[JourneyPause]) -> Inside:
    """Her place, shifted by pauses and moved by a newer version as the live engine would find it."""
    stands = footing(one, shifted(one, pauses), own, route.journey, route.version)
    return Inside(
        route=route,
        journey=route.journey if stands.version == route.version else stands.journey,
        n=one.n,
        held_out=one.held_out,
        place=stands.place,
        state=one.state,
        ended=to_micros(one.ended_at) if one.ended_at is not None else 0,
        causes={one.cause},
        has_moved=one.visit > 0,
    )


def _add_answers(
    store: Store,
    found: defaultdict[int, Beginning],
    numbers: Mapping[tuple[int, str], str],
    running: Mapping[str, Route],
    at: datetime,
) -> None:
    """What those inside did in the mails that they got so far; `numbers`: how these begin, by contact and journey."""
    if not numbers:
        return
    inside = sorted({contact_id for contact_id, _ in numbers})
    for contact_id, answers in ledger.human_answers(store, inside, list(running), at).items():
        clicked: dict[str, int] = {}
        for one in answers:
            name, _, step = one.campaign.partition("/")
            if one.kind is HitKind.CLICK:
                clicked[name] = max(clicked.get(name, 0), to_micros(one.at))
            for each in found[contact_id].inside:
                number = numbers.get((contact_id, name))
                if each.route.name == name and number and one.occurrence.startswith(number):
                    each.answers |= {(step, OPEN)} | ({(step, CLICK)} if one.kind is HitKind.CLICK else set())
        found[contact_id].clicked = clicked


def _add_messages(store: Store, found: defaultdict[int, Beginning], at: datetime) -> None:
    """What went out lately, which the caps count, and what was released and waits for its hour."""
    of = sa.func.coalesce(plan.c.definition["message_class"].as_string(), "marketing")
    went = sa.select(message.c.contact_id, message.c.sent_at, of).join(plan, plan.c.id == message.c.plan_id)
    lately = (message.c.state == MessageState.SENT, message.c.sent_at > at - _MONTH, message.c.sent_at <= at)
    waits = (message.c.state.in_(_WAITS), plan.c.state == PlanState.RELEASED)
    waiting = sa.select(message.c.contact_id, message.c.campaign, message.c.send_at, plan.c.definition, plan.c.at)
    waiting = waiting.join(plan, plan.c.id == message.c.plan_id).where(*waits, message.c.sent_at.is_(None))
    with store.read() as db:
        for contact_id, sent_at, message_class in db.execute(went.where(*lately).order_by(message.c.sent_at)):
            found[contact_id].went.append((to_micros(sent_at), message_class))
        for number, row in enumerate(db.execute(waiting.order_by(message.c.id)), start=1):
            wanted = _campaign(row.campaign, row.definition)
            mail = Mail(
                wanted=wanted,
                seq=-number,
                send_at=row.send_at,
                due=to_micros(row.send_at),
                ends_at=ends_at(wanted, row.send_at),
                planned_at=row.at,
            )
            found[row.contact_id].mails.append(mail)


def _campaign(name: str, definition: Mapping[str, object]) -> Campaign:
    """As much of a frozen definition as a mail needs that only waits to go."""
    late, expires = definition.get("max_lateness"), definition.get("expires")
    return Campaign(
        name=name,
        segment=None,
        where=None,
        exclude=None,
        goal=str(definition["goal"]),
        window=timedelta(seconds=float(str(definition["window"]))),
        holdout=0.0,
        send_at="now",
        variants=(),
        message_class=str(definition.get("message_class", "marketing")),
        priority=int(str(definition.get("priority", 0))),
        max_lateness=timedelta(seconds=float(str(late))) if late is not None else None,
        expires=datetime.fromisoformat(str(expires)) if expires is not None else None,
        transport=str(definition["transport"]) if definition.get("transport") else None,
    )

"""What comes back of a mail? Rates of opening, clicking, opting out, and of buying, from what past mails met.

A shop without a past gets the figures of `TYPICAL`, which weigh as much as `_WEIGHT` mails of its own; each contact's
own clicks count against the shop's rate as if that had been seen in 20 mails to her. What a mail does to buying is
known from holdouts alone: mailed less held out, over all plans and journeys that drew one and whose window is over.
Without a holdout it is nothing, and the forecast says so: an uplift is never invented.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from engine import audience
from engine.journeys.simulating.crowd import DAY, Crowd
from engine.model import EntryState, HitKind, MessageState, PlanState, Verdict
from engine.store import Store
from engine.store.tables import consent, contact, enrolment, hit, journey_version, message, orders, plan, plan_entry

MARKETING, TRANSACTIONAL = "marketing", "transactional"
_WEIGHT = 500.0  # mails of the shop's own that the typical figures weigh as much as
_OWN_WEIGHT = 20.0  # mails to one contact that the shop's rate weighs as much as
_FEWEST = 30  # held out, below which a holdout says nothing
_REGRET = 14 * DAY  # an opt-out within so long after a mail is put down to it
_MOST_PLANS = 50  # the newest ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Of 1 mail handed over. `seen`: how many mails of the shop's own they rest on."""

    opens: float
    clicks: float
    opt_outs: float
    seen: int = 0


TYPICAL: Mapping[str, Rates] = {
    MARKETING: Rates(opens=0.2, clicks=0.02, opt_outs=0.002),
    TRANSACTIONAL: Rates(opens=0.45, clicks=0.05, opt_outs=0.0005),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """More orders (or fewer) of one who was mailed than of one held out, within the window."""

    orders: float
    error: float  # standard error
    held_out: int
    window: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """All that is known of what mails do."""

    rates: Mapping[str, Rates]
    effect: Effect | None  # of one campaign mail; None: no holdout told anything
    by_journey: Mapping[str, Effect] = field(default_factory=dict)  # of being in a journey

    def effect_of(self, journey: str | None) -> Effect | None:
        """A journey's own effect, where it has one; else a campaign's."""
        return self.by_journey.get(journey, self.effect) if journey else self.effect


def fit_answering(store: Store, at: datetime) -> Answering:
    """Learn from every mail so far."""
    known_until = audience.orders_until(store) or at
    return Answering(
        rates=_rates(store, at),
        effect=_campaigns_effect(store, min(at, known_until)),
        by_journey=_journeys_effects(store, min(at, known_until)),
    )


def own_click_rate(crowd: Crowd, place: int, rate: float) -> float:
    """A contact's own rate, held towards the shop's."""
    sent = crowd.sent.number(place)
    clicks = min(sent, crowd.clicks.number(place))
    return (clicks + _OWN_WEIGHT * rate) / (sent + _OWN_WEIGHT)


def _rates(store: Store, at: datetime) -> dict[str, Rates]:
    with store.read() as db:
        class_of = _classes(db)
        sent = _by_plan(db, at)
        seen = _by_plan(db, at, contact.c.tracking_consent.is_(True))
        opened, clicked = (_hits_by_plan(db, at, kind) for kind in (HitKind.OPEN, HitKind.CLICK))
        left = _opt_outs_by_plan(db, at)
    return {
        name: _shrunk(
            typical,
            *(
                sum(number for key, number in counts.items() if class_of.get(key, MARKETING) == name)
                for counts in (sent, seen, opened, clicked, left)
            ),
        )
        for name, typical in TYPICAL.items()
    }


def _shrunk(typical: Rates, sent: int, seen: int, opened: int, clicked: int, left: int) -> Rates:
    return Rates(
        opens=(opened + _WEIGHT * typical.opens) / (seen + _WEIGHT),
        clicks=(clicked + _WEIGHT * typical.clicks) / (seen + _WEIGHT),
        opt_outs=(left + _WEIGHT * typical.opt_outs) / (sent + _WEIGHT),
        seen=sent,
    )


def _classes(db: sa.Connection) -> dict[int, str]:
    rows = db.execute(sa.select(plan.c.id, plan.c.definition).where(plan.c.state != PlanState.DRAFT))
    return {row.id: str(row.definition.get("message_class", MARKETING)) for row in rows}


def _gone_out(at: datetime) -> Sequence[sa.ColumnElement[bool]]:
    return (message.c.state == MessageState.SENT, message.c.sent_at <= at)


def _by_plan(db: sa.Connection, at: datetime, *more: sa.ColumnElement[bool]) -> dict[int, int]:
    query = sa.select(message.c.plan_id, sa.func.count()).join_from(
        message, contact, contact.c.id == message.c.contact_id
    )
    rows = db.execute(query.where(*_gone_out(at), *more).group_by(message.c.plan_id))
    return {row[0]: row[1] for row in rows}


def _hits_by_plan(db: sa.Connection, at: datetime, kind: HitKind) -> dict[int, int]:
    """How many messages of each plan a person opened, or clicked in."""
    hers = sa.and_(hit.c.message_id == message.c.id, hit.c.kind == kind, hit.c.verdict == Verdict.HUMAN)
    query = sa.select(message.c.plan_id, sa.func.count(message.c.id.distinct())).join_from(message, hit, hers)
    rows = db.execute(query.where(*_gone_out(at), hit.c.at <= at).group_by(message.c.plan_id))
    return {row[0]: row[1] for row in rows}


def _opt_outs_by_plan(db: sa.Connection, at: datetime) -> dict[int, int]:
    """Opt-outs soon after a mail; one after two mails counts for both, which is as much as is known."""
    sent_at, said_at = _micros(message.c.sent_at), _micros(consent.c.at)
    no = sa.and_(consent.c.contact_id == message.c.contact_id, consent.c.purpose == "mailing", ~consent.c.given)
    query = sa.select(message.c.plan_id, sa.func.count(message.c.id.distinct())).join_from(message, consent, no)
    soon = sa.and_(said_at >= sent_at, said_at <= sent_at + sa.literal(_REGRET, sa.BigInteger), consent.c.at <= at)
    return {row[0]: row[1] for row in db.execute(query.where(*_gone_out(at), soon).group_by(message.c.plan_id))}


# ---------------------------------------------------------------- what a mail does to buying


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One arm: people, their orders within the window, and the sum of squares of these."""

    people: int
    orders: float
    squares: float

    @property
    def mean(self) -> float:
        return self.orders / self.people

    @property
    def variance(self) -> float:
        """Of the mean; one order is added so that an arm without any is not thought certain."""
        spread = (self.squares + 1) / self.people - self.mean**2
        return max(spread, 1 / self.people) / self.people


def _campaigns_effect(store: Store, until: datetime) -> Effect | None:
    found: list[tuple[tuple[_Side, _Side], timedelta]] = []
    with store.read() as db:
        newest = sa.select(plan.c.id, plan.c.definition).where(plan.c.state == PlanState.RELEASED)
        for row in db.execute(newest.order_by(plan.c.id.desc()).limit(10 * _MOST_PLANS)).all():
            if not row.definition.get("holdout") or "/" in row.definition.get("name", "") or len(found) >= _MOST_PLANS:
                continue
            window = timedelta(seconds=row.definition["window"])
            last = db.scalar(sa.select(sa.func.max(plan_entry.c.send_at)).where(plan_entry.c.plan_id == row.id))
            if last is not None and last + window <= until:
                found.append((_campaign_sides(db, row.id, window), window))
    return _pooled(found)


def _campaign_sides(db: sa.Connection, plan_id: int, window: timedelta) -> tuple[_Side, _Side]:
    entry = plan_entry.c
    drawn = entry.state.in_([EntryState.MESSAGE, EntryState.HOLDOUT])
    held = sa.case((entry.state == EntryState.HOLDOUT, 1), else_=0)
    query = sa.select(held.label("held"), _bought(entry.contact_id, entry.send_at, window).label("bought"))
    return _sides(db, query.where(entry.plan_id == plan_id, drawn))


def _journeys_effects(store: Store, until: datetime) -> dict[str, Effect]:
    found: dict[str, Effect] = {}
    one = enrolment.c
    with store.read() as db:
        for name in db.scalars(sa.select(one.journey).where(one.held_out).distinct().order_by(one.journey)).all():
            version = sa.select(journey_version.c.definition).where(journey_version.c.journey == name)
            definition: Mapping[str, Any] = db.scalar(version.order_by(journey_version.c.version.desc()).limit(1)) or {}
            window = timedelta(seconds=float(definition.get("window", 30 * 86_400)))
            held = sa.case((one.held_out, 1), else_=0)
            query = sa.select(held.label("held"), _bought(one.contact_id, one.entered_at, window).label("bought"))
            effect = _pooled([(_sides(db, query.where(one.journey == name, one.entered_at <= until - window)), window)])
            if effect is not None:
                found[name] = effect
    return found


def _bought(whose: "sa.Column[int]", since: "sa.Column[datetime]", window: timedelta) -> sa.ScalarSelect[int]:
    placed, first = _micros(orders.c.ordered_at), _micros(since)
    inside = sa.and_(placed > first, placed <= first + sa.literal(window // timedelta(microseconds=1), sa.BigInteger))
    return sa.select(sa.func.count()).select_from(orders).where(orders.c.contact_id == whose, inside).scalar_subquery()


def _sides(db: sa.Connection, query: sa.Select[Any]) -> tuple[_Side, _Side]:
    """The mailed and the held out."""
    one = query.subquery().c
    sums = sa.select(one.held, sa.func.count(), sa.func.sum(one.bought), sa.func.sum(one.bought * one.bought))
    sides = {0: _Side(people=0, orders=0, squares=0), 1: _Side(people=0, orders=0, squares=0)}
    for held, people, bought, squares in db.execute(sums.group_by(one.held)):
        sides[held] = _Side(people=people, orders=float(bought), squares=float(squares))
    return sides[0], sides[1]


def _pooled(found: Sequence[tuple[tuple[_Side, _Side], timedelta]]) -> Effect | None:
    """The differences of all, each weighed by how sure it is (inverse variance)."""
    weights = total = held_out = 0.0
    longest = timedelta()
    for (mailed, held), window in found:
        if min(mailed.people, held.people) < _FEWEST:
            continue
        weight = 1 / (mailed.variance + held.variance)
        weights += weight
        total += weight * (mailed.mean - held.mean)
        held_out += held.people
        longest = max(longest, window)
    if not weights:
        return None
    return Effect(orders=total / weights, error=weights**-0.5, held_out=int(held_out), window=longest)


def _micros(column: "sa.Column[datetime]") -> sa.ColumnElement[int]:
    return sa.type_coerce(column, sa.BigInteger)

"""Who did what within the window? By assignment and planned time, so that holdouts are counted exactly like the others.

An order counts for a contact when it falls in (planned_at, planned_at + window], whether or not her mail was opened, or
even left: comparing as assigned is what keeps chance the only difference between the arms.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.model import Arm

HOLDOUT = "holdout"
COVARIATE_DAYS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """One contact as drawn: her arm, when her mail was planned, and what came back by mail."""

    contact_id: int
    arm: str
    planned_at: datetime
    sent: bool
    bounced: bool
    human_opens: int
    human_clicks: int
    event_at: datetime | None = None  # the first event that the goal `event:NAME` asks for, after planned_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """One order; money in shop currency, decimal. `cost` None: not known for every line."""

    contact_id: int
    at: datetime
    revenue: float
    cost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Economics:
    """What is needed to tell profit from revenue."""

    margin: float | None  # stands in for orders without a known cost
    cost_per_conversion: Mapping[str, float]  # by variant


def attribute(
    assigned: Iterable[Assigned],
    purchases: Iterable[Purchase],
    *,
    goal: str,
    window: timedelta,
    shares: Mapping[str, float],
    economics: Economics,
) -> list[Arm]:
    """The arms in the order of `shares` (the planned share of each, holdout included)."""
    by_contact = _by_contact(purchases)
    by_arm: dict[str, list[Assigned]] = {name: [] for name in shares}
    for one in assigned:
        by_arm[one.arm].append(one)
    return [
        _arm(name, sorted(by_arm[name], key=lambda a: a.contact_id), by_contact, goal, window, share, economics)
        for name, share in shares.items()
    ]


def _arm(
    name: str,
    people: Sequence[Assigned],
    purchases: Mapping[int, Sequence[Purchase]],
    goal: str,
    window: timedelta,
    share: float,
    economics: Economics,
) -> Arm:
    inside = [_between(purchases.get(p.contact_id, ()), p.planned_at, p.planned_at + window) for p in people]
    before = timedelta(days=COVARIATE_DAYS)
    earlier = [_between(purchases.get(p.contact_id, ()), p.planned_at - before, p.planned_at) for p in people]
    converted = tuple(int(_reached(p, bought, goal, window)) for p, bought in zip(people, inside, strict=True))
    per_conversion = economics.cost_per_conversion.get(name, 0.0)
    gains = [_gain(bought, economics.margin) for bought in inside]
    known = all(gain is not None for gain in gains)
    return Arm(
        name=name,
        assigned=len(people),
        sent=sum(p.sent for p in people),
        delivered=sum(p.sent and not p.bounced for p in people),
        human_opens=sum(p.human_opens > 0 for p in people),
        human_clicks=sum(p.human_clicks > 0 for p in people),
        converted=converted,
        revenue=tuple(sum(one.revenue for one in bought) for bought in inside),
        profit=tuple((g or 0.0) - per_conversion * c for g, c in zip(gains, converted, strict=True)) if known else None,
        pre_revenue=tuple(sum(one.revenue for one in bought) for bought in earlier),
        share=share,
    )


def _by_contact(purchases: Iterable[Purchase]) -> dict[int, list[Purchase]]:
    found: dict[int, list[Purchase]] = defaultdict(list)
    for one in purchases:
        found[one.contact_id].append(one)
    for bought in found.values():
        bought.sort(key=lambda one: one.at)
    return found


def _between(bought: Sequence[Purchase], after: datetime, until: datetime) -> Sequence[Purchase]:
    """The purchases in (after, until]."""
    first = bisect_right(bought, after, key=lambda one: one.at)
    return bought[first : bisect_right(bought, until, key=lambda one: one.at)]


def _reached(person: Assigned, bought: Sequence[Purchase], goal: str, window: timedelta) -> bool:
    if goal == "order":
        return bool(bought)
    if goal == "click":
        return person.human_clicks > 0
    return person.event_at is not None and person.event_at <= person.planned_at + window


def _gain(bought: Sequence[Purchase], margin: float | None) -> float | None:
    """Revenue less cost; None when an order's cost is unknown and no margin stands in."""
    total = 0.0
    for one in bought:
        if one.cost is not None:
            total += one.revenue - one.cost
        elif margin is not None:
            total += one.revenue * margin
        else:
            return None
    return total

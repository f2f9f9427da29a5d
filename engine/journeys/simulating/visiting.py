"""What else do contacts do? Events such as a basket filled, fitted to the past: how often, and how near to an order.

Of each kind, some go before an order of hers (within three days): so many of the orders to come get one, at a past
distance. The others come by themselves, at a rate of her own: her past 180 days, held towards the shop's mean.
"""

from dataclasses import dataclass

import numpy as np

from engine.journeys.simulating.buying import Drawn, Group
from engine.journeys.simulating.chance import Chance, Ints
from engine.journeys.simulating.crowd import DAY, Crowd, Rows

_NEAR = 3 * DAY
_PAST = 180 * DAY
_MOST = 400  # of one kind by one contact: who does more is a machine


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Visiting:
    """One kind of event."""

    kind: str
    before_orders: float  # share of orders that one goes before
    distances: Ints  # how long before
    rate: float  # by themselves, a contact and day: the shop's mean
    own: Ints  # by themselves, in the past days, by place
    weight: float  # days the shop's mean weighs as much as


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Visits:
    """What is to come: whose (place in the group) and when."""

    owner: Ints
    at: Ints


def fit_visiting(crowd: Crowd, kind: str) -> Visiting:
    """Learn from the events of this kind so far."""
    rows, orders = crowd.events[kind], crowd.orders
    owner = rows.owners
    since = crowd.now - _PAST
    following = _next_order(rows, orders)
    recent = rows.at > since
    distance = following - rows.at
    near = (distance >= 0) & (distance <= _NEAR)
    lone = recent & ~near
    own = np.bincount(owner[lone], minlength=len(crowd.ids)) if len(crowd.ids) else np.zeros(0, np.int64)
    ordered = int((orders.at > since).sum())
    attached = len(np.unique(following[recent & near]))
    days = max(1.0, len(crowd.ids) * _PAST / DAY)
    return Visiting(
        kind=kind,
        before_orders=min(1.0, attached / ordered) if ordered else 0.0,
        distances=distance[near],
        rate=float(lone.sum()) / days,
        own=own,
        weight=_PAST / DAY / 4,
    )


def draw_visits(crowd: Crowd, fitted: Visiting, group: Group, drawn: Drawn, seed: int, until: int) -> Visits:
    """Events of the group after the crowd's moment and before `until`."""
    near = _before(crowd, fitted, group, drawn, seed)
    alone = _alone(crowd, fitted, group, seed, until)
    owner, at = np.concatenate([near.owner, alone.owner]), np.concatenate([near.at, alone.at])
    order = np.lexsort((at, owner))
    return Visits(owner=owner[order], at=at[order])


def _before(crowd: Crowd, fitted: Visiting, group: Group, drawn: Drawn, seed: int) -> Visits:
    ids = group.ids[drawn.owner]
    # The order's own second is its place in the row: it does not move when others are added.
    place = drawn.at // 1_000_000
    chosen = np.flatnonzero(Chance(seed, f"{fitted.kind}/near").many(ids, place) < fitted.before_orders)
    if not len(fitted.distances):
        return Visits(owner=np.zeros(0, np.int64), at=np.zeros(0, np.int64))
    lot = Chance(seed, f"{fitted.kind}/distance").many(ids[chosen], place[chosen])
    at = drawn.at[chosen] - fitted.distances[(lot * len(fitted.distances)).astype(np.int64)]
    owner = drawn.owner[chosen]
    later = at > np.maximum(crowd.now, group.since[owner])
    return Visits(owner=owner[later], at=at[later])


def _alone(crowd: Crowd, fitted: Visiting, group: Group, seed: int, until: int) -> Visits:
    past_days = _PAST / DAY
    own = np.where(group.places >= 0, fitted.own[np.maximum(group.places, 0)], 0) if len(fitted.own) else 0.0
    rate = (own + fitted.rate * fitted.weight) / (past_days + fitted.weight)
    rate = np.where(group.places >= 0, rate, fitted.rate)
    start = np.maximum(crowd.now, group.since)
    owners, moments = [], []
    going, when, turn = np.flatnonzero(rate > 0), start.astype(float), 0
    lots = Chance(seed, f"{fitted.kind}/alone")
    while len(going) and turn < _MOST:
        when[going] += -np.log1p(-lots.many(group.ids[going], turn)) / rate[going] * DAY
        going = going[when[going] < until]
        owners.append(going)
        moments.append(when[going].astype(np.int64))
        turn += 1
    if not owners:
        return Visits(owner=np.zeros(0, np.int64), at=np.zeros(0, np.int64))
    return Visits(owner=np.concatenate(owners), at=np.concatenate(moments))


def _next_order(rows: Rows, orders: Rows) -> Ints:
    """When each one's contact ordered next; far in the future where she never did."""
    never = np.int64(2**62)
    if not len(orders.at):
        return np.full(len(rows.at), never)
    # Both lie by owner and time: merged into one row, the next order is the next one in it of the same owner.
    owner = np.concatenate([rows.owners, orders.owners])
    at = np.concatenate([rows.at, orders.at])
    is_order = np.concatenate([np.zeros(len(rows.at), bool), np.ones(len(orders.at), bool)])
    sort = np.lexsort((is_order, at, owner))
    place = np.where(is_order[sort], np.arange(len(sort)), len(sort))
    following = np.minimum.accumulate(place[::-1])[::-1]
    inside = np.minimum(following, len(sort) - 1)
    same = (following < len(sort)) & (owner[sort][inside] == owner[sort])
    found = np.empty(len(sort), np.int64)
    found[sort] = np.where(same, at[sort][inside], never)
    return found[: len(rows.at)]

"""When will each contact buy next, if nobody writes to her? A purchase process fitted to the shop's own past.

Who bought on six days or more keeps her own rhythm: each gap is one of her last 20, and the first one is at least as
long as her present silence. For everybody else gaps are exponential with a rate of her own, and after each purchase she
may be gone for good; rates and chances to leave vary between contacts as the BG/NBD model has it (Fader, Hardie and
Lee, Marketing Science 24, 2005), whose posterior of her own past each contact's are drawn from. Who never bought does
so for the first time at the rate of contacts known as long as she is. A basket is a copy of a past one: her own, or
another of the shop's last year. The hour is that of some past order.

Season, trend, prices and stock are not in it.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from engine.journeys.simulating.chance import Chance, Floats, Ints
from engine.journeys.simulating.crowd import DAY, Crowd
from engine.journeys.simulating.days import Days

OWN_DAYS = 6  # purchase days from which somebody's own gaps are better than a model's
OWN_GAPS = 20
AGES = (7.0, 30.0, 90.0)  # days known, at which the chance of a first order changes
_FEWEST = 30  # buyers below which a fit says nothing
_FITTED = 5_000  # buyers a fit looks at: more change nothing, and take longer
_TYPICAL = (0.6, 60.0, 0.8, 2.5)  # r, alpha (days), a, b where the shop is too young to be fitted
_FIRST_ORDERS, _KNOWN_DAYS = 1.0, 2_000.0  # a prior of one first order in 2,000 contact-days
_OWN_BASKETS = 2.0  # so many own baskets weigh as much as all the others'
_YEAR = 365 * DAY


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Buying:
    """The fitted process. Lengths are days."""

    r: float
    alpha: float
    a: float
    b: float
    fitted_on: int  # buyers; 0: typical figures stand in
    first_order_rates: tuple[float, ...]  # a day, by how long she is known
    twice_a_day: float  # how often a second order follows on a purchase day
    hours: Ints  # since midnight, of past orders
    pool: Ints  # past orders that a basket may be a copy of
    past: "_Past"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """For whom orders are drawn: contacts of the crowd, or newcomers who are not in it yet."""

    ids: Ints
    places: Ints  # in the crowd; -1 for a newcomer
    since: Ints  # when she became known


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """What is to come, by time: whose (place in the group), when, and like which past order."""

    owner: Ints
    at: Ints
    like: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Past:
    """Purchase days: x repeats, the last one tx days after the first, the first one `age` days ago."""

    x: Floats
    tx: Floats
    age: Floats
    gaps: Floats  # all of them, by contact
    first_gap: Ints


def fit_buying(crowd: Crowd) -> Buying:
    """Learn from every order so far."""
    past = _past(crowd)
    bought = np.flatnonzero(past.age >= 0)
    some = bought[:: max(1, len(bought) // _FITTED)]
    orders = crowd.orders
    purchase_days = float((past.x[bought] + 1).sum())
    recent = np.flatnonzero(orders.at > crowd.now - _YEAR)
    pool = recent if len(recent) else np.arange(len(orders.at))
    r, alpha, a, b = _fitted(past.x[some], past.tx[some], past.age[some]) if len(bought) >= _FEWEST else _TYPICAL
    return Buying(
        r=r,
        alpha=alpha,
        a=a,
        b=b,
        fitted_on=len(bought) if len(bought) >= _FEWEST else 0,
        first_order_rates=_first_order_rates(crowd),
        twice_a_day=min(1.0, len(orders.at) / purchase_days - 1) if purchase_days else 0.0,
        hours=_calendar(crowd, crowd.now).since_midnight(orders.at[pool]),
        pool=pool,
        past=past,
    )


def draw_orders(crowd: Crowd, buying: Buying, group: Group, seed: int, until: int) -> Drawn:
    """All orders of the group after the crowd's moment (or after somebody became known) and before `until`."""
    known = np.where(group.places >= 0, group.places, 0)
    past = buying.past
    nobody = np.full(len(group.ids), -1.0)
    age = np.where(group.places >= 0, past.age[known], nobody) if len(past.age) else nobody
    if not len(buying.pool):
        return Drawn(owner=np.zeros(0, np.int64), at=np.zeros(0, np.int64), like=np.zeros(0, np.int64))
    owner, when = _Process(crowd, buying, group, past, age, seed).run((until - crowd.now) / DAY)
    return _dated(crowd, buying, group, Chances(seed), owner, when, until)


class Chances:
    """The lots that orders need, by seed."""

    def __init__(self, seed: int) -> None:
        self.alive, self.rate, self.leave, self.first = (
            Chance(seed, f"buying/{name}") for name in ("alive", "rate", "leave", "first")
        )
        self.gap, self.gone, self.hour = (Chance(seed, f"buying/{name}") for name in ("gap", "gone", "hour"))
        self.own, self.which, self.twice = (Chance(seed, f"buying/{name}") for name in ("own", "which", "twice"))


class _Process:
    """Purchase days of a group, in days after the crowd's moment."""

    def __init__(self, crowd: Crowd, buying: Buying, group: Group, past: _Past, age: Floats, seed: int) -> None:
        from scipy import special  # a third of a second to load, which no other command should pay

        self._crowd, self._buying, self._group, self._past = crowd, buying, group, past
        self._lots = Chances(seed)
        ids, known = group.ids, np.maximum(group.places, 0)
        self._bought = age >= 0
        x = np.where(self._bought, past.x[known], 0.0)
        tx = np.where(self._bought, past.tx[known], 0.0)
        age = np.maximum(age, 0.0)
        self._silence = age - tx
        fading = (buying.r + x) * np.log((buying.alpha + age) / (buying.alpha + tx))
        odds = np.where(x > 0, buying.a / (buying.b + np.maximum(x, 1) - 1) * np.exp(np.minimum(fading, 700)), 0.0)
        self._alive = self._lots.alive.many(ids) < 1 / (1 + odds)
        self._rate = special.gammaincinv(buying.r + x, self._lots.rate.many(ids)) / (buying.alpha + age)
        self._leave = special.betaincinv(buying.a, buying.b + x, self._lots.leave.many(ids))
        self._gaps = np.where(self._bought & (x + 1 >= OWN_DAYS), np.minimum(x, OWN_GAPS), 0).astype(np.int64)
        self._gap_end = past.first_gap[known + 1] if len(past.first_gap) > 1 else known

    def run(self, until: float) -> tuple[Ints, Floats]:
        """Whose, and when."""
        when = np.where(self._bought, self._next_of_buyers(), self._first_orders())
        going = np.flatnonzero((self._alive | ~self._bought) & (when < until))
        owners, moments, turn = [], [], 0
        while len(going):
            owners.append(going)
            moments.append(when[going])
            turn += 1
            gone = self._lots.gone.many(self._group.ids[going], turn) < self._leave[going]
            going = going[~gone]
            when[going] += self._gap(going, turn)
            going = going[when[going] < until]
        if not owners:
            return np.zeros(0, np.int64), np.zeros(0)
        return np.concatenate(owners), np.concatenate(moments)

    def _next_of_buyers(self) -> Floats:
        """Her next purchase: a gap of her own that is longer than her silence, or whenever her rate says."""
        after = self._exponential(np.arange(len(self._group.ids)), 0)
        own = np.flatnonzero(self._gaps)
        lots = self._lots.gap.many(self._group.ids[own], 0)
        for n, (one, lot) in enumerate(zip(own.tolist(), lots.tolist(), strict=True)):
            end, silence = int(self._gap_end[one]), float(self._silence[one])
            longer = np.sort(self._past.gaps[end - int(self._gaps[one]) : end])
            longer = longer[longer > silence]
            if len(longer):
                after[own[n]] = longer[int(lot * len(longer))] - silence
        return after

    def _gap(self, going: Ints, turn: int) -> Floats:
        found = self._exponential(going, turn)
        own = np.flatnonzero(self._gaps[going])
        if len(own):
            mine = going[own]
            which = (self._lots.gap.many(self._group.ids[mine], turn) * self._gaps[mine]).astype(np.int64)
            found[own] = self._past.gaps[self._gap_end[mine] - 1 - which]
        return found

    def _exponential(self, who: Ints, turn: int) -> Floats:
        found: Floats = -np.log1p(-self._lots.gap.many(self._group.ids[who], turn)) / np.maximum(self._rate[who], 1e-9)
        return found

    def _first_orders(self) -> Floats:
        """When those who never bought do: piece by piece of how long they are known."""
        known = np.maximum((self._crowd.now - self._group.since) / DAY, 0.0)  # days, at the beginning
        left = -np.log1p(-self._lots.first.many(self._group.ids))
        when = np.maximum((self._group.since - self._crowd.now) / DAY, 0.0)
        edges = (0.0, *AGES, 1e9)
        found = np.full(len(known), np.inf)
        for (low, high), rate in zip(itertools.pairwise(edges), self._buying.first_order_rates, strict=True):
            span = np.maximum(high - np.maximum(known, low), 0.0)
            here = (left < span * rate) & np.isinf(found)
            found[here] = when[here] + left[here] / rate
            left = left - span * rate
            when = when + span
        return found


def _dated(crowd: Crowd, buying: Buying, group: Group, lots: Chances, owner: Ints, when: Floats, until: int) -> Drawn:
    """Purchase days become orders: an hour, a basket, and now and then a second one."""
    place = _place_in_row(owner)
    ids = group.ids[owner]
    again = np.flatnonzero(lots.twice.many(ids, place) < buying.twice_a_day)
    owner, when = np.concatenate([owner, owner[again]]), np.concatenate([when, when[again]])
    place = np.concatenate([place, place[again] + 1_000_000])
    ids = group.ids[owner]
    moment = crowd.now + (when * DAY).astype(np.int64)
    calendar = _calendar(crowd, until)
    hour = buying.hours[(lots.hour.many(ids, place) * len(buying.hours)).astype(np.int64)]
    at = calendar.midnights[calendar.number(moment)] + hour
    # Her hour of today may be over, and nobody buys before the shop knows her.
    at = np.where(at > np.maximum(crowd.now, group.since[owner]), at, moment + 1)
    like = _baskets(crowd, buying, group, lots, owner, place)
    order = np.lexsort((at, owner))
    order = order[at[order] < until]
    return Drawn(owner=owner[order], at=at[order], like=like[order])


def _baskets(crowd: Crowd, buying: Buying, group: Group, lots: Chances, owner: Ints, place: Ints) -> Ints:
    ids, places = group.ids[owner], group.places[owner]
    known = np.maximum(places, 0)
    if len(crowd.orders.first) > 1:
        first, number = crowd.orders.first[known], np.diff(crowd.orders.first)[known]
    else:
        first, number = known * 0, known * 0
    number = np.where(places >= 0, number, 0)
    which = lots.which.many(ids, place)
    own = lots.own.many(ids, place) < number / (number + _OWN_BASKETS)
    others = buying.pool[(which * len(buying.pool)).astype(np.int64)]
    return np.where(own, first + (which * number).astype(np.int64), others)


def _place_in_row(owner: Ints) -> Ints:
    """0 for each owner's first, 1 for her second ..., in the order given."""
    order = np.argsort(owner, kind="stable")
    ordered = owner[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(owner) else ordered
    rank = np.arange(len(owner)) - np.repeat(starts, np.diff(np.concatenate([starts, [len(owner)]])))
    found = np.empty(len(owner), np.int64)
    found[order] = rank
    return found


def _calendar(crowd: Crowd, until: int) -> Days:
    first = int(crowd.orders.at.min()) if len(crowd.orders.at) else crowd.now
    return Days(crowd.zone, first, max(until, crowd.now))


def _past(crowd: Crowd) -> _Past:
    """Each contact's purchase days; age is -1 for those who never bought."""
    size, orders = len(crowd.ids), crowd.orders
    owner = orders.owners
    calendar = _calendar(crowd, crowd.now)
    day = calendar.number(orders.at)
    new = np.ones(len(day), bool)
    new[1:] = (day[1:] != day[:-1]) | (owner[1:] != owner[:-1])
    owner, day = owner[new], day[new].astype(float)
    same = owner[1:] == owner[:-1]
    gaps, of = np.diff(day)[same], owner[1:][same]
    number = np.bincount(owner, minlength=size)
    today = (crowd.now - calendar.midnights[0]) / DAY
    first, last = np.full(size, np.nan), np.full(size, np.nan)
    first[owner[::-1]], last[owner] = day[::-1], day
    bought = number > 0
    return _Past(
        x=np.maximum(number - 1, 0).astype(float),
        tx=np.where(bought, last - first, 0.0),
        age=np.where(bought, np.maximum(today - first, last - first), -1.0),
        gaps=gaps,
        first_gap=np.concatenate([[0], np.cumsum(np.bincount(of, minlength=size))]).astype(np.int64),
    )


def _first_order_rates(crowd: Crowd) -> tuple[float, ...]:
    """First orders a day among those known so long who had not bought, shrunk to a small prior."""
    created = np.array([one.created for one in crowd.people], np.int64)
    first = np.full(len(created), crowd.now + 1, np.int64)
    bought = np.flatnonzero(np.diff(crowd.orders.first))
    first[bought] = crowd.orders.at[crowd.orders.first[bought]]
    seen = first > created  # an import brings orders that are older than the contact: they tell nothing
    known = (np.minimum(first, crowd.now) - created)[seen] / DAY
    came = (first <= crowd.now)[seen]
    edges = (0.0, *AGES, np.inf)
    rates = []
    for low, high in itertools.pairwise(edges):
        days = float(np.clip(np.minimum(known, high) - low, 0, None).sum())
        orders = int((came & (known >= low) & (known < high)).sum())
        rates.append((orders + _FIRST_ORDERS) / (days + _KNOWN_DAYS))
    return tuple(rates)


def _fitted(x: Floats, tx: Floats, age: Floats) -> tuple[float, float, float, float]:
    """Maximum likelihood of BG/NBD over r, alpha, a and b, held from running off where the data says nothing."""
    from scipy.optimize import minimize
    from scipy.special import gammaln

    repeated = x > 0
    before = np.maximum(x, 1) - 1
    some, which = np.unique(x, return_inverse=True)  # few: most buyers came back as often as many others

    def cost(logs: Floats) -> float:
        r, alpha, a, b = np.exp(logs)
        common = gammaln(r + some)[which] - gammaln(r) + r * np.log(alpha)
        common = common + gammaln(a + b) + gammaln(b + some)[which] - gammaln(b) - gammaln(a + b + some)[which]
        alive = -(r + x) * np.log(alpha + age)
        gone = np.where(repeated, np.log(a) - np.log(b + before) - (r + x) * np.log(alpha + tx), -np.inf)
        return float(-np.logaddexp(alive, gone).mean() - common.mean() + 1e-4 * ((logs - start) ** 2).sum())

    start = np.log(_TYPICAL)
    found = minimize(cost, start, method="L-BFGS-B", bounds=[(-8.0, 8.0)] * 4)
    r, alpha, a, b = (float(one) for one in np.exp(found.x))
    return r, alpha, a, b

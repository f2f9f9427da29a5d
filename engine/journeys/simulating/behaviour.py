"""What will people do? A fitted behaviour, and one world drawn from it by seed; tests hand in a script instead.

Newcomers arrive as they did in the last 90 days (a day on which a tenth of the base came at once was an import and does
not count), each in the likeness of one who came then.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import NormalDist
from typing import Protocol

import numpy as np

from engine.journeys.simulating.answering import MARKETING, TYPICAL, Answering, Effect, fit_answering, own_click_rate
from engine.journeys.simulating.buying import Buying, Group, draw_orders, fit_buying
from engine.journeys.simulating.chance import Chance, Ints
from engine.journeys.simulating.crowd import DAY, Crowd, Who
from engine.journeys.simulating.person import Person
from engine.journeys.simulating.visiting import Visiting, draw_visits, fit_visiting
from engine.pipeline import Mailer

ORDER, OPT_OUT = "order", "opt_out"
_ARRIVALS = 90  # days
_IMPORT = 0.1  # of the base in one day
_HOURS_TO_CLICK, _SPREAD = 9.0, 1.6  # median and log deviation of the time between a mail and its click
_HOUR = DAY // 24
_NORMAL = NormalDist()
_EFFECT_DAYS = 7.0  # an order that a mail brings comes so long after it on average, within the window


@dataclass(frozen=True, slots=True)
class Happening:
    """Something she does: an order like a past one, an event of a kind, or her opt-out.

    `cause` is the journey or campaign whose mail brought it; empty: none did.
    """

    at: int
    kind: str
    like: int = -1
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What comes back of one mail, in microseconds after it; None: nothing."""

    opened: int | None = None
    clicked: int | None = None
    opted_out: int | None = None
    bought: int | None = None  # an order that would not have been
    like: int = -1
    kept_from_buying: int | None = None  # the next order within so long does not come


NOTHING = Answer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail that went out, as behaviour sees it. `effect`: what being mailed does to buying, unless it was done."""

    name: str  # a campaign's, or JOURNEY/STEP
    nth: int  # of this name to her: no two answers are the same lot
    message_class: str
    effect: Effect | None


class Lives(Protocol):
    """One world: what everybody does, and how she answers."""

    @property
    def newcomers(self) -> Sequence[Who]:
        """Who becomes known in it."""

    def happenings(self, place: int) -> Sequence[Happening]:
        """What the contact at a place does, by time; newcomers stand behind the crowd."""

    def answer(self, one: Person, place: int, letter: Letter) -> Answer:
        """How she answers a mail."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Behaviour:
    """What the past tells of the shop's people."""

    crowd: Crowd
    buying: Buying
    visiting: Mapping[str, Visiting]
    answering: Answering
    arrivals: Ints  # places of those who came lately and not by an import
    arrivals_a_day: float

    def lives(self, seed: int, days: int, places: Ints | None = None) -> "DrawnLives":
        """One world; of some contacts only, with as large a share of the newcomers."""
        return DrawnLives(self, seed, days, np.arange(len(self.crowd.ids)) if places is None else places)


def fit_behaviour(mailer: Mailer, crowd: Crowd) -> Behaviour:
    """Learn from the shop's past."""
    lately, a_day = _arrivals(crowd)
    return Behaviour(
        crowd=crowd,
        buying=fit_buying(crowd),
        visiting={kind: fit_visiting(crowd, kind) for kind in crowd.events},
        answering=fit_answering(mailer.store, crowd.at),
        arrivals=lately,
        arrivals_a_day=a_day,
    )


class DrawnLives:
    """A world drawn by seed. Everybody's own lots depend on seed and contact alone."""

    def __init__(self, behaviour: Behaviour, seed: int, days: int, places: Ints) -> None:
        crowd = behaviour.crowd
        until = crowd.now + days * DAY
        self._behaviour = behaviour
        share = len(places) / max(1, len(crowd.ids))
        self.newcomers = _newcomers(behaviour, seed, until, share)
        ids = np.concatenate([crowd.ids[places], np.array([one.contact_id for one in self.newcomers], np.int64)])
        group = Group(
            ids=ids,
            places=np.concatenate([places, np.full(len(self.newcomers), -1)]),
            since=np.array([crowd.people[one].created for one in places] + [one.created for one in self.newcomers]),
        )
        self._row_of = {int(place): n for n, place in enumerate(places)}
        self._row_of |= {len(crowd.ids) + n: len(places) + n for n in range(len(self.newcomers))}
        drawn = draw_orders(crowd, behaviour.buying, group, seed, until)
        self._orders = drawn, _firsts(drawn.owner, len(ids))
        self._visits = {
            kind: (found, _firsts(found.owner, len(ids)))
            for kind, fitted in behaviour.visiting.items()
            for found in [draw_visits(crowd, fitted, group, drawn, seed, until)]
        }
        names = ("open", "click", "delay", "leave", "leaving", "buy", "buying", "basket")
        self._lots = {name: Chance(seed, f"answer/{name}") for name in names}
        self._click_rates: dict[str, tuple[int, float]] = {}  # by class: of whom it was asked last

    def happenings(self, place: int) -> list[Happening]:
        """What the contact at a place does, by time."""
        row = self._row_of[place]
        drawn, first = self._orders
        hers = slice(*first[row : row + 2].tolist())
        pairs = zip(drawn.at[hers].tolist(), drawn.like[hers].tolist(), strict=True)
        found = [Happening(at, ORDER, like) for at, like in pairs]
        for kind, (visits, starts) in self._visits.items():
            found += [Happening(at, kind) for at in visits.at[slice(*starts[row : row + 2].tolist())].tolist()]
        if self._visits:
            found.sort(key=lambda one: one.at)
        return found

    def revenue(self) -> int:
        """What all orders come to that no mail brings, in minor units."""
        return int(self._behaviour.crowd.orders.revenue[self._orders[0].like].sum())

    def answer(self, one: Person, place: int, letter: Letter) -> Answer:
        """How she answers a mail: by the rates of its class, and her own clicks so far."""
        rates = self._behaviour.answering.rates.get(letter.message_class, TYPICAL[MARKETING])
        lot, whose, lots = zlib.crc32(f"{letter.name}/{letter.nth}".encode()), one.contact_id, self._lots
        sees = self._behaviour.crowd.is_tracked and one.who.standing.tracking_consent is True
        clicked = opened = left = None
        if sees and lots["click"].one(whose, lot) < self._click_rate(place, letter.message_class, rates.clicks):
            clicked = opened = _delay(lots["delay"].one(whose, lot))
        elif sees and lots["open"].one(whose, lot) < rates.opens:
            opened = _delay(lots["delay"].one(whose, lot))
        if lots["leave"].one(whose, lot) < rates.opt_outs:
            left = _delay(lots["leaving"].one(whose, lot))
        found = NOTHING
        if opened is not None or left is not None:
            found = Answer(opened=opened, clicked=clicked, opted_out=left)
        return self._bought(found, whose, lot, letter.effect) if letter.effect else found

    def _bought(self, found: Answer, whose: int, lot: int, effect: Effect) -> Answer:
        """Who is moved to buy, or kept from it, by the difference that the holdouts showed."""
        if self._lots["buy"].one(whose, lot) >= abs(effect.orders):
            return found
        window = effect.window // timedelta(microseconds=1)
        if effect.orders < 0:
            return replace(found, kept_from_buying=window)
        mean = min(_EFFECT_DAYS * DAY, window / 2)
        after = int(-np.log1p(-self._lots["buying"].one(whose, lot)) * mean) % window + 1
        pool = self._behaviour.buying.pool
        if not len(pool):
            return found
        like = int(pool[int(self._lots["basket"].one(whose, lot) * len(pool))])
        return replace(found, bought=after, like=like)

    def _click_rate(self, place: int, message_class: str, rate: float) -> float:
        whose, known = self._click_rates.get(message_class, (-1, rate))
        if whose != place:
            crowd = self._behaviour.crowd
            known = own_click_rate(crowd, place, rate) if place < len(crowd.ids) else rate
            self._click_rates[message_class] = place, known
        return known


def _delay(lot: float) -> int:
    hours = _HOURS_TO_CLICK * float(np.exp(_SPREAD * _NORMAL.inv_cdf(min(max(lot, 1e-6), 1 - 1e-6))))
    return max(60_000_000, int(hours * _HOUR))


def _firsts(owner: Ints, size: int) -> Ints:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=size))]).astype(np.int64)


def _arrivals(crowd: Crowd) -> tuple[Ints, float]:
    """Who came in the last 90 days on ordinary days, and how many a day that is."""
    created = np.array([one.created for one in crowd.people], np.int64)
    day = (crowd.now - created) // DAY
    lately = np.flatnonzero((day >= 0) & (day < _ARRIVALS))
    counts = np.bincount(day[lately], minlength=_ARRIVALS)
    ordinary = counts <= max(1.0, _IMPORT * len(created))
    kept = lately[ordinary[day[lately]]]
    return kept, len(kept) / max(1, int(ordinary.sum()))


def _newcomers(behaviour: Behaviour, seed: int, until: int, share: float) -> list[Who]:
    """Who comes: exponential gaps, each a likeness of one who came lately."""
    crowd, rate = behaviour.crowd, behaviour.arrivals_a_day * share
    if not rate or not len(behaviour.arrivals):
        return []
    first = int(crowd.ids[-1]) + 1
    lots, likeness = Chance(seed, "newcomers/gap"), Chance(seed, "newcomers/like")
    found: list[Who] = []
    at = float(crowd.now)
    while True:
        n = len(found)
        at += -float(np.log1p(-lots.one(n))) / rate * DAY
        if at >= until:
            return found
        like = crowd.people[int(behaviour.arrivals[int(likeness.one(n) * len(behaviour.arrivals))])]
        found.append(replace(like, contact_id=first + n, created=int(at), tags=like.tags))

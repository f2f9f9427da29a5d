"""Who is she at this virtual moment? Her profile for the rules, drawn from memory.

The same fields with the same meaning as `audience.profiles`; a test holds the two equal. Only the fields that the
rules at hand read are drawn. The yardstick (cut points of the scores, the shop's usual gap) stays as it is today.
"""

import itertools
import statistics
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from engine import audience, campaign
from engine.clock import local_day
from engine.journeys.simulating.crowd import DAY, MONTH, SHOWN, Crowd
from engine.journeys.simulating.days import Days
from engine.journeys.simulating.person import Person, Rhythm
from engine.model import Profile
from engine.store import from_micros

# Whom her clock and her language are known by; whoever plans a mail asks for these.
ALWAYS = ("email", "language", "country", "region", "timezone", "last_order_at")
_SPARE = 400 * DAY
_ATTRIBUTES = "attributes."
# What stands in a profile of which nothing is known.
_UNKNOWN = {field.name: getattr(Profile(contact_id=0), field.name) for field in fields(Profile)}


class Glass:
    """Draws profiles for the rules at hand."""

    def __init__(self, crowd: Crowd, names: Collection[str]) -> None:
        self._crowd = crowd
        wanted = {*names, *ALWAYS}
        self._shown = [name for name in SHOWN if name in wanted]
        self._with_greeting = "greeting" in wanted
        self._figures = [name for name in _FIGURES if name in wanted]
        self._moving = [(name, _MOVING[name]) for name in _MOVING if name in wanted]
        self._days: Days | None = None
        self._zones: dict[tuple[Any, ...], ZoneInfo] = {}
        self._minor = crowd.lens.minor
        self._cents: list[int] = crowd.orders.revenue.tolist()

    def profile(self, one: Person, now: int) -> Profile:
        """Her profile as of this moment (microseconds, as in all that follows)."""
        values = self._base(one) | {name: self._figure(one, name) for name in self._figures}
        for name, draw in self._moving:
            values[name] = draw(self, one, now)
        return Profile(tags=one.tags, **values)

    def plain(self, one: Person, now: int) -> Profile:
        """Who she is and where she lives: all that a plan asks for."""
        age = self._age(one, now) if one.who.birth_date is not None else None
        if one.plain is None or one.plain.age != age:
            shown = one.who.shown
            where = {name: shown[name] for name in ("email", "language", "country", "region", "timezone")}
            one.plain = Profile(contact_id=one.contact_id, age=age, **where)
        return one.plain

    def read(self, one: Person, now: int, name: str) -> Any:
        """One field of the same profile; of those alone that were asked for at the beginning."""
        draw = _MOVING.get(name)
        if draw is not None:
            return draw(self, one, now)
        if name in _FIGURES:
            return self._figure(one, name)
        if name == "tags":
            return one.tags
        if name.startswith(_ATTRIBUTES):
            return one.attributes.get(name.removeprefix(_ATTRIBUTES))
        return self._base(one).get(name, _UNKNOWN.get(name))

    def _base(self, one: Person) -> dict[str, Any]:
        """What never changes in a simulation."""
        if one.base is None:
            shown = one.who.shown
            one.base = {name: shown[name] for name in self._shown}
            one.base |= {"contact_id": one.contact_id, "attributes": one.attributes, "interests": one.who.interests}
            if self._with_greeting:
                one.base["greeting"] = one.who.greeting
        return one.base

    def zone(self, one: Person) -> ZoneInfo:
        """The zone whose clock she reads."""
        shown = one.who.shown
        key = (shown["timezone"], shown["region"], shown["country"])
        if key not in self._zones:
            profile = Profile(contact_id=0, timezone=key[0], region=key[1], country=key[2])
            self._zones[key] = campaign.zone_of(profile, self._crowd.zone)
        return self._zones[key]

    def turns(self, one: Person, now: int, name: str) -> datetime | None:
        """When a field next changes by itself, as `audience.foreseen` tells it."""
        match name:
            case "age":
                born = one.who.birth_date
                return None if born is None else audience.next_birthday(born, from_micros(now), self._crowd.zone)
            case "lifecycle" if one.bought:
                return _first_after(one.bought[-1], self._rhythm(one).turns, now)
            case "recency_score" if one.bought:
                return _first_after(one.bought[-1], [cut + 1 for cut in self._crowd.lens.yardstick.recency], now)
            case "sent_30d":
                return _first_leaving(one.sent, now)
            case "human_clicks_30d":
                return _first_leaving(one.clicks, now)
        return None

    def days(self, one: Person) -> list[int]:
        """Her purchase days, as ordinals."""
        if self._days is None or one.bought[-1] >= self._days.listed[-1] or one.bought[0] < self._days.listed[0]:
            reach = self._days.listed if self._days else one.bought
            first, last = min(reach[0], one.bought[0]), max(reach[-1], one.bought[-1])
            self._days = Days(self._crowd.zone, first - _SPARE, last + _SPARE)
        found = one.days
        for moment in one.bought[one.dated :]:
            day = self._days.first_ordinal + bisect_right(self._days.listed, moment) - 1
            if not found or found[-1] != day:
                found.append(day)
        one.dated = len(one.bought)
        return found

    # ------------------------------------------------------------ what changes with an order alone

    def _figure(self, one: Person, name: str) -> Any:
        if not one.bought:
            return _UNKNOWN[name]
        if name not in one.drawn:
            one.drawn |= _FIGURES[name](self, one)
        return one.drawn[name]

    def _count(self, one: Person) -> dict[str, Any]:
        return {"orders_count": len(one.bought)}

    def _first(self, one: Person) -> dict[str, Any]:
        return {"first_order_at": from_micros(one.bought[0])}

    def _last(self, one: Person) -> dict[str, Any]:
        return {"last_order_at": from_micros(one.bought[-1])}

    def cents(self, one: Person) -> int:
        """What her orders came to, in minor units."""
        return sum([self._cents[order] for order in one.like])

    def cents_like(self, order: int) -> int:
        """What an order like this past one comes to, in minor units."""
        return self._cents[order]

    def _revenue(self, one: Person) -> dict[str, Any]:
        return {"revenue": self.cents(one) / self._minor}

    def _average(self, one: Person) -> dict[str, Any]:
        return {"average_order": self.cents(one) / self._minor / len(one.bought)}

    def _gap(self, one: Person) -> dict[str, Any]:
        gaps = [later - earlier for earlier, later in itertools.pairwise(self.days(one))]
        return {"usual_gap_days": float(statistics.median(gaps)) if gaps else None}

    def _discount(self, one: Person) -> dict[str, Any]:
        orders = self._crowd.orders
        before = int(orders.before[one.like].sum())
        return {"discount_share": int(orders.discount[one.like].sum()) / before if before > 0 else None}

    def _frequency(self, one: Person) -> dict[str, Any]:
        return {"frequency_score": audience.rank(len(one.bought), self._crowd.lens.yardstick.frequency)}

    def _monetary(self, one: Person) -> dict[str, Any]:
        return {"monetary_score": audience.rank(self.cents(one), self._crowd.lens.yardstick.monetary)}

    def _by_category(self, one: Person) -> dict[str, Any]:
        return self._tastes(one, 1, "categories", "favourite_category")

    def _by_brand(self, one: Person) -> dict[str, Any]:
        return self._tastes(one, 2, "brands", "favourite_brand")

    def _tastes(self, one: Person, column: int, several: str, favourite: str) -> dict[str, Any]:
        """Names of what she kept, and the one that most of her money went to (then the name that comes first)."""
        orders, products = self._crowd.orders, self._crowd.products
        money: dict[str, int] = defaultdict(int)
        for order in one.like:
            lines = slice(int(orders.first_line[order]), int(orders.first_line[order + 1]))
            for item, cents in zip(orders.product[lines].tolist(), orders.line_revenue[lines].tolist(), strict=True):
                name = products[item][column] if item >= 0 else None
                if name:
                    money[name] += cents
        best = min(money, key=lambda name: (-money[name], name), default=None)
        return {several: tuple(sorted(money)), favourite: best}

    # ------------------------------------------------------------ what changes with the moment

    def _days_since(self, one: Person, now: int) -> int | None:
        return (now - one.bought[-1]) // DAY if one.bought else None

    def _recency(self, one: Person, now: int) -> int | None:
        if not one.bought:
            return None
        return 6 - audience.rank((now - one.bought[-1]) // DAY, self._crowd.lens.yardstick.recency)

    def _lifecycle(self, one: Person, now: int) -> str:
        if not one.bought:
            return "prospect"
        rhythm, yardstick = self._rhythm(one), self._crowd.lens.yardstick
        return audience.stage(
            purchase_days=rhythm.days,
            mean_gap_days=rhythm.mean_gap,
            days_since=(now - one.bought[-1]) // DAY,
            frequency_score=audience.rank(len(one.bought), yardstick.frequency),
            shop_gap_days=yardstick.shop_gap_days,
        )

    def _rhythm(self, one: Person) -> Rhythm:
        if one.rhythm is None:
            days, gap = self.days(one), self._crowd.lens.yardstick.shop_gap_days
            mean = (days[-1] - days[0]) / (len(days) - 1) if len(days) > 1 else None
            turns = audience.turning_days(purchase_days=len(days), mean_gap_days=mean, shop_gap_days=gap)
            one.rhythm = Rhythm(len(days), mean, tuple(turns))
        return one.rhythm

    def _age(self, one: Person, now: int) -> int | None:
        today, born = local_day(from_micros(now), self._crowd.zone), one.who.birth_date
        if born is None or born > today:
            return None
        return today.year - born.year - ((today.month, today.day) < (born.month, born.day))

    def _sent_30d(self, one: Person, now: int) -> int:
        return _lately(one.sent, now)

    def _last_sent(self, one: Person, _now: int) -> datetime | None:
        return from_micros(one.sent[-1]) if one.sent else None

    def _clicks_30d(self, one: Person, now: int) -> int:
        return _lately(one.clicks, now)

    def _last_click(self, one: Person, _now: int) -> datetime | None:
        return from_micros(one.clicks[-1]) if one.clicks else None

    def _created(self, one: Person, _now: int) -> datetime:
        return from_micros(one.who.created)

    def _consent(self, one: Person, _now: int) -> bool | None:
        return False if one.has_opted_out else one.who.standing.mailing_consent

    def _tracking(self, one: Person, _now: int) -> bool | None:
        return one.who.standing.tracking_consent


def _lately(moments: Sequence[int], now: int) -> int:
    return bisect_right(moments, now) - bisect_right(moments, now - MONTH)


def _first_after(bought: int, days: Iterable[int], now: int) -> datetime | None:
    """The first of some days after the last order that is still to come."""
    since = (now - bought) // DAY
    ahead = [one for one in days if one > since]
    return from_micros(bought + min(ahead) * DAY) if ahead else None


def _first_leaving(moments: Sequence[int], now: int) -> datetime | None:
    """When the oldest of the last 30 days leaves them."""
    place = bisect_right(moments, now - MONTH)
    return from_micros(moments[place] + MONTH) if place < len(moments) else None


_Figure = Callable[[Glass, Person], dict[str, Any]]
_FIGURES: Mapping[str, _Figure] = {
    "orders_count": Glass._count,
    "first_order_at": Glass._first,
    "last_order_at": Glass._last,
    "revenue": Glass._revenue,
    "average_order": Glass._average,
    "usual_gap_days": Glass._gap,
    "discount_share": Glass._discount,
    "frequency_score": Glass._frequency,
    "monetary_score": Glass._monetary,
    "categories": Glass._by_category,
    "favourite_category": Glass._by_category,
    "brands": Glass._by_brand,
    "favourite_brand": Glass._by_brand,
}
_Moving = Callable[[Glass, Person, int], Any]
_MOVING: Mapping[str, _Moving] = {
    "days_since_last_order": Glass._days_since,
    "recency_score": Glass._recency,
    "lifecycle": Glass._lifecycle,
    "age": Glass._age,
    "sent_30d": Glass._sent_30d,
    "last_sent_at": Glass._last_sent,
    "human_clicks_30d": Glass._clicks_30d,
    "last_click_at": Glass._last_click,
    "created_at": Glass._created,
    "mailing_consent": Glass._consent,
    "tracking_consent": Glass._tracking,
}

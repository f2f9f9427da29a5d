"""What happened to one contact so far? Her state in the simulation; times are microseconds since 1970."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.journeys.simulating.crowd import Crowd, Who
from engine.model import Profile


class Rhythm(NamedTuple):
    """How often she buys."""

    days: int  # on which she bought
    mean_gap: float | None
    turns: tuple[int, ...]  # days after her last order at which her lifecycle becomes another


class Person:
    """One contact in the simulation. Each list of moments ascends."""

    __slots__ = (
        "attributes",
        "base",
        "bought",
        "clicks",
        "dated",
        "days",
        "drawn",
        "events",
        "has_opted_out",
        "like",
        "plain",
        "rhythm",
        "sent",
        "tags",
        "who",
    )

    def __init__(self, who: Who, attributes: Mapping[str, str]) -> None:
        self.who = who
        self.attributes = attributes
        self.tags = who.tags
        self.has_opted_out = False  # since the beginning
        self.bought: list[int] = []
        self.like: list[int] = []  # which past order each of them is, or is a copy of
        self.sent: list[int] = []
        self.clicks: list[int] = []
        self.events: dict[str, list[int]] = {}
        self.base: dict[str, Any] | None = None  # what of her profile never changes
        self.plain: Profile | None = None
        self.drawn: dict[str, Any] = {}  # figures of her orders that were asked for, until the next one
        self.days: list[int] = []  # purchase days, as ordinals, of the first `dated` orders
        self.dated = 0
        self.rhythm: Rhythm | None = None  # until her next order

    @property
    def contact_id(self) -> int:
        """Her number."""
        return self.who.contact_id

    @property
    def may_be_mailed(self) -> bool:
        """Whether advertising may go to her now."""
        standing = self.who.standing
        return standing.mailing_consent is True and not standing.suppressed and not self.has_opted_out

    def buy(self, at: int, like: int) -> None:
        """She places an order, a copy of a past one."""
        self.bought.append(at)
        self.like.append(like)
        self.drawn, self.rhythm = {}, None


def person_of(crowd: Crowd, place: int) -> Person:
    """The contact at a place of the arrays, as she stands at the crowd's moment."""
    who = crowd.people[place]
    one = Person(who, crowd.attributes.get(who.contact_id, {}))
    hers = crowd.orders.of(place)
    one.bought = crowd.orders.at[hers].tolist()
    one.like = list(range(hers.start, hers.stop))
    one.sent = crowd.sent.moments(place)
    one.clicks = crowd.clicks.moments(place)
    one.events = {kind: rows.moments(place) for kind, rows in crowd.events.items()}
    return one

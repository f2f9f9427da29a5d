"""What is known of one contact at this virtual moment, for rules, for `decide` and for plans?"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from engine import rules
from engine.campaign import PlanOptions
from engine.journeys.deciding import Sight
from engine.journeys.definition import Send, Tag
from engine.journeys.simulating.behaviour import ORDER
from engine.journeys.simulating.crowd import MONTH
from engine.journeys.simulating.inside import Inside
from engine.journeys.simulating.person import Person
from engine.journeys.simulating.stage import Stage
from engine.ledger import Went
from engine.model import Candidate, Picks, Profile, with_tags
from engine.rules import PreparedRule, Rule
from engine.store import from_micros, to_micros

CLICK, OPEN = "click", "open"
_EVENT = "event:"
NEVER = 2**62


class Her:
    """One contact's facts; whoever changes them says so by `touch`."""

    def __init__(self, stage: Stage, one: Person) -> None:
        self.one, self._stage = one, stage
        self.zone = stage.glass.zone(one)
        self.clicked: dict[str, int] = {}  # when she last clicked in a mail of a journey
        self.went: list[Went] = []  # what the caps count
        self._profile: Profile | None = None
        self._at = -1

    def touch(self) -> None:
        """Something is other than it was."""
        self._profile = None

    def profile(self, at: datetime) -> Profile:
        """As of this moment."""
        micros = to_micros(at)
        if self._profile is None or self._at != micros:
            self._profile, self._at = self._stage.glass.profile(self.one, at), micros
        return self._profile

    def plain(self, at: datetime) -> Profile:
        """Who she is and where she lives."""
        return self._stage.glass.plain(self.one, at)

    def read(self, name: str, at: datetime) -> Any:
        """One field of her profile."""
        return self._stage.glass.read(self.one, at, name)

    def holds(self, rule: Rule, at: datetime, tags: Sequence[Tag] = ()) -> bool:
        """Does the rule hold for her now, after these steps of a journey?"""
        profile = self.profile(at)
        if tags:
            profile = replace(profile, tags=with_tags(profile.tags, tags))
        return rules.evaluate(rule, profile, at, self._stage.programme.segments)

    def outlook(self, rule: PreparedRule, at: datetime) -> tuple[bool, int]:
        """Does it hold, and until when does that stand (NEVER: until something happens)?"""
        glass = self._stage.glass
        holds, until = rule.outlook(_Subject(self, at), at, partial(glass.turns, self.one, at))
        return holds, NEVER if until is None else to_micros(until)

    def came(self, inside: Inside, what: str, since: datetime) -> bool:
        """Whether she did this after that moment; a click is one in a mail of this journey."""
        if what == CLICK:
            return self.clicked.get(inside.route.name, -1) > to_micros(since)
        return self.has_done(what, since)

    def has_done(self, what: str, since: datetime) -> bool:
        """Whether she ordered (`order`) or did something (`event:NAME`) after that moment."""
        moments = self.one.bought if what == ORDER else self.one.events.get(what.removeprefix(_EVENT), [])
        return bool(moments) and moments[-1] > to_micros(since)

    def sight(self, inside: Inside, at: datetime) -> Sight:
        """For `decide`."""
        name, book, stage = inside.route.name, self._stage.programme.rules, self._stage
        of_class = inside.journey.message_class
        return Sight(
            zone=self.zone,
            holds=lambda text, tags: self.holds(book[text], at, tags),
            clicked=lambda step: (step, CLICK) in inside.answers,
            opened=lambda step: (step, OPEN) in inside.answers,
            came=partial(self.came, inside),
            draw=lambda step: stage.keys.draw(f"{name}/{step}/split", self.one.contact_id),
            slot=lambda step, when: self._slot(step, of_class, at, when),
            legal=lambda _step, when: stage.slots.legal(self.plain(at), of_class, when),
        )

    def _slot(self, step: Send, of_class: str, at: datetime, when: datetime) -> datetime:
        return self._stage.slots.best(self.plain(at), step.send_at, of_class, when)

    def candidate(self, at: datetime) -> Candidate:
        """As a plan sees her."""
        standing = self.one.who.standing
        if self.one.has_opted_out:
            standing = replace(standing, suppressed=True, mailing_consent=False)
        return Candidate(profile=self.plain(at), picks=_NO_PICKS, standing=standing)

    def options(self, at: datetime, occurrence: str) -> PlanOptions:
        """As a plan wants them."""
        stage = self._stage
        return PlanOptions(
            at=at,
            occurrence=occurrence,
            keys=stage.keys,
            zone=stage.zone,
            tracking_mode=stage.tracking_mode,
            time=stage.slots.time,
            room_from=self._room_from,
        )

    def _room_from(self, _contact_id: int, message_class: str, at: datetime) -> datetime:
        allowance = self._stage.allowance
        if not allowance.concerns(message_class):
            return at
        return allowance.next_room(message_class, [(one.at, one.message_class) for one in self.went], at)

    def forget_old(self, at: int) -> None:
        """No cap counts what went out more than 30 days ago."""
        since = from_micros(at - MONTH)
        while self.went and self.went[0].at <= since:
            del self.went[0]


class _Subject:
    """Her, for a prepared rule: no field is drawn that isn't asked for."""

    __slots__ = ("_at", "_her")

    def __init__(self, her: Her, at: datetime) -> None:
        self._her, self._at = her, at

    def read(self, name: str) -> Any:
        """One field of her profile."""
        return self._her.read(name, self._at)

    def profile(self) -> Profile:
        """All that any rule reads."""
        return self._her.profile(self._at)


_NO_PICKS = Picks()

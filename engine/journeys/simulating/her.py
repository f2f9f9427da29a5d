"""What is known of one contact at this virtual moment, for rules, for `decide` and for plans?"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from engine import rules
from engine.journeys.deciding import Sight
from engine.journeys.definition import Tag
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
    """One contact's facts at the moment that is lived through; whoever changes them says so by `touch`.

    A prepared rule asks her itself (`read`, `profile`, `turns`): no field is drawn that isn't asked for.
    """

    def __init__(self, stage: Stage, one: Person, at: int) -> None:
        self.one, self._stage = one, stage
        self.at, self.moment = at, from_micros(at)
        self.zone = stage.glass.zone(one)
        self.clicked: dict[str, int] = {}  # when she last clicked in a mail of a journey
        self.went: list[Went] = []  # what the caps count
        self._profile: Profile | None = None
        self._candidate: Candidate | None = None

    def live(self, at: int) -> None:
        """Another moment has come."""
        if at != self.at:
            self.at, self.moment = at, from_micros(at)
            self._profile = None

    def touch(self) -> None:
        """Something is other than it was."""
        self._profile = None

    def profile(self) -> Profile:
        """All that any rule reads."""
        if self._profile is None:
            self._profile = self._stage.glass.profile(self.one, self.at)
        return self._profile

    def plain(self) -> Profile:
        """Who she is and where she lives."""
        return self._stage.glass.plain(self.one, self.at)

    def read(self, name: str) -> Any:
        """One field of her profile."""
        return self._stage.glass.read(self.one, self.at, name)

    def turns(self, name: str) -> datetime | None:
        """When a field next changes by itself."""
        return self._stage.glass.turns(self.one, self.at, name)

    def holds(self, rule: Rule, tags: Sequence[Tag] = ()) -> bool:
        """Does the rule hold for her now, after these steps of a journey?"""
        profile = self.profile()
        if tags:
            profile = replace(profile, tags=with_tags(profile.tags, tags))
        return rules.evaluate(rule, profile, self.moment, self._stage.programme.segments)

    def outlook(self, rule: PreparedRule) -> tuple[bool, int]:
        """Does it hold, and until when does that stand (NEVER: until something happens)?"""
        holds, until = rule.outlook(self, self.moment, self.turns)
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

    def sight(self, inside: Inside) -> Sight:
        """For `decide`, at whichever moment she lives through when it asks."""
        name, book, stage = inside.route.name, self._stage.programme.rules, self._stage
        of_class = inside.journey.message_class
        return Sight(
            zone=self.zone,
            holds=lambda text, tags: self.holds(book[text], tags),
            clicked=lambda step: (step, CLICK) in inside.answers,
            opened=lambda step: (step, OPEN) in inside.answers,
            came=partial(self.came, inside),
            draw=lambda step: stage.keys.draw(f"{name}/{step}/split", self.one.contact_id),
            slot=lambda step, when: stage.slots.best(self.plain(), step.send_at, of_class, when),
            legal=lambda _step, when: stage.slots.legal(self.plain(), of_class, when),
        )

    def opt_out(self) -> None:
        """From now on nobody may write to her."""
        self.one.has_opted_out, self._candidate = True, None

    def candidate(self) -> Candidate:
        """As a plan sees her."""
        profile = self.plain()
        if self._candidate is None or self._candidate.profile is not profile:
            standing = self.one.who.standing
            if self.one.has_opted_out:
                standing = replace(standing, suppressed=True, mailing_consent=False)
            self._candidate = Candidate(profile=profile, picks=_NO_PICKS, standing=standing)
        return self._candidate

    def room_from(self, message_class: str, at: datetime) -> datetime:
        """From which moment on the caps leave room for one more mail of this class to her."""
        stage = self._stage
        if not stage.is_capped(message_class):
            return at
        return stage.allowance.next_room(message_class, [(one.at, one.message_class) for one in self.went], at)

    def forget_old(self) -> None:
        """No cap counts what went out more than 30 days ago."""
        since = from_micros(self.at - MONTH)
        while self.went and self.went[0].at <= since:
            del self.went[0]


_NO_PICKS = Picks()

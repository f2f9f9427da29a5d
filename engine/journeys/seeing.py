"""What is known of a run of enrolments at this moment? Each question is asked once for all, when first needed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from engine import audience, campaign, ledger, rules
from engine.journeys.deciding import Sight
from engine.journeys.definition import Journey, Send, Tag
from engine.ledger import Enrolment
from engine.model import Candidate, HitKind, Picks, Profile, with_tags
from engine.pipeline.planning import view_of
from engine.pipeline.slots import Slots
from engine.pipeline.workspace import Mailer
from engine.rules import Rule

_CLICK = "click"
_PICKS = frozenset(Picks.__dataclass_fields__)


class RuleBook:
    """The rules of journeys, each checked once: against the workspace's segments as they stand now."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer
        self._segments: Mapping[str, Rule] | None = None
        self._rules: dict[str, Rule] = {}

    @property
    def segments(self) -> Mapping[str, Rule]:
        """The segments' rules by name; a fault in their file is met by those who need them alone."""
        if self._segments is None:
            self._segments = self._mailer.rules()
        return self._segments

    def holds(self, where: str, profile: Profile, at: datetime, place: str) -> bool:
        """Whether the rule holds for her; BadRule names the `place`."""
        if where not in self._rules:
            self._rules[where] = campaign.checked(where, place, self.segments, self._mailer.zone)
        return rules.evaluate(self._rules[where], profile, at, self.segments)


class Seen:
    """What is known of these enrolments as of `at`. Facts must be refreshed before (`audience.refresh_changed`)."""

    def __init__(self, mailer: Mailer, book: RuleBook, enrolments: Sequence[Enrolment], at: datetime) -> None:
        self._mailer, self._book, self._at = mailer, book, at
        self._ids = sorted({one.contact_id for one in enrolments})
        self._since = min((one.entered_at for one in enrolments), default=at)
        self._names = {one.journey for one in enrolments}
        self._latest: dict[str, Mapping[int, datetime]] = {}
        self._answers: ledger.Answers | None = None
        self._slots: Slots | None = None
        profiles = audience.profiles(mailer.store, self._ids, at, mailer.zone, mailer.currency)
        self.profiles: Mapping[int, Profile] = {one.contact_id: one for one in profiles}

    def candidates(self, contact_ids: Sequence[int], fields: Collection[str]) -> list[Candidate]:
        """These contacts, in this order, for a plan of templates that read these fields; products only for those."""
        store, keys = self._mailer.store, self._mailer.keys
        if _PICKS.isdisjoint(fields):
            standings = audience.standings(store, keys, sorted(set(contact_ids)))
            return [
                Candidate(profile=self.profiles[one], picks=Picks(), standing=standings[one]) for one in contact_ids
            ]
        wanted = sorted(set(contact_ids))
        found = audience.candidates(store, wanted, self._at, keys, view_of(self._mailer))
        people = {one.profile.contact_id: one for one in found}
        return [people[one] for one in contact_ids]

    def sight(self, journey: Journey, one: Enrolment) -> Sight:
        """Her, for `decide`."""
        profile = self.profiles[one.contact_id]
        return Sight(
            zone=campaign.zone_of(profile, self._mailer.zone),
            holds=partial(self._holds, journey, profile),
            clicked=partial(self._answered, one, HitKind.CLICK),
            opened=partial(self._answered, one, HitKind.OPEN),
            came=partial(self.came, one),
            draw=lambda step: self._mailer.keys.draw(f"{journey.name}/{step}/split", one.contact_id),
            slot=partial(self._slot, journey, profile),
            legal=partial(self._legal, journey, profile),
        )

    def _holds(self, journey: Journey, profile: Profile, where: str, tags: Sequence[Tag]) -> bool:
        her = replace(profile, tags=with_tags(profile.tags, tags)) if tags else profile
        return self._book.holds(where, her, self._at, f"journey {journey.name}")

    def came(self, one: Enrolment, what: str, since: datetime) -> bool:
        """Whether she did this after that moment; a click is one in a mail of this journey, by no machine."""
        if what == _CLICK:
            return self._clicked_since(one, since)
        if what not in self._latest:
            self._latest[what] = audience.latest(self._mailer.store, what, self._ids, self._since, self._at)
        latest = self._latest[what].get(one.contact_id)
        return latest is not None and latest > since

    def _clicked_since(self, one: Enrolment, since: datetime) -> bool:
        return any(
            answer.kind is HitKind.CLICK and answer.at > since
            for answer in self._all_answers()[one.contact_id]
            if answer.campaign.startswith(f"{one.journey}/")
        )

    def _answered(self, one: Enrolment, kind: HitKind, step: str) -> bool:
        """In the mail of this step, in this enrolment. Who clicked has opened it, with pictures or without."""
        kinds = {kind, HitKind.CLICK}
        name, whose = f"{one.journey}/{step}", f"{one.id}/"
        return any(
            answer.kind in kinds and answer.campaign == name and answer.occurrence.startswith(whose)
            for answer in self._all_answers()[one.contact_id]
        )

    def _all_answers(self) -> "ledger.Answers":
        if self._answers is None:
            self._answers = ledger.human_answers(self._mailer.store, self._ids, self._names, self._at)
        return self._answers

    def _slot(self, journey: Journey, profile: Profile, step: Send, at: datetime) -> datetime:
        return self._its_slots().best(profile, step.send_at, journey.message_class, at)

    def _legal(self, journey: Journey, profile: Profile, _step: Send, at: datetime) -> datetime:
        return self._its_slots().legal(profile, journey.message_class, at)

    def _its_slots(self) -> Slots:
        if self._slots is None:
            self._slots = Slots(self._mailer, self._ids, self._at)
        return self._slots

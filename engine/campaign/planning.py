"""Who gets a message, when, and who does not and why? One entry for everybody whom the segment selected.

Eligibility comes first, in the order of `_Gate`; then, among the eligible only, the draws for holdout and variant; then
the draft. The draft of a would-be holdout is tried with the variant she would have got: if a value is missing she is
skipped like everybody else, so that holdout and messages stay comparable.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from engine.campaign.assign import drawn_variant, is_held_out
from engine.campaign.timing import due_times, parse_send_at
from engine.campaign.zones import zone_of
from engine.links import Keys
from engine.model import Campaign, Candidate, EntryState, PlanEntry, SkipReason, TrackingMode, Variant

ADULT_ENOUGH = 16  # years: the age of consent to such services (GDPR, Article 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What a plan needs to know beside campaign and people. `cap`: messages in 30 days at most; 0 is no cap."""

    at: datetime
    occurrence: str
    keys: Keys
    zone: ZoneInfo
    tracking_mode: TrackingMode
    cap: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What rendering this message will need; `missing` says which value is lacking and where, or is empty."""

    language: str
    template_hash: str
    context: Mapping[str, Any] = field(default_factory=dict)
    missing: str = ""


Drafter = Callable[[Variant, Candidate], Draft]


def plan(
    campaign: Campaign, candidates: Iterable[Candidate], draft: Drafter, options: PlanOptions
) -> Iterator[PlanEntry]:
    """One entry for each candidate, in their order.

    A `send_at` like `09:00 local` looks at everybody's zone before the first entry: candidates that can be walked
    through only once are then held in memory.
    """
    if parse_send_at(campaign.send_at).needs_every_zone and isinstance(candidates, Iterator):
        candidates = list(candidates)
    hours = _Hours(campaign, candidates, options)
    gate = _Gate(campaign, options)
    for person in candidates:
        reason = gate.reason(person) or hours.reason(person)
        yield _skipped(person, reason) if reason else _drawn(campaign, person, draft, hours.due(person), options)


def variant_for(campaign: Campaign, contact_id: int, options: PlanOptions) -> Variant:
    """The variant this contact gets, or would get if she were not held out."""
    return drawn_variant(campaign, options.occurrence, contact_id, options.keys)


def is_tracked(person: Candidate, options: PlanOptions) -> bool:
    """Whether her message may carry a pixel and personal link tokens."""
    allowed = options.tracking_mode is TrackingMode.INDIVIDUAL_WITH_CONSENT
    return allowed and person.standing.tracking_consent is True


def summarise(entries: Iterable[PlanEntry]) -> dict[str, Any]:
    """Counts of a plan: `audience` = `messages` + `holdout` + everybody `skipped`."""
    states: Counter[EntryState] = Counter()
    skipped: Counter[str] = Counter()
    variants: Counter[str] = Counter()
    for entry in entries:
        states[entry.state] += 1
        if entry.state is EntryState.SKIPPED:
            skipped[str(entry.reason)] += 1
        elif entry.state is EntryState.MESSAGE:
            variants[entry.variant] += 1
    return {
        "audience": states.total(),
        "messages": states[EntryState.MESSAGE],
        "holdout": states[EntryState.HOLDOUT],
        "skipped": dict(sorted(skipped.items())),
        "variants": dict(sorted(variants.items())),
    }


def drift(old_members: Collection[int], new_members: Collection[int]) -> float:
    """Which share of all who are or were members joined or left: 0 for the same people, 1 for none in common."""
    old, new = set(old_members), set(new_members)
    return len(old ^ new) / len(old | new) if old or new else 0.0


class _Gate:
    """Who is eligible? Remembers the mailboxes it let through, so that nobody gets the same mail twice."""

    def __init__(self, campaign: Campaign, options: PlanOptions) -> None:
        self._is_marketing = campaign.message_class == "marketing"
        # Order confirmations and the like are owed: neither consent nor a cap on advertising stops them.
        self._cap = options.cap if self._is_marketing else 0
        self._seen: set[str] = set()

    def reason(self, person: Candidate) -> SkipReason | None:
        """The first reason against a message, None when there is none."""
        profile, standing = person.profile, person.standing
        if not profile.email or not standing.address_key:
            return SkipReason.NO_ADDRESS
        if standing.suppressed:
            return SkipReason.SUPPRESSED
        if self._is_marketing and standing.mailing_consent is not True:
            return SkipReason.NO_CONSENT
        if profile.age is not None and profile.age < ADULT_ENOUGH:
            return SkipReason.MINOR
        if standing.address_key in self._seen:
            return SkipReason.DUPLICATE
        self._seen.add(standing.address_key)
        return SkipReason.CAPPED if 0 < self._cap <= profile.sent_30d else None


class _Hours:
    """When is whose message due?"""

    def __init__(self, campaign: Campaign, candidates: Iterable[Candidate], options: PlanOptions) -> None:
        self._campaign, self._options = campaign, options
        self._due: dict[ZoneInfo, datetime] = {}
        if parse_send_at(campaign.send_at).needs_every_zone:
            gate = _Gate(campaign, options)
            zones = {zone_of(one.profile, options.zone) for one in candidates if gate.reason(one) is None}
            self._due = due_times(campaign.send_at, options.at, zones, options.zone)

    def due(self, person: Candidate) -> datetime:
        """The instant from which her message may go out."""
        zone = zone_of(person.profile, self._options.zone)
        if zone not in self._due:
            self._due |= due_times(self._campaign.send_at, self._options.at, [zone], self._options.zone)
        return self._due[zone]

    def reason(self, person: Candidate) -> SkipReason | None:
        """Expired, when the campaign is over before her hour comes."""
        over = self._campaign.expires
        return SkipReason.EXPIRED if over and max(self._options.at, self.due(person)) >= over else None


def _drawn(campaign: Campaign, person: Candidate, draft: Drafter, due: datetime, options: PlanOptions) -> PlanEntry:
    contact_id, email = person.profile.contact_id, person.profile.email
    variant = variant_for(campaign, contact_id, options)
    drafted = draft(variant, person)
    if drafted.missing:
        return _skipped(person, SkipReason.MISSING_DATA, drafted.missing)
    if is_held_out(campaign, options.occurrence, contact_id, options.keys):
        return PlanEntry(contact_id=contact_id, email=email, state=EntryState.HOLDOUT, send_at=due)
    return PlanEntry(
        contact_id=contact_id,
        email=email,
        state=EntryState.MESSAGE,
        variant=variant.name,
        language=drafted.language,
        template_hash=drafted.template_hash,
        send_at=due,
        tracked=is_tracked(person, options),
        context=drafted.context,
    )


def _skipped(person: Candidate, reason: SkipReason, detail: str = "") -> PlanEntry:
    return PlanEntry(
        contact_id=person.profile.contact_id,
        email=person.profile.email,
        state=EntryState.SKIPPED,
        reason=reason,
        detail=detail,
    )

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
from engine.campaign.own_time import OwnTime
from engine.campaign.timing import due_times, parse_send_at
from engine.links import Keys
from engine.model import TRANSACTIONAL, Campaign, Candidate, EntryState, PlanEntry, SkipReason, TrackingMode, Variant

ADULT_ENOUGH = 16  # years: the age of consent to such services (GDPR, Article 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What a plan needs to know beside campaign and people.

    `time`: everybody's own; without it nothing is quiet and nobody has a best hour of her own. `room_from` tells from
    which moment on the caps leave room for one more message of this class to a contact.
    """

    at: datetime
    occurrence: str
    keys: Keys
    zone: ZoneInfo
    tracking_mode: TrackingMode
    time: OwnTime | None = None
    room_from: Callable[[int, str, datetime], datetime] = lambda _contact_id, _class, at: at


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

    Each variant may have a `send_at` of its own: that of a holdout is of the variant she would have got, so that what
    each of them did is counted from the same hour. One like `09:00 local` looks at everybody's zone before the first
    entry: candidates that can be walked through only once are then held in memory.
    """
    if isinstance(candidates, Iterator) and any(parse_send_at(one).needs_every_zone for one in _hours_said(campaign)):
        candidates = list(candidates)
    hours = _Hours(campaign, candidates, options)
    gate = _Gate(campaign, options)
    for person in candidates:
        reason = gate.reason(person)
        if reason is not None:
            yield _skipped(person, reason)
            continue
        variant = variant_for(campaign, person.profile.contact_id, options)
        due = hours.due(person, variant)
        too_late = hours.reason(person, due)
        yield _skipped(person, too_late) if too_late else _drawn(campaign, person, variant, draft, due, options)


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
        # Order confirmations and the like are owed: no consent to advertising is needed.
        self._needs_consent = campaign.message_class != TRANSACTIONAL
        self._seen: set[str] = set()

    def reason(self, person: Candidate) -> SkipReason | None:
        """The first reason against a message, None when there is none."""
        profile, standing = person.profile, person.standing
        if not profile.email or not standing.address_key:
            return SkipReason.NO_ADDRESS
        if standing.suppressed:
            return SkipReason.SUPPRESSED
        if self._needs_consent and standing.mailing_consent is not True:
            return SkipReason.NO_CONSENT
        if profile.age is not None and profile.age < ADULT_ENOUGH:
            return SkipReason.MINOR
        if standing.address_key in self._seen:
            return SkipReason.DUPLICATE
        self._seen.add(standing.address_key)
        return None


class _Hours:
    """When is whose message due?"""

    def __init__(self, campaign: Campaign, candidates: Iterable[Candidate], options: PlanOptions) -> None:
        self._campaign, self._options = campaign, options
        self._time = options.time or OwnTime(shop_zone=options.zone)
        self._due: dict[str, dict[ZoneInfo, datetime]] = {said: {} for said in _hours_said(campaign)}
        of_every_zone = [said for said in self._due if parse_send_at(said).needs_every_zone]
        if of_every_zone:
            gate = _Gate(campaign, options)
            zones = {self._time.zone(one.profile) for one in candidates if gate.reason(one) is None}
            self._due |= {said: due_times(said, options.at, zones, options.zone) for said in of_every_zone}

    def due(self, person: Candidate, variant: Variant) -> datetime:
        """The instant from which her message may go out: the first legal one where its own is quiet."""
        said, who, message_class = (
            variant.send_at or self._campaign.send_at,
            person.profile,
            self._campaign.message_class,
        )
        wanted = parse_send_at(said)
        if wanted.is_best_hour:
            return self._time.best_hour(who.contact_id, who, message_class, self._options.at, wanted.day)
        zone, due = self._time.zone(who), self._due[said]
        if zone not in due:
            due |= due_times(said, self._options.at, [zone], self._options.zone)
        return self._time.legal(who, message_class, due[zone])

    def reason(self, person: Candidate, due: datetime) -> SkipReason | None:
        """Expired or capped, when the campaign is over before her hour comes, or before she may get one more."""
        over, message_class = self._campaign.expires, self._campaign.message_class
        if over and max(self._options.at, due) >= over:
            return SkipReason.EXPIRED
        if message_class == TRANSACTIONAL:
            return None
        free = self._options.room_from(person.profile.contact_id, message_class, due)
        return SkipReason.CAPPED if free >= ends_at(self._campaign, due) else None


def ends_at(campaign: Campaign, due: datetime) -> datetime:
    """From when on it is too late for a message that was due then: the campaign is over, or its hour long past."""
    ends = [campaign.expires or due + campaign.window]
    return min([*ends, due + campaign.max_lateness] if campaign.max_lateness is not None else ends)


def _hours_said(campaign: Campaign) -> list[str]:
    return list(dict.fromkeys(one.send_at or campaign.send_at for one in campaign.variants))


def _drawn(
    campaign: Campaign, person: Candidate, variant: Variant, draft: Drafter, due: datetime, options: PlanOptions
) -> PlanEntry:
    contact_id, email = person.profile.contact_id, person.profile.email
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

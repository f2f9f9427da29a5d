"""What does a running journey look at? Its start with all rules checked: against the segments as they stand now."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from engine import audience, campaign, ledger, rules
from engine.journeys.definition import Journey, StartKind
from engine.journeys.entering import is_held_out
from engine.journeys.stored import from_json
from engine.ledger import Newcomer, PublishedJourney
from engine.links import Keys
from engine.model import CampaignState, Profile
from engine.pipeline.workspace import Mailer
from engine.rules import Rule

# A pause holds mails and waits; whoever comes by meanwhile is let in, and waits inside.
_OPEN = (CampaignState.RUNNING, CampaignState.PAUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A journey at its entrance. `inside` is the start segment less whom the journey leaves out; None: no segment."""

    journey: Journey
    version: int
    inside: Rule | None
    where: Rule | None
    exclude: Rule | None
    segments: Mapping[str, Rule]
    base_of: str

    @property
    def name(self) -> str:
        """The journey's name."""
        return self.journey.name

    @property
    def fields(self) -> frozenset[str]:
        """The fields whose turns matter to it."""
        return frozenset() if self.inside is None else rules.fields_read(self.inside, self.segments)

    @property
    def reads_yardstick(self) -> bool:
        """Whether a new yardstick moves people in and out."""
        return bool(self.fields & audience.YARDSTICK_FIELDS)

    @property
    def reads_sent(self) -> bool:
        """Whether a mail that goes out moves people in and out."""
        return bool(self.fields & audience.SENT_FIELDS)


def posts(mailer: Mailer) -> list[Post]:
    """Every journey that people may come into; BadRule or UnknownSegment where the segments no longer fit one."""
    published = [one for one in ledger.journeys(mailer.store) if one.state in _OPEN]
    if not published:
        return []
    segments = mailer.rules()
    found = [_post(one, segments, mailer) for one in published]
    return [one for one in found if one.journey.start.kind is not StartKind.HAND]


def newcomer(post: Post, contact_id: int, cause: str, since: datetime | None, keys: Keys) -> Newcomer:
    """Somebody whom this brings to the journey's first step; `since` is when her event or order happened."""
    journey = post.journey
    return Newcomer(
        journey=journey.name,
        version=post.version,
        contact_id=contact_id,
        cause=cause,
        held_out=is_held_out(journey.name, journey.holdout, contact_id, keys),
        step=journey.first,
        since=since,
    )


def is_erased(who: Profile) -> bool:
    """Nothing is left by which she could be known: she comes into no journey."""
    return who.email is None and who.external_id is None


def _post(published: PublishedJourney, segments: Mapping[str, Rule], mailer: Mailer) -> Post:
    journey = from_json(published.definition)
    where = f"journey {journey.name!r}, version {published.version}"

    def checked(text: str, key: str) -> Rule | None:
        return campaign.checked(text, f"{where}, {key}", segments, mailer.zone) if text else None

    exclude = checked(journey.exclude, "exclude")
    inside = None
    if journey.start.kind is StartKind.SEGMENT:
        inside = rules.less(rules.segment_named(journey.start.name, segments), exclude)
    return Post(
        journey=journey,
        version=published.version,
        inside=inside,
        where=checked(journey.start.where, "start.where"),
        exclude=exclude,
        segments=segments,
        base_of=_base_of(published, inside, segments),
    )


def _base_of(published: PublishedJourney, inside: Rule | None, segments: Mapping[str, Rule]) -> str:
    """Names the start, and the texts of all rules that say who is inside."""
    start = _hash(published.definition["start"])
    if inside is None:
        return f"{start}/"
    sources = {name: segments[name].source for name in sorted(_asked(inside, segments))}
    return f"{start}/{_hash([inside.source, sources])}"


def _asked(rule: Rule, segments: Mapping[str, Rule]) -> set[str]:
    return set(rule.segments).union(*(_asked(segments[name], segments) for name in rule.segments))


def _hash(said: object) -> str:
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]

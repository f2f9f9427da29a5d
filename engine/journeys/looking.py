"""What does a look at one contact come to, at one journey's entrance? Values in, a value out; nothing is written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from engine import rules
from engine.audience import Foreseen
from engine.journeys.definition import Start, StartKind
from engine.journeys.entering import Comes, comes_after, day_in, entry_of, last_come, patience_of
from engine.journeys.posts import Post, is_erased, newcomer
from engine.ledger import Act, Look, Missed, Newcomer, Watch
from engine.links import Keys
from engine.model import Profile

ATTRIBUTES = "attributes."


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A contact as a look finds her. `acts` are those events or orders that this journey has not looked at."""

    foreseen: Foreseen
    before: Watch | None
    occasion: str  # what made us look: it tells one coming in from the next
    zone: ZoneInfo
    birth_date: date | None = None
    acts: Sequence[Act] = ()

    @property
    def profile(self) -> Profile:
        """What is known of her."""
        return self.foreseen.profile


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What is to be remembered, what brings her in, and what came too late for that."""

    after: Watch | None
    cause: str = ""
    since: datetime | None = None
    missed: tuple[Missed, ...] = ()


def look(post: Post, person: Person, at: datetime, keys: Keys) -> Look:
    """One journey's look at one contact, as of `at`."""
    who = person.profile
    if is_erased(who):
        found = _Found(after=None)
    else:
        match post.journey.start.kind:
            case StartKind.SEGMENT:
                found = _at_segment(post, person, at)
            case StartKind.DATE:
                found = _at_day(post, person, at)
            case _:
                found = _at_acts(post, person, at)
    comes: Newcomer | None = newcomer(post, who.contact_id, found.cause, found.since, keys) if found.cause else None
    return Look(
        journey=post.name,
        contact_id=who.contact_id,
        before=person.before,
        after=found.after,
        newcomer=comes,
        missed=found.missed,
    )


def seen_inside(post: Post, person: Foreseen, at: datetime) -> Watch | None:
    """Whether she is in the start segment, and when that may change by itself; None: out, until something happens."""
    assert post.inside is not None
    ahead = rules.outlook(post.inside, person.profile, at, person.turns.get, post.segments)
    return Watch(inside=ahead.holds, look_at=ahead.until) if ahead.holds or ahead.until else None


def day_of(start: Start, profile: Profile, birth_date: date | None) -> date | None:
    """The day that a date start goes by."""
    if start.name.startswith(ATTRIBUTES):
        return day_in(profile.attributes.get(start.name.removeprefix(ATTRIBUTES)))
    return birth_date


def waits_for_day(start: Start, day: date, zone: ZoneInfo, at: datetime) -> Watch:
    """What is remembered of somebody whose day is known from now on: what came round before brings nobody in."""
    last = last_come(start, day, zone, at)
    mark = last.mark if last else 0
    return Watch(look_at=_next_look(start, day, zone, at, mark), mark=mark)


def _at_segment(post: Post, person: Person, at: datetime) -> _Found:
    after = seen_inside(post, person.foreseen, at)
    was, is_now = bool(person.before and person.before.inside), bool(after and after.inside)
    comes = entry_of(post.journey, was, is_now)
    return _Found(after=after, cause=f"segment/{person.occasion}" if comes else "")


def _at_day(post: Post, person: Person, at: datetime) -> _Found:
    start = post.journey.start
    day = day_of(start, person.profile, person.birth_date)
    if day is None:
        return _Found(after=person.before and replace(person.before, look_at=None))
    if person.before is None or person.before.mark is None:
        return _Found(after=waits_for_day(start, day, person.zone, at))
    last, mark = last_come(start, day, person.zone, at), person.before.mark
    if last is None or last.mark <= mark:
        return _Found(after=Watch(look_at=_next_look(start, day, person.zone, at, mark), mark=mark))
    after = Watch(look_at=_next_look(start, day, person.zone, at, last.mark), mark=last.mark)
    if at - last.due_at > patience_of(post.journey):
        return _Found(after=after, missed=(_late(post, person, last.cause, last.due_at, at),))
    return _Found(after=after, cause=last.cause if _lets_in(post, person.profile, at) else "")


def _next_look(start: Start, day: date, zone: ZoneInfo, at: datetime, mark: int) -> datetime | None:
    """When her day comes round next. The day that was looked at is over, also where a new zone has it still ahead."""
    following: Comes | None = comes_after(start, day, zone, at)
    while following is not None and following.mark <= mark:
        following = comes_after(start, day, zone, following.due_at)
    return following.due_at if following else None


def _at_acts(post: Post, person: Person, at: datetime) -> _Found:
    """Each act is looked at once, when its hour has come; the earliest that fits brings her in."""
    due = [one for one in person.acts if one.at <= at]
    ahead = [one for one in person.acts if one.at > at]
    late = [one for one in due if at - one.at > patience_of(post.journey)]
    fresh = due[len(late) :]  # they come by time
    before = person.before or Watch()
    # One that lies ahead is looked at later, and with it those that came in after it.
    seen = [one.id for one in due if not ahead or one.id < min(other.id for other in ahead)]
    after = Watch(look_at=ahead[0].at if ahead else None, mark=max(seen, default=before.mark))
    return _Found(
        after=None if after == Watch() else after,
        cause=fresh[0].cause if fresh and _lets_in(post, person.profile, at) else "",
        since=fresh[0].at if fresh else None,
        missed=tuple(_late(post, person, one.cause, one.at, at) for one in late),
    )


def _lets_in(post: Post, who: Profile, at: datetime) -> bool:
    if post.exclude is not None and rules.evaluate(post.exclude, who, at, post.segments):
        return False
    return post.where is None or rules.evaluate(post.where, who, at, post.segments)


def _late(post: Post, person: Person, cause: str, due_at: datetime, at: datetime) -> Missed:
    days = (at - due_at).total_seconds() / 86_400
    return Missed(
        name=post.name,
        occurrence=f"{cause}/{person.profile.contact_id}",
        due_at=due_at,
        at=at,
        why=f"seen {days:.1f} days late, and {patience_of(post.journey).total_seconds() / 86_400:.1f} are allowed",
    )

"""Whom does a journey find when it is published, or when its segment's rule is edited? A look at the whole base, once.

Whoever is inside by then has not come in (`existing = true` lets them in all the same). It goes in chunks, each a short
transaction, and goes on where it was stopped; several processes may be at it.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from engine import audience, campaign, ledger, rules
from engine.audience import Foreseen
from engine.journeys.definition import StartKind
from engine.journeys.entering import day_in
from engine.journeys.looking import ATTRIBUTES, seen_inside, waits_for_day
from engine.journeys.posts import Post, is_erased, newcomer
from engine.ledger import Base, Newcomer, Watch
from engine.pipeline.workspace import Mailer

_CONTACTS_A_CHUNK = 500
_CONTACTS_A_LOOK = 5000  # where one SELECT has told who is inside

Rows = list[tuple[int, Watch]]


def look_at_base(mailer: Mailer, post: Post, at: datetime) -> None:
    """Look at everybody who was there, unless that is done. Profiles must be fresh (`audience.refresh_changed`)."""
    base = ledger.base_of(mailer.store, post.name)
    while base.of != post.base_of:
        yardstick_at = _yardstick(mailer, at) if post.reads_yardstick else None
        ledger.begin_base(
            mailer.store, post.name, base, post.base_of, reads_sent=post.reads_sent, yardstick_at=yardstick_at
        )
        base = ledger.base_of(mailer.store, post.name)
    chosen = _chosen(mailer, post, base, at)
    while not base.done and base.of == post.base_of:
        up_to, rows, newcomers = _chunk(mailer, post, base, chosen, at)
        ledger.take_base(mailer.store, post.name, base, up_to, rows, newcomers, at=at, reentry=post.journey.reentry)
        base = ledger.base_of(mailer.store, post.name)


def look_at_night(mailer: Mailer, post: Post, at: datetime) -> None:
    """A new yardstick moves scores and lifecycles of people to whom nothing happened: whom it moved is touched."""
    if not post.reads_yardstick:
        return
    drawn_at = _yardstick(mailer, at)
    if ledger.base_of(mailer.store, post.name).yardstick_at == drawn_at:
        return
    moved = sorted(set(_inside(mailer, post, at)) ^ ledger.insiders(mailer.store, post.name))
    ledger.touch_all(mailer.store, moved)
    ledger.set_yardstick(mailer.store, post.name, drawn_at)


def _yardstick(mailer: Mailer, at: datetime) -> datetime:
    return audience.yardstick_moment(mailer.store, at, mailer.zone, mailer.currency)


def _inside(mailer: Mailer, post: Post, at: datetime) -> list[int]:
    """Everybody in the start segment, by one SELECT."""
    assert post.inside is not None
    return audience.select(mailer.store, post.inside, at, post.segments, mailer.zone, currency=mailer.currency)


def _chosen(mailer: Mailer, post: Post, base: Base, at: datetime) -> Sequence[int] | None:
    """Who is inside, where time alone moves nobody: then one SELECT tells all there is to know."""
    if base.done or post.inside is None or not rules.stands_still(post.inside, post.segments):
        return None
    return _inside(mailer, post, at)


def _chunk(
    mailer: Mailer, post: Post, base: Base, chosen: Sequence[int] | None, at: datetime
) -> tuple[int, Rows, list[Newcomer]]:
    """Up to whom the next chunk goes, what is to be remembered of it, and who comes in."""
    if post.journey.start.kind not in (StartKind.SEGMENT, StartKind.DATE):
        return base.until, [], []
    limit = _CONTACTS_A_CHUNK if chosen is None or post.journey.existing else _CONTACTS_A_LOOK
    ids = ledger.base_ids(mailer.store, base, limit)
    up_to = ids[-1] if len(ids) == limit else base.until
    if post.inside is None:
        rows = _days(mailer, post, ids, at)
    elif chosen is not None:
        there = set(ids)
        near = chosen[bisect_left(chosen, base.seen + 1) : bisect_left(chosen, up_to + 1)]
        rows = [(one, Watch(inside=True)) for one in near if one in there]
    else:
        rows = _ahead(mailer, post, ids, at)
    return up_to, rows, _existing(mailer, post, rows)


def _ahead(mailer: Mailer, post: Post, ids: Sequence[int], at: datetime) -> Rows:
    people: list[Foreseen] = audience.foreseen(mailer.store, ids, at, mailer.zone, mailer.currency, post.fields)
    seen = [(one.profile.contact_id, seen_inside(post, one, at)) for one in people if not is_erased(one.profile)]
    return [(contact_id, watch) for contact_id, watch in seen if watch is not None]


def _existing(mailer: Mailer, post: Post, rows: Rows) -> list[Newcomer]:
    if not post.journey.existing:
        return []
    cause = f"existing/{post.version}"
    return [newcomer(post, contact_id, cause, None, mailer.keys) for contact_id, watch in rows if watch.inside]


def _days(mailer: Mailer, post: Post, ids: Sequence[int], at: datetime) -> Rows:
    start = post.journey.start
    days = days_known(mailer, start.name, ids)
    zones = zones_of(mailer, list(days))
    return [(one, waits_for_day(start, day, zones[one], at)) for one, day in days.items()]


def days_known(mailer: Mailer, name: str, ids: Sequence[int]) -> Mapping[int, date]:
    """The day of each of these contacts that a date start of this field goes by."""
    if not name.startswith(ATTRIBUTES):
        return audience.birth_dates(mailer.store, ids)
    told = audience.attributes_of(mailer.store, ids, name.removeprefix(ATTRIBUTES))
    return {one: day for one, text in told.items() if (day := day_in(text)) is not None}


def zones_of(mailer: Mailer, ids: Sequence[int]) -> Mapping[int, ZoneInfo]:
    """The clock that each of these contacts reads."""
    places = audience.places(mailer.store, ids)
    return {
        one: campaign.known_zone(place.timezone, place.region, place.country) or mailer.zone
        for one, place in places.items()
    }

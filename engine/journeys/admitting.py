"""Who comes into the running journeys now? The first step of every tick.

Looked at are only those to whom something happened since the last look (`contact.touched`) and those whose hour has
come (`watch.look_at`): what this costs goes with what changed, not with the size of the base. Whoever was touched is
woken, too, in the journeys that she is inside, so that a goal or an awaited event is seen at once.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from engine import audience, campaign, ledger
from engine.journeys.basing import look_at_base, look_at_night
from engine.journeys.definition import StartKind
from engine.journeys.looking import ATTRIBUTES, Person, look
from engine.journeys.posts import Post, posts
from engine.ledger import Act, Look, Roll, Touched
from engine.pipeline.workspace import Mailer

_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """One tick's way along the entrances: which journeys there were, and the moment by a clock that never goes back."""

    mailer: Mailer
    posts: Sequence[Post]
    roll: Roll
    since: Mapping[str, datetime]  # by journey: what happened earlier brings nobody in
    at: datetime


def enter(mailer: Mailer, at: datetime) -> None:
    """Let in everybody who newly fits a running journey; safe beside others, and to be killed, at any moment."""
    if not ledger.roll(mailer.store):
        return
    at = ledger.steady(mailer.store, at)
    audience.refresh_changed(mailer.store, at, mailer.zone)
    before = ledger.roll(mailer.store)
    known = posts(mailer)
    for post in known:
        look_at_base(mailer, post, at)
        look_at_night(mailer, post, at)
    now = _round(mailer, known, before, at)
    if now is not None and _look_at_touched(now):
        _look_at_due(now)


def publish_base(mailer: Mailer, name: str, at: datetime) -> None:
    """Look at the base of a journey that was published just now, so that what happens from here on brings people in.

    Where nobody calls it, the next tick does so, and who changed in between counts as having been there.
    """
    audience.refresh_changed(mailer.store, at, mailer.zone)
    for post in posts(mailer):
        if post.name == name:
            look_at_base(mailer, post, at)


def _round(mailer: Mailer, known: Sequence[Post], before: Roll, at: datetime) -> _Round | None:
    """All is ready for a round; None when the journeys changed since they were read: the next tick goes on."""
    roll = ledger.roll(mailer.store)
    if [one[:3] for one in roll] != [one[:3] for one in before]:
        return None
    looked_at = {one.name: one.base_of for one in roll if one.base_done}
    if any(looked_at.get(post.name) != post.base_of for post in known):
        return None
    since = {post.name: ledger.base_of(mailer.store, post.name).at or at for post in known}
    return _Round(mailer=mailer, posts=known, roll=roll, since=since, at=at)


def _look_at_touched(now: _Round) -> bool:
    """Everybody to whom something happened; False when the journeys changed meanwhile: the next tick goes on."""
    store, last = now.mailer.store, 0
    while some := ledger.touched(store, last, _AT_ONCE):
        ids = [one.contact_id for one in some]
        # Before the numbers are cleared: woken twice does no harm, never woken would.
        ledger.wake(store, ids, now.at)
        looks = list(_looks(now, now.posts, ids, {one.contact_id: str(one.number) for one in some}))
        if not _written(now, looks, some):
            return False
        last = ids[-1]
    return True


def _look_at_due(now: _Round) -> None:
    """Everybody whose answer may have changed by itself, and whose day has come round."""
    for post in now.posts:
        after = None
        while rows := ledger.due_looks(now.mailer.store, post.name, now.at, _AT_ONCE, after):
            occasions = {one: watch.look_at.isoformat() for one, watch in rows if watch.look_at}
            looks = list(_looks(now, [post], sorted(occasions), occasions))
            if not _written(now, looks, []):
                return
            last, seen = rows[-1]
            assert seen.look_at is not None
            after = seen.look_at, last


def _written(now: _Round, looks: Sequence[Look], touched: Sequence[Touched]) -> bool:
    reentries = {one.name: one.journey.reentry for one in now.posts}
    came = ledger.write_looks(now.mailer.store, looks, touched, now.at, known=now.roll, reentries=reentries)
    return came is not None


def _looks(now: _Round, at_posts: Sequence[Post], ids: Sequence[int], occasions: dict[int, str]) -> Iterator[Look]:
    """One look at each of these contacts at each of these journeys. What was seen before is read first.

    Should somebody else look meanwhile, it differs when ours is written, and ours is not.
    """
    if not at_posts:
        return
    mailer, store = now.mailer, now.mailer.store
    before = ledger.watches(store, [post.name for post in at_posts], ids)
    acts = {post.name: _acts(now, post, ids) for post in at_posts}
    fields = frozenset[str]().union(*(post.fields for post in at_posts))
    people = audience.foreseen(store, ids, now.at, mailer.zone, mailer.currency, fields)
    born = audience.birth_dates(store, ids) if any(map(_goes_by_birth_date, at_posts)) else {}
    for one in people:
        who = one.profile.contact_id
        zone = campaign.zone_of(one.profile, mailer.zone)
        for post in at_posts:
            person = Person(
                foreseen=one,
                before=before.get((post.name, who)),
                occasion=occasions[who],
                zone=zone,
                birth_date=born.get(who),
                acts=acts[post.name].get(who, ()),
            )
            yield look(post, person, now.at, mailer.keys)


def _acts(now: _Round, post: Post, ids: Sequence[int]) -> dict[int, list[Act]]:
    """What they did that this journey has not looked at, by contact and time."""
    start, store = post.journey.start, now.mailer.store
    since = now.since[post.name]
    found: dict[int, list[Act]] = defaultdict(list)
    if start.kind is StartKind.EVENT:
        told = ledger.new_events(store, post.name, start.name, since, ids)
    else:
        told = ledger.new_orders(store, post.name, since, ids) if start.kind is StartKind.ORDER else []
    for one in told:
        found[one.contact_id].append(one)
    return found


def _goes_by_birth_date(post: Post) -> bool:
    return post.journey.start.kind is StartKind.DATE and not post.journey.start.name.startswith(ATTRIBUTES)

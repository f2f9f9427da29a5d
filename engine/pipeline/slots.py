"""When is a mail best sent to somebody, and when may it go at all? By her own clock, country and habits."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from engine import audience, campaign, ledger
from engine.campaign import OwnTime, Shares
from engine.model import Profile
from engine.pipeline.workspace import Mailer
from engine.store.tables import fact

EVERYBODYS_HOURS = "hours_of_everybody"  # the fact: the shop's last clicks and orders by the hour of who did them

_MOST_EVENTS = 50_000  # orders, and clicks, that tell everybody's habit
_JUST_STRUCK = timedelta(minutes=15)
_CHUNK = 500
_CHUNKS_KEPT = 20

Fact = TypeVar("Fact")


class Slots:
    """The time for people, for a run of contacts as of a moment. Their habits are read when the first is asked for."""

    def __init__(self, mailer: Mailer, contact_ids: Sequence[int], at: datetime) -> None:
        self._allowance = campaign.Allowance.of(mailer.settings.limits)
        self._prior = _everybodys(mailer)
        store, most = mailer.store, campaign.LAST_EVENTS
        self._acts = _Chunked(contact_ids, lambda some: audience.last_acts(store, some, at, most))
        self._went = _Chunked(contact_ids, lambda some: ledger.went_to(store, some, at))
        self.time = OwnTime(
            shop_zone=mailer.zone,
            quiet=campaign.Quietness.of(mailer.settings.limits),
            habit_of=self._habit_of,
            prior=self._prior,
        )

    def best(self, profile: Profile, send_at: str, message_class: str, at: datetime) -> datetime:
        """The moment from `at` on at which a mail with this `send_at` is best sent to her; never a quiet one.

        `now`, `09:00 local` (the next such hour of her clock) or `best hour` (hers, within 24 hours). An hour that
        struck a moment ago is meant now: else a day's wait after a mail at nine would end a minute too late each day.
        """
        wanted = campaign.parse_send_at(send_at)
        if wanted.is_best_hour:
            return self.time.best_hour(profile.contact_id, profile, message_class, at, wanted.day)
        zone = self.time.zone(profile)
        due = campaign.due_times(send_at, at - _JUST_STRUCK, [zone], self.time.shop_zone)[zone]
        return self.time.legal(profile, message_class, max(at, due))

    def legal(self, profile: Profile, message_class: str, at: datetime) -> datetime:
        """The first moment from `at` on that is quiet neither by her clock nor in her country."""
        return self.time.legal(profile, message_class, at)

    def room_from(self, contact_id: int, message_class: str, at: datetime) -> datetime:
        """From which moment on the caps leave room for one more message of this class to her.

        By what went out until the moment of these slots: what else will go to her is known to nobody yet.
        """
        if not self._allowance.concerns(message_class):
            return at
        sent = [(one.at, one.message_class) for one in self._went.of(contact_id) or ()]
        return self._allowance.next_room(message_class, sent, at)

    def _habit_of(self, contact_id: int, zone: ZoneInfo) -> Shares:
        moments = self._acts.of(contact_id)
        return campaign.shares_of(campaign.local_hours(moments, zone), self._prior) if moments else self._prior


def remember_everybodys_hours(mailer: Mailer, at: datetime) -> None:
    """At night: by which hours the shop's people click and order."""
    counts = [0] * campaign.HOURS
    for place, moment in audience.everybodys_acts(mailer.store, at, _MOST_EVENTS):
        zone = campaign.known_zone(place.timezone, place.region, place.country) or mailer.zone
        counts[moment.astimezone(zone).hour] += 1
    with mailer.store.write() as db:
        kept = mailer.store.insert(fact).values(name=EVERYBODYS_HOURS, value=counts)
        db.execute(kept.on_conflict_do_update(index_elements=["name"], set_={"value": counts}))


def _everybodys(mailer: Mailer) -> Shares:
    """Everybody's habit as of last night; before the first night nothing is known of it."""
    with mailer.store.read() as db:
        counts = db.execute(sa.select(fact.c.value).where(fact.c.name == EVERYBODYS_HOURS)).scalar_one_or_none()
    return campaign.prior_of(counts or bytes(campaign.HOURS))


class _Chunked(Generic[Fact]):
    """What is known of each contact, read for some hundreds at a time in the order of their ids."""

    def __init__(self, contact_ids: Sequence[int], read: Callable[[Sequence[int]], Mapping[int, Fact]]) -> None:
        self._ids, self._read = contact_ids, read
        self._sorted: Sequence[int] | None = None
        self._chunks: dict[int, Mapping[int, Fact]] = {}

    def of(self, contact_id: int) -> Fact | None:
        """What was read of her; None when nothing was."""
        if self._sorted is None:
            self._sorted = sorted(self._ids)
        number = bisect_left(self._sorted, contact_id) // _CHUNK
        if number not in self._chunks:
            if len(self._chunks) >= _CHUNKS_KEPT:
                self._chunks.clear()
            self._chunks[number] = self._read(self._sorted[number * _CHUNK : (number + 1) * _CHUNK])
        return self._chunks[number].get(contact_id)

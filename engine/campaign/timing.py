"""When is a message due? `send_at` of a campaign file, as an instant for every time zone.

now                       at once
2026-12-03T09:00+02:00    that instant; without an offset it is the shop's wall clock
2026-12-03 09:00 local    that wall clock time in each contact's own zone
09:00 local               the same on the first date on which that hour is still ahead for everyone planned
best hour                 the hour of her day at which a contact clicks and orders most, within 24 hours
2026-12-03 best hour      the same on that day of each contact's calendar

A wall clock time that a zone skips (spring) means the first instant after the gap; one that comes twice (autumn)
means the first of the two.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_LOCAL_MOMENT = re.compile(r"(?P<day>\d{4}-\d\d-\d\d)[T ](?P<hour>\d{1,2}:\d\d) local")
_LOCAL_HOUR = re.compile(r"(?P<hour>\d{1,2}:\d\d) local")
_BEST_HOUR = re.compile(r"((?P<day>\d{4}-\d\d-\d\d) )?best hour")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d\S*")
_MICROSECOND = timedelta(microseconds=1)
_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class SendAt:
    """A `send_at`, understood: an instant, or an hour on a day or on the first day that suits; or now.

    The hour is the wall clock's, or each contact's best.
    """

    instant: datetime | None = None  # without a zone: the shop's wall clock
    day: date | None = None
    hour: time | None = None
    is_best_hour: bool = False

    @property
    def needs_every_zone(self) -> bool:
        """True when the day depends on where everybody lives."""
        return self.hour is not None and self.day is None


@lru_cache(maxsize=256)
def parse_send_at(text: str) -> SendAt:
    """Understand a `send_at`; ValueError with the forms that are known."""
    said = text.strip()
    try:
        if said == "now":
            return SendAt()
        if match := _LOCAL_MOMENT.fullmatch(said):
            return SendAt(day=_day(match["day"]), hour=_hour(match["hour"]))
        if match := _LOCAL_HOUR.fullmatch(said):
            return SendAt(hour=_hour(match["hour"]))
        if match := _BEST_HOUR.fullmatch(said):
            return SendAt(day=_day(match["day"]) if match["day"] else None, is_best_hour=True)
        if _INSTANT.fullmatch(said):
            _day(said[:10])
            return SendAt(instant=datetime.fromisoformat(said))
    except ValueError:
        pass  # the form is right, the date or hour does not exist: told below
    raise ValueError(
        f"{text!r} is no time to send at; write now, 2026-12-03T09:00+02:00, 2026-12-03 09:00 local, 09:00 local, "
        "best hour or 2026-12-03 best hour"
    )


def due_times(
    send_at: str, at: datetime, zones: Iterable[ZoneInfo], shop_zone: ZoneInfo = _UTC
) -> dict[ZoneInfo, datetime]:
    """The due instant (UTC) in each zone, planned at `at`: never before it, so what is late is due at once.

    Of a best hour, which is each contact's own, the first moment that it may be.
    """
    wanted, wanted_zones = parse_send_at(send_at), set(zones)
    if wanted.is_best_hour and wanted.day is not None:
        return {zone: max(at, instant(datetime.combine(wanted.day, time()), zone)) for zone in wanted_zones}
    if wanted.hour is not None:
        day = wanted.day or _first_common_day(wanted.hour, at, wanted_zones)
        return {zone: max(at, instant(datetime.combine(day, wanted.hour), zone)) for zone in wanted_zones}
    return dict.fromkeys(wanted_zones, max(at, fixed_instant(wanted, at, shop_zone)))


def fixed_instant(wanted: SendAt, at: datetime, shop_zone: ZoneInfo) -> datetime:
    """The instant of a `send_at` that is the same for everyone."""
    if wanted.instant is None:
        return at
    return wanted.instant.astimezone(UTC) if wanted.instant.tzinfo else instant(wanted.instant, shop_zone)


@lru_cache(maxsize=1 << 14)
def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant at which a clock in `zone` shows `wall`; see the module for gaps and repeated hours."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    return _end_of_gap(wall, zone)


def _end_of_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    """The transition that skipped `wall`: found by halving, since zoneinfo keeps its transitions to itself."""
    # PEP 495: in a gap, fold=1 is read with the offset after it (an instant before), fold=0 with that before it.
    before, after = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    old = before.astimezone(zone).utcoffset()
    while after - before > _MICROSECOND:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


def _first_common_day(hour: time, at: datetime, zones: Iterable[ZoneInfo]) -> date:
    """The first date on which `hour` is still ahead in every zone."""
    days = [at.astimezone(zone).date() for zone in zones]
    day = min(days, default=at.date())
    while any(instant(datetime.combine(day, hour), zone) <= at for zone in zones):
        day += timedelta(days=1)
    return day


def _day(text: str) -> date:
    day = date.fromisoformat(text)
    if not 2000 <= day.year < 9000:  # so that no zone's offset leads out of the calendar
        raise ValueError(text)
    return day


def _hour(text: str) -> time:
    hours, minutes = text.split(":")
    return time(int(hours), int(minutes))

"""When is nobody mailed? Quiet hours, weekends and public holidays, by each recipient's own clock and country.

Hours are what the wall clock shows: one that comes twice in autumn is quiet both times, one that spring skips ends
where the gap ends. Weekend days and holidays are the country's own, as the `holidays` package knows them: those of the
whole country, not of its regions. A country that nobody knows has no holidays, and Saturday and Sunday for a weekend.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

import holidays

from engine.config import Limits, Quiet, QuietHere
from engine.errors import BadConfig

_SATURDAY = 5
_MIDNIGHT, _SECOND, _DAY = timedelta(0), timedelta(seconds=1), timedelta(days=1)
_WHOLE_DAY = ((_MIDNIGHT, _DAY),)
_MOST_LOOKS = 400  # each ends with a day at the latest: more than a year of nothing but quiet

_Stretch = tuple[datetime, datetime]  # quiet from the first moment on, and no more at the second; both UTC


class _Rules(NamedTuple):
    """What is quiet in one country. A tuple, as it is looked up by in a cache for each mail."""

    hours: tuple[tuple[timedelta, timedelta], ...] = ()  # from, until: as long after the wall clock's midnight
    weekends: bool = False
    holidays: bool = False


_NOTHING = _Rules()


class Quietness:
    """The shop's quiet times. Make it once: what it found out about a country stays with the process."""

    def __init__(self, everywhere: _Rules, by_country: dict[str, _Rules]) -> None:
        self._everywhere = everywhere
        self._by_country = by_country
        self._is_set = any(one != _NOTHING for one in (everywhere, *by_country.values()))

    @classmethod
    def of(cls, limits: Limits) -> Self:
        """The quiet times of config.toml: `[limits.quiet]`, and per country what `[limits.quiet_in.CC]` says."""
        by_country = {code: _rules(limits.quiet, here) for code, here in limits.quiet_in.items()}
        return cls(_rules(limits.quiet, QuietHere()), by_country)

    @property
    def is_set(self) -> bool:
        """Whether anything is quiet anywhere; where not, nobody's clock needs to be asked."""
        return self._is_set

    def legal_from(self, country: str, zone: ZoneInfo, at: datetime) -> datetime:
        """The first moment from `at` on that is not quiet for somebody there: `at` itself where it is not.

        `country` is an ISO 3166 code, or empty for an unknown one. Raises BadConfig when a year holds no such moment.
        """
        rules = self._by_country.get(country, self._everywhere)
        return at if rules == _NOTHING else _legal_from(rules, country, zone, at)

    def is_legal(self, country: str, zone: ZoneInfo, at: datetime) -> bool:
        """Whether somebody there may be mailed at this moment."""
        return self.legal_from(country, zone, at) == at


def _legal_from(rules: _Rules, country: str, zone: ZoneInfo, at: datetime) -> datetime:
    moment = at
    for _ in range(_MOST_LOOKS):
        for begin, end in _quiet_on(rules, country, zone, moment.astimezone(UTC).toordinal()):
            if begin <= moment < end:
                moment = end
                break
        else:
            return moment
    where = f"[limits.quiet_in.{country}]" if country else "[limits.quiet]"
    raise BadConfig(f"nobody in {country or 'an unknown country'} may be mailed at any hour of a year; change {where}")


@lru_cache(maxsize=1 << 14)  # hundreds of places for a month, or tens for a year: some megabytes
def _quiet_on(rules: _Rules, country: str, zone: ZoneInfo, day: int) -> tuple[_Stretch, ...]:
    """What is quiet there of a day from midnight to midnight UTC, by its ordinal; one after the other, none touch."""
    found: list[_Stretch] = []
    for since, until in _steady(zone, day):
        shift = _shift(since, zone)
        first, last = since + shift, until + shift  # what the clock on the wall shows, as if it was UTC
        for wall in dict.fromkeys((first.date(), last.date())):
            midnight = datetime.combine(wall, time(), UTC) - shift
            for begin, end in _WHOLE_DAY if _is_day_off(rules, country, wall) else rules.hours:
                _add(found, max(since, midnight + begin), min(until, midnight + end))
    return tuple(found)


def _add(found: list[_Stretch], begin: datetime, end: datetime) -> None:
    """One more stretch of quiet, if it is one; it goes on with the last where that ends as it begins."""
    if begin >= end:
        return
    if found and found[-1][1] == begin:
        begin = found.pop()[0]
    found.append((begin, end))


def _steady(zone: ZoneInfo, day: int) -> list[_Stretch]:
    """A day UTC in parts within which no clock of the zone is changed; no zone changes them twice in a day."""
    since = datetime.combine(date.fromordinal(day), time(), UTC)
    until = since + _DAY
    old = _shift(since, zone)
    if _shift(until - _SECOND, zone) == old:
        return [(since, until)]
    # Found by halving, since zoneinfo keeps its transitions to itself; they fall on full seconds.
    before, after = 0, _DAY // _SECOND - 1
    while after - before > 1:
        middle = (before + after) // 2
        if _shift(since + middle * _SECOND, zone) == old:
            before = middle
        else:
            after = middle
    change = since + after * _SECOND
    return [(since, change), (change, until)]


def _shift(moment: datetime, zone: ZoneInfo) -> timedelta:
    """How far the clocks there are ahead of UTC."""
    return moment.astimezone(zone).replace(tzinfo=UTC) - moment


def _is_day_off(rules: _Rules, country: str, day: date) -> bool:
    if rules.holidays and day in _calendar(country, day.year):
        return True
    return rules.weekends and day in _weekends(country, day.year)


@lru_cache(maxsize=1024)
def _calendar(country: str, year: int) -> frozenset[date]:
    """The public holidays of a country in a year; none of a country that the package doesn't know."""
    known = _known(country, year)
    return frozenset(known) if known is not None else frozenset()


@lru_cache(maxsize=1024)
def _weekends(country: str, year: int) -> frozenset[date]:
    """The weekend days of a country in a year: some countries moved theirs."""
    known = _known(country, year)
    days = (date(year, 1, 1) + timedelta(days=n) for n in range(366))
    return frozenset(
        day
        for day in days
        if day.year == year and (known.is_weekend(day) if known is not None else day.weekday() >= _SATURDAY)
    )


def _known(country: str, year: int) -> holidays.HolidayBase | None:
    try:
        return holidays.country_holidays(country, years=year) if country else None
    except NotImplementedError:
        return None


def _rules(quiet: Quiet, here: QuietHere) -> _Rules:
    return _Rules(
        hours=_parts(quiet.hours if here.hours is None else here.hours),
        weekends=quiet.weekends if here.weekends is None else here.weekends,
        holidays=quiet.holidays if here.holidays is None else here.holidays,
    )


def _parts(hours: str) -> tuple[tuple[timedelta, timedelta], ...]:
    """Which parts of a day these hours are; those over midnight are its beginning and its end."""
    if not hours:
        return ()
    begin, end = (_since_midnight(time.fromisoformat(one)) for one in hours.split("-"))
    return ((begin, end),) if begin < end else ((_MIDNIGHT, end), (begin, _DAY))


def _since_midnight(hour: time) -> timedelta:
    return timedelta(hours=hour.hour, minutes=hour.minute)

"""When is nobody mailed? Quiet hours, weekends and public holidays, by each recipient's own clock and country.

Hours are what the wall clock shows: one that comes twice in autumn is quiet both times, one that spring skips ends
where the gap ends. Weekend days and holidays are the country's own, as the `holidays` package knows them: those of the
whole country, not of its regions. A country that nobody knows has no holidays, and Saturday and Sunday for a weekend.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Self
from zoneinfo import ZoneInfo

import holidays

from engine.campaign.timing import instant
from engine.config import Limits, Quiet, QuietHere
from engine.errors import BadConfig

_SATURDAY = 5
_MINUTE = timedelta(minutes=1)
_MOST_LOOKS = 800  # a look is a stretch of quiet, and a day has two at most: more than a year of nothing else


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    """What is quiet in one country. `begin` after `end`: over midnight; both None: no hours."""

    begin: time | None = None
    end: time | None = None
    weekends: bool = False
    holidays: bool = False


class Quietness:
    """The shop's quiet times. Make it once: what it found out about a country stays with the process."""

    def __init__(self, everywhere: _Rules, by_country: dict[str, _Rules]) -> None:
        self._everywhere = everywhere
        self._by_country = by_country
        self._is_set = any(one != _Rules() for one in (everywhere, *by_country.values()))

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
        return at if rules == _Rules() else _legal_from(rules, country, zone, at)

    def is_legal(self, country: str, zone: ZoneInfo, at: datetime) -> bool:
        """Whether somebody there may be mailed at this moment."""
        return self.legal_from(country, zone, at) == at


@lru_cache(maxsize=4096)
def _legal_from(rules: _Rules, country: str, zone: ZoneInfo, at: datetime) -> datetime:
    moment = at
    for _ in range(_MOST_LOOKS):
        later = _end_of_quiet(rules, country, zone, moment)
        if later is None:
            return moment
        if moment.astimezone(zone).utcoffset() != later.astimezone(zone).utcoffset():
            later = _first_legal_minute(rules, country, zone, moment, later)
        moment = later
    where = f"[limits.quiet_in.{country}]" if country else "[limits.quiet]"
    raise BadConfig(f"nobody in {country or 'an unknown country'} may be mailed at any hour of a year; change {where}")


def _end_of_quiet(rules: _Rules, country: str, zone: ZoneInfo, moment: datetime) -> datetime | None:
    """When the quiet that holds at this moment ends; None: it is not quiet."""
    wall = moment.astimezone(zone).replace(tzinfo=None)
    day, hour = wall.date(), wall.time()
    if _is_day_off(rules, country, day):
        return _next(datetime.combine(day + timedelta(days=1), time()), zone, moment)
    if rules.begin is None or rules.end is None:
        return None
    if rules.begin < rules.end:
        return _next(datetime.combine(day, rules.end), zone, moment) if rules.begin <= hour < rules.end else None
    if hour >= rules.begin:
        day += timedelta(days=1)
    elif hour >= rules.end:
        return None
    return _next(datetime.combine(day, rules.end), zone, moment)


def _first_legal_minute(rules: _Rules, country: str, zone: ZoneInfo, quiet_at: datetime, until: datetime) -> datetime:
    """Clocks change in between: one that goes back from within the quiet hours may show an hour before they begin."""
    moment = quiet_at.replace(second=0, microsecond=0) + _MINUTE
    while moment < until and _end_of_quiet(rules, country, zone, moment) is not None:
        moment += _MINUTE
    return moment


def _next(wall: datetime, zone: ZoneInfo, after: datetime) -> datetime:
    """The next instant at which a clock there shows `wall`: of an hour that comes twice, the second may be meant."""
    first = instant(wall, zone)
    return first if first > after else wall.replace(tzinfo=zone, fold=1).astimezone(UTC)


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
    hours = quiet.hours if here.hours is None else here.hours
    begin, end = (time.fromisoformat(one) for one in hours.split("-")) if hours else (None, None)
    return _Rules(
        begin=begin,
        end=end,
        weekends=quiet.weekends if here.weekends is None else here.weekends,
        holidays=quiet.holidays if here.holidays is None else here.holidays,
    )

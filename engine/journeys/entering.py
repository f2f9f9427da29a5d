"""Who comes into a journey, and when? Pure: the live engine and the simulator ask the same functions.

segment   she matches it, and did not when she was last seen
date      a day of hers comes round, once or every year, at an hour of her own clock; who was born on 29 February has
          her day on the 28th in common years
event, order   it happened; nothing to be computed
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine import campaign
from engine.journeys.definition import Journey, Start, StartKind
from engine.links import Keys

PATIENCE = timedelta(days=3)  # what happened longer ago brings nobody in, where the file says nothing else
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comes:
    """One time that a contact's day comes round. `day` names it: it is the same wherever she lives by then."""

    day: date  # without the offset
    due_at: datetime

    @property
    def mark(self) -> int:
        """The day as a number that grows: yyyymmdd."""
        return self.day.year * 10000 + self.day.month * 100 + self.day.day

    @property
    def cause(self) -> str:
        """What it brings her in by."""
        return f"date/{self.day.isoformat()}"


def entry_of(journey: Journey, inside_before: bool, inside_now: bool) -> bool:
    """Whether she comes in by her segment: she is in it, and was not. A contact never seen before was not."""
    return journey.start.kind is StartKind.SEGMENT and inside_now and not inside_before


def patience_of(journey: Journey) -> timedelta:
    """How late an event, an order or a day may still bring somebody in."""
    return PATIENCE if journey.max_lateness is None else journey.max_lateness


def is_held_out(journey: str, holdout: float, contact_id: int, keys: Keys) -> bool:
    """Whether she goes through the steps without mail, to measure the others against: the same whenever she comes."""
    return keys.draw(f"{journey}/holdout", contact_id) < holdout


def day_in(text: str | None) -> date | None:
    """The day that an attribute holds, as ISO 8601 with or without an hour; None when it is none."""
    said = (text or "").strip()
    if not _DAY.match(said):
        return None
    try:
        datetime.fromisoformat(said)
        return date.fromisoformat(said[:10])
    except ValueError:
        return None


def comes_after(start: Start, day: date, zone: ZoneInfo, moment: datetime) -> Comes | None:
    """The first time after `moment` that her day comes round; None: never again."""
    return next((one for one in _rounds(start, day, zone, moment) if one.due_at > moment), None)


def last_come(start: Start, day: date, zone: ZoneInfo, at: datetime) -> Comes | None:
    """The last time up to `at` that her day came round; None: not yet."""
    found = [one for one in _rounds(start, day, zone, at) if one.due_at <= at]
    return found[-1] if found else None


def _rounds(start: Start, day: date, zone: ZoneInfo, moment: datetime) -> Iterator[Comes]:
    """The times about a moment, in order, with at least one before it and one after where there are."""
    if not start.yearly:
        years = [day.year]
    else:
        about = moment.year - start.offset // timedelta(days=365)
        years = [year for year in range(about - 2, about + 4) if day.year <= year < date.max.year]
    for year in years:
        own = _in_year(day, year)
        try:
            wall = datetime.combine(own, _hour(start.at)) + start.offset
            yield Comes(day=own, due_at=campaign.instant(wall, zone).astimezone(UTC))
        except OverflowError:
            continue


def _in_year(day: date, year: int) -> date:
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def _hour(text: str) -> time:
    hours, _, minutes = text.strip().removesuffix(" local").partition(":")
    return time(int(hours), int(minutes))

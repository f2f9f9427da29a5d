"""When do the shop's days begin? Local midnights as microseconds, for many moments at once."""

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from engine import campaign
from engine.clock import local_day
from engine.journeys.simulating.chance import Ints
from engine.store import from_micros, to_micros

_DAY = timedelta(days=1)
_SPARE = 2 * _DAY


class Days:
    """Every local midnight from before `first` until after `last` (microseconds)."""

    def __init__(self, zone: ZoneInfo, first: int, last: int) -> None:
        start = local_day(from_micros(first), zone) - _SPARE
        self.first_ordinal = start.toordinal()
        self.midnights = np.array(_midnights(zone, start, local_day(from_micros(last), zone) + _SPARE), np.int64)
        self.listed: list[int] = self.midnights.tolist()  # bisect is quicker on a list

    def number(self, moments: Ints) -> Ints:
        """Which day of this calendar each moment falls on, counted from 0."""
        return np.searchsorted(self.midnights, moments, side="right") - 1

    def since_midnight(self, moments: Ints) -> Ints:
        """How long after its midnight each moment lies."""
        found: Ints = moments - self.midnights[self.number(moments)]
        return found


@lru_cache(maxsize=8)
def _midnights(zone: ZoneInfo, first: date, last: date) -> tuple[int, ...]:
    days = (first + n * _DAY for n in range((last - first).days + 1))
    return tuple(to_micros(campaign.instant(datetime.combine(day, time()), zone)) for day in days)

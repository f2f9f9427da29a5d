"""When does an `until` of a journey come round for somebody? The next such hour of her own clock.

09:00 local                 the next 09:00
tue,thu 09:00 local         the next 09:00 of one of these days; weekdays means mon,tue,wed,thu,fri
monthly 1,last 09:00 local  on these days of the month

A journey has no other clock than hers, so `local` may be left out. What a zone skips in spring comes at the first
instant after the gap; what comes twice in autumn, at the first of the two.
"""

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from engine import campaign
from engine.campaign import Repeat

_LOCAL = " local"


@lru_cache(maxsize=256)
def parse_until(text: str) -> Repeat:
    """Understand an `until`; ValueError with the forms that are known."""
    said = text.strip().removesuffix(_LOCAL)
    return campaign.parse_repeat(f"daily {said}" if said[:1].isdigit() else said)


def until(text: str, at: datetime, zone: ZoneInfo) -> datetime:
    """The first instant later than `at` at which the clock in `zone` shows it."""
    return next(campaign.occurrences_after(parse_until(text), at, zone)).due_at

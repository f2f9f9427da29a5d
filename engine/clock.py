"""What time is it for the business? The only source of "now"; leases and rates use the database's own clock."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from engine.errors import Usage

Clock = Callable[[], datetime]

_UNITS = {"minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(minute|hour|day|week)s?\s*")


def system_clock() -> datetime:
    """The machine's time, aware, UTC."""
    return datetime.now(UTC)


def clock_set_to(moment: datetime) -> Clock:
    """A clock that stands at one moment: demos, tests and `--at`."""
    return lambda: moment.astimezone(UTC)


def clock_running(start: datetime, since: datetime, speed: float) -> Clock:
    """A clock that stood at `start` at the real moment `since` and runs `speed` times as fast: rehearsals."""
    return lambda: start.astimezone(UTC) + (system_clock() - since) * speed


def parse_moment(text: str, zone: ZoneInfo) -> datetime:
    """ISO 8601 text as an aware UTC time; without an offset it is local time in `zone`; a bare date is its midnight.

    Raises Usage when the text is not ISO 8601, or so early or late that no calendar reaches it.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Usage(
            f"{text!r} is not a time; write it as 2026-12-03, 2026-12-03T09:00 or 2026-12-03T09:00+02:00"
        ) from None


def parse_duration(text: str) -> timedelta:
    """`14 days`, `2 hours`, `1.5 weeks` as a timedelta; ValueError when it is none."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a duration; write it as '14 days', '2 hours' or '30 minutes'")
    return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    """The calendar day that `moment` falls on in `zone`."""
    return moment.astimezone(zone).date()

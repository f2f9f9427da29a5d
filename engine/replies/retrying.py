"""When is a deferred message tried again, and when is it time to give up? A schedule a reason word, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.replies.actions import action_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The pauses after the first, second ... try; the last one repeats, until so long after the first try."""

    pauses: tuple[timedelta, ...]
    until: timedelta


def _schedule(*minutes: int, days: float) -> Schedule:
    return Schedule(pauses=tuple(timedelta(minutes=one) for one in minutes), until=timedelta(days=days))


_HOUR = 60
_DAY = 24 * _HOUR

# Greylisting opens after minutes and forgets after hours to days; its patience is the longest of the short ones.
# Yahoo asks for 4 hours after [TSS04]; a full mailbox is emptied in days (RFC 5321 4.5.4.1: give up after 4 to 5).
SCHEDULES: Mapping[str, Schedule] = {
    "greylisted": _schedule(5, 15, _HOUR, 2 * _HOUR, 4 * _HOUR, days=3),
    "temporary": _schedule(5, 15, _HOUR, 2 * _HOUR, 4 * _HOUR, days=3),
    "throttled": _schedule(15, 30, _HOUR, 2 * _HOUR, 4 * _HOUR, days=3),
    "connection_lost": _schedule(5, 15, _HOUR, 4 * _HOUR, days=1),
    "mailbox_unavailable": _schedule(_HOUR, 4 * _HOUR, 12 * _HOUR, _DAY, days=3),
    "mailbox_full": _schedule(4 * _HOUR, 12 * _HOUR, _DAY, days=5),
    "blocked": _schedule(4 * _HOUR, 8 * _HOUR, 12 * _HOUR, days=3),
}


def retry_at(reason: str, first_at: datetime, attempts: int, at: datetime) -> datetime | None:
    """When to try again after `attempts` tries, the first at `first_at`, the last one answered at `at`.

    None: this reason is not retried, or its patience is used up; the message is then refused as `expired`.
    """
    schedule = SCHEDULES.get(reason)
    if schedule is None:
        if action_of(reason).message != "retried":
            return None
        schedule = SCHEDULES["temporary"]
    pause = schedule.pauses[min(max(attempts, 1), len(schedule.pauses)) - 1]
    again = at + pause
    return again if again - first_at <= schedule.until else None

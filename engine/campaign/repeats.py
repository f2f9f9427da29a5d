"""When does a repeating campaign come round? `repeat` of a campaign file, as wall clock moments and as instants.

daily 09:00               every day, by the shop's clock
mon,thu 09:00             on these days of the week; weekdays means mon,tue,wed,thu,fri
monthly 1,15 09:00        on these days of the month; a month without it is left out, `last` is its last day
... Europe/Helsinki       by the clock of that zone
... local                 by each contact's own clock; the plan is made when the day's first zone gets there

An occurrence is named by its wall clock time. So an hour that comes twice in autumn is one occurrence, at the first of
the two; one that is skipped in spring comes at the first instant after the gap.
"""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from engine.campaign.timing import instant
from engine.errors import nearest

LOCAL = "local"
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_FORM = re.compile(
    r"(?P<daily>daily)?(?P<week>(?:weekdays|[a-z]{3}(?:\s*,\s*[a-z]{3})*))?(?:monthly\s+(?P<month>[a-z0-9 ,]+?))?"
    r"\s+(?P<hour>\d{1,2}:\d\d)(?:\s+(?P<zone>\S+))?"
)
_LAST = 32  # stands for a month's last day
# The first clock on earth to show an hour; a plan for everyone's own clock must be there by then.
_FIRST_ZONE = ZoneInfo("Etc/GMT-14")
_DAY = timedelta(days=1)
_FORMS = "write daily 09:00, mon,thu 09:00, weekdays 09:00 or monthly 1,last 09:00, then local or a zone if you like"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """A `repeat`, understood. Days are of the week (0 is Monday) or of the month; neither means every day."""

    hour: time
    weekdays: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    zone: str = ""  # a name, "local", or empty: the shop's

    def falls_on(self, day: date) -> bool:
        """Whether it comes round on this day."""
        if self.weekdays:
            return day.weekday() in self.weekdays
        if self.month_days:
            is_last = day.day == monthrange(day.year, day.month)[1]
            return day.day in self.month_days or (is_last and _LAST in self.month_days)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One time that a repeating campaign comes round."""

    name: str  # its wall clock time, 2026-11-02T09:00
    due_at: datetime  # when its plan is to be made, UTC
    send_at: str  # as a campaign file would say it


def parse_repeat(text: str) -> Repeat:
    """Understand a `repeat`; ValueError with the forms that are known."""
    match = _FORM.fullmatch(text.strip().lower())
    if not match or not (match["daily"] or match["week"] or match["month"]):
        raise ValueError(f"{text!r} is no repeat; {_FORMS}")
    try:
        hours, minutes = match["hour"].split(":")
        hour = time(int(hours), int(minutes))
    except ValueError:
        raise ValueError(f"{match['hour']!r} in {text!r} is no time of day") from None
    return Repeat(
        hour=hour,
        weekdays=_weekdays(match["week"] or "", text),
        month_days=_month_days(match["month"] or "", text),
        zone=_zone(text.strip().split()[-1]) if match["zone"] else "",
    )


def after(repeat: Repeat, moment: datetime, shop_zone: ZoneInfo) -> Iterator[Occurrence]:
    """All occurrences that are due later than `moment`, in order, without end."""
    zone = _FIRST_ZONE if repeat.zone == LOCAL else ZoneInfo(repeat.zone) if repeat.zone else shop_zone
    day = moment.astimezone(zone).date() - _DAY
    while day < date.max:
        if repeat.falls_on(day):
            found = _occurrence(repeat, day, zone)
            if found.due_at > moment:
                yield found
        day += _DAY


def caught_up(
    repeat: Repeat, since: datetime, at: datetime, shop_zone: ZoneInfo, patience: timedelta | None
) -> tuple[Occurrence | None, list[Occurrence]]:
    """Which occurrence of those due in (`since`, `at`] is to run now, and which were missed.

    Only the latest ever runs: nobody gets the mails of five days of standstill at once. It is missed, too, when it is
    later than `patience` allows.
    """
    due: list[Occurrence] = []
    for one in after(repeat, since, shop_zone):
        if one.due_at > at:
            break
        due.append(one)
    if not due or (patience is not None and at - due[-1].due_at > patience):
        return None, due
    return due[-1], due[:-1]


def _occurrence(repeat: Repeat, day: date, zone: ZoneInfo) -> Occurrence:
    wall = datetime.combine(day, repeat.hour)
    due_at = instant(wall, zone)
    said = f"{wall:%Y-%m-%d %H:%M} local" if repeat.zone == LOCAL else due_at.astimezone(UTC).isoformat()
    return Occurrence(name=wall.isoformat(timespec="minutes"), due_at=due_at, send_at=said)


def _weekdays(said: str, text: str) -> frozenset[int]:
    if said == "weekdays":
        return frozenset(range(5))
    names = [name.strip() for name in said.split(",") if name.strip()]
    for name in names:
        if name not in WEEK:
            raise ValueError(f"{name!r} in {text!r} is no day; {', '.join(WEEK)} are{nearest(name, WEEK)}")
    return frozenset(WEEK.index(name) for name in names)


def _month_days(said: str, text: str) -> frozenset[int]:
    days = set()
    for one in (word.strip() for word in said.split(",") if word.strip()):
        if one == "last":
            days.add(_LAST)
        elif one.isdecimal() and 1 <= int(one) <= 31:
            days.add(int(one))
        else:
            raise ValueError(f"{one!r} in {text!r} is no day of a month; write 1 to 31, or last")
    return frozenset(days)


def _zone(name: str) -> str:
    if name.lower() == LOCAL:
        return LOCAL
    if name not in available_timezones():
        raise ValueError(f"{name!r} is no time zone{nearest(name, available_timezones())}")
    return name

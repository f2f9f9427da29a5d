"""At which hour of her day does somebody act? Her own clicks and orders, smoothed, and leant on everybody's.

A few events of one person are a poor guide: their raw histogram foretells her next visit worse than the habit of
everybody does. So each event counts for the hours beside it, too (a quarter each, around the clock), and what everybody
does stands in for ten events of hers. It foretells when people act, not what a mail at that hour earns: an experiment
against a fixed hour tells that.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine.campaign.timing import instant

HOURS = 24
LAST_EVENTS = 50  # of a contact: older ones tell nothing more
PRIOR_WEIGHT = 10.0  # events of hers that everybody's habit weighs as much as

Shares = Sequence[float]  # of 24 hours; they sum to 1

_SIDE, _MIDDLE = 0.25, 0.5
# What a shop without a past believes: 24 events, three times as many in each hour from 8 to 20 as at night.
_DAYTIME = tuple(1.5 if 8 <= hour < 20 else 0.5 for hour in range(HOURS))
_HALF = 30  # minutes: the middle of a window of three hours is half past its second


def local_hours(moments: Iterable[datetime], zone: ZoneInfo) -> bytes:
    """How many of these moments lie in each hour of a clock there; at most the last 50 are looked at."""
    counts = bytearray(HOURS)
    for moment in sorted(moments)[-LAST_EVENTS:]:
        counts[moment.astimezone(zone).hour] += 1
    return bytes(counts)


def prior_of(counts: Sequence[int]) -> Shares:
    """Everybody's habit, from everybody's events by local hour."""
    total = sum(counts) + sum(_DAYTIME)
    return tuple((number + least) / total for number, least in zip(counts, _DAYTIME, strict=True))


def shares_of(counts: Sequence[int], prior: Shares) -> Shares:
    """How likely her next click or order falls into each hour; without events of hers it is everybody's habit."""
    smoothed = (
        _SIDE * counts[hour - 1] + _MIDDLE * counts[hour] + _SIDE * counts[(hour + 1) % HOURS] for hour in range(HOURS)
    )
    total = sum(counts) + PRIOR_WEIGHT
    return tuple((own + PRIOR_WEIGHT * usual) / total for own, usual in zip(smoothed, prior, strict=True))


def best_moment(shares: Shares, at: datetime, zone: ZoneInfo, is_legal: Callable[[datetime], bool]) -> datetime | None:
    """The middle of her best three hours that is legal, in the next 24 of her clock; None: none of them is."""
    wall = at.astimezone(zone)
    for hour in _ranked(shares, wall.hour):
        is_tomorrow = (hour, _HALF) < (wall.hour, wall.minute) or (hour == wall.hour and wall.minute >= _HALF)
        moment = _middle(wall.date() + timedelta(days=1 if is_tomorrow else 0), hour, zone)
        if moment >= at and is_legal(moment):
            return moment
    return None


def best_moment_on(
    day: date, shares: Shares, at: datetime, zone: ZoneInfo, is_legal: Callable[[datetime], bool]
) -> datetime | None:
    """The same on one day of her calendar; None: what is left of it from `at` on has no legal middle."""
    moments = (_middle(day, hour, zone) for hour in _ranked(shares, 0))
    return next((moment for moment in moments if moment >= at and is_legal(moment)), None)


def _ranked(shares: Shares, first: int) -> list[int]:
    """The hours by what the three around each hold; of equal ones that which comes first from `first` on."""

    def rank(hour: int) -> tuple[float, int]:
        held = shares[hour - 1] + shares[hour] + shares[(hour + 1) % HOURS]
        return -round(held, 12), (hour - first) % HOURS  # the same shares summed in another order are equal

    return sorted(range(HOURS), key=rank)


def _middle(day: date, hour: int, zone: ZoneInfo) -> datetime:
    return instant(datetime.combine(day, time(hour, _HALF)), zone)

"""When is a mail sent to one person? By her own clock, her country's quiet times and her habits.

Transactional messages are owed: no hour is quiet for them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from engine.campaign.best_hour import HOURS, Shares, best_moment, best_moment_on, prior_of
from engine.campaign.quiet import Quietness
from engine.campaign.timing import instant
from engine.campaign.zones import country_of, known_zone
from engine.config import Limits
from engine.model import TRANSACTIONAL

DAYTIME = prior_of(bytes(HOURS))  # the habit of those of whom nothing is known, in a shop without a past

NEVER_QUIET = Quietness.of(Limits())

_ROUNDS = 3  # stretches of 24 hours looked at before any legal moment will do


class Whereabouts(Protocol):
    """Who lives where: a profile, or a place alone."""

    @property
    def timezone(self) -> str | None:
        """An IANA name."""

    @property
    def region(self) -> str | None:
        """Code or name."""

    @property
    def country(self) -> str | None:
        """Code or name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTime:
    """Everybody's own time. `habit_of` gives a contact's 24 shares by the hours of a zone."""

    shop_zone: ZoneInfo
    quiet: Quietness = NEVER_QUIET
    habit_of: Callable[[int, ZoneInfo], Shares] = lambda _contact_id, _zone: DAYTIME
    prior: Shares = DAYTIME

    def zone(self, who: Whereabouts) -> ZoneInfo:
        """The zone whose clock she reads."""
        return known_zone(who.timezone, who.region, who.country) or self.shop_zone

    def legal(self, who: Whereabouts, message_class: str, at: datetime) -> datetime:
        """The first moment from `at` on that is quiet neither by her clock nor in her country."""
        if message_class == TRANSACTIONAL or not self.quiet.is_set:
            return at
        return self.quiet.legal_from(country_of(who.country), self.zone(who), at)

    def best_hour(
        self, contact_id: int, who: Whereabouts, message_class: str, at: datetime, day: date | None = None
    ) -> datetime:
        """Her best hour from `at` on that is not quiet: within 24 hours, or on a day of hers.

        Where all of that is quiet it is her best hour of the 24 after it. Of whom no zone is known, the hour is that
        of most people in the shop's: a guess at her clock would be worse.
        """
        zone = self.zone(who)
        is_known = known_zone(who.timezone, who.region, who.country) is not None
        shares = self.habit_of(contact_id, zone) if is_known else self.prior

        def is_legal(moment: datetime) -> bool:
            return self.legal(who, message_class, moment) == moment

        if day is not None and (found := best_moment_on(day, shares, at, zone, is_legal)) is not None:
            return found
        if day is not None and at.astimezone(zone).date() >= day:
            return self.legal(who, message_class, at)  # late: at once
        start = at if day is None else _midnight_after(day, zone)
        for _ in range(_ROUNDS):
            start = self.legal(who, message_class, start)
            found = best_moment(shares, start, zone, is_legal)
            if found is not None:
                return found
            start += timedelta(days=1)
        return self.legal(who, message_class, at)  # no half past an hour is ever legal


def _midnight_after(day: date, zone: ZoneInfo) -> datetime:
    return instant(datetime.combine(day + timedelta(days=1), time()), zone)

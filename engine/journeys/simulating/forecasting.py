"""What does the forecast say? One world's counts and the spread of several, as JSON values with stable keys."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from engine.config.sections import TransportSettings
from engine.journeys.definition import Branch, Send, Split, WaitEvent
from engine.journeys.simulating.answering import Answering, Effect
from engine.journeys.simulating.counting import HOUR, JourneyCount, Tally
from engine.journeys.simulating.crowd import DAY
from engine.journeys.simulating.programme import Programme, Route
from engine.journeys.ways import ways
from engine.store import from_micros

_HOUR = timedelta(hours=1)
_SECONDS = 3600
_SURE = 1.96  # standard deviations either side: 95 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The answer. `data` is its JSON, the same bytes for the same base, moment, days and seed."""

    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """A sum in the shop's currency, decimal, with its 95 % interval."""

    expected: float
    low: float
    high: float

    def told(self) -> dict[str, float]:
        """As JSON."""
        return {name: round(getattr(self, name), 2) for name in ("expected", "low", "high")}


def spread(expected: float, draws: Sequence[float], scale: float, minor: int, extra: float = 0.0) -> Money:
    """An interval about the world's own sum: by chance as the draws show it, and by `extra` (a standard error).

    The draws are of a sample; `scale` is how many times larger everybody is. Contacts don't depend on each other, so
    chance grows with the root of their number.
    """
    mean = sum(draws) / len(draws) if draws else 0.0
    variance = sum((one - mean) ** 2 for one in draws) / max(1, len(draws) - 1)
    half = _SURE * math.sqrt(variance * scale + extra**2)
    return Money(expected=expected / minor, low=(expected - half) / minor, high=(expected + half) / minor)


def messages_told(tally: Tally, people: int, days: int) -> dict[str, Any]:
    """How many mails, and how many a person gets in a week."""
    weeks = math.ceil(days / 7)
    total = sum(count.sent for count in tally.mails.values())
    person_weeks = people * weeks
    with_some = tally.weeks.total()
    shares = {0: max(0, person_weeks - with_some), **dict(sorted(tally.weeks.items()))}
    return {
        "total": total,
        "people": tally.mailed,
        "per_person_week": {
            "mean": round(total / person_weeks, 4) if person_weeks else 0.0,
            "most": tally.most_in_a_week,
            "person_weeks": {str(number): times for number, times in shares.items()},
        },
        "skipped": dict(sorted(_all_skips(tally).items())),
        "waiting_at_the_end": sum(count.waiting for count in tally.mails.values()),
    }


def _all_skips(tally: Tally) -> Counter[str]:
    found: Counter[str] = Counter()
    for count in tally.mails.values():
        found += count.skipped
    return found


def caps_told(tally: Tally) -> dict[str, Any]:
    """Mails that met a cap: how many, how long they waited, how many went out after all."""
    waited = sorted(tally.waited)
    return {
        "messages": tally.capped,
        "people": tally.capped_people,
        "sent_later": tally.capped_sent,
        "expired": tally.capped_expired,
        "not_needed": tally.capped_needless,
        "still_waiting": tally.capped_waiting,
        "skipped_when_planned": tally.capped_unplanned,
        "median_wait_hours": round(waited[len(waited) // 2] / HOUR, 1) if waited else None,
    }


def volume_told(tally: Tally, transports: Mapping[str, TransportSettings], zone: ZoneInfo, days: int) -> dict[str, Any]:
    """Each transport's load, hour by hour and by the shop's days, against what it may carry."""
    found: dict[str, Any] = {}
    for name, hours in sorted(tally.by_hour.items()):
        settings = transports.get(name)
        a_hour = int(settings.rate * _SECONDS) if settings and settings.rate else None
        daily = settings.daily if settings and settings.daily else None
        by_day = _by_day(hours, zone)
        peak, most = max(sorted(hours.items()), key=lambda pair: pair[1])
        day, most_a_day = max(sorted(by_day.items()), key=lambda pair: pair[1])
        found[name] = {
            "messages": hours.total(),
            "peak_hour": {"at": from_micros(peak * HOUR).isoformat(), "messages": most, "limit": a_hour},
            "hours_over": sum(number > a_hour for number in hours.values()) if a_hour else 0,
            "peak_day": {"day": day, "messages": most_a_day, "limit": daily},
            "days_over": sum(number > daily for number in by_day.values()) if daily else 0,
            "by_day": by_day,
            "by_hour_of_week": _by_hour_of_week(hours, zone),
        }
    return found


def _by_day(hours: Counter[int], zone: ZoneInfo) -> dict[str, int]:
    found: Counter[str] = Counter()
    for hour, number in hours.items():
        found[from_micros(hour * HOUR).astimezone(zone).date().isoformat()] += number
    return dict(sorted(found.items()))


def _by_hour_of_week(hours: Counter[int], zone: ZoneInfo) -> list[list[int]]:
    """Seven rows, Monday first, of 24 hours by the shop's clock."""
    table = [[0] * 24 for _ in range(7)]
    for hour, number in hours.items():
        local = from_micros(hour * HOUR).astimezone(zone)
        table[local.weekday()][local.hour] += number
    return table


def journey_told(route: Route, tally: Tally, days: int) -> dict[str, Any]:
    """One journey: who came in, how they ended, where they stand, what nobody takes and who is stuck."""
    count = tally.journeys[route.name]
    passed: Counter[str] = Counter()
    for (step, _, _), times in count.edges.items():
        passed[step] += times
    return {
        "name": route.name,
        "version": route.version,
        "inside_at_the_beginning": count.inside_before,
        "entered": count.entered,
        "held_out": count.held_out,
        "ended": dict(sorted(count.ends.items())),
        "inside_at_the_end": dict(sorted(count.inside.items())),
        "messages": sum(tally.mails[one.name].sent for one in route.mails.values()),
        "steps": [_step_told(route, step.id, passed, tally) for step in route.journey.steps],
        "dead": _dead(route, count, passed),
        "stuck": {
            "people": count.stuck.total(),
            "by_step": dict(sorted(count.stuck.items())),
            "longest_days": round(count.longest / DAY, 1) if count.longest else None,
            "longest_way_days": round(route.longest / timedelta(days=1), 1),
        },
    }


def _step_told(route: Route, step: str, passed: Counter[str], tally: Tally) -> dict[str, Any]:
    found: dict[str, Any] = {"id": step, "passed": passed[step]}
    if isinstance(route.journey.step(step), Send):
        mail = tally.mails[route.mails[step].name]
        found |= {"sent": mail.sent, "held_out": mail.held_out, "skipped": dict(sorted(mail.skipped.items()))}
    return found


def _dead(route: Route, count: JourneyCount, passed: Counter[str]) -> list[dict[str, Any]]:
    """Ways that nobody took, of steps that somebody passed; and steps that nobody came to."""
    found: list[dict[str, Any]] = []
    for way in ways(route.journey):
        is_fork = isinstance(route.journey.step(way.step), Branch | Split | WaitEvent)
        taken = sum(count.edges[way.step, result, way.to] for result in way.results)
        if is_fork and passed[way.step] and not taken:
            found.append({"step": way.step, "way": way.results[0], "to": way.to, "passed": passed[way.step]})
    if count.entered + count.inside_before:
        found += [
            {"step": step.id, "way": None, "to": None, "passed": 0}
            for step in route.journey.steps
            if not passed[step.id] and not count.inside[step.id]
        ]
    return found


def behaviour_told(answering: Answering, fitted: Mapping[str, Any]) -> dict[str, Any]:
    """On what the behaviour rests."""
    return {
        **fitted,
        "rates": {
            name: {
                "opens": round(one.opens, 4),
                "clicks": round(one.clicks, 4),
                "opt_outs": round(one.opt_outs, 5),
                "mails_seen": one.seen,
            }
            for name, one in sorted(answering.rates.items())
        },
        "effect": _effect_told(answering.effect),
        "effect_by_journey": {name: _effect_told(one) for name, one in sorted(answering.by_journey.items())},
    }


def _effect_told(effect: Effect | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    return {
        "orders_a_person": round(effect.orders, 5),
        "standard_error": round(effect.error, 5),
        "held_out": effect.held_out,
    }


def assumptions(answering: Answering, programme: Programme, fitted_on: int) -> list[str]:
    """What the reader must know before she believes it."""
    told = [
        "Everything here is simulated: nobody was mailed, and no order is real.",
        "Orders, events and newcomers go on as in the shop's own past; season, prices, stock and campaigns sent by "
        "hand are not in it.",
        "Attributes and scores' cut points stay as they are today. Templates are not rendered: a dry run finds what "
        "they lack.",
        "Nothing bounces, no server is slow, and nothing is held back by a transport's limits: compare the volume "
        "with them.",
    ]
    if not fitted_on:
        told.append("The shop has too few buyers to learn from: typical figures stand in for how people buy.")
    journeys = [route.name for route in programme.routes if answering.effect_of(route.name) is None]
    if journeys or (programme.mailings and answering.effect is None):
        told.append(
            "No finished holdout tells what mails do to buying here, so the forecast takes that they do nothing: the "
            "revenue of journeys is 0 until a holdout has measured it. Set `holdout` to find out."
        )
    if (
        any(name not in answering.by_journey for name in (route.name for route in programme.routes))
        and answering.effect
    ):
        told.append(
            "Journeys without a holdout of their own are taken to do once what one campaign mail did in past holdouts."
        )
    return told


def moment(at: datetime) -> str:
    """As JSON tells it."""
    return at.astimezone(UTC).isoformat()

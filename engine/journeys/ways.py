"""Which ways lead through a journey's steps? For checks and drawings: who can't be reached, what goes round, how long.

A way is named as `ledger` writes it when somebody goes it: the step, what came of it, and where that leads.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from engine.journeys.definition import (
    END,
    Arm,
    Branch,
    Journey,
    Leave,
    Send,
    Split,
    Step,
    Tag,
    Wait,
    WaitEvent,
    Webhook,
)
from engine.journeys.timing import parse_until

_WEEK = timedelta(days=7)
_MONTH = timedelta(days=31)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way out of a step. `results` are the words that are written when somebody goes it."""

    step: str
    results: tuple[str, ...]
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many went where. Of every step: who came = who went on + who stands there + for whom it ended there."""

    gone: Mapping[tuple[str, str, str], int] = field(default_factory=dict)  # by step, result and where it led
    inside: Mapping[str, int] = field(default_factory=dict)  # by step
    ended: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by step and state of the enrolment

    @property
    def entered(self) -> int:
        """How many ever came in."""
        return sum(self.inside.values()) + sum(self.ended.values())

    def on(self, way: Way) -> int:
        """How many went this way."""
        return sum(self.gone.get((way.step, result, way.to), 0) for result in way.results)

    def from_step(self, step: str) -> int:
        """How many went on from a step, whichever way."""
        return sum(people for (one, _, _), people in self.gone.items() if one == step)

    def elsewhere(self, journey: Journey) -> int:
        """How many went ways that this version does not have: those of other versions."""
        return sum(self.gone.values()) - sum(self.on(way) for way in ways(journey))


def ways(journey: Journey) -> list[Way]:
    """All ways, in the order of the file."""
    return [way for step in journey.steps for way in ways_from(journey, step)]


def ways_from(journey: Journey, step: Step) -> Iterator[Way]:
    """The ways out of one step."""
    following = journey.after(step.id)
    match step:
        case Send():
            yield Way(step=step.id, results=("sent", "missed", "expired"), to=step.to or following)
        case Wait():
            yield Way(step=step.id, results=("waited",), to=step.to or following)
        case WaitEvent():
            yield Way(step=step.id, results=("event",), to=step.then or following)
            yield Way(step=step.id, results=("deadline",), to=step.otherwise or following)
        case Branch():
            for number, arm in enumerate(step.arms, start=1):
                yield Way(step=step.id, results=(str(number),), to=arm.to)
            if all(conditions(arm) for arm in step.arms):
                yield Way(step=step.id, results=("none",), to=following)
        case Split():
            for one in step.arms:
                yield Way(step=step.id, results=(one.name,), to=one.to)
        case Tag():
            yield Way(step=step.id, results=("untagged" if step.remove else "tagged",), to=step.to or following)
        case Webhook():
            yield Way(step=step.id, results=("posted",), to=step.to or following)
        case Leave():
            yield Way(step=step.id, results=(step.reason,), to=END)


def conditions(arm: Arm) -> frozenset[tuple[str, str]]:
    """What an arm asks for; nothing: it always holds."""
    asked = (("if", arm.where.strip()), ("clicked", arm.clicked), ("opened", arm.opened))
    return frozenset(one for one in asked if one[1])


def dead_arms(step: Branch) -> Iterator[tuple[int, int]]:
    """Arms that never get their turn, each with the earlier arm that holds whenever they do; both counted from 0."""
    for place, arm in enumerate(step.arms):
        for before, earlier in enumerate(step.arms[:place]):
            if conditions(earlier) <= conditions(arm):
                yield place, before
                break


def reached(journey: Journey, start: str | None = None) -> set[str]:
    """The steps that somebody may come to from a step (which is one of them); default: from the first."""
    leads = targets(journey)
    found: set[str] = set()
    ahead = [journey.first if start is None else start]
    while ahead:
        step = ahead.pop()
        if step not in found and step != END:
            found.add(step)
            ahead += leads[step]
    return found


def targets(journey: Journey) -> dict[str, list[str]]:
    """Where each step may lead, each place once."""
    found: dict[str, list[str]] = {step.id: [] for step in journey.steps}
    for way in ways(journey):
        if way.to not in found[way.step]:
            found[way.step].append(way.to)
    return found


def rings_without_wait(journey: Journey) -> list[tuple[str, ...]]:
    """Rings that somebody would run round without end, each as its steps in order.

    A send that waits for its hour is no wait: when the hour is there, it does not wait.
    """
    waits = {step.id for step in journey.steps if isinstance(step, Wait | WaitEvent)}
    leads = {
        step: [to for to in found if to != END and to not in waits]
        for step, found in targets(journey).items()
        if step not in waits
    }
    return list(_rings(leads))


def longest(journey: Journey) -> timedelta:
    """How long the longest way through takes at most, each step passed once at most; waiting for an hour is a day."""
    leads, order = targets(journey), backwards(journey)
    lasting: dict[str, timedelta] = {END: timedelta()}
    for step in order:
        ahead = max((lasting[to] for to in leads[step] if to in lasting), default=timedelta())
        lasting[step] = _lasts(journey.step(step)) + ahead
    return lasting.get(journey.first, timedelta())


def backwards(journey: Journey) -> list[str]:
    """All steps, each behind those it leads to; where a ring closes, the way back is left out."""
    leads = targets(journey)
    done: dict[str, None] = {}
    seen: set[str] = set()
    for first in (journey.first, *leads):
        ahead: list[tuple[str, Iterator[str]]] = []
        if first in leads and first not in seen:
            seen.add(first)
            ahead.append((first, iter(leads[first])))
        while ahead:
            step, rest = ahead[-1]
            following = next((to for to in rest if to != END and to not in seen), None)
            if following is None:
                done[step] = None
                ahead.pop()
            else:
                seen.add(following)
                ahead.append((following, iter(leads[following])))
    return list(done)


def _rings(leads: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, ...]]:
    """A ring for each step through which one closes, none told twice."""
    told: set[frozenset[str]] = set()
    for step in leads:
        ring = _round(leads, step)
        if ring and frozenset(ring) not in told:
            told.add(frozenset(ring))
            yield ring


def _round(leads: Mapping[str, Iterable[str]], start: str) -> tuple[str, ...]:
    """The shortest way from a step back to itself; empty when there is none."""
    came_from: dict[str, str] = {}
    ahead = [start]
    for step in ahead:
        for to in leads[step]:
            if to == start:
                way = [step]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return tuple(reversed(way))
            if to not in came_from:
                came_from[to] = step
                ahead.append(to)
    return ()


def _lasts(step: Step) -> timedelta:
    match step:
        case Wait(span=timedelta() as span):
            return span
        case Wait():
            repeat = parse_until(step.until)  # the next such day, at the latest
            return _MONTH if repeat.month_days else _WEEK if repeat.weekdays else _DAY
        case WaitEvent():
            return step.at_most
        case Send(send_at=hour) if hour != "now":
            return _DAY
        case _:
            return timedelta()

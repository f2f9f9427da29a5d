"""What is next for somebody in a journey? A pure function of the version, her place and what is known of her.

The live engine, the simulator and the tests all call `decide`: it runs on from her place until a step must wait, or
the journey is over, and tells what is to be done on the way. It knows no database, no clock and no chance.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

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
from engine.journeys.timing import until
from engine.model import EnrolmentState, frozen

_MOST_STEPS = 100  # in one go: a ring of branches without a wait would go on for ever


@frozen
class Place:
    """Where somebody stands. `waiting`: the timer of this step is set, and rings at `due_at` (`rings_at` in tables)."""

    step: str
    visit: int  # steps passed so far: with the enrolment it names each step that was ever done
    entered_at: datetime
    step_at: datetime  # when she came to this step
    due_at: datetime
    waiting: bool = False


@frozen
class Sight:
    """What is known of her at this moment. The functions are asked only for what the steps need."""

    zone: ZoneInfo  # hers
    holds: Callable[[str, Sequence[Tag]], bool]  # a rule's text, with the tags that were set on the way here
    clicked: Callable[[str], bool]  # did she click in the mail of this step
    opened: Callable[[str], bool]
    came: Callable[[str, datetime], bool]  # did this happen since: order, click, event:NAME
    draw: Callable[[str], float]  # 0..1 by keyed hash, of a split's id
    slot: Callable[[Send, datetime], datetime]  # which moment from this one on this mail is best sent at
    legal: Callable[[Send, datetime], datetime]  # the first moment from this one on at which it may go at all


@frozen
class Passed:
    """A step that was done: what came of it, and where it led."""

    step: str
    visit: int
    result: str  # sent, missed, waited, event, deadline, an arm's name or number, tagged, untagged, posted, left
    to: str


@frozen
class Effect:
    """Something to be done together with the move, once: `visit` tells it from every other of this enrolment."""

    step: Send | Tag | Webhook
    visit: int


@frozen
class Move:
    """What became of her: the steps passed, what is to be done, and where she stands now."""

    place: Place
    state: EnrolmentState
    reason: str = ""
    passed: tuple[Passed, ...] = ()
    effects: tuple[Effect, ...] = ()


def decide(journey: Journey, place: Place, sight: Sight, at: datetime) -> Move:
    """Run on from `place` as of `at`; call it when her timer rang, or something happened to her."""
    passed: list[Passed] = []
    effects: list[Effect] = []
    tags: list[Tag] = []  # set or taken away on the way, and written only with the move

    def over(state: EnrolmentState, reason: str = "") -> Move:
        return Move(place=place, state=state, reason=reason, passed=tuple(passed), effects=tuple(effects))

    for _ in range(_MOST_STEPS):
        # After her entry, not at it: what brought her in (an order) is not what the journey is for.
        if sight.came(journey.goal, place.entered_at):
            return over(EnrolmentState.GOAL, journey.goal)
        if place.step == END:
            return over(EnrolmentState.DONE)
        step = journey.step(place.step)
        if (rings_at := _rings_at(journey, step, place, sight, at)) is not None:
            place = _waiting(place, rings_at)
            return over(EnrolmentState.WAITING)
        one = _done(journey, step, place, sight, tags, at)
        passed.append(one)
        if isinstance(step, Tag):
            tags.append(step)
        if isinstance(step, Tag | Webhook) or (isinstance(step, Send) and one.result == "sent"):
            effects.append(Effect(step=step, visit=place.visit))
        # What a late timer leads to is as late: a birthday's mail must know it.
        due_at = place.due_at if place.due_at <= at else at
        place = Place(step=one.to, visit=place.visit + 1, entered_at=place.entered_at, step_at=at, due_at=due_at)
        if isinstance(step, Leave):
            return over(EnrolmentState.LEFT, step.reason)
    # A ring without a wait is refused when the file is checked; a rule may close one all the same.
    place = replace(place, waiting=False, due_at=at)
    return over(EnrolmentState.LEFT, "going_round")


def _waiting(place: Place, rings_at: datetime) -> Place:
    # Not by `replace`, which takes three times as long: a simulated base comes through here a million times.
    if place.waiting and place.due_at == rings_at:
        return place
    step, visit, entered_at, step_at = place.step, place.visit, place.entered_at, place.step_at
    return Place(step=step, visit=visit, entered_at=entered_at, step_at=step_at, due_at=rings_at, waiting=True)


def _rings_at(journey: Journey, step: Step, place: Place, sight: Sight, at: datetime) -> datetime | None:
    """When she is looked at again, if she must wait at this step; None: she goes on now."""
    match step:
        case Wait():
            due = place.due_at if place.waiting else _waits_until(step, sight, at)
        case WaitEvent():
            due = place.due_at if place.waiting else at + step.at_most
            if sight.came(step.event, place.step_at):
                return None
        case Send() if not is_missed(journey, place, at) and not is_expired(step, place, at):
            # Her timer may ring late, in an hour that is a quiet one.
            due = _rung(place, sight.legal(step, at), at) if place.waiting else sight.slot(step, at)
        case _:
            return None
    return due if due > at else None


def _rung(place: Place, legal: datetime, at: datetime) -> datetime:
    """A mail's hour has come when its timer rang; before that something else woke her."""
    return place.due_at if at < place.due_at else legal


def is_missed(journey: Journey, place: Place, at: datetime) -> bool:
    """Whether a step comes up so late that its mail would be out of place."""
    return journey.max_lateness is not None and at - place.due_at > journey.max_lateness


def is_expired(step: Send, place: Place, at: datetime) -> bool:
    """Whether the mail has waited for its hour longer than it is good for."""
    return step.expires is not None and at - place.step_at >= step.expires


def _waits_until(step: Wait, sight: Sight, at: datetime) -> datetime:
    return at + step.span if step.span is not None else until(step.until, at, sight.zone)


def _done(journey: Journey, step: Step, place: Place, sight: Sight, tags: Sequence[Tag], at: datetime) -> Passed:
    following = journey.after(step.id)
    match step:
        case Send():
            result = "missed" if is_missed(journey, place, at) else "expired" if is_expired(step, place, at) else "sent"
            to = step.to or following
        case Wait():
            result, to = "waited", step.to or following
        case WaitEvent():
            came = sight.came(step.event, place.step_at)
            result, to = ("event", step.then or following) if came else ("deadline", step.otherwise or following)
        case Branch():
            result, to = _branched(step, sight, tags, following)
        case Split():
            result, to = _split(step, sight)
        case Tag():
            result, to = "untagged" if step.remove else "tagged", step.to or following
        case Webhook():
            result, to = "posted", step.to or following
        case Leave():
            result, to = step.reason, END
    return Passed(step=step.id, visit=place.visit, result=result, to=to)


def _branched(step: Branch, sight: Sight, tags: Sequence[Tag], following: str) -> tuple[str, str]:
    """The number of the arm (1 is the first) and where it leads; without any that holds, the next step."""
    for number, arm in enumerate(step.arms, start=1):
        if _holds(arm, sight, tags):
            return str(number), arm.to
    return "none", following


def _holds(arm: Arm, sight: Sight, tags: Sequence[Tag]) -> bool:
    return (
        (not arm.where or sight.holds(arm.where, tags))
        and (not arm.clicked or sight.clicked(arm.clicked))
        and (not arm.opened or sight.opened(arm.opened))
    )


def _split(step: Split, sight: Sight) -> tuple[str, str]:
    point = sight.draw(step.id)
    for arm in step.arms:
        point -= arm.share
        if point < 0:
            return arm.name, arm.to
    return step.arms[-1].name, step.arms[-1].to  # shares sum to 1; this catches rounding

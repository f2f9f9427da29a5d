"""Where does somebody stand whose journey was paused or published anew since? Pauses and versions come as values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.journeys.deciding import Passed, Place
from engine.journeys.definition import END, Journey, OnEdit
from engine.ledger import Enrolment, JourneyPause

MOVED = "moved"  # the result of a step that the newest version has not


@dataclass(frozen=True, slots=True, kw_only=True)
class Footing:
    """The version she goes on in, and her place there. `passed` tells of a step that is gone."""

    journey: Journey
    version: int
    place: Place
    passed: tuple[Passed, ...] = ()


def shifted(one: Enrolment, pauses: Sequence[JourneyPause]) -> datetime:
    """When her timer rings, later by each finished pause that it does not know yet.

    She waited through that part of a pause that came after she had come to her step.
    """
    rings_at = one.rings_at
    for pause in pauses:
        if pause.n > one.pauses and pause.ended_at is not None:
            since = max(pause.began_at, one.step_at)
            if pause.ended_at > since:
                rings_at += pause.ended_at - since
    return rings_at


def footing(one: Enrolment, rings_at: datetime, own: Journey, newest: Journey, newest_version: int) -> Footing:
    """Her version, or the newest when that one moves whoever is inside: to the step of the same id.

    A step that is gone leads to the next one after it, in the order she knew, that there still is; else to the end. She
    comes to it anew. Her timer stays as it was set where her step is of the same kind.
    """
    place = Place(
        step=one.step,
        visit=one.visit,
        entered_at=one.entered_at,
        step_at=one.step_at,
        due_at=rings_at,
        waiting=one.waiting,
    )
    if one.version >= newest_version or newest.on_edit is not OnEdit.MOVE:
        return Footing(journey=own, version=one.version, place=place)
    known = {step.id: step for step in newest.steps}
    if one.step == END or one.step in known:
        is_same = one.step == END or type(known[one.step]) is type(own.step(one.step))
        return Footing(journey=newest, version=newest_version, place=place if is_same else _anew(place, one.step))
    ids = [step.id for step in own.steps]
    later = ids[ids.index(one.step) + 1 :] if one.step in ids else []
    to = next((step for step in later if step in known), END)
    gone = Passed(step=one.step, visit=one.visit, result=MOVED, to=to)
    moved = Place(
        step=to,
        visit=one.visit + 1,
        entered_at=one.entered_at,
        step_at=one.step_at,
        due_at=rings_at,
    )
    return Footing(journey=newest, version=newest_version, place=moved, passed=(gone,))


def _anew(place: Place, step: str) -> Place:
    """The step kept its id and became something else."""
    return Place(step=step, visit=place.visit, entered_at=place.entered_at, step_at=place.step_at, due_at=place.due_at)

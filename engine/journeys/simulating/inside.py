"""Where does one contact stand in a journey? Her enrolment, in memory."""

from dataclasses import dataclass, field

from engine.journeys.deciding import Place
from engine.journeys.definition import Journey
from engine.journeys.simulating.programme import Route
from engine.model import EnrolmentState


@dataclass(slots=True, kw_only=True, eq=False)
class Inside:
    """Her way through a journey; `state` tells whether it is over."""

    route: Route
    journey: Journey  # her version of it
    n: int  # which time for her
    held_out: bool
    place: Place
    due: int = 0  # when her timer rings: `place.due_at` in microseconds
    state: EnrolmentState = EnrolmentState.WAITING
    ended: int = 0
    causes: set[str] = field(default_factory=set)
    answers: set[tuple[str, str]] = field(default_factory=set)  # (step, open or click)
    woken_at: int = -1
    has_moved: bool = False  # what its mails do to buying was done

    @property
    def is_in(self) -> bool:
        """Whether she is not through."""
        return self.state is EnrolmentState.WAITING

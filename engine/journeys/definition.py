"""What is a journey? Its nouns: how somebody gets in, the steps, and what ends it. `files` reads them from TOML.

A journey runs each contact through its steps on its own clock. Rules are kept as their text, templates as their names;
whoever runs a version checks and compiles them. A version is stored as JSON (`to_json`, `from_json`) and never changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

END = "end"  # where a journey's last step leads, and whatever names it


class StartKind(StrEnum):
    """What brings somebody in."""

    SEGMENT = "segment"  # she comes to match a segment that she did not match before
    EVENT = "event"  # an event of this kind
    ORDER = "order"  # an order
    DATE = "date"  # a day of hers comes round: birth_date, or an attribute that holds a date
    HAND = "hand"  # somebody enrols her


class OnEdit(StrEnum):
    """What becomes of those inside when a new version is published."""

    FINISH = "finish"  # they finish on the version they started
    MOVE = "move"  # they go on in the new one, at the step of the same id


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How contacts get in."""

    kind: StartKind
    name: str = ""  # the segment, the kind of event, or the date's field: birth_date, attributes.renewal
    where: str = ""  # a rule that must hold too, when it happens
    offset: timedelta = timedelta()  # date: so long after the day, negative: before it
    at: str = "09:00"  # date: the hour, by the contact's own clock
    yearly: bool = True  # date: it comes round every year


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Mail a template. `send_at`: now, `HH:MM local` (the next such hour of her clock), or `best hour`."""

    id: str
    template: str
    subject: Mapping[str, str] = field(default_factory=dict)  # language -> subject; empty: the template's
    send_at: str = "now"
    priority: int | None = None  # None: the journey's
    expires: timedelta | None = None  # so long after the step came up it isn't sent any more
    cost_per_conversion: float = 0.0  # shop currency, decimal
    to: str = ""  # the step after it; empty: the next in the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Let time pass: a span, or until a weekday or an hour (`tue 09:00 local`, `09:00 local`, `weekdays 09:00`)."""

    id: str
    span: timedelta | None = None
    until: str = ""
    to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitEvent:
    """Wait until she does something, or a deadline: whichever comes first."""

    id: str
    event: str  # order | click | event:NAME
    at_most: timedelta
    then: str = ""  # the step when it came; empty: the next in the file
    otherwise: str = ""  # the step when the deadline came; empty: the next in the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way out of a branch: the first arm all of whose conditions hold. An arm without any always holds."""

    to: str
    where: str = ""  # a rule
    clicked: str = ""  # the id of a send step: she, no machine, clicked in its mail
    opened: str = ""  # the same for an open: weak evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """Go different ways."""

    id: str
    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitArm:
    """One arm of an experiment."""

    name: str
    share: float  # the shares of a split sum to 1
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """An experiment: a keyed hash of journey, step and contact chooses, so she gets the same arm whenever she comes."""

    id: str
    arms: tuple[SplitArm, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """Give her a tag, or take one away."""

    id: str
    tag: str
    remove: bool = False
    to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Tell another system: a POST of JSON, at least once, with the same key each time."""

    id: str
    url: str
    to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """End the journey here, for a reason."""

    id: str
    reason: str = "left"


Step = Send | Wait | WaitEvent | Branch | Split | Tag | Webhook | Leave


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """A journey file, checked."""

    name: str
    start: Start
    steps: tuple[Step, ...]
    description: str = ""
    existing: bool = False  # whether those already in the segment are enrolled, too
    reentry: timedelta | None = None  # so long after she left she may come again; None: never
    exclude: str = ""  # a rule: who matches is not enrolled
    goal: str = "order"  # order | click | event:NAME: ends the journey at once
    window: timedelta = timedelta(days=30)  # in which the goal counts as the journey's, from the entry on
    holdout: float = 0.0
    on_edit: OnEdit = OnEdit.FINISH
    message_class: str = "marketing"
    priority: int = 0
    max_lateness: timedelta | None = None  # a mail that comes up later than this is missed, not sent
    transport: str | None = None
    uncertain: str = "assume-sent"

    def step(self, step_id: str) -> Step:
        """The step of this id; KeyError."""
        for one in self.steps:
            if one.id == step_id:
                return one
        raise KeyError(step_id)

    def after(self, step_id: str) -> str:
        """The id of the next step in the file, or `end`."""
        ids = [one.id for one in self.steps]
        place = ids.index(step_id) + 1
        return ids[place] if place < len(ids) else END

    @property
    def first(self) -> str:
        """Where everybody begins."""
        return self.steps[0].id if self.steps else END

"""Which keys may a journey file hold, and what may each say? Every key by itself; `files` looks at them together."""

import re
from collections.abc import Iterator, Mapping
from datetime import time, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError

from engine.campaign import NAME, ClassText, Fault, GoalText, Key, SpanText, Subjects, Table
from engine.clock import parse_duration
from engine.errors import nearest
from engine.journeys.definition import END
from engine.journeys.timing import parse_until

NEVER = "never"

_HOUR = re.compile(r"(\d{1,2}):(\d\d)")
_SIGN = re.compile(r"\s*([+-]?)\s*")
_DATE_FIELD = re.compile(r"birth_date|attributes\.[^\s.]+")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _hour(text: str) -> str:
    match = _HOUR.fullmatch(text)
    if not match or not (int(match[1]) < 24 and int(match[2]) < 60):
        raise ValueError(f"{text!r} is no time of day; write it as 09:00")
    return time(int(match[1]), int(match[2])).isoformat("minutes")


def _send_at(text: str) -> str:
    said = text.strip()
    if said in ("now", "best hour"):
        return said
    try:
        if said.endswith(" local"):
            return f"{_hour(said.removesuffix(' local'))} local"
    except ValueError:
        pass  # told below with the forms that are known
    raise ValueError(f"{text!r} is no time to send at; write now, 09:00 local or best hour")


def _until(text: str) -> str:
    zone = parse_until(text).zone
    if zone:
        raise ValueError(f"a journey goes by each contact's own clock; leave {zone!r} out of {text!r}")
    return text.strip()


def _reentry(text: str) -> str:
    if text != NEVER:
        _positive(text, f", or {NEVER!r}")
    return text


def _offset(text: str) -> str:
    length = parse_offset(text)
    if length % timedelta(days=1):
        raise ValueError(f"{text!r}: an offset is in whole days, the hour is said by at")
    return text


def _step_id(text: str) -> str:
    if not NAME.fullmatch(text) or text == END:
        raise ValueError(f"{text!r} is no id of a step; use letters, digits, - and _ ({END!r} is taken)")
    return text


def _date_field(text: str) -> str:
    if not _DATE_FIELD.fullmatch(text):
        raise ValueError(f"{text!r} is no date of a contact; write birth_date or attributes.NAME")
    return text


def _arm_name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(f"{text!r} can't name an arm; use letters, digits, - and _")
    return text


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        _ = parts.port  # ValueError when it is no number
    except ValueError as fault:
        raise ValueError(f"{text!r} is no address: {fault}") from None
    if parts.scheme not in ("https", "http") or not host or re.search(r"\s", text):
        raise ValueError(f"{text!r} is no address; write it as https://example.com/hook")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise ValueError(f"{text!r} would go over the net in the clear; use https (http only to this machine)")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address in a file must not hold a password; leave what stands before @ out")
    return text


def _positive(text: str, cure: str = "") -> None:
    try:
        length = parse_duration(text)
    except OverflowError:
        raise ValueError(f"{text!r} is too long") from None
    except ValueError as fault:
        raise ValueError(f"{fault}{cure}") from None
    if not length:
        raise ValueError("must be longer than nothing")


def parse_offset(text: str) -> timedelta:
    """`-3 days`, `2 weeks`, `+1 day` as a timedelta; ValueError when it is none."""
    sign = _SIGN.match(text)
    assert sign is not None  # it matches nothing, too
    try:
        length = parse_duration(text[sign.end() :])
    except OverflowError:
        raise ValueError(f"{text!r} is too long") from None
    except ValueError:
        raise ValueError(f"{text!r} is no offset; write it as '-3 days' or '1 week'") from None
    return -length if sign[1] == "-" else length


_Target = Annotated[str, Field(min_length=1)]  # a step's id, or `end`: looked up where all ids are known


class StartTable(Table):
    """`start`: one of segment, event, order, date, hand; the others narrow it."""

    segment: str | None = Field(default=None, min_length=1)
    event: str | None = Field(default=None, pattern=r"^[^\s:]+$")
    order: Literal[True] | None = None
    date: Annotated[str, AfterValidator(_date_field)] | None = None
    hand: Literal[True] | None = None
    where: str | None = None
    offset: Annotated[str, AfterValidator(_offset)] | None = None
    at: Annotated[str, AfterValidator(_hour)] | None = None
    yearly: bool | None = None


class ArmTable(Table):
    """One way out of a `branch`."""

    where: str | None = Field(default=None, alias="if")
    clicked: _Target | None = None
    opened: _Target | None = None
    to: _Target


class SplitTable(Table):
    """One arm of a `split`."""

    name: Annotated[str, AfterValidator(_arm_name)]
    share: float | None = Field(default=None, gt=0, le=1)
    to: _Target


class StepTable(Table):
    """One `[[step]]`; which keys go with which kind stands in `KEYS_OF`."""

    id: Annotated[str, AfterValidator(_step_id)]
    send: str | None = Field(default=None, min_length=1)
    subject: Subjects = Field(default={})
    send_at: Annotated[str, AfterValidator(_send_at)] = "now"
    priority: int | None = Field(default=None, ge=-1000, le=1000)
    expires: SpanText | None = None
    cost_per_conversion: float = Field(default=0.0, ge=0)
    wait: SpanText | None = None
    until: Annotated[str, AfterValidator(_until)] | None = None
    until_event: GoalText | None = None
    at_most: SpanText | None = None
    then: _Target | None = None
    otherwise: _Target | None = None
    branch: list[ArmTable] | None = Field(default=None, min_length=1)
    split: list[SplitTable] | None = Field(default=None, min_length=2)
    tag: Annotated[str, Field(min_length=1, pattern=r"^[^;]*\S[^;]*$")] | None = None
    untag: Annotated[str, Field(min_length=1, pattern=r"^[^;]*\S[^;]*$")] | None = None
    webhook: Annotated[str, AfterValidator(_url)] | None = None
    leave: Annotated[str, Field(min_length=1)] | Literal[True] | None = None
    to: _Target | None = None


class JourneyTable(Table):
    """The file. Its defaults are the contract."""

    description: str = ""
    start: StartTable
    existing: bool = False
    reentry: Annotated[str, AfterValidator(_reentry)] = NEVER
    exclude: str = ""
    goal: GoalText = "order"
    window: SpanText = "30 days"
    holdout: float = Field(default=0.0, ge=0, lt=1)
    on_edit: Literal["finish", "move"] = "finish"
    message_class: ClassText = Field(default="marketing", alias="class")
    priority: int = Field(default=0, ge=-1000, le=1000)
    max_lateness: SpanText | None = None
    transport: str | None = Field(default=None, min_length=1)
    uncertain: Literal["assume-sent", "resend", "ask"] = "assume-sent"
    step: list[StepTable] = Field(min_length=1)


START_KINDS = ("segment", "event", "order", "date", "hand")
# What a step does, by the key that says so, and which keys go with it.
KEYS_OF: Mapping[str, tuple[str, ...]] = {
    "send": ("subject", "send_at", "priority", "expires", "cost_per_conversion", "to"),
    "wait": ("to",),
    "until": ("to",),
    "until_event": ("at_most", "then", "otherwise"),
    "branch": (),
    "split": (),
    "tag": ("to",),
    "untag": ("to",),
    "webhook": ("to",),
    "leave": (),
}

_TABLES: Mapping[str, type[Table]] = {"start": StartTable, "step": StepTable, "branch": ArmTable, "split": SplitTable}


def shape_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """Unknown keys, wrong types, values out of range: each key by itself."""
    try:
        JourneyTable.model_validate(raw)
    except ValidationError as fault:
        told: set[Key] = set()
        for error in fault.errors():
            where = _place(error["loc"])
            if where not in told:  # a value that may be of two types is told once
                told.add(where)
                yield where, *_told(where, error["type"], error["msg"].removeprefix("Value error, "))


def _place(told: tuple[int | str, ...]) -> Key:
    """The key a fault is at, without what the checker adds for values that may be of two types."""
    place = tuple(part for part in told if part != "[key]")
    return place[: place.index("leave") + 1] if "leave" in place else place


def _told(where: Key, kind: str, message: str) -> tuple[str, str]:
    name = said(where)
    if kind == "extra_forbidden":
        return "unknown_key", f"unknown key {name!r}{_belongs(where)}"
    if kind == "missing":
        return "missing_key", _missing(where, name)
    if where == ("step",) and kind == "too_short":
        return "no_steps", "a journey needs at least one [[step]]"
    return "bad_value", f"{name}: {message}"


def _belongs(where: Key) -> str:
    """Where an unknown key may have been meant to stand, or what it may be called."""
    table, key = next((_TABLES[str(part)] for part in reversed(where[:-1]) if part in _TABLES), JourneyTable), where[-1]
    near = nearest(str(key), _keys(table))
    if not near and table is StepTable and key in _keys(JourneyTable):
        return f"; {key} of a journey stands on top, before the first [[step]]"
    return near


def _missing(where: Key, name: str) -> str:
    if where == ("start",):
        return 'start is missing; it says who gets in, as start = { segment = "name" }'
    if where == ("step",):
        return "a journey needs at least one [[step]]"
    return f"{name} is missing"


def _keys(table: type[Table]) -> list[str]:
    return sorted(info.alias or name for name, info in table.model_fields.items())


def said(where: Key) -> str:
    """A key as people say it: step.2.wait is the wait of the second step."""
    return ".".join(str(part + 1) if isinstance(part, int) else part for part in where)

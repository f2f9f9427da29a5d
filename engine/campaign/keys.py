"""Which keys may a campaign file hold, and what may each say? Every key by itself; `files` looks at them together."""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from engine.campaign.places import Key
from engine.campaign.repeats import parse_repeat
from engine.campaign.timing import parse_send_at
from engine.clock import parse_duration
from engine.errors import nearest

ANY_LANGUAGE = "*"
Fault = tuple[Key, str, str]  # key, code, message
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*")
_CLASS = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_GOAL = re.compile(r"order|click|event:[^\s:]+")


def may_name(text: str) -> bool:
    """Whether a campaign may be called so: its name stands in file names, headers and addresses."""
    return bool(NAME.fullmatch(text))


def _moment_text(value: object) -> object:
    return value.isoformat() if isinstance(value, date | datetime) else value


def _duration(text: str) -> str:
    try:
        length = parse_duration(text)
    except OverflowError:
        raise ValueError(f"{text!r} is too long") from None
    if not length:
        raise ValueError("must be longer than nothing")
    return text


def _subjects(value: object) -> object:
    return {ANY_LANGUAGE: value} if isinstance(value, str) else value


def _languages(subjects: dict[str, str]) -> dict[str, str]:
    for language, subject in subjects.items():
        if language != ANY_LANGUAGE and not _LANGUAGE.fullmatch(language):
            raise ValueError(f"{language!r} is no language code such as en or pt-BR")
        if not subject.strip() or "\n" in subject or "\r" in subject:
            raise ValueError("a subject is one line of text")
    return subjects


def _goal(text: str) -> str:
    if not _GOAL.fullmatch(text):
        raise ValueError(f"{text!r} is no goal; write order, click or event:NAME")
    return text


def _name(text: str) -> str:
    if not NAME.fullmatch(text) or text == "holdout":
        raise ValueError(f"{text!r} is no variant name; use letters, digits, - and _ (holdout is taken)")
    return text


def _send_at(text: str) -> str:
    parse_send_at(text)
    return text


def _repeat(text: str) -> str:
    parse_repeat(text)
    return text.strip()


def _class(text: str) -> str:
    if not _CLASS.fullmatch(text):
        raise ValueError(f"{text!r} is no class; write a word of small letters, digits, - and _, such as newsletter")
    return text


SpanText = Annotated[str, AfterValidator(_duration)]
Subjects = Annotated[dict[str, str], BeforeValidator(_subjects), AfterValidator(_languages)]
GoalText = Annotated[str, AfterValidator(_goal)]
ClassText = Annotated[str, AfterValidator(_class)]


class Table(BaseModel):
    """Nothing unknown, nothing bent into shape."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class VariantTable(Table):
    """One `[[variant]]`."""

    name: Annotated[str, AfterValidator(_name)]
    share: float | None = Field(default=None, gt=0, le=1)
    template: str | None = Field(default=None, min_length=1)
    subject: Subjects | None = None
    cost_per_conversion: float = Field(default=0.0, ge=0)
    send_at: Annotated[str, BeforeValidator(_moment_text), AfterValidator(_send_at)] | None = None


class CampaignTable(Table):
    """The file. Its defaults are the contract."""

    segment: str | None = None
    where: str | None = None
    exclude: str | None = None
    template: str | None = Field(default=None, min_length=1)
    subject: Subjects = {}
    goal: GoalText = "order"
    window: SpanText = "14 days"
    holdout: float = Field(default=0.0, ge=0, lt=1)
    send_at: Annotated[str, BeforeValidator(_moment_text), AfterValidator(_send_at)] = "now"
    repeat: Annotated[str, AfterValidator(_repeat)] = ""
    message_class: ClassText = Field(default="marketing", alias="class")
    priority: int = Field(default=0, ge=-1000, le=1000)
    max_lateness: SpanText | None = None
    expires: Annotated[str, BeforeValidator(_moment_text)] | None = None
    drift_limit: float | None = Field(default=None, ge=0, le=1)
    transport: str | None = Field(default=None, min_length=1)
    uncertain: Literal["assume-sent", "resend", "ask"] = "assume-sent"
    variant: list[VariantTable] = []


_KEYS = sorted(info.alias or name for name, info in CampaignTable.model_fields.items())
_VARIANT_KEYS = sorted(VariantTable.model_fields)


def shape_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """Unknown keys, wrong types, values out of range: each key by itself."""
    try:
        CampaignTable.model_validate(raw)
    except ValidationError as fault:
        for error in fault.errors():
            where = tuple(part for part in error["loc"] if part != "[key]")
            yield where, *_told(where, error["type"], error["msg"].removeprefix("Value error, "))


def _told(where: Key, kind: str, message: str) -> tuple[str, str]:
    name = ".".join(str(part + 1) if isinstance(part, int) else part for part in where)
    if kind == "extra_forbidden":
        known = _VARIANT_KEYS if where[0] == "variant" else _KEYS
        return "unknown_key", f"unknown key {name!r}{nearest(str(where[-1]), known)}"
    if kind == "missing":
        return "missing_key", f"{name} is missing"
    return "bad_value", f"{name}: {message}"

"""How does a journey's version stand in the database? As plain JSON, with a digest that says whether two are the same.

Spans are seconds. What says nothing (none, empty, 0) is left out, so that a key added to the language later leaves
old digests alone; a default that says something is written out, so that another default later changes no old version.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from engine.journeys.definition import (
    Arm,
    Branch,
    Journey,
    Leave,
    OnEdit,
    Send,
    Split,
    SplitArm,
    Start,
    StartKind,
    Step,
    Tag,
    Wait,
    WaitEvent,
    Webhook,
)

_STEPS: Mapping[str, type[Step]] = {
    "send": Send,
    "wait": Wait,
    "until_event": WaitEvent,
    "branch": Branch,
    "split": Split,
    "tag": Tag,
    "webhook": Webhook,
    "leave": Leave,
}
_KINDS = {kind: name for name, kind in _STEPS.items()}
_SPANS = {"offset", "window", "reentry", "max_lateness", "span", "at_most", "expires"}


def to_json(journey: Journey) -> dict[str, Any]:
    """The journey as values that JSON knows; `from_json` gives it back."""
    return {
        **_plain(journey),
        "start": _plain(journey.start),
        "steps": [{"kind": _KINDS[type(step)], **_plain(step)} for step in journey.steps],
    }


def from_json(stored: Mapping[str, Any]) -> Journey:
    """The journey that `to_json` wrote; KeyError or TypeError if it is none."""
    given = _typed(stored)
    start = _typed(given.pop("start"))
    start["kind"] = StartKind(start["kind"])
    if "on_edit" in given:
        given["on_edit"] = OnEdit(given["on_edit"])
    given["steps"] = tuple(_step(one) for one in given["steps"])
    return Journey(start=Start(**start), **given)


def digest(journey: Journey) -> str:
    """64 hex digits that are the same exactly when two journeys are."""
    canonical = json.dumps(to_json(journey), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()


def _plain(value: Journey | Start | Step | Arm | SplitArm) -> dict[str, Any]:
    return {
        one.name: _of_json(getattr(value, one.name))
        for one in fields(value)
        if one.name not in ("start", "steps") and not _says_nothing(one, getattr(value, one.name))
    }


def _says_nothing(one: Field[Any], value: object) -> bool:
    default = one.default if one.default_factory is MISSING else one.default_factory()
    return not value and value == default


def _of_json(value: object) -> Any:
    match value:
        case timedelta():
            return value.total_seconds()
        case StrEnum():
            return value.value
        case Mapping():
            return dict(value)
        case tuple():
            return [_plain(arm) for arm in value]
    return value


def _typed(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: timedelta(seconds=value) if key in _SPANS and value is not None else value for key, value in stored.items()
    }


def _step(stored: Mapping[str, Any]) -> Step:
    given = _typed(stored)
    kind = _STEPS[given.pop("kind")]
    if kind is Branch:
        given["arms"] = tuple(Arm(**arm) for arm in given["arms"])
    elif kind is Split:
        given["arms"] = tuple(SplitArm(**arm) for arm in given["arms"])
    return kind(**given)

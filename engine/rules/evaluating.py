"""Does a rule hold for this profile, and why? Evaluation in Python, and the explanation that people read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Any

from engine.errors import UnknownSegment, nearest
from engine.model import Profile
from engine.rules.tree import (
    Ago,
    Among,
    Arithmetic,
    Atom,
    Compare,
    Condition,
    Date,
    Default,
    Either,
    Empty,
    Every,
    Field,
    InSegment,
    IsMissing,
    Literal,
    Negative,
    Not,
    Rule,
    Truth,
    Value,
    Within,
    leaves,
    values_in,
)
from engine.rules.values import arithmetic, compare, contains, defaulted, field_of, is_missing, negative
from engine.rules.wording import quoted, spelled, words

NO_SEGMENTS: Mapping[str, Rule] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of an explanation. Groups (`all of these`) have no value; their parts follow, one depth further in."""

    depth: int
    text: str
    value: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a rule is asked about: where its fields come from, the moment, and the rules of other segments."""

    look: Callable[[str], Any]
    at: datetime
    segments: Mapping[str, Rule]


def evaluate(rule: Rule, profile: Profile, at: datetime, segments: Mapping[str, Rule] = NO_SEGMENTS) -> bool:
    """Does the rule hold for this contact at this moment? The profile must be as of the same moment."""
    return holds(rule.tree, Scene(look=partial(field_of, profile), at=at, segments=segments))


def explain(rule: Rule, profile: Profile, at: datetime, segments: Mapping[str, Rule] = NO_SEGMENTS) -> list[Step]:
    """Every condition with this contact's values and whether it holds, in the order in which they are written."""
    scene = Scene(look=partial(field_of, profile), at=at, segments=segments)
    return list(_steps(rule.tree, scene, 0))


def holds(condition: Condition, scene: Scene) -> bool:
    """Is the condition true in this scene? Never Missing."""
    match condition:
        case Every(parts=parts):
            return all(holds(part, scene) for part in parts)
        case Either(parts=parts):
            return any(holds(part, scene) for part in parts)
        case Not(part=part):
            return not holds(part, scene)
        case InSegment(name=name):
            return holds(segment_named(name, scene.segments).tree, scene)
        case _:
            return _atom_holds(condition, scene)


def segment_named(name: str, segments: Mapping[str, Rule]) -> Rule:
    """The rule of a segment; raises UnknownSegment when it was not handed in."""
    if name not in segments:
        raise UnknownSegment(f"segment {name!r} is not defined{nearest(name, segments)}; see `mailer segment list`")
    return segments[name]


def _atom_holds(atom: Atom, scene: Scene) -> bool:
    match atom:
        case Compare():
            return compare(atom.op, value_of(atom.left, scene), value_of(atom.right, scene))
        case Among():
            items = tuple(value_of(item, scene) for item in atom.items)
            return contains(items, value_of(atom.value, scene)) is not atom.negated
        case Within():
            return contains(value_of(atom.container, scene), value_of(atom.value, scene)) is not atom.negated
        case Empty():
            return (not value_of(atom.items, scene)) is not atom.negated
        case IsMissing():
            return is_missing(value_of(atom.value, scene)) is not atom.negated
        case Truth():
            return value_of(atom.value, scene) is True


def value_of(value: Value, scene: Scene) -> Any:
    """What a value of the rule is in this scene."""
    match value:
        case Literal():
            return value.value
        case Field():
            return scene.look(value.name)
        case Ago():
            return scene.at - value.length
        case Date():
            return value.moment
        case Arithmetic():
            return arithmetic(value.op, value_of(value.left, scene), value_of(value.right, scene))
        case Negative():
            return negative(value_of(value.operand, scene))
        case Default():
            return defaulted(value_of(value.value, scene), value_of(value.fallback, scene))


def _steps(condition: Condition, scene: Scene, depth: int) -> Iterator[Step]:
    truth = holds(condition, scene)
    match condition:
        case Every(parts=parts):
            yield Step(depth=depth, text="all of these", value="", holds=truth)
        case Either(parts=parts):
            yield Step(depth=depth, text="at least one of these", value="", holds=truth)
        case Not(part=part):
            yield Step(depth=depth, text="not", value="", holds=truth)
            parts = (part,)
        case InSegment(name=name):
            yield Step(depth=depth, text=f"segment({quoted(name)})", value="", holds=truth)
            parts = (segment_named(name, scene.segments).tree,)
        case _:
            yield Step(depth=depth, text=words(condition), value=_evidence(condition, scene), holds=truth)
            return
    for part in parts:
        yield from _steps(part, scene, depth + 1)


def _evidence(atom: Atom, scene: Scene) -> str:
    """What the contact has: `orders_count = 3; last_order_at = 2026-01-04 10:00 UTC`."""
    read = {
        spelled(leaf): _shown(value_of(leaf, scene))
        for value in values_in(atom)
        for leaf in leaves(value)
        if not isinstance(leaf, Literal)
    }
    return "; ".join(f"{name} = {shown}" for name, shown in read.items())


def _shown(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return quoted(value)
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        case tuple():
            return f"[{', '.join(map(_shown, value))}]"
        case float():
            return f"{value:.15g}"
    return "missing" if is_missing(value) else str(value)

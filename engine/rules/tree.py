"""What is a checked rule? A small typed tree that owes nothing to the parser, so that each evaluator stays simple.

Values have a kind and may be Missing; conditions are true or false, never Missing. Only conditions are joined.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from engine.model import FIELDS, FieldKind

ATTRIBUTES = "attributes."
ORDERINGS = ("<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """A text, number, true or false as it was written. `kind` tells 1 from true."""

    value: str | int | float | bool
    kind: FieldKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A name of `model.FIELDS`, or `attributes.NAME`."""

    name: str
    kind: FieldKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Ago:
    """`ago('90 days')`: the moment the rule is asked at, less a length."""

    text: str
    length: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Date:
    """`date('2026-01-01')`: a fixed moment."""

    text: str
    moment: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """One of + - * / % over two numbers."""

    op: str
    left: "Value"
    right: "Value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Negative:
    """The number with the other sign."""

    operand: "Value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """The value, or the fallback where it is Missing; both of one kind (LOOSE also takes a literal)."""

    value: "Value"
    fallback: "Value"


Value: TypeAlias = Literal | Field | Ago | Date | Arithmetic | Negative | Default


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A BOOLEAN value that is known and true."""

    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """Two values by == != < <= > or >=. `!=` is exactly the opposite of `==`."""

    op: str
    left: Value
    right: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Among:
    """The value equals one of the items that aren't Missing. `negated`: `not in`."""

    value: Value
    items: tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """A text is an item of a LIST field, or stands inside another text. `negated`: `not in`."""

    value: Value
    container: Value
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """A LIST field without items. `negated`: `!= []`."""

    items: Field
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IsMissing:
    """The value is not known. `negated`: `is not missing`."""

    value: Value
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InSegment:
    """The rule of another segment holds."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """The condition does not hold."""

    part: "Condition"


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """All parts hold: `and`."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Either:
    """At least one part holds: `or`."""

    parts: tuple["Condition", ...]


Atom: TypeAlias = Truth | Compare | Among | Within | Empty | IsMissing
Condition: TypeAlias = Atom | InSegment | Not | Every | Either


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule that was checked: every evaluator may trust its names and kinds.

    `names` are the fields it reads itself (attributes as `attributes.X`), `segments` the segments it asks for;
    what those read is in their own rules. `size` counts its conditions.
    """

    source: str
    tree: Condition
    names: frozenset[str]
    segments: frozenset[str]
    size: int


def field_kind(name: str) -> FieldKind | None:
    """The kind of a field's name, or None when there is no such field."""
    return FieldKind.LOOSE if name.startswith(ATTRIBUTES) else FIELDS.get(name)


def kind_of(value: Value) -> FieldKind:
    """What a value is, known before anybody's data is seen."""
    match value:
        case Literal() | Field():
            return value.kind
        case Ago() | Date():
            return FieldKind.MOMENT
        case Arithmetic() | Negative():
            return FieldKind.NUMBER
        case Default():
            return kind_of(value.value)


def compared_as(left: FieldKind, right: FieldKind, op: str) -> FieldKind | None:
    """The kind that two values are compared in, or None when they can't be.

    LOOSE follows its partner. Two LOOSE values are equal as texts, but put in order as numbers.
    """
    kinds = {left, right}
    if FieldKind.LIST in kinds or (op in ORDERINGS and FieldKind.BOOLEAN in kinds):
        return None
    if kinds == {FieldKind.LOOSE}:
        return FieldKind.NUMBER if op in ORDERINGS else FieldKind.TEXT
    kinds.discard(FieldKind.LOOSE)
    if len(kinds) > 1 or (left != right and not kinds <= {FieldKind.TEXT, FieldKind.NUMBER}):
        return None
    return kinds.pop()


def segments_in(condition: Condition) -> Iterator[str]:
    """The segments that a condition asks for, as often as it does."""
    match condition:
        case InSegment(name=name):
            yield name
        case Every(parts=parts) | Either(parts=parts):
            for part in parts:
                yield from segments_in(part)
        case Not(part=part):
            yield from segments_in(part)


def values_in(atom: Atom) -> tuple[Value, ...]:
    """The values that an atom looks at, in the order in which they are written."""
    match atom:
        case Compare():
            return (atom.left, atom.right)
        case Among():
            return (atom.value, *atom.items)
        case Within():
            return (atom.value, atom.container)
        case Empty():
            return (atom.items,)
        case Truth() | IsMissing():
            return (atom.value,)


def leaves(value: Value) -> Iterator[Literal | Field | Ago | Date]:
    """The values at the bottom of a computed one."""
    match value:
        case Arithmetic():
            yield from leaves(value.left)
            yield from leaves(value.right)
        case Negative():
            yield from leaves(value.operand)
        case Default():
            yield from leaves(value.value)
            yield from leaves(value.fallback)
        case _:
            yield value


def less(rule: Rule, other: Rule | None) -> Rule:
    """The rule, but not for whom the other holds."""
    if other is None:
        return rule
    return Rule(
        source=f"({rule.source}) and not ({other.source})",
        tree=Every(parts=(rule.tree, Not(part=other.tree))),
        names=rule.names | other.names,
        segments=rule.segments | other.segments,
        size=rule.size + other.size,
    )

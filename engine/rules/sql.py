"""Whom does a rule select? The rule as one SQL condition over columns handed in, for SQLite and PostgreSQL alike.

Numbers are doubles, moments are microseconds, and no condition is ever NULL.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement
from sqlalchemy.sql.elements import Grouping

from engine.model import FieldKind
from engine.rules.columns import Columns, SqlField
from engine.rules.dialects import AllOf, AnyOf, ByCodePoint, HasItem, HasNoItems, RoundedDown, TextContains
from engine.rules.evaluating import NO_SEGMENTS, segment_named
from engine.rules.segments import must_fit
from engine.rules.tree import (
    ATTRIBUTES,
    ORDERINGS,
    Ago,
    Among,
    Arithmetic,
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
    compared_as,
    kind_of,
)
from engine.rules.values import number_of

Sql = ColumnElement[Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COMPARED: Mapping[str, Callable[[Sql, Sql], Sql]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def to_sql(
    rule: Rule, columns: Columns, at: datetime, segments: Mapping[str, Rule] = NO_SEGMENTS
) -> ColumnElement[bool]:
    """The rule as a condition that is true or false for every row, never NULL. `columns` must be for the same `at`.

    Raises UnknownSegment for a segment not handed in, BadRule when the rule is too long with those of its segments.
    """
    must_fit(rule, segments)
    return _Compiler(columns, at, segments).condition(rule.tree)


class _Compiler:
    def __init__(self, columns: Columns, at: datetime, segments: Mapping[str, Rule]) -> None:
        self._columns = columns
        self._at = at
        self._segments = segments

    def condition(self, condition: Condition) -> ColumnElement[bool]:
        match condition:
            case Every(parts=parts):
                return AllOf(*map(self.condition, parts))
            case Either(parts=parts):
                return AnyOf(*map(self.condition, parts))
            case Not(part=part):
                return _opposite(self.condition(part))
            case InSegment(name=name):
                return self.condition(segment_named(name, self._segments).tree)
            case Truth(value=value):
                return _surely(self._flag(value))
            case Compare():
                return self._compare(condition)
            case Among():
                found = self._among(condition)
            case Within():
                found = self._within(condition)
            case Empty():
                found = HasNoItems(_set(self._field(condition.items).items))
            case IsMissing():
                found = self._missing(condition.value)
        return _opposite(found) if condition.negated else found

    def _compare(self, condition: Compare) -> ColumnElement[bool]:
        left, right, op = condition.left, condition.right, condition.op
        kind = _shared_kind(left, right, op)
        one, other = self._as(kind, left), self._as(kind, right)
        if op in ORDERINGS:
            return _surely(_COMPARED[op](one, other))
        same = _surely(one == other)
        if _may_be_missing(left) and _may_be_missing(right):
            same = AnyOf(same, AllOf(self._missing(left), self._missing(right)))
        return _opposite(same) if op == "!=" else same

    def _among(self, condition: Among) -> ColumnElement[bool]:
        """Grouped by the kind they are compared in; a NULL among the items makes no row true."""
        items: dict[FieldKind, list[Sql]] = {}
        for item in condition.items:
            kind = _shared_kind(condition.value, item, "==")
            items.setdefault(kind, []).append(self._as(kind, item))
        found = [_surely(self._as(kind, condition.value).in_(group)) for kind, group in items.items()]
        return AnyOf(*found) if found else sa.false()

    def _within(self, condition: Within) -> ColumnElement[bool]:
        text = self._text(condition.value)
        container = condition.container
        if isinstance(container, Field) and container.kind is FieldKind.LIST:
            return HasItem(_set(self._field(container).items), text)
        return _surely(TextContains(self._text(container), text))

    def _missing(self, value: Value) -> ColumnElement[bool]:
        if not _may_be_missing(value):
            return sa.false()
        kind = kind_of(value)
        return self._as(FieldKind.TEXT if kind is FieldKind.LOOSE else kind, value).is_(sa.null())

    def _as(self, kind: FieldKind, value: Value) -> Sql:
        """The value in the kind it is compared in."""
        match kind:
            case FieldKind.NUMBER:
                return self._number(value)
            case FieldKind.BOOLEAN:
                return self._flag(value)
            case FieldKind.MOMENT:
                return self._moment(value)
            case _:
                return self._text(value)

    def _text(self, value: Value) -> Sql:
        match value:
            case Field():
                # The empty text is Missing, too, should a row ever hold it.
                return ByCodePoint(sa.func.nullif(_set(self._field(value).text), "", type_=sa.Text))
            case Default():
                return sa.func.coalesce(self._text(value.value), self._text(value.fallback), type_=sa.Text)
            case Literal():
                return ByCodePoint(sa.literal(str(value.value), sa.Text))
        raise _no_such(value, "text")

    def _number(self, value: Value) -> Sql:
        match value:
            case Field():
                return sa.cast(_set(self._field(value).number), sa.Double)
            case Literal(value=str() as text):
                number = number_of(text)
                return sa.cast(sa.null(), sa.Double) if number is None else sa.literal(number, sa.Double)
            case Literal():
                return sa.literal(float(value.value), sa.Double)
            case Negative():
                return -self._number(value.operand)
            case Default() if kind_of(value) is FieldKind.NUMBER:
                return sa.func.coalesce(self._number(value.value), self._number(value.fallback), type_=sa.Double)
            case Default():
                # A loose text that is no number is known, so it isn't replaced.
                absent = self._missing(value.value)
                return sa.case((absent, self._number(value.fallback)), else_=self._number(value.value))
            case Arithmetic():
                return _computed(value.op, self._number(value.left), self._number(value.right))
        raise _no_such(value, "number")

    def _flag(self, value: Value) -> Sql:
        match value:
            case Field():
                return _set(self._field(value).flag)
            case Literal():
                return sa.literal(bool(value.value), sa.Boolean)
            case Default():
                return sa.func.coalesce(self._flag(value.value), self._flag(value.fallback), type_=sa.Boolean)
        raise _no_such(value, "truth")

    def _moment(self, value: Value) -> Sql:
        match value:
            case Field():
                return sa.type_coerce(_set(self._field(value).moment), sa.BigInteger)
            case Ago():
                return _micros(self._at - value.length)
            case Date():
                return _micros(value.moment)
            case Default():
                return sa.func.coalesce(self._moment(value.value), self._moment(value.fallback), type_=sa.BigInteger)
        raise _no_such(value, "moment")

    def _field(self, field: Field) -> SqlField:
        if field.name.startswith(ATTRIBUTES):
            return self._columns.attribute(field.name.removeprefix(ATTRIBUTES))
        return self._columns.field(field.name)


def _computed(op: str, left: Sql, right: Sql) -> Sql:
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    divisor = sa.func.nullif(right, sa.literal(0.0, sa.Double), type_=sa.Double)
    if op == "/":
        return left / divisor
    return left - divisor * RoundedDown(left / divisor)


def _shared_kind(left: Value, right: Value, op: str) -> FieldKind:
    kind = compared_as(kind_of(left), kind_of(right), op)
    if kind is None:
        raise _no_such(left, "comparison")
    return kind


def _may_be_missing(value: Value) -> bool:
    return not isinstance(value, Literal | Ago | Date)


def _surely(condition: Sql) -> ColumnElement[bool]:
    return sa.func.coalesce(condition, sa.false(), type_=sa.Boolean)


def _opposite(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return sa.not_(Grouping(condition))


def _micros(moment: datetime) -> Sql:
    return sa.literal((moment - _EPOCH) // timedelta(microseconds=1), sa.BigInteger)


def _set(expression: Sql | None) -> Sql:
    if expression is None:
        raise ValueError("a SqlField lacks the expression that its kind needs; see SqlField")
    return expression


def _no_such(value: Value, what: str) -> TypeError:
    return TypeError(f"a checked rule has no {what} here: {value!r}")

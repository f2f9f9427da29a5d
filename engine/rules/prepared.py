"""The same answer as `outlook`, for very many looks: what of a rule needs no contact is worked out once.

A rule becomes functions, one a condition. Those that are simple and frequent (a plain field against a value, days since
the last order against a number) are answered directly; all others by the evaluators themselves. A property test holds
both equal.
"""

import math
import operator
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

from engine.model import FieldKind, Profile
from engine.rules.evaluating import NO_SEGMENTS, Scene, holds, segment_named, value_of
from engine.rules.horizon import DAYS_SINCE, TURNING, Turns, outlook
from engine.rules.tree import (
    Ago,
    Arithmetic,
    Atom,
    Compare,
    Condition,
    Either,
    Every,
    Field,
    InSegment,
    Literal,
    Not,
    Rule,
    Value,
    leaves,
    values_in,
)
from engine.rules.values import Loose, arithmetic, is_missing, number_of, seen

Standing = tuple[bool, datetime | None]  # whether it holds, and until when that stands; None: until something happens

_DAY = timedelta(days=1)
_PLAIN = (FieldKind.TEXT, FieldKind.NUMBER)
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Subject(Protocol):
    """A contact at a moment, for whom only what is asked for needs to be found out."""

    def read(self, name: str) -> Any:
        """What her profile holds under this name (`attributes.X` too)."""

    def profile(self) -> Profile:
        """All of it."""


class _Look:
    """One contact at one moment; each field is read once."""

    __slots__ = ("_scene", "_seen", "at", "segments", "turns", "who")

    def __init__(self, who: Subject, at: datetime, turns: Turns, segments: Mapping[str, Rule]) -> None:
        self.who, self.at, self.turns, self.segments = who, at, turns, segments
        self._seen: dict[str, Any] = {}
        self._scene: Scene | None = None

    def field(self, name: str) -> Any:
        """What a rule sees under this name."""
        if name not in self._seen:
            self._seen[name] = seen(self.who.read(name), name)
        return self._seen[name]

    @property
    def scene(self) -> Scene:
        """The same for the evaluators."""
        if self._scene is None:
            self._scene = Scene(look=self.field, at=self.at, segments=self.segments)
        return self._scene


_Asked = Callable[[_Look], Standing]


class PreparedRule:
    """A rule, ready for many contacts."""

    def __init__(self, rule: Rule, segments: Mapping[str, Rule] = NO_SEGMENTS) -> None:
        self._segments = segments
        self._asked = _condition(rule.tree, rule, segments)

    def outlook(self, who: Subject, at: datetime, turns: Turns) -> Standing:
        """Does it hold for this contact now, and until when does that stand? As `rules.outlook` has it."""
        return self._asked(_Look(who, at, turns, self._segments))


def _condition(condition: Condition, rule: Rule, segments: Mapping[str, Rule]) -> _Asked:
    match condition:
        case Every(parts=parts):
            return _joined([_condition(part, rule, segments) for part in parts], decided_by=False)
        case Either(parts=parts):
            return _joined([_condition(part, rule, segments) for part in parts], decided_by=True)
        case Not(part=part):
            return _negated(_condition(part, rule, segments))
        case InSegment(name=name):
            return _condition(segment_named(name, segments).tree, rule, segments)
        case _:
            return _atom(condition, rule)


def _joined(parts: list[_Asked], *, decided_by: bool) -> _Asked:
    def asked(look: _Look) -> Standing:
        decided: datetime | None = None
        is_decided = False
        soonest: datetime | None = None
        for part in parts:
            held, until = part(look)
            if held is decided_by:
                if until is None:
                    return decided_by, None  # it alone decides, whatever the others say
                is_decided = True
                decided = until if decided is None else max(decided, until)
            elif until is not None:
                soonest = until if soonest is None else min(soonest, until)
        return (decided_by, decided) if is_decided else (not decided_by, soonest)

    return asked


def _negated(part: _Asked) -> _Asked:
    def asked(look: _Look) -> Standing:
        held, until = part(look)
        return not held, until

    return asked


def _atom(atom: Atom, rule: Rule) -> _Asked:
    moving = {leaf for value in values_in(atom) for leaf in leaves(value) if _moves(leaf)}
    if not moving:
        return _still(atom)
    if isinstance(atom, Compare) and moving == {_DAYS}:
        for days, other, op in ((atom.left, atom.right, atom.op), (atom.right, atom.left, _TURNED.get(atom.op, ""))):
            if days == _DAYS and op in _TURNED and not any(map(_moves, leaves(other))):
                return _days_against(other, op)
    turning = sorted(leaf.name for leaf in moving if isinstance(leaf, Field))
    if len(turning) == len(moving) and DAYS_SINCE not in turning:
        return _turning(_still(atom), turning)
    alone = Rule(source=rule.source, tree=atom, names=rule.names, segments=frozenset(), size=1)

    def asked(look: _Look) -> Standing:
        found = outlook(alone, look.who.profile(), look.at, look.turns, look.segments)
        return found.holds, found.until

    return asked


def _still(atom: Atom) -> _Asked:
    """Time changes nothing here."""
    match atom:
        case Compare(op=op, left=Field(name=name, kind=kind), right=Literal(value=value, kind=other)) if (
            kind == other and kind in _PLAIN
        ):
            compared = _COMPARED[op]

            def plain(look: _Look) -> Standing:
                seen = look.field(name)
                return (op == "!=" if is_missing(seen) else compared(seen, value)), None

            return plain
    return lambda look: (holds(atom, look.scene), None)


def _turning(still: _Asked, names: list[str]) -> _Asked:
    """It stands until one of its fields changes by itself."""

    def asked(look: _Look) -> Standing:
        held, _ = still(look)
        told = [look.turns(name) for name in names]
        return held, min((one for one in told if one is not None and one > look.at), default=None)

    return asked


def _days_against(other: Value, op: str) -> _Asked:
    """Whole days since the last order against what stands still: they only grow, so the answer changes once at most."""
    compared, number_for = _COMPARED[op], _number(other)

    def asked(look: _Look) -> Standing:
        bought_at = look.who.read(_LAST_ORDER)
        number = number_for(look)
        if isinstance(number, Loose):
            number = number_of(number)
        number = cast("float | None", number)
        if bought_at is None or number is None or is_missing(number):
            return False, None
        days = (look.at - bought_at) // _DAY
        # The first number of days at which the other answer is given.
        turn = math.floor(number) + 1 if op in ("<=", ">") else math.ceil(number)
        if turn <= days:
            return compared(days, number), None
        try:
            return compared(days, number), bought_at + _DAY * turn
        except OverflowError:
            return compared(days, number), None

    return asked


def _number(value: Value) -> Callable[[_Look], Any]:
    """What stands still, for one look."""
    match value:
        case Literal(value=constant):
            return lambda _look: constant
        case Field(name=name):
            return lambda look: look.field(name)
        case Arithmetic(op=op, left=left, right=right):
            first, second = _number(left), _number(right)
            return lambda look: arithmetic(op, first(look), second(look))
    return lambda look: value_of(value, look.scene)


_LAST_ORDER = "last_order_at"
_DAYS = Field(name=DAYS_SINCE, kind=FieldKind.NUMBER)


def _moves(leaf: Value) -> bool:
    return isinstance(leaf, Ago) or (isinstance(leaf, Field) and leaf.name in TURNING)

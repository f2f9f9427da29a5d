"""Until when does a rule's answer stand, if nothing happens to this contact? Time alone changes some answers.

`ago('90 days')` moves on, and so do days_since_last_order and the fields that whoever made the profile computes from
the moment: an age, a lifecycle, what was sent in 30 days. The moment given here is never later than that of the true
change; where the rule computes with such a field it may be earlier, and then whoever looks again asks again.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from engine.model import FieldKind, Profile
from engine.rules.evaluating import NO_SEGMENTS, Scene, holds, segment_named, value_of
from engine.rules.tree import (
    Ago,
    Among,
    Atom,
    Compare,
    Condition,
    Default,
    Either,
    Every,
    Field,
    InSegment,
    IsMissing,
    Not,
    Rule,
    Value,
    kind_of,
    leaves,
    values_in,
)
from engine.rules.values import Loose, compare, field_of, is_missing, number_of

Turns = Callable[[str], datetime | None]

DAYS_SINCE = "days_since_last_order"
# What a profile shows of these depends on the moment; days_since_last_order is followed here, without being told.
TURNING = frozenset(
    ["age", "lifecycle", "recency_score", "sent_30d", "human_clicks_30d", "last_sent_at", "last_click_at", DAYS_SINCE]
)

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """A rule's answer, and the first moment at which it could be another; None: it stands until something happens."""

    holds: bool
    until: datetime | None


def outlook(
    rule: Rule, profile: Profile, at: datetime, turns: Turns, segments: Mapping[str, Rule] = NO_SEGMENTS
) -> Outlook:
    """Does the rule hold for this contact at this moment, and until when does that stand?

    The profile must be as of the same moment. `turns` says of a field in `TURNING` when it next changes by itself;
    None: never.
    """
    return _Reader(profile, at, turns, segments).condition(rule.tree)


def next_change(
    rule: Rule, profile: Profile, at: datetime, turns: Turns, segments: Mapping[str, Rule] = NO_SEGMENTS
) -> datetime | None:
    """The first moment after `at` at which the rule's answer could change though nothing happens to this contact."""
    return outlook(rule, profile, at, turns, segments).until


def fields_read(rule: Rule, segments: Mapping[str, Rule] = NO_SEGMENTS) -> frozenset[str]:
    """The fields that the rule asks for, with those of its segments."""
    return rule.names.union(*(fields_read(segment_named(name, segments), segments) for name in rule.segments))


def stands_still(rule: Rule, segments: Mapping[str, Rule] = NO_SEGMENTS) -> bool:
    """Whether time alone never changes the rule's answer, for nobody."""
    return not _reads_time(rule.tree, segments)


def _reads_time(condition: Condition, segments: Mapping[str, Rule]) -> bool:
    match condition:
        case Every(parts=parts) | Either(parts=parts):
            return any(_reads_time(part, segments) for part in parts)
        case Not(part=part):
            return _reads_time(part, segments)
        case InSegment(name=name):
            return _reads_time(segment_named(name, segments).tree, segments)
        case _:
            return any(_moves(leaf) for value in values_in(condition) for leaf in leaves(value))


def _moves(leaf: Value) -> bool:
    return isinstance(leaf, Ago) or (isinstance(leaf, Field) and leaf.name in TURNING)


class _Reader:
    def __init__(self, profile: Profile, at: datetime, turns: Turns, segments: Mapping[str, Rule]) -> None:
        self._look = partial(field_of, profile)
        self._bought_at = profile.last_order_at
        self._at = at
        self._turns = turns
        self._scene = Scene(look=self._look, at=at, segments=segments)

    def condition(self, condition: Condition) -> Outlook:
        match condition:
            case Every(parts=parts):
                return self._joined(parts, decided_by=False)
            case Either(parts=parts):
                return self._joined(parts, decided_by=True)
            case Not(part=part):
                inner = self.condition(part)
                return Outlook(holds=not inner.holds, until=inner.until)
            case InSegment(name=name):
                return self.condition(segment_named(name, self._scene.segments).tree)
            case _:
                return Outlook(holds=holds(condition, self._scene), until=self._atom(condition))

    def _joined(self, parts: Iterable[Condition], *, decided_by: bool) -> Outlook:
        """One false part makes an `and` false (one true part an `or` true): it stands as long as any of those does."""
        seen = [self.condition(part) for part in parts]
        deciding = [one for one in seen if one.holds is decided_by]
        if not deciding:
            return Outlook(holds=not decided_by, until=_first(one.until for one in seen))
        moments = [one.until for one in deciding]
        until = None if None in moments else max(one for one in moments if one is not None)
        return Outlook(holds=decided_by, until=until)

    def _atom(self, atom: Atom) -> datetime | None:
        moving = {leaf for value in values_in(atom) for leaf in leaves(value) if _moves(leaf)}
        told = [self._turns(leaf.name) for leaf in moving if isinstance(leaf, Field) and leaf.name != DAYS_SINCE]
        found = [one for one in told if one is not None and one > self._at]
        if any(isinstance(leaf, Ago) for leaf in moving) and not isinstance(atom, IsMissing):
            found += self._sliding(atom)
        if any(isinstance(leaf, Field) and leaf.name == DAYS_SINCE for leaf in moving):
            found += self._stepping(atom)
        return min(found, default=None)

    # ------------------------------------------------------------ moments against ago(...)

    def _sliding(self, atom: Atom) -> Iterator[datetime]:
        """A moment is met by `ago` when its length has passed, and lies behind it an instant later."""
        sides = [self._moments(value) for value in values_in(atom)]
        lengths = [length for _, ago in sides for length in ago]
        for moment in (moment for still, _ in sides for moment in still):
            for length in lengths:
                for later in (timedelta(), _MICROSECOND):
                    met = _after(moment, length + later)
                    if met is not None and met > self._at:
                        yield met
                        break

    def _moments(self, value: Value) -> tuple[list[datetime], list[timedelta]]:
        """The moments that a value may show, and the lengths by which it trails behind now."""
        if isinstance(value, Ago):
            return [], [value.length]
        if isinstance(value, Default):
            one, other = self._moments(value.value), self._moments(value.fallback)
            return one[0] + other[0], one[1] + other[1]
        if kind_of(value) is not FieldKind.MOMENT:
            return [], []
        shown = self._shown(value)
        return ([] if is_missing(shown) else [shown]), []

    # ------------------------------------------------------------ days since the last order

    def _stepping(self, atom: Atom) -> Iterator[datetime]:
        if self._bought_at is None:
            return
        days = (self._at - self._bought_at) // _DAY
        wanted = self._crossing(atom, days) if isinstance(atom, Compare | Among) else days + 1
        moment = None if wanted is None else _after(self._bought_at, _DAY, wanted)
        if moment is not None:
            yield moment

    def _crossing(self, atom: Compare | Among, days: int) -> int | None:
        """At how many days the answer changes: exact against what stands still, else the next day."""
        match atom:
            case Compare(left=left, right=right) if _is_days(left) and not any(map(_moves, leaves(right))):
                other = self._shown(right)
                return _next_other(days, [other], lambda n: compare(atom.op, n, other))
            case Compare(left=left, right=right) if _is_days(right) and not any(map(_moves, leaves(left))):
                other = self._shown(left)
                return _next_other(days, [other], lambda n: compare(atom.op, other, n))
            case Among(value=value, items=items) if _is_days(value) and not any(
                _moves(leaf) for item in items for leaf in leaves(item)
            ):
                others = [self._shown(item) for item in items]
                return _next_other(days, others, lambda n: any(compare("==", n, other) for other in others))
        return days + 1

    def _shown(self, value: Value) -> Any:
        return value_of(value, self._scene)


def _is_days(value: Value) -> bool:
    """Days since the last order as they are; a default for them doesn't matter to somebody who bought."""
    if isinstance(value, Default):
        return _is_days(value.value) and not any(map(_moves, leaves(value.fallback)))
    return isinstance(value, Field) and value.name == DAYS_SINCE


def _next_other(days: int, others: Iterable[object], holds_at: Callable[[int], bool]) -> int | None:
    """The first number of days beyond `days` at which the answer is another; it changes only next to the others."""
    now = holds_at(days)
    wholes = [math.floor(number) for one in others if (number := _number(one)) is not None]
    near = {whole + step for whole in wholes for step in (0, 1, 2)}
    return next((n for n in sorted(near | {days + 1}) if n > days and holds_at(n) is not now), None)


def _number(value: object) -> float | None:
    if isinstance(value, Loose):
        return number_of(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _after(moment: datetime, span: timedelta, times: int = 1) -> datetime | None:
    """So much later; None beyond the calendar."""
    try:
        return moment + span * times
    except OverflowError:
        return None


def _first(moments: Iterable[datetime | None]) -> datetime | None:
    return min((one for one in moments if one is not None), default=None)

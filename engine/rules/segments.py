"""Do segments fit together? All rules of a workspace checked at once, with those they ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from engine.errors import BadRule
from engine.rules.checking import MAX_SIZE, UTC_ZONE, check
from engine.rules.tree import Condition, Either, Every, InSegment, Not, Rule, segments_in

MAX_LEVELS = 30  # and, or, not and segments inside each other: SQLite's parser holds 100 open things at once


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weight:
    """What a rule costs with the segments it asks for: conditions in all, and how deep they are nested."""

    size: int
    levels: int


class _Circle(BadRule):
    def __init__(self, names: tuple[str, ...]) -> None:
        first = names.index(min(names))
        self.names = names[first:] + names[:first]
        super().__init__(f"segments ask for each other in a circle: {' -> '.join((*self.names, self.names[0]))}")


def check_all(sources: Mapping[str, tuple[str, str]], zone: ZoneInfo = UTC_ZONE) -> dict[str, Rule]:
    """Every segment's rule by name, from name -> (source, where). They may ask for each other, but not in a circle.

    Raises one BadRule with every fault, a line each.
    """
    rules: dict[str, Rule] = {}
    faults: dict[str, None] = {}  # each once, in order
    for name, (source, where) in sources.items():
        try:
            rules[name] = check(source, where, sources, zone)
        except BadRule as fault:
            faults[str(fault)] = None
    known: dict[str, _Weight] = {}
    for name, rule in rules.items():
        try:
            known[name] = _weighed(rule, rules, known, (name,))
        except BadRule as fault:
            where = sources[fault.names[0] if isinstance(fault, _Circle) else name][1]
            faults[f"{where}: {fault}" if where else str(fault)] = None
    if faults:
        raise BadRule("\n".join(faults))
    return rules


def must_fit(rule: Rule, segments: Mapping[str, Rule]) -> None:
    """Raise BadRule when a rule is too long with those of its segments, or they ask for each other in a circle."""
    _weighed(rule, segments, {}, ())


def _weighed(rule: Rule, segments: Mapping[str, Rule], known: dict[str, _Weight], path: tuple[str, ...]) -> _Weight:
    size = rule.size
    for name in segments_in(rule.tree):
        if name in path:
            raise _Circle(path[path.index(name) :])
        if len(path) > MAX_LEVELS:
            raise BadRule(_too_deep())
        if name not in known and name in segments:
            known[name] = _weighed(segments[name], segments, known, (*path, name))
        size += known[name].size if name in known else 0
    levels = _levels(rule.tree, known)
    if levels > MAX_LEVELS:
        raise BadRule(_too_deep())
    if size > MAX_SIZE:
        raise BadRule(f"the rule has more than {MAX_SIZE} conditions with those of its segments; make them shorter")
    return _Weight(size=size, levels=levels)


def _levels(condition: Condition, known: Mapping[str, _Weight]) -> int:
    match condition:
        case Every(parts=parts) | Either(parts=parts):
            return 1 + max(_levels(part, known) for part in parts)
        case Not(part=part):
            return 1 + _levels(part, known)
        case InSegment(name=name):
            return 1 + (known[name].levels if name in known else 0)
    return 0


def _too_deep() -> str:
    return f"the rule is nested more than {MAX_LEVELS} deep with its segments; ask for fewer segments in segments"

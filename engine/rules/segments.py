"""Do segments fit together? All rules of a workspace checked at once, with those they ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from engine.errors import BadRule
from engine.rules.checking import MAX_SIZE, UTC_ZONE, check
from engine.rules.tree import Rule, segments_in

MAX_CHAIN = 20  # segments that ask for each other, one inside the other


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weight:
    """What a rule costs with the segments it asks for: conditions in all, and the longest chain of segments."""

    size: int
    chain: int


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
    size, chain = rule.size, 0
    for name in segments_in(rule.tree):
        if name in path:
            raise _Circle(path[path.index(name) :])
        if len(path) > MAX_CHAIN:
            raise BadRule(_too_long_a_chain())
        if name not in known and name in segments:
            known[name] = _weighed(segments[name], segments, known, (*path, name))
        inner = known.get(name, _Weight(size=0, chain=0))
        size, chain = size + inner.size, max(chain, inner.chain + 1)
    if chain > MAX_CHAIN:
        raise BadRule(_too_long_a_chain())
    if size > MAX_SIZE:
        raise BadRule(f"the rule has more than {MAX_SIZE} conditions with those of its segments; make them shorter")
    return _Weight(size=size, chain=chain)


def _too_long_a_chain() -> str:
    return f"more than {MAX_CHAIN} segments ask for each other in a row; join some of them"

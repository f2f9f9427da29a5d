"""Is this rule understood? From Jinja's nodes to the typed tree, names, kinds and sizes checked on the way."""

from collections.abc import Collection, Iterable
from zoneinfo import ZoneInfo

from jinja2 import nodes

from engine.errors import nearest
from engine.model import FieldKind
from engine.rules.reading import Place, parse
from engine.rules.terms import Terms, article
from engine.rules.tree import (
    Among,
    Compare,
    Condition,
    Either,
    Empty,
    Every,
    Field,
    InSegment,
    IsMissing,
    Literal,
    Not,
    Rule,
    Truth,
    Value,
    Within,
    compared_as,
    kind_of,
)

UTC_ZONE = ZoneInfo("UTC")
MAX_SIZE = 2000  # conditions and list items, with those of the segments asked for

MAX_ROW = 100  # conditions joined by one `and` or `or`: Jinja's compiler recurses along them in a template

_OPERATORS = {"eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">="}


def check(source: str, where: str = "", segments: Collection[str] = (), zone: ZoneInfo = UTC_ZONE) -> Rule:
    """The rule, understood. `segments` are the known names; `date('2026-01-01')` is midnight in `zone`.

    Raises BadRule with `where:column`, the fault and its cure.
    """
    expression, place = parse(source, where)
    reader = _Conditions(place, segments, zone)
    tree = reader.condition(expression)
    return Rule(
        source=source,
        tree=tree,
        names=frozenset(reader.terms.names),
        segments=frozenset(reader.asked),
        size=reader.size,
    )


class _Conditions:
    def __init__(self, place: Place, segments: Collection[str], zone: ZoneInfo) -> None:
        self.terms = Terms(place, zone)
        self.known = segments
        self.asked: set[str] = set()
        self.size = 0

    def condition(self, node: nodes.Expr) -> Condition:
        match node:
            case nodes.And():
                return Every(parts=_flat(Every, map(self.condition, self._row(node))))
            case nodes.Or():
                return Either(parts=_flat(Either, map(self.condition, self._row(node))))
            case nodes.Not(node=nodes.Test() as test):
                return self._counted(test, self._missing(test, negated=True))
            case nodes.Not():
                return Not(part=self.condition(node.node))
            case nodes.Compare():
                return self._chain(node)
            case nodes.Test():
                return self._counted(node, self._missing(node, negated=False))
            case nodes.Call(node=nodes.Name(name="segment")):
                return self._counted(node, self._segment(node))
        return self._counted(node, self._truth(node))

    def _row(self, node: nodes.And | nodes.Or) -> list[nodes.Expr]:
        parts = _spine(node)
        if len(parts) > MAX_ROW:
            cure = "write `in [...]`, or split it into segments"
            raise self.terms.fault(node, f"the rule joins more than {MAX_ROW} conditions in a row; {cure}")
        return parts

    def _counted(self, node: nodes.Expr, condition: Condition) -> Condition:
        self.size += 1 + (len(condition.items) if isinstance(condition, Among) else 0)
        if self.size > MAX_SIZE:
            raise self.terms.fault(node, f"the rule has more than {MAX_SIZE} conditions and list items; split it")
        return condition

    def _truth(self, node: nodes.Expr) -> Truth:
        value = self.terms.value(node)
        kind = kind_of(value)
        if kind is FieldKind.BOOLEAN:
            return Truth(value=value)
        cure = {
            FieldKind.NUMBER: "compare it, as in ... > 0",
            FieldKind.MOMENT: "compare it, as in ... > ago('90 days'), or ask `is not missing`",
            FieldKind.LIST: "ask `'vip' in ...`, or `... != []`",
        }.get(kind, "compare it, as in ... == 'a', or ask `is not missing`")
        raise self.terms.fault(node, f"this is {article(kind)}, and a condition is wanted; {cure}")

    def _segment(self, node: nodes.Call) -> InSegment:
        name = self.terms.argument(node, "segment", "name")
        if name not in self.known:
            known = f"; known: {', '.join(sorted(self.known))}" if self.known else "; no segments are known here"
            raise self.terms.fault(node, f"unknown segment {name!r}{nearest(name, self.known) or known}")
        self.asked.add(name)
        return InSegment(name=name)

    def _missing(self, node: nodes.Test, *, negated: bool) -> IsMissing:
        if node.name != "missing":
            hint = nearest(node.name, ["missing"]) or "; the only tests in rules are `is missing` and `is not missing`"
            raise self.terms.fault(node, f"unknown test {node.name!r}{hint}")
        if node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise self.terms.fault(node, "nothing may follow `is missing` but and, or or a bracket")
        value = self.terms.value(node.node)
        if kind_of(value) is FieldKind.LIST:
            raise self.terms.fault(node, "a list is never missing: without items it is empty; write `... == []`")
        return IsMissing(value=value, negated=negated)

    def _chain(self, node: nodes.Compare) -> Condition:
        """`18 <= age < 65` means `18 <= age and age < 65`."""
        parts: list[Condition] = []
        left = node.expr
        for operand in node.ops:
            parts.append(self._counted(node, self._comparison(operand.op, left, operand.expr)))
            left = operand.expr
        return parts[0] if len(parts) == 1 else Every(parts=tuple(parts))

    def _comparison(self, word: str, left: nodes.Expr, right: nodes.Expr) -> Condition:
        if word in ("in", "notin"):
            return self._membership(left, right, negated=word == "notin")
        op = _OPERATORS[word]
        if op in ("==", "!=") and isinstance(right, nodes.List) and not right.items:
            return self._empty(left, negated=op == "!=")
        one, other = self.terms.value(left), self.terms.value(right)
        self._must_compare(left, one, right, other, op)
        return Compare(op=op, left=one, right=other)

    def _empty(self, node: nodes.Expr, *, negated: bool) -> Empty:
        value = self.terms.value(node)
        if not isinstance(value, Field) or value.kind is not FieldKind.LIST:
            raise self.terms.fault(node, f"only a list can be compared with [], and this is {article(kind_of(value))}")
        return Empty(items=value, negated=negated)

    def _membership(self, left: nodes.Expr, right: nodes.Expr, *, negated: bool) -> Condition:
        value = self.terms.value(left)
        if isinstance(right, nodes.List):
            items = [self.terms.value(item) for item in right.items]
            for node, item in zip(right.items, items, strict=True):
                self._must_compare(left, value, node, item, "==")
            return Among(value=value, items=tuple(items), negated=negated)
        container = self.terms.value(right)
        if kind_of(container) not in (FieldKind.LIST, FieldKind.TEXT, FieldKind.LOOSE):
            kind = article(kind_of(container))
            raise self.terms.fault(
                right, f"`in` looks in a list or a text, and this is {kind}; write a list as ['a', 'b']"
            )
        if kind_of(value) not in (FieldKind.TEXT, FieldKind.LOOSE):
            raise self.terms.fault(
                left, f"`in` looks for a text there, and this is {article(kind_of(value))}{_quoted(value)}"
            )
        self._refuse_blank(left, value)
        return Within(value=value, container=container, negated=negated)

    def _must_compare(self, left: nodes.Expr, one: Value, right: nodes.Expr, other: Value, op: str) -> None:
        kinds = kind_of(one), kind_of(other)
        if compared_as(*kinds, op) is None:
            raise self.terms.fault(left, _mismatch(op, one, other))
        self._refuse_blank(left, one)
        self._refuse_blank(right, other)

    def _refuse_blank(self, node: nodes.Expr, value: Value) -> None:
        # `given_name != ''` would hold for everybody: an empty field is Missing, and Missing equals no text.
        if isinstance(value, Literal) and value.value == "":
            raise self.terms.fault(node, "an empty field is missing; write `is missing` instead of ''")


def _spine(node: nodes.And | nodes.Or) -> list[nodes.Expr]:
    """The parts of `a and b and c`; long chains lean left, deeper than Python's stack."""
    parts: list[nodes.Expr] = []
    rest: nodes.Expr = node
    while isinstance(rest, nodes.And | nodes.Or) and type(rest) is type(node):
        parts.append(rest.right)
        rest = rest.left
    return [rest, *reversed(parts)]


def _flat(join: type[Every] | type[Either], parts: Iterable[Condition]) -> tuple[Condition, ...]:
    """`a and (b and c)` is `a and b and c`."""
    flat: list[Condition] = []
    for part in parts:
        flat += part.parts if isinstance(part, join) else (part,)
    return tuple(flat)


def _mismatch(op: str, one: Value, other: Value) -> str:
    kinds = {kind_of(one), kind_of(other)}
    if FieldKind.LIST in kinds:
        return f"a list can't be compared by {op}; ask `'vip' in ...`, or `... == []`"
    if kinds == {FieldKind.BOOLEAN}:
        return f"true and false have no order, so {op} can't compare them; use == or !="
    if FieldKind.MOMENT in kinds:
        cure = "; write the other side as date('2026-01-01') or ago('90 days')"
    elif FieldKind.BOOLEAN in kinds:
        cure = "; write true or false without quotes" if FieldKind.TEXT in kinds else "; write 'true' in quotes"
        cure = cure if FieldKind.NUMBER not in kinds else "; write true or false"
    else:
        cure = _quoted(one) or _quoted(other)
    return f"{article(kind_of(one))} can't be compared with {article(kind_of(other))}{cure}"


def _quoted(value: Value) -> str:
    """How a number is written as a text, and a text as a number."""
    if not isinstance(value, Literal):
        return ""
    return f"; write {str(value.value)!r}" if value.kind is FieldKind.NUMBER else ""

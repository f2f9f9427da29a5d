"""What does each value in a rule stand for? Fields, literals, moments and arithmetic, with their kinds."""

from datetime import UTC
from zoneinfo import ZoneInfo

from jinja2 import nodes

from engine.clock import parse_duration, parse_moment
from engine.errors import BadRule, Usage, nearest
from engine.model import FIELDS, TEMPLATE_EXTRAS, FieldKind
from engine.rules.ranges import MAX_REMAINDERS, reach, remainders
from engine.rules.reading import Place
from engine.rules.tree import (
    ATTRIBUTES,
    Ago,
    Arithmetic,
    Date,
    Default,
    Field,
    Literal,
    Negative,
    Value,
    field_kind,
    kind_of,
)
from engine.rules.values import EXACT, LARGEST, SMALLEST

MAX_DEPTH = 40  # steps inside each other: SQL compilers recurse
BRACKETED = 4  # what a step costs of it that SQL writes in brackets: SQLite's parser holds 100 open things at once
LONGEST_DAYS = 200 * 366  # of `ago`: far beyond any customer, safely within the calendar
FUNCTIONS = ("ago", "date", "segment")

_OPERATORS: dict[type[nodes.Expr], str] = {
    nodes.Add: "+",
    nodes.Sub: "-",
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.Mod: "%",
}
_REFUSED: dict[type[nodes.Expr], str] = {
    nodes.FloorDiv: "// is not part of the rule language; use / or %",
    nodes.Pow: "** is not part of the rule language; use *",
    nodes.Concat: "~ joins texts in templates only; compare each text alone",
    nodes.Pos: "a leading + is not part of the rule language; leave it out",
    nodes.CondExpr: "`a if b else c` is not part of the rule language; write (b and a) or (not b and c)",
    nodes.List: "a list may only stand to the right of in, not in, == or !=",
    nodes.Tuple: "round brackets hold one value; write a list as ['a', 'b']",
    nodes.Dict: "{...} is not part of the rule language",
}
_CONDITIONS = (nodes.Compare, nodes.And, nodes.Or, nodes.Not, nodes.Test)


def position(node: nodes.Node) -> int:
    """Where an expression begins in the rule's text."""
    while True:
        match node:
            case nodes.Compare():
                node = node.expr
            case nodes.BinExpr():
                node = node.left
            case nodes.Getattr() | nodes.Getitem() | nodes.Call():
                node = node.node
            case nodes.Test():
                node = node.node
            case nodes.Filter(node=nodes.Expr() as inner):
                node = inner
            case nodes.CondExpr(expr1=inner):
                node = inner
            case nodes.Concat(nodes=[first, *_]) | nodes.Tuple(items=[first, *_]):
                node = first
            case _:
                return node.lineno


def article(kind: FieldKind) -> str:
    """`a number`, `a moment`, `loose text` ...: a kind in words, for messages."""
    return {FieldKind.BOOLEAN: "true or false", FieldKind.LOOSE: "a text or number"}.get(kind, f"a {kind.value}")


class Terms:
    """Reads the values of one rule, and keeps the names it meets."""

    def __init__(self, place: Place, zone: ZoneInfo) -> None:
        self.place = place
        self.names: set[str] = set()
        self._zone = zone

    def fault(self, node: nodes.Node, message: str) -> BadRule:
        """The error that points at the node."""
        return self.place.fault(position(node), message)

    def value(self, node: nodes.Expr, depth: int = 0) -> Value:
        """The value that an expression stands for."""
        if depth > MAX_DEPTH:
            raise self.fault(node, "the computation has too many steps inside each other; make it shorter")
        match node:
            case nodes.Const():
                return self._literal(node)
            case nodes.Name():
                return self._field(node, node.name)
            case nodes.Getattr() | nodes.Getitem():
                return self._attribute(node)
            case nodes.Neg():
                return self._negative(node, depth)
            case nodes.Call():
                return self._moment(node)
            case nodes.Filter():
                return self._default(node, depth)
            case nodes.Add() | nodes.Sub() | nodes.Mul() | nodes.Div() | nodes.Mod():
                return self._arithmetic(node, depth)
        if isinstance(node, _CONDITIONS):
            raise self.fault(
                node, "a condition is no value: it can't be compared or computed with; join it by and, or, not"
            )
        raise self.fault(node, _REFUSED.get(type(node), "this is not part of the rule language"))

    def argument(self, node: nodes.Call, function: str, example: str) -> str:
        """The one text in the brackets of a function."""
        match node:
            case nodes.Call(args=[nodes.Const(value=str() as text)], kwargs=[], dyn_args=None, dyn_kwargs=None):
                return text
        raise self.fault(node, f"{function} takes one text in quotes, such as {function}({example!r})")

    def _literal(self, node: nodes.Const) -> Literal:
        value = node.value
        match value:
            case bool():
                return Literal(value=value, kind=FieldKind.BOOLEAN)
            case str():
                if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
                    raise self.fault(node, "the text holds a character that no database can store")
                return Literal(value=value, kind=FieldKind.TEXT)
            case int() | float():
                too_large = abs(value) > (EXACT if isinstance(value, int) else LARGEST)
                if too_large or 0 < abs(value) < SMALLEST:
                    raise self.fault(node, "the number is too large or too small to be exact")
                return Literal(value=value, kind=FieldKind.NUMBER)
        raise self.fault(node, "none is not part of the rule language; write `is missing` or `is not missing`")

    def _field(self, node: nodes.Expr, name: str) -> Field:
        kind = field_kind(name)
        if kind is None:
            raise self.fault(node, _unknown(name))
        self.names.add(name)
        return Field(name=name, kind=kind)

    def _attribute(self, node: nodes.Getattr | nodes.Getitem) -> Field:
        match node:
            case nodes.Getattr(node=nodes.Name(name="attributes"), attr=name):
                if name.startswith("_"):  # the templates' sandbox refuses such names behind a point
                    raise self.fault(node, f"write attributes[{name!r}] for a name that begins with _")
                return self._field(node, ATTRIBUTES + name)
            case nodes.Getitem(node=nodes.Name(name="attributes"), arg=nodes.Const(value=str() as name) as key) if name:
                self._literal(key)
                return self._field(node, ATTRIBUTES + name)
            case nodes.Getitem(node=nodes.Name(name="attributes")):
                raise self.fault(node, "attributes takes a name in quotes, such as attributes['shoe size']")
            case nodes.Getattr(node=nodes.Name(name=name)) | nodes.Getitem(node=nodes.Name(name=name)):
                if name in FIELDS:
                    raise self.fault(
                        node, f"{name} has no parts; only attributes has names behind it, as in attributes.colour"
                    )
                raise self.fault(node, _unknown(name))
        raise self.fault(node, "only attributes has names behind it, as in attributes.colour")

    def _negative(self, node: nodes.Neg, depth: int) -> Value:
        operand = self.value(node.node, depth + BRACKETED)
        self._must_be_number(node.node, operand, "-")
        if isinstance(operand, Literal) and isinstance(operand.value, int | float):
            return Literal(value=-operand.value, kind=FieldKind.NUMBER)
        return Negative(operand=operand)

    def _arithmetic(self, node: nodes.BinExpr, depth: int) -> Arithmetic:
        op = _OPERATORS[type(node)]
        left, right = self.value(node.left, depth + 1), self.value(node.right, depth + BRACKETED)
        self._must_be_number(node.left, left, op)
        self._must_be_number(node.right, right, op)
        value = Arithmetic(op=op, left=left, right=right)
        if remainders(value) > MAX_REMAINDERS:
            raise self.fault(node, "a % can't stand inside another %; make it shorter")
        if not reach(value).is_safe:
            raise self.fault(node, "this computation could leave the range of numbers; use fewer * and /")
        return value

    def _must_be_number(self, node: nodes.Expr, value: Value, op: str) -> None:
        kind = kind_of(value)
        if kind in (FieldKind.NUMBER, FieldKind.LOOSE):
            return
        hint = "; compare moments with ago('90 days') or date('2026-01-01')" if kind is FieldKind.MOMENT else ""
        raise self.fault(node, f"{op} needs numbers, and this is {article(kind)}{hint}")

    def _moment(self, node: nodes.Call) -> Value:
        match node.node:
            case nodes.Name(name="ago"):
                return self._ago(node)
            case nodes.Name(name="date"):
                return self._date(node)
            case nodes.Name(name="segment"):
                raise self.fault(node, "segment(...) is a condition, not a value; join it by and, or, not")
            case nodes.Name(name=name):
                raise self.fault(
                    node, f"unknown function {name!r}{nearest(name, FUNCTIONS)}; known: {', '.join(FUNCTIONS)}"
                )
        raise self.fault(node, "only ago, date and segment can be called")

    def _ago(self, node: nodes.Call) -> Ago:
        text = self.argument(node, "ago", "90 days")
        try:
            length = parse_duration(text)
        except (ValueError, OverflowError) as fault:
            raise self.fault(node, str(fault) if isinstance(fault, ValueError) else f"{text!r} is too long") from None
        if length.days > LONGEST_DAYS:
            raise self.fault(node, f"{text!r} is too long; ago reaches back 200 years at most")
        return Ago(text=text, length=length)

    def _date(self, node: nodes.Call) -> Date:
        text = self.argument(node, "date", "2026-01-01")
        try:
            return Date(text=text, moment=parse_moment(text, self._zone).astimezone(UTC))
        except Usage as fault:
            raise self.fault(node, str(fault)) from None
        except OverflowError:
            raise self.fault(node, f"{text!r} lies outside the calendar") from None

    def _default(self, node: nodes.Filter, depth: int) -> Default:
        if node.name != "default":
            hint = nearest(node.name, ["default"]) or "; the only filter in rules is default(...)"
            raise self.fault(node, f"unknown filter {node.name!r}{hint}")
        match node:
            case nodes.Filter(node=nodes.Expr() as inner, args=[fallback], kwargs=[], dyn_args=None, dyn_kwargs=None):
                value, other = self.value(inner, depth + BRACKETED), self.value(fallback, depth + BRACKETED)
            case _:
                raise self.fault(node, "default takes one value, such as default(0) or default('unknown')")
        kind, given = kind_of(value), kind_of(other)
        if kind is FieldKind.LIST:
            raise self.fault(node, "a list is never missing: without items it is empty, so it needs no default")
        fits_loose = kind is FieldKind.LOOSE and isinstance(other, Literal) and given is not FieldKind.BOOLEAN
        if kind is not given and not fits_loose:
            raise self.fault(fallback, f"the default is {article(given)}, but the value is {article(kind)}")
        return Default(value=value, fallback=other)


def _unknown(name: str) -> str:
    if name in TEMPLATE_EXTRAS:
        return f"{name} is known to templates only; rules see a contact's own fields"
    if name == "attributes":
        return "attributes needs a name, such as attributes.colour"
    if name in FUNCTIONS:
        return f"{name} is a function; write {name}('...')"
    return f"unknown name {name!r}{nearest(name, [*FIELDS, 'attributes'])}"

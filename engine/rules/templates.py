"""How does a template obey the rule language? By an environment in which `{% if RULE %}` and a segment never disagree.

Jinja writes comparisons out as Python's own, which know neither Missing nor loose text, and Python's `in` would find a
Missing in a list by its identity. So comparisons are compiled to calls, as the sandbox already does for arithmetic.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, wraps
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import StrictUndefined, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import UndefinedError
from jinja2.filters import FILTERS
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import SandboxedEnvironment

from engine.clock import parse_duration, parse_moment
from engine.model import FieldKind
from engine.rules.checking import UTC_ZONE
from engine.rules.evaluating import NO_SEGMENTS, Scene, holds, segment_named
from engine.rules.tree import ATTRIBUTES, Rule, field_kind
from engine.rules.values import Missing, arithmetic, compare, contains, defaulted, is_missing, negative, seen

_OPERATORS = {"eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">=", "in": "in", "notin": "not in"}

_NUMBERS = frozenset({int, float})
_CARDS = {dict}
_PLAIN = frozenset({str, int, float, bool})


def prepare(
    environment: SandboxedEnvironment,
    at: datetime,
    zone: ZoneInfo = UTC_ZONE,
    segments: Mapping[str, Rule] = NO_SEGMENTS,
) -> None:
    """Give a sandboxed environment the rule language's semantics, as of `at`.

    Call it before the first template is compiled and after the last filter is added; call it again for another moment
    (that is cheap, and templates compiled before follow). Unknown names stay errors. Values come in by `seen`.
    `segment('x')` answers from the context's `segments` (name -> true or false, frozen in a plan) where it holds the
    name, else evaluates the rule in `segments` on the context's fields.
    """
    environment.undefined = StrictUndefined
    environment.code_generator_class = RuleGenerator
    environment.binop_table.update(_binary())
    environment.unop_table["-"] = negative
    # Instances may differ from the class here; the sandbox reads them by the instance.
    environment.intercepted_binops = frozenset({"+", "-", "*", "/", "%", "//", "**"})
    environment.intercepted_unops = frozenset({"-"})
    environment.tests["missing"] = _test_missing
    for name, function in environment.filters.items():
        if not hasattr(function, "passes_missing_on"):
            environment.filters[name] = _passing_missing_on(function)
    environment.filters["default"] = environment.filters["d"] = _default
    environment.globals |= {
        "ago": lambda text: at - parse_duration(text),
        "date": lambda text: parse_moment(text, zone).astimezone(UTC),
        "segment": _segment(at, segments),
    }


def seen_all(values: Mapping[str, Any]) -> dict[str, Any]:
    """A render context as templates must see it: every value by `seen`, under its own name."""
    return {
        name: value
        if (value if type(value) is str else type(value) in _NUMBERS) and _as_written(name)
        else _seen(value, name)
        for name, value in values.items()
    }


@lru_cache(maxsize=1024)
def _as_written(name: str) -> bool:
    """Is a number or a text of this field, unless it is empty, seen as it is?"""
    return field_kind(name) not in (FieldKind.LIST, FieldKind.LOOSE, FieldKind.MOMENT)


def _seen(value: Any, name: str) -> Any:
    """As `seen`; cards, the bulk of a context, are mostly seen as they are."""
    if field_kind(name) is not None or name.startswith("attributes"):
        return seen(value, name)
    if type(value) is list:
        if set(map(type, value)) == _CARDS and _PLAIN.issuperset(map(type, _values_in(value))):
            return tuple(value)
        return tuple([one if _is_plain(one) else seen(one, name) for one in value])
    return value if _is_plain(value) else seen(value, name)


def _values_in(cards: list[dict[str, Any]]) -> Iterable[Any]:
    return chain.from_iterable(map(dict.values, cards))


def _is_plain(card: Any) -> bool:
    """A card that lacks nothing and holds nothing that is read otherwise than written."""
    return type(card) is dict and _PLAIN.issuperset(map(type, card.values()))


class RuleGenerator(CodeGenerator):
    """Jinja's compiler, but for comparisons: `environment.call_binop(context, '==', left, right)`."""

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802 - the name is Jinja's
        """`a < b < c` becomes `a < b and b < c`; expressions in templates have no effects, so b may be asked twice."""
        self.write("(")
        left = node.expr
        for number, operand in enumerate(node.ops):
            self.write(" and " if number else "")
            self.write(f"environment.call_binop(context, {_OPERATORS[operand.op]!r}, ")
            self.visit(left, frame)
            self.write(", ")
            self.visit(operand.expr, frame)
            self.write(")")
            left = operand.expr
        self.write(")")


def _binary() -> dict[str, Callable[[Any, Any], Any]]:
    table: dict[str, Callable[[Any, Any], Any]] = {
        "in": lambda left, right: contains(right, left),
        "not in": lambda left, right: not contains(right, left),
    }
    for op in ("==", "!=", "<", "<=", ">", ">="):
        table[op] = _bound(compare, op)
    for op in ("+", "-", "*", "/", "%", "//", "**"):
        table[op] = _bound(arithmetic, op)
    return table


def _bound(function: Callable[[str, Any, Any], Any], op: str) -> Callable[[Any, Any], Any]:
    return lambda left, right: function(op, left, right)


def _test_missing(value: Any) -> bool:
    if isinstance(value, Undefined) and not isinstance(value, Missing):
        value._fail_with_undefined_error()  # an unknown name isn't missing, it is a mistake
    return is_missing(value)


def _default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    if isinstance(value, Missing) or value is None:
        return defaulted(value, default_value)
    return FILTERS["default"](value, default_value, boolean)


def _passing_missing_on(function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, but a Missing goes through it as it is."""
    at = 1 if hasattr(function, "jinja_pass_arg") else 0  # Jinja hands its own argument in first

    @wraps(function)
    def filtered(*arguments: Any, **keywords: Any) -> Any:
        value = arguments[at]
        return value if isinstance(value, Missing) else function(*arguments, **keywords)

    filtered.passes_missing_on = True  # type: ignore[attr-defined]
    return filtered


def _segment(at: datetime, segments: Mapping[str, Rule]) -> Callable[[Context, str], bool]:
    @pass_context
    def segment(context: Context, name: str) -> bool:
        frozen = context.parent.get("segments", {})
        if name in frozen:
            return frozen[name] is True
        scene = Scene(look=lambda field: _looked_up(context, field), at=at, segments=segments)
        return holds(segment_named(name, segments).tree, scene)

    return segment


def _looked_up(context: Context, field: str) -> Any:
    """A field from what the template was rendered with, not from what it has `set` since."""
    name = "attributes" if field.startswith(ATTRIBUTES) else field
    if name not in context.parent:
        raise UndefinedError(f"{name!r} is undefined, and a segment asks for it")
    found = context.parent[name]
    return found[field.removeprefix(ATTRIBUTES)] if name != field else found

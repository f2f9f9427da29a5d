"""How does a template obey the rule language? By an environment in which `{% if RULE %}` and a segment never disagree.

Jinja writes comparisons out as Python's own, which know neither Missing nor loose text, and Python's `in` would find a
Missing in a list by its identity. So comparisons are compiled to calls, as the sandbox already does for arithmetic.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, wraps
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple
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
from engine.rules.values import (
    Attributes,
    Missing,
    arithmetic,
    compare,
    contains,
    defaulted,
    is_missing,
    negative,
    seen,
)

_OPERATORS = {"eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">=", "in": "in", "notin": "not in"}

_CARDS = frozenset({dict})
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
    made = dict(values)
    shape = _shape(tuple(made), tuple(map(type, made.values())))
    if not all(shape.plain_ones(made)):  # an empty text is Missing; 0 is just looked at once more
        made |= {name: seen(made[name], name) for name in shape.plain}
    if shape.lists and _are_plain([card for name in shape.lists for card in made[name]]):
        for name in shape.lists:
            made[name] = tuple(made[name])
    else:
        made |= {name: _seen(made[name], name) for name in shape.lists}
    for name in shape.others:
        made[name] = _seen(made[name], name)
    return made


class _Shape(NamedTuple):
    """Which values of a context are seen as they are, unless they are empty; contexts of a plan are alike."""

    plain: tuple[str, ...]
    plain_ones: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    lists: tuple[str, ...]  # mostly of cards
    others: tuple[str, ...]


@lru_cache(maxsize=256)
def _shape(names: tuple[str, ...], kinds: tuple[type, ...]) -> _Shape:
    read_otherwise = (FieldKind.LIST, FieldKind.LOOSE, FieldKind.MOMENT)
    plain = tuple(
        name
        for name, kind in zip(names, kinds, strict=True)
        if kind in (str, int, float) and field_kind(name) not in read_otherwise
    )
    lists = tuple(
        name
        for name, kind in zip(names, kinds, strict=True)
        if kind is list and field_kind(name) is None and not name.startswith("attributes")
    )
    ones: Callable[[Mapping[str, Any]], Any] = itemgetter(*plain) if plain else _none_of
    return _Shape(
        plain=plain,
        plain_ones=ones if len(plain) != 1 else lambda values: (values[plain[0]],),
        lists=lists,
        others=tuple(name for name in names if name not in plain and name not in lists),
    )


def _none_of(_values: Mapping[str, Any]) -> tuple[Any, ...]:
    return ()


def _seen(value: Any, name: str) -> Any:
    """As `seen`; cards, the bulk of a context, are mostly seen as they are."""
    if type(value) is dict and name == "attributes":
        return Attributes(value)
    if field_kind(name) is not None or name.startswith("attributes"):
        return seen(value, name)
    if type(value) is list:
        return tuple([one if _are_plain([one]) else seen(one, name) for one in value])
    return value if _are_plain([value]) else seen(value, name)


def _are_plain(cards: list[Any]) -> bool:
    """Cards, the bulk of a context, that hold nothing that is read otherwise than written."""
    return _CARDS.issuperset(map(type, cards)) and _PLAIN.issuperset(
        map(type, chain.from_iterable(map(dict.values, cards)))
    )


class RuleGenerator(CodeGenerator):
    """Jinja's compiler, but for comparisons: `environment.call_binop(context, '==', left, right)`."""

    def operation(self, operator: str) -> str:
        """The code of an operator's call, up to its operands."""
        return f"environment.call_binop(context, {operator!r}, "

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802 - the name is Jinja's
        """`a < b < c` becomes `a < b and b < c`; expressions in templates have no effects, so b may be asked twice."""
        self.write("(")
        left = node.expr
        for number, operand in enumerate(node.ops):
            self.write(" and " if number else "")
            self.write(self.operation(_OPERATORS[operand.op]))
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

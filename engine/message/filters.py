"""What may an author do to a value? The filters of templates: Jinja's harmless ones, and the names that marketers know.

Everything that could fill the memory is bounded or left out. A Missing value passes through all of them but `default`
(`rules.prepare` sees to that).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from jinja2 import Environment, pass_context
from jinja2 import filters as jinja_filters
from jinja2 import pass_environment as with_environment
from jinja2.runtime import Context

from engine.errors import RenderFailed
from engine.locale import day, money, number
from engine.message.guards import LONGEST_TEXT
from engine.rules import is_missing, number_of

_MOST_ITEMS = 10_000


def as_number(value: Any) -> float:
    """The number that a value is or reads as; raises RenderFailed."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    found = number_of(value) if isinstance(value, str) else None
    if found is None:
        raise RenderFailed(f"{value!r:.60} is not a number")
    return int(found) if found.is_integer() else found


def bounded(text: str, length: int) -> str:
    """The text, if one of this length may be built."""
    if length > LONGEST_TEXT:
        raise RenderFailed(f"a text grew past {LONGEST_TEXT} characters")
    return text


@pass_context
def _money(context: Context, value: Any) -> str:
    frame = context.parent["_frame"]
    return money(as_number(value), frame.currency, frame.language)


@pass_context
def _number(context: Context, value: Any) -> str:
    return number(as_number(value), context.parent["_frame"].language)


@pass_context
def _date(context: Context, value: Any) -> str:
    frame = context.parent["_frame"]
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise RenderFailed(f"{value!r:.60} is not a date") from None
    zone = ZoneInfo(frame.timezone)
    return day(moment.astimezone(zone) if moment.tzinfo else moment, frame.language)


def _truncatewords(value: Any, words: int = 15, end: str = "…") -> str:
    parts = str(value).split()
    return str(value) if len(parts) <= words else " ".join(parts[:words]) + end


def _append(value: Any, text: Any) -> str:
    return bounded(str(value), len(str(value)) + len(str(text))) + str(text)


def _replace(value: Any, old: str, new: str = "") -> str:
    text, new = str(value), str(new)
    if not old:
        raise RenderFailed("replace needs a text to look for")
    return bounded(text, len(text) + text.count(str(old)) * len(new)).replace(str(old), new)


def _join(value: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    parts = [str(item[attribute] if attribute else item) for item in value if not is_missing(item)]
    bounded("", sum(map(len, parts)) + len(parts) * len(separator))
    return separator.join(parts)


def _split(value: Any, separator: str = " ") -> list[str]:
    return str(value).split(separator or None)


def _take(value: Iterable[Any], count: int) -> list[Any]:
    return list(value)[: max(0, count)]


def _batch(value: Iterable[Any], size: int) -> list[list[Any]]:
    items, size = list(value), max(1, size)
    return [items[start : start + size] for start in range(0, len(items), size)]


def _compact(value: Iterable[Any]) -> list[Any]:
    return [item for item in value if not is_missing(item) and item != ""]


@with_environment
def _where(environment: Environment, value: Iterable[Any], attribute: str, wanted: Any) -> list[Any]:
    equal = environment.binop_table["=="]  # type: ignore[attr-defined]  # the sandbox's, with the rules' semantics
    return [item for item in value if equal(environment.getitem(item, attribute), wanted)]


def _size(value: Any) -> int:
    return len(value) if isinstance(value, Sequence | Mapping) else len(list(value))


def _arithmetic(operation: Callable[[float, float], float]) -> Callable[[Any, Any], float]:
    return lambda value, other: operation(as_number(value), as_number(other))


def _pluralize(value: Any, one: str, many: str) -> str:
    return one if as_number(value) == 1 else many


def _divided(left: float, right: float) -> float:
    if right == 0:
        raise RenderFailed("divided by zero")
    return left / right


def _range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > _MOST_ITEMS:
        raise RenderFailed(f"range() gives at most {_MOST_ITEMS} numbers")
    return found


counted_range = _range

_TEXT: Mapping[str, Callable[..., Any]] = {
    "capitalize": jinja_filters.do_capitalize,
    "title": jinja_filters.do_title,
    "upper": jinja_filters.do_upper,
    "upcase": jinja_filters.do_upper,
    "lower": jinja_filters.do_lower,
    "downcase": jinja_filters.do_lower,
    "trim": jinja_filters.do_trim,
    "strip": jinja_filters.do_trim,
    "truncate": jinja_filters.do_truncate,
    "truncatewords": _truncatewords,
    "append": _append,
    "prepend": lambda value, text: _append(text, value),
    "replace": _replace,
    "remove": lambda value, text: _replace(value, text, ""),
    "url_encode": lambda value: quote(str(value), safe="", errors="replace"),
}
_LISTS: Mapping[str, Callable[..., Any]] = {
    "first": jinja_filters.do_first,
    "last": jinja_filters.do_last,
    "size": _size,
    "length": _size,
    "count": _size,
    "join": _join,
    "split": _split,
    "sort": jinja_filters.do_sort,
    "reverse": jinja_filters.do_reverse,
    "unique": jinja_filters.do_unique,
    "uniq": jinja_filters.do_unique,
    "compact": _compact,
    "map": jinja_filters.do_map,
    "where": _where,
    "batch": _batch,
    "take": _take,
    "sum": jinja_filters.do_sum,
    "list": jinja_filters.do_list,
}
_NUMBERS: Mapping[str, Callable[..., Any]] = {
    "number": _number,
    "money": _money,
    "currency": _money,
    "round": lambda value, digits=0: round(as_number(value), min(digits, 15)) if digits else round(as_number(value)),
    "ceil": lambda value: math.ceil(as_number(value)),
    "floor": lambda value: math.floor(as_number(value)),
    "int": lambda value: int(as_number(value)),
    "abs": lambda value: abs(as_number(value)),
    "plus": _arithmetic(lambda left, right: left + right),
    "minus": _arithmetic(lambda left, right: left - right),
    "times": _arithmetic(lambda left, right: left * right),
    "divided_by": _arithmetic(_divided),
    "at_least": _arithmetic(max),
    "at_most": _arithmetic(min),
    "date": _date,
    "format_date": _date,
    "pluralize": _pluralize,
}

# `default` and `d` come from the rules.
FILTERS: Mapping[str, Callable[..., Any]] = {
    **_TEXT,
    **_LISTS,
    **_NUMBERS,
    "default": jinja_filters.do_default,
    "d": jinja_filters.do_default,
}

TESTS = frozenset("missing defined undefined none even odd divisibleby".split())

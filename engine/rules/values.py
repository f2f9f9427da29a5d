"""What do a rule's operators do with one contact's values? Missing, loose text and numbers, in Python and in templates.

SQL computes in doubles. Here whole numbers stay whole as long as doubles hold them exactly, so that a template prints 4
and not 4.0, and both agree.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn, Protocol

from jinja2.exceptions import UndefinedError
from jinja2.runtime import Undefined

from engine.model import FieldKind, Profile
from engine.rules.tree import ATTRIBUTES, field_kind

SMALLEST, LARGEST = 1e-20, 1e20  # the size of every number that rules read; 0 too
EXACT = 2**53  # doubles hold every whole number up to here

_PLAIN = (str, int, float, datetime)  # what most fields hold: asked first, as asking for a Mapping takes long
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)


class MissingPrinted(UndefinedError):
    """A template prints a value that this contact lacks; the message names it and the cure."""


class Missing(Undefined):
    """A value that is known to be empty, with the name it was asked by. Jinja's own `default` cures it."""

    __slots__ = ()

    def __init__(self, name: str = "") -> None:
        super().__init__(name=name, exc=MissingPrinted)

    @property
    def name(self) -> str:
        """The field, as the template wrote it; empty for the result of a computation."""
        return self._undefined_name or ""

    @property
    def _undefined_message(self) -> str:
        what = self.name or "a computed value"
        return f"{what} is missing for this contact; write {{{{ {self.name or '...'} | default('...') }}}}"

    def __getattr__(self, name: str) -> "Missing":
        if name.startswith("__"):  # Python's own protocols must see that there is nothing
            raise AttributeError(name)
        return Missing(f"{self.name}.{name}" if self.name else "")

    def __getitem__(self, key: object) -> "Missing":  # type: ignore[override]
        return Missing(f"{self.name}[{key!r}]" if self.name else "")

    def __eq__(self, other: object) -> bool:
        return is_missing(other)

    def __ne__(self, other: object) -> bool:
        return not is_missing(other)

    def __hash__(self) -> int:
        return hash(None)

    def __bool__(self) -> bool:
        return False

    def __contains__(self, item: object) -> bool:
        return False

    def __repr__(self) -> str:
        return f"Missing({self.name!r})"

    def _never(self, _other: object) -> bool:
        return False

    __lt__ = __le__ = __gt__ = __ge__ = _never  # type: ignore[assignment]
    __str__ = __iter__ = __len__ = Undefined._fail_with_undefined_error


MISSING = Missing()


class Loose(str):
    """Text that also compares as a number when it reads as one: `attributes.X` and company_size."""

    __slots__ = ()


class Attributes:
    """`attributes.X` in a template: a column this contact lacks is Missing, not unknown."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Loose | Missing:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Loose | Missing:
        found = seen(self._values.get(name), ATTRIBUTES + name)
        assert isinstance(found, Loose | Missing)
        return found


class _Operator(Protocol):
    def __call__(self, left: Any, right: Any, /) -> Any: ...


_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NATIVE: Mapping[str, _Operator] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "//": operator.floordiv,
    "**": operator.pow,
}


def number_of(text: str) -> float | None:
    """The number that a text reads as, or None: a point for decimals, no units, sizes between 1e-20 and 1e20.

    The one reader: import fills `contact_attribute.number` and `contact.company_size_number` with it.
    """
    bare = text.strip()
    if not _NUMBER.fullmatch(bare):
        return None
    number = float(bare)
    return number if number == 0 or SMALLEST <= abs(number) <= LARGEST else None


def is_missing(value: object) -> bool:
    """Is this a value that the contact lacks?"""
    return value is None or isinstance(value, Missing)


def seen(value: Any, name: str = "") -> Any:
    """A profile's value, or a frozen context's JSON value, as rules and templates see it under that name.

    None is Missing, and so is the empty text of a field. A list field is never Missing: without items it is empty.
    """
    kind = field_kind(name)
    if kind is FieldKind.LIST:
        return tuple(value or ())
    if value is None or (value == "" and kind in (FieldKind.TEXT, FieldKind.LOOSE)):
        return Missing(name)
    if kind is FieldKind.LOOSE:
        return Loose(value)
    if kind is FieldKind.MOMENT and isinstance(value, str):
        return datetime.fromisoformat(value)
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        return Attributes(value) if name == "attributes" else {k: seen(v, f"{name}.{k}") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return tuple(seen(item, name) for item in value)
    return value


def field_of(profile: Profile, name: str) -> Any:
    """What a rule sees under a field's name for one contact."""
    if name.startswith(ATTRIBUTES):
        return seen(profile.attributes.get(name.removeprefix(ATTRIBUTES)), name)
    return seen(getattr(profile, name), name)


def compare(op: str, left: Any, right: Any) -> bool:
    """`left op right` for == != < <= > >=. Null-safe; an order with Missing, or with text for a number, is false."""
    _refuse_unknown(left, right)
    if op == "==":
        return _equal(left, right)
    if op == "!=":
        return not _equal(left, right)
    if is_missing(left) or is_missing(right):
        return False
    left, right = _numbers(left, right) if _is_numeric_pair(left, right) else (left, right)
    return left is not None and right is not None and bool(_ORDER[op](left, right))


def contains(container: Any, item: Any) -> bool:
    """`item in container`. A Missing item is in nothing, and a Missing inside a list equals nothing."""
    _refuse_unknown(container, item)
    if is_missing(item) or is_missing(container):
        return False
    if isinstance(container, list | tuple):
        return any(_equal(item, each) for each in container)
    return bool(item in container)


def arithmetic(op: str, left: Any, right: Any) -> Any:
    """`left op right`; Missing when either is, when a text is no number, and for a division by zero."""
    _refuse_unknown(left, right)
    if is_missing(left) or is_missing(right):
        return MISSING
    if _is_numeric_pair(left, right):
        left, right = _numbers(left, right)
        if left is None or right is None:
            return MISSING
    if _is_number(left) and _is_number(right):
        return _computed(op, left, right)
    return _NATIVE[op](left, right)


def negative(value: Any) -> Any:
    """The number with the other sign."""
    _refuse_unknown(value)
    if isinstance(value, Loose):
        value = number_of(value)
    return MISSING if is_missing(value) else -value


def defaulted(value: Any, fallback: Any) -> Any:
    """The value, or the fallback where it is Missing; a loose field stays loose."""
    if not is_missing(value):
        return value
    loose = isinstance(value, Missing) and field_kind(value.name) is FieldKind.LOOSE
    return Loose(fallback) if loose and not is_missing(fallback) else fallback


def _equal(left: Any, right: Any) -> bool:
    if is_missing(left) or is_missing(right):
        return is_missing(left) and is_missing(right)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return list(left) == list(right)
    if _is_numeric_pair(left, right) and not (isinstance(left, Loose) and isinstance(right, Loose)):
        left, right = _numbers(left, right)
        return left is not None and right is not None and left == right
    return bool(left == right)


def _computed(op: str, left: float, right: float) -> Any:
    if op in ("/", "%") and right == 0:
        return MISSING
    if op == "%" and not (isinstance(left, int) and isinstance(right, int)):
        # Not fmod: this is what both databases can compute, step by step the same doubles.
        return left - right * float(math.floor(left / right))
    result = _NATIVE[op](left, right)
    return float(result) if isinstance(result, int) and abs(result) > EXACT else result


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_numeric_pair(left: object, right: object) -> bool:
    """Does a loose text meet a number, or another loose text?"""
    loose = isinstance(left, Loose), isinstance(right, Loose)
    return all(loose) or (any(loose) and _is_number(right if loose[0] else left))


def _numbers(*values: Any) -> tuple[Any, ...]:
    return tuple(number_of(value) if isinstance(value, Loose) else value for value in values)


def _refuse_unknown(*values: object) -> None:
    """An unknown name stays an error, also where Python would look no further than the other operand."""
    for value in values:
        if isinstance(value, Undefined) and not isinstance(value, Missing):
            _fail(value)


def _fail(value: Undefined) -> NoReturn:
    value._fail_with_undefined_error()

"""Can a computation leave the range of numbers? Proved when a rule is checked, so that no evaluator has to look.

PostgreSQL ends a query with an error where a double overflows or underflows, SQLite gives infinity. Every number that
is read lies between 1e-20 and 1e20 in size, so a rule with few enough steps can do neither.
"""

from dataclasses import dataclass

from engine.rules.tree import Arithmetic, Default, Literal, Negative, Value
from engine.rules.values import EXACT, LARGEST, SMALLEST

LIMIT = 1e280  # far enough from 1.8e308 and 2.2e-308 for the step in between
MAX_REMAINDERS = 1  # no `%` inside `%`: SQL writes its operands out four times


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How large and how small a value may be in size when it isn't 0. It is always a multiple of `grain`."""

    largest: float
    smallest: float
    grain: float

    @property
    def is_safe(self) -> bool:
        """Is it far from where doubles end?"""
        return self.largest < LIMIT and self.grain > 1 / LIMIT


def reach(value: Value) -> Reach:
    """The reach of a number, by interval arithmetic over what it is made of."""
    match value:
        case Arithmetic():
            return _step(value.op, reach(value.left), reach(value.right))
        case Negative():
            return reach(value.operand)
        case Default():
            return _joined(reach(value.value), reach(value.fallback))
        case Literal(value=int() | float() as number) if number != 0:
            return _rounded(abs(number), abs(number))
        case _:
            return _rounded(LARGEST, SMALLEST)


def remainders(value: Value) -> int:
    """How many `%` stand inside each other."""
    match value:
        case Arithmetic():
            return max(remainders(value.left), remainders(value.right)) + (value.op == "%")
        case Negative():
            return remainders(value.operand)
        case Default():
            return max(remainders(value.value), remainders(value.fallback))
        case _:
            return 0


def _step(op: str, left: Reach, right: Reach) -> Reach:
    match op:
        case "*":
            return _rounded(left.largest * right.largest, left.smallest * right.smallest)
        case "/":
            return _rounded(left.largest / right.smallest, left.smallest / right.largest)
        case "%":
            # left - right * floor(left / right): the quotient must be safe, too.
            quotient = _rounded(left.largest / right.smallest, left.smallest / right.largest)
            grain = min(left.grain, right.grain, quotient.grain)
            return Reach(largest=max(left.largest, right.largest, quotient.largest), smallest=grain, grain=grain)
        case _:
            # A sum of multiples of a grain is one, too; it can't underflow.
            grain = min(left.grain, right.grain)
            return Reach(largest=left.largest + right.largest, smallest=grain, grain=grain)


def _rounded(largest: float, smallest: float) -> Reach:
    return Reach(largest=largest, smallest=smallest, grain=smallest / EXACT)


def _joined(one: Reach, other: Reach) -> Reach:
    return Reach(
        largest=max(one.largest, other.largest),
        smallest=min(one.smallest, other.smallest),
        grain=min(one.grain, other.grain),
    )

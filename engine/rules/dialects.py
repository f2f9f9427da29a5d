"""How does each database say what SQL has no common words for? Joining, order of texts, search, lists, rounding."""

import math
from itertools import accumulate
from typing import Any

from sqlalchemy import Boolean, Double, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class Joined(FunctionElement[bool]):
    """Conditions joined so that SQLite's parser can hold them: it refuses trees of 1000 and stacks of 100 entries.

    A chain is as deep as it is long, so long ones are joined in groups, which SQLAlchemy's and_() would flatten again.
    What stands left is off the stack before the next is read, so the most nested goes first; order has no meaning here.
    """

    inherit_cache = True
    type = Boolean()


class AllOf(Joined):
    """Every one of the conditions holds."""

    inherit_cache = True


class AnyOf(Joined):
    """At least one of the conditions holds."""

    inherit_cache = True


class ByCodePoint(FunctionElement[str]):
    """A text that compares by code point, whatever the database's language is."""

    inherit_cache = True
    type = Text()


class TextContains(FunctionElement[bool]):
    """Does the first text contain the second? NULL when either is."""

    inherit_cache = True
    type = Boolean()


class HasItem(FunctionElement[bool]):
    """Does a JSON array hold a text? Never NULL."""

    inherit_cache = True
    type = Boolean()


class HasNoItems(FunctionElement[bool]):
    """Is a JSON array empty? NULL and JSON's null count as empty. Never NULL."""

    inherit_cache = True
    type = Boolean()


class RoundedDown(FunctionElement[float]):
    """The largest whole number that is not above a double."""

    inherit_cache = True
    type = Double()


def _parts(element: FunctionElement[Any], compiler: SQLCompiler, kw: Any) -> list[str]:
    return [compiler.process(clause, **kw) for clause in element.clauses]


@compiles(AllOf)
def _all_of(element: AllOf, compiler: SQLCompiler, **kw: Any) -> str:
    return _in_groups(" AND ", _parts(element, compiler, kw))


@compiles(AnyOf)
def _any_of(element: AnyOf, compiler: SQLCompiler, **kw: Any) -> str:
    return _in_groups(" OR ", _parts(element, compiler, kw))


def _in_groups(word: str, parts: list[str]) -> str:
    parts = sorted(parts, key=_nesting, reverse=True)
    size = max(10, math.isqrt(len(parts) - 1) + 1)
    groups = [word.join(parts[start : start + size]) for start in range(0, len(parts), size)]
    return f"({groups[0]})" if len(groups) == 1 else f"(({f'){word}('.join(groups)}))"


def _nesting(sql: str) -> int:
    """How many brackets are open at most; texts stand in parameters, not here."""
    return max(accumulate((character == "(") - (character == ")") for character in sql))


@compiles(ByCodePoint, "sqlite")
def _plain(element: ByCodePoint, compiler: SQLCompiler, **kw: Any) -> str:
    # SQLite's own order is that of the UTF-8 bytes, which is that of the code points.
    (text,) = _parts(element, compiler, kw)
    return f"({text})"


@compiles(ByCodePoint, "postgresql")
def _collated(element: ByCodePoint, compiler: SQLCompiler, **kw: Any) -> str:
    (text,) = _parts(element, compiler, kw)
    return f'(({text}) COLLATE "C")'


@compiles(TextContains, "sqlite")
def _instr(element: TextContains, compiler: SQLCompiler, **kw: Any) -> str:
    container, text = _parts(element, compiler, kw)
    return f"(instr({container}, {text}) > 0)"


@compiles(TextContains, "postgresql")
def _strpos(element: TextContains, compiler: SQLCompiler, **kw: Any) -> str:
    container, text = _parts(element, compiler, kw)
    return f"(strpos({container}, {text}) > 0)"


@compiles(HasItem, "sqlite")
def _json_each(element: HasItem, compiler: SQLCompiler, **kw: Any) -> str:
    items, text = _parts(element, compiler, kw)
    return f"(EXISTS (SELECT 1 FROM json_each({items}) AS item WHERE item.value = {text}))"


@compiles(HasItem, "postgresql")
def _jsonb_exists(element: HasItem, compiler: SQLCompiler, **kw: Any) -> str:
    items, text = _parts(element, compiler, kw)
    return f"coalesce(({items}) ? ({text}), false)"


@compiles(HasNoItems, "sqlite")
def _json_length(element: HasNoItems, compiler: SQLCompiler, **kw: Any) -> str:
    (items,) = _parts(element, compiler, kw)
    return f"(coalesce(json_array_length({items}), 0) = 0)"


@compiles(HasNoItems, "postgresql")
def _jsonb_empty(element: HasNoItems, compiler: SQLCompiler, **kw: Any) -> str:
    (items,) = _parts(element, compiler, kw)
    return f"coalesce(nullif({items}, 'null'::jsonb) = '[]'::jsonb, true)"


@compiles(RoundedDown, "sqlite")
def _truncated(element: RoundedDown, compiler: SQLCompiler, **kw: Any) -> str:
    # SQLite may be built without floor(). CAST cuts toward zero; from 2**53 on every double is whole.
    (number,) = _parts(element, compiler, kw)
    cut = f"CAST({number} AS INTEGER)"
    return f"(CASE WHEN abs({number}) >= 9007199254740992.0 THEN {number} ELSE {cut} - ({number} < {cut}) END)"


@compiles(RoundedDown, "postgresql")
def _floor(element: RoundedDown, compiler: SQLCompiler, **kw: Any) -> str:
    (number,) = _parts(element, compiler, kw)
    return f"floor({number})"

"""How is a column compared with hundreds of values? They go to the database as one value, not as hundreds."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Values(sa.types.UserDefinedType[Sequence[Any]]):
    """Whole numbers or texts, written as the database reads lists.

    No type of text: PostgreSQL would read such a value anew for every row that it looks at.
    """

    cache_ok = True

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], str]:
        """How the list becomes one value."""
        return pg_array if dialect.name == "postgresql" else json.dumps


class _Among(FunctionElement[bool]):
    """The column and its list; the kind of its items says which array it is."""

    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> "_Among":
        """Already a condition: SQLite would be asked whether it `= 1`, and then look at every row of the table."""
        return self

    def _negate(self) -> sa.ColumnElement[bool]:
        return sa.UnaryExpression(self, operator=operators.inv, type_=sa.Boolean())


@compiles(_Among, "postgresql")
def _any_of(element: _Among, compiler: SQLCompiler, **how: Any) -> str:
    column, values = (compiler.process(one, **how) for one in element.clauses)
    kind = "BIGINT" if isinstance(next(iter(element.clauses)).type, sa.Integer) else "TEXT"
    return f"{column} = ANY (CAST({values} AS {kind}[]))"


@compiles(_Among)
def _in_json(element: _Among, compiler: SQLCompiler, **how: Any) -> str:
    column, values = (compiler.process(one, **how) for one in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"


def among(column: sa.ColumnElement[Any], values: Iterable[int] | Iterable[str]) -> sa.ColumnElement[bool]:
    """Whether the column is one of these; for identifiers, which are whole numbers or texts and lie in both
    databases as they are.

    With `column.in_` each value is a parameter of its own: 500 of them cost PostgreSQL's driver and parser more than
    the query.
    """
    return _Among(column, sa.bindparam(None, list(values), type_=_Values(), unique=True))


def pg_array(values: Iterable[Any]) -> str:
    """An array as PostgreSQL reads it (its manual, 8.15.6). The driver's own way costs several times as much."""
    return f"{{{','.join([_AS_WRITTEN[type(one)](one) for one in values])}}}"


def _quoted(text: str) -> str:
    said = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{said}"'


class _Written(dict[type, Callable[[Any], str]]):
    """How a value of each type is written; learns the types that are made from these, such as those of closed lists."""

    def __missing__(self, kind: type) -> Callable[[Any], str]:
        found = next((self[base] for base in kind.__mro__[1:] if base in self), None)
        if found is None:
            raise TypeError(f"no value of {kind.__name__} lies in an array")
        self[kind] = found
        return found


_AS_WRITTEN = _Written(
    {
        type(None): lambda _none: "NULL",
        int: str,
        bool: str,
        float: repr,
        str: _quoted,
        bytes: lambda data: f'"\\\\x{data.hex()}"',
    }
)

"""How are many rows written at once without waste? By a statement that is compiled once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import JSON

from engine.store import Store

Convert = Callable[[Any], Any]
Make = Callable[[Store], "sa.Insert | sa.Update"]


@dataclass(frozen=True, slots=True)
class _Compiled:
    text: str
    convert: Mapping[str, Convert]
    order: tuple[str, ...] | None  # for drivers that take values by place


_COMPILED: dict[tuple[Make, str, tuple[str, ...]], _Compiled] = {}


def write_many(store: Store, db: sa.Connection, make: Make, rows: Sequence[dict[str, Any]]) -> None:
    """As `db.execute(make(store), rows)` for a part of its price; `make` is a function of a module.

    All rows have the names of the first one. Values are converted by the columns' types, in place.
    """
    if not rows:
        return
    key = (make, db.dialect.name, tuple(rows[0]))
    if key not in _COMPILED:
        _COMPILED[key] = _compiled(make(store), key[2], db.dialect)
    found = _COMPILED[key]
    db.exec_driver_sql(found.text, [_bound(row, found) for row in rows])


def _compiled(statement: sa.Insert | sa.Update, names: Sequence[str], dialect: sa.Dialect) -> _Compiled:
    keys = list(names) if isinstance(statement, sa.Insert) else None
    compiled: Any = statement.compile(dialect=dialect, column_keys=keys)
    convert = {name: how for name, bound in compiled.binds.items() if (how := _conversion(bound.type, dialect))}
    return _Compiled(str(compiled), convert, tuple(compiled.positiontup) if compiled.positional else None)


def _conversion(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> Convert | None:
    how: Convert | None = kind.dialect_impl(dialect).bind_processor(dialect)
    if how is None or not isinstance(kind, JSON):
        return how
    write, empty = how, how([])
    return lambda value: empty if value == [] else write(value)  # most contacts have no tags


def _bound(row: dict[str, Any], compiled: _Compiled) -> Any:
    for name, how in compiled.convert.items():
        row[name] = how(row[name])
    return row if compiled.order is None else tuple(map(row.__getitem__, compiled.order))

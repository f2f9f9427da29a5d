"""How do the few statements run that run for every message? As text, prepared once.

SQLAlchemy's own work on each row of values costs several times what SQLite needs to write it. Values go to the driver
as they are, so moments come as microseconds (`store.to_micros`). PostgreSQL gets many rows as one statement over an
array for each column: row by row its driver and its executor cost three times as much.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.visitors import replacement_traverse

from engine.store import Store, pg_array

_FEW = 4  # rows, of which each may as well be a statement of its own


def said(word: str) -> sa.ColumnElement[str]:
    """A word of ours inside a prepared statement: as a parameter every row would have to bring it."""
    return sa.literal_column(f"'{word}'", sa.Text)


def run(db: sa.Connection, store: Store, statement: sa.Executable, names: tuple[str, ...], rows: Sequence[Any]) -> int:
    """Run it for every row, whose values stand in the order of `names`; gives how many rows of the table it changed.

    No two rows may be about the same row of the table.
    """
    if store.is_sqlite or len(rows) < _FEW:
        return db.exec_driver_sql(_text(store.is_sqlite, statement, names), rows).rowcount
    columns = tuple(map(pg_array, zip(*rows, strict=True)))
    return db.exec_driver_sql(_text_for_all(statement, names), columns).rowcount


def ask(
    db: sa.Connection, store: Store, statement: sa.Executable, names: tuple[str, ...], values: tuple[Any, ...]
) -> Sequence[Any]:
    """All that it finds, as the driver gives it."""
    return db.exec_driver_sql(_text(store.is_sqlite, statement, names), values).fetchall()


@lru_cache(maxsize=64)
def _text(is_sqlite: bool, statement: sa.Executable, names: tuple[str, ...]) -> str:
    compiled = _compiled(is_sqlite, statement)
    if tuple(compiled.positiontup) != names:
        raise ValueError(f"the statement takes {compiled.positiontup}, not {names}")
    return str(compiled)


@lru_cache(maxsize=64)
def _text_for_all(statement: "sa.Insert | sa.Update", names: tuple[str, ...]) -> str:
    """The statement for PostgreSQL with an array in the place of each value, in the order of `names`."""
    binds = _compiled(False, statement).binds
    arrays = [sa.cast(sa.bindparam(name), postgresql.ARRAY(binds[name].type)) for name in names]
    given = sa.func.unnest(*arrays).table_valued(*names).render_derived(name="given")
    if isinstance(statement, sa.Insert):
        for_all: Any = postgresql.insert(statement.table).from_select(names, sa.select(*(given.c[n] for n in names)))
        for_all._post_values_clause = statement._post_values_clause
    else:

        def in_its_row(element: Any, **_how: Any) -> Any:
            return given.c[element.key] if isinstance(element, sa.BindParameter) else None

        for_all = replacement_traverse(statement, {}, in_its_row)
    compiled = _compiled(False, for_all)
    if tuple(compiled.positiontup) != names:
        raise ValueError(f"the statement for all takes {compiled.positiontup}, not {names}")
    return str(compiled)


def _compiled(is_sqlite: bool, statement: sa.Executable) -> Any:
    made: Any = sqlite.dialect if is_sqlite else postgresql.psycopg.dialect
    return statement.compile(dialect=made(paramstyle="qmark" if is_sqlite else "format"))  # type: ignore[attr-defined]

"""How do the few statements run that run for every message? As text, prepared once.

SQLAlchemy's own work on each row of values costs several times what SQLite needs to write it. Values go to the driver
as they are, so moments come as microseconds (`store.to_micros`).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from engine.store import Store


def said(word: str) -> sa.ColumnElement[str]:
    """A word of ours inside a prepared statement: as a parameter every row would have to bring it."""
    return sa.literal_column(f"'{word}'", sa.Text)


def run(db: sa.Connection, store: Store, statement: sa.Executable, names: tuple[str, ...], rows: Sequence[Any]) -> int:
    """Run it for every row, whose values stand in the order of `names`; gives how many rows of the table it changed."""
    return db.exec_driver_sql(_text(store.is_sqlite, statement, names), rows).rowcount


def ask(
    db: sa.Connection, store: Store, statement: sa.Executable, names: tuple[str, ...], values: tuple[Any, ...]
) -> Sequence[Any]:
    """All that it finds, as the driver gives it."""
    return db.exec_driver_sql(_text(store.is_sqlite, statement, names), values).fetchall()


@lru_cache(maxsize=64)
def _text(is_sqlite: bool, statement: sa.Executable, names: tuple[str, ...]) -> str:
    made: Any = sqlite.dialect if is_sqlite else postgresql.psycopg.dialect
    compiled: Any = statement.compile(dialect=made(paramstyle="qmark" if is_sqlite else "format"))  # type: ignore[attr-defined]
    if tuple(compiled.positiontup) != names:
        raise ValueError(f"the statement takes {compiled.positiontup}, not {names}")
    return str(compiled)

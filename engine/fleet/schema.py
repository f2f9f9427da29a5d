"""Where do hints lie? In Procrastinate's own tables, in a schema apart from ours, at the version that is installed.

The schema's comment tells the last of Procrastinate's migrations that was run there: it is copied, dropped and restored
together with the tables.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from engine.config import load_settings
from engine.errors import StoreUnavailable
from engine.store import Store, open_store

SCHEMA = "mailer_hints"

_CURE = "run `mailer db upgrade`"
_ONE_AT_A_TIME = 0x6D61696C_01  # a lock's number that nobody else has in this database


def upgrade(folder: Path) -> None:
    """Make the hints' tables where they are missing, and run the migrations that they lack; nothing on SQLite."""
    url = load_settings(folder).database_url
    if url.startswith("sqlite"):
        return
    store = open_store(url)
    try:
        with store.write() as db:
            _upgrade(db)
    except ProgrammingError as fault:
        why = " ".join(str(fault.orig).split())
        raise StoreUnavailable(
            f"the hints' tables can't be made: {why}; grant CREATE on the database to its user, and do it again "
            "(till then workers look for themselves what is due)"
        ) from fault
    finally:
        store.close()


def fault_of(store: Store) -> str:
    """Why no hints can be carried in this database; empty when they can."""
    with store.read() as db:
        found = _version(db)
    if found is None:
        return f"the hints' tables are missing; {_CURE}"
    try:
        wanted = _migrations()[-1].stem
    except ModuleNotFoundError:
        return "what carries hints is not installed; install it with: pip install 'mailer[postgresql]'"
    if found == wanted:
        return ""
    cure = "install the newer engine that made them" if found > wanted else _CURE
    return f"the hints' tables are at version {found}, this engine needs {wanted}; {cure}"


@contextmanager
def within(db: sa.Connection) -> Iterator[None]:
    """Until the end of the transaction names mean the hints' tables: their triggers name no schema."""
    db.exec_driver_sql(f"SET LOCAL search_path TO {SCHEMA}")
    yield


def _upgrade(db: sa.Connection) -> None:
    db.execute(sa.select(sa.func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
    found, known = _version(db), _migrations()
    if found is None:
        db.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    with within(db):
        for script in [_whole_schema()] if found is None else [one.read_text() for one in known if one.stem > found]:
            # Statements in a row, with signs that a driver would take for parameters: as they are.
            db.connection.driver_connection.execute(script)  # type: ignore[union-attr]
        db.exec_driver_sql(f"COMMENT ON SCHEMA {SCHEMA} IS '{max(known[-1].stem, found or '')}'")


def _version(db: sa.Connection) -> str | None:
    """The name of the last migration that was run; None where there are no tables."""
    oid = sa.func.to_regnamespace(SCHEMA)
    found: str | None = db.scalar(sa.select(sa.func.obj_description(sa.cast(oid, sa.dialects.postgresql.OID))))
    return found


def _migrations() -> list[Path]:
    """Procrastinate's own, in order: they are named so that their names sort."""
    from procrastinate.schema import SchemaManager  # heavy, and not installed where there is no PostgreSQL

    return sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))


def _whole_schema() -> str:
    from procrastinate.schema import SchemaManager  # as above

    return SchemaManager.get_schema()

"""How is the database opened, migrated and written, so that nothing is lost and nobody waits?"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from pydantic_core import from_json  # five times as fast as json: each profile holds four lists
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError

from engine.errors import StoreUnavailable
from engine.store import migrating

Row = TypeVar("Row")

# WAL lets readers go on beside one writer; FULL, because after a power cut a lost intent would mean a duplicate.
_PRAGMAS: tuple[str, ...] = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON")
# In kibibytes, for each connection. A sender's memory must not grow with the audience: larger ones fill up.
_PRAGMAS += ("cache_size=-8192", "wal_autocheckpoint=4000")
_WRITERS_CACHE = "cache_size=-16384"
_IMPORTS_CACHE = "cache_size=-65536"
_LOCK_SECONDS = 10.0
_LOOK_MS = 2


class Store:
    """An opened database. SQLite has two engines: reads begin deferred, writes begin IMMEDIATE.

    A deferred BEGIN that reads and then writes after another commit fails at once with "database is locked",
    whatever the busy timeout; a read that begins IMMEDIATE waits behind writers it has nothing to do with.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self._reader = _engine(url, "BEGIN")
        self._writer = _engine(url, "BEGIN IMMEDIATE") if self.is_sqlite else self._reader

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A consistent look at the database."""
        with _named_faults(self.url), self._reader.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction, committed at the end of the block or not at all."""
        with _named_faults(self.url), self._writer.connect() as connection, connection.begin():
            yield connection

    def reader(self) -> sa.Connection:
        """A connection of its own that commits after every statement: for the look just before a dot. Close it."""
        with _named_faults(self.url):
            return self._reader.connect().execution_options(isolation_level="AUTOCOMMIT")

    def hold_more_pages(self) -> None:
        """Before an import into large tables: with few pages at hand it reads their indexes again and again."""
        if self.is_sqlite:
            with self.write() as connection:
                connection.exec_driver_sql(f"PRAGMA {_IMPORTS_CACHE}")

    def insert(self, table: sa.Table) -> Any:
        """An INSERT that knows ON CONFLICT, in this database's dialect."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def epoch_now(self) -> sa.ColumnElement[float]:
        """The database's own clock, seconds since 1970: the only clock for leases."""
        if self.is_sqlite:
            return sa.literal_column("((julianday('now') - 2440587.5) * 86400.0)", sa.Float)
        return sa.literal_column("extract(epoch from clock_timestamp())::double precision", sa.Float)

    def write_fault(self) -> str:
        """Why nothing can be written just now; empty when it can. Writes nothing itself."""
        try:
            with self.write() as connection:
                if not self.is_sqlite and connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "on":
                    return "the database takes no writes: it is read-only, or a standby"
        except StoreUnavailable as fault:
            return str(fault)
        return ""

    def close(self) -> None:
        """Give all connections back."""
        self._reader.dispose()
        self._writer.dispose()


def open_store(url: str) -> Store:
    """Open an existing, migrated database; raises StoreUnavailable with the cure."""
    _must_exist(url)
    store = Store(url)
    try:
        fault = version_fault(store)
    except StoreUnavailable:
        store.close()
        raise
    if fault:
        store.close()
        raise StoreUnavailable(fault)
    return store


def version_fault(store: Store) -> str:
    """What is wrong with the version of the database's tables; empty when it is this engine's."""
    found, wanted = _version(store), migrating.newest_version()
    if found == wanted:
        return ""
    newer = found is not None and found > wanted
    cure = "install the newer engine that made it" if newer else "run `mailer db upgrade`"
    return f"the database is at version {found or 'none'}, this engine needs {wanted}; {cure}"


def upgrade(url: str) -> None:
    """Create the database where it is missing and bring its tables up to this engine's version."""
    with _named_faults(url):
        migrating.upgrade(url)


def chunks(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    """The rows in slices of at most `size`: no write transaction may grow with the list."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _engine(url: str, begin: str) -> sa.Engine:
    if not url.startswith("sqlite"):
        # psycopg 3 by name, so that a plain postgresql:// address works.
        driven = url.replace("postgresql://", "postgresql+psycopg://", 1)
        try:
            return sa.create_engine(
                driven, pool_size=4, max_overflow=8, hide_parameters=True, json_deserializer=from_json
            )
        except ModuleNotFoundError:
            raise StoreUnavailable(
                "PostgreSQL's driver is not installed; install it with: pip install 'mailer[postgresql]'"
            ) from None
        except ArgumentError:
            raise StoreUnavailable("[database] url is no address; write postgresql://user@host/name") from None
    # A traceback in a log names no address.
    engine = sa.create_engine(url, hide_parameters=True, json_deserializer=from_json)
    sa.event.listen(engine, "connect", _prepare)
    if begin == "BEGIN IMMEDIATE":
        sa.event.listen(engine, "connect", _prepare_writer)
        sa.event.listen(engine, "begin", _wait_for_the_lock)
    else:
        sa.event.listen(engine, "begin", _begin_with(begin))
    return engine


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _prepare_writer(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in (f"busy_timeout={_LOOK_MS}", _WRITERS_CACHE):
        connection.execute(f"PRAGMA {pragma}")


def _begin_with(statement: str) -> Callable[[sa.Connection], None]:
    def begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql(statement)

    return begin


def _wait_for_the_lock(connection: sa.Connection) -> None:
    """Begin to write, waiting up to 10 s.

    SQLite's own waiting soon looks only every 100 ms whether the lock is free, and loses against several who write in
    turn: an unsubscribe has waited 1.6 s. Looking every 2 ms it gets the next gap or the one after.
    """
    raw: Any = connection.connection.dbapi_connection
    until = time.monotonic() + _LOCK_SECONDS
    while time.monotonic() < until:
        try:
            raw.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as fault:
            if fault.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                break
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # once more, so that the fault is told as all others are


def _must_exist(url: str) -> None:
    file = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else ""
    if file and not Path(file).exists():
        raise StoreUnavailable(f"the database {file} does not exist; run `mailer db upgrade`")


def _version(store: Store) -> str | None:
    with store.read() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        return found


@contextmanager
def _named_faults(url: str) -> Iterator[None]:
    """Turn the driver's connection and disk faults into one sentence; bugs in statements stay what they are."""
    try:
        yield
    except OperationalError as fault:
        where = sa.engine.make_url(url).render_as_string(hide_password=True)
        raise StoreUnavailable(
            f"the database {where} can't be used: {' '.join(str(fault.orig).split())}; check its disk and rights"
        ) from fault
    except DBAPIError as fault:
        if type(fault) is DatabaseError:  # SQLite's word for a file that is no database, or is damaged
            where = sa.engine.make_url(url).render_as_string(hide_password=True)
            raise StoreUnavailable(f"{where} can't be used: {fault.orig}; restore the file from a backup") from fault
        if fault.connection_invalidated:
            raise StoreUnavailable("the database closed the connection; try again when it is back") from fault
        raise

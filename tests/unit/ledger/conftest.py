"""Many small tests, each on an empty database: copied from one that was migrated once."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from engine.store import Store, open_store, upgrade


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("migrated") / "mailer.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_database(postgres_url: str) -> str:
    """The name of a migrated PostgreSQL database to copy."""
    name = f"m{uuid.uuid4().hex[:12]}"
    _on_server(postgres_url, f"CREATE DATABASE {name}")
    upgrade(_named(postgres_url, name))
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty, migrated database; every store test runs on both."""
    if request.param == "sqlite":
        file = tmp_path / "mailer.db"
        shutil.copy(request.getfixturevalue("migrated_file"), file)
        yield f"sqlite:///{file}"
        return
    server, template = request.getfixturevalue("postgres_url"), request.getfixturevalue("migrated_database")
    name = f"t{uuid.uuid4().hex[:12]}"
    _on_server(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _named(server, name)
    _on_server(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_store(migrated_file: Path, tmp_path: Path) -> Iterator[Store]:
    """An open store on SQLite, for tests that are not about the database."""
    shutil.copy(migrated_file, tmp_path / "mailer.db")
    opened = open_store(f"sqlite:///{tmp_path / 'mailer.db'}")
    yield opened
    opened.close()


def _named(server_url: str, name: str) -> str:
    return sa.engine.make_url(server_url).set(database=name).render_as_string(hide_password=False)


def _on_server(server_url: str, statement: str) -> None:
    url = server_url.replace("postgresql://", "postgresql+psycopg://", 1)
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.exec_driver_sql(statement)

"""Databases on the tests' own PostgreSQL."""

import sqlalchemy as sa


def create_database(server_url: str, name: str, template: str | None = None) -> str:
    """A new database on this server, a copy of another if need be; gives its address."""
    on_server(server_url, f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    return sa.engine.make_url(server_url).set(database=name).render_as_string(hide_password=False)


def on_server(server_url: str, statement: str) -> None:
    """What no transaction may hold: CREATE and DROP DATABASE."""
    url = server_url.replace("postgresql://", "postgresql+psycopg://", 1)
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.exec_driver_sql(statement)

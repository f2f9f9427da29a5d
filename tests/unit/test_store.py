"""The store: the same promises on SQLite and PostgreSQL."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from engine.store import Store
from engine.store.tables import metadata


def test_migrations_arrive_at_the_schema_of_the_tables(store: Store) -> None:
    with store.read() as db:
        context = MigrationContext.configure(db, opts={"compare_type": False})
        assert [] == compare_metadata(context, metadata)

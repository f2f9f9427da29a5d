"""The store: the same promises on SQLite and PostgreSQL."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from engine.store import Store
from engine.store.tables import metadata


def test_migrations_arrive_at_the_schema_of_the_tables(store: Store) -> None:
    with store.read() as db:
        context = MigrationContext.configure(db, opts={"compare_type": False})
        assert [] == compare_metadata(context, metadata)


def test_a_writer_holds_few_pages_unless_an_import_asks_for_more(sqlite_store: Store) -> None:
    def pages() -> int:
        with sqlite_store.write() as db:
            return int(db.exec_driver_sql("PRAGMA cache_size").scalar_one())

    assert -16_384 == pages()

    sqlite_store.hold_more_pages()

    assert -65_536 == pages()

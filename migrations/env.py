"""Runs the migrations on the database that `engine.store` hands over."""

from contextlib import closing
from typing import Any

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy.types import JSON

from engine.store.columns import Day, UtcTime
from engine.store.opening import Store
from engine.store.tables import metadata


def plain_type(kind: str, item: Any, _context: AutogenContext) -> str | bool:
    """Write our column types as the database's own, so that old revisions never depend on today's code."""
    if kind == "type" and isinstance(item, UtcTime):
        return "sa.BigInteger()"
    if kind == "type" and isinstance(item, Day):
        return "sa.Integer()"
    if kind == "type" and isinstance(item, JSON):
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


with closing(Store(context.config.attributes["url"])) as store, store.write() as connection:
    context.configure(
        connection=connection, target_metadata=metadata, render_item=plain_type, render_as_batch=store.is_sqlite
    )
    context.run_migrations()

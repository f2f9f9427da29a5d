"""Where do the facts live? The tables, opening them, and transactions, on SQLite and PostgreSQL alike.

with store.read() as db: ...     a consistent look; never waits for a writer
with store.write() as db: ...    all or nothing; keep it under 100 ms, so that an unsubscribe never waits
"""

from engine.store.columns import from_micros, to_micros
from engine.store.commits import Commits
from engine.store.lists import among, pg_array
from engine.store.opening import Store, chunks, open_store, upgrade, version_fault

__all__ = [
    "Commits",
    "Store",
    "among",
    "chunks",
    "from_micros",
    "open_store",
    "pg_array",
    "to_micros",
    "upgrade",
    "version_fault",
]

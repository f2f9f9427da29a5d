"""How are many rows written so that nobody waits? In short transactions, with the door left open between them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from engine.store import Store

CHUNK = 500  # rows a write transaction: some 10 ms, so that an unsubscribe never waits


@contextmanager
def write_in_turn(store: Store) -> Iterator[sa.Connection]:
    """One of many write transactions in a row.

    A writer that waits for SQLite looks only every so often (up to 100 ms) whether the door is open, and one that
    closes it again at once starves it: so it stays open as long as it was shut.
    """
    with store.write() as db:
        begun = time.monotonic()
        yield db
    if store.is_sqlite:
        time.sleep(time.monotonic() - begun)

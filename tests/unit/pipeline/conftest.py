"""A shop whose messages want the same few people."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from turn_steps import TurnShop

from engine.store import Store


@pytest.fixture
def shop(sqlite_store: Store, tmp_path: Path) -> TurnShop:
    """On SQLite; it is Thursday 3 December 2026, 10:00 in Helsinki."""
    return TurnShop(folder=tmp_path, store=sqlite_store, now=datetime(2026, 12, 3, 8, tzinfo=UTC))


@pytest.fixture
def either_shop(store: Store, tmp_path: Path) -> TurnShop:
    """The same on either database."""
    return TurnShop(folder=tmp_path, store=store, now=datetime(2026, 12, 3, 8, tzinfo=UTC))

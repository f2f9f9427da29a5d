"""What tests of import and consent ask for: files as bytes, a shop's options, and a look at what went in."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from engine import audience
from engine.links import Keys
from engine.store import Store
from engine.store.tables import contact, contact_attribute

IMPORTS = {
    "contacts": audience.import_contacts,
    "products": audience.import_products,
    "orders": audience.import_orders,
    "events": audience.import_events,
}


@pytest.fixture
def keys() -> Keys:
    return Keys(b"a secret of a test, 32 bytes long")


@pytest.fixture
def options(keys: Keys) -> audience.ImportOptions:
    """A shop in Helsinki that takes euros."""
    return audience.ImportOptions(keys=keys, zone=ZoneInfo("Europe/Helsinki"), allow_test_domains=True)


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Writes an import file: text as UTF-8, bytes as they are."""

    def write(content: str | bytes, name: str = "people.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def take(file: Callable[..., Path], options: audience.ImportOptions, at: datetime) -> Callable[..., Any]:
    """Imports a file's text or bytes into a store: `take(store, "contacts", text, dates="dmy")`."""

    def take_in(
        store: Store, kind: str, content: str | bytes, name: str = "people.csv", at: datetime = at, **said: Any
    ) -> audience.ImportResult:
        return IMPORTS[kind](store, file(content, name), replace(options, **said), at)

    return take_in


@pytest.fixture
def people() -> Callable[[Store], dict[str, dict[str, Any]]]:
    """All contacts by address, with their attributes."""

    def look(store: Store) -> dict[str, dict[str, Any]]:
        with store.read() as db:
            rows = {row["id"]: dict(row) for row in db.execute(sa.select(contact)).mappings()}
            for row in rows.values():
                row["attributes"] = {}
            for one in db.execute(sa.select(contact_attribute)):
                rows[one.contact_id]["attributes"][one.name] = one.value
        return {row["email"]: row for row in rows.values()}

    return look

"""Who are the contacts of a file? A row a contact; the same file twice changes nothing."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from engine.audience.contact_rows import ContactReader, ContactRow
from engine.audience.contact_writing import standing_of, write_contacts
from engine.audience.import_run import Importer, ImportOptions, ImportResult, Lines, Written, run
from engine.audience.kinds import CONTACTS
from engine.audience.reading import Opened, Row
from engine.model import Progress
from engine.store import Store


def import_contacts(
    store: Store, path: Path, options: ImportOptions, at: datetime, progress: Progress | None = None
) -> ImportResult:
    """Bring a file's contacts into the database; goes on where it was broken off."""
    source = f"import of {path.name}"
    return run(store, path, CONTACTS, options, at, progress, lambda opened: of_contacts(opened, options, at, source))


def of_contacts(opened: Opened, options: ImportOptions, at: datetime, source: str) -> Importer[ContactRow]:
    """What brings in rows of contacts; `source` proves where a consent without one was given."""
    return _Contacts(options, at, ContactReader(options, at, source, opened.header.is_shopify))


class _Contacts:
    def __init__(self, options: ImportOptions, at: datetime, reader: ContactReader) -> None:
        self._options, self._at, self._reader = options, at, reader

    def read(self, row: Row) -> ContactRow:
        return self._reader.read(row.values)

    def before(self, store: Store, lines: Lines[ContactRow]) -> None:
        pass

    def write(self, store: Store, db: sa.Connection, lines: Lines[ContactRow]) -> Written:
        return write_contacts(store, db, self._options.keys, lines, self._at)

    def recall(self, store: Store, db: sa.Connection, lines: Lines[ContactRow]) -> Mapping[int, tuple[bool, bool]]:
        return standing_of(store, db, self._options.keys, [row for _, row in lines])

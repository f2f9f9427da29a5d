"""What did contacts do? A row an event; columns beyond the known ones are its properties."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine.audience import values
from engine.audience.address import Address, address
from engine.audience.bulk import write_many
from engine.audience.buyers import Buyers, mark_changed
from engine.audience.import_run import Importer, ImportOptions, ImportResult, Lines, Written, run
from engine.audience.kinds import EVENTS, PROPERTIES
from engine.audience.reading import Number, Opened, Row, Value
from engine.model import Progress, RefusedRow
from engine.rules import number_of
from engine.store import Store, among
from engine.store.tables import event


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """Something that a contact did."""

    event_id: str
    address: Address | None
    external_id: str | None
    kind: str
    at: datetime
    properties: Mapping[str, Any]


def import_events(
    store: Store, path: Path, options: ImportOptions, at: datetime, progress: Progress | None = None
) -> ImportResult:
    """Bring a file's events into the database; goes on where it was broken off."""
    return run(store, path, EVENTS, options, at, progress, lambda opened: of_events(opened, options, at))


def of_events(_opened: Opened, options: ImportOptions, at: datetime) -> Importer[EventRow]:
    """What brings in rows of events."""
    return _Events(options, at)


class _Events:
    def __init__(self, options: ImportOptions, at: datetime) -> None:
        self._options, self._at = options, at

    def read(self, row: Row) -> EventRow:
        told: dict[str, Any] = {}
        for name in ("event_id", "kind", "at"):
            cell = row.values.get(name, "")
            if not cell:
                raise ValueError(f"no {name}")
            try:
                told[name] = values.identifier(cell) if name != "at" else self._moment(cell)
            except ValueError as fault:
                raise ValueError(f"{name} {fault}") from None
        mailbox, external_id = row.values.get("email", ""), row.values.get("external_id", "")
        if not mailbox and not external_id:
            raise ValueError("neither email nor external_id says who did it")
        return EventRow(
            **told,
            address=address(mailbox, self._options.allow_test_domains)
            if isinstance(mailbox, str) and mailbox
            else None,
            external_id=values.identifier(external_id) if external_id else None,
            properties={
                name.removeprefix(PROPERTIES): _property(cell)
                for name, cell in row.values.items()
                if name.startswith(PROPERTIES)
            },
        )

    def before(self, store: Store, lines: Lines[EventRow]) -> None:
        pass

    def write(self, store: Store, db: sa.Connection, lines: Lines[EventRow]) -> Written:
        written = Written()
        buyers = Buyers(store, db, self._options.keys, [(one.address, one.external_id) for _, one in lines], self._at)
        ids = {one.event_id for _, one in lines}
        columns = (event.c.event_id, event.c.contact_id, event.c.kind, event.c.at, event.c.properties)
        known = {row[0]: tuple(row[1:]) for row in db.execute(sa.select(*columns).where(among(event.c.event_id, ids)))}
        news: dict[str, dict[str, Any]] = {}
        changed: set[int] = set()
        for line, one in lines:
            try:
                actor = buyers.number(one.address, one.external_id)
            except ValueError as fault:
                written.refused.append(RefusedRow(line=line, why=str(fault)))
                continue
            told, before = (actor, one.kind, one.at, dict(one.properties)), known.get(one.event_id)
            if told == before:
                written.unchanged += 1
                continue
            written.added += before is None
            written.updated += before is not None
            changed |= {actor} if before is None else {actor, before[0]}
            known[one.event_id] = told
            news[one.event_id] = dict(zip(("contact_id", "kind", "at", "properties"), told, strict=True))
        write_many(store, db, _into_event, [{"event_id": event_id, **row} for event_id, row in news.items()])
        mark_changed(db, changed)
        return written

    def recall(self, store: Store, db: sa.Connection, lines: Lines[EventRow]) -> Mapping[int, tuple[bool, bool]]:
        return {}

    def _moment(self, cell: Value) -> datetime:
        return values.moment(cell, self._options.zone, self._options.dates)


def _property(cell: Any) -> Any:
    """As it came, with JSON's own numbers as numbers; texts are cleaned."""
    match cell:
        case Number():
            number = number_of(cell)
            return str(cell) if number is None else int(number) if number.is_integer() else number
        case str():
            return values.text(cell)
        case list():
            return [_property(item) for item in cell]
        case dict():
            return {values.text(name): _property(item) for name, item in cell.items()}
        case _:
            return cell


def _into_event(store: Store) -> sa.Insert:
    statement = store.insert(event)
    told_anew = {name: statement.excluded[name] for name in ("contact_id", "kind", "at", "properties")}
    anew: sa.Insert = statement.on_conflict_do_update(index_elements=["event_id"], set_=told_anew)
    return anew

"""How does a long file go in? In chunks, each all or nothing, so that it can be broken off anywhere and goes on there.

A chunk's rows and the mark of how far the file has come are committed together. A file is known by the digest of its
bytes, its kind and what was said of its meaning; when it comes again, rows that went in are only looked at.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from engine.audience.kinds import Kind
from engine.audience.reading import Opened, Row, open_file
from engine.collector import collector_aside
from engine.errors import Usage
from engine.links import Keys
from engine.model import Progress, RefusedRow
from engine.store import Store
from engine.store.tables import fact, import_run

Item = TypeVar("Item")

_ROWS_A_CHUNK = 1000  # 20-70 ms of writing: an unsubscribe never waits for longer
_CHUNKS_A_COLLECTION = 20
_COUNTS = ("added", "updated", "unchanged", "withheld", "refused_rows")  # refused: while writing, not while reading
_TURN = 7_305_402_117_341  # names the advisory lock; any number, the same everywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the owner says of a file and of the shop."""

    keys: Keys
    mapping: Mapping[str, str] = field(default_factory=dict)  # their column -> ours
    dates: str = ""  # how 01/02/03 is meant: dmy, mdy or ymd; empty: refused
    decimal: str = "point"  # or comma
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    currency: str = "EUR"
    languages: tuple[str, ...] = ("en",)
    allow_test_domains: bool = False
    refused_limit: int = 10_000  # rows named in the result; all are counted

    def __post_init__(self) -> None:
        if self.dates not in ("", "dmy", "mdy", "ymd"):
            raise Usage(f"dates are read as dmy, mdy or ymd, not as {self.dates!r}")
        if self.decimal not in ("point", "comma"):
            raise Usage(f"decimals are marked by point or comma, not by {self.decimal!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What became of every row: rows = added + updated + unchanged + refused_rows."""

    rows: int
    added: int
    updated: int
    unchanged: int
    refused: tuple[RefusedRow, ...]  # the first `refused_limit`
    refused_rows: int
    withheld: int = 0  # rows whose yes stays without effect: suppressed, or older than a no
    mailable: int = 0  # contacts of the file who can be mailed now
    trackable: int = 0  # of these, the ones who also agreed to tracking
    ignored: tuple[str, ...] = ()  # columns that were not understood


@dataclass(slots=True)
class Written:
    """What a chunk did. `standing` tells of each contact whether she can be mailed, and tracked as well."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    withheld: int = 0
    refused: list[RefusedRow] = field(default_factory=list)
    standing: dict[int, tuple[bool, bool]] = field(default_factory=dict)


Lines = Sequence[tuple[int, Item]]  # a row's line and what it says


class Importer(Protocol[Item]):
    """What one kind of file has of its own."""

    def read(self, row: Row) -> Item:
        """What the row says; ValueError tells why it is refused. Rows come in the file's order."""
        ...

    def before(self, store: Store, lines: Lines[Item]) -> None:
        """What must be on record, in transactions of its own, before this chunk is written."""
        ...

    def write(self, store: Store, db: sa.Connection, lines: Lines[Item]) -> Written:
        """Bring the chunk into the database; the same chunk again changes nothing."""
        ...

    def recall(self, store: Store, db: sa.Connection, lines: Lines[Item]) -> Mapping[int, tuple[bool, bool]]:
        """The standing of the contacts in a chunk that went in before."""
        ...


@dataclass(slots=True)
class _Chunk(Generic[Item]):
    lines: list[tuple[int, Item]]
    refused: list[RefusedRow]
    rows: int


def run(
    store: Store,
    path: Path,
    kind: Kind,
    options: ImportOptions,
    at: datetime,
    progress: Progress | None,
    make: Callable[[Opened], Importer[Any]],
) -> ImportResult:
    """Import the whole file, from where it was broken off; BadFile when it can't be read at all."""
    opened = open_file(path, kind, options.mapping)
    importer, tally = make(opened), _Tally(options.refused_limit)
    store.hold_more_pages()
    ledger = _Run.begin(store, kind, _digest(opened, kind, options), at)
    with collector_aside(_CHUNKS_A_COLLECTION) as collect:
        for number, chunk in enumerate(_chunks(opened.rows, importer), start=1):
            tally.read(chunk)
            _take(store, importer, chunk, tally, ledger)
            collect(number)
            if progress is not None:
                progress(tally.rows, max(tally.rows, opened.about))
    ledger.finish(store, tally.rows)
    return tally.result(ledger, tuple(opened.header.ignored))


def run_once(store: Store, opened: Opened, kind: Kind, options: ImportOptions, importer: Importer[Any]) -> ImportResult:
    """Import rows that a shop posts. They are known by their own keys alone: nothing is kept of the request."""
    tally, ledger = _Tally(options.refused_limit), _Unkept("", kind, 0, False, {})
    for chunk in _chunks(opened.rows, importer):
        tally.read(chunk)
        if chunk.lines:
            _take(store, importer, chunk, tally, ledger)
    return tally.result(ledger, tuple(opened.header.ignored))


def take_turns(store: Store, db: sa.Connection) -> None:
    """Whoever may make contacts goes one at a time, as SQLite's writers do anyway: two imports, one contact."""
    if not store.is_sqlite:
        db.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURN)))


def _chunks(rows: Iterator[Row], importer: Importer[Item]) -> Iterator[_Chunk[Item]]:
    while part := list(islice(rows, _ROWS_A_CHUNK)):
        chunk: _Chunk[Item] = _Chunk([], [], len(part))
        for row in part:
            try:
                if row.fault:
                    raise ValueError(row.fault)
                chunk.lines.append((row.line, importer.read(row)))
            except ValueError as fault:
                chunk.refused.append(RefusedRow(line=row.line, why=str(fault)))
        yield chunk


def _take(store: Store, importer: Importer[Item], chunk: _Chunk[Item], tally: "_Tally", ledger: "_Run") -> None:
    """Write the chunk, or only look at it when it is in already."""
    if tally.rows <= ledger.rows_done:
        with store.read() as db:
            tally.remember(importer.recall(store, db, chunk.lines))
        return
    importer.before(store, chunk.lines)
    with store.write() as db:
        take_turns(store, db)
        written = importer.write(store, db, chunk.lines)
        ledger.advance(db, tally.rows, written, tally.limit)
    tally.remember(written.standing)


def _digest(opened: Opened, kind: Kind, options: ImportOptions) -> str:
    """The file's name in the database: the same bytes read another way are another file."""
    said = [
        kind.name,
        sorted(options.mapping.items()),
        options.dates,
        options.decimal,
        str(options.zone),
        options.currency,
        options.allow_test_domains,
        opened.sha256,
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


class _Run:
    """The row of `import_run`: how far this file has come, and what it did so far."""

    def __init__(self, digest: str, kind: Kind, rows_done: int, is_finished: bool, done: Mapping[str, Any]) -> None:
        self.rows_done = rows_done
        self._digest, self._kind, self._is_finished = digest, kind, is_finished
        self._counts = {name: int(done.get(name, 0)) for name in _COUNTS}
        self.refused: list[tuple[int, str]] = [(line, why) for line, why in done.get("refused", ())]
        if is_finished:  # this time it changes nothing
            settled = sum(self._counts[name] for name in ("added", "updated", "unchanged"))
            self._counts |= {"added": 0, "updated": 0, "unchanged": settled}

    @classmethod
    def begin(cls, store: Store, kind: Kind, digest: str, at: datetime) -> "_Run":
        """Where this file stands. A finished one starts anew if another of its kind has gone in since."""
        with store.write() as db:
            found = db.execute(sa.select(import_run).where(import_run.c.digest == digest)).one_or_none()
            last = db.scalar(sa.select(fact.c.value).where(fact.c.name == _last_import(kind)))
            if found is not None and (not found.finished or last == digest):
                return cls(digest, kind, found.rows_done, found.finished, found.result)
            row = {"digest": digest, "kind": kind.name, "rows_done": 0, "finished": False, "result": {}, "at": at}
            db.execute(store.insert(import_run).values(row).on_conflict_do_update(index_elements=["digest"], set_=row))
        return cls(digest, kind, 0, False, {})

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def advance(self, db: sa.Connection, rows: int, written: Written, limit: int) -> None:
        """The chunk is part of the same transaction: both or neither."""
        for name in ("added", "updated", "unchanged", "withheld"):
            self._counts[name] += getattr(written, name)
        self._counts["refused_rows"] += len(written.refused)
        self.refused += [(one.line, one.why) for one in written.refused][: max(0, limit - len(self.refused))]
        self._save(db, rows, finished=False)

    def finish(self, store: Store, rows: int) -> None:
        """The whole file is in."""
        if self._is_finished:
            return
        last = {"name": _last_import(self._kind), "value": self._digest}
        with store.write() as db:
            self._save(db, rows, finished=True)
            db.execute(store.insert(fact).values(last).on_conflict_do_update(index_elements=["name"], set_=last))

    def _save(self, db: sa.Connection, rows: int, finished: bool) -> None:
        # Two processes may import one file at once: the one that is further on is believed.
        db.execute(
            sa.update(import_run)
            .where(import_run.c.digest == self._digest, import_run.c.rows_done <= rows)
            .values(rows_done=rows, finished=finished, result={**self._counts, "refused": self.refused})
        )


class _Unkept(_Run):
    """Counts, and nothing on record: live rows would fill the table of files."""

    def _save(self, db: sa.Connection, rows: int, finished: bool) -> None:
        pass


def _last_import(kind: Kind) -> str:
    return f"last_import_{kind.name}"


class _Tally:
    """Counts over the whole file. Whether a contact can be mailed is a bit, so a million of them fit in 125 kB."""

    def __init__(self, limit: int) -> None:
        self.rows = 0
        self.limit = limit
        self._refused: list[RefusedRow] = []
        self._refused_rows = 0
        self._mailable, self._trackable = _Marks(), _Marks()

    def read(self, chunk: _Chunk[Any]) -> None:
        self.rows += chunk.rows
        self._refused_rows += len(chunk.refused)
        self._refused += chunk.refused[: max(0, self.limit - len(self._refused))]

    def remember(self, standing: Mapping[int, tuple[bool, bool]]) -> None:
        for contact_id, (mailable, trackable) in standing.items():
            self._mailable.set(contact_id, mailable)
            self._trackable.set(contact_id, trackable)

    def result(self, ledger: _Run, ignored: tuple[str, ...]) -> ImportResult:
        refused = [*self._refused, *(RefusedRow(line=line, why=why) for line, why in ledger.refused)]
        refused_rows = self._refused_rows + ledger["refused_rows"]
        return ImportResult(
            rows=self.rows,
            added=ledger["added"],
            updated=ledger["updated"],
            unchanged=ledger["unchanged"],
            refused=tuple(sorted(refused, key=lambda one: one.line)[: self.limit]),
            refused_rows=refused_rows,
            withheld=ledger["withheld"],
            mailable=self._mailable.count(),
            trackable=self._trackable.count(),
            ignored=ignored,
        )


class _Marks:
    """A set of contact ids, a bit each."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def set(self, number: int, is_in: bool) -> None:
        place, bit = number >> 3, 1 << (number & 7)
        if place >= len(self._bits):
            self._bits.extend(bytes(max(place + 1 - len(self._bits), len(self._bits), 4096)))
        if is_in:
            self._bits[place] |= bit
        else:
            self._bits[place] &= ~bit

    def count(self) -> int:
        return int.from_bytes(self._bits, "little").bit_count()

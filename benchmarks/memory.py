"""How much does a sender hold at its peak? The resident size for few recipients, and for many.

The many are made in the database: the rows of a few again and again, under other addresses, then released as any plan
is. The sender can't tell. `python -m benchmarks.memory --many 1000000` is the full size.
"""

import argparse
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks import people, reference
from benchmarks.meter import RunFailed, run_together
from benchmarks.reference import Reference
from benchmarks.sinks import Kind, Sink, cheap_sink, reading_sink
from engine import ledger, pipeline
from engine.store.tables import contact, plan_entry

FEW, MANY = 10_000, 1_000_000
MUST = 1.2  # times as much for the many as for the few
_CONTACTS = 200


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """Peak resident sizes, in MB, for the few and for the many."""

    few: int
    many: int
    few_mb: float
    many_mb: float

    @property
    def ratio(self) -> float:
        """How many times as much the many take."""
        return self.many_mb / self.few_mb


def sender_peaks(made: Reference, few: int, many: int, folder: Path, kind: Kind) -> Peaks:
    """The peak of one sender process that sends to so many."""
    sizes = [_peak_mb(made, folder / str(count), count, kind) for count in (few, many)]
    return Peaks(few=few, many=many, few_mb=sizes[0], many_mb=sizes[1])


def _peak_mb(made: Reference, folder: Path, count: int, kind: Kind) -> float:
    sink = Sink(kind, folder)
    try:
        mine = made.copy(folder / "shop", sink.port, signed=False)
        cost = run_together(("sender", mine.folder, _released(mine.folder, count), mine.warm_ups[0]))
    finally:
        took = sink.end()
    shutil.rmtree(folder)
    if took != count + people.WARM_UP_PEOPLE:
        raise RunFailed(f"{count} messages were to be sent, the server took {took - people.WARM_UP_PEOPLE}")
    return cost.peak_kb / 1024


def _released(folder: Path, count: int) -> int:
    """A plan with so many messages: that of a warm-up, its people doubled until there are enough."""
    mailer = pipeline.open_mailer(folder)
    try:
        plan_id = reference.drafted(mailer, f"{people.WARM_UP}0", "many").plan_id
        entries = people.WARM_UP_PEOPLE
        while entries < count:
            more = min(entries, count - entries)
            with mailer.store.write() as db:
                _double(db, plan_id, entries, more)
            entries += more
        ledger.release(mailer.store, plan_id, reference.AT, mailer.keys)
    finally:
        mailer.store.close()
    return plan_id


def _double(db: sa.Connection, plan_id: int, entries: int, more: int) -> None:
    """The first `more` of a plan's entries once more, for as many new contacts."""
    last = db.scalar(sa.select(sa.func.max(contact.c.id)))
    some = (plan_entry.c.plan_id == plan_id) & (plan_entry.c.n < more)
    who = contact.c.id.in_(sa.select(plan_entry.c.contact_id).where(some))

    number = contact.c.id + last
    address = sa.literal("copy") + sa.cast(number, sa.Text) + "@people.test"
    new = {"id": number, "email": address, "address_key": address, "external_id": sa.null()}
    _copy(db, contact, who, new)
    _copy(db, plan_entry, some, {"n": plan_entry.c.n + entries, "contact_id": plan_entry.c.contact_id + last})


def _copy(
    db: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool], new: Mapping[str, sa.ColumnElement[Any]]
) -> None:
    """Rows of a table once more, with these columns new."""
    columns = [new.get(one.name, one) for one in table.c]
    db.execute(sa.insert(table).from_select([one.name for one in table.c], sa.select(*columns).where(which)))


def main() -> None:
    """Measure, and say so."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--few", type=int, default=FEW)
    parser.add_argument("--many", type=int, default=MANY)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailer-memory-") as name:
        folder = Path(name)
        made = reference.make(folder / "made", contacts=_CONTACTS, messages=1)
        found = sender_peaks(made, chosen.few, chosen.many, folder, cheap_sink(folder) or reading_sink())
    print(f"{found.few:,} messages: {found.few_mb:.1f} MB; {found.many:,}: {found.many_mb:.1f} MB")
    print(f"{found.ratio:.2f} times as much (must: {MUST})")


if __name__ == "__main__":
    main()

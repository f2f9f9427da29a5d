"""What was bought? A row a line of an order; orders of people nobody knows yet make contacts without consent."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine.audience.bulk import write_many
from engine.audience.buyers import Buyers, mark_changed
from engine.audience.import_run import Importer, ImportOptions, ImportResult, Lines, Written, run
from engine.audience.kinds import ORDERS
from engine.audience.order_rows import OrderLine, OrderReader
from engine.audience.reading import Opened, Row
from engine.model import Progress, RefusedRow
from engine.store import Store, among
from engine.store.tables import order_line, orders

_LINE = ("product_id", "quantity", "returned", "unit_price_cents", "discount_cents", "revenue_cents")


def import_orders(
    store: Store, path: Path, options: ImportOptions, at: datetime, progress: Progress | None = None
) -> ImportResult:
    """Bring a file's orders into the database; goes on where it was broken off. Counts are of lines."""
    return run(store, path, ORDERS, options, at, progress, lambda opened: of_orders(opened, options, at))


def of_orders(_opened: Opened, options: ImportOptions, at: datetime) -> Importer[OrderLine]:
    """What brings in rows of orders."""
    return _Orders(options, at)


class _Orders:
    def __init__(self, options: ImportOptions, at: datetime) -> None:
        self._options, self._at = options, at
        self._reader = OrderReader(options)

    def read(self, row: Row) -> OrderLine:
        return self._reader.read(row.values)

    def before(self, store: Store, lines: Lines[OrderLine]) -> None:
        pass

    def write(self, store: Store, db: sa.Connection, lines: Lines[OrderLine]) -> Written:
        written = Written()
        buyers = Buyers(store, db, self._options.keys, [(one.address, one.external_id) for _, one in lines], self._at)
        by_order: dict[str, tuple[int, OrderLine]] = {}
        wanted: list[tuple[OrderLine, int]] = []
        for line, one in lines:
            try:
                buyer = buyers.number(one.address, one.external_id)
            except ValueError as fault:
                written.refused.append(RefusedRow(line=line, why=str(fault)))
                continue
            by_order[one.order_id] = (buyer, one)
            wanted.append((one, buyer))
        numbers, changed = _write_orders(store, db, by_order)
        changed |= _write_lines(store, db, wanted, numbers, written)
        mark_changed(db, changed)
        return written

    def recall(self, store: Store, db: sa.Connection, lines: Lines[OrderLine]) -> Mapping[int, tuple[bool, bool]]:
        return {}


def _write_orders(
    store: Store, db: sa.Connection, by_order: Mapping[str, tuple[int, OrderLine]]
) -> tuple[dict[str, int], set[int]]:
    """The orders' numbers, and the contacts for whom an order is new, moved or went to somebody else."""
    known = {row.order_id: row for row in db.execute(sa.select(orders).where(among(orders.c.order_id, by_order)))}
    numbers = {order_id: row.id for order_id, row in known.items()}
    changed: set[int] = set()
    new: list[dict[str, Any]] = []
    moved: list[dict[str, Any]] = []
    for order_id, (buyer, one) in by_order.items():
        row = known.get(order_id)
        if row is None:
            new.append({"order_id": order_id, "contact_id": buyer, "ordered_at": one.ordered_at})
            changed.add(buyer)
        elif (row.contact_id, row.ordered_at) != (buyer, one.ordered_at):
            moved.append({"this": row.id, "buyer": buyer, "moment": one.ordered_at})
            changed |= {buyer, row.contact_id}
    if new:
        write_many(store, db, _into_orders, new)
        inserted = sa.select(orders.c.order_id, orders.c.id).where(among(orders.c.order_id, by_order))
        numbers = {row.order_id: row.id for row in db.execute(inserted)}
    if moved:
        values: dict[str, Any] = {"contact_id": sa.bindparam("buyer"), "ordered_at": sa.bindparam("moment")}
        db.execute(sa.update(orders).where(orders.c.id == sa.bindparam("this")).values(values), moved)
    return numbers, changed


def _write_lines(
    store: Store,
    db: sa.Connection,
    wanted: Sequence[tuple[OrderLine, int]],
    numbers: Mapping[str, int],
    written: Written,
) -> set[int]:
    """Bring the lines in; gives the contacts for whom a line is new or another."""
    query = sa.select(order_line).where(among(order_line.c.order_pk, {numbers[one.order_id] for one, _ in wanted}))
    known = {(row.order_pk, row.line_no): tuple(row[2:]) for row in db.execute(query)}
    new: dict[tuple[int, int], dict[str, Any]] = {}
    moved: dict[tuple[int, int], dict[str, Any]] = {}
    changed: set[int] = set()
    for one, buyer in wanted:
        place = (numbers[one.order_id], one.line_no)
        told = tuple(getattr(one, name) for name in _LINE)
        if known.get(place) == told:
            written.unchanged += 1
            continue
        changed.add(buyer)
        if place in known and place not in new:
            written.updated += 1
            moved[place] = {
                "order": place[0],
                "line": place[1],
                **{f"new_{n}": v for n, v in zip(_LINE, told, strict=True)},
            }
        else:
            written.added += place not in known
            written.updated += place in known
            new[place] = {"order_pk": place[0], "line_no": place[1], **dict(zip(_LINE, told, strict=True))}
        known[place] = told
    write_many(store, db, _into_lines, list(new.values()))
    if moved:
        is_it = sa.and_(order_line.c.order_pk == sa.bindparam("order"), order_line.c.line_no == sa.bindparam("line"))
        bound: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in _LINE}
        db.execute(sa.update(order_line).where(is_it).values(bound), list(moved.values()))
    return changed


def _into_orders(_store: Store) -> sa.Insert:
    return sa.insert(orders)


def _into_lines(_store: Store) -> sa.Insert:
    return sa.insert(order_line)

"""What does the shop sell? A row a product; where a product's category or brand changes, its buyers' profiles do."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine.audience import values
from engine.audience.bulk import write_many
from engine.audience.buyers import mark_changed
from engine.audience.import_run import Importer, ImportOptions, ImportResult, Lines, Written, run
from engine.audience.kinds import PRODUCTS
from engine.audience.reading import Opened, Row, Value, Values
from engine.audience.values import CLEAR
from engine.model import Progress, RefusedRow
from engine.store import Store, among, chunks
from engine.store.tables import order_line, orders, product

ProductRow = Mapping[str, Any]  # columns of `product`; empty for a row that only adds a picture
_BUYERS_A_WRITE = 2000
_COLUMNS = tuple(one.name for one in product.c if one.name not in ("id", "product_id"))
_FOR_PROFILES = ("category", "brand")
_FRESH = {**dict.fromkeys(_COLUMNS), "recommendable": True}


def import_products(
    store: Store, path: Path, options: ImportOptions, at: datetime, progress: Progress | None = None
) -> ImportResult:
    """Bring a file's products into the database; goes on where it was broken off."""
    return run(store, path, PRODUCTS, options, at, progress, lambda opened: of_products(opened, options, at))


def of_products(opened: Opened, options: ImportOptions, _at: datetime) -> Importer[ProductRow]:
    """What brings in rows of products."""
    return _Products(_ShopifyProducts() if opened.header.is_shopify else dict, options)


class _Products:
    def __init__(self, prepared: Callable[[Values], Values], options: ImportOptions) -> None:
        self._prepared = prepared
        self._readers: dict[str, tuple[str, Callable[[Value], Any]]] = {
            "product_id": ("product_id", values.identifier),
            "title": ("title", values.text),
            "category": ("category", values.text),
            "brand": ("brand", values.text),
            "price": ("price_cents", lambda cell: _money(cell, options)),
            "cost": ("cost_cents", lambda cell: _money(cell, options)),
            "stock": ("stock", lambda cell: _stock(cell, options)),
            "url": ("url", values.web_address),
            "image_url": ("image_url", values.web_address),
            "recommendable": ("recommendable", values.yes_or_no),
        }

    def read(self, row: Row) -> ProductRow:
        cells = self._prepared(row.values)
        if not cells:
            return {}
        told: dict[str, Any] = {}
        for name, cell in cells.items():
            column, read = self._readers[name]
            try:
                told[column] = None if cell == CLEAR else read(cell)
            except ValueError as fault:
                raise ValueError(f"{name} {fault}") from None
        if told.get("product_id") is None:
            raise ValueError("no product_id")
        if told.get("title", "?") in (None, ""):
            raise ValueError("no title")
        if told.get("recommendable", "?") is None:
            told["recommendable"] = True
        return told

    def before(self, store: Store, lines: Lines[ProductRow]) -> None:
        """Buyers of what will change are marked first, in short transactions: a product may have many."""
        with store.read() as db:
            known = _known(store, db, lines)
            moved = {
                row["product_id"]
                for _, row in lines
                if row
                for before in [known.get(row["product_id"], _FRESH)]
                if any(name in row and row[name] != before[name] for name in _FOR_PROFILES)
            }
            bought = sa.select(order_line.c.order_pk).where(among(order_line.c.product_id, moved))
            buyers = sa.select(orders.c.contact_id).where(orders.c.id.in_(bought)).distinct()
            numbers = sorted(db.scalars(buyers)) if moved else []
        for part in chunks(numbers, _BUYERS_A_WRITE):
            with store.write() as db:
                mark_changed(db, part)

    def write(self, store: Store, db: sa.Connection, lines: Lines[ProductRow]) -> Written:
        written = Written()
        known, news = _known(store, db, lines), {}
        for line, row in lines:
            if not row:
                written.unchanged += 1
                continue
            product_id = row["product_id"]
            before = known.get(product_id)
            told = {**(before or _FRESH), **{name: value for name, value in row.items() if name != "product_id"}}
            if told["title"] is None:
                written.refused.append(RefusedRow(line=line, why="no title"))
            elif told == before:
                written.unchanged += 1
            else:
                written.added += before is None
                written.updated += before is not None
                known[product_id] = news[product_id] = told
        write_many(store, db, _into_product, [{"product_id": product_id, **row} for product_id, row in news.items()])
        return written

    def recall(self, store: Store, db: sa.Connection, lines: Lines[ProductRow]) -> Mapping[int, tuple[bool, bool]]:
        return {}


def _known(store: Store, db: sa.Connection, lines: Lines[ProductRow]) -> dict[str, dict[str, Any]]:
    ids = {row["product_id"] for _, row in lines if row}
    rows = db.execute(sa.select(product).where(among(product.c.product_id, ids))).mappings()
    return {row["product_id"]: {name: row[name] for name in _COLUMNS} for row in rows}


def _into_product(store: Store) -> sa.Insert:
    statement = store.insert(product)
    told_anew = {name: statement.excluded[name] for name in _COLUMNS}
    anew: sa.Insert = statement.on_conflict_do_update(index_elements=["product_id"], set_=told_anew)
    return anew


_OF_THE_WHOLE = frozenset({"handle", "title", "category", "brand", "image_url", "status"})


class _ShopifyProducts:
    """Shopify writes a row a variant, the product's own columns in the first one only, and rows with pictures alone.

    Orders name a variant by its SKU, so the SKU is the product here, or the handle where there is none.
    """

    def __init__(self) -> None:
        self._first: Values = {}

    def __call__(self, row: Values) -> Values:
        """The row in our own columns; empty when it only adds a picture."""
        if row.get("handle") != self._first.get("handle"):
            self._first = row
        if row is not self._first and "price" not in row:
            return {}
        whole = {name: cell for name, cell in self._first.items() if name in _OF_THE_WHOLE} | row
        own: Values = {
            name: whole[name] for name in ("category", "brand", "price", "cost", "image_url") if name in whole
        }
        if "product_id" in row or "handle" in whole:
            own["product_id"] = row.get("product_id", whole.get("handle", ""))
        options = [str(row[name]) for name in ("option1", "option2", "option3") if name in row]
        if "title" in whole:
            own["title"] = " - ".join([str(whole["title"]), *[one for one in options if one != "Default Title"]])
        if "tracker" in row and "stock" in row:  # without a tracker the quantity means nothing
            own["stock"] = row["stock"]
        if "status" in whole:
            own["recommendable"] = "yes" if str(whole["status"]).casefold() == "active" else "no"
        return own


def _money(cell: Value, options: ImportOptions) -> int:
    found = values.amount(cell, options.decimal)
    if found < 0:
        raise ValueError("is below 0")
    return values.minor(found, options.currency)


def _stock(cell: Value, options: ImportOptions) -> int:
    found = values.amount(cell, options.decimal)
    if not -(2**31) < found < 2**31:
        raise ValueError("is not a number of a sensible size")
    return int(found)

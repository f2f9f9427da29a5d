"""How do rows come in that a shop posts as things happen? The same rows, rules and refusals as a file's."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from engine.audience.import_contacts import of_contacts
from engine.audience.import_events import of_events
from engine.audience.import_orders import of_orders
from engine.audience.import_products import of_products
from engine.audience.import_run import Importer, ImportOptions, ImportResult, run_once
from engine.audience.kinds import CONTACTS, EVENTS, ORDERS, PRODUCTS, Kind
from engine.audience.reading import Opened, open_body
from engine.store import Store

_BODY = "the body"  # how a fault names it
_SOURCE = "posted by the shop"

_Make = Callable[[Opened, ImportOptions, datetime], Importer[Any]]
_KINDS: Mapping[str, tuple[Kind, _Make]] = {
    "contacts": (CONTACTS, partial(of_contacts, source=_SOURCE)),
    "products": (PRODUCTS, of_products),
    "orders": (ORDERS, of_orders),
    "events": (EVENTS, of_events),
}


def import_body(
    store: Store, kind: str, body: bytes, options: ImportOptions, at: datetime, *, is_csv: bool
) -> ImportResult:
    """Bring in the rows of a request's body; the same rows again change nothing. BadFile when it can't be read."""
    known, make = _KINDS[kind]
    opened = open_body(body, known, _BODY, is_csv=is_csv)
    return run_once(store, opened, known, options, make(opened, options, at))

"""What is known of one person? Found, shown, added by hand, and told in full when she asks (GDPR, article 15)."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from engine.audience.address import address
from engine.audience.contact_rows import ContactReader
from engine.audience.contact_writing import write_contacts
from engine.audience.import_run import ImportOptions, take_turns
from engine.errors import Refused, UnknownContact, Usage
from engine.links import Keys
from engine.store import Store
from engine.store.tables import (
    attempt,
    consent,
    contact,
    contact_attribute,
    enrolment,
    event,
    hit,
    message,
    order_line,
    orders,
    plan_entry,
    profile,
    recommendation,
    suppression,
)

_INTERNAL = frozenset({"id", "address_key", "company_size_number", "changed", "touched"})
_TIMER = {"id", "contact_id", "visit", "waiting", "rings_at", "seq", "pauses"}


def find(store: Store, email: str) -> int:
    """The contact with this mailbox, in any spelling; UnknownContact when there is none."""
    try:
        key = address(email, allow_test_domains=True).key
    except ValueError as fault:
        raise UnknownContact(f"{email!r} is not the address of a contact: {fault}") from None
    with store.read() as db:
        found = db.scalar(sa.select(contact.c.id).where(contact.c.address_key == key))
    if found is None:
        raise UnknownContact(f"no contact has the address {email!r}; `mailer contact add` or an import makes one")
    return int(found)


def add(store: Store, values: Mapping[str, str], options: ImportOptions, at: datetime, source: str) -> int:
    """Add a contact, or tell more of a known one, by the columns of an import file; gives her number."""
    cells = {name: value for name, value in values.items() if value.strip()}
    try:
        row = ContactReader(options, at, source, is_shopify=False).read(dict(cells))
    except ValueError as fault:
        raise Usage(f"the contact can't be added: {fault}") from None
    with store.write() as db:
        take_turns(store, db)
        written = write_contacts(store, db, options.keys, [(1, row)], at)
    if written.refused:
        raise Refused(f"the contact was not added: {written.refused[0].why}")
    return next(iter(written.standing))


def card(store: Store, keys: Keys, contact_id: int) -> dict[str, Any]:
    """What is known of the contact, with every statement of consent and whether her mailbox is suppressed."""
    with store.read() as db:
        return _card(db, keys, contact_id)


def export(store: Store, keys: Keys, contact_id: int) -> dict[str, Any]:
    """Everything held about the contact: her card, what she bought, did and was sent, and what was made of it."""
    with store.read() as db:
        return {
            **_card(db, keys, contact_id),
            "orders": _orders(db, contact_id),
            "events": _rows(db, event, event.c.contact_id == contact_id, hidden={"id", "contact_id"}),
            "messages": _messages(db, contact_id),
            "hits": _hits(db, contact_id),
            "plans": _rows(db, plan_entry, plan_entry.c.contact_id == contact_id, hidden={"contact_id", "context"}),
            "journeys": _rows(db, enrolment, enrolment.c.contact_id == contact_id, hidden=_TIMER),
            "profile": _rows(db, profile, profile.c.contact_id == contact_id, hidden={"contact_id"}),
            "recommendations": _rows(
                db, recommendation, recommendation.c.contact_id == contact_id, hidden={"contact_id"}
            ),
        }


def _card(db: sa.Connection, keys: Keys, contact_id: int) -> dict[str, Any]:
    row = db.execute(sa.select(contact).where(contact.c.id == contact_id)).mappings().one_or_none()
    if row is None:
        raise UnknownContact(f"there is no contact number {contact_id}")
    attributes = sa.select(contact_attribute).where(contact_attribute.c.contact_id == contact_id)
    return {
        **{name: told(value) for name, value in row.items() if name not in _INTERNAL},
        "attributes": {one.name: one.value for one in db.execute(attributes.order_by(contact_attribute.c.name))},
        "consent": _rows(
            db, consent, consent.c.contact_id == contact_id, hidden={"id", "contact_id"}, order=consent.c.at
        ),
        "suppression": _suppression(db, keys, row["address_key"]),
    }


def _suppression(db: sa.Connection, keys: Keys, address_key: str | None) -> dict[str, Any] | None:
    if address_key is None:
        return None
    is_hers = suppression.c.address_hash == keys.address_hash(address_key)
    return next(iter(_rows(db, suppression, is_hers, hidden={"address_hash"})), None)


def _orders(db: sa.Connection, contact_id: int) -> list[dict[str, Any]]:
    is_hers = orders.c.contact_id == contact_id
    lines: dict[int, list[dict[str, Any]]] = {}
    query = sa.select(order_line).join(orders, orders.c.id == order_line.c.order_pk).where(is_hers)
    for row in db.execute(query.order_by(order_line.c.order_pk, order_line.c.line_no)).mappings():
        lines.setdefault(row["order_pk"], []).append({n: told(v) for n, v in row.items() if n != "order_pk"})
    placed = db.execute(sa.select(orders).where(is_hers).order_by(orders.c.ordered_at, orders.c.id))
    return [
        {"order_id": row.order_id, "ordered_at": told(row.ordered_at), "lines": lines.get(row.id, [])} for row in placed
    ]


def _messages(db: sa.Connection, contact_id: int) -> list[dict[str, Any]]:
    tries = sa.select(attempt).join(message, message.c.id == attempt.c.message_id)
    found: dict[int, list[dict[str, Any]]] = {}
    for row in db.execute(tries.where(message.c.contact_id == contact_id).order_by(attempt.c.n)).mappings():
        found.setdefault(row["message_id"], []).append({n: told(row[n]) for n in ("at", "state", "reason", "reply")})
    hers = sa.select(message).where(message.c.contact_id == contact_id).order_by(message.c.id)
    shown = ("campaign", "occurrence", "variant", "state", "reason", "send_at", "sent_at")
    return [
        {**{name: told(row[name]) for name in shown}, "attempts": found.get(row["id"], [])}
        for row in db.execute(hers).mappings()
    ]


def _hits(db: sa.Connection, contact_id: int) -> list[dict[str, Any]]:
    hers = sa.select(message.c.id).where(message.c.contact_id == contact_id)
    return _rows(db, hit, hit.c.message_id.in_(hers), hidden={"id", "spool_id", "message_id"})


def _rows(
    db: sa.Connection,
    table: sa.Table,
    which: sa.ColumnElement[bool],
    hidden: set[str],
    order: sa.ColumnElement[Any] | None = None,
) -> list[dict[str, Any]]:
    query: sa.Select[Any] = sa.select(table).where(which)
    by: Sequence[sa.ColumnElement[Any]] = [order] if order is not None else list(table.primary_key)
    rows = db.execute(query.order_by(*by)).mappings()
    return [{name: told(value) for name, value in row.items() if name not in hidden} for row in rows]


def told(value: Any) -> Any:
    """A value as JSON can hold it."""
    return value.isoformat() if isinstance(value, datetime | date) else value

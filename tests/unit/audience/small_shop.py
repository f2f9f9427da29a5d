"""A shop that a test writes down row by row; facts go in as an import puts them: with `changed` set."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from engine.store import Store
from engine.store.tables import contact, contact_attribute, hit, message, order_line, orders, plan, product

Line = tuple[str | None, float, float, int, int]  # product, quantity, returned, unit price, discount


def moment(text: str) -> datetime:
    """`2026-03-01` or `2026-03-01 12:30`, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def line(product_id: str | None, cents: int, quantity: float = 1, returned: float = 0, discount: int = 0) -> Line:
    return (product_id, quantity, returned, cents, discount)


class SmallShop:
    def __init__(self, store: Store) -> None:
        self.store = store
        self._number = 0
        self._open: sa.Connection | None = None

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """All that is written inside goes in as one transaction: for tests that fill many shops."""
        with self.store.write() as self._open:
            yield
        self._open = None

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        if self._open is not None:
            yield self._open
            return
        with self.store.write() as db:
            yield db

    def contact(self, contact_id: int, **columns: Any) -> int:
        address = f"p{contact_id}@shop.test"
        values = {"email": address, "address_key": address, "created_at": moment("2025-01-01"), **columns}
        with self._write() as db:
            db.execute(contact.insert().values(id=contact_id, changed=True, **values))
        return contact_id

    def attribute(self, contact_id: int, name: str, value: str, number: float | None = None) -> None:
        with self._write() as db:
            db.execute(contact_attribute.insert().values(contact_id=contact_id, name=name, value=value, number=number))

    def product(self, product_id: str, **columns: Any) -> None:
        values = {"title": product_id.title(), "url": f"https://shop.test/{product_id}", "price_cents": 1000, **columns}
        with self._write() as db:
            db.execute(product.insert().values(product_id=product_id, **values))

    def order(self, contact_id: int, at: str | datetime, *lines: Line) -> None:
        self._number += 1
        placed = moment(at) if isinstance(at, str) else at
        with self._write() as db:
            head = orders.insert().values(order_id=f"o{self._number}", contact_id=contact_id, ordered_at=placed)
            key = db.execute(head).inserted_primary_key[0]
            for n, (product_id, quantity, returned, price, discount) in enumerate(lines or [line(None, 1000)]):
                share = (quantity - returned) / quantity
                row = {
                    "order_pk": key,
                    "line_no": n,
                    "product_id": product_id,
                    "quantity": quantity,
                    "returned": returned,
                    "unit_price_cents": price,
                    "discount_cents": discount,
                    "revenue_cents": round((quantity * price - discount) * share),
                }
                db.execute(order_line.insert().values(row))
            db.execute(contact.update().where(contact.c.id == contact_id).values(changed=True))

    def message(self, contact_id: int, sent_at: str | None, state: str = "sent") -> int:
        """A message of a plan of its own; gives its id."""
        self._number += 1
        day = moment(sent_at or "2026-01-01")
        with self._write() as db:
            of = plan.insert().values(
                campaign=f"c{self._number}",
                occurrence="once",
                state="released",
                frozen=True,
                at=day,
                definition={},
                summary={},
                hash="",
            )
            plan_id = db.execute(of).inserted_primary_key[0]
            one = message.insert().values(
                campaign=f"c{self._number}",
                occurrence="once",
                contact_id=contact_id,
                plan_id=plan_id,
                n=0,
                delivery_id=f"d{self._number}",
                variant="a",
                state=state,
                send_at=day,
                sent_at=day if sent_at else None,
            )
            return int(db.execute(one).inserted_primary_key[0])

    def hit(self, message_id: int, at: str, kind: str = "click", verdict: str | None = "human") -> None:
        self._number += 1
        with self._write() as db:
            db.execute(
                hit.insert().values(
                    spool_id=f"s{self._number}",
                    kind=kind,
                    message_id=message_id,
                    site=0,
                    occurrence=0,
                    at=moment(at),
                    method="GET",
                    verdict=verdict,
                )
            )

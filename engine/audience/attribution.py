"""What did contacts buy or do in a stretch of time? Rows for reports, and who reached a goal since the freeze.

A stretch begins after its first moment and includes its last: what counts as "before" in a profile as of `first`
is never counted again as an answer.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engine.store import Store, among, chunks
from engine.store.tables import event, fact, order_line, orders, product

_CONTACTS_A_QUERY = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """One order: its revenue, and what its kept goods cost the shop; None when a product's cost isn't known."""

    contact_id: int
    at: datetime
    revenue_cents: int
    cost_cents: int | None


def purchases(store: Store, contact_ids: Sequence[int], first: datetime, last: datetime) -> Iterator[Purchase]:
    """Every order of these contacts after `first` and up to `last`, by contact and time.

    Also the source of spend before a plan: `first` 90 days before it, `last` the planned time.
    """
    kept = order_line.c.quantity - order_line.c.returned
    # Nothing kept costs nothing, whatever is known of the product.
    cost = sa.case((kept > 0, kept * product.c.cost_cents), else_=0.0)
    query = (
        sa.select(
            orders.c.contact_id,
            orders.c.ordered_at,
            sa.func.sum(order_line.c.revenue_cents).label("revenue"),
            sa.func.sum(cost).label("cost"),
            sa.func.sum(sa.case((cost.is_(None), 1), else_=0)).label("unknown"),
        )
        .join_from(orders, order_line, order_line.c.order_pk == orders.c.id)
        .outerjoin(product, product.c.product_id == order_line.c.product_id)
        .where(orders.c.ordered_at > first, orders.c.ordered_at <= last)
        .group_by(orders.c.id, orders.c.contact_id, orders.c.ordered_at)
        .order_by(orders.c.contact_id, orders.c.ordered_at, orders.c.id)
    )
    for some in chunks(sorted(contact_ids), _CONTACTS_A_QUERY):
        with store.read() as db:
            rows = db.execute(query.where(among(orders.c.contact_id, some))).all()
        for row in rows:
            yield Purchase(
                contact_id=row.contact_id,
                at=row.ordered_at,
                revenue_cents=int(row.revenue),
                cost_cents=None if row.unknown else math.floor(row.cost + 0.5),
            )


def goals_reached(store: Store, goal: str, since_by_contact: Mapping[int, datetime], until: datetime) -> set[int]:
    """Who ordered (`order`) or did something (`event:NAME`) after their own moment and up to `until`.

    Raises ValueError for another goal: clicks are known to the ledger.
    """
    if not since_by_contact:
        return set()
    latest = _latest(goal, min(since_by_contact.values()), until)
    found = set()
    for some in chunks(sorted(since_by_contact), _CONTACTS_A_QUERY):
        with store.read() as db:
            rows = db.execute(latest.where(among(latest.selected_columns[0], some))).all()
        found |= {contact_id for contact_id, moment in rows if moment > since_by_contact[contact_id]}
    return found


def latest(store: Store, goal: str, contact_ids: Sequence[int], first: datetime, last: datetime) -> dict[int, datetime]:
    """When each contact last ordered (`order`) or did something (`event:NAME`) after `first` and up to `last`."""
    query = _latest(goal, first, last)
    found: dict[int, datetime] = {}
    for some in chunks(contact_ids, _CONTACTS_A_QUERY):
        with store.read() as db:
            rows = db.execute(query.where(among(query.selected_columns[0], some))).all()
        found |= {row[0]: row[1] for row in rows}
    return found


def first_events(store: Store, kind: str, since_by_contact: Mapping[int, datetime]) -> dict[int, datetime]:
    """When each contact first did this after their own moment; who never did is left out."""
    found: dict[int, datetime] = {}
    for some in chunks(sorted(since_by_contact), _CONTACTS_A_QUERY):
        earliest = min(since_by_contact[one] for one in some)
        query = sa.select(event.c.contact_id, event.c.at).where(event.c.kind == kind, event.c.at > earliest)
        with store.read() as db:
            rows = db.execute(query.where(among(event.c.contact_id, some)).order_by(event.c.at)).all()
        for contact_id, at in rows:
            if at > since_by_contact[contact_id]:
                found.setdefault(contact_id, at)
    return found


def orders_until(store: Store) -> datetime | None:
    """Up to when orders are known: as the import said, else the latest order; None without any."""
    with store.read() as db:
        said = db.scalar(sa.select(fact.c.value).where(fact.c.name == "orders_until"))
        seen = db.scalar(sa.select(sa.func.max(orders.c.ordered_at)))
    told = None if said is None else datetime.fromisoformat(said)
    return max((moment for moment in (told, seen) if moment is not None), default=None)


def _latest(goal: str, first: datetime, last: datetime) -> sa.Select[int, datetime]:
    """Contact and moment of the latest time that the goal was reached."""
    kind, _, name = goal.partition(":")
    if goal == "order":
        who, when = orders.c.contact_id, orders.c.ordered_at
    elif kind == "event" and name:
        who, when = event.c.contact_id, event.c.at
    else:
        raise ValueError(f"orders and events can't tell who reached the goal {goal!r}")
    query = sa.select(who, sa.func.max(when)).where(when > first, when <= last).group_by(who)
    return query if goal == "order" else query.where(event.c.kind == name)

"""What did contacts do that a journey has not looked at yet? Its events or orders beyond each one's mark."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engine.store import Store, among
from engine.store.tables import event, orders, watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An event or order. `id` grows in the order in which they came in, `cause` names it for good."""

    id: int
    contact_id: int
    at: datetime
    cause: str


def new_events(store: Store, name: str, kind: str, since: datetime, contact_ids: Sequence[int]) -> list[Act]:
    """Events of this kind from `since` on that the journey has not looked at, by time."""
    one = event.c
    wanted = sa.select(one.id, one.contact_id, one.at, one.event_id.label("key")).where(one.kind == kind)
    return _acts(store, wanted, (one.id, one.contact_id, one.at), name, since, contact_ids, "event")


def new_orders(store: Store, name: str, since: datetime, contact_ids: Sequence[int]) -> list[Act]:
    """Orders from `since` on that the journey has not looked at, by time."""
    one = orders.c
    wanted = sa.select(one.id, one.contact_id, one.ordered_at.label("at"), one.order_id.label("key"))
    return _acts(store, wanted, (one.id, one.contact_id, one.ordered_at), name, since, contact_ids, "order")


def _acts(
    store: Store,
    wanted: sa.Select[int, int, datetime, str],
    columns: tuple[sa.ColumnElement[int], sa.ColumnElement[int], sa.ColumnElement[datetime]],
    name: str,
    since: datetime,
    contact_ids: Sequence[int],
    word: str,
) -> list[Act]:
    key, whose, at = columns
    mark = sa.select(watch.c.mark).where(watch.c.journey == name, watch.c.contact_id == whose).scalar_subquery()
    new = wanted.where(among(whose, contact_ids), at >= since, key > sa.func.coalesce(mark, 0)).order_by(at, key)
    with store.read() as db:
        return [
            Act(id=row.id, contact_id=row.contact_id, at=row.at, cause=f"{word}/{row.key}") for row in db.execute(new)
        ]

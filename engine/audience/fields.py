"""Where does each field of a profile lie in the database, as of a moment? The same answers as `people`, in SQL.

For `SELECT ... FROM contact LEFT JOIN profile` (`PEOPLE`), while the stored figures are those of the moment.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from engine.audience.asof import Lens
from engine.audience.lifecycle import stage_sql
from engine.audience.yardstick import DAY, rank_sql
from engine.clock import local_day
from engine.model import FIELDS, FieldKind, HitKind, MessageState, Verdict
from engine.rules import SqlField
from engine.store import to_micros
from engine.store.tables import contact, contact_attribute, hit, message, profile

MONTH = timedelta(days=30)

PEOPLE = sa.outerjoin(contact, profile, profile.c.contact_id == contact.c.id)

Expression = sa.ColumnElement[Any]


def is_erased() -> sa.ColumnElement[bool]:
    """Nothing is left by which this contact could be known: selected by no rule."""
    return sa.and_(contact.c.email.is_(None), contact.c.address_key.is_(None), contact.c.external_id.is_(None))


class ProfileColumns:
    """What `rules.to_sql` asks for: the expressions of every field, built for one moment."""

    def __init__(self, lens: Lens) -> None:
        self._derived = _derived(lens)

    def field(self, name: str) -> SqlField:
        """The expressions of a name in `model.FIELDS`."""
        expression = self._derived[name] if name in self._derived else _column(name)
        return _PLACED[FIELDS[name]](expression)

    def attribute(self, name: str) -> SqlField:
        """The expressions of `attributes.NAME`."""
        return SqlField(kind=FieldKind.LOOSE, text=_attribute("value", name), number=_attribute("number", name))


_PLACED: dict[FieldKind, Callable[[Expression], SqlField]] = {
    FieldKind.TEXT: lambda one: SqlField(kind=FieldKind.TEXT, text=one),
    FieldKind.NUMBER: lambda one: SqlField(kind=FieldKind.NUMBER, number=one),
    FieldKind.BOOLEAN: lambda one: SqlField(kind=FieldKind.BOOLEAN, flag=one),
    FieldKind.MOMENT: lambda one: SqlField(kind=FieldKind.MOMENT, moment=one),
    FieldKind.LIST: lambda one: SqlField(kind=FieldKind.LIST, items=one),
    FieldKind.LOOSE: lambda one: SqlField(kind=FieldKind.LOOSE, text=one, number=contact.c.company_size_number),
}


def _column(name: str) -> Expression:
    return contact.c[name] if name in contact.c else profile.c[name]


def _attribute(column: str, name: str) -> Expression:
    whose = contact_attribute.c.contact_id == contact.c.id
    query = sa.select(contact_attribute.c[column]).where(whose, contact_attribute.c.name == name)
    return query.correlate(contact).scalar_subquery()


def _derived(lens: Lens) -> dict[str, Expression]:
    """The fields that are not simply a column."""
    count = sa.func.coalesce(profile.c.orders_count, 0)
    cents = sa.func.coalesce(profile.c.revenue_cents, 0)
    revenue = sa.cast(cents, sa.Double) / float(lens.minor)
    days_since = (to_micros(lens.at) - sa.type_coerce(profile.c.last_order_at, sa.BigInteger)) // sa.literal(
        DAY, sa.BigInteger
    )
    frequency = _if_bought(rank_sql(count, lens.yardstick.frequency))
    return {
        "age": _age(lens),
        "orders_count": count,
        "revenue": revenue,
        "average_order": _if_bought(revenue / sa.cast(count, sa.Double)),
        "days_since_last_order": days_since,
        "recency_score": _if_bought(6 - rank_sql(days_since, lens.yardstick.recency)),
        "frequency_score": frequency,
        "monetary_score": _if_bought(rank_sql(cents, lens.yardstick.monetary)),
        "lifecycle": stage_sql(
            purchase_days=profile.c.purchase_days,
            mean_gap_days=profile.c.mean_gap_days,
            days_since=days_since,
            frequency_score=frequency,
            shop_gap_days=lens.yardstick.shop_gap_days,
        ),
        **_contacted(lens.at),
    }


def _if_bought(value: Expression) -> Expression:
    return sa.case((profile.c.orders_count > 0, value), else_=sa.null())


def _age(lens: Lens) -> Expression:
    """Whole years by the calendar in the shop's zone: yyyymmdd less yyyymmdd, without the last four digits."""
    day = local_day(lens.at, lens.basis.zone)
    today = day.year * 10000 + day.month * 100 + day.day
    born = sa.type_coerce(contact.c.birth_date, sa.Integer)
    return sa.case((born <= today, (today - born) // sa.literal(10000, sa.Integer)), else_=sa.null())


def _contacted(at: datetime) -> dict[str, Expression]:
    sent = sent_until(at).where(message.c.contact_id == contact.c.id).correlate(contact)
    clicked = clicked_until(at).where(message.c.contact_id == contact.c.id).correlate(contact)
    return {
        "sent_30d": _of(sent.where(message.c.sent_at > at - MONTH), sa.func.count()),
        "last_sent_at": _of(sent, sa.func.max(message.c.sent_at)),
        "human_clicks_30d": _of(clicked.where(hit.c.at > at - MONTH), sa.func.count()),
        "last_click_at": _of(clicked, sa.func.max(hit.c.at)),
    }


def sent_until(at: datetime) -> sa.Select[tuple[()]]:
    """The messages that had gone out by a moment; columns to be added."""
    return sa.select().select_from(message).where(message.c.state == MessageState.SENT, message.c.sent_at <= at)


def clicked_until(at: datetime) -> sa.Select[tuple[()]]:
    """The clicks by human hand up to a moment; columns to be added."""
    by_hand = sa.and_(hit.c.kind == HitKind.CLICK, hit.c.verdict == Verdict.HUMAN, hit.c.at <= at)
    return sa.select().join_from(message, hit, hit.c.message_id == message.c.id).where(by_hand)


def _of(query: sa.Select[tuple[()]], value: Expression) -> Expression:
    return query.add_columns(value).scalar_subquery()

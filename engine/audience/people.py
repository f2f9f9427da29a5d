"""Who is this contact, as of a moment? Profiles for rules and templates, and candidates for plans."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from engine.audience.asof import Lens, figures_seen, look
from engine.audience.consent import standings
from engine.audience.fields import MONTH, clicked_until, sent_until
from engine.audience.lifecycle import stage
from engine.audience.picks import picks_for
from engine.audience.profile import Figures
from engine.audience.yardstick import DAY, rank
from engine.clock import local_day
from engine.links import Keys
from engine.model import Candidate, Profile
from engine.store import Store, among, chunks, to_micros
from engine.store.tables import contact, contact_attribute, hit, message

_CONTACTS_A_CHUNK = 500

# The columns of `contact` that a profile shows as they stand.
_SHOWN = (
    "email external_id given_name family_name full_name honorific language country region city timezone gender "
    "job_title company industry company_size income_band mailing_consent tracking_consent created_at"
).split()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How the shop looks at people: its zone, its currency, and the languages it speaks (first = fallback)."""

    zone: ZoneInfo
    currency: str
    languages: tuple[str, ...]


def profiles(store: Store, contact_ids: Sequence[int], at: datetime, zone: ZoneInfo, currency: str) -> list[Profile]:
    """The profiles as of `at`, in the order of the ids; an id without contact is left out."""
    with store.read() as db:
        lens = look(db, at, zone, currency)
        return [who for some in chunks(contact_ids, _CONTACTS_A_CHUNK) for who, _ in people_seen(db, some, lens)]


def candidates(store: Store, contact_ids: Sequence[int], at: datetime, keys: Keys, view: View) -> Iterator[Candidate]:
    """Profile, picks and standing of each contact, in the order of the ids, read in chunks.

    Standing is today's, also for a past `at`: nobody is mailed against a later opt-out.
    """
    with store.read() as db:
        lens = look(db, at, view.zone, view.currency)
    for some in chunks(contact_ids, _CONTACTS_A_CHUNK):
        with store.read() as db:
            seen = people_seen(db, some, lens)
            picks = picks_for(db, seen, lens, view.languages)
        standing_of = standings(store, keys, some)
        for who, _ in seen:
            yield Candidate(profile=who, picks=picks[who.contact_id], standing=standing_of[who.contact_id])


def people_seen(db: sa.Connection, contact_ids: Sequence[int], lens: Lens) -> list[tuple[Profile, Figures]]:
    """The profiles of some hundreds of contacts through one lens, with the figures they rest on."""
    rows = {row.id: row for row in db.execute(sa.select(contact).where(among(contact.c.id, contact_ids)))}
    drawn = figures_seen(db, contact_ids, lens)
    attributes = _attributes(db, contact_ids)
    contacted = _contacted(db, contact_ids, lens.at)
    found = []
    for one in contact_ids:
        if one in rows:
            its = drawn.get(one, Figures())
            found.append((_profile(rows[one], its, attributes.get(one, {}), contacted.get(one, {}), lens), its))
    return found


def _profile(
    row: sa.Row[Any], drawn: Figures, attributes: dict[str, str], contacted: dict[str, Any], lens: Lens
) -> Profile:
    return Profile(
        contact_id=row.id,
        **{name: getattr(row, name) for name in _SHOWN},
        **contacted,
        **_derived(drawn, lens),
        greeting=drawn.greeting,
        age=_age(row.birth_date, lens),
        interests=tuple(row.interests),
        tags=tuple(row.tags),
        attributes=attributes,
        orders_count=drawn.orders_count,
        first_order_at=drawn.first_order_at,
        last_order_at=drawn.last_order_at,
        usual_gap_days=drawn.usual_gap_days,
        favourite_category=drawn.favourite_category,
        favourite_brand=drawn.favourite_brand,
        categories=drawn.categories,
        brands=drawn.brands,
        discount_share=drawn.discount_share,
    )


def _derived(drawn: Figures, lens: Lens) -> dict[str, Any]:
    """What depends on the moment, on the shop's other contacts, or on the currency."""
    if drawn.last_order_at is None:
        return {}
    yardstick, revenue = lens.yardstick, drawn.revenue_cents / lens.minor
    days_since = (to_micros(lens.at) - to_micros(drawn.last_order_at)) // DAY
    frequency = rank(drawn.orders_count, yardstick.frequency)
    return {
        "revenue": revenue,
        "average_order": revenue / drawn.orders_count,
        "days_since_last_order": days_since,
        "recency_score": 6 - rank(days_since, yardstick.recency),
        "frequency_score": frequency,
        "monetary_score": rank(drawn.revenue_cents, yardstick.monetary),
        "lifecycle": stage(
            purchase_days=drawn.purchase_days,
            mean_gap_days=drawn.mean_gap_days,
            days_since=days_since,
            frequency_score=frequency,
            shop_gap_days=yardstick.shop_gap_days,
        ),
    }


def _age(born: date | None, lens: Lens) -> int | None:
    today = local_day(lens.at, lens.basis.zone)
    if born is None or born > today:
        return None
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _attributes(db: sa.Connection, contact_ids: Sequence[int]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    one = contact_attribute.c
    query = sa.select(one.contact_id, one.name, one.value).where(among(one.contact_id, contact_ids))
    for contact_id, name, value in db.execute(query.order_by(one.contact_id, one.name)):
        found.setdefault(contact_id, {})[name] = value
    return found


def _contacted(db: sa.Connection, contact_ids: Sequence[int], at: datetime) -> dict[int, dict[str, Any]]:
    """What was sent to each, and what they clicked; only those to whom anything was sent."""
    whose = message.c.contact_id
    found: dict[int, dict[str, Any]] = {}
    for query, moment, count, last in (
        (sent_until(at), message.c.sent_at, "sent_30d", "last_sent_at"),
        (clicked_until(at), hit.c.at, "human_clicks_30d", "last_click_at"),
    ):
        recent = sa.func.sum(sa.case((moment > at - MONTH, 1), else_=0))
        columns = query.add_columns(whose, recent, sa.func.max(moment))
        for contact_id, number, latest in db.execute(columns.where(among(whose, contact_ids)).group_by(whose)):
            found.setdefault(contact_id, {}).update({count: number, last: latest})
    return found

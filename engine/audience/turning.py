"""When does what a profile shows change by itself? Birthdays, a rhythm that is broken, a month that is over.

Exact, as of the stored yardstick: a new one is drawn every night, and moves scores and lifecycles by itself.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from engine.audience.asof import Lens, look
from engine.audience.fields import MONTH
from engine.audience.lifecycle import turning_days
from engine.audience.people import people_seen
from engine.audience.profile import Figures
from engine.clock import local_day
from engine.model import HitKind, MessageState, Profile, Verdict
from engine.store import Store, among, chunks, from_micros
from engine.store.tables import contact, contact_attribute, hit, message

_CONTACTS_A_CHUNK = 500
_DAY = timedelta(days=1)

YARDSTICK_FIELDS = frozenset({"recency_score", "frequency_score", "monetary_score", "lifecycle"})
SENT_FIELDS = frozenset({"sent_30d", "last_sent_at"})
_CLICK_FIELDS = frozenset({"human_clicks_30d", "last_click_at"})

Turns = dict[str, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """A profile, and when which of its fields changes by itself; a field that is not named stands still."""

    profile: Profile
    turns: Mapping[str, datetime]


def foreseen(
    store: Store, contact_ids: Sequence[int], at: datetime, zone: ZoneInfo, currency: str, names: Collection[str]
) -> list[Foreseen]:
    """The profiles as of `at`, in the order of the ids, with the turns of those of the fields `names` that have any."""
    found: list[Foreseen] = []
    with store.read() as db:
        lens = look(db, at, zone, currency)
        for some in chunks(contact_ids, _CONTACTS_A_CHUNK):
            seen = people_seen(db, some, lens)
            turns = _turns(db, seen, lens, frozenset(names))
            found += [Foreseen(profile=who, turns=turns.get(who.contact_id, {})) for who, _ in seen]
    return found


def birth_dates(store: Store, contact_ids: Sequence[int]) -> dict[int, date]:
    """The day on which each of these contacts was born, where it is known."""
    born, found = contact.c.birth_date, dict[int, date]()
    with store.read() as db:
        for some in chunks(contact_ids, _CONTACTS_A_CHUNK):
            rows = db.execute(sa.select(contact.c.id, born).where(among(contact.c.id, some), born.is_not(None)))
            found |= {row.id: row.birth_date for row in rows}
    return found


def attributes_of(store: Store, contact_ids: Sequence[int], name: str) -> dict[int, str]:
    """What `attributes.NAME` says of each of these contacts, where it says anything."""
    one, found = contact_attribute.c, dict[int, str]()
    with store.read() as db:
        for some in chunks(contact_ids, _CONTACTS_A_CHUNK):
            rows = db.execute(sa.select(one.contact_id, one.value).where(among(one.contact_id, some), one.name == name))
            found |= {row.contact_id: row.value for row in rows}
    return found


def yardstick_moment(store: Store, at: datetime, zone: ZoneInfo, currency: str) -> datetime:
    """Of which moment the yardstick is that profiles as of `at` are measured by."""
    with store.read() as db:
        return look(db, at, zone, currency).yardstick.as_of


def _turns(
    db: sa.Connection, seen: Sequence[tuple[Profile, Figures]], lens: Lens, names: frozenset[str]
) -> dict[int, Turns]:
    found: dict[int, Turns] = {who.contact_id: {} for who, _ in seen}
    if "lifecycle" in names:
        _add(found, "lifecycle", ((who.contact_id, _stage_turns(drawn, lens)) for who, drawn in seen))
    if "recency_score" in names:
        _add(found, "recency_score", ((who.contact_id, _recency_turns(drawn, lens)) for who, drawn in seen))
    if "age" in names:
        _add(found, "age", _birthdays(db, list(found), lens))
    if names & SENT_FIELDS:
        mailed = sa.select().select_from(message).where(message.c.state == MessageState.SENT)
        _add_counted(db, found, mailed, message.c.sent_at, ("sent_30d", "last_sent_at"), lens.at)
    if names & _CLICK_FIELDS:
        by_hand = (hit.c.kind == HitKind.CLICK, hit.c.verdict == Verdict.HUMAN)
        clicked = sa.select().join_from(message, hit, hit.c.message_id == message.c.id).where(*by_hand)
        _add_counted(db, found, clicked, hit.c.at, ("human_clicks_30d", "last_click_at"), lens.at)
    return found


def _add(found: dict[int, Turns], name: str, moments: Iterable[tuple[int, datetime | None]]) -> None:
    for contact_id, moment in moments:
        if moment is not None:
            found[contact_id][name] = moment


def _stage_turns(drawn: Figures, lens: Lens) -> datetime | None:
    days = turning_days(
        purchase_days=drawn.purchase_days,
        mean_gap_days=drawn.mean_gap_days,
        shop_gap_days=lens.yardstick.shop_gap_days,
    )
    return _first_after(drawn.last_order_at, days, lens.at)


def _recency_turns(drawn: Figures, lens: Lens) -> datetime | None:
    return _first_after(drawn.last_order_at, (cut + 1 for cut in lens.yardstick.recency), lens.at)


def _first_after(bought_at: datetime | None, days: Iterable[int], at: datetime) -> datetime | None:
    """The first of some days after the last order that is still to come."""
    if bought_at is None:
        return None
    since = (at - bought_at) // _DAY
    ahead = min((one for one in days if one > since), default=None)
    return None if ahead is None else bought_at + ahead * _DAY


def _birthdays(db: sa.Connection, contact_ids: Sequence[int], lens: Lens) -> Iterable[tuple[int, datetime | None]]:
    born = contact.c.birth_date
    rows = db.execute(sa.select(contact.c.id, born).where(among(contact.c.id, contact_ids), born.is_not(None)))
    return [(row.id, next_birthday(row.birth_date, lens.at, lens.basis.zone)) for row in rows]


def next_birthday(born: date, at: datetime, zone: ZoneInfo) -> datetime | None:
    """When an age grows next, by the calendar in `zone`: who was born on 29 February is older from 1 March on."""
    today = local_day(at, zone)
    years = range(max(born.year, today.year - 1), max(born.year, today.year) + 2)
    days = [born if born.year == year else _day_of(born, year) for year in years]
    # Where a clock skips midnight, or shows it twice, the earlier of its readings: never too late.
    midnights = [datetime.combine(day, time(fold=fold), zone) for day in days for fold in (0, 1)]
    return min((start for one in midnights if (start := one.astimezone(UTC)) > at), default=None)


def _day_of(born: date, year: int) -> date:
    try:
        return born.replace(year=year)
    except ValueError:
        return date(year, 3, 1)


def _add_counted(
    db: sa.Connection,
    found: dict[int, Turns],
    what: sa.Select[tuple[()]],
    moment: sa.ColumnElement[datetime],
    names: tuple[str, str],
    at: datetime,
) -> None:
    """A count of 30 days falls when the oldest leaves them; what a clock set back sees ahead will count when due."""
    counted, last = names
    whose, micros = message.c.contact_id, sa.type_coerce(moment, sa.BigInteger)
    oldest = sa.func.min(sa.case((moment <= at, micros)))
    ahead = sa.func.min(sa.case((moment > at, micros)))
    query = what.add_columns(whose, oldest, ahead).where(among(whose, list(found)), moment > at - MONTH)
    for contact_id, first, coming in db.execute(query.group_by(whose)):
        ends = [] if first is None else [from_micros(first) + MONTH]
        if coming is not None:
            ends.append(from_micros(coming))
            found[contact_id][last] = from_micros(coming)
        found[contact_id][counted] = min(ends)

"""Whom does a rule select, as of a moment, and why is somebody in or out?

While the stored figures are those of the moment, one SQL statement answers; for a moment of which they are not, every
contact's profile is computed from orders and the rule is evaluated on it. Both ways select the same contacts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from engine import rules
from engine.audience.asof import Lens, are_stored, look
from engine.audience.fields import PEOPLE, ProfileColumns, is_erased
from engine.audience.people import people_seen, profiles
from engine.errors import UnknownContact
from engine.model import Profile
from engine.rules import Rule, Step
from engine.store import Store, chunks
from engine.store.tables import contact

_CONTACTS_A_CHUNK = 250

Segments = Mapping[str, Rule]


def select(
    store: Store,
    rule: Rule,
    at: datetime,
    segments: Segments,
    zone: ZoneInfo,
    exclude: Rule | None = None,
    *,
    currency: str,
) -> list[int]:
    """The ids of all contacts for whom the rule holds at `at` and `exclude` doesn't, ascending. Erased ones never."""
    question = _Question(rule=rule, exclude=exclude, segments=segments)
    with store.read() as db:
        lens = look(db, at, zone, currency)
        if are_stored(db, lens.basis):
            return question.ids(db, lens)
    return [who.contact_id for who in question.answers(store, lens)]


def count(
    store: Store,
    rule: Rule,
    at: datetime,
    segments: Segments,
    zone: ZoneInfo,
    exclude: Rule | None = None,
    *,
    currency: str,
) -> int:
    """How many `select` finds."""
    question = _Question(rule=rule, exclude=exclude, segments=segments)
    with store.read() as db:
        lens = look(db, at, zone, currency)
        if are_stored(db, lens.basis):
            return question.number(db, lens)
    return sum(1 for _ in question.answers(store, lens))


def members(
    store: Store, rule: Rule, at: datetime, segments: Segments, zone: ZoneInfo, *, currency: str
) -> Iterator[Profile]:
    """The profiles of all whom the rule selects, by id, read in chunks."""
    question = _Question(rule=rule, exclude=None, segments=segments)
    with store.read() as db:
        lens = look(db, at, zone, currency)
        ids = question.ids(db, lens) if are_stored(db, lens.basis) else None
    if ids is None:
        yield from question.answers(store, lens)
        return
    for some in chunks(ids, _CONTACTS_A_CHUNK):
        with store.read() as db:
            seen = people_seen(db, some, lens)
        yield from (who for who, _ in seen)


def why(
    store: Store, contact_id: int, rule: Rule, at: datetime, segments: Segments, zone: ZoneInfo, *, currency: str
) -> list[Step]:
    """Each condition of the rule with this contact's value and whether it holds; UnknownContact for no such id."""
    found = profiles(store, [contact_id], at, zone, currency)
    if not found:
        raise UnknownContact(f"no contact has the number {contact_id}; `mailer segment show NAME` lists who there is")
    return rules.explain(rule, found[0], at, segments)


def contacts_count(store: Store) -> int:
    """How many contacts there are, without the erased."""
    with store.read() as db:
        return db.scalar(sa.select(sa.func.count()).select_from(contact).where(sa.not_(is_erased()))) or 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A rule less another, to be asked in SQL or of profiles."""

    rule: Rule
    exclude: Rule | None
    segments: Segments

    def ids(self, db: sa.Connection, lens: Lens) -> list[int]:
        query = sa.select(contact.c.id).select_from(PEOPLE).where(self._in_sql(lens)).order_by(contact.c.id)
        return list(db.scalars(query))

    def number(self, db: sa.Connection, lens: Lens) -> int:
        return db.scalar(sa.select(sa.func.count()).select_from(PEOPLE).where(self._in_sql(lens))) or 0

    def answers(self, store: Store, lens: Lens) -> Iterator[Profile]:
        """Everybody for whom it holds, found by looking at all."""
        with store.read() as db:
            known = sa.select(contact.c.id).where(sa.not_(is_erased())).order_by(contact.c.id)
            everybody = db.scalars(known).all()
        for some in chunks(everybody, _CONTACTS_A_CHUNK):
            with store.read() as db:
                seen = people_seen(db, some, lens)
            yield from (who for who, _ in seen if self._holds(who, lens.at))

    def _in_sql(self, lens: Lens) -> sa.ColumnElement[bool]:
        columns = ProfileColumns(lens)
        wanted = sa.and_(sa.not_(is_erased()), rules.to_sql(self.rule, columns, lens.at, self.segments))
        if self.exclude is None:
            return wanted
        return sa.and_(wanted, sa.not_(rules.to_sql(self.exclude, columns, lens.at, self.segments)))

    def _holds(self, who: Profile, at: datetime) -> bool:
        if not rules.evaluate(self.rule, who, at, self.segments):
            return False
        return self.exclude is None or not rules.evaluate(self.exclude, who, at, self.segments)

"""How do a chunk's rows become contacts? Rows are matched to people, changes gathered in memory, written in sets.

The email address names the mailbox and the external_id the person in the shop's books. Either finds a contact; a row
in which they name two different ones is refused.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

import sqlalchemy as sa

from engine import ledger
from engine.audience.address import Address
from engine.audience.bulk import write_many
from engine.audience.consent import Purpose, Reason, Statement, suppressions, takes_effect, write_statements
from engine.audience.contact_rows import ContactRow
from engine.audience.import_run import Lines, Written
from engine.links import Keys
from engine.model import RefusedRow
from engine.rules import number_of
from engine.store import Store, among
from engine.store.tables import consent, contact, contact_attribute

_STANDING: Mapping[Purpose, str] = {"mailing": "mailing_consent", "tracking": "tracking_consent"}
_LISTS = frozenset({"interests", "tags"})
_WRITTEN = tuple(one.name for one in contact.c if one.name != "id")
_FRESH: Mapping[str, Any] = dict.fromkeys(_WRITTEN) | {"interests": [], "tags": [], "changed": True}

ERASED = "this person was erased at her own request and is not taken in again"


@dataclass(slots=True)
class _Person:
    """A contact while a chunk is being gathered."""

    fields: dict[str, Any]
    id: int | None = None  # None: not yet in the database
    reason: Reason | None = None  # why her mailbox is suppressed
    attributes: dict[str, str] = field(default_factory=dict)
    stated: dict[Purpose, datetime] = field(default_factory=dict)  # when her latest statement was made
    said: list[tuple[Statement, datetime]] = field(default_factory=list)  # to be added to the history
    is_touched: bool = False
    retold: set[str] = field(default_factory=set)  # attributes to be written

    @property
    def standing(self) -> tuple[bool, bool]:
        """Can she be mailed, and tracked as well?"""
        mailable = bool(self.fields["mailing_consent"] and self.reason is None and self.fields["email"])
        return mailable, mailable and bool(self.fields["tracking_consent"])


class _Effect(Enum):
    """What became of a statement of consent."""

    NONE = "none"
    NEWS = "news"
    WITHHELD = "withheld"  # a yes that may not count


class _Clash(ValueError):
    """The row and what is known contradict each other."""


class People:
    """Everybody whom a chunk's rows may mean, locked until the transaction ends."""

    def __init__(
        self, store: Store, db: sa.Connection, keys: Keys, addresses: Collection[Address], external_ids: Collection[str]
    ) -> None:
        address_keys = {one.key for one in addresses}
        has_key = among(contact.c.address_key, address_keys)
        wanted = sa.or_(has_key, among(contact.c.external_id, external_ids)) if external_ids else has_key
        rows = db.execute(sa.select(contact).where(wanted).order_by(contact.c.id).with_for_update()).mappings()
        self.known = [_Person(fields=dict(row), id=row["id"]) for row in rows]
        self.new: list[_Person] = []
        self.movers: dict[int, tuple[str, _Person]] = {}  # known ones with another mailbox, and which it was before
        self.by_key = {key: one for one in self.known if (key := one.fields["address_key"]) is not None}
        self.by_external_id = {own: one for one in self.known if (own := one.fields["external_id"]) is not None}
        # After the lock: an opt-out is either on record by now, or waits for us and has the last word.
        self._reasons = self._suppressed(store, db, keys, address_keys | self.by_key.keys())
        for one in self.known:
            one.reason = self._reasons.get(one.fields["address_key"])

    @staticmethod
    def _suppressed(store: Store, db: sa.Connection, keys: Keys, address_keys: Iterable[str]) -> dict[str, Reason]:
        by_hash = {keys.address_hash(key): key for key in address_keys}
        return {by_hash[hashed]: reason for hashed, reason in suppressions(store, db, by_hash).items()}

    def meant(self, mailbox: Address | None, external_id: str | None) -> _Person | None:
        """Who is meant, if known; ValueError when two different people are."""
        by_key = self.by_key.get(mailbox.key) if mailbox else None
        by_id = self.by_external_id.get(external_id) if external_id else None
        if by_key is not None and by_id is not None and by_key is not by_id:
            raise _Clash("the email address belongs to one contact and the external_id to another")
        return by_id or by_key

    def knows(self, mailbox: Address, external_id: str | None) -> bool:
        """Does either of them name somebody?"""
        return mailbox.key in self.by_key or external_id in self.by_external_id

    def add(self, mailbox: Address, at: datetime) -> _Person:
        """A new contact; ValueError when the mailbox's owner was erased."""
        reason = self._reasons.get(mailbox.key)
        if reason == "erased":
            raise _Clash(ERASED)
        one = _Person(fields={**_FRESH, "created_at": at}, reason=reason)
        self.move(one, mailbox)
        self.new.append(one)
        return one

    def move(self, one: _Person, mailbox: Address) -> None:
        """Give her this mailbox, now that nobody else has it."""
        if (reason := self._reasons.get(mailbox.key)) == "erased":
            raise _Clash(ERASED)
        if one.id is not None:
            self.movers.setdefault(one.id, (one.fields["address_key"] or "", one))
        self.by_key.pop(one.fields["address_key"], None)
        one.fields |= {"email": mailbox.email, "address_key": mailbox.key}
        one.reason = reason
        self.by_key[mailbox.key] = one

    def moves(self, keys: Keys) -> dict[int, tuple[str, str]]:
        """The address that each had and has, by the contact's number; hashed."""
        return {
            number: (keys.address_hash(was), keys.address_hash(one.fields["address_key"]))
            for number, (was, one) in self.movers.items()
        }

    def insert_new(self, store: Store, db: sa.Connection) -> None:
        """Write the new contacts and learn their numbers."""
        if self.movers:  # they leave their old mailboxes first: somebody else may have moved in
            db.execute(sa.update(contact).where(among(contact.c.id, self.movers)).values(address_key=None))
        if self.new:
            # Most files fill few of the columns; the others are NULL by themselves.
            filled = [name for name in _WRITTEN if any(one.fields[name] is not None for one in self.new)]
            if "company_size" in filled:
                filled.append("company_size_number")
            write_many(store, db, _into_contact, [_columns(one, filled) for one in self.new])
            made = {one.fields["address_key"] for one in self.new}
            query = sa.select(contact.c.id, contact.c.address_key).where(among(contact.c.address_key, made))
            for number, key in db.execute(query):
                self.by_key[key].id = number


def write_contacts(store: Store, db: sa.Connection, keys: Keys, lines: Lines[ContactRow], at: datetime) -> Written:
    """Bring the rows into the database, as if one after the other."""
    written = Written()
    people = _people(store, db, keys, [row for _, row in lines])
    _recall_history(db, people.known, lines)
    touched: dict[int, _Person] = {}
    for line, row in lines:
        before = len(people.new)
        try:
            one, has_moved = _place(people, row, at)
        except _Clash as clash:
            written.refused.append(RefusedRow(line=line, why=str(clash)))
            continue
        effects = [_state(one, statement, at) for statement in row.statements]
        is_news = _apply(one, row) or has_moved or _Effect.NEWS in effects
        one.is_touched |= is_news
        written.withheld += _Effect.WITHHELD in effects
        if len(people.new) > before:
            written.added += 1
        elif is_news:
            written.updated += 1
        else:
            written.unchanged += 1
        touched[id(one)] = one
    _flush(store, db, people, touched.values())
    ledger.note_moves(db, store, people.moves(keys), at)  # a bounce of the old mailbox says nothing of the new one
    written.standing = {one.id: one.standing for one in touched.values() if one.id is not None}
    return written


def standing_of(
    store: Store, db: sa.Connection, keys: Keys, rows: Sequence[ContactRow]
) -> dict[int, tuple[bool, bool]]:
    """Who of a chunk that is in already can be mailed and tracked."""
    people = _people(store, db, keys, rows)
    return {one.id: one.standing for one in people.known if one.id is not None}


def _people(store: Store, db: sa.Connection, keys: Keys, rows: Sequence[ContactRow]) -> People:
    addresses = [row.address for row in rows if row.address is not None]
    return People(store, db, keys, addresses, {row.external_id for row in rows if row.external_id is not None})


def _recall_history(db: sa.Connection, known: Sequence[_Person], lines: Lines[ContactRow]) -> None:
    """Attributes and latest statements of those who are known, where the rows speak of any."""
    by_id = {one.id: one for one in known if one.id is not None}
    if any(row.attributes for _, row in lines):
        attributes = sa.select(contact_attribute).where(among(contact_attribute.c.contact_id, by_id))
        for stored in db.execute(attributes):
            by_id[stored.contact_id].attributes[stored.name] = stored.value
    if any(row.statements for _, row in lines):
        latest = (
            sa.select(consent.c.contact_id, consent.c.purpose, sa.func.max(consent.c.at))
            .where(among(consent.c.contact_id, by_id))
            .group_by(consent.c.contact_id, consent.c.purpose)
        )
        for contact_id, purpose, said_at in db.execute(latest):
            by_id[contact_id].stated[purpose] = said_at


def _place(people: People, row: ContactRow, at: datetime) -> tuple[_Person, bool]:
    """The contact that a row is about, found or made, and whether she took another mailbox or external_id."""
    one = people.meant(row.address, row.external_id)
    if one is None:
        if row.address is None:
            raise _Clash("no email address, and the external_id is not known")
        one = people.add(row.address, at)
    theirs, has_moved = one.fields["external_id"], False
    if row.external_id is not None and theirs is not None and theirs != row.external_id:
        raise _Clash("the email address belongs to a contact with another external_id")
    if row.address is not None and one.fields["address_key"] != row.address.key:
        people.move(one, row.address)
        has_moved = True
    if row.external_id is not None and theirs is None:
        one.fields["external_id"], has_moved = row.external_id, True
        people.by_external_id[row.external_id] = one
    return one, has_moved


def _apply(one: _Person, row: ContactRow) -> bool:
    """Take over what the row says; True when that is news."""
    is_news = False
    for name, value in row.fields.items():
        value = [] if value is None and name in _LISTS else value
        if one.fields[name] != value:
            one.fields[name], is_news = value, True
    for name, told in row.attributes.items():
        if one.attributes.get(name) != told:
            one.retold.add(name)
            is_news = True
            if told is None:
                del one.attributes[name]
            else:
                one.attributes[name] = told
    return is_news


def _state(one: _Person, statement: Statement, at: datetime) -> _Effect:
    """Put a statement on record and, if it may count, into force."""
    column = _STANDING[statement.purpose]
    if statement.given and one.reason is not None:
        return _Effect.WITHHELD
    stands, newest = one.fields[column], one.stated.get(statement.purpose)
    if takes_effect(statement, stands, newest):
        said_at = statement.at or at
        one.said.append((statement, said_at))
        one.stated[statement.purpose] = max(said_at, newest or said_at)
        one.fields[column] = statement.given
        return _Effect.NONE if stands is statement.given else _Effect.NEWS
    if statement.at is not None:
        one.said.append((statement, statement.at))  # older, and still proof of what was said then
    return _Effect.WITHHELD if statement.given and stands is False else _Effect.NONE


def _flush(store: Store, db: sa.Connection, people: People, touched: Iterable[_Person]) -> None:
    people.insert_new(store, db)
    moved = [one for one in people.known if one.is_touched]
    rows = [
        {f"new_{name}": value for name, value in _columns(one, _WRITTEN).items()} | {"this": one.id} for one in moved
    ]
    write_many(store, db, _over_contact, rows)
    _write_attributes(store, db, touched)
    write_statements(store, db, [(one.id, *said) for one in touched for said in one.said if one.id is not None])


def _columns(one: _Person, names: Sequence[str]) -> dict[str, Any]:
    """These columns of the contact as they are to be. Whoever is written here has changed: her profile is made anew."""
    one.fields["changed"] = True
    size = one.fields["company_size"]
    one.fields["company_size_number"] = None if size is None else number_of(size)
    return {name: one.fields[name] for name in names}


def _write_attributes(store: Store, db: sa.Connection, touched: Iterable[_Person]) -> None:
    kept, gone = [], []
    for one in touched:
        for name in one.retold:
            if (told := one.attributes.get(name)) is None:
                gone.append({"this": one.id, "that": name})
            else:
                kept.append({"contact_id": one.id, "name": name, "value": told, "number": number_of(told)})
    write_many(store, db, _into_attribute, kept)
    if gone:
        is_gone = sa.and_(
            contact_attribute.c.contact_id == sa.bindparam("this"), contact_attribute.c.name == sa.bindparam("that")
        )
        db.execute(sa.delete(contact_attribute).where(is_gone), gone)


def _into_contact(_store: Store) -> sa.Insert:
    return sa.insert(contact)


def _over_contact(_store: Store) -> sa.Update:
    bound: dict[str, Any] = {name: sa.bindparam(f"new_{name}", type_=contact.c[name].type) for name in _WRITTEN}
    return sa.update(contact).where(contact.c.id == sa.bindparam("this", type_=contact.c.id.type)).values(bound)


def _into_attribute(store: Store) -> sa.Insert:
    statement = store.insert(contact_attribute)
    told_anew = {name: statement.excluded[name] for name in ("value", "number")}
    anew: sa.Insert = statement.on_conflict_do_update(index_elements=["contact_id", "name"], set_=told_anew)
    return anew

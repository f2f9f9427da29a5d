"""May this person be mailed, and who said so? Consent with its proof, suppression, and the opt-out that always works.

The latest dated statement wins. A yes without a date never undoes a no, and no file revives a suppressed mailbox. A
mailbox is suppressed under a keyed hash, so that neither erasure nor another spelling brings it back.
"""

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast

import sqlalchemy as sa

from engine import ledger
from engine.audience.address import address
from engine.audience.bulk import write_many
from engine.errors import Refused, UnknownContact, Usage
from engine.links import Keys
from engine.model import Standing
from engine.store import Store, among, chunks
from engine.store.tables import consent, contact, suppression

Purpose = Literal["mailing", "tracking"]
Reason = Literal["unsubscribed", "bounced", "by_hand", "complained", "erased"]

OPT_OUT_LOG = "optouts.log"
_ROWS_A_QUERY = 500

# From the weakest: a stronger reason takes a weaker one's place, never the other way round.
_BY_HAND = frozenset({"unsubscribed", "bounced", "by_hand", "complained"})  # erasing is more than suppressing
_REASONS: Sequence[Reason] = ("unsubscribed", "bounced", "by_hand", "complained", "erased")
_CONSENT_COLUMN: Mapping[Purpose, "sa.Column[bool]"] = {
    "mailing": contact.c.mailing_consent,
    "tracking": contact.c.tracking_consent,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A yes or a no, as somebody gave it."""

    purpose: Purpose
    given: bool
    at: datetime | None  # None: nobody wrote down when
    source: str
    wording: str = ""


def takes_effect(statement: Statement, stands: bool | None, newest_at: datetime | None) -> bool:
    """Does the statement change what stands? `newest_at` is the moment of the latest one on record."""
    if statement.at is None:
        return statement.given is not stands and not (statement.given and stands is False)
    if newest_at is None or statement.at > newest_at:
        return True
    return statement.at == newest_at and not statement.given  # of two at one moment, the no


def set_consent(
    store: Store, contact_id: int, purpose: Purpose, given: bool, at: datetime, source: str, wording: str = ""
) -> None:
    """Record a statement made at `at`; it stands unless a later one is on record. Lifts no suppression."""
    with store.write() as db:
        _record(db, store, contact_id, Statement(purpose=purpose, given=given, at=at, source=source, wording=wording))


def opt_out(store: Store, keys: Keys, contact_id: int, at: datetime, source: str, log_dir: Path) -> None:
    """Never mail this contact again. Idempotent; logged to disk before it is committed; works after erasure."""
    with store.read() as db:
        row = db.execute(
            sa.select(contact.c.address_key, contact.c.mailing_consent).where(contact.c.id == contact_id)
        ).one_or_none()
        if row is None:
            raise UnknownContact(f"there is no contact number {contact_id}")
        if row.address_key is None:
            return  # erased: its hash is suppressed for good
        hashed = keys.address_hash(row.address_key)
        if row.mailing_consent is False and hashed in suppressions(store, db, [hashed]):
            return
    _shut_out(store, hashed, contact_id, "unsubscribed", at, source, log_dir)


def suppress(store: Store, keys: Keys, email: str, reason: str, at: datetime, source: str, log_dir: Path) -> None:
    """Never mail this mailbox again, whether or not a contact has it. Usage when `email` is no address."""
    if reason not in _BY_HAND:
        raise Usage(f"{reason!r} is no reason to suppress; known: {', '.join(sorted(_BY_HAND))}")
    try:
        key = address(email, allow_test_domains=True).key
    except ValueError as fault:
        raise Usage(f"can't suppress {email!r}: {fault}") from None
    with store.read() as db:
        contact_id = db.scalar(sa.select(contact.c.id).where(contact.c.address_key == key))
    _shut_out(store, keys.address_hash(key), contact_id, cast(Reason, reason), at, source, log_dir)


def give_up(
    store: Store,
    keys: Keys,
    contact_id: int,
    reason: Literal["bounced", "complained"],
    at: datetime,
    source: str,
    log_dir: Path,
) -> bool:
    """Never mail this contact's mailbox again; a complaint withdraws her consent too, for good. Idempotent.

    False when she is erased, or her mailbox is suppressed as strongly already.
    """
    with store.read() as db:
        key = db.scalar(sa.select(contact.c.address_key).where(contact.c.id == contact_id))
        if key is None:
            return False
        hashed = keys.address_hash(key)
        stands = suppressions(store, db, [hashed]).get(hashed)
    if stands is not None and _REASONS.index(stands) >= _REASONS.index(reason):
        return False
    _shut_out(store, hashed, contact_id, reason, at, source, log_dir)
    return True


def opt_in(store: Store, keys: Keys, contact_id: int, at: datetime, source: str, log_dir: Path) -> None:
    """The contact herself wants mail again: takes back an unsubscription. Other suppressions stay, and are Refused."""
    with store.read() as db:
        key = db.scalar(sa.select(contact.c.address_key).where(contact.c.id == contact_id))
        hashed = keys.address_hash(key) if key is not None else ""
        reason = suppressions(store, db, [hashed]).get(hashed, "unsubscribed")
    if key is None or reason != "unsubscribed":
        raise Refused(f"this mailbox can't be mailed again: {reason if key is not None else 'erased'}")
    append_to_log(log_dir, hashed, "opted_in", at, source)
    with store.write() as db:
        # A complaint that came in between stays.
        lifted = sa.and_(suppression.c.address_hash == hashed, suppression.c.reason == "unsubscribed")
        db.execute(sa.delete(suppression).where(lifted))
        _record(db, store, contact_id, Statement(purpose="mailing", given=True, at=at, source=source))
        db.execute(sa.update(contact).where(contact.c.id == contact_id).values(_standing(store, given=True)))


def standings(store: Store, keys: Keys, contact_ids: Sequence[int]) -> dict[int, Standing]:
    """How each of these contacts stands now; unknown ids are left out."""
    found: dict[int, Standing] = {}
    with store.read() as db:
        for part in chunks(contact_ids, _ROWS_A_QUERY):
            found |= _standings(store, db, keys, part)
    return found


def suppressions_by_reason(store: Store) -> dict[str, int]:
    """How many mailboxes are suppressed for each reason."""
    counted = sa.select(suppression.c.reason, sa.func.count()).group_by(suppression.c.reason)
    with store.read() as db:
        found: dict[str, int] = dict(map(tuple, db.execute(counted)))
    return {reason: found.get(reason, 0) for reason in _REASONS}


def suppressions(store: Store, db: sa.Connection, hashes: Collection[str]) -> dict[str, Reason]:
    """Which of these mailboxes are suppressed, and why."""
    query = sa.select(suppression.c.address_hash, suppression.c.reason).where(among(suppression.c.address_hash, hashes))
    return {row.address_hash: row.reason for row in db.execute(query)}


def write_suppression(db: sa.Connection, store: Store, hashed: str, reason: Reason, at: datetime, source: str) -> None:
    """Suppress a mailbox by its hash; an earlier, stronger reason stays."""
    row = {"address_hash": hashed, "reason": reason, "at": at, "source": source}
    weaker = _REASONS[: _REASONS.index(reason)]
    statement = store.insert(suppression).values(row)
    db.execute(
        statement.on_conflict_do_update(
            index_elements=["address_hash"], set_=row, where=suppression.c.reason.in_(weaker)
        )
    )


def append_to_log(log_dir: Path, hashed: str, reason: str, at: datetime, source: str) -> None:
    """Write down, on disk for good, who is out, or `opted_in` again: a restored older copy of the database is told."""
    log_dir.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"address_hash": hashed, "reason": reason, "at": at.isoformat(), "source": source}) + "\n"
    # One write on a file opened for appending: lines of several processes don't mix.
    descriptor = os.open(log_dir / OPT_OUT_LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _shut_out(
    store: Store, hashed: str, contact_id: int | None, reason: Reason, at: datetime, source: str, log_dir: Path
) -> None:
    append_to_log(log_dir, hashed, reason, at, source)
    with store.write() as db:
        write_suppression(db, store, hashed, reason, at, source)
        if contact_id is not None and reason != "bounced":  # a full mailbox withdraws no consent
            _record(db, store, contact_id, Statement(purpose="mailing", given=False, at=at, source=source))
            db.execute(sa.update(contact).where(contact.c.id == contact_id).values(_standing(store, given=False)))


def _standing(store: Store, *, given: bool) -> dict[str, Any]:
    """What stands, whatever statements are on record; journeys look at it."""
    return {"mailing_consent": given, "touched": ledger.touch_value(store)}


def _record(db: sa.Connection, store: Store, contact_id: int, statement: Statement) -> None:
    """Into the history, and into force if nothing later is known. The contact's row is locked first."""
    column = _CONSENT_COLUMN[statement.purpose]
    stands = db.execute(sa.select(column).where(contact.c.id == contact_id).with_for_update()).one_or_none()
    if stands is None:
        raise UnknownContact(f"there is no contact number {contact_id}")
    newest = db.scalar(
        sa.select(sa.func.max(consent.c.at)).where(
            consent.c.contact_id == contact_id, consent.c.purpose == statement.purpose
        )
    )
    write_statements(store, db, [(contact_id, statement, statement.at)])
    if takes_effect(statement, stands[0], newest):
        # Not `changed`: the stored profile holds no consent.
        said = {column.name: statement.given, "touched": ledger.touch_value(store)}
        db.execute(sa.update(contact).where(contact.c.id == contact_id).values(said))


def write_statements(store: Store, db: sa.Connection, rows: Iterable[tuple[int, Statement, datetime | None]]) -> None:
    """Add statements, each with its contact and moment, to the history; one that is there already stays as it is."""
    values = [
        {
            "contact_id": contact_id,
            "purpose": statement.purpose,
            "given": statement.given,
            "at": at,
            "source": statement.source,
            "wording": statement.wording,
        }
        for contact_id, statement, at in rows
    ]
    write_many(store, db, _into_consent, values)


def _into_consent(store: Store) -> sa.Insert:
    anew: sa.Insert = store.insert(consent).on_conflict_do_nothing()
    return anew


def _standings(store: Store, db: sa.Connection, keys: Keys, contact_ids: Sequence[int]) -> dict[int, Standing]:
    query = sa.select(contact.c.id, contact.c.address_key, contact.c.mailing_consent, contact.c.tracking_consent).where(
        among(contact.c.id, contact_ids)
    )
    rows = db.execute(query).all()
    hashes = {row.id: keys.address_hash(row.address_key) for row in rows if row.address_key is not None}
    out = suppressions(store, db, list(hashes.values()))
    return {
        row.id: Standing(
            suppressed=hashes.get(row.id) in out,
            mailing_consent=row.mailing_consent,
            tracking_consent=row.tracking_consent,
            address_key=row.address_key,
        )
        for row in rows
    }

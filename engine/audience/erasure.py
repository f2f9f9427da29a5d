"""How is a person forgotten? All that could name her goes; what was counted stays, as nobody's.

Messages, orders and the kinds of events keep the shop's figures right and are tied to a number that leads nowhere. A
keyed hash of the mailbox stays suppressed, so that no later import revives her.
"""

from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from engine import ledger
from engine.audience.consent import append_to_log, write_suppression
from engine.errors import StoreUnavailable, UnknownContact
from engine.links import Keys
from engine.store import Store
from engine.store.tables import consent, contact, contact_attribute, event, profile, recommendation

_KEPT = frozenset({"id", "created_at", "interests", "tags", "changed"})
_PERSONAL = tuple(one.name for one in contact.c if one.name not in _KEPT)
_SOURCE = "erased at the person's request"


def erase(store: Store, keys: Keys, contact_id: int, at: datetime, log_dir: Path) -> None:
    """Forget the contact (GDPR, article 17). Idempotent; logged to disk before it is committed."""
    with store.read() as db:
        row = db.execute(sa.select(contact.c.address_key).where(contact.c.id == contact_id)).one_or_none()
    if row is None:
        raise UnknownContact(f"there is no contact number {contact_id}")
    hashed = keys.address_hash(row.address_key) if row.address_key is not None else ""
    if hashed:
        append_to_log(log_dir, hashed, "erased", at, _SOURCE)
    with store.write() as db:
        if store.is_sqlite:
            db.exec_driver_sql("PRAGMA secure_delete=ON")  # what is deleted is overwritten
        ledger.forget_contact(db, keys, contact_id, at)  # first: who moves her locks in this order too
        _forget(db, contact_id)
        if hashed:
            write_suppression(db, store, hashed, "erased", at, _SOURCE)
    _shorten_log(store)


def scrub(store: Store) -> None:
    """Rewrite the SQLite file, so that no old copy of an erased row is left in its free space. Writers wait meanwhile.

    PostgreSQL does so by itself (autovacuum).
    """
    if store.is_sqlite:
        with store.reader() as connection:
            connection.exec_driver_sql("VACUUM")
        _shorten_log(store)


def _forget(db: sa.Connection, contact_id: int) -> None:
    blank: dict[str, None] = dict.fromkeys(_PERSONAL)
    # No `changed`: without a name and orders' details there is no profile to be computed.
    db.execute(sa.update(contact).where(contact.c.id == contact_id).values(**blank, interests=[], tags=[]))
    db.execute(sa.delete(contact_attribute).where(contact_attribute.c.contact_id == contact_id))
    # That she agreed, and when, is the shop's proof; where and in which words could name her.
    db.execute(sa.update(consent).where(consent.c.contact_id == contact_id).values(source="", wording=""))
    db.execute(sa.update(event).where(event.c.contact_id == contact_id).values(properties={}))
    db.execute(sa.delete(profile).where(profile.c.contact_id == contact_id))
    db.execute(sa.delete(recommendation).where(recommendation.c.contact_id == contact_id))


def _shorten_log(store: Store) -> None:
    """Empty SQLite's write-ahead log, which still holds the pages as they were; later, if readers are at work."""
    if not store.is_sqlite:
        return
    with store.reader() as connection:
        if connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one_or_none() is None:
            raise StoreUnavailable("the database gave no answer to a checkpoint")

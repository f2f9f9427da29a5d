"""May this contact get this message, at this very moment? The last look, just before each dot, so it must cost nothing.

It goes to the driver directly, on a connection that commits after every statement: each look sees the latest commit.
"""

import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from engine.errors import StoreUnavailable
from engine.links import Keys
from engine.model import SkipReason
from engine.store import Store

_HASH = "mailer_address_hash"

# One statement, one lock: SQLite calls back for the keyed hash.
_SQLITE = f"""
SELECT c.address_key, c.mailing_consent, s.reason
FROM contact c LEFT JOIN suppression s ON s.address_hash = {_HASH}(c.address_key)
WHERE c.id = ?"""

# The contact first: an opt-out that commits in between is then seen in the second look.
_POSTGRES_CONTACT = "SELECT address_key, mailing_consent FROM contact WHERE id = %s"
_POSTGRES_SUPPRESSION = "SELECT reason FROM suppression WHERE address_hash = %s"

# What the mailbox itself says is no opt-out; all else somebody asked for.
_SKIPS = {"bounced": SkipReason.SUPPRESSED}


class _Found(NamedTuple):
    address_key: str | None
    mailing_consent: bool | None
    reason: str | None


class Gate(Protocol):
    """The look before the dot; close it when the sender ends."""

    def may_receive(self, contact_id: int, message_class: str = "marketing") -> str:
        """Empty when the message may go, else a word of `model.SkipReason`."""

    def close(self) -> None:
        """Give the connection back."""


def gate(store: Store, keys: Keys) -> Gate:
    """A gate with a connection of its own."""
    return _Gate(store, keys)


class _Gate:
    def __init__(self, store: Store, keys: Keys) -> None:
        self._connection = store.reader()
        self._faults: type[Exception] = self._connection.dialect.loaded_dbapi.Error
        driver = self._connection.connection.driver_connection
        self._look = _sqlite_look(driver, keys) if store.is_sqlite else _postgres_look(driver, keys)

    def may_receive(self, contact_id: int, message_class: str = "marketing") -> str:
        """A marketing message needs consent; a transactional one only a mailbox that did not send us away."""
        try:
            found = self._look(contact_id)
        except self._faults as fault:
            raise StoreUnavailable(f"suppression can't be read, so nothing is sent: {fault}") from fault
        if found is None or found[0] is None:
            return SkipReason.NO_ADDRESS.value
        _, consent, reason = found
        if message_class == "transactional":
            return "" if reason is None or reason == "unsubscribed" else _SKIPS.get(reason, SkipReason.OPTED_OUT).value
        if reason is not None:
            return _SKIPS.get(reason, SkipReason.OPTED_OUT).value
        if consent:
            return ""
        return SkipReason.NO_CONSENT.value if consent is None else SkipReason.OPTED_OUT.value

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


_Look = Callable[[int], "tuple[str | None, Any, str | None] | None"]


def _sqlite_look(driver: Any, keys: Keys) -> _Look:
    assert isinstance(driver, sqlite3.Connection)

    def hashed(address_key: str | None) -> str | None:
        return None if address_key is None else keys.address_hash(address_key)

    driver.create_function(_HASH, 1, hashed, deterministic=True)
    cursor = driver.cursor()
    return lambda contact_id: cursor.execute(_SQLITE, (contact_id,)).fetchone()


def _postgres_look(driver: Any, keys: Keys) -> _Look:
    cursor = driver.cursor()

    def look(contact_id: int) -> _Found | None:
        row = cursor.execute(_POSTGRES_CONTACT, (contact_id,), prepare=True).fetchone()
        if row is None or row[0] is None:
            return None
        reason = cursor.execute(_POSTGRES_SUPPRESSION, (keys.address_hash(row[0]),), prepare=True).fetchone()
        return _Found(row[0], row[1], reason and reason[0])

    return look

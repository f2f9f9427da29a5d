"""May this contact get this message, at this very moment? The last look, just before each dot, so it must cost nothing.

It goes to the driver directly, on a connection that commits after every statement: each look sees the latest commit.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from engine.errors import StoreUnavailable
from engine.links import Keys
from engine.model import TRANSACTIONAL, SkipReason
from engine.store import Store, chunks

# One statement, one moment. Whether `hash` is that of the contact's mailbox is looked at afterwards.
_LOOK = """
SELECT c.address_key, c.mailing_consent, (SELECT s.reason FROM suppression s WHERE s.address_hash = {hash})
FROM contact c WHERE c.id = {id}"""
_MAILBOXES = "SELECT id, address_key FROM contact WHERE id IN ({})"
_AT_ONCE = 500

# What the mailbox itself says is no opt-out; all else somebody asked for.
_SKIPS = {"bounced": SkipReason.SUPPRESSED}


class Gate(Protocol):
    """The look before the dot; close it when the sender ends."""

    def expect(self, contact_ids: Sequence[int]) -> None:
        """These will be asked about next: a hint, which spares each look a keyed hash."""

    def may_receive(self, contact_id: int, message_class: str = "marketing") -> str:
        """Empty when the message may go, else a word of `model.SkipReason`."""

    def close(self) -> None:
        """Give the connection back."""


def gate(store: Store, keys: Keys) -> Gate:
    """A gate with a connection of its own."""
    return _Gate(store, keys)


class _Gate:
    def __init__(self, store: Store, keys: Keys) -> None:
        self._keys = keys
        self._connection = store.reader()
        self._faults: tuple[type[Exception], ...] = (self._connection.dialect.loaded_dbapi.Error,)
        self._cursor: Any = self._connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
        self._mark, more = ("?", {}) if store.is_sqlite else ("%s", {"prepare": True})
        text, ask = _LOOK.format(hash=self._mark, id=self._mark), self._cursor.execute
        self._look: Callable[[str, int], Any] = lambda hashed, of: ask(text, (hashed, of), **more).fetchone()
        self._names: dict[int, tuple[str, str]] = {}  # mailbox, and the hash under which it is suppressed

    def expect(self, contact_ids: Sequence[int]) -> None:
        """See `Gate.expect`. A contact may change her mailbox afterwards: each look tells."""
        self._names.clear()
        with suppress(*self._faults):  # the look itself tells them
            for some in chunks(contact_ids, _AT_ONCE):
                found = self._cursor.execute(_MAILBOXES.format(",".join([self._mark] * len(some))), list(some))
                self._names |= {of: (one, self._keys.address_hash(one)) for of, one in found.fetchall() if one}

    def may_receive(self, contact_id: int, message_class: str = "marketing") -> str:
        """A marketing message needs consent; a transactional one only a mailbox that did not send us away."""
        mailbox, hashed = self._names.get(contact_id, (None, ""))
        try:
            while (found := self._look(hashed, contact_id)) and found[0] is not None and found[0] != mailbox:
                mailbox, hashed = self._names[contact_id] = found[0], self._keys.address_hash(found[0])
        except self._faults as fault:
            raise StoreUnavailable(f"suppression can't be read, so nothing is sent: {fault}") from fault
        if found is None or found[0] is None:
            return SkipReason.NO_ADDRESS.value
        _, consent, reason = found
        if message_class == TRANSACTIONAL:
            return "" if reason is None or reason == "unsubscribed" else _SKIPS.get(reason, SkipReason.OPTED_OUT).value
        if reason is not None:
            return _SKIPS.get(reason, SkipReason.OPTED_OUT).value
        if consent:
            return ""
        return SkipReason.NO_CONSENT.value if consent is None else SkipReason.OPTED_OUT.value

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

"""May this contact get this message, at this very moment? The last look, just before each dot, so it must cost nothing.

It goes to the driver directly, on a connection that commits after every statement: each look sees the latest commit.
On SQLite the answers for those who come next are read together, and hold until anybody commits anything.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from engine.errors import StoreUnavailable
from engine.links import Keys
from engine.model import TRANSACTIONAL, SkipReason
from engine.store import Commits, Store, chunks

# One statement, one moment. Whether `hash` is that of the contact's mailbox is looked at afterwards.
_LOOK = """
SELECT c.address_key, c.mailing_consent, (SELECT s.reason FROM suppression s WHERE s.address_hash = {hash})
FROM contact c WHERE c.id = {id}"""
_MAILBOXES = "SELECT id, address_key FROM contact WHERE id IN ({})"
_AT_ONCE = 500
# The same look at many, each with the hash of the mailbox that she is known by. One value: always the same statement.
_LOOK_AHEAD = """
SELECT c.id, c.address_key, c.mailing_consent, (SELECT s.reason FROM suppression s WHERE s.address_hash = a.key)
FROM json_each(?) a CROSS JOIN contact c ON c.id = a.value"""
_WORTH_IT = 100  # contacts; to find out how commits are told takes as long as about so many looks
_AHEAD = 128  # contacts at most: a sender itself commits after each hundred messages

# What the mailbox itself says is no opt-out; all else somebody asked for.
_SKIPS = {"bounced": SkipReason.SUPPRESSED}

_Row = tuple[Any, ...]  # her mailbox, her consent, and why she is suppressed


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
    return _GateAhead(store, keys) if store.is_sqlite else _Gate(store, keys)


class _Gate:
    def __init__(self, store: Store, keys: Keys) -> None:
        self._keys = keys
        self._connection = store.reader()
        self._faults: tuple[type[Exception], ...] = (self._connection.dialect.loaded_dbapi.Error,)
        self._cursor: Any = self._connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
        self._mark, more = ("?", {}) if store.is_sqlite else ("%s", {"prepare": True})
        text, ask = _LOOK.format(hash=self._mark, id=self._mark), self._cursor.execute
        self._look: Callable[[str, int], _Row | None] = lambda hashed, of: ask(text, (hashed, of), **more).fetchone()
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
        try:
            found = self._found(contact_id)
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

    def _found(self, contact_id: int) -> _Row | None:
        """By one statement, or another one where her mailbox is not the one that was expected."""
        mailbox, hashed = self._names.get(contact_id, (None, ""))
        while (found := self._look(hashed, contact_id)) and found[0] is not None and found[0] != mailbox:
            mailbox, hashed = self._names[contact_id] = found[0], self._keys.address_hash(found[0])
        return found


class _GateAhead(_Gate):
    """Looks at those who come next, too: each answer stands as long as nobody has committed anything since.

    Where it can't be told whether anybody has, and where somebody does all the time, each look is a statement.
    """

    def __init__(self, store: Store, keys: Keys) -> None:
        super().__init__(store, keys)
        self._commits: Commits | None = None
        self._as_of: bytes | None = None  # the commits of which `_answers` are
        self._answers: dict[int, _Row] = {}
        self._coming: list[int] = []
        self._places: dict[int, int] = {}
        self._run = range(0)  # the places looked at together
        self._size = 1  # of the next run
        self._quiet = 0  # looks since the last commit

    def expect(self, contact_ids: Sequence[int]) -> None:
        """See `Gate.expect`."""
        super().expect(contact_ids)
        if self._commits is None and len(contact_ids) >= _WORTH_IT:
            self._commits = Commits(self._cursor.connection)
        self._coming = list(contact_ids)
        self._places = {one: place for place, one in enumerate(self._coming)}
        self._answers, self._run = {}, range(0)

    def close(self) -> None:
        """See `Gate.close`."""
        if self._commits is not None:
            self._commits.close()
        super().close()

    def _found(self, contact_id: int) -> _Row | None:
        if self._commits is None:
            return super()._found(contact_id)
        is_quiet = self._commits.are_still(self._as_of)
        if is_quiet and (answer := self._answers.get(contact_id)) is not None:
            self._quiet += 1
            return answer
        place = self._places.get(contact_id)
        if place is None or (is_quiet and place in self._run):
            return super()._found(contact_id)
        self._size = max(1, min(2 * self._size if is_quiet else self._quiet, _AHEAD))
        self._quiet = self._quiet + 1 if is_quiet else 1
        # The mark before the look: a commit between the two changes the mark, and nothing of this will be believed.
        self._as_of = self._commits.mark()
        self._look_ahead(range(place, place + self._size))
        return self._answers.get(contact_id) or super()._found(contact_id)

    def _look_ahead(self, run: range) -> None:
        self._answers, self._run = {}, range(0)
        if self._as_of is None or len(run) == 1:
            return
        known = [(one, *self._names[one]) for one in self._coming[run.start : run.stop] if one in self._names]
        asked, mailboxes = {hashed: one for one, _, hashed in known}, {one: mailbox for one, mailbox, _ in known}
        found = self._cursor.execute(_LOOK_AHEAD, (json.dumps(asked),)).fetchall()
        # Another mailbox has another hash: hers was not looked for. She is looked at by herself.
        self._answers = {one: (mailbox, *said) for one, mailbox, *said in found if mailbox == mailboxes[one]}
        self._run = run

"""Whose order or event is it? A contact known by external_id or address, or a new one, without consent."""

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa

from engine.audience.address import Address
from engine.audience.contact_writing import People
from engine.links import Keys
from engine.store import Store, among
from engine.store.tables import contact


class Buyers:
    """The contacts that a chunk of orders or events speaks of."""

    def __init__(
        self,
        store: Store,
        db: sa.Connection,
        keys: Keys,
        named: Sequence[tuple[Address | None, str | None]],
        at: datetime,
    ) -> None:
        addresses = [mailbox for mailbox, _ in named if mailbox is not None]
        self._people = People(store, db, keys, addresses, {external_id for _, external_id in named if external_id})
        self._faults: dict[str, str] = {}
        for mailbox, external_id in named:
            self._make(mailbox, external_id, at)
        self._people.insert_new(store, db)

    def number(self, mailbox: Address | None, external_id: str | None) -> int:
        """The contact's number; ValueError when nobody can be meant."""
        one = self._people.by_external_id.get(external_id) if external_id else None
        if one is None and mailbox is not None:
            one = self._people.by_key.get(mailbox.key)
        if one is None or one.id is None:
            raise ValueError(self._faults.get(mailbox.key if mailbox else "", "the external_id is not known"))
        return one.id

    def _make(self, mailbox: Address | None, external_id: str | None, at: datetime) -> None:
        """The shop's own number says who bought, whatever address the order was mailed to."""
        if mailbox is None or self._people.knows(mailbox, external_id):
            return
        try:
            one = self._people.add(mailbox, at)
        except ValueError as fault:
            self._faults[mailbox.key] = str(fault)
            return
        if external_id is not None:
            one.fields["external_id"] = external_id
            self._people.by_external_id[external_id] = one


def mark_changed(db: sa.Connection, contact_ids: Collection[int]) -> None:
    """Their facts changed: profiles are computed anew. Set even where it is set: a refresh may be at work on them."""
    if contact_ids:
        db.execute(sa.update(contact).where(among(contact.c.id, contact_ids)).values(changed=True))

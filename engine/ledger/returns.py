"""What did other machines say of a message after its dot, and what is known of a mailbox that says no again and again?

Bounces and complaints are events of the contact. `bounce:ID` and `complaint:ID` are certain: they carried the
message's own id. `bounce_claim:ID` is what somebody said about an address, without it. `address_changed` says from
when on the contact has another address: what was said of messages before speaks of an address that we don't have.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from engine.ledger.events import BOUNCE
from engine.ledger.touching import touch
from engine.model import MessageState
from engine.replies import COUNTING
from engine.store import Store, among, to_micros
from engine.store.tables import attempt, contact, event, hit, message, plan

COMPLAINT = "complaint"
CLAIM = "bounce_claim"
_NO = (MessageState.REFUSED, MessageState.DEFERRED)
_MOVED = "address_changed"
UNSUBSCRIBED = "unsubscribed"  # told by a provider: kept, so that a repetition undoes no later yes


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRecord:
    """When a contact's mailbox said no in a row, by reason, a message once; what it took in between ends the row."""

    refusals: Mapping[str, Sequence[datetime]]

    def of(self, reason: str) -> Sequence[datetime]:
        """The moments of the refusals with this reason."""
        return self.refusals.get(reason, ())


def add_return(store: Store, kind: str, key: str, contact_id: int, at: datetime, properties: Mapping[str, Any]) -> bool:
    """Keep what was told as an event of the contact; False when `key` (a message, a notice) is known already."""
    row = {"event_id": f"{kind}:{key}", "contact_id": contact_id, "kind": kind, "at": at}
    statement = store.insert(event).values(**row, properties=dict(properties)).on_conflict_do_nothing()
    with store.write() as db:
        if db.execute(statement.returning(event.c.id)).first() is None:
            return False
        touch(db, store, contact.c.id == contact_id)
    return True


def is_known(store: Store, kind: str, key: str) -> bool:
    """Whether this was kept before."""
    with store.read() as db:
        return db.scalar(sa.select(event.c.id).where(event.c.event_id == f"{kind}:{key}")) is not None


def note_moves(db: sa.Connection, store: Store, moves: Mapping[int, tuple[str, str]], at: datetime) -> None:
    """These contacts have another address from now on; in the caller's transaction.

    By contact: the hash of the address that she had and of the one that she has. Whoever is back at the end of an
    import has not moved: files hold the same person twice, with two addresses, and come every day.
    """
    ids = {f"{_MOVED}:{one}:{to_micros(at)}": one for one in moves}
    rows = [
        {"event_id": key, "contact_id": one, "kind": _MOVED, "at": at, "properties": {"was": moves[one][0]}}
        for key, one in ids.items()
    ]
    if not rows:
        return
    db.execute(store.insert(event).on_conflict_do_nothing(), rows)
    noted = db.execute(sa.select(event.c.event_id, event.c.properties).where(among(event.c.event_id, ids))).all()
    back = [key for key, told in noted if told.get("was") == moves[ids[key]][1]]
    if back:
        db.execute(sa.delete(event).where(among(event.c.event_id, back)))


def has_moved(store: Store, contact_id: int, since: datetime) -> bool:
    """Whether this contact has another address than at that moment."""
    with store.read() as db:
        return db.scalar(sa.select(event.c.id).where(*_moves_of(contact_id), event.c.at >= since).limit(1)) is not None


def latest_to(store: Store, contact_id: int, since: datetime, until: datetime) -> str | None:
    """The delivery id of the last message that went out to this contact in that time, as far as is known."""
    out = (MessageState.SENT, MessageState.UNCERTAIN)
    tried_at = sa.func.coalesce(message.c.sent_at, message.c.send_at)
    wanted = (
        sa.select(message.c.delivery_id)
        .where(message.c.contact_id == contact_id, message.c.state.in_(out), tried_at.between(since, until))
        .order_by(tried_at.desc(), message.c.id.desc())
        .limit(1)
    )
    with store.read() as db:
        found: str | None = db.scalar(wanted)
    return found


def is_answered(store: Store, delivery_id: str) -> bool:
    """Whether anybody opened or followed this message: then it did not bounce."""
    wanted = sa.select(hit.c.id).join(message, message.c.id == hit.c.message_id)
    with store.read() as db:
        return db.scalar(wanted.where(message.c.delivery_id == delivery_id).limit(1)) is not None


def refused_since(store: Store, reasons: Sequence[str], since: datetime) -> list[tuple[int, str]]:
    """Whose messages of the plans released since then were refused or put off for one of these reasons.

    Not those who have another address since.
    """
    tried_at = sa.select(sa.func.max(attempt.c.at)).where(attempt.c.message_id == message.c.id).scalar_subquery()
    moved = sa.exists().where(*_moves_of(message.c.contact_id), event.c.at >= tried_at)
    wanted = (
        sa.select(message.c.contact_id, message.c.reason)
        .join(plan, plan.c.id == message.c.plan_id)
        .where(plan.c.released_at >= since, message.c.state.in_(_NO), message.c.reason.in_(list(reasons)), ~moved)
        .order_by(message.c.id)
    )
    with store.read() as db:
        return [(row.contact_id, row.reason) for row in db.execute(wanted)]


def address_record(store: Store, contact_id: int, claimed_as: str) -> AddressRecord:
    """What servers said of this contact's mailbox: live answers, bounces, and claims (which count as `claimed_as`).

    A bounce counts at the hour its message went out: that hour is ours, and a fetch once a week makes no burst of it.
    What was said before she got the address that she has now is left out.
    """
    mine = message.c.contact_id == contact_id
    ended = sa.select(message.c.delivery_id, message.c.state, message.c.sent_at).where(mine)
    live = (
        sa.select(message.c.delivery_id, attempt.c.reason, attempt.c.at)
        .join(message, message.c.id == attempt.c.message_id)
        .where(mine, attempt.c.state.in_(_NO), attempt.c.reason.in_(list(COUNTING)))
        .order_by(attempt.c.n)
    )
    told = sa.select(event.c.event_id, event.c.kind, event.c.properties).where(
        event.c.contact_id == contact_id, event.c.kind.in_([BOUNCE, CLAIM])
    )
    with store.read() as db:
        taken = {row.delivery_id: row.sent_at for row in db.execute(ended) if row.state == MessageState.SENT}
        said = {row.delivery_id: (row.reason, row.at) for row in db.execute(live)}  # the last of a message's answers
        returned = {row.event_id.partition(":")[2]: row for row in db.execute(told)}
        moved_at = db.scalar(sa.select(sa.func.max(event.c.at)).where(*_moves_of(contact_id)))
    answers = [one for delivery_id, one in said.items() if delivery_id not in taken]
    for delivery_id, row in returned.items():
        if delivery_id in taken:
            reason = claimed_as if row.kind == CLAIM else str(row.properties.get("counts_as", ""))
            answers.append((reason, taken.pop(delivery_id)))
    if moved_at is not None:
        answers = [one for one in answers if one[1] > moved_at]
    return AddressRecord(refusals=_in_a_row(answers, max(taken.values(), default=None)))


def _moves_of(contact_id: int | sa.ColumnElement[int]) -> tuple[sa.ColumnElement[bool], ...]:
    return event.c.contact_id == contact_id, event.c.kind == _MOVED


def _in_a_row(answers: Iterable[tuple[str, datetime]], took_at: datetime | None) -> dict[str, list[datetime]]:
    found: dict[str, list[datetime]] = {}
    for reason, at in sorted(answers, key=itemgetter(1)):
        if took_at is None or at > took_at:
            found.setdefault(reason, []).append(at)
    return found

"""What came back from the mailboxes? Hits and bounces by message, and counts by campaign where nobody is tracked."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from engine.ledger.chunking import CHUNK, write_in_turn
from engine.ledger.recording import clean
from engine.ledger.rows import Row
from engine.ledger.touching import touch, touch_readers
from engine.model import Hit, HitKind, Verdict
from engine.store import Store, chunks
from engine.store.tables import contact, event, hit, message, tally

BOUNCE = "bounce"
_INT_MAX = 2**31 - 1  # what a column for link places holds; addresses with more are nobody's link

Spooled = tuple[str, Hit, Verdict | None, str]  # spool id, the hit, its verdict and why


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of a number of hits."""

    added: int
    repeated: int  # were there already, by spool id
    unknown: int  # name no message of ours: dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownHit:
    """A stored hit, by its number, with the verdict it has."""

    id: int
    hit: Hit
    verdict: Verdict | None
    why: str


def add_hits(store: Store, hits: Sequence[Spooled]) -> Added:
    """Keep raw hits with their verdicts; the same spool id twice is kept once."""
    added = unknown = 0
    statement = store.insert(hit).on_conflict_do_nothing().returning(hit.c.id)
    for some in chunks(hits, CHUNK):
        known = _message_ids(store, [one.delivery_id for _, one, _, _ in some])
        rows = [
            _row(known[one.delivery_id], spool_id, one, verdict, why)
            for spool_id, one, verdict, why in some
            if one.delivery_id in known and _fits(one)
        ]
        unknown += len(some) - len(rows)
        if rows:
            with write_in_turn(store) as db:
                added += len(db.execute(statement, rows).all())
    return Added(added=added, repeated=len(hits) - added - unknown, unknown=unknown)


def hits_of(store: Store, delivery_ids: Iterable[str]) -> dict[str, list[KnownHit]]:
    """All stored hits of these messages, oldest first, so that they can be judged together."""
    wanted = (
        sa.select(hit, message.c.delivery_id)
        .join(message, message.c.id == hit.c.message_id)
        .where(message.c.delivery_id.in_(sa.bindparam("ids", expanding=True)))
        .order_by(hit.c.at, hit.c.id)
    )
    found: dict[str, list[KnownHit]] = defaultdict(list)
    for some in chunks(sorted(set(delivery_ids)), CHUNK):
        with store.read() as db:
            for row in db.execute(wanted, {"ids": list(some)}):
                found[row.delivery_id].append(_known(row))
    return dict(found)


def judge_again(store: Store, verdicts: Mapping[int, tuple[Verdict, str]]) -> None:
    """Give stored hits another verdict, by their number; the raw hit stays as it came."""
    statement = (
        sa.update(hit)
        .where(hit.c.id == sa.bindparam("key"))
        .values(verdict=sa.bindparam("said"), verdict_why=sa.bindparam("because"))
    )
    for some in chunks(list(verdicts.items()), CHUNK):
        with write_in_turn(store) as db:
            db.execute(statement, [{"key": key, "said": said, "because": why} for key, (said, why) in some])
            touch_readers(db, store, [key for key, _ in some])


def add_tally(store: Store, plan_id: int, variant: str, kind: HitKind, site: int, day: date, count: int = 1) -> None:
    """Count a hit that names nobody (tracking mode `aggregate`)."""
    row = {"plan_id": plan_id, "variant": variant, "kind": kind, "site": site, "day": day}
    statement = store.insert(tally).values(**row, count=count)
    more = {"count": tally.c.count + statement.excluded.count}
    with store.write() as db:
        db.execute(statement.on_conflict_do_update(index_elements=list(tally.primary_key), set_=more))


def add_bounce(store: Store, delivery_id: str, at: datetime, properties: Mapping[str, Any]) -> bool:
    """A final bounce of a message, as an event of its contact; False when it is known already, or not ours."""
    with store.write() as db:
        contact_id = db.scalar(sa.select(message.c.contact_id).where(message.c.delivery_id == delivery_id))
        if contact_id is None:
            return False
        row = {"event_id": bounce_id(delivery_id), "contact_id": contact_id, "kind": BOUNCE, "at": at}
        statement = store.insert(event).values(**row, properties=dict(properties)).on_conflict_do_nothing()
        if db.execute(statement.returning(event.c.id)).first() is None:
            return False
        touch(db, store, contact.c.id == contact_id)
    return True


def bounce_id(delivery_id: str) -> str:
    """The event id of a message's final bounce: there is only one."""
    return f"{BOUNCE}:{delivery_id}"


def _message_ids(store: Store, delivery_ids: list[str]) -> dict[str, int]:
    wanted = sa.select(message.c.delivery_id, message.c.id).where(
        message.c.delivery_id.in_([one for one in set(delivery_ids) if one.isascii() and one.isalnum()])
    )
    with store.read() as db:
        return {row.delivery_id: row.id for row in db.execute(wanted)}


def _fits(one: Hit) -> bool:
    return abs(one.site) <= _INT_MAX and abs(one.occurrence) <= _INT_MAX


def _row(message_id: int, spool_id: str, one: Hit, verdict: Verdict | None, why: str) -> dict[str, Any]:
    return {
        "spool_id": spool_id,
        "kind": one.kind,
        "message_id": message_id,
        "site": one.site,
        "occurrence": one.occurrence,
        "at": one.at,
        "method": clean(one.method),
        "ip": clean(one.ip),
        "agent": clean(one.agent),
        "referer": clean(one.referer),
        "accept_language": clean(one.accept_language),
        "verdict": verdict,
        "verdict_why": why,
    }


def _known(row: Row) -> KnownHit:
    raw = Hit(
        kind=HitKind(row.kind),
        delivery_id=row.delivery_id,
        site=row.site,
        occurrence=row.occurrence,
        at=row.at,
        method=row.method,
        ip=row.ip,
        agent=row.agent,
        referer=row.referer,
        accept_language=row.accept_language,
    )
    return KnownHit(id=row.id, hit=raw, verdict=row.verdict and Verdict(row.verdict), why=row.verdict_why)

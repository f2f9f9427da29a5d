"""What must be known of a message before its hits are kept and judged? Asked for many messages at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from engine.ledger.chunking import CHUNK
from engine.model import Verdict
from engine.store import Store, chunks
from engine.store.tables import hit, message

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class HitMessage:
    """A message that hits name: whose it is, when it went out, and how many hits of it are stored."""

    contact_id: int
    sent_at: datetime | None
    hits: int


def hit_messages(store: Store, delivery_ids: Iterable[str]) -> dict[str, HitMessage]:
    """Those of these messages that are ours."""
    stored = sa.select(sa.func.count()).where(hit.c.message_id == message.c.id).scalar_subquery()
    wanted = sa.select(message.c.delivery_id, message.c.contact_id, message.c.sent_at, stored.label("hits")).where(
        message.c.delivery_id.in_(sa.bindparam("ids", expanding=True))
    )
    found: dict[str, HitMessage] = {}
    for some in chunks(sorted({one for one in delivery_ids if one.isascii() and one.isalnum()}), CHUNK):
        with store.read() as db:
            for row in db.execute(wanted, {"ids": list(some)}):
                found[row.delivery_id] = HitMessage(contact_id=row.contact_id, sent_at=row.sent_at, hits=row.hits)
    return found


def judged_too_soon(store: Store, since: datetime, too_fast: timedelta) -> list[str]:
    """Messages hit since then, faster than `too_fast`, and judged human before the hour of their sending was known."""
    sent = sa.type_coerce(message.c.sent_at, sa.BigInteger)
    came = sa.type_coerce(hit.c.at, sa.BigInteger)
    wanted = (
        sa.select(message.c.delivery_id)
        .distinct()
        .join(hit, hit.c.message_id == message.c.id)
        .where(hit.c.at >= since, hit.c.verdict == Verdict.HUMAN, came < sent + too_fast // _MICROSECOND)
    )
    with store.read() as db:
        return list(db.scalars(wanted))

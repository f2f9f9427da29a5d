"""How far has a claim come? One commit a window: the outcomes of the last, and leave to hand over the next."""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple, TypeAlias

import sqlalchemy as sa

from engine.ledger import prepared
from engine.ledger.choosing import HELD_BACK
from engine.ledger.claiming import LEASE_SECONDS, Claim, leased_until
from engine.ledger.items import Item
from engine.ledger.prepared import said
from engine.ledger.recording import Held, record, skip_open, sort_out
from engine.model import BatchState, MessageState, Outcome, PlanState
from engine.store import Store, to_micros
from engine.store.tables import attempt, batch, batch_item, campaign, message, plan


class Ended(NamedTuple):
    """How an item ended, the digest of the mail that went out, and when the answer came."""

    item: Item
    outcome: Outcome
    digest: str = ""  # empty: the item's own
    at: datetime | None = None  # None: the outcome's own, else when it is recorded


class _Mine(NamedTuple):
    """A row of _MINE; its moment as it lies there."""

    id: int
    hi: int
    size: int
    not_before: int
    plan_state: str
    campaign_state: str | None


Done: TypeAlias = Sequence[Ended | tuple[Item, Outcome]]

_ORD = attrgetter("ord")
_UNANSWERED = Outcome(state=MessageState.UNCERTAIN, reason="unanswered")

_MINE = (
    sa.select(
        batch.c.id,
        batch.c.hi,
        batch.c.size,
        batch.c.not_before,
        plan.c.state.label("plan_state"),
        campaign.c.state.label("campaign_state"),
    )
    .join(plan, plan.c.id == batch.c.plan_id)
    .outerjoin(campaign, campaign.c.name == plan.c.campaign)
    .where(
        batch.c.id == sa.bindparam("batch"),
        batch.c.fence == sa.bindparam("fence"),
        batch.c.state == said(BatchState.LEASED),
    )
    .with_for_update(of=batch)
)
# By what stands in the batch now, not by what the claim remembers: a postponed item is another batch's.
_GRANT = (
    sa.update(message)
    .where(
        message.c.id.in_(
            sa.select(batch_item.c.message_id)
            .outerjoin(
                attempt, (attempt.c.message_id == batch_item.c.message_id) & (attempt.c.n == batch_item.c.attempt)
            )
            .where(
                batch_item.c.batch_id == sa.bindparam("batch"),
                batch_item.c.ord >= sa.bindparam("lo"),
                batch_item.c.ord < sa.bindparam("hi"),
                attempt.c.n.is_(None),
            )
        ),
        message.c.state == said(MessageState.PLANNED),
    )
    .values(state=said(MessageState.CLAIMED))
)
_LEAVE = (
    sa.update(batch)
    .where(batch.c.id == sa.bindparam("batch"))
    .values(
        state=sa.bindparam("stands"),
        not_before=sa.bindparam("hour"),
        hi=sa.bindparam("up_to"),
        owner=said(""),
        lease_until=sa.literal_column("0.0", sa.Float),
        open=sa.bindparam("left"),
    )
)


def advance(store: Store, claim: Claim, hi: int, done: Done, at: datetime, transport: str = "") -> bool:
    """Record `done` and ask leave to hand over every item with ord < `hi`, in one commit.

    `done` may hold answers of any window granted so far; who has none yet stays claimed. With the `hi` of last time it
    grants nobody and only records: do so before the batch goes on over another transport.

    False: stop, hand over nothing more of this claim, and `settle` every outcome you have or still get. Either
    somebody took the batch over (then nothing was written), or the plan was cancelled or its campaign paused (then
    `done` is written, and the batch waits for whoever may go on).
    """
    with store.write() as db:
        row = _mine(db, store, claim)
        if row is None:
            return False
        _record(db, store, claim, done, at, transport)
        is_held_back = row.plan_state == PlanState.CANCELLED or row.campaign_state in HELD_BACK
        if is_held_back or not _grant(db, store, claim, row.hi, hi):
            _close(db, store, claim, row, row.hi, at)
            return False
        prepared.run(db, store, _renewal(store), ("up_to", "batch"), [(max(row.hi, hi), row.id)])
    return True


def finish(store: Store, claim: Claim, done: Done, at: datetime, transport: str = "") -> bool:
    """Record the last outcomes and end the batch; False when somebody took it over (then `settle` them).

    A message that was granted and has no outcome becomes uncertain; one that was never granted is offered again.
    """
    with store.write() as db:
        row = _mine(db, store, claim)
        if row is None:
            return False
        _record(db, store, claim, done, at, transport)
        _close(db, store, claim, row, row.size, at)
    return True


def hand_back(
    store: Store,
    claim: Claim,
    next_ord: int,
    done: Done,
    at: datetime,
    transport: str = "",
    not_before: datetime | None = None,
    left: Collection[int] = (),
) -> bool:
    """Stop in order: who stands at `next_ord` or later, or in `left`, is offered again, from `not_before` on.

    They were certainly not handed over. Anybody else without an outcome becomes uncertain. False when somebody took
    the batch over.
    """
    with store.write() as db:
        row = _mine(db, store, claim)
        if row is None:
            return False
        _record(db, store, claim, done, at, transport)
        _close(db, store, claim, row, next_ord, at, not_before, left)
    return True


def heartbeat(store: Store, claim: Claim) -> bool:
    """Hold the lease while a dot waits for its answer; False when somebody took the batch over."""
    mine = (batch.c.id == claim.batch_id, batch.c.fence == claim.fence, batch.c.state == BatchState.LEASED)
    with store.write() as db:
        held = sa.update(batch).where(*mine).values(lease_until=store.epoch_now() + LEASE_SECONDS)
        return db.execute(held).rowcount == 1


@lru_cache(maxsize=4)  # built once: building costs more than running it, and there is one a window
def _renewal(store: Store) -> sa.Update:
    renewed = sa.update(batch).where(batch.c.id == sa.bindparam("batch"))
    return renewed.values(hi=sa.bindparam("up_to"), lease_until=leased_until(store))


def _mine(db: sa.Connection, store: Store, claim: Claim) -> _Mine | None:
    """The batch, locked, if this claim still holds it."""
    found = prepared.ask(db, store, _MINE, ("batch", "fence"), (claim.batch_id, claim.fence))
    return _Mine._make(found[0]) if found else None


def _held(claim: Claim) -> Held:
    return Held(batch_id=claim.batch_id, fence=claim.fence)


def _record(db: sa.Connection, store: Store, claim: Claim, done: Done, at: datetime, transport: str) -> None:
    endings = []
    for one in done:
        item, outcome, digest, answered_at = one if isinstance(one, Ended) else (*one, "", None)
        endings.append((item.message_id, item.attempt, outcome, digest or item.digest, answered_at))
    record(db, store, _held(claim), endings, at, transport)


def _grant(db: sa.Connection, store: Store, claim: Claim, lo: int, hi: int) -> bool:
    """Mark the window claimed: all of it, or (when somebody cancelled a message meanwhile) the sender must stop."""
    wanted = bisect_left(claim.items, hi, key=_ORD) - bisect_left(claim.items, lo, key=_ORD)
    return not wanted or wanted == prepared.run(db, store, _GRANT, ("batch", "lo", "hi"), [(claim.batch_id, lo, hi)])


def _close(
    db: sa.Connection,
    store: Store,
    claim: Claim,
    row: _Mine,
    next_ord: int,
    at: datetime,
    not_before: datetime | None = None,
    left: Collection[int] = (),
) -> None:
    """Leave the batch so that anybody can go on with it, and nobody in it is lost or tried twice."""

    def verdict(place: int) -> Outcome | None:
        return _UNANSWERED if place < next_ord and place not in left else None

    still_open = sort_out(db, store, _held(claim), row.hi, verdict, at)
    if row.plan_state == PlanState.CANCELLED:
        still_open = skip_open(db, row.id)
    hour = row.not_before if not_before is None else to_micros(not_before)
    stands, up_to = (BatchState.READY, still_open[0]) if still_open else (BatchState.DONE, row.size)
    left_open = [(stands.value, hour, up_to, len(still_open), row.id)]
    prepared.run(db, store, _LEAVE, ("stands", "hour", "up_to", "left", "batch"), left_open)

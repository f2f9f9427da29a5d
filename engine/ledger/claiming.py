"""Who hands over which messages now? One sender a batch, by a lease on the database's clock and a fence.

Clocks and leases decide only how many messages become uncertain, never whether somebody gets two.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engine.ledger.freezing import unpacked
from engine.ledger.recording import Ending, Held, record, resume_point, skip_open, sort_out
from engine.ledger.rows import Query, Row
from engine.model import (
    BatchState,
    CampaignState,
    JournalProof,
    MessageState,
    Outcome,
    PlanState,
    SkipReason,
)
from engine.store import Store
from engine.store.tables import attempt, batch, batch_item, campaign, contact, message, plan, plan_entry

WINDOW = 20  # messages a commit: what one lost sender without a journal leaves uncertain
LEASE_SECONDS = 60.0  # a dot may be answered after 10 minutes: heartbeat keeps the lease meanwhile

Proof = Callable[[int, int, str], JournalProof | None]
HELD_BACK = (CampaignState.PAUSED, CampaignState.CANCELLED)

_LOST = Outcome(state=MessageState.UNCERTAIN, reason="sender_lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One message to hand over, with all that is needed to render it."""

    ord: int  # its place in the batch
    message_id: int
    contact_id: int
    n: int  # its place in the plan
    attempt: int
    delivery_id: str
    variant: str
    email: str
    language: str
    template_hash: str
    tracked: bool
    context: Mapping[str, Any]
    send_at: datetime
    digest: str  # of the mail the dry run showed; put that of the mail that went out here before recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A batch that this sender alone may hand over, window by window. `items` are those still to be sent."""

    batch_id: int
    plan_id: int
    campaign: str
    occurrence: str
    fence: int
    items: tuple[Item, ...]


def no_proof(_batch_id: int, _fence: int, _owner: str) -> None:
    """No journal can be trusted."""


def nobody(_owner: str) -> bool:
    """No owner is known to be dead."""
    return False


def claim(
    store: Store,
    owner: str,
    at: datetime,
    plan_id: int | None = None,
    proof: Proof = no_proof,
    is_dead: Callable[[str], bool] = nobody,
) -> Claim | None:
    """A batch to hand over now, or None; commits by itself, before anything is sent.

    Batches of senders that are provably dead, or whose lease ran out, come first: `proof(batch, fence, owner)` gives
    their trusted journal, or None; who is not cleared by it becomes uncertain and is not sent again.
    """
    while (taken := _take(store, owner, at, plan_id, proof, is_dead)) is not None:
        found = Claim(
            batch_id=taken.id,
            plan_id=taken.plan_id,
            campaign=taken.campaign,
            occurrence=taken.occurrence,
            fence=taken.fence + 1,
            items=_items(store, taken, at),
        )
        if found.items:
            return found
        _end_empty(store, found)
    return None


def windows(claim: Claim) -> Iterator[tuple[Item, ...]]:
    """The claim's items in runs of 20: ask `advance` for each before the first of it is handed over."""
    return (claim.items[start : start + WINDOW] for start in range(0, len(claim.items), WINDOW))


def _take(
    store: Store,
    owner: str,
    at: datetime,
    plan_id: int | None,
    proof: Proof,
    is_dead: Callable[[str], bool],
) -> Row | None:
    """Lease one batch in one transaction; a lost one is sorted out first, whether it goes on or not."""
    lost, ready = _lost(store, plan_id, _dead_owners(store, is_dead)), _ready(at, plan_id)
    while _is_any(store, lost, ready):
        with store.write() as db:
            row = db.execute(_locked(lost)).first() or db.execute(_locked(ready)).first()
            if row is None:
                return None
            if row.state == BatchState.LEASED:
                _reconcile(db, store, row, proof, at)
            if _lease(db, store, row, owner):
                return row
    return None


def _is_any(store: Store, *wanted: Query) -> bool:
    """Looks without a lock, so that idle senders don't make writers wait."""
    with store.read() as db:
        return any(db.execute(one).first() is not None for one in wanted)


def _locked(wanted: Query) -> Query:
    return wanted.with_for_update(of=batch, skip_locked=True)


def _candidates(plan_id: int | None) -> Query:
    wanted = (
        sa.select(
            batch,
            plan.c.campaign,
            plan.c.occurrence,
            plan.c.state.label("plan_state"),
            campaign.c.state.label("campaign_state"),
        )
        .join(plan, plan.c.id == batch.c.plan_id)
        .outerjoin(campaign, campaign.c.name == plan.c.campaign)
        .order_by(plan.c.priority.desc(), batch.c.not_before, batch.c.id)
        .limit(1)
    )
    return wanted if plan_id is None else wanted.where(batch.c.plan_id == plan_id)


def _ready(at: datetime, plan_id: int | None) -> Query:
    return _candidates(plan_id).where(
        batch.c.state == BatchState.READY,
        batch.c.not_before <= at,
        plan.c.state == PlanState.RELEASED,
        sa.func.coalesce(campaign.c.state, CampaignState.RUNNING).not_in(HELD_BACK),
    )


def _lost(store: Store, plan_id: int | None, dead: list[str]) -> Query:
    is_lost = (batch.c.lease_until < store.epoch_now()) | batch.c.owner.in_(dead)
    return _candidates(plan_id).where(batch.c.state == BatchState.LEASED, is_lost)


def _dead_owners(store: Store, is_dead: Callable[[str], bool]) -> list[str]:
    with store.read() as db:
        owners = db.scalars(sa.select(batch.c.owner).where(batch.c.state == BatchState.LEASED).distinct()).all()
    return [owner for owner in owners if is_dead(owner)]


def _reconcile(db: sa.Connection, store: Store, row: Row, proof: Proof, at: datetime) -> None:
    """The lost sender may have handed over what it was granted: ask its journal, else nobody knows."""
    evidence = proof(row.id, row.fence, row.owner)

    def verdict(place: int) -> Outcome | None:
        if evidence is None or (place in evidence.handed and place not in evidence.answered):
            return _LOST
        return evidence.answered.get(place)

    sort_out(db, store, Held(batch_id=row.id, fence=row.fence), row.hi, verdict, at)


def _lease(db: sa.Connection, store: Store, row: Row, owner: str) -> bool:
    """Give the batch to this owner, if anybody is left in it and the operator lets it go on."""
    if row.plan_state == PlanState.CANCELLED:
        skip_open(db, row.id)
    first = resume_point(db, row.id)
    mine = first is not None and row.campaign_state not in HELD_BACK
    state = BatchState.LEASED if mine else BatchState.DONE if first is None else BatchState.READY
    db.execute(
        sa.update(batch)
        .where(batch.c.id == row.id)
        .values(
            state=state,
            fence=row.fence + 1,
            owner=owner if mine else "",
            hi=row.size if first is None else first,
            lease_until=store.epoch_now() + LEASE_SECONDS if mine else 0.0,
        )
    )
    return mine


def _items(store: Store, taken: Row, at: datetime) -> tuple[Item, ...]:
    """The open messages of the batch; who has no address or no frozen context any more is skipped here."""
    wanted = (
        sa.select(
            batch_item.c.ord,
            batch_item.c.attempt,
            message.c.id,
            message.c.contact_id,
            message.c.n,
            message.c.delivery_id,
            message.c.variant,
            message.c.send_at,
            contact.c.email,
            plan_entry.c.language,
            plan_entry.c.template_hash,
            plan_entry.c.tracked,
            plan_entry.c.context,
            plan_entry.c.digest,
        )
        .join(message, message.c.id == batch_item.c.message_id)
        .join(plan_entry, (plan_entry.c.plan_id == message.c.plan_id) & (plan_entry.c.n == message.c.n))
        .join(contact, contact.c.id == message.c.contact_id)
        .outerjoin(attempt, (attempt.c.message_id == message.c.id) & (attempt.c.n == batch_item.c.attempt))
        .where(batch_item.c.batch_id == taken.id, attempt.c.n.is_(None), message.c.state == MessageState.PLANNED)
        .order_by(batch_item.c.ord)
    )
    with store.read() as db:
        rows = db.execute(wanted).all()
    _skip_erased(store, taken, [row for row in rows if row.email is None or row.context is None], at)
    return tuple(_item(row) for row in rows if row.email is not None and row.context is not None)


def _item(row: Row) -> Item:
    return Item(
        ord=row.ord,
        message_id=row.id,
        contact_id=row.contact_id,
        n=row.n,
        attempt=row.attempt,
        delivery_id=row.delivery_id,
        variant=row.variant,
        email=row.email,
        language=row.language,
        template_hash=row.template_hash,
        tracked=row.tracked,
        context=unpacked(row.context) or {},
        send_at=row.send_at,
        digest=row.digest,
    )


def _skip_erased(store: Store, taken: Row, rows: list[Row], at: datetime) -> None:
    if not rows:
        return
    endings = [
        Ending(
            message_id=row.id,
            attempt=row.attempt,
            outcome=Outcome(
                state=MessageState.SKIPPED,
                reason=SkipReason.NO_ADDRESS if row.email is None else SkipReason.EXPIRED,
            ),
        )
        for row in rows
    ]
    with store.write() as db:
        record(db, store, Held(batch_id=taken.id, fence=taken.fence + 1), endings, at, transport="")


def _end_empty(store: Store, found: Claim) -> None:
    mine = (batch.c.id == found.batch_id, batch.c.fence == found.fence, batch.c.state == BatchState.LEASED)
    with store.write() as db:
        db.execute(sa.update(batch).where(*mine).values(state=BatchState.DONE, owner="", hi=batch.c.size))

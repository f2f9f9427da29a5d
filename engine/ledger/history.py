"""Why did this person get it, or not? Everything that plans, senders and mailboxes say about one contact."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engine.ledger.events import BOUNCE, bounce_id
from engine.ledger.rows import Row
from engine.ledger.waits import Postponed, postponed_of
from engine.model import EntryState, HitKind, MessageState, PlanState, Verdict
from engine.store import Store, among
from engine.store.tables import attempt, event, hit, message, plan, plan_entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to hand a message over."""

    n: int
    state: MessageState
    reason: str
    stage: str
    reply: str
    transport: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One thing that came back: an open, a click, an unsubscribe or the final bounce."""

    kind: str
    site: int
    at: datetime
    verdict: Verdict | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMessage:
    """The message that a released plan made of its entry."""

    id: int
    delivery_id: str
    state: MessageState
    reason: str
    send_at: datetime
    sent_at: datetime | None
    postponed: Postponed | None
    attempts: tuple[Attempt, ...]
    responses: tuple[Response, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """What one plan decided for the contact, and what became of it."""

    plan_id: int
    campaign: str
    occurrence: str
    plan_state: PlanState
    planned_at: datetime  # the moment the audience was seen as of
    state: EntryState
    reason: str
    detail: str
    variant: str
    language: str
    send_at: datetime | None
    message: PlannedMessage | None


def history(store: Store, contact_id: int, campaign: str | None = None) -> list[Chapter]:
    """All chapters of one contact, newest plan first, drafts too; of one campaign if it is named."""
    # From `plan`, so that the unique key (plan, contact) finds the entries.
    wanted = (
        sa.select(
            plan.c.campaign,
            plan.c.occurrence,
            plan.c.state.label("plan_state"),
            plan.c.at.label("planned_at"),
            plan_entry,
        )
        .join(plan_entry, (plan_entry.c.plan_id == plan.c.id) & (plan_entry.c.contact_id == contact_id))
        .order_by(plan.c.id.desc())
    )
    if campaign is not None:
        wanted = wanted.where(plan.c.campaign == campaign)
    with store.read() as db:
        entries = db.execute(wanted).all()
        messages = db.execute(sa.select(message).where(message.c.contact_id == contact_id)).all()
        waits = postponed_of(db, contact_id)
        ids = [row.id for row in messages]
        attempts = _by_message(db.execute(sa.select(attempt).where(among(attempt.c.message_id, ids)).order_by("n")))
        hits = _by_message(db.execute(sa.select(hit).where(among(hit.c.message_id, ids)).order_by("at", "id")))
        bounces = db.execute(sa.select(event).where(event.c.contact_id == contact_id, event.c.kind == BOUNCE)).all()
    by_plan = {
        row.plan_id: _message(row, attempts[row.id], hits[row.id], bounces, waits.get(row.id)) for row in messages
    }
    return [_chapter(row, by_plan.get(row.plan_id)) for row in entries]


def _by_message(rows: Iterable[Row]) -> defaultdict[int, list[Row]]:
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.message_id].append(row)
    return found


def _chapter(row: Row, planned: PlannedMessage | None) -> Chapter:
    return Chapter(
        plan_id=row.plan_id,
        campaign=row.campaign,
        occurrence=row.occurrence,
        plan_state=PlanState(row.plan_state),
        planned_at=row.planned_at,
        state=EntryState(row.state),
        reason=row.reason,
        detail=row.detail,
        variant=row.variant,
        language=row.language,
        send_at=row.send_at,
        message=planned,
    )


def _message(
    row: Row, attempts: Sequence[Row], hits: Sequence[Row], bounces: Sequence[Row], postponed: Postponed | None
) -> PlannedMessage:
    responses = [
        Response(
            kind=HitKind(one.kind),
            site=one.site,
            at=one.at,
            verdict=Verdict(one.verdict) if one.verdict else None,
            why=one.verdict_why,
        )
        for one in hits
    ]
    responses += [
        Response(kind=BOUNCE, site=-1, at=one.at, verdict=None, why="")
        for one in bounces
        if one.event_id == bounce_id(row.delivery_id)
    ]
    return PlannedMessage(
        id=row.id,
        delivery_id=row.delivery_id,
        state=MessageState(row.state),
        reason=row.reason,
        send_at=row.send_at,
        sent_at=row.sent_at,
        postponed=postponed,
        attempts=tuple(_attempt(one) for one in attempts),
        responses=tuple(sorted(responses, key=lambda one: one.at)),
    )


def _attempt(row: Row) -> Attempt:
    return Attempt(
        n=row.n,
        state=MessageState(row.state),
        reason=row.reason,
        stage=row.stage,
        reply=row.reply,
        transport=row.transport,
        at=row.at,
    )

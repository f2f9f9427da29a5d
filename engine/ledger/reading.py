"""Where do messages stand? Counts, what is due, one person's history, and who was assigned to which arm."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

import sqlalchemy as sa

from engine.ledger.choosing import HELD_BACK
from engine.ledger.chunking import CHUNK
from engine.ledger.events import BOUNCE
from engine.ledger.freezing import unpacked
from engine.ledger.outcomes import ASSUMED
from engine.ledger.rows import Query
from engine.model import BatchState, CampaignState, EntryState, HitKind, MessageState, PlanState, Verdict
from engine.store import Store
from engine.store.tables import batch, campaign, event, hit, message, plan, plan_entry, release

HOLDOUT = "holdout"


class Counts(TypedDict):
    """The messages of a plan: `messages` is the sum of the seven states."""

    messages: int
    waiting: int  # planned
    claimed: int
    sent: int
    refused: int
    deferred: int
    skipped: int
    uncertain: int
    refused_by: dict[str, int]  # reason -> messages
    skipped_by: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What of one plan could be handed over now."""

    plan_id: int
    campaign: str
    occurrence: str
    batches: int
    messages: int
    since: datetime  # the earliest hour among them


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One contact as drawn: in a variant or in the holdout, whatever became of the message."""

    contact_id: int
    arm: str  # the variant, or "holdout"
    state: str  # of the message, or "holdout"
    reason: str
    planned_at: datetime
    sent_at: datetime | None
    bounced: bool
    human_opens: int
    human_clicks: int
    all_opens: int
    all_clicks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFacts:
    """A message as links and webhooks need it: whose it is, and what its link places are rendered from."""

    id: int
    delivery_id: str
    campaign: str
    occurrence: str
    plan_id: int
    n: int
    contact_id: int
    variant: str
    language: str
    template_hash: str
    tracked: bool
    context: Mapping[str, Any] | None  # None: erased, or the campaign's window is over
    state: MessageState
    send_at: datetime
    sent_at: datetime | None


def counts(store: Store, plan_id: int) -> Counts:
    """How many messages of the plan stand where."""
    number, mine = sa.func.count(), message.c.plan_id == plan_id
    all_states = sa.select(message.c.state, number).where(mine).group_by(message.c.state)
    by_state = dict.fromkeys(MessageState, 0)
    reasons: dict[str, dict[str, int]] = {MessageState.REFUSED: {}, MessageState.SKIPPED: {}}
    with store.read() as db:
        for state, messages in db.execute(all_states):  # by the index alone: a million in a tenth of a second
            by_state[MessageState(state)] = messages
        for state, by_reason in reasons.items():
            told = sa.select(message.c.reason, number).where(mine, message.c.state == state)
            by_reason.update(dict(map(tuple, db.execute(told.group_by(message.c.reason)))))
    return Counts(
        messages=sum(by_state.values()),
        waiting=by_state[MessageState.PLANNED],
        claimed=by_state[MessageState.CLAIMED],
        sent=by_state[MessageState.SENT],
        refused=by_state[MessageState.REFUSED],
        deferred=by_state[MessageState.DEFERRED],
        skipped=by_state[MessageState.SKIPPED],
        uncertain=by_state[MessageState.UNCERTAIN],
        refused_by=reasons[MessageState.REFUSED],
        skipped_by=reasons[MessageState.SKIPPED],
    )


def due(store: Store, at: datetime) -> list[Due]:
    """What could go out now and waits for a sender, by plan, the longest waiting first."""
    since = sa.func.min(batch.c.not_before).label("since")
    unclaimed = (batch.c.state == BatchState.READY) | (batch.c.lease_until < store.epoch_now())
    put_down = sa.case((batch.c.state == BatchState.READY, batch.c.open))
    left = sa.func.sum(sa.func.coalesce(put_down, batch.c.size - batch.c.hi)).label("messages")
    wanted = (
        _claimable(plan.c.id, plan.c.campaign, plan.c.occurrence, sa.func.count().label("batches"), left, since)
        .where(batch.c.not_before <= at, unclaimed)
        .group_by(plan.c.id, plan.c.campaign, plan.c.occurrence)
        .order_by(since)
    )
    with store.read() as db:
        return [
            Due(
                plan_id=row.id,
                campaign=row.campaign,
                occurrence=row.occurrence,
                batches=row.batches,
                messages=int(row.messages),
                since=row.since,
            )
            for row in db.execute(wanted)
        ]


def next_due(store: Store, at: datetime, plan_id: int | None = None) -> datetime | None:
    """The next hour after `at` at which something released becomes due; of one plan, or of all."""
    wanted = _claimable(sa.func.min(batch.c.not_before)).where(batch.c.not_before > at)
    if plan_id is not None:
        wanted = wanted.where(batch.c.plan_id == plan_id)
    with store.read() as db:
        hour: datetime | None = db.scalar(wanted)
    return hour


def something_waits(store: Store) -> bool:
    """Whether any released message has not been handed over yet, though nobody holds it back."""
    with store.read() as db:
        return db.execute(_claimable(batch.c.id).limit(1)).first() is not None


def last_hour(store: Store, plan_id: int) -> datetime | None:
    """The hour for which the plan's last message was planned."""
    with store.read() as db:
        hour: datetime | None = db.scalar(sa.select(sa.func.max(message.c.send_at)).where(message.c.plan_id == plan_id))
    return hour


def unsettled(store: Store) -> list[int]:
    """The released plans of which some message may still go out or become something else; oldest first.

    An uncertain one that is assumed to be sent counts as settled.
    """

    def some(*wanted: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        return sa.exists().where(message.c.plan_id == plan.c.id, *wanted)

    still_open = message.c.state.in_([MessageState.PLANNED, MessageState.CLAIMED, MessageState.DEFERRED])
    in_doubt = (message.c.state == MessageState.UNCERTAIN, message.c.reason != ASSUMED)
    wanted = sa.select(plan.c.id).where(plan.c.state == PlanState.RELEASED, some(still_open) | some(*in_doubt))
    with store.read() as db:
        return list(db.scalars(wanted.order_by(plan.c.id)))


def assignments(store: Store, campaign: str, occurrence: str | None = None) -> Iterator[Assignment]:
    """Everybody that was drawn, messages and holdout alike, one row each; without `occurrence`: of all of them."""
    with store.read() as db:
        for wanted in (_assigned_messages(campaign, occurrence), _assigned_holdout(campaign, occurrence)):
            with db.execution_options(yield_per=CHUNK).execute(wanted) as rows:
                for row in rows:
                    yield Assignment(**{**row._mapping, "bounced": bool(row.bounced)})


def message_by_delivery(store: Store, delivery_id: str) -> MessageFacts | None:
    """The message that a token, a bounce or a webhook speaks of; None when it is not ours."""
    wanted = (
        sa.select(message, plan_entry.c.language, plan_entry.c.template_hash, plan_entry.c.tracked)
        .add_columns(plan_entry.c.context)
        .join(plan_entry, (plan_entry.c.plan_id == message.c.plan_id) & (plan_entry.c.n == message.c.n))
        .where(message.c.delivery_id == delivery_id)
    )
    with store.read() as db:
        row = db.execute(wanted).first()
    if row is None:
        return None
    return MessageFacts(
        id=row.id,
        delivery_id=row.delivery_id,
        campaign=row.campaign,
        occurrence=row.occurrence,
        plan_id=row.plan_id,
        n=row.n,
        contact_id=row.contact_id,
        variant=row.variant,
        language=row.language,
        template_hash=row.template_hash,
        tracked=row.tracked,
        context=unpacked(row.context),
        state=MessageState(row.state),
        send_at=row.send_at,
        sent_at=row.sent_at,
    )


def _claimable(*columns: sa.ColumnElement[Any]) -> Query:
    """Batches that are not done, of released plans that nobody holds back."""
    return (
        sa.select(*columns)
        .select_from(batch)
        .join(plan, plan.c.id == batch.c.plan_id)
        .outerjoin(campaign, campaign.c.name == plan.c.campaign)
        .where(
            batch.c.state.in_([BatchState.READY, BatchState.LEASED]),
            plan.c.state == PlanState.RELEASED,
            sa.func.coalesce(campaign.c.state, CampaignState.RUNNING).not_in(HELD_BACK),
        )
    )


def _assigned_messages(campaign: str, occurrence: str | None) -> Query:
    mine = [message.c.campaign == campaign]
    if occurrence is not None:
        mine.append(message.c.occurrence == occurrence)
    hits = (
        sa.select(hit.c.message_id, *_hit_counts())
        .join(message, message.c.id == hit.c.message_id)
        .where(*mine)
        .group_by(hit.c.message_id)
        .subquery()
    )
    bounced = sa.select(event.c.id).where(event.c.event_id == sa.literal(f"{BOUNCE}:") + message.c.delivery_id)
    counted = [sa.func.coalesce(column, 0).label(column.name) for column in hits.c if column.name != "message_id"]
    return (
        sa.select(
            message.c.contact_id,
            message.c.variant.label("arm"),
            message.c.state,
            message.c.reason,
            message.c.send_at.label("planned_at"),
            message.c.sent_at,
            bounced.exists().label("bounced"),
            *counted,
        )
        .outerjoin(hits, hits.c.message_id == message.c.id)
        .where(*mine)
        .order_by(message.c.id)
    )


def _hit_counts() -> list[sa.ColumnElement[int]]:
    is_human = hit.c.verdict == Verdict.HUMAN

    def number(condition: sa.ColumnElement[bool], name: str) -> sa.ColumnElement[int]:
        return sa.cast(sa.func.sum(sa.case((condition, 1), else_=0)), sa.Integer).label(name)

    return [
        number((hit.c.kind == HitKind.OPEN) & is_human, "human_opens"),
        number((hit.c.kind == HitKind.CLICK) & is_human, "human_clicks"),
        number(hit.c.kind == HitKind.OPEN, "all_opens"),
        number(hit.c.kind == HitKind.CLICK, "all_clicks"),
    ]


def _assigned_holdout(campaign: str, occurrence: str | None) -> Query:
    nothing = [sa.literal(0).label(name) for name in ("human_opens", "human_clicks", "all_opens", "all_clicks")]
    wanted = (
        sa.select(
            plan_entry.c.contact_id,
            sa.literal(HOLDOUT).label("arm"),
            sa.literal(HOLDOUT).label("state"),
            plan_entry.c.reason,
            sa.func.coalesce(plan_entry.c.send_at, plan.c.at).label("planned_at"),
            sa.null().label("sent_at"),
            sa.literal(0).label("bounced"),
            *nothing,
        )
        .join(plan, plan.c.id == plan_entry.c.plan_id)
        .join(release, release.c.plan_id == plan.c.id)
        .where(release.c.campaign == campaign, release.c.ready, plan_entry.c.state == EntryState.HOLDOUT)
        .order_by(plan_entry.c.plan_id, plan_entry.c.n)
    )
    return wanted if occurrence is None else wanted.where(release.c.occurrence == occurrence)

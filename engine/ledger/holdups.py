"""What keeps messages from going out just now, until when, and how many?"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from engine.ledger.breakers import OPEN
from engine.ledger.choosing import HELD_BACK, transport_of_plan
from engine.ledger.pacing import let_go, rate_in_words
from engine.ledger.releasing import DestinationOf, domain_in, unsorted
from engine.ledger.rows import Row
from engine.ledger.turns import CAPPED, OUTRANKED, QUIET
from engine.model import BatchState, CampaignState, MessageState, PlanState
from engine.store import Store
from engine.store.tables import batch, batch_item, breaker, bucket, campaign, contact, message, plan

HELD, DAILY, RATE, RETRY, UNREACHABLE, TURN = "held", "daily", "rate", "retry", "unreachable", "turn"

_FORESEEN_SECONDS = 10 * 366 * 86_400.0  # no end is told that lies further off
_STILL_OPEN = (MessageState.PLANNED, MessageState.CLAIMED)
_LIVELY_SECONDS = 60.0  # a rate is shown as long as somebody has lately sent by it


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdup:
    """One thing that messages wait for."""

    kind: str  # held | daily | rate | retry | unreachable | turn
    transport: str  # empty: whichever
    destination: str  # empty: all of them
    why: str  # in words
    until: datetime | None  # when it ends, as far as can be told
    messages: int


def holdups(
    store: Store, at: datetime, plan_id: int | None = None, via: Mapping[str, str] | None = None
) -> list[Holdup]:
    """Everything that holds released messages back beside their hour and a pause, the most messages first.

    `via` as for `claim`. What waits for nobody's leave but a sender's is no holdup.
    """
    with store.read() as db:
        waiting = _waiting(db, plan_id, via or {})
        buckets = db.execute(sa.select(bucket, store.epoch_now().label("now"))).all()
        broken = sa.select(breaker, store.epoch_now().label("now")).where(breaker.c.state == OPEN)
        found = [one for row in buckets for one in _of_bucket(row, waiting, at)]
        found += [_unreachable(row, waiting, at) for row in db.execute(broken) if row.open_until > row.now]
        found += _retries(db, at, plan_id)
        found += _turns(db, at, plan_id)
    return sorted((one for one in found if one.messages), key=lambda one: -one.messages)


def end_holds(store: Store, plan_id: int, ways: Collection[str], destination_of: DestinationOf = unsorted) -> None:
    """An operator has mended what was complained of: what the plan's destinations are held for ends now.

    `ways` are the transports by which its messages may go.
    """
    with store.read() as db:
        held = list(db.scalars(sa.select(bucket.c.scope).where(bucket.c.held_until > store.epoch_now())))
        theirs = _destinations(db, store, plan_id, destination_of) if held else set()
    for scope in held:
        transport, _, destination = scope.partition("/")
        if transport in ways and theirs and (not destination or destination in theirs):
            let_go(store, scope)


def _destinations(db: sa.Connection, store: Store, plan_id: int, destination_of: DestinationOf) -> set[str]:
    """Where the plan's open messages go to; those of mixed batches by their addresses."""
    mine = (batch.c.plan_id == plan_id, batch.c.state.in_([BatchState.READY, BatchState.LEASED]))
    found = set(db.scalars(sa.select(batch.c.destination).where(*mine).distinct()))
    if "" in found:
        mixed = (
            sa.select(domain_in(store))
            .select_from(batch)
            .join(batch_item, batch_item.c.batch_id == batch.c.id)
            .join(message, message.c.id == batch_item.c.message_id)
            .join(contact, contact.c.id == message.c.contact_id)
            .where(*mine, batch.c.destination == "", message.c.state.in_(_STILL_OPEN), contact.c.email.is_not(None))
            .distinct()
        )
        found |= {destination_of(domain) for domain in db.scalars(mixed)}
    return found


def _waiting(db: sa.Connection, plan_id: int | None, via: Mapping[str, str]) -> list[Row]:
    """How many messages of batches are open, by transport, destination and hour."""
    left = sa.func.coalesce(sa.case((batch.c.state == BatchState.READY, batch.c.open)), batch.c.size - batch.c.hi)
    transport = transport_of_plan(via).label("transport")
    wanted = (
        sa.select(transport, batch.c.destination, batch.c.not_before, sa.func.sum(left).label("messages"))
        .join(plan, plan.c.id == batch.c.plan_id)
        .outerjoin(campaign, campaign.c.name == plan.c.campaign)
        .where(
            batch.c.state.in_([BatchState.READY, BatchState.LEASED]),
            plan.c.state == PlanState.RELEASED,
            sa.func.coalesce(campaign.c.state, CampaignState.RUNNING).not_in(HELD_BACK),
        )
        .group_by(transport, batch.c.destination, batch.c.not_before)
    )
    if plan_id is not None:
        wanted = wanted.where(batch.c.plan_id == plan_id)
    return list(db.execute(wanted).all())


def _due_by(waiting: list[Row], hour: datetime, transport: str, destination: str = "") -> int:
    return sum(
        int(row.messages)
        for row in waiting
        if row.transport == transport and destination in ("", row.destination) and row.not_before <= hour
    )


def _of_bucket(row: Row, waiting: list[Row], at: datetime) -> Iterator[Holdup]:
    transport, _, destination = row.scope.partition("/")
    rate = row.rate * row.factor

    def held_up(kind: str, why: str, seconds: float) -> Holdup:
        until: datetime | None = at + timedelta(seconds=seconds)
        messages = _due_by(waiting, until or at, transport, destination)
        if kind == RATE:
            takes = messages / rate
            until = at + timedelta(seconds=takes) if takes < _FORESEEN_SECONDS else None
        return Holdup(kind=kind, transport=transport, destination=destination, why=why, until=until, messages=messages)

    if row.held_until > row.now:
        yield held_up(HELD, row.why, row.held_until - row.now)
    elif row.daily is not None and row.day_count >= row.daily and row.day_ends > row.now:
        yield held_up(DAILY, f"all {row.daily} messages of today are out", row.day_ends - row.now)
    elif rate > 0 and row.now - row.at < _LIVELY_SECONDS:
        slowed = f", slowed down: {row.why}" if row.factor < 1 else ""
        yield held_up(RATE, f"{rate_in_words(rate)}{slowed}", 0)


def _unreachable(row: Row, waiting: list[Row], at: datetime) -> Holdup:
    until = at + timedelta(seconds=row.open_until - row.now)
    messages = _due_by(waiting, until, row.transport)
    return Holdup(
        kind=UNREACHABLE, transport=row.transport, destination="", why=row.why, until=until, messages=messages
    )


_TURNS = {
    QUIET: "it is a quiet hour where they live",
    CAPPED: "they got as much as the caps allow",
    OUTRANKED: "a better message for them is due too",
}


def _turns(db: sa.Connection, at: datetime, plan_id: int | None) -> list[Holdup]:
    """Messages that were postponed to another hour of their recipients; told is when the first of them goes on."""
    wanted = (
        sa.select(
            batch.c.waits_for,
            sa.func.sum(sa.func.coalesce(batch.c.open, batch.c.size)).label("messages"),
            sa.func.min(batch.c.not_before).label("first"),
        )
        .join(plan, plan.c.id == batch.c.plan_id)
        .where(batch.c.state == BatchState.READY, batch.c.not_before > at, batch.c.waits_for.in_(list(_TURNS)))
        .where(plan.c.state == PlanState.RELEASED)
        .group_by(batch.c.waits_for)
    )
    if plan_id is not None:
        wanted = wanted.where(batch.c.plan_id == plan_id)
    return [
        Holdup(
            kind=TURN,
            transport="",
            destination="",
            why=_TURNS[row.waits_for],
            until=row.first,
            messages=int(row.messages),
        )
        for row in db.execute(wanted)
    ]


def _retries(db: sa.Connection, at: datetime, plan_id: int | None) -> list[Holdup]:
    """Deferred messages that wait for the hour of their next try."""
    wanted = (
        sa.select(message.c.reason, sa.func.count().label("messages"), sa.func.min(message.c.retry_at).label("next"))
        .join(plan, plan.c.id == message.c.plan_id)
        .where(message.c.retry_at > at, message.c.state == MessageState.DEFERRED, plan.c.state == PlanState.RELEASED)
        .group_by(message.c.reason)
    )
    if plan_id is not None:
        wanted = wanted.where(message.c.plan_id == plan_id)
    return [
        Holdup(
            kind=RETRY,
            transport="",
            destination="",
            why=f"put off: {row.reason}" if row.reason else "put off",
            until=row.next,
            messages=row.messages,
        )
        for row in db.execute(wanted)
    ]

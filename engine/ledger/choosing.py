"""Which batch comes next? Those of lost senders, then by priority and hour, and never one whose way is held.

Cost grows with the number of plans that have batches to send, not with the number of batches.
"""

from collections.abc import Mapping
from functools import lru_cache

import sqlalchemy as sa

from engine.ledger.rows import Query
from engine.model import BatchState, CampaignState, PlanState
from engine.store import Store
from engine.store.tables import batch, campaign, plan

HELD_BACK = (CampaignState.PAUSED, CampaignState.CANCELLED)

Via = tuple[tuple[str, str], ...]  # pairs, so that a statement is built once for each way things stand

_PLANS = 20  # looked at in one go; with more than these, the last wait for the next look


def transport_of_plan(via: Mapping[str, str]) -> sa.ColumnElement[str]:
    """The transport that carries a plan's messages now: `via` tells it by the name in the campaign's file, or ""."""
    named = sa.func.coalesce(plan.c.definition["transport"].as_string(), "")
    return sa.case(dict(via), value=named, else_=named) if via else named


@lru_cache(maxsize=16)
def lost(store: Store, plan_id: int | None, dead: tuple[str, ...], via: Via) -> Query:
    """A batch whose sender is dead, or was not heard of for a whole lease."""
    is_lost = (batch.c.lease_until < store.epoch_now()) | batch.c.owner.in_(dead)
    wanted = _batches(via).where(batch.c.state == BatchState.LEASED, is_lost)
    wanted = wanted.order_by(plan.c.priority.desc(), batch.c.not_before, batch.c.id)
    return wanted if plan_id is None else wanted.where(batch.c.plan_id == plan_id)


@lru_cache(maxsize=16)
def ready(shut: tuple[str, ...], via: Via) -> Query:
    """The next batch of the plan `plan_id` that may go out at `at`."""
    return (
        _batches(via)
        .where(batch.c.plan_id == sa.bindparam("plan_id"), *_may_go(shut, via))
        .where(plan.c.state == PlanState.RELEASED, ~_is_held_back())
        .order_by(batch.c.not_before, batch.c.id)
    )


@lru_cache(maxsize=16)
def plans_with_batches(plan_id: int | None, shut: tuple[str, ...], via: Via) -> Query:
    """The plans that have a batch to send at `at`: the highest priority first, then the longest waiting."""
    since = sa.select(sa.func.min(batch.c.not_before)).where(batch.c.plan_id == plan.c.id, *_may_go(shut, via))
    since_when = since.correlate(plan).scalar_subquery()
    found = (
        sa.select(plan.c.id, since_when.label("since"), plan.c.priority)
        .outerjoin(campaign, campaign.c.name == plan.c.campaign)
        .where(plan.c.state == PlanState.RELEASED, ~_is_held_back())
        .where(plan.c.id.in_(sa.select(_waiting_plans().c.id)) if plan_id is None else plan.c.id == plan_id)
        .subquery()
    )
    wanted = sa.select(found.c.id).where(found.c.since.is_not(None))
    return wanted.order_by(found.c.priority.desc(), found.c.since, found.c.id).limit(_PLANS)


@lru_cache(maxsize=16)
def runnable(store: Store, shut: tuple[str, ...], via: Via) -> Query:
    """Every batch that may go out at `at`, or whose sender was not heard of for a whole lease."""
    is_lost = (batch.c.state == BatchState.LEASED) & (batch.c.lease_until < store.epoch_now())
    return (
        sa.select(batch.c.plan_id, batch.c.id.label("batch_id"), plan.c.priority)
        .join(plan, plan.c.id == batch.c.plan_id)
        .outerjoin(campaign, campaign.c.name == plan.c.campaign)
        .where(is_lost | sa.and_(*_may_go(shut, via)))
        .where(plan.c.state == PlanState.RELEASED, ~_is_held_back())
        .order_by(plan.c.priority.desc(), batch.c.not_before, batch.c.id)
    )


@lru_cache(maxsize=32)
def locked(batches: Query) -> Query:
    """The same, for whoever takes what it finds; a batch that somebody is about to take is passed over."""
    return batches.with_for_update(of=batch, skip_locked=True)


def _waiting_plans() -> sa.CTE:
    """The plans of all ready batches, found by hopping along the index from plan to plan."""
    ready_one = batch.c.state == BatchState.READY
    first = sa.select(sa.func.min(batch.c.plan_id).label("id")).where(ready_one).cte("waiting", recursive=True)
    later = sa.select(sa.func.min(batch.c.plan_id)).where(ready_one, batch.c.plan_id > first.c.id)
    return first.union_all(sa.select(later.correlate(first).scalar_subquery()).where(first.c.id.is_not(None)))


def _may_go(shut: tuple[str, ...], via: Via) -> list[sa.ColumnElement[bool]]:
    at = sa.bindparam("at", type_=batch.c.not_before.type)
    wanted: list[sa.ColumnElement[bool]] = [batch.c.state == BatchState.READY, batch.c.not_before <= at]
    if shut:
        transport = transport_of_plan(dict(via))
        wanted += [transport.not_in(shut), (transport + "/" + batch.c.destination).not_in(shut)]
    return wanted


def _is_held_back() -> sa.ColumnElement[bool]:
    return sa.func.coalesce(campaign.c.state, CampaignState.RUNNING).in_(HELD_BACK)


def _batches(via: Via) -> Query:
    return (
        sa.select(
            batch,
            plan.c.campaign,
            plan.c.occurrence,
            plan.c.state.label("plan_state"),
            campaign.c.state.label("campaign_state"),
            transport_of_plan(dict(via)).label("transport"),
        )
        .join(plan, plan.c.id == batch.c.plan_id)
        .outerjoin(campaign, campaign.c.name == plan.c.campaign)
        .limit(1)
    )

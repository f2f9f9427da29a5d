"""What is there to do while nobody asks? Every few seconds a little, at night a lot; each step safe beside others."""

from datetime import datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from engine import delivery, ledger
from engine.model import CampaignState, PlanState
from engine.pipeline.people import refresh
from engine.pipeline.receiving import drain_hits, judge_the_hasty, spool_of
from engine.pipeline.workspace import Mailer
from engine.store.tables import fact

_NIGHT = time(3, 30)
_LATE = timedelta(minutes=5)
_SETTLE_AFTER = timedelta(minutes=30)
_REFRESHED_ON = "refreshed_on"


def tick(mailer: Mailer) -> None:
    """Say that we live, complete what was cut off, settle what is uncertain, and refresh once a night."""
    at = mailer.clock()
    beat(mailer, "run")
    ledger.finish_releases(mailer.store, mailer.keys)
    drain_hits(mailer, spool_of(mailer))
    judge_the_hasty(mailer, at)
    for plan in ledger.plans_of(mailer.store, state=PlanState.RELEASED):
        policy = ledger.UncertainPolicy(plan.definition["uncertain"])
        ledger.resolve_uncertain(mailer.store, plan.id, policy, at, _SETTLE_AFTER)
    if _night_is_due(mailer, at):
        refresh(mailer, at, _unwatched)
        ledger.purge_drafts(mailer.store, at)
        _refreshed(mailer, at)


def beat(mailer: Mailer, kind: str) -> None:
    """This process lives, as `run`, `worker` or `web`; `status` counts those heard of within 30 seconds."""
    ledger.beat(mailer.store, delivery.owner_name(), kind)


def leave(mailer: Mailer) -> None:
    """This process ends in order."""
    ledger.leave(mailer.store, delivery.owner_name())


def _unwatched(_done: int, _total: int | None) -> None:
    """Nobody looks at the progress of a night."""


def status(mailer: Mailer, at: datetime) -> dict[str, Any]:
    """What runs, what waits and why, what comes next, and what somebody should look at."""
    processes = {kind: len(ledger.living(mailer.store, kind)) for kind in ("run", "worker", "web")}
    campaigns = [_campaign(mailer, one) for one in ledger.states(mailer.store)]
    due = ledger.due(mailer.store, at)
    late = [one for one in due if at - one.since > _LATE]
    worries = [
        f"{one.messages} messages of {one.campaign} are due since {one.since:%Y-%m-%d %H:%M} UTC" for one in late
    ]
    worries += [
        f"{one['campaign']} is paused: {one['reason']}"
        for one in campaigns
        if one["state"] == CampaignState.PAUSED and one["reason"] != "paused by hand"
    ]
    if not processes["worker"] and (due or ledger.next_due(mailer.store, at)):
        worries.append("messages wait, but no sender lives: start `mailer run`")
    return {
        "processes": {kind: number for kind, number in processes.items() if number},
        "campaigns": campaigns,
        "due": sum(one.messages for one in due),
        "next_due": ledger.next_due(mailer.store, at),
        "worries": worries,
    }


def _campaign(mailer: Mailer, standing: ledger.Standing) -> dict[str, Any]:
    plans = [one for one in ledger.plans_of(mailer.store, standing.name) if one.released_at]
    counted = [ledger.counts(mailer.store, one.id) for one in plans]
    total = {
        key: sum(int(str(one.get(key, 0))) for one in counted)
        for key in ("sent", "waiting", "claimed", "refused", "deferred", "skipped", "uncertain")
    }
    total["waiting"] += total.pop("claimed")
    return {"campaign": standing.name, "state": standing.state.value, "reason": standing.reason, **total}


def _night_is_due(mailer: Mailer, at: datetime) -> bool:
    """Once a local day, in the first tick after half past three; a night that was missed is made up for."""
    local = at.astimezone(mailer.zone)
    night = local.date() if local.time() >= _NIGHT else local.date() - timedelta(days=1)
    with mailer.store.read() as db:
        last = db.execute(sa.select(fact.c.value).where(fact.c.name == _REFRESHED_ON)).scalar_one_or_none()
    return last is None or str(last) < night.isoformat()


def _refreshed(mailer: Mailer, at: datetime) -> None:
    local = at.astimezone(mailer.zone)
    night = local.date() if local.time() >= _NIGHT else local.date() - timedelta(days=1)
    with mailer.store.write() as db:
        row = mailer.store.insert(fact).values(name=_REFRESHED_ON, value=night.isoformat())
        db.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": row.excluded.value}))

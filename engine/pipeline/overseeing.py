"""How does everything stand? What runs, what waits and why, what comes next, and what somebody should look at."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from engine import ledger
from engine.model import CampaignState
from engine.pipeline.pacing import held_up
from engine.pipeline.ticking import living, next_night
from engine.pipeline.workspace import Mailer
from engine.pipeline.worrying import worries

_KINDS = ("run", "worker", "web")
_COUNTED = ("sent", "waiting", "claimed", "refused", "deferred", "skipped", "uncertain")
_MISSED_FOR = timedelta(days=7)


def status(mailer: Mailer, at: datetime) -> dict[str, Any]:
    """All of it, as the stable JSON of `mailer status`; moments are aware."""
    living_ones = living(mailer)
    processes = {kind: sum(one.kind == kind for one in living_ones) for kind in _KINDS}
    tick = ledger.last_tick(mailer.store)
    return {
        "processes": {kind: number for kind, number in processes.items() if number},
        "tick": {"age_seconds": round(tick.age_seconds, 1), "took_seconds": tick.took_seconds} if tick else None,
        "campaigns": [_campaign(mailer, one) for one in ledger.states(mailer.store)],
        "journeys": [_journey(one) for one in ledger.journey_standings(mailer.store)],
        "due": sum(one.messages for one in ledger.due(mailer.store, at)),
        "next_due": ledger.next_due(mailer.store, at),
        "next": _next(mailer, at),
        "missed": [
            {"name": one.name, "occurrence": one.occurrence, "due_at": one.due_at, "why": one.why}
            for one in ledger.missed_since(mailer.store, at - _MISSED_FOR)
        ],
        "held_up": held_up(mailer),
        "troubles": sorted({line for one in living_ones for line in one.trouble.splitlines()}),
        "worries": [one.text for one in worries(mailer, at)],
        "alerts": [
            {"cause": one.cause, "text": one.text, "began_at": one.began_at, "told_at": one.told_at}
            for one in ledger.open_alerts(mailer.store)
        ],
    }


def _next(mailer: Mailer, at: datetime) -> list[dict[str, Any]]:
    """What comes by itself, the soonest first: messages, occurrences, journeys' timers, the night's work."""
    found: list[tuple[datetime | None, str, str]] = [
        (ledger.next_due(mailer.store, at), "messages", ""),
        (next_night(mailer, at), "night", ""),
    ]
    found += [(one.next_due_at, "occurrence", one.campaign) for one in ledger.schedules(mailer.store)]
    found += [
        (one.next_timer, "journey", one.journey)
        for one in ledger.journey_standings(mailer.store)
        if one.state == CampaignState.RUNNING
    ]
    return [
        {"at": hour, "what": what, "name": name}
        for hour, what, name in sorted((one for one in found if one[0] is not None), key=lambda one: (str(one[0]), one))
    ]


def _journey(one: ledger.JourneyStanding) -> Mapping[str, Any]:
    return {
        "journey": one.journey,
        "state": one.state,
        "reason": one.reason,
        "version": one.version,
        "inside": one.inside,
        "next_timer": one.next_timer,
    }


def _campaign(mailer: Mailer, standing: ledger.Standing) -> dict[str, Any]:
    plans = [one for one in ledger.plans_of(mailer.store, standing.name) if one.released_at]
    counted = [ledger.counts(mailer.store, one.id) for one in plans]
    total = {key: sum(int(str(one.get(key, 0))) for one in counted) for key in _COUNTED}
    total["waiting"] += total.pop("claimed")
    return {"campaign": standing.name, "state": standing.state.value, "reason": standing.reason, **total}

"""When does a campaign pause itself, and who lets it go on? Counted in the ledger, decided by `campaign.brake_verdict`.

Senders ask after a window in which something went wrong, notices after a bounce or a complaint, the tick in any case.
"""

import logging
import time
from datetime import datetime, timedelta

from engine import campaign as campaigns
from engine import ledger
from engine.campaign import BrakeState
from engine.errors import Refused
from engine.model import CampaignState
from engine.pipeline.workspace import Mailer

_JUDGED_FOR = timedelta(days=30)  # after a plan's release: complaints come for days
_TOLD_FOR = timedelta(days=7)
# A look counts the plan's messages, about a microsecond each. Small campaigns are looked at whenever something goes
# wrong, for what is wrong from the start must stop at once; one of a million every 20 seconds.
_LOOKED_AT_A_SECOND = 50_000
_SMALL = 5_000
_WARNED = "warned: "

log = logging.getLogger("mailer.brake")
_not_before: dict[tuple[str, str], float] = {}  # this process's next look at a campaign, by the monotonic clock


def look_at_brake(mailer: Mailer, campaign: str, at: datetime) -> str | None:
    """Pause the campaign if too much came back of any of its plans; gives the reason, or None where it goes on.

    A warning is told once a plan.
    """
    tried = 0
    for plan_id in ledger.braking_plans(mailer.store, campaign, at - _JUDGED_FOR):
        counts = ledger.brake_counts(mailer.store, plan_id)
        found = campaigns.brake_verdict(counts, mailer.settings.limits.brake)
        tried += counts.tried
        reason = f"{ledger.BRAKED}{found.reason} (plan {plan_id})"
        if found.state is BrakeState.STOP and _may_pause(mailer, campaign):
            if ledger.set_state(mailer.store, campaign, CampaignState.PAUSED, reason, at):
                log.warning("campaign_paused campaign=%s reason=%r", campaign, reason)
                return reason
        elif found.state is BrakeState.WARN and not _was_warned(mailer, campaign, plan_id):
            ledger.note(mailer.store, campaign, f"{_WARNED}{found.reason} (plan {plan_id})", at)
            log.warning("campaign_warned campaign=%s plan=%s reason=%r", campaign, plan_id, found.reason)
    pause = tried / _LOOKED_AT_A_SECOND if tried > _SMALL else 0.0
    _not_before[mailer.store.url, campaign] = time.monotonic() + pause
    return None


def look_if_due(mailer: Mailer, campaign: str, at: datetime) -> str | None:
    """The same, unless this process has looked at so large a campaign just now: the tick looks for what is left."""
    if time.monotonic() < _not_before.get((mailer.store.url, campaign), 0.0):
        return None
    return look_at_brake(mailer, campaign, at)


def brake_all(mailer: Mailer, at: datetime) -> None:
    """A step of the tick: whatever no sender and no notice has seen."""
    for one in ledger.states(mailer.store):
        if one.state is CampaignState.RUNNING:
            look_if_due(mailer, one.name, at)


def brake_worries(mailer: Mailer, at: datetime) -> list[str]:
    """What `status` tells of complaints: of campaigns of the last days, whether they are over or not."""
    return [
        f"{one.name}: {found.reason} (plan {plan_id})"
        for one in ledger.states(mailer.store)
        if one.state in (CampaignState.RUNNING, CampaignState.ENDED)
        for plan_id in ledger.braking_plans(mailer.store, one.name, at - _TOLD_FOR)
        if (found := _of_complaints(mailer, plan_id)).state is not BrakeState.GO
    ]


def refuse_if_braked(mailer: Mailer, campaign: str) -> None:
    """Refused while the campaign is held by its brake: only `take_brake_off` lets it go on."""
    standing = ledger.state_of(mailer.store, campaign)
    if standing is not None and standing.is_braked:
        raise Refused(
            f"{campaign} paused itself on {standing.at:%Y-%m-%d %H:%M} UTC. {standing.reason}. Look at what the "
            f"servers say (`mailer report {campaign}`, `mailer why EMAIL {campaign}`) and mend it; then "
            f'`mailer resume {campaign} --because "WHAT YOU FOUND"` goes on, and counts anew'
        )


def take_brake_off(mailer: Mailer, campaign: str, because: str, at: datetime) -> None:
    """Somebody has looked, and says so: the words are kept, and the counts start anew."""
    for plan_id in ledger.braking_plans(mailer.store, campaign, at - _JUDGED_FOR):
        ledger.take_brake_off(mailer.store, plan_id, at)
    ledger.set_state(mailer.store, campaign, CampaignState.RUNNING, f"resumed after the brake: {because}", at)
    log.warning("brake_taken_off campaign=%s because=%r", campaign, because)


def _of_complaints(mailer: Mailer, plan_id: int) -> campaigns.BrakeVerdict:
    counts = ledger.brake_counts(mailer.store, plan_id)
    told = ledger.BrakeCounts(tried=counts.tried, sent=counts.sent, complaints=counts.complaints)
    return campaigns.brake_verdict(told, mailer.settings.limits.brake)


def _may_pause(mailer: Mailer, campaign: str) -> bool:
    """Whether there is anything to pause: what somebody paused by hand stays paused by hand."""
    standing = ledger.state_of(mailer.store, campaign)
    return standing is None or standing.state is CampaignState.RUNNING


def _was_warned(mailer: Mailer, campaign: str, plan_id: int) -> bool:
    return any(
        one.reason.startswith(_WARNED) and one.reason.endswith(f"(plan {plan_id})")
        for one in ledger.story_of(mailer.store, campaign)
    )

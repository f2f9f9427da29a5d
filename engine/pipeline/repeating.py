"""Which campaigns come round by themselves, and what becomes of each occurrence? Released once, or told as missed.

An operator arms a campaign whose file says `repeat`. Its occurrences are named by local wall time, so the hour that
comes twice in autumn is one; the release of an occurrence's plan is what no two processes can both do.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from engine import campaign, ledger
from engine.campaign import Occurrence, Repeat
from engine.errors import MailerError, Refused, StoreUnavailable
from engine.ledger import Missed, Schedule
from engine.model import Campaign, CampaignState, unwatched
from engine.pipeline.pacing import destination_of
from engine.pipeline.planning import compile_templates, freeze_plan, load_campaign
from engine.pipeline.workspace import Mailer

# An occurrence that could not be released for so long is missed, where the campaign's file says nothing else.
PATIENCE = timedelta(hours=24)
_HELD = (CampaignState.PAUSED, CampaignState.CANCELLED)

log = logging.getLogger("mailer.repeat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Armed:
    """A campaign that comes round: as its file says, and when next."""

    campaign: str
    repeat: str
    coming: tuple[Occurrence, ...]


def arm(mailer: Mailer, name: str, at: datetime) -> Armed | None:
    """Arm the campaign's `repeat`, from the next occurrence on; None when its file says none.

    A file with a fault, or a template that does not compile, is refused now rather than at nine on Monday.
    """
    wanted = load_campaign(mailer, name)
    if not wanted.repeat:
        return None
    compile_templates(mailer, wanted)
    coming = campaign.occurrences_after(campaign.parse_repeat(wanted.repeat), at, mailer.zone)
    some = tuple(next(coming) for _ in range(3))
    ledger.arm(mailer.store, name, wanted.repeat, at, some[0].due_at)
    return Armed(campaign=name, repeat=wanted.repeat, coming=some)


def run_repeats(mailer: Mailer, at: datetime) -> None:
    """Release every occurrence that is due. Where one can't be, the others are, and it is tried again."""
    for one in ledger.due_schedules(mailer.store, at):
        try:
            _run(mailer, one, at)
        except StoreUnavailable:
            raise
        except MailerError as fault:
            log.warning("occurrence_failed campaign=%s reason=%r", one.campaign, str(fault))
            ledger.trouble_with(mailer.store, one, str(fault))


def _run(mailer: Mailer, one: Schedule, at: datetime) -> None:
    repeat = campaign.parse_repeat(one.repeat)
    held = _held(mailer, one.campaign)
    if held:
        _pass(mailer, one, repeat, at, [(each, held) for each in _due(mailer, one, repeat, at)])
        return
    wanted, fault = _as_filed(mailer, one)
    patience = (wanted.max_lateness if wanted else None) or PATIENCE
    now, lost = campaign.caught_up(repeat, one.seen_until, at, mailer.zone, patience)
    why = _too_late(patience, one.trouble)
    missed = [(each, "a later one was due as well" if now else why) for each in lost]
    if now is not None and wanted is None:
        raise fault or Refused(f"campaign {one.campaign!r} can't be read")
    if now is not None and wanted is not None:
        empty = _release(mailer, wanted, now, at)
        missed += [(now, empty)] if empty else []
    _pass(mailer, one, repeat, at, missed)


def _release(mailer: Mailer, wanted: Campaign, now: Occurrence, at: datetime) -> str:
    """Plan and release this occurrence; gives why nobody gets it, or nothing. Done already: does nothing."""
    if ledger.holder_of(mailer.store, wanted.name, now.name) is not None:
        return ""
    send_at = now.send_at if campaign.parse_repeat(wanted.repeat).zone == campaign.LOCAL else wanted.send_at
    made = freeze_plan(mailer, replace(wanted, send_at=send_at), at, now.name, unwatched)
    if not made.summary["messages"]:
        told = made.summary
        return f"nobody to mail: {told['audience']} in the audience, {told['holdout']} held out, {_skips(told)}"
    try:
        ledger.release(mailer.store, made.plan_id, at, mailer.keys, destination_of=destination_of(mailer))
    except Refused:
        if ledger.holder_of(mailer.store, wanted.name, now.name) is None:
            raise
        return ""  # another process was quicker
    ledger.set_state(mailer.store, wanted.name, CampaignState.RUNNING, "", at)
    log.info(
        "occurrence_released campaign=%s occurrence=%s plan=%s messages=%s",
        wanted.name,
        now.name,
        made.plan_id,
        made.summary["messages"],
    )
    return ""


def _pass(mailer: Mailer, one: Schedule, repeat: Repeat, at: datetime, lost: list[tuple[Occurrence, str]]) -> None:
    """All that was due is dealt with; what was missed is written down."""
    following = next(campaign.occurrences_after(repeat, at, mailer.zone)).due_at
    told = [Missed(name=one.campaign, occurrence=each.name, due_at=each.due_at, at=at, why=why) for each, why in lost]
    for each in told:
        log.warning("occurrence_missed campaign=%s occurrence=%s reason=%r", each.name, each.occurrence, each.why)
    ledger.pass_schedule(mailer.store, one, at, following, told)


def _due(mailer: Mailer, one: Schedule, repeat: Repeat, at: datetime) -> Iterator[Occurrence]:
    for each in campaign.occurrences_after(repeat, one.seen_until, mailer.zone):
        if each.due_at > at:
            return
        yield each


def _held(mailer: Mailer, name: str) -> str:
    standing = ledger.state_of(mailer.store, name)
    if standing is None or standing.state not in _HELD:
        return ""
    return f"the campaign was {standing.state.value}: {standing.reason}"


def _as_filed(mailer: Mailer, one: Schedule) -> tuple[Campaign | None, MailerError | None]:
    """The campaign as its file says today: with a fault only where nothing may be released."""
    try:
        wanted = load_campaign(mailer, one.campaign)
    except StoreUnavailable:
        raise
    except MailerError as fault:
        return None, fault
    if wanted.repeat != one.repeat:
        said = f"repeat = {wanted.repeat!r}" if wanted.repeat else "no repeat"
        return None, Refused(
            f"{mailer.campaign_file(one.campaign)} says {said} now, and {one.repeat!r} is armed; "
            f"`mailer campaign start {one.campaign}` takes the file's over"
        )
    return wanted, None


def _too_late(patience: timedelta, trouble: str) -> str:
    hours = patience / timedelta(hours=1)
    because = f"; the last try failed: {trouble}" if trouble else ""
    return f"nothing could release it within {hours:g} hours{because}"


def _skips(summary: Any) -> str:
    skipped = dict(summary["skipped"])
    return "skipped " + (", ".join(f"{number} {reason}" for reason, number in skipped.items()) or "none")

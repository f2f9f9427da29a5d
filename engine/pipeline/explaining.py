"""Why did she get this, or why not? The chain for one person: rule, consent, draw, attempts, what came back."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from engine import audience, ledger, replies
from engine.errors import UnknownCampaign
from engine.ledger import Chapter
from engine.model import EntryState, MessageState, PlanState
from engine.pipeline.planning import audience_rules, load_campaign
from engine.pipeline.workspace import Mailer

_REASONS = {
    "no_consent": "she has not agreed to get mail",
    "suppressed": "her address is suppressed",
    "no_address": "no address is known",
    "duplicate": "another contact with the same mailbox is in this plan",
    "minor": "she is younger than 16",
    "missing_data": "the template needs a value that isn't known of her",
    "capped": "she got as many mails as the limit allows",
    "expired": "the campaign was over",
    "opted_out": "she opted out after the plan was made",
    "goal_reached": "she did what the campaign asks for before her turn came",
    "cancelled": "the campaign was cancelled",
}
_WAITS_FOR = {
    ledger.QUIET: "it is a quiet hour where she lives",
    ledger.CAPPED: "she got as many mails as the caps allow",
    ledger.OUTRANKED: "a better message for her is due, too",
}


def plan_rows(mailer: Mailer, plan_id: int) -> Iterator[dict[str, Any]]:
    """Everybody in a plan, with variant, time or reason; and who waits for her turn, until when."""
    ledger.plan_of(mailer.store, plan_id)
    postponed = ledger.postponed_in(mailer.store, plan_id)
    for one in ledger.entries_of(mailer.store, plan_id):
        entry = one.entry
        waits = postponed.get(entry.contact_id)
        yield {
            "email": entry.email,
            "variant": entry.variant,
            "state": entry.state.value,
            "reason": entry.reason,
            "detail": entry.detail,
            "send_at": entry.send_at,
            "language": entry.language,
            "digest": one.digest,
            "waits_for": waits.waits_for if waits else "",
            "waits_until": waits.until if waits else None,
        }


def why(mailer: Mailer, email: str, name: str | None, at: datetime) -> dict[str, Any]:
    """The answer in a sentence, and every step that leads to it; without a campaign: everything of hers."""
    contact_id = audience.find(mailer.store, email)
    chapters = ledger.history(mailer.store, contact_id, name)
    current = next(iter([one for one in chapters if _counts(one)] or chapters), None)
    steps = _standing(mailer, contact_id)
    if name is not None:
        try:
            steps += _segment_steps(mailer, name, contact_id, at)
        except UnknownCampaign:
            if not chapters:
                raise
            steps.append({"what": "rule", "value": f"not known any more: {name} has no file in {mailer.campaigns_dir}"})
    told = _told(chapters) if name is None else [current] if current else []
    for chapter in told:
        steps += chapter_steps(chapter)
    for campaign in dict.fromkeys(one.campaign for one in told if _counts(one)):
        steps += _campaign_steps(mailer, campaign)
    state, reason = _state(current)
    return {"answer": _answer(current, name), "state": state, "reason": reason, "steps": steps}


def _counts(chapter: Chapter) -> bool:
    return chapter.message is not None or chapter.plan_state == PlanState.RELEASED


def _told(chapters: list[Chapter]) -> list[Chapter]:
    """All that was released; of drafts the newest of each campaign, for every dry run leaves one. Newest first."""
    drafted: set[str] = set()
    told = []
    for one in chapters:
        if _counts(one) or one.campaign not in drafted:
            told.append(one)
        if not _counts(one):
            drafted.add(one.campaign)
    return told


def _standing(mailer: Mailer, contact_id: int) -> list[dict[str, Any]]:
    stands = audience.standings(mailer.store, mailer.keys, [contact_id])[contact_id]
    words = {True: "given", False: "refused", None: "not known"}
    return [
        {"what": "consent to mail", "value": words[stands.mailing_consent]},
        {"what": "consent to tracking", "value": words[stands.tracking_consent]},
        {"what": "suppressed", "value": "yes" if stands.suppressed else "no"},
    ]


def _segment_steps(mailer: Mailer, name: str, contact_id: int, at: datetime) -> list[dict[str, Any]]:
    """The rule as it stands now; the plan below tells how it stood then."""
    known = mailer.rules()
    rule, exclude = audience_rules(mailer, load_campaign(mailer, name), known)
    audience.refresh_changed(mailer.store, at, mailer.zone)
    found = []
    for what, one in (("rule", rule), ("exclude", exclude)):
        for step in (
            audience.why(mailer.store, contact_id, one, at, known, mailer.zone, currency=mailer.currency) if one else ()
        ):
            held = "holds" if step.holds else "does not hold"
            value = f" ({step.value})" if step.value else ""
            found.append(
                {"what": what, "value": f"{step.text}: {held}{value}", "depth": step.depth, "holds": step.holds}
            )
    return found


def _campaign_steps(mailer: Mailer, name: str) -> list[dict[str, Any]]:
    """What stopped the campaign, and who let it go on in which words; not its ordinary way."""
    return [
        {"what": f"{name} {one.state.value}", "value": f"{one.at:%Y-%m-%d %H:%M} UTC: {one.reason}"}
        for one in ledger.story_of(mailer.store, name)
        if one.reason
    ]


def chapter_steps(chapter: Chapter) -> list[dict[str, Any]]:
    """What one plan decided for her, and what became of her message."""
    where = f"plan {chapter.plan_id} of {chapter.campaign}"
    steps = [
        {"what": where, "value": f"{chapter.plan_state.value}, seen as of {chapter.planned_at:%Y-%m-%d %H:%M} UTC"}
    ]
    if chapter.state is EntryState.SKIPPED:
        reason = _REASONS.get(chapter.reason, chapter.reason)
        return [*steps, {"what": "left out", "value": f"{reason}. {chapter.detail}".strip()}]
    drawn = "held out, by lot" if chapter.state is EntryState.HOLDOUT else f"variant {chapter.variant}, by lot"
    steps.append({"what": "draw", "value": drawn})
    if chapter.send_at:
        steps.append({"what": "planned for", "value": f"{chapter.send_at:%Y-%m-%d %H:%M} UTC, in {chapter.language}"})
    if chapter.message is None:
        return steps
    if (waits := chapter.message.postponed) is not None:
        why_not = _WAITS_FOR[waits.waits_for]
        steps.append({"what": "waits until", "value": f"{waits.until:%Y-%m-%d %H:%M} UTC: {why_not}"})
    for one in chapter.message.attempts:
        said = " ".join(word for word in (one.state.value, one.reason, one.reply) if word)
        steps.append(
            {"what": f"attempt {one.n}", "value": f"{one.at:%Y-%m-%d %H:%M:%S} UTC by {one.transport}: {said}"}
        )
    state, reason = chapter.message.state, chapter.message.reason
    told = f"{state.value} {reason}: {_in_words(state, reason)}" if reason else state.value
    steps.append({"what": "message", "value": told})
    for response in chapter.message.responses:
        verdict = f" by a {response.verdict.value}" if response.verdict else ""
        steps.append({"what": response.kind, "value": f"{response.at:%Y-%m-%d %H:%M:%S} UTC{verdict}"})
    return steps


def _in_words(state: MessageState, reason: str) -> str:
    """`expired` is one thing of a mail that was tried, another of one that was not."""
    return _REASONS.get(reason, reason) if state is MessageState.SKIPPED else replies.meaning(reason)


def _state(chapter: Chapter | None) -> tuple[str, str]:
    if chapter is None:
        return "none", "not_in_audience"
    if chapter.message is not None:
        return chapter.message.state.value, chapter.message.reason
    return chapter.state.value, chapter.reason


def _answer(chapter: Chapter | None, name: str | None) -> str:
    if chapter is None:
        return f"She is in no plan of {name}." if name else "No plan names her."
    if chapter.message is not None:
        state, reason = chapter.message.state, chapter.message.reason
        why_not = f": {_in_words(state, reason)}" if reason else ""
        if (waits := chapter.message.postponed) is not None:
            why_not = f" and waits until {waits.until:%Y-%m-%d %H:%M} UTC: {_WAITS_FOR[waits.waits_for]}"
        return f"Her message of {chapter.campaign} ({chapter.variant}) is {state.value}{why_not}."
    if chapter.state is EntryState.HOLDOUT:
        return f"She gets nothing of {chapter.campaign}: the lot put her into the holdout, to measure against."
    if chapter.state is EntryState.SKIPPED:
        return f"She is left out of {chapter.campaign}: {_REASONS.get(chapter.reason, chapter.reason)}."
    return f"She is planned for {chapter.campaign} ({chapter.variant}); nothing has been released yet."

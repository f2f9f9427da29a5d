"""Where does one person stand in a journey, and how did she get there? The chain, as people read it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engine import audience, ledger
from engine.errors import Refused, Usage
from engine.journeys.definition import Journey, Send, StartKind
from engine.journeys.entering import is_held_out
from engine.journeys.mailing import step_campaign
from engine.journeys.publishing import published
from engine.journeys.showing import load_journey
from engine.journeys.stored import from_json
from engine.ledger import Chapter, Enrolment, Newcomer, PublishedJourney
from engine.model import CampaignState, EnrolmentState
from engine.pipeline.explaining import chapter_steps
from engine.pipeline.previewing import Seen, preview_of
from engine.pipeline.workspace import Mailer

Line = dict[str, Any]


def why(mailer: Mailer, email: str, name: str, step: str | None) -> dict[str, Any]:
    """The answer in a sentence, and all that led to it: her entries, each step with its hour, her mails."""
    stands = published(mailer, name)
    contact_id = audience.find(mailer.store, email)
    ways = ledger.enrolments_of(mailer.store, contact_id, name)
    lines = [line for one in ways for line in _way(mailer, stands, one, step)]
    state, reason = (ways[0].state.value, ways[0].reason) if ways else ("none", "not_enrolled")
    return {"answer": _answer(stands, ways[0] if ways else None), "state": state, "reason": reason, "steps": lines}


def enrol_by_hand(mailer: Mailer, name: str, emails: list[str], at: datetime) -> dict[str, int]:
    """Let these contacts in, whatever starts the journey otherwise; its re-entry rule holds. Gives how many came in."""
    stands = published(mailer, name)
    if stands.state not in (CampaignState.RUNNING, CampaignState.PAUSED):
        raise Refused(f"journey {name!r} is {stands.state}: nobody comes in; `mailer journey start {name}` lets it run")
    journey = from_json(stands.definition)
    newcomers = [
        Newcomer(
            journey=name,
            version=stands.version,
            contact_id=contact_id,
            cause=f"by hand {at.isoformat()}",
            held_out=is_held_out(name, journey.holdout, contact_id, mailer.keys),
            step=journey.first,
        )
        for contact_id in dict.fromkeys(audience.find(mailer.store, one) for one in emails)
    ]
    came_in = ledger.enrol(mailer.store, newcomers, at, journey.reentry)
    return {"enrolled": came_in, "not_enrolled": len(newcomers) - came_in}


def preview(mailer: Mailer, name: str, step_id: str, email: str, at: datetime, **where: Any) -> Seen:
    """Exactly the mail that she would get at this step of the file as it stands."""
    journey = load_journey(mailer, name)
    step = {one.id: one for one in journey.steps}.get(step_id)
    if not isinstance(step, Send):
        mails = ", ".join(f"{name}/{one.id}" for one in journey.steps if isinstance(one, Send))
        raise Usage(f"{name}/{step_id} is no mail; the journey's mails are {mails or 'none'}")
    return preview_of(mailer, step_campaign(journey, step), email, where.get("variant"), where.get("out"), at)


def _way(mailer: Mailer, stands: PublishedJourney, one: Enrolment, step: str | None) -> list[Line]:
    """One time through: in, the steps, and where she stands."""
    chapters = _chapters(mailer, one)
    journey = from_json(stands.definition)
    cause = f" ({_cause(journey, one)})" if one.cause else ""
    held_out = "; held out, by lot: she goes the same way and gets no mail" if one.held_out else ""
    lines = [_line(f"came in, time {one.n}", f"{_hour(one.entered_at)}{cause}, version {one.version}{held_out}")]
    for done in ledger.way_of(mailer.store, one.id):
        if step is not None and done.step != step:
            continue
        lines.append(_line(done.step, f"{_hour(done.at)}: {done.result}, on to {done.leads_to}"))
        if (chapter := chapters.get((done.step, f"{one.id}/{done.visit}"))) is not None:
            lines += chapter_steps(chapter)
    lines.append(_line("stands", _stands(journey, stands, one)))
    return lines


def _cause(journey: Journey, one: Enrolment) -> str:
    """What brought her in, as the shop names it; when she came into the segment stands before it."""
    kind, _, which = one.cause.partition("/")
    return f"segment {journey.start.name}" if kind == StartKind.SEGMENT else f"{kind} {which}".strip()


def _chapters(mailer: Mailer, one: Enrolment) -> Mapping[tuple[str, str], Chapter]:
    """Her mails in this enrolment, by step and visit."""
    found = {}
    for campaign, occurrence, plan_id in ledger.mails_of(mailer.store, one.id, one.contact_id, one.journey):
        for chapter in ledger.history(mailer.store, one.contact_id, campaign):
            if chapter.plan_id == plan_id:
                found[campaign.partition("/")[2], occurrence] = chapter
    return found


def _stands(journey: Journey, stands: PublishedJourney, one: Enrolment) -> str:
    if one.state is not EnrolmentState.WAITING:
        over = f", {one.reason}" if one.reason else ""
        return f"{one.state.value} since {_hour(one.ended_at)}{over}"
    if one.reason:
        return f"held at {one.step}: {one.reason}; looked at again {_hour(one.due_at)}"
    paused = f"; the journey is paused ({stands.reason})" if stands.state is CampaignState.PAUSED else ""
    kept = "" if any(each.id == one.step for each in journey.steps) else ", a step of an older version"
    return f"at {one.step}{kept} since {_hour(one.step_at)}, goes on {_hour(one.rings_at)} at the latest{paused}"


def _answer(stands: PublishedJourney, one: Enrolment | None) -> str:
    if one is None:
        return f"She never came into {stands.name}."
    if one.state is EnrolmentState.WAITING:
        return f"She is inside {stands.name}, at {one.step}."
    ended = {
        EnrolmentState.DONE: "went through to its end",
        EnrolmentState.GOAL: f"reached its goal ({one.reason})",
        EnrolmentState.LEFT: f"left it: {one.reason}",
    }
    return f"She came into {stands.name} and {ended[one.state]}."


def _line(what: str, value: str) -> Line:
    return {"what": what, "value": value}


def _hour(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"

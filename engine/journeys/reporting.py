"""What does a journey earn? Everybody who entered, against those held out; one mail; and each experiment's arms."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from engine import audience, ledger
from engine.analysis import Assigned, Results
from engine.errors import UnknownCampaign, nearest
from engine.journeys.definition import Journey, Send, Split
from engine.journeys.stored import from_json
from engine.ledger import Traveller
from engine.pipeline import Mailer, Question, report_going_on

_MAIN = "main"  # a step's only variant


def report(mailer: Mailer, name: str, step_id: str | None, at: datetime) -> Results:
    """The results of a published journey, of one of its mails, or of one of its experiments."""
    found = ledger.journey_of(mailer.store, name)
    if found is None:
        raise UnknownCampaign(f"journey {name!r} was never started; `mailer journey start {name}` does it")
    journey = from_json(ledger.version_of(mailer.store, name, found.version))
    return report_going_on(mailer, _asked(mailer, journey, step_id), at)


def is_journey(mailer: Mailer, name: str) -> bool:
    """Whether a journey of this name has a file, or ever ran."""
    return ledger.journey_of(mailer.store, name) is not None or (mailer.journeys_dir / f"{name}.toml").is_file()


def _asked(mailer: Mailer, journey: Journey, step_id: str | None) -> Question:
    if step_id is None:
        people = ledger.travellers(mailer.store, journey.name)
        shares = {"mailed": 1 - journey.holdout} | ({"holdout": journey.holdout} if journey.holdout else {})
        cost = max((one.cost_per_conversion for one in journey.steps if isinstance(one, Send)), default=0.0)
        costs = {"mailed": cost, "holdout": 0.0}
    elif isinstance(step := _step(journey, step_id), Send):
        people = _mailed(mailer, f"{journey.name}/{step_id}")
        shares = {_MAIN: 1 - journey.holdout} | ({"holdout": journey.holdout} if journey.holdout else {})
        costs = {_MAIN: step.cost_per_conversion, "holdout": 0.0}
    else:
        split = step
        people = ledger.split_travellers(mailer.store, journey.name, step_id)
        shares, costs = {one.name: one.share for one in split.arms}, {one.name: 0.0 for one in split.arms}
    known = [one for one in people if one.arm in shares]  # an older version may have had other arms
    return Question(
        name=journey.name if step_id is None else f"{journey.name}/{step_id}",
        occurrence="all",
        goal=journey.goal,
        window=journey.window,
        people=_assigned(mailer, journey, known),
        shares=shares,
        costs=costs,
    )


def _step(journey: Journey, step_id: str) -> Send | Split:
    steps = {one.id: one for one in journey.steps if isinstance(one, Send | Split)}
    if step_id not in steps:
        cure = nearest(step_id, steps) or f"; known: {', '.join(steps) or 'none'}"
        raise UnknownCampaign(f"journey {journey.name!r} has no mail or experiment {step_id!r}{cure}")
    return steps[step_id]


def _mailed(mailer: Mailer, name: str) -> list[Traveller]:
    """Everybody to whom this mail was assigned, from the first time on; held out or not."""
    first: dict[int, Traveller] = {}
    for row in ledger.assignments(mailer.store, name):
        one = Traveller(
            contact_id=row.contact_id,
            arm=row.arm,
            since=row.planned_at,
            sent=int(row.state == "sent"),
            bounced=int(row.bounced),
            human_opens=row.human_opens,
            human_clicks=row.human_clicks,
        )
        if row.contact_id not in first or one.since < first[row.contact_id].since:
            first[row.contact_id] = one
    return list(first.values())


def _assigned(mailer: Mailer, journey: Journey, people: Sequence[Traveller]) -> list[Assigned]:
    kind = journey.goal.removeprefix("event:") if journey.goal.startswith("event:") else ""
    since = {one.contact_id: one.since for one in people}
    events: Mapping[int, datetime] = audience.first_events(mailer.store, kind, since) if kind else {}
    return [
        Assigned(
            contact_id=one.contact_id,
            arm=one.arm,
            planned_at=one.since,
            sent=one.sent > 0,
            bounced=one.bounced > 0,
            human_opens=one.human_opens,
            human_clicks=one.human_clicks,
            event_at=events.get(one.contact_id),
        )
        for one in people
    ]

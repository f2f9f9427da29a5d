"""What does a journey earn? Everybody who entered, against those held out; one mail; and each experiment's arms."""

from datetime import datetime

from engine import ledger
from engine.analysis import Assigned, Results
from engine.campaign import ONLY_VARIANT
from engine.errors import UnknownCampaign, nearest
from engine.journeys.definition import Journey, Send, Split
from engine.journeys.stored import from_json
from engine.ledger import Traveller
from engine.pipeline import Mailer, Question, report_going_on, with_holdout


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
        shares = with_holdout({ledger.MAILED: 1.0}, journey.holdout)
        dearest = max((one.cost_per_conversion for one in journey.steps if isinstance(one, Send)), default=0.0)
        costs = {ledger.MAILED: dearest}
    elif isinstance(step := _step(journey, step_id), Send):
        people = _mailed(mailer, f"{journey.name}/{step_id}")
        shares = with_holdout({ONLY_VARIANT: 1.0}, journey.holdout)
        costs = {ONLY_VARIANT: step.cost_per_conversion}
    else:
        people = ledger.split_travellers(mailer.store, journey.name, step_id)
        shares, costs = {one.name: one.share for one in step.arms}, {}
    known = [_assigned(one) for one in people if one.arm in shares]  # an older version may have had other arms
    return Question(
        name=journey.name if step_id is None else f"{journey.name}/{step_id}",
        occurrence="all",
        goal=journey.goal,
        window=journey.window,
        people=known,
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


def _assigned(one: Traveller) -> Assigned:
    return Assigned(
        contact_id=one.contact_id,
        arm=one.arm,
        planned_at=one.since,
        sent=one.sent > 0,
        bounced=one.bounced > 0,
        human_opens=one.human_opens,
        human_clicks=one.human_clicks,
    )

"""What does a step's mail look like as a campaign? So that eligibility, drafts and sending are those of campaigns.

Its name is `JOURNEY/STEP`, its one variant is `main`; whom, when and who is held out was decided by the journey.
"""

from datetime import datetime
from typing import Any

from engine.campaign import ONLY_VARIANT
from engine.journeys.definition import Journey, Send
from engine.ledger import StandingPlan
from engine.model import Campaign, Variant
from engine.pipeline.planning import definition_of


def step_campaign(journey: Journey, step: Send) -> Campaign:
    """The campaign that this step's mails belong to. They are planned when their hour has come, so it sends now."""
    return Campaign(
        name=f"{journey.name}/{step.id}",
        segment=None,
        where=None,
        exclude=None,
        goal=journey.goal,
        window=journey.window,
        holdout=0.0,
        send_at="now",
        variants=(variant_of(step),),
        message_class=journey.message_class,
        priority=journey.priority if step.priority is None else step.priority,
        max_lateness=journey.max_lateness,
        transport=journey.transport,
        uncertain=journey.uncertain,
    )


def variant_of(step: Send) -> Variant:
    """The step's mail as a campaign's only variant."""
    return Variant(
        name=ONLY_VARIANT,
        share=1.0,
        template=step.template,
        subject=step.subject,
        cost_per_conversion=step.cost_per_conversion,
    )


def standing_plan(journey: Journey, version: int, step: Send, at: datetime) -> StandingPlan:
    """The plan of the month to which this step's mails are added."""
    wanted = step_campaign(journey, step)
    return StandingPlan(
        campaign=wanted.name, month=f"v{version}/{at:%Y-%m}", definition=definition(journey, version, step)
    )


def definition(journey: Journey, version: int, step: Send) -> dict[str, Any]:
    """What such a plan says of itself: a campaign's definition, and where in the journey it stands."""
    good_for = None if step.expires is None else step.expires.total_seconds()
    whose = {"journey": journey.name, "version": version, "step": step.id, "good_for": good_for}
    return definition_of(step_campaign(journey, step)) | whose

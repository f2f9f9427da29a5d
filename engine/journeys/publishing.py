"""How is a journey published, held, let go on and ended? What runs is told before it changes, and nobody is lost."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from engine import ledger
from engine.errors import BadConfig, BadJourney, BadTemplate, Refused, UnknownJourney, UnknownTemplate
from engine.journeys.admitting import publish_base
from engine.journeys.definition import Journey, OnEdit, Send
from engine.journeys.showing import check, journey_file, load_journey
from engine.journeys.stored import digest, from_json, to_json
from engine.journeys.texts import Text, compiled, keep
from engine.ledger import PAUSED_BY_HAND, PublishedJourney
from engine.model import CampaignState, PlanState, Severity
from engine.pipeline.braking import take_brake_off
from engine.pipeline.composing import transport_settings
from engine.pipeline.workspace import Mailer

CANCELLED = "cancelled"

log = logging.getLogger("mailer.journeys")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What the file changes about what runs. `inside` counts, by step, those whom it concerns or may concern."""

    name: str
    version: int  # that runs; 0: none yet
    state: str  # of the journey; empty: none yet
    is_new: bool  # whether starting makes a new version
    on_edit: OnEdit
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()  # what else of the file is other: goal, start ...
    inside: Mapping[str, int] | None = None

    @property
    def people(self) -> int:
        """How many are inside."""
        return sum((self.inside or {}).values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A journey that runs."""

    name: str
    version: int
    difference: Difference
    woken: int  # whose step is gone, and who are moved on by the next tick


def compare(mailer: Mailer, name: str) -> Difference:
    """What starting the journey now would change; raises what `start` raises for its file."""
    return _difference(mailer, load_journey(mailer, name))


def start(mailer: Mailer, name: str, at: datetime) -> Published:
    """Publish the journey as its file stands, and let it run; what is published already is no new version.

    Raises BadJourney with all faults of the file and of its templates, Refused while its brake holds it.
    """
    journey = load_journey(mailer, name)
    _refuse_faults(mailer, name)
    _refuse_if_braked(mailer, name)
    texts = _texts(mailer, journey)
    difference = _difference(mailer, journey)
    for step, found in texts.items():
        keep(mailer, f"{name}/{step}", found)
    version = ledger.publish(mailer.store, name, to_json(journey), digest(journey), at)
    ledger.set_journey_state(mailer.store, name, CampaignState.RUNNING, "", at)
    publish_base(mailer, name, at)
    woken = 0
    if journey.on_edit is OnEdit.MOVE:
        gone = {step for older, step in ledger.inside(mailer.store, name) if older < version}
        gone -= {one.id for one in journey.steps}
        woken = ledger.wake_older(mailer.store, name, version, gone, at)
    log.info("journey_started journey=%s version=%s", name, version)
    return Published(name=name, version=version, difference=difference, woken=woken)


def pause(mailer: Mailer, name: str, reason: str, at: datetime) -> None:
    """Hold the journey's mails and timers, not its goal; those who wait are shifted by the pause when it goes on."""
    published(mailer, name)
    said = reason if reason.startswith(PAUSED_BY_HAND) else f"{PAUSED_BY_HAND}: {reason}"
    if not ledger.set_journey_state(mailer.store, name, CampaignState.PAUSED, said, at):
        stands = published(mailer, name)
        if stands.state is not CampaignState.PAUSED:
            raise Refused(f"journey {name!r} is {stands.state}; `mailer journey start {name}` lets it run again")


def resume(mailer: Mailer, name: str, because: str, at: datetime) -> None:
    """Let a paused journey go on; one whose brake holds it only with a word why."""
    stands = published(mailer, name)
    if stands.state is CampaignState.CANCELLED:
        raise Refused(f"journey {name!r} is cancelled; `mailer journey start {name}` begins it anew")
    if because.strip():
        for step in ledger.step_campaigns(mailer.store, name):
            if step.is_braked:
                take_brake_off(mailer, step.name, because.strip(), at)
    _refuse_if_braked(mailer, name)
    if stands.state is CampaignState.PAUSED:
        ledger.set_journey_state(mailer.store, name, CampaignState.RUNNING, because.strip(), at)


def cancel(mailer: Mailer, name: str, at: datetime) -> int:
    """Stop the journey for good: everybody inside leaves, and what has not gone out never will; gives how many left."""
    published(mailer, name)
    ledger.set_journey_state(mailer.store, name, CampaignState.CANCELLED, "cancelled by hand", at)
    left = ledger.leave_all(mailer.store, name, CANCELLED, at)
    for step in ledger.step_campaigns(mailer.store, name):
        for plan in ledger.plans_of(mailer.store, step.name):
            if plan.state is not PlanState.CANCELLED:
                ledger.cancel(mailer.store, plan.id)
    return left


def end(mailer: Mailer, name: str, at: datetime) -> None:
    """Let nobody in any more; whoever is inside goes on to her own end."""
    stands = published(mailer, name)
    if stands.state is CampaignState.CANCELLED:
        raise Refused(f"journey {name!r} is cancelled already")
    ledger.set_journey_state(mailer.store, name, CampaignState.ENDED, "ended by hand", at)


def people_inside(mailer: Mailer, name: str) -> int:
    """How many are inside a journey that was published."""
    published(mailer, name)
    return sum(ledger.inside(mailer.store, name).values())


def published(mailer: Mailer, name: str) -> PublishedJourney:
    """The journey as it runs, or UnknownJourney."""
    found = ledger.journey_of(mailer.store, name)
    if found is None:
        journey_file(mailer, name)  # names the nearest when there is no such journey at all
        raise UnknownJourney(f"journey {name!r} was never started; `mailer journey start {name}` does it")
    return found


def _texts(mailer: Mailer, journey: Journey) -> dict[str, Text]:
    """The mails of all send steps, compiled; BadJourney with what is wrong with each."""
    found, faults = {}, []
    for step in journey.steps:
        if isinstance(step, Send):
            try:
                found[step.id] = compiled(mailer, step)
            except (BadTemplate, UnknownTemplate) as fault:
                faults.append(f"journey {journey.name}, step {step.id}: {fault}")
    try:
        transport_settings(mailer, journey.transport)
    except BadConfig as fault:
        faults.append(f"journey {journey.name}: {fault}")
    if faults:
        raise BadJourney("\n".join(faults))
    return found


def _refuse_faults(mailer: Mailer, name: str) -> None:
    faults = [one for one in check(mailer, name) if one.severity is Severity.ERROR]
    if faults:
        raise BadJourney("\n".join(f"{one.where}: {one.message}" for one in faults))


def _refuse_if_braked(mailer: Mailer, name: str) -> None:
    for step in ledger.step_campaigns(mailer.store, name):
        if step.is_braked:
            raise Refused(
                f"{step.name} paused itself on {step.at:%Y-%m-%d %H:%M} UTC. {step.reason}. Look at what the servers "
                f'say and mend it; then `mailer resume {name} --because "WHAT YOU FOUND"` goes on, and counts anew'
            )


def _difference(mailer: Mailer, journey: Journey) -> Difference:
    name, stands = journey.name, ledger.journey_of(mailer.store, journey.name)
    if stands is None:
        return Difference(
            name=name,
            version=0,
            state="",
            is_new=True,
            on_edit=journey.on_edit,
            added=tuple(step.id for step in journey.steps),
        )
    before = from_json(stands.definition)
    old, new = ({step.id: step for step in one.steps} for one in (before, journey))
    places: dict[str, int] = {}
    for (_, step), number in ledger.inside(mailer.store, name).items():
        places[step] = places.get(step, 0) + number
    settings = (
        key for key, value in to_json(journey).items() if key != "steps" and value != stands.definition.get(key)
    )
    gone = (key for key in stands.definition if key not in to_json(journey))
    return Difference(
        name=name,
        version=stands.version,
        state=stands.state.value,
        is_new=stands.hash != digest(journey),
        on_edit=journey.on_edit,
        added=tuple(step for step in new if step not in old),
        removed=tuple(step for step in old if step not in new),
        changed=tuple(step for step in new if step in old and _way(journey, step) != _way(before, step)),
        settings=tuple(sorted({*settings, *gone})),
        inside=places,
    )


def _way(journey: Journey, step_id: str) -> tuple[object, str]:
    """A step is another one too when the file's order leads elsewhere behind it."""
    return journey.step(step_id), journey.after(step_id)

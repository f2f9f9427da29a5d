"""Which journeys are there, are their files sound, and how does one stand? For the commands and the pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import campaign, ledger, pipeline
from engine.errors import BadJourney, BadRule, Refused, UnknownJourney, UnknownTemplate, Usage, nearest
from engine.journeys.checks import Surroundings, check_journeys
from engine.journeys.definition import Journey, Send
from engine.journeys.files import load, names, read
from engine.journeys.stored import digest, from_json
from engine.journeys.ways import Counts
from engine.ledger import PublishedJourney
from engine.model import CampaignState, EnrolmentState, Finding
from engine.pipeline import Mailer


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A journey and how its people stand. `version` is 0 while it is only a file."""

    journey: Journey
    version: int
    state: CampaignState
    reason: str
    counts: Counts
    held_out: Counts  # the same of the holdout, who get no mail
    differs: str = ""  # in which way the file is another than what runs; empty: it isn't


def journey_file(mailer: Mailer, name: str) -> Path:
    """The file of a journey; UnknownJourney with the nearest name."""
    path = mailer.journeys_dir / f"{name}.toml"
    if "/" in name or not path.is_file():
        known = names(mailer.journeys_dir)
        # `journeys/welcome.toml` is written where `welcome` is meant.
        meant = nearest(Path(name).name.removesuffix(".toml"), known)
        raise UnknownJourney(
            f"there is no journey {name!r} in {mailer.journeys_dir}{meant} (known: {', '.join(known) or 'none'})"
        )
    return path


def load_journey(mailer: Mailer, name: str) -> Journey:
    """The journey's file, checked; UnknownJourney, BadJourney."""
    return load(journey_file(mailer, name), mailer.rules(), mailer.zone)


def check(mailer: Mailer, name: str | None = None) -> list[Finding]:
    """Every fault and doubt of the journey files (of one), and of the templates that they send."""
    if name is not None:
        journey_file(mailer, name)
    if faults := pipeline.segment_faults(mailer):
        return faults
    around = Surroundings(
        templates=pipeline.known_templates(mailer),
        languages=mailer.settings.shop.languages,
        transports=tuple(mailer.settings.transport),
        campaigns=pipeline.campaign_names(mailer),
        zone=mailer.zone,
        sender_fault=pipeline.sender_fault(mailer),
    )
    findings = check_journeys(mailer.journeys_dir, mailer.rules(), around, only=name)
    return findings + pipeline.lint_templates(mailer, _templates(mailer, name))


def journey_rows(mailer: Mailer) -> list[dict[str, Any]]:
    """All journeys, of files and published, with their numbers; a faulty file with its fault."""
    published = {one.name: one for one in ledger.journeys(mailer.store)}
    return [_row(mailer, name, published.get(name)) for name in sorted({*names(mailer.journeys_dir), *published})]


def shown(mailer: Mailer, name: str, version: int | None = None) -> Shown:
    """How a journey stands: what was published of it, or its file while nothing was.

    Without a `version` its newest one, with the numbers of all; else that version, with its own.
    """
    published = ledger.journey_of(mailer.store, name)
    if published is None:
        if version is not None:
            raise UnknownJourney(f"journey {name!r} has no version {version}: nothing was published yet")
        journey, nobody = load_journey(mailer, name), Counts()
        return Shown(journey=journey, version=0, state=CampaignState.DRAFT, reason="", counts=nobody, held_out=nobody)
    definition = published.definition if version is None else ledger.version_of(mailer.store, name, version)
    return Shown(
        journey=from_json(definition),
        version=version or published.version,
        state=published.state,
        reason=published.reason,
        counts=counts_of(mailer, name, version, held_out=False),
        held_out=counts_of(mailer, name, version, held_out=True),
        differs=_difference(mailer, published),
    )


def counts_of(mailer: Mailer, name: str, version: int | None = None, *, held_out: bool | None = None) -> Counts:
    """The numbers for a journey's drawing."""
    return Counts(
        gone=ledger.edge_counts(mailer.store, name, version, held_out=held_out),
        inside=ledger.standing_by_step(mailer.store, name, version, held_out=held_out),
        ended=ledger.ends_by_step(mailer.store, name, version, held_out=held_out),
    )


def new_journey(mailer: Mailer, recipe: str, name: str) -> list[Path]:
    """Copy a shipped recipe's journey file and templates into the workspace; nothing that exists is touched."""
    source = mailer.example_journeys / f"{recipe}.toml"
    if not source.is_file():
        known = names(mailer.example_journeys)
        raise UnknownTemplate(
            f"there is no recipe {recipe!r}{nearest(recipe, known)} (known: {', '.join(known) or 'none'})"
        )
    if not campaign.may_name(name):
        raise Usage(f"{name!r} can't name a journey; use letters, digits, - and _")
    target = mailer.journeys_dir / f"{name}.toml"
    if target.exists():
        raise Refused(f"{target} exists already; choose another name with --name")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
    return [target, *mailer.copy_recipes()]


def _templates(mailer: Mailer, name: str | None) -> set[str]:
    """The templates that the sound journeys (one) send."""
    found: set[str] = set()
    for one in names(mailer.journeys_dir) if name is None else [name]:
        journey, _ = read(mailer.journeys_dir / f"{one}.toml", mailer.rules(), mailer.zone)
        if journey is not None:
            found |= {step.template for step in journey.steps if isinstance(step, Send)}
    return found


def _difference(mailer: Mailer, published: PublishedJourney) -> str:
    """In which way the file is another than the newest version."""
    path = mailer.journeys_dir / f"{published.name}.toml"
    if not path.is_file():
        return f"{path} is gone; what was published goes on"
    try:
        journey, findings = read(path, mailer.rules(), mailer.zone)
    except BadRule as fault:
        return str(fault)
    if journey is None:
        return f"{path} can't be published: {findings[0].where}: {findings[0].message}"
    if digest(journey) == digest(from_json(published.definition)):
        return ""
    return f"{path} says something else than version {published.version}; `mailer journey start` publishes it"


def _row(mailer: Mailer, name: str, published: PublishedJourney | None) -> dict[str, Any]:
    reason = published.reason if published else ""
    try:
        start = load_journey(mailer, name).start if published is None else from_json(published.definition).start
        starts = f"{start.kind.value} {start.name}".strip()
    except (BadJourney, BadRule) as fault:
        starts, reason = "", str(fault).replace("\n", "; ")
    by_state: Mapping[str, int] = ledger.ended_by_state(mailer.store, name) if published else {}
    return {
        "name": name,
        "state": published.state.value if published else CampaignState.DRAFT.value,
        "version": published.version if published else 0,
        "start": starts,
        "entered": sum(by_state.values()),
        "inside": by_state.get(EnrolmentState.WAITING, 0),
        "goal": by_state.get(EnrolmentState.GOAL, 0),
        "sent": ledger.mails_sent(mailer.store, name) if published else 0,
        "reason": reason,
    }

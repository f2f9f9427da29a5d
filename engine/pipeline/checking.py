"""Is anything wrong with the files, and which campaigns are there? Checks, lint, and what an operator wants of each."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from engine import campaign, ledger, message
from engine.errors import BadCampaign, BadConfig, BadFile, BadRule, Refused, UnknownTemplate, Usage, nearest
from engine.model import CampaignState, Finding, Severity
from engine.pipeline.braking import refuse_if_braked
from engine.pipeline.composing import composer
from engine.pipeline.planning import load_campaign
from engine.pipeline.workspace import Mailer

_PLACED = re.compile(r"(?P<where>.+?:\d+(?::\d+)?): (?P<message>.+)")


def check_campaigns(mailer: Mailer, name: str | None) -> list[Finding]:
    """Every fault of the sender, the segments, the campaign files, their rules and their templates."""
    if name is not None:
        mailer.campaign_file(name)
    if faults := segment_faults(mailer):
        # All campaigns hang on the segments: to go on would only tell of each that it seems unknown.
        return faults
    findings = campaign.check_campaigns(
        mailer.campaigns_dir,
        mailer.rules(),
        templates=known_templates(mailer),
        languages=mailer.settings.shop.languages,
        transports=tuple(mailer.settings.transport),
        sender_fault=sender_fault(mailer),
        zone=mailer.zone,
        at=mailer.clock(),
        only=name,
    )
    return findings + lint_templates(mailer, None if name is None else _templates_of(mailer, name))


def segment_faults(mailer: Mailer) -> list[Finding]:
    """Every fault of segments.toml."""
    try:
        mailer.rules()
    except BadRule as fault:
        return [_placed(one, "bad_rule", "segments.toml") for one in str(fault).splitlines()]
    return []


def known_templates(mailer: Mailer) -> dict[str, tuple[str, ...]]:
    """The owner's templates, with the languages that each is written in."""
    return {path.name: message.languages_of(path) for path in _template_folders(mailer)}


def lint_templates(mailer: Mailer, names: Collection[str] | None) -> list[Finding]:
    """Faults of these templates as far as there are such; None: of all."""
    found: list[Finding] = []
    for folder in _template_folders(mailer):
        if names is None or folder.name in names:
            found += message.lint_template(folder, layouts=[mailer.templates_dir / "_layout"])
    return found


def sender_fault(mailer: Mailer) -> str:
    """Why no mail can be made at all: a wrong sender or signing key; else empty."""
    try:
        composer(mailer, campaign="check", plan_id=0, message_class="marketing", transport=None)
    except BadConfig as fault:
        return str(fault)
    return ""


def lint(path: Path) -> list[Finding]:
    """Faults of one template (its folder or a file of it) or one message (.eml)."""
    if not path.exists():
        raise BadFile(f"{path} does not exist; name a template (.mjml, or its folder) or a message (.eml)")
    if path.suffix.lower() == ".eml" and path.is_file():
        return [replace(one, where=f"{path}: {one.where}") for one in message.check_mail(path.read_bytes())]
    if path.is_file() and path.suffix.lower() not in (".mjml", ".txt") and path.name != "catalog.toml":
        raise BadFile(f"{path} is neither a template (.mjml, or its folder) nor a message (.eml)")
    folder = path if path.is_dir() else path.parent
    found = message.lint_template(folder, layouts=[folder.parent / "_layout"])
    return [replace(one, where=one.where or str(folder)) for one in found]


def campaign_names(mailer: Mailer) -> list[str]:
    """The names of all campaign files."""
    return sorted(path.stem for path in mailer.campaigns_dir.glob("*.toml"))


def campaign_rows(mailer: Mailer) -> list[dict[str, Any]]:
    """All campaign files, with what the ledger knows of each; a faulty one with its fault."""
    standings = {one.name: one for one in ledger.states(mailer.store)}
    coming = {one.campaign: one.next_due_at for one in ledger.schedules(mailer.store)}
    rows = [_campaign_row(mailer, name, standings) for name in campaign_names(mailer)]
    return [row | {"next": coming.get(row["name"])} for row in rows]


def new_campaign(mailer: Mailer, recipe: str, name: str) -> list[Path]:
    """Copy a shipped recipe's campaign file and templates into the workspace; nothing that exists is touched."""
    source = mailer.example_campaigns / f"{recipe}.toml"
    if not source.is_file():
        known = sorted(path.stem for path in mailer.example_campaigns.glob("*.toml"))
        raise UnknownTemplate(f"there is no recipe {recipe!r}{nearest(recipe, known)} (known: {', '.join(known)})")
    if not campaign.may_name(name):
        raise Usage(f"{name!r} can't name a campaign; use letters, digits, - and _")
    target = mailer.campaigns_dir / f"{name}.toml"
    if target.exists():
        raise Refused(f"{target} exists already; choose another name with --name")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
    return [target, *mailer.copy_recipes()]


def set_campaign_state(mailer: Mailer, name: str, state: str, reason: str, at: datetime) -> None:
    """What the operator wants of a campaign; UnknownCampaign when there is none."""
    mailer.campaign_file(name)
    if state == CampaignState.RUNNING:
        refuse_if_braked(mailer, name)
    if state == CampaignState.PAUSED and not reason.startswith(ledger.PAUSED_BY_HAND):
        reason = f"{ledger.PAUSED_BY_HAND}: {reason}"
    ledger.set_state(mailer.store, name, CampaignState(state), reason, at)
    if state == CampaignState.CANCELLED:
        ledger.disarm(mailer.store, name)
        for plan in ledger.plans_of(mailer.store, name):
            if plan.state != "cancelled":
                ledger.cancel(mailer.store, plan.id)


def _template_folders(mailer: Mailer) -> list[Path]:
    found = mailer.templates_dir.iterdir() if mailer.templates_dir.is_dir() else ()
    return sorted(path for path in found if path.is_dir() and not path.name.startswith(("_", ".")))


def _templates_of(mailer: Mailer, name: str) -> set[str]:
    try:
        return {one.template for one in load_campaign(mailer, name).variants}
    except BadCampaign:  # its faults were found already
        return set()


def _placed(told: str, code: str, elsewhere: str) -> Finding:
    """A fault told as `file:line: message`, as a finding."""
    found = _PLACED.fullmatch(told)
    where, said = (found["where"], found["message"]) if found else (elsewhere, told)
    return Finding(code=code, severity=Severity.ERROR, where=where, message=said)


def _campaign_row(mailer: Mailer, name: str, standings: Mapping[str, ledger.Standing]) -> dict[str, Any]:
    standing = standings.get(name)
    plans = [plan for plan in ledger.plans_of(mailer.store, name) if plan.released_at]
    counted = [ledger.counts(mailer.store, plan.id) for plan in plans]
    told = {"segment": "", "variants": "", "reason": standing.reason if standing else ""}
    try:
        one = load_campaign(mailer, name)
    except (BadCampaign, BadRule) as fault:
        told |= {"reason": str(fault).replace("\n", "; ")}
    else:
        told |= {"segment": one.segment or one.where or "", "variants": ", ".join(arm.name for arm in one.variants)}
    return {
        "name": name,
        "state": standing.state.value if standing else "draft",
        "segment": told["segment"],
        "variants": told["variants"],
        "sent": sum(c["sent"] for c in counted),
        "waiting": sum(c["waiting"] + c["claimed"] for c in counted),
        "reason": told["reason"],
    }

"""What would one person get, and is anything wrong with the files? Preview, test mails, checks and lint."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from engine import audience, campaign, delivery, ledger, message
from engine.errors import Refused, RenderFailed, TransportUnavailable, UnknownTemplate, Usage, nearest
from engine.model import Campaign, CampaignState, Finding, Mail, MessageState, Outcome, Variant
from engine.pipeline.composing import Letter, composer
from engine.pipeline.planning import compile_templates, drafter, load_campaign, plan_options, view_of
from engine.pipeline.workspace import Mailer

# Test mails belong to no plan; their tokens name no message, so their links change nothing.
_TEST_OCCURRENCE = "\0test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A previewed mail, and where its parts were written."""

    variant: str
    language: str
    subject: str
    eml: Path
    html: Path
    text: Path


def preview(mailer: Mailer, name: str, email: str, variant: str | None, out: Path | None, at: datetime) -> Seen:
    """Exactly the mail that this person would get of this campaign: same bytes but for Date and signature."""
    letter, rendered, mail = _mail_for(mailer, name, email, variant, at, "once")
    folder = out or mailer.folder / "dry-run" / f"{name}-preview"
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{letter.variant}-{letter.template.language}"
    seen = Seen(
        variant=letter.variant,
        language=letter.template.language,
        subject=rendered.subject,
        eml=stem.with_suffix(".eml"),
        html=stem.with_suffix(".html"),
        text=stem.with_suffix(".txt"),
    )
    seen.eml.write_bytes(mail.data)
    seen.html.write_text(rendered.html, encoding="utf-8")
    seen.text.write_text(rendered.text, encoding="utf-8")
    return seen


def send_test(mailer: Mailer, name: str, address: str, as_email: str | None, variant: str | None, at: datetime) -> str:
    """Mail one rendered copy to yourself, outside the ledger; gives the server's reply."""
    to = audience.address(address, mailer.settings.sender.allow_test_domains).email
    person = as_email or _somebody(mailer, name, at)
    letter, _, _ = _mail_for(mailer, name, person, variant, at, _TEST_OCCURRENCE)
    letter = replace(letter, email=to, tracked=False)
    wanted = load_campaign(mailer, name)
    compose = composer(mailer, campaign=name, plan_id=0, message_class=wanted.message_class, transport=wanted.transport)
    _, mail = compose.compose(letter, at)
    transport = delivery.open_transport(compose.transport_name, compose.transport, mailer.folder)
    try:
        outcome = transport.send(mail, _nothing_forbids)
    finally:
        transport.close()
    if outcome.state is not MessageState.SENT:
        raise TransportUnavailable(f"the test mail was {outcome.state.value}: {outcome.reason} {outcome.reply}".strip())
    return outcome.reply or "handed over"


def check_campaigns(mailer: Mailer, name: str | None) -> list[Finding]:
    """Every fault of the campaign files, their rules and their templates."""
    if name is not None:
        mailer.campaign_file(name)
    segments, findings = mailer.rules(), []
    known = {path.name: _languages(path) for path in _template_folders(mailer)}
    findings = campaign.check_campaigns(
        mailer.campaigns_dir,
        segments,
        templates=known,
        languages=mailer.settings.shop.languages,
        transports=tuple(mailer.settings.transport),
        zone=mailer.zone,
        only=name,
    )
    for folder in _template_folders(mailer):
        if name is None or folder.name in _templates_of(mailer, name, findings):
            findings += message.lint_template(folder, layouts=[mailer.templates_dir / "_layout"])
    return findings


def lint(path: Path) -> list[Finding]:
    """Faults of one template (its folder or a file of it) or one message (.eml)."""
    if path.suffix == ".eml":
        return [replace(one, where=f"{path}: {one.where}") for one in message.check_mail(path.read_bytes())]
    folder = path if path.is_dir() else path.parent
    return message.lint_template(folder, layouts=[folder.parent / "_layout"])


def campaign_names(mailer: Mailer) -> list[str]:
    """The names of all campaign files."""
    return sorted(path.stem for path in mailer.campaigns_dir.glob("*.toml"))


def campaign_rows(mailer: Mailer) -> list[dict[str, Any]]:
    """All campaign files, with what the ledger knows of each."""
    standings = {one.name: one for one in ledger.states(mailer.store)}
    return [_campaign_row(mailer, load_campaign(mailer, name), standings) for name in campaign_names(mailer)]


def new_campaign(mailer: Mailer, recipe: str, name: str) -> list[Path]:
    """Copy a shipped recipe's campaign file and templates into the workspace; nothing that exists is touched."""
    source = mailer.example_campaigns / f"{recipe}.toml"
    if not source.is_file():
        known = sorted(path.stem for path in mailer.example_campaigns.glob("*.toml"))
        raise UnknownTemplate(f"there is no recipe {recipe!r}{nearest(recipe, known)}; known: {', '.join(known)}")
    target = mailer.campaigns_dir / f"{name}.toml"
    if target.exists():
        raise Refused(f"{target} exists already; choose another name with --name")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
    return [target, *mailer.copy_recipes()]


def set_campaign_state(mailer: Mailer, name: str, state: str, reason: str, at: datetime) -> None:
    """What the operator wants of a campaign; UnknownCampaign when there is none."""
    mailer.campaign_file(name)
    ledger.set_state(mailer.store, name, CampaignState(state), reason, at)
    if state == CampaignState.CANCELLED:
        for plan in ledger.plans_of(mailer.store, name):
            if plan.state != "cancelled":
                ledger.cancel(mailer.store, plan.id)


def _mail_for(
    mailer: Mailer, name: str, email: str, variant: str | None, at: datetime, occurrence: str
) -> tuple[Letter, message.Rendered, Mail]:
    wanted = load_campaign(mailer, name)
    audience.refresh_changed(mailer.store, at, mailer.zone)
    contact_id = audience.find(mailer.store, email)
    (person,) = audience.candidates(mailer.store, [contact_id], at, mailer.keys, view_of(mailer))
    arm = _arm(wanted, variant, campaign.variant_for(wanted, contact_id, plan_options(mailer, at, "once")))
    draft = drafter(mailer, compile_templates(mailer, wanted), at)(arm, person)
    if draft.missing:
        raise RenderFailed(draft.missing)
    letter = Letter(
        delivery_id=mailer.keys.delivery_id(name, occurrence, contact_id),
        email=person.profile.email or "",
        variant=arm.name,
        template=compile_templates(mailer, wanted)[arm.name][draft.language],
        context=draft.context,
        tracked=campaign.is_tracked(person, plan_options(mailer, at, "once")),
    )
    compose = composer(mailer, campaign=name, plan_id=0, message_class=wanted.message_class, transport=wanted.transport)
    return letter, *compose.compose(letter, at)


def _arm(wanted: Campaign, variant: str | None, drawn: Variant) -> Variant:
    if variant is None:
        return drawn
    by_name = {one.name: one for one in wanted.variants}
    if variant not in by_name:
        raise Usage(f"{wanted.name} has no variant {variant!r}{nearest(variant, by_name)}; it has {', '.join(by_name)}")
    return by_name[variant]


def _somebody(mailer: Mailer, name: str, at: datetime) -> str:
    """The first of the audience, to be shown in a test mail."""
    known = mailer.rules()
    from engine.pipeline.planning import members

    for contact_id in members(mailer, load_campaign(mailer, name), at):
        (profile,) = audience.profiles(mailer.store, [contact_id], at, mailer.zone, mailer.settings.shop.currency)
        if profile.email:
            return profile.email
    raise Usage(f"nobody is in the audience of {name}; choose a contact with --as EMAIL ({len(known)} segments known)")


def _nothing_forbids() -> Outcome | None:
    return None


def _template_folders(mailer: Mailer) -> list[Path]:
    found = mailer.templates_dir.iterdir() if mailer.templates_dir.is_dir() else ()
    return sorted(path for path in found if path.is_dir() and not path.name.startswith(("_", ".")))


def _languages(folder: Path) -> tuple[str, ...]:
    return message.languages_of(folder)


def _templates_of(mailer: Mailer, name: str, findings: list[Finding]) -> set[str]:
    if findings:
        return set()
    return {one.template for one in load_campaign(mailer, name).variants}


def _campaign_row(mailer: Mailer, one: Campaign, standings: Mapping[str, ledger.Standing]) -> dict[str, Any]:
    standing = standings.get(one.name)
    plans = [plan for plan in ledger.plans_of(mailer.store, one.name) if plan.released_at]
    counted = [ledger.counts(mailer.store, plan.id) for plan in plans]
    return {
        "name": one.name,
        "state": standing.state.value if standing else "draft",
        "segment": one.segment or one.where,
        "variants": ", ".join(variant.name for variant in one.variants),
        "sent": sum(c["sent"] for c in counted),
        "waiting": sum(c["waiting"] + c["claimed"] for c in counted),
        "reason": standing.reason if standing else "",
    }


__all__ = ["Seen", "campaign_names", "campaign_rows", "check_campaigns", "lint", "new_campaign", "preview", "send_test"]

"""What would one person get? Her mail as files, or one copy of it to yourself: the same code that sends."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from engine import audience, campaign, delivery
from engine.errors import RenderFailed, TransportUnavailable, Usage, nearest
from engine.model import Campaign, Candidate, EntryState, MessageState, Variant
from engine.pipeline.composing import Composer, Letter, composer
from engine.pipeline.planning import compile_templates, drafter, load_campaign, members, plan_options, view_of
from engine.pipeline.workspace import Mailer

# Test mails belong to no plan; their tokens name no message, so their links change nothing.
_TEST_OCCURRENCE = "\0test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A previewed mail, and where its parts were written.

    `reason` says why she would get none of it if the campaign were planned now: a skip reason, `holdout`, or nothing.
    """

    variant: str
    language: str
    subject: str
    eml: Path
    html: Path
    text: Path
    reason: str


def preview(mailer: Mailer, name: str, email: str, variant: str | None, out: Path | None, at: datetime) -> Seen:
    """Exactly the mail that this person would get of this campaign: same bytes but for Date and signature."""
    return preview_of(mailer, load_campaign(mailer, name), email, variant, out, at)


def preview_of(
    mailer: Mailer, wanted: Campaign, email: str, variant: str | None, out: Path | None, at: datetime
) -> Seen:
    """The same of a campaign in hand."""
    person = _person(mailer, email, at)
    letter = _letter_for(mailer, wanted, person, variant, at, "once")
    said, mail = _composer_of(mailer, wanted).compose(letter, at)
    rendered = said.plainly()
    folder = out or mailer.folder / "dry-run" / f"{wanted.name.replace('/', '-')}-preview"
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{letter.variant}-{letter.template.language}"
    seen = Seen(
        variant=letter.variant,
        language=letter.template.language,
        subject=rendered.subject,
        eml=stem.with_suffix(".eml"),
        html=stem.with_suffix(".html"),
        text=stem.with_suffix(".txt"),
        reason=_reason_against(mailer, wanted, person, at),
    )
    seen.eml.write_bytes(mail.data)
    seen.html.write_text(rendered.html, encoding="utf-8")
    seen.text.write_text(rendered.text, encoding="utf-8")
    return seen


def send_test(mailer: Mailer, name: str, address: str, as_email: str | None, variant: str | None, at: datetime) -> str:
    """Mail one rendered copy to yourself, outside the ledger; gives the server's reply."""
    wanted = load_campaign(mailer, name)
    try:
        to = audience.address(address, mailer.settings.sender.allow_test_domains).email
    except ValueError as fault:
        raise Usage(f"--test {address!r}: {fault}") from None
    person = _person(mailer, as_email or _somebody(mailer, wanted, at), at)
    letter = _letter_for(mailer, wanted, person, variant, at, _TEST_OCCURRENCE)
    compose = _composer_of(mailer, wanted)
    _, mail = compose.compose(replace(letter, email=to, tracked=False), at)
    transport = delivery.open_transport(compose.transport_name, compose.transport, mailer.folder)
    try:
        outcome = delivery.hand_over(transport, mail)
    finally:
        transport.close()
    if outcome.state is not MessageState.SENT:
        raise TransportUnavailable(f"the test mail was {outcome.state.value}: {outcome.reason} {outcome.reply}".strip())
    return outcome.reply or "handed over"


def _person(mailer: Mailer, email: str, at: datetime) -> Candidate:
    contact_id = audience.find(mailer.store, email)
    audience.refresh_changed(mailer.store, at, mailer.zone)
    (person,) = audience.candidates(mailer.store, [contact_id], at, mailer.keys, view_of(mailer))
    return person


def _composer_of(mailer: Mailer, wanted: Campaign) -> Composer:
    """The composer of a campaign that no plan was made of."""
    return composer(
        mailer, campaign=wanted.name, plan_id=0, message_class=wanted.message_class, transport=wanted.transport
    )


def _letter_for(
    mailer: Mailer, wanted: Campaign, person: Candidate, variant: str | None, at: datetime, occurrence: str
) -> Letter:
    contact_id = person.profile.contact_id
    options = plan_options(mailer, at, "once", [contact_id])
    arm = _arm(wanted, variant, campaign.variant_for(wanted, contact_id, options))
    templates = compile_templates(mailer, wanted)
    draft = drafter(mailer, templates, at)(arm, person)
    if draft.missing:
        raise RenderFailed(f"{wanted.name} ({arm.name}) can't be written to this contact: {draft.missing}")
    return Letter(
        delivery_id=mailer.keys.delivery_id(wanted.name, occurrence, contact_id),
        email=person.profile.email or "",
        variant=arm.name,
        template=templates[arm.name][draft.language],
        context=draft.context,
        tracked=campaign.is_tracked(person, options),
    )


def _reason_against(mailer: Mailer, wanted: Campaign, person: Candidate, at: datetime) -> str:
    """Why a plan made now would give her no message; her data was found complete already."""

    def drafted(_variant: Variant, _person: Candidate) -> campaign.Draft:
        return campaign.Draft(language="", template_hash="", context={}, missing="")

    (entry,) = campaign.plan(wanted, [person], drafted, plan_options(mailer, at, "once", [person.profile.contact_id]))
    return "" if entry.state is EntryState.MESSAGE else str(entry.reason or entry.state.value)


def _arm(wanted: Campaign, variant: str | None, drawn: Variant) -> Variant:
    if variant is None:
        return drawn
    by_name = {one.name: one for one in wanted.variants}
    if variant not in by_name:
        raise Usage(f"{wanted.name} has no variant {variant!r}{nearest(variant, by_name)}; it has {', '.join(by_name)}")
    return by_name[variant]


def _somebody(mailer: Mailer, wanted: Campaign, at: datetime) -> str:
    """The first of the audience, to be shown in a test mail."""
    audience.refresh_changed(mailer.store, at, mailer.zone)
    for contact_id in members(mailer, wanted, at):
        (profile,) = audience.profiles(mailer.store, [contact_id], at, mailer.zone, mailer.settings.shop.currency)
        if profile.email:
            return profile.email
    raise Usage(f"nobody is in the audience of {wanted.name}; choose a contact with --as EMAIL")

"""How does one entry of a plan become the bytes that go out? The same code for preview, dry run, test and send."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import quote

from engine import ledger, message
from engine.config import Settings, TransportSettings
from engine.errors import BadConfig
from engine.links import Keys
from engine.model import Mail, TrackingMode
from engine.pipeline.workspace import Mailer
from engine.store import Store

# A context's own key beside the template's fields: the name shown in To, frozen like all the rest.
TO_NAME = "_to_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a mail is made from: one entry of a plan, or one row of a claim."""

    delivery_id: str
    email: str
    variant: str
    template: message.CompiledTemplate
    context: Mapping[str, Any]
    tracked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Composer:
    """All that is the same for every mail of one plan."""

    keys: Keys
    settings: Settings
    campaign: str
    plan_id: int
    message_class: str
    transport_name: str
    transport: TransportSettings
    sender: message.Mailbox
    reply_to: message.Mailbox | None
    signer: message.Signer | None

    def compose(self, letter: Letter, date: datetime) -> tuple[message.Rendered, Mail]:
        """Render and compose; RenderFailed when a value is missing or unsafe."""
        rendered = message.render(letter.template, letter.context, self.addresses(letter))
        return rendered, message.compose(rendered, self._headers(letter, date), self.signer)

    def expected(self, letter: Letter, mail: Mail) -> message.Expected:
        """What the gate behind composing must find in the bytes."""
        return message.Expected(
            message_class=self.message_class,
            unsubscribe_url=self.addresses(letter).unsubscribe,
            postal_address=self.settings.shop.postal_address,
            envelope_from=mail.envelope_from,
            return_path=self._return_path(),
        )

    def is_rehearsal(self) -> bool:
        """Whether the tracking pages stand on this machine, where no reader's mail program reaches them."""
        return self.settings.tracking.base_url.startswith("http://")

    def addresses(self, letter: Letter) -> message.LinkAddresses:
        """Where this letter's links lead."""
        return link_addresses(self.settings, self.keys, self.plan_id, letter)

    def _return_path(self) -> Literal["verp", "fixed", "from"]:
        """An outbox folder needs no bounce domain; a mail in it may then come from the sender's own address."""
        return self.transport.return_path if self.transport.bounce_domain else "from"

    def _headers(self, letter: Letter, date: datetime) -> message.MailHeaders:
        feedback = self.settings.sender.feedback_id
        return message.MailHeaders(
            delivery_id=letter.delivery_id,
            to=message.Mailbox(email=letter.email, name=str(letter.context.get(TO_NAME, ""))),
            from_=self.sender,
            date=date,
            bounce_domain=self.transport.bounce_domain,
            return_path=self._return_path(),
            reply_to=self.reply_to,
            unsubscribe_url=self.addresses(letter).unsubscribe,
            list_id=f"{self.message_class}.{self.sender.domain}",
            feedback_id=message.feedback_id(self.campaign, self.message_class, "", feedback) if feedback else "",
            campaign=self.campaign,
            message_class=self.message_class,
        )


def link_addresses(settings: Settings, keys: Keys, plan_id: int, letter: Letter) -> message.LinkAddresses:
    """Where a letter's links lead: personal tokens only for those who agreed to be followed."""
    base, tokens = settings.tracking.base_url, keys.tokens(letter.delivery_id)

    def personal(site: int, occurrence: int, _destination: str) -> str:
        return f"{base}/c/{tokens.click}/{site}-{occurrence}"

    def counted(site: int, _occurrence: int, destination: str) -> str:
        """Names no person; where it depends on the person it stays as it is."""
        if message.literal_destination(letter.template, site) is None:
            return destination
        version = letter.template.hash
        tag = keys.campaign_tag(plan_id, f"{letter.variant}/{version}", site)
        return f"{base}/a/{plan_id}/{quote(letter.variant, safe='')}/{version}/{site}/{tag}"

    def plain(_site: int, _occurrence: int, destination: str) -> str:
        return destination

    anonymous = counted if settings.tracking.mode is TrackingMode.AGGREGATE else plain
    return message.LinkAddresses(
        pixel_url=f"{base}/o/{tokens.open}.gif" if letter.tracked else None,
        click=personal if letter.tracked else anonymous,
        unsubscribe=f"{base}/u/{tokens.unsubscribe}",
        preferences=f"{base}/p/{tokens.unsubscribe}",
        view=f"{base}/v/{tokens.view}",
    )


def composer(mailer: Mailer, *, campaign: str, plan_id: int, message_class: str, transport: str | None) -> Composer:
    """The composer of one plan; BadConfig when the sender, the transport or a key is wrong."""
    sender = message.mailbox(mailer.settings.sender.from_, "[sender] from")
    reply_to = mailer.settings.sender.reply_to
    name, settings = transport_settings(mailer, transport)
    return Composer(
        keys=mailer.keys,
        settings=mailer.settings,
        campaign=campaign,
        plan_id=plan_id,
        message_class=message_class,
        transport_name=name,
        transport=settings,
        sender=sender,
        reply_to=message.mailbox(reply_to, "[sender] reply_to") if reply_to else None,
        signer=_signer(mailer, sender.domain),
    )


def plan_composer(mailer: Mailer, plan: ledger.Plan, transport: str | None = None) -> Composer:
    """The composer of a plan, for the transport that it names or another."""
    return composer(
        mailer,
        campaign=plan.campaign,
        plan_id=plan.id,
        message_class=plan.definition["message_class"],
        transport=transport or plan.definition["transport"],
    )


def routes(mailer: Mailer, name: str | None) -> tuple[str, ...]:
    """The transport of this name (or the first one configured), its backup, the backup's backup ..."""
    found = [transport_settings(mailer, name)[0]]
    while (backup := mailer.settings.transport[found[-1]].backup) and backup not in found:
        found.append(backup)
    return tuple(found)


def transport_settings(mailer: Mailer, name: str | None) -> tuple[str, TransportSettings]:
    """The transport of this name, or the first one configured."""
    known = mailer.settings.transport
    chosen = name or next(iter(known))
    if chosen not in known:
        raise BadConfig(f"transport {chosen!r} is not in config.toml; known: {', '.join(known)}")
    return chosen, known[chosen]


@lru_cache(maxsize=256)
def stored_template(store: Store, template_hash: str) -> message.CompiledTemplate | None:
    """A released template by its hash: no file is read after release."""
    data = ledger.template(store, template_hash)
    return message.CompiledTemplate.from_bytes(data) if data else None


def _signer(mailer: Mailer, domain: str) -> message.Signer | None:
    """The key of the sender's domain, or of a domain above it (relaxed alignment, RFC 7489 3.1)."""
    for name, one in mailer.settings.dkim.items():
        if domain == name.lower() or domain.endswith(f".{name.lower()}"):
            return message.load_signer(name, one.selector, mailer.settings.path(one.key_file), one.algorithm)
    return None

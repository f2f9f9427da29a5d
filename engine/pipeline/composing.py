"""How does one entry of a plan become the bytes that go out? The same code for preview, dry run, test and send."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import quote

from engine import delivery, ledger, message
from engine.config import Settings, TransportSettings
from engine.errors import BadConfig, RenderFailed
from engine.links import Keys
from engine.model import Mail, TrackingMode, frozen
from engine.pipeline.workspace import Mailer
from engine.store import Store

# A context's own key beside the template's fields: the name shown in To, frozen like all the rest.
TO_NAME = "_to_name"

_NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
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
    frame: message.MailFrame

    def compose(self, letter: Letter, date: datetime) -> tuple[message.Encoded, Mail]:
        """Render and compose; RenderFailed when a value is missing or unsafe."""
        (made,) = self.compose_all([letter], date)
        if isinstance(made, RenderFailed):
            raise made
        return made

    def compose_all(
        self, letters: Sequence[Letter], date: datetime
    ) -> list[tuple[message.Encoded, Mail] | RenderFailed]:
        """Each letter's message and mail, or why there is none, in this order; several at once cost less each."""
        addresses = [self.addresses(one) for one in letters]
        rendered = message.render_mails(
            [message.Wanted(one.template, one.context, where) for one, where in zip(letters, addresses, strict=True)]
        )
        return [
            said if isinstance(said, RenderFailed) else self._framed(one, said, where, date)
            for one, said, where in zip(letters, rendered, addresses, strict=True)
        ]

    def mail(self, letter: Letter, date: datetime) -> Mail:
        """The mail alone: what sending needs."""
        return self.compose(letter, date)[1]

    def _framed(
        self, letter: Letter, said: message.Encoded, addresses: message.LinkAddresses, date: datetime
    ) -> tuple[message.Encoded, Mail] | RenderFailed:
        try:
            mail = self.frame.mail(
                said.subject,
                message.body_of(said),
                delivery_id=letter.delivery_id,
                to=message.Mailbox(email=letter.email, name=str(letter.context.get(TO_NAME, ""))),
                date=date,
                unsubscribe_url=addresses.unsubscribe,
            )
        except RenderFailed as fault:
            return fault
        return said, mail

    def without_signature(self) -> "Composer":
        """The same for mails that nobody gets: a signature takes longer than all the rest, and no digest covers it."""
        return replace(self, frame=replace(self.frame, signers=()))

    def idle_sections(self) -> list[str]:
        """The domains of [dkim] where mails should be signed by us, and none of these is the sender's."""
        return [] if self.frame.signers or not _is_signed_here(self.transport) else list(self.settings.dkim)

    def expected(self, letter: Letter, mail: Mail) -> message.Expected:
        """What the gate behind composing must find in the bytes."""
        return message.Expected(
            message_class=self.message_class,
            unsubscribe_url=self.addresses(letter).unsubscribe,
            postal_address=self.settings.shop.postal_address,
            envelope_from=mail.envelope_from,
            return_path=_return_path(self.transport),
        )

    def is_rehearsal(self) -> bool:
        """Whether the tracking pages stand on this machine, where no reader's mail program reaches them."""
        return self.settings.tracking.base_url.startswith("http://")

    def addresses(self, letter: Letter) -> message.LinkAddresses:
        """Where this letter's links lead."""
        return link_addresses(self.settings, self.keys, self.plan_id, letter)


def link_addresses(settings: Settings, keys: Keys, plan_id: int, letter: Letter) -> message.LinkAddresses:
    """Where a letter's links lead: personal tokens only for those who agreed to be followed."""
    base, tokens = settings.tracking.base_url, keys.tokens(letter.delivery_id)

    def counted(site: int, _occurrence: int, destination: str) -> str:
        """Names no person; where it depends on the person it stays as it is."""
        if message.literal_destination(letter.template, site) is None:
            return destination
        return _counted_link(keys, base, plan_id, letter.variant, letter.template.hash, site)

    def plain(_site: int, _occurrence: int, destination: str) -> str:
        return destination

    anonymous = counted if settings.tracking.mode is TrackingMode.AGGREGATE else plain
    return message.LinkAddresses(
        pixel_url=f"{base}/o/{tokens.open}.gif" if letter.tracked else None,
        click=anonymous,
        are_sound=message.is_plain_base(base),
        counted=f"{base}/c/{tokens.click}/" if letter.tracked else "",
        unsubscribe=f"{base}/u/{tokens.unsubscribe}",
        preferences=f"{base}/p/{tokens.unsubscribe}",
        view=f"{base}/v/{tokens.view}",
    )


@lru_cache(maxsize=4096)
def _counted_link(keys: Keys, base: str, plan_id: int, variant: str, version: str, site: int) -> str:
    """The same for everybody who gets this variant."""
    tag = keys.campaign_tag(plan_id, f"{variant}/{version}", site)
    return f"{base}/a/{plan_id}/{quote(variant, safe='')}/{version}/{site}/{tag}"


def composer(mailer: Mailer, *, campaign: str, plan_id: int, message_class: str, transport: str | None) -> Composer:
    """The composer of one plan; BadConfig when the sender, the transport or a key is wrong."""
    sender = message.mailbox(mailer.settings.sender.from_, "[sender] from")
    name, settings = transport_settings(mailer, transport)
    return Composer(
        keys=mailer.keys,
        settings=mailer.settings,
        campaign=campaign,
        plan_id=plan_id,
        message_class=message_class,
        transport_name=name,
        transport=settings,
        frame=message.mail_frame(
            _headers(mailer, sender, campaign, message_class, settings), _signers(mailer, sender, settings)
        ),
    )


def _headers(
    mailer: Mailer, sender: message.Mailbox, campaign: str, message_class: str, transport: TransportSettings
) -> message.MailHeaders:
    """The headers that are the same for every mail of a plan; those of each mail stand empty."""
    reply_to, feedback = mailer.settings.sender.reply_to, mailer.settings.sender.feedback_id
    return message.MailHeaders(
        delivery_id="",
        to=sender,
        date=_NO_DATE,
        from_=sender,
        reply_to=message.mailbox(reply_to, "[sender] reply_to") if reply_to else None,
        bounce_domain=transport.bounce_domain,
        return_path=_return_path(transport),
        list_id=f"{message_class}.{sender.domain}",
        feedback_id=message.feedback_id(campaign, message_class, "", feedback) if feedback else "",
        campaign=campaign,
        message_class=message_class,
    )


def _return_path(transport: TransportSettings) -> Literal["verp", "fixed", "from"]:
    """An outbox folder needs no bounce domain; a mail in it may then come from the sender's own address."""
    return transport.return_path if transport.bounce_domain else "from"


def _signers(mailer: Mailer, sender: message.Mailbox, transport: TransportSettings) -> tuple[message.Signer, ...]:
    return message.signers_for(mailer.settings, sender.domain) if _is_signed_here(transport) else ()


def _is_signed_here(transport: TransportSettings) -> bool:
    """Where the provider signs, ours would break: it replaces headers that we would have signed."""
    return delivery.capabilities(transport.kind).dkim == "us"


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


def letter_of(store: Store, item: ledger.Item) -> Letter:
    """What the mail of a claimed message is made from."""
    template = stored_template(store, item.template_hash)
    assert template is not None, "freeze keeps every template it names"
    return Letter(
        delivery_id=item.delivery_id,
        email=item.email,
        variant=item.variant,
        template=template,
        context=item.context,
        tracked=item.tracked,
    )

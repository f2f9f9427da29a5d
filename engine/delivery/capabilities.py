"""Which parts of a mail does a kind of transport make itself, and what can it do? One row a kind, each with its source.

Where the provider owns a part, ours is not sent or is overwritten: the gate behind composing must not ask for it, and
signing it would only break the signature.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Owner = Literal["us", "provider"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What holds for every transport of one kind."""

    raw_mime: bool  # takes our bytes as they are; else it is given the fields and writes the mail itself
    message_id: Owner
    date: Owner
    return_path: Owner  # whose bounce address stands in the envelope; the provider's: bounces come by webhook
    dkim: Owner  # who signs
    one_click: bool  # our List-Unsubscribe and List-Unsubscribe-Post reach the reader as written (RFC 8058)
    batch: int  # mails in one request: a sender's window should hold as many
    repeat_for: timedelta  # a request may be repeated under its key for so long; 0: never
    eai: bool  # takes a local part beyond ASCII, where the receiving server does
    largest: int  # octets of a mail; 0: the server says (RFC 1870)
    events: str  # how news of a mail come back: bounce mailbox, svix, sns, or not at all
    rehearsal: str  # an address at which nothing reaches a person


_ROWS: dict[str, Capabilities] = {
    "smtp": Capabilities(
        raw_mime=True,
        message_id="us",
        date="us",
        return_path="us",
        dkim="us",
        one_click=True,
        batch=1,
        repeat_for=timedelta(0),
        eai=True,  # where EHLO offers SMTPUTF8
        largest=0,
        events="bounce mailbox",
        rehearsal="",
    ),
    "outbox": Capabilities(
        raw_mime=True,
        message_id="us",
        date="us",
        return_path="us",
        dkim="us",
        one_click=True,
        batch=1,
        repeat_for=timedelta(0),  # not needed: the same delivery id is written once
        eai=True,
        largest=0,
        events="",
        rehearsal="",
    ),
    "resend": Capabilities(
        raw_mime=False,  # OpenAPI, SendEmailRequest: no raw form
        message_id="provider",  # there is no field for it
        date="provider",
        return_path="provider",  # send.<your domain>, CreateDomainRequest.custom_return_path
        dkim="provider",  # by the DNS records that adding a domain asks for
        one_click=True,  # docs/dashboard/emails/add-unsubscribe-to-transactional-emails: as custom headers
        batch=100,  # OpenAPI, POST /emails/batch
        # docs/dashboard/emails/idempotency-keys: 24 hours. An hour less, for clocks and slow requests.
        repeat_for=timedelta(hours=23),
        eai=False,  # not documented; Resend hands over to SES, which takes none
        largest=40_000_000,  # docs/api-reference/emails/send-email
        events="svix",
        rehearsal="delivered@resend.dev",  # docs/dashboard/emails/send-test-emails; also bounced@, complained@
    ),
    "ses": Capabilities(
        raw_mime=True,  # API model, SendEmail Content.Raw
        message_id="provider",  # dg/header-fields: overwritten
        date="provider",  # dg/header-fields: overwritten
        return_path="provider",  # dg/mail-from: amazonses.com or a MAIL FROM domain of yours
        dkim="provider",  # Easy DKIM: ours would cover the Message-ID and Date that SES replaces
        one_click=True,  # raw headers are kept
        batch=1,
        repeat_for=timedelta(0),  # API model, SendEmail: no client token
        eai=False,  # API model, Destination: 7-bit local part
        largest=40_000_000,  # dg/quotas: 40 MB through the v2 API
        events="sns",
        rehearsal="success@simulator.amazonses.com",  # dg/send-an-email-from-console; also bounce@, complaint@
    ),
}


def capabilities(kind: str) -> Capabilities:
    """The row of a kind that config.toml may name."""
    return _ROWS[kind]

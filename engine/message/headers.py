"""Which header lines does a mail carry, and how are they written so that no value can break out or be mangled?

The standard library is not used for writing: it turns a long List-Unsubscribe into an encoded word, which is no URL
any more (CPython issues 87659 and 89714), and puts a display name of 10,000 characters on one line.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import getaddresses
from functools import lru_cache
from typing import Literal

from email_validator import EmailNotValidError, validate_email

from engine.errors import BadConfig, RenderFailed
from engine.message.header_text import FOLD_AT, cleaned_name, cleaned_subject, phrase, unstructured
from engine.model import TRANSACTIONAL, frozen

LINE_LIMIT = 998  # octets without CRLF, RFC 5322 2.1.1
_LITERAL = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_URL = re.compile(r"(?:https://[^\s<>,/]+|http://(?:localhost|127\.0\.0\.1)(?::\d+)?)(?:/[!-~]*)?")
_MAILTO = re.compile(r"mailto:[^\s<>,]+@[^\s<>,]+")
_LETTER = re.compile(r"\w")
_DELIVERY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|localhost")
_ADDRESS = re.compile(
    r"(?P<local>[^\s<>()\[\],;:\\\"@\x00-\x20\x7f-\xa0\ud800-\udfff]{1,64})@(?P<domain>[A-Za-z0-9.-]{1,253})"
)


@frozen
class Mailbox:
    """An address with the name shown beside it."""

    email: str
    name: str = ""

    @property
    def domain(self) -> str:
        """What stands behind the @, in lower case."""
        return self.email.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class MailHeaders:
    """What stands around a rendered text. Empty optional values leave their header out.

    Marketing mail must have `unsubscribe_url` (https) and gets the list headers; transactional mail only those given.
    """

    delivery_id: str
    to: Mailbox
    from_: Mailbox
    date: datetime  # aware
    bounce_domain: str = ""
    return_path: Literal["verp", "fixed", "from"] = "verp"
    reply_to: Mailbox | None = None
    unsubscribe_url: str = ""
    unsubscribe_mailto: str = ""  # mailto:..., beside the URL
    list_id: str = ""  # campaigns.example.com
    feedback_id: str = ""  # made by `feedback_id`
    campaign: str = ""
    message_class: str = "marketing"  # any word; but for transactional, List-Unsubscribe is due


def mailbox(text: str, where: str) -> Mailbox:
    """`Corner Shop <news@example.com>` of config.toml as a Mailbox, its domain in A-labels."""
    found = [one for one in getaddresses([text]) if any(one)]
    cure = """put a name that holds , : ; @ < or [ in quotes: '"Shop, Inc." <news@example.com>'"""
    if len(found) > 1:
        raise BadConfig(f"{where}: {text!r} can be read as {len(found)} addresses; {cure}")
    name, address = found[0] if found else ("", "")
    if address and sorted(_LETTER.findall(text)) != sorted(_LETTER.findall(name + address)):
        raise BadConfig(f"{where}: of {text!r} only {name!r} would be read as the name; {cure}")
    try:
        checked = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError as fault:
        raise BadConfig(f"{where}: {text!r} is no address: {fault}; write it as Shop <news@example.com>") from None
    if not checked.ascii_email:
        raise BadConfig(f"{where}: {text!r} needs a local part of ASCII letters, so that every server can answer it")
    return Mailbox(email=checked.ascii_email, name=cleaned_name(name))


def feedback_id(campaign: str, stream: str, account: str, sender_id: str) -> str:
    """`campaign:stream:account:SenderId`, the groups by which Gmail reports complaints; no value names a person."""
    parts = (campaign, stream, account, sender_id)
    return ":".join(re.sub(r"[^A-Za-z0-9._-]+", "-", one).strip("-")[:60] for one in parts)


def envelope_from(headers: MailHeaders, delivery_id: str) -> str:
    """Where bounces go (RFC 5321 4.4): one address a message, one for all, or the sender's own mailbox."""
    if headers.return_path == "from":
        return headers.from_.email
    domain = ascii_domain(headers.bounce_domain)
    if not domain:
        raise RenderFailed(f"bounce_domain {headers.bounce_domain!r} is no domain; set it in the transport's section")
    token = f"b+{delivery_id}" if headers.return_path == "verp" else "bounce"
    return f"{token}@{domain}"


@lru_cache(maxsize=64)
def ascii_domain(text: str) -> str:
    """A domain in A-labels, as it stands in headers and envelopes; empty when it is none."""
    if not text.isascii():
        try:
            text = validate_email(f"a@{text}", check_deliverability=False, test_environment=True).ascii_domain
        except EmailNotValidError:
            return ""
    return text if _DOMAIN.fullmatch(text) else ""


def checked_delivery_id(delivery_id: str) -> None:
    """RenderFailed for an id that can't stand in a Message-ID."""
    if not _DELIVERY_ID.fullmatch(delivery_id):
        raise RenderFailed(f"delivery id {delivery_id!r} can't stand in a Message-ID")


def closing_lines(headers: MailHeaders) -> list[str]:
    """The headers behind List-Unsubscribe-Post; RenderFailed when a value can't be written safely."""
    lines = []
    if headers.list_id:
        lines.append(_literal("List-ID", f"<{headers.list_id.strip('<>')}>"))
    if headers.feedback_id:
        lines.append(_literal("Feedback-ID", headers.feedback_id))
    if headers.message_class != TRANSACTIONAL:
        lines.append("Precedence: bulk")
    # Stops vacation replies (RFC 3834).
    lines.append("Auto-Submitted: auto-generated")
    if headers.campaign:
        lines.append(unstructured("X-Campaign", cleaned_subject(headers.campaign)))
    return lines


def unsubscribe_value(url: str, mailto: str) -> str:
    """Never folded, never encoded: a receiver takes what stands between the brackets as the URL."""
    if not _is_url(url):
        raise RenderFailed(f"unsubscribe address {url[:80]!r} is no plain https:// URL")
    if not mailto:
        value = f"<{url}>"
    elif not _MAILTO.fullmatch(mailto):
        raise RenderFailed(f"{mailto[:80]!r} is no plain mailto: address")
    else:
        value = f"<{url}>, <{mailto}>"
    if len(value) + len("List-Unsubscribe: ") > LINE_LIMIT or "=?" in value:
        raise _unwritable("List-Unsubscribe", value)
    return value


def _is_url(text: str) -> bool:
    before, slash, last = text.rpartition("/")
    is_known = last.isascii() and last.isprintable() and " " not in last and _begins_a_url(f"{before}{slash}")
    return is_known or _URL.fullmatch(text) is not None


@lru_cache(maxsize=256)
def _begins_a_url(text: str) -> bool:
    """The same for all mails, but for what stands behind the last slash."""
    return _URL.fullmatch(text) is not None


def _literal(name: str, value: str) -> str:
    line = f"{name}: {value}"
    if not _LITERAL.fullmatch(value) or len(line) > LINE_LIMIT or "=?" in value:
        raise _unwritable(name, value)
    return line


def _unwritable(name: str, value: str) -> RenderFailed:
    return RenderFailed(f"header {name} can't be written with {value[:80]!r}: only short, plain ASCII stands there")


def address_line(name: str, who: Mailbox) -> str:
    """A header that names one mailbox."""
    # A local part beyond ASCII stands as it is: RFC 6532 has no other form, and the transport asks for SMTPUTF8.
    if not _ADDRESS.fullmatch(who.email):
        raise RenderFailed(f"the address in header {name} holds characters that can't stand there")
    start = _shown_name(name, who.name) if who.name else ""
    if not start:
        return f"{name}: {who.email}"
    address = f"<{who.email}>"
    last = len(start) - (start.rfind("\n") + 1)
    return start + (" " if last + 1 + len(address) <= FOLD_AT else "\r\n ") + address


@lru_cache(maxsize=4096)
def _shown_name(header: str, name: str) -> str:
    """The header as far as the name goes; empty where nothing of the name can be shown."""
    shown = cleaned_name(name)
    return f"{header}: {phrase(shown, len(header) + 2)}" if shown else ""

"""Which fields does a mail consist of? For providers that take no MIME and want sender, subject and texts one by one.

Read from our own bytes, which the gate behind composing has checked; so what arrives says what the dry run showed.
"""

from dataclasses import dataclass
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr

# The provider writes these anew from the fields, or sets its own (`capabilities`).
_WRITTEN_BY_PROVIDER = frozenset(
    "from to reply-to subject date message-id mime-version content-type content-transfer-encoding "
    "dkim-signature".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """A mail taken apart; texts decoded."""

    from_name: str
    from_address: str
    to_name: str
    reply_to: str  # the address alone; empty: none
    subject: str
    html: str
    text: str
    headers: dict[str, str]  # all others as they stand in the bytes, unfolded


def fields_of(data: bytes) -> Fields:
    """The fields of a mail that `message.compose` made."""
    mail = message_from_bytes(data)
    from_name, from_address = _mailbox(mail, "From")
    return Fields(
        from_name=from_name,
        from_address=from_address,
        to_name=_mailbox(mail, "To")[0],
        reply_to=_mailbox(mail, "Reply-To")[1],
        subject=_decoded(_unfolded(mail.get("Subject", ""))),
        html=_content(mail, "text/html"),
        text=_content(mail, "text/plain"),
        headers={name: _unfolded(said) for name, said in mail.items() if name.lower() not in _WRITTEN_BY_PROVIDER},
    )


def _mailbox(mail: Message, name: str) -> tuple[str, str]:
    shown, address = parseaddr(_unfolded(mail.get(name, "")))
    return _decoded(shown), address


def _unfolded(value: object) -> str:
    """A folded line is the same without its line ends (RFC 5322 2.2.3)."""
    return str(value).replace("\r\n", "").replace("\n", "").strip()


def _decoded(text: str) -> str:
    return str(make_header(decode_header(text))) if "=?" in text else text


def _content(mail: Message, kind: str) -> str:
    part = next((one for one in mail.walk() if one.get_content_type() == kind), None)
    raw = part.get_payload(decode=True) if part is not None else None
    if part is None or not isinstance(raw, bytes):
        return ""
    return raw.decode(part.get_content_charset("utf-8"), "replace")

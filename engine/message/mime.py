"""How do a rendered text and its headers become the bytes of one mail?

Built from a skeleton: the standard library's EmailMessage needs ten times as long (3.3 ms against 0.3 ms for 30 KB)
and breaks one-click unsubscribe. Boundary and Message-ID derive from the delivery id, so the same message has the
same bytes on every attempt, but for Date and the signature.
"""

import binascii
import hashlib
import re
from typing import Protocol

from engine.message.dkim import Signer
from engine.message.headers import MailHeaders, envelope_from, header_lines
from engine.model import Mail

_UNDIGESTED = re.compile(rb"(?im)^(?:Date|DKIM-Signature):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")
_NEWLINES = re.compile(r"\r\n?")


class RenderedText(Protocol):
    """What is composed: a subject, and the same message as HTML and as plain text."""

    @property
    def subject(self) -> str:
        """One line."""

    @property
    def html(self) -> str:
        """A whole document."""

    @property
    def text(self) -> str:
        """The plain-text alternative."""


def compose(rendered: RenderedText, headers: MailHeaders, signer: Signer | None = None) -> Mail:
    """The mail ready for a transport, signed when there is a signer; RenderFailed when a header can't be written."""
    # "=_" never occurs in quoted-printable text, so no body can contain the boundary (RFC 2045 6.7).
    boundary = f"=_{headers.delivery_id}"
    lines = header_lines(headers, rendered.subject, boundary)
    body = _body(boundary, rendered)
    stable = "".join(f"{one.line}\r\n" for one in lines if one.name != "Date").encode()
    head = "".join(f"{one.line}\r\n" for one in lines).encode()
    signature = f"{signer.sign(lines, body, headers.date)}\r\n".encode() if signer else b""
    digest = hashlib.sha256(stable + b"\r\n")
    digest.update(body)
    return Mail(
        delivery_id=headers.delivery_id,
        envelope_from=envelope_from(headers),
        recipient=headers.to.email,
        data=b"".join((signature, head, b"\r\n", body)),
        digest=digest.hexdigest(),
    )


def digest_of(data: bytes) -> str:
    """The digest of a mail's bytes: over everything but its Date and DKIM-Signature headers."""
    head, _, body = data.partition(b"\r\n\r\n")
    digest = hashlib.sha256(_UNDIGESTED.sub(b"", head + b"\r\n") + b"\r\n")
    digest.update(body)
    return digest.hexdigest()


def _body(boundary: str, rendered: RenderedText) -> bytes:
    mark = boundary.encode()
    part = b"--%b\r\nContent-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return b"".join(
        (
            part % (mark, b"plain"),
            quoted_printable(rendered.text),
            b"\r\n",
            part % (mark, b"html"),
            quoted_printable(rendered.html),
            b"\r\n--%b--\r\n" % mark,
        )
    )


def quoted_printable(text: str) -> bytes:
    """RFC 2045 6.7: lines of at most 76, CRLF ends; half a surrogate pair, which no mail can hold, becomes `?`."""
    if "\r" in text:
        text = _NEWLINES.sub("\n", text)
    # In LF form all through: b2a_qp picks the ends of its soft breaks by the first line it sees.
    return binascii.b2a_qp(text.encode("utf-8", "replace"), istext=True).replace(b"\n", b"\r\n")

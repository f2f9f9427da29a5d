"""How do a rendered text and its headers become the bytes of one mail?

Built from a skeleton: the standard library's EmailMessage needs ten times as long (3.3 ms against 0.3 ms for 30 KB)
and breaks one-click unsubscribe. Boundary and Message-ID derive from the delivery id, so the same message has the
same bytes on every attempt, but for Date and the signature.
"""

from typing import Protocol

from engine.message.dkim import Signer
from engine.message.encoding import quoted_printable
from engine.message.framing import Body, mail_frame
from engine.message.fusing import Encoded
from engine.message.headers import MailHeaders
from engine.model import Mail


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


def compose(
    said: RenderedText | Encoded, headers: MailHeaders, signers: Signer | tuple[Signer, ...] | None = None
) -> Mail:
    """The mail ready for a transport, signed where there are signers; RenderFailed when a header can't be written.

    Who makes many keeps a `mail_frame` and asks that for each.
    """
    known = signers if isinstance(signers, tuple) else (signers,) if signers else ()
    return mail_frame(headers, known).mail(
        said.subject,
        body_of(said),
        delivery_id=headers.delivery_id,
        to=headers.to,
        date=headers.date,
        unsubscribe_url=headers.unsubscribe_url,
    )


def body_of(said: RenderedText | Encoded) -> Body:
    """Both parts of a message, encoded."""
    if isinstance(said, Encoded):
        return Body(text=said.text_piece, html=said.html_piece, form="relaxed" if said.is_relaxed else "simple")
    text, html = quoted_printable(said.text), quoted_printable(said.html)
    return Body(text=text.decode(), html=html.decode(), form="simple")

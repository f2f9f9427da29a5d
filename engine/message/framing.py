"""What stands round all mails of one plan? Written once; each mail adds its To, Subject, Date, ids and addresses."""

import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from engine.errors import RenderFailed
from engine.message.dkim import Seal, Signer, relaxed, seal
from engine.message.header_text import cleaned_subject, unstructured
from engine.message.headers import (
    LINE_LIMIT,
    Mailbox,
    MailHeaders,
    address_line,
    checked_delivery_id,
    closing_lines,
    envelope_from,
    unsubscribe_value,
)
from engine.model import TRANSACTIONAL, Mail, frozen

_TEXT_PART = "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
_HTML_PART = "\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
_ONE_CLICK = "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"  # exactly so: RFC 8058 3.1
_ALWAYS = ("from", "to", "subject", "date", "message-id", "mime-version", "content-type")


@frozen
class Body:
    """Both parts of a message in quoted-printable. `form`: how DKIM may call it, `simple` or `relaxed`."""

    text: str
    html: str
    form: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFrame:
    """The headers of a plan's mails, as far as they are the same for all, and its seals."""

    headers: MailHeaders
    signers: tuple[Signer, ...]
    from_line: str
    domain: str
    reply_line: str
    closing: str  # from List-ID on
    relaxed_from: str
    relaxed_middle: str  # Reply-To, MIME-Version
    relaxed_closing: str  # the signed ones
    seals: dict[tuple[bool, str], list[Seal]] = field(default_factory=dict, repr=False)

    def mail(
        self, subject: str, body: Body, *, delivery_id: str, to: Mailbox, date: datetime, unsubscribe_url: str
    ) -> Mail:
        """One mail, signed where there are signers; RenderFailed when a header can't be written."""
        checked_delivery_id(delivery_id)
        if delivery_id in self.headers.feedback_id:
            raise RenderFailed("Feedback-ID holds the delivery id; Gmail wants no value that names one recipient")
        own = _Own(
            to=address_line("To", to),
            subject=_subject_line(subject),
            date=_date_line(date.replace(microsecond=0)),
            message_id=f"<{delivery_id}@{self.domain}>",
            boundary=f'"=_{delivery_id}"',
            unsubscribe=self._unsubscribe(unsubscribe_url),
        )
        opening = f"{self.from_line}\r\n{own.to}\r\n{own.subject}\r\n"
        rest = (
            f"Message-ID: {own.message_id}\r\n{self.reply_line}MIME-Version: 1.0\r\n"
            f"Content-Type: multipart/alternative;\r\n boundary={own.boundary}\r\n{own.unsubscribe}{self.closing}"
        )
        head = f"{opening}{own.date}\r\n{rest}\r\n"
        # Each copy of a body costs more than all headers together.
        if self.signers:
            whole = "".join(_body(delivery_id, body)).encode()
            hashed = hashlib.sha256(whole)
            data = f"{self._signatures(own, hashed.digest(), date, body.form)}{head}".encode() + whole
        else:
            data = "".join((head, *_body(delivery_id, body))).encode()
            hashed = hashlib.sha256(memoryview(data)[len(head if head.isascii() else head.encode()) :])
        return Mail(
            delivery_id=delivery_id,
            envelope_from=envelope_from(self.headers, delivery_id),
            recipient=to.email,
            data=data,
            digest=digest(f"{opening}{rest}".encode(), hashed.hexdigest()),
            is_wire_ready=body.form == "relaxed",
        )

    def _unsubscribe(self, url: str) -> str:
        if url:
            return f"List-Unsubscribe: {unsubscribe_value(url, self.headers.unsubscribe_mailto)}\r\n{_ONE_CLICK}"
        if self.headers.message_class != TRANSACTIONAL:
            raise RenderFailed("marketing mail has no unsubscribe address; set base_url in [tracking]")
        return ""

    def _signatures(self, own: "_Own", body_hash: bytes, date: datetime, form: str) -> str:
        is_list = bool(own.unsubscribe)
        seals = self.seals.get((is_list, form))
        if seals is None:
            seals = self.seals[is_list, form] = [seal(one, self._present(is_list), form) for one in self.signers]
        signed = (
            f"{self.relaxed_from}{relaxed(own.to)}\r\n{relaxed(own.subject)}\r\n{relaxed(own.date)}\r\n"
            f"message-id:{own.message_id}\r\n{self.relaxed_middle}"
            f"content-type:multipart/alternative; boundary={own.boundary}\r\n"
            f"{_relaxed_lines(own.unsubscribe)}{self.relaxed_closing}"
        )
        said, seconds = binascii.b2a_base64(body_hash, newline=False).decode(), int(date.timestamp())
        return "".join([one.line(signed, said, seconds) for one in seals])

    def _present(self, is_list: bool) -> Sequence[str]:
        lines = [line.partition(":")[0].lower() for line in f"{self.reply_line}{self.closing}".split("\r\n")]
        return [*_ALWAYS, *lines, *(("list-unsubscribe", "list-unsubscribe-post") if is_list else ())]


@frozen
class _Own:
    """What one mail's headers hold that no other's do."""

    to: str
    subject: str
    date: str
    message_id: str
    boundary: str
    unsubscribe: str  # both lines


def mail_frame(headers: MailHeaders, signers: tuple[Signer, ...] = ()) -> MailFrame:
    """The frame of all mails with these headers; what is one mail's own in them is not looked at."""
    from_line = address_line("From", headers.from_)
    reply_line = f"{address_line('Reply-To', headers.reply_to)}\r\n" if headers.reply_to else ""
    reply_relaxed = f"{relaxed(reply_line)}\r\n" if reply_line else ""
    closing = closing_lines(headers)
    signed = "".join(f"{line}\r\n" for line in closing if line.startswith(("List-ID:", "Feedback-ID:")))
    if len(f"Message-ID: <@{headers.from_.domain}>") + 60 > LINE_LIMIT:
        raise RenderFailed(f"the sender's domain is too long: {headers.from_.domain[:80]!r}")
    return MailFrame(
        headers=headers,
        signers=signers,
        from_line=from_line,
        domain=headers.from_.domain,
        reply_line=reply_line,
        closing="".join(f"{line}\r\n" for line in closing),
        relaxed_from=f"{relaxed(from_line)}\r\n",
        relaxed_middle=f"{reply_relaxed}mime-version:1.0\r\n",
        relaxed_closing=_relaxed_lines(signed),
    )


def digest(stable_headers: bytes, body_hash: str) -> str:
    """What tells one mail from another: over all its headers but Date and DKIM-Signature, and its body's hash."""
    return hashlib.sha256(b"%b\r\n%b" % (stable_headers, body_hash.encode())).hexdigest()


def _body(mark: str, body: Body) -> list[str]:
    # "=_" never occurs in quoted-printable text, so no part can contain the boundary (RFC 2045 6.7).
    start = f"--=_{mark}"
    return [start, _TEXT_PART, body.text, "\r\n", start, _HTML_PART, body.html, "\r\n", start, "--\r\n"]


@lru_cache(maxsize=1024)
def _subject_line(subject: str) -> str:
    return unstructured("Subject", cleaned_subject(subject))


@lru_cache(maxsize=64)
def _date_line(date: datetime) -> str:
    return f"Date: {format_datetime(date.astimezone(UTC))}"


def _relaxed_lines(lines: str) -> str:
    """Lines that are not folded."""
    return "".join(f"{relaxed(line)}\r\n" for line in lines.split("\r\n") if line)

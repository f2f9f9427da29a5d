"""May this mail go out? Read again from its bytes, as a receiver reads it, against what the large providers demand.

An error blocks the send. Rules: RFC 5322, RFC 2369, RFC 8058 and the bulk-sender rules of Gmail, Yahoo and Microsoft.
"""

import re
from collections import Counter
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.utils import getaddresses
from typing import Literal

from engine.message.headers import LINE_LIMIT
from engine.model import TRANSACTIONAL, Finding, Severity

HTML_LIMIT = 102_400  # Gmail clips here: the footer with the unsubscribe link and the pixel are lost
HTML_WARNING = 100_000
FREEMAIL = frozenset(
    "gmail.com googlemail.com yahoo.com ymail.com aol.com outlook.com hotmail.com live.com msn.com icloud.com me.com "
    "mac.com gmx.com gmx.de gmx.net web.de mail.com mail.ru yandex.ru yandex.com proton.me protonmail.com qq.com "
    "163.com 126.com zoho.com".split()
)
_ONCE = (
    "from sender reply-to to cc subject date message-id mime-version content-type list-unsubscribe "
    "list-unsubscribe-post list-id feedback-id precedence auto-submitted"
).split()
_NEEDED = "from to subject date message-id mime-version content-type".split()
_ENCODINGS = {"7bit", "quoted-printable", "base64"}
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_NO_LETTERS = re.compile(r"[\W_]+")
_HTTPS = re.compile(rb"<https://[^<>\s]+>")
_LOOPBACK = re.compile(rb"<http://(?:localhost|127\.0\.0\.1)[:/][^<>\s]*>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the sender knows beside the bytes. Empty values are not checked."""

    message_class: str = "marketing"
    unsubscribe_url: str = ""  # the visible link
    postal_address: str = ""
    envelope_from: str = ""
    return_path: Literal["verp", "fixed", "from"] = "verp"


@dataclass(frozen=True, slots=True)
class _Raw:
    """The header fields as they stand in the bytes: lower-case name to the unparsed values, folds kept."""

    fields: dict[str, list[bytes]]

    def one(self, name: str) -> bytes:
        return self.fields.get(name, [b""])[0]


def check_mail(data: bytes, expected: Expected | None = None) -> list[Finding]:
    """Everything that would get this mail blocked, clipped or put aside; empty when it may go out."""
    expected = expected or Expected()
    head, separator, body = data.partition(b"\r\n\r\n")
    raw = _read_head(head)
    # The older parser: the newer one reads each Content-Type thirty times over, and takes three times as long.
    mail = message_from_bytes(data)
    return [
        *_bytes_faults(head, separator, body),
        *_field_faults(raw),
        *(_list_faults(raw) if expected.message_class != TRANSACTIONAL or "list-unsubscribe" in raw.fields else []),
        *_sender_faults(raw, expected),
        *_part_faults(mail, expected),
    ]


def _read_head(head: bytes) -> _Raw:
    fields: dict[str, list[bytes]] = {}
    for one in re.split(rb"\r\n(?![ \t])", head):
        name, _, value = one.partition(b":")
        fields.setdefault(name.decode("ascii", "replace").lower(), []).append(value.strip(b" \t"))
    return _Raw(fields)


def _bytes_faults(head: bytes, separator: bytes, body: bytes) -> list[Finding]:
    faults = []
    if not separator:
        faults.append(_error("no_body", "mail", "has no empty line between headers and body"))
    whole = head + separator + body
    if len(whole.split(b"\n")) != whole.count(b"\r\n") + 1 or whole.count(b"\r") != whole.count(b"\r\n"):
        faults.append(_error("bare_newline", "mail", "has a CR or LF by itself, which can split one mail into two"))
    if b"\0" in whole:
        faults.append(_error("nul", "mail", "holds a NUL"))
    longest = max(map(len, whole.split(b"\r\n")))
    if longest > LINE_LIMIT:
        faults.append(_error("long_line", "mail", f"has a line of {longest} octets; {LINE_LIMIT} are allowed"))
    if not body.isascii():
        faults.append(_error("eight_bit", "body", "holds octets beyond ASCII; encode it as quoted-printable or base64"))
    # An address with a local part beyond ASCII can only stand raw, and goes to SMTPUTF8 servers alone.
    for line in re.split(rb"\r\n(?![ \t])", head):
        if not line.isascii() and not line.lower().startswith(b"to:"):
            name = line.partition(b":")[0].decode("ascii", "replace")
            faults.append(_error("raw_header", f"header {name}", "holds octets beyond ASCII"))
    return faults


def _field_faults(raw: _Raw) -> list[Finding]:
    count = Counter({name: len(values) for name, values in raw.fields.items()})
    twice = [_error("duplicate_header", f"header {n}", f"stands {count[n]} times") for n in _ONCE if count[n] > 1]
    return twice + [
        _error("missing_header", f"header {n}", "is missing") for n in _NEEDED if not any(raw.fields.get(n, []))
    ]


def _list_faults(raw: _Raw) -> list[Finding]:
    value, where = raw.one("list-unsubscribe"), "header List-Unsubscribe"
    faults = []
    if not value:
        return [_error("no_list_unsubscribe", where, "is missing: marketing mail without it is rejected")]
    if b"=?" in value or b"\r" in value.partition(b">")[0]:
        faults.append(
            _error("mangled_list_unsubscribe", where, "is encoded or folded inside the URL: no receiver can use it")
        )
    if _LOOPBACK.search(value):
        said = "leads to this machine; right for a rehearsal, useless to a recipient"
        faults.append(Finding(code="loopback_unsubscribe", severity=Severity.WARNING, where=where, message=said))
    elif len(_HTTPS.findall(value)) != 1:
        faults.append(_error("no_https_unsubscribe", where, "needs exactly one literal <https://...>"))
    if raw.one("list-unsubscribe-post") != b"List-Unsubscribe=One-Click":
        where = "header List-Unsubscribe-Post"
        faults.append(_error("no_one_click", where, "must be exactly List-Unsubscribe=One-Click (RFC 8058)"))
    signature = _tags(raw.one("dkim-signature"))
    signed = signature.get("h", "").lower().split(":")
    if signature and not {"list-unsubscribe", "list-unsubscribe-post"} <= set(signed):
        said = "must cover List-Unsubscribe and List-Unsubscribe-Post (RFC 8058 4)"
        faults.append(_error("unsigned_list_unsubscribe", "header DKIM-Signature", said))
    return faults


def _sender_faults(raw: _Raw, expected: Expected) -> list[Finding]:
    # Not by the newer parser, which trips over broken addresses (an IndexError for `a@`).
    said = raw.one("from").replace(b"\r\n", b"").decode("ascii", "replace")
    senders = [address for _, address in getaddresses([said]) if address]
    if len(senders) != 1:
        return [_error("not_one_sender", "header From", f"names {len(senders)} senders; exactly one is allowed")]
    domain, faults = senders[0].rpartition("@")[2].lower(), []
    if domain in FREEMAIL:
        faults.append(_error("freemail_sender", "header From", f"{domain} rejects mail in its name from elsewhere"))
    identifier = re.fullmatch(rb"<[^<>@\s]+@([^<>@\s]+)>", raw.one("message-id"))
    if not identifier or not _aligned(identifier[1].decode("ascii", "replace").lower(), domain):
        faults.append(_error("foreign_message_id", "header Message-ID", f"must be <...@{domain}>"))
    bounces = expected.envelope_from.rpartition("@")[2].lower()
    signer = _tags(raw.one("dkim-signature")).get("d", "").lower()
    known = [one for one in (signer, bounces) if one]
    if known and not any(_aligned(one, domain) for one in known):
        said = f"{domain} is aligned with neither the DKIM domain nor the bounce domain ({', '.join(known)})"
        severity = Severity.ERROR if signer else Severity.WARNING  # without one, a relay may still sign
        faults.append(Finding(code="unaligned_sender", severity=severity, where="header From", message=said))
    if expected.envelope_from and expected.envelope_from.lower() == senders[0].lower():
        severity = Severity.WARNING if expected.return_path == "from" else Severity.ERROR
        said = "is the sender's own mailbox; bounces drown there and can't be told apart"
        faults.append(Finding(code="return_path_is_sender", severity=severity, where="Return-Path", message=said))
    return faults


def _part_faults(mail: Message, expected: Expected) -> list[Finding]:
    faults = [
        _error("bad_encoding", f"part {part.get_content_type()}", "must be 7bit, quoted-printable or base64")
        for part in mail.walk()
        if str(part.get("content-transfer-encoding", "7bit")).lower() not in _ENCODINGS
    ]
    html, text = _content(mail, "text/html"), _content(mail, "text/plain")
    if not text.strip():
        said = "is missing or empty"
        faults.append(Finding(code="no_text_part", severity=Severity.WARNING, where="part text/plain", message=said))
    size = len(html.encode("utf-8", "replace"))
    if size > HTML_WARNING:
        severity = Severity.ERROR if size > HTML_LIMIT else Severity.WARNING
        said = f"has {size} bytes; Gmail clips at about {HTML_LIMIT} and the footer is lost"
        faults.append(Finding(code="too_large", severity=severity, where="part text/html", message=said))
    if expected.message_class == TRANSACTIONAL:
        return faults
    seen, links = _visible(html)
    for where, words, urls in (("part text/html", seen, links), ("part text/plain", text, text)):
        if expected.unsubscribe_url and expected.unsubscribe_url not in urls:
            faults.append(_error("no_visible_unsubscribe", where, "shows no unsubscribe link"))
        if expected.postal_address and _letters(expected.postal_address) not in _letters(words):
            faults.append(_error("no_postal_address", where, "does not show the postal address"))
    return faults


def _visible(html: str) -> tuple[str, set[str]]:
    """What a reader sees: the text, and the addresses of links that have something to click on."""
    import lxml.html  # late: no command that makes no mail should wait for it

    parser = lxml.html.HTMLParser(encoding="utf-8")
    # The empty paragraph keeps an empty document from being an error.
    tree = lxml.html.document_fromstring((html + "<p></p>").encode("utf-8", "replace"), parser=parser)
    for element in list(tree.iter(lxml.html.etree.Comment, "style", "script", "head", "title")):
        element.drop_tree()
    for element in tree.xpath("//*[@style or @hidden]"):
        hidden = element.get("hidden") is not None or _HIDDEN.search(element.get("style", ""))
        if hidden and element.getparent() is not None:
            element.drop_tree()
    links = {a.get("href") for a in tree.iter("a", "area") if a.get("href") and (a.text_content().strip() or len(a))}
    return tree.text_content(), links


def _content(mail: Message, kind: str) -> str:
    """The first part of this kind, decoded; empty when there is none."""
    part = next((one for one in mail.walk() if one.get_content_type() == kind), None)
    raw = part.get_payload(decode=True) if part is not None else None
    if part is None or not isinstance(raw, bytes):
        return ""
    try:
        return raw.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:  # a charset that nobody knows
        return raw.decode("utf-8", "replace")


def _tags(value: bytes) -> dict[str, str]:
    """The tag=value list of a DKIM-Signature (RFC 6376 3.2), blanks and folds removed."""
    pairs = (one.partition("=") for one in re.sub(r"\s+", "", value.decode("ascii", "replace")).split(";"))
    return {name: said for name, _, said in pairs if name}


def _aligned(one: str, other: str) -> bool:
    """Whether two domains belong to the same organisation, as relaxed DMARC alignment has it (RFC 7489 3.1)."""
    if one == other:
        return True
    labels = one.split(".")
    # Without a list of public suffixes: two labels, three where the second looks like one (co.uk, com.my).
    wide = 3 if len(labels) > 1 and len(labels[-1]) == 2 and len(labels[-2]) <= 3 else 2
    return len(labels) >= wide and labels[-wide:] == other.split(".")[-wide:]


def _letters(text: str) -> str:
    return _NO_LETTERS.sub("", text.casefold())


def _error(code: str, where: str, said: str) -> Finding:
    return Finding(code=code, severity=Severity.ERROR, where=where, message=said)

"""What is in a mail that came back? Its headers, its words, the reports in it and the headers of what it returns.

Whatever arrives is read: broken MIME, unknown charsets, rubbish. Only the beginning of a huge mail is looked at, parts
are counted, and nothing is parsed deeper than multiparts go: a returned mail is text of which the headers matter.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message

from engine.feedback.bounces.markup import text_of

LARGEST = 512 * 1024  # bytes looked at; reports stand before the returned mail
_LONGEST_TEXT = 48 * 1024
_MOST_PARTS = 60
_DEEPEST = 40  # boundaries; more of them is no mail but an attack on the parser
_MOST_BLOCKS = 200
# So that the parser leaves them as text, with their transfer encoding undone as for any text.
_EMBEDDED = re.compile(rb"^(content-type:\s{0,80})message/(?=[a-z0-9])", re.IGNORECASE | re.MULTILINE)
_BOUNDARY = re.compile(rb"^content-type:\s{0,80}multipart/", re.IGNORECASE | re.MULTILINE)
_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,60})[ \t]{0,8}:(.*)")
_NOT_TEXT = {"unicode_escape", "raw_unicode_escape", "idna", "punycode", "undefined", "utf-7", "utf_7"}

_RECEIPT = "disposition-notification"
_OTHER_REPORTS = {_RECEIPT, "feedback-report", "tlsrpt"}  # RFC 8098, RFC 5965, RFC 8460

Fields = dict[str, str]  # by lower-case name; the first of its name


@dataclass(slots=True, kw_only=True)
class Letter:
    """A mail taken apart."""

    headers: Fields
    words: str = ""  # what a person is to read
    statuses: list[Fields] = field(default_factory=list)  # blocks of message/delivery-status (RFC 3464)
    feedback: Fields | None = None  # message/feedback-report (RFC 5965)
    returned: list[Fields] = field(default_factory=list)  # headers of what came back
    is_report: bool = False
    is_receipt: bool = False  # somebody, or her program, has read or deleted it (RFC 8098): it did arrive

    def header(self, name: str) -> str:
        """A header's value, decoded, or the empty string."""
        return self.headers.get(name, "")


def open_letter(raw: bytes) -> Letter:
    """The mail taken apart; of rubbish nothing, or very little."""
    raw = raw[:LARGEST].replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n\t ")
    if raw.startswith(b"From ") or raw.startswith(b">From "):  # the separator of an mbox
        raw = raw.partition(b"\n")[2]
    if len(_BOUNDARY.findall(raw)) > _DEEPEST:
        raw = raw.partition(b"\n\n")[0]
    try:
        message = message_from_bytes(_EMBEDDED.sub(rb"\1text/x-", raw))
        return _taken_apart(message)
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError):
        return Letter(headers={})  # the parser of the standard library has limits of its own


def blocks_of(text: str) -> list[Fields]:
    """Header-like fields, a block from blank line to blank line."""
    blocks: list[Fields] = [{}]
    name = ""
    for line in text.splitlines():
        if not line.strip():
            if blocks[-1]:
                blocks.append({})
                if len(blocks) > _MOST_BLOCKS:
                    break
            name = ""
        elif line[0] in " \t":
            if name:
                blocks[-1][name] = f"{blocks[-1][name]} {line.strip()}"[:4000]
        elif found := _FIELD.match(line):
            name = found[1].lower()
            if name in blocks[-1]:
                name = ""
            else:
                blocks[-1][name] = found[2].strip()[:4000]
    return [block for block in blocks if block]


def _taken_apart(message: Message) -> Letter:
    letter = Letter(headers=_headers(message))
    letter.is_report = "report" in message.get_content_type() and _report_type(message) not in _OTHER_REPORTS
    letter.is_receipt = _report_type(message) == _RECEIPT
    plain, marked = [], []
    for part in _parts(message):
        kind = part.get_content_type()
        if kind == "text/html":
            marked.append(text_of(_text(part)))
        elif kind.endswith("delivery-status"):
            letter.statuses += blocks_of(_text(part))
        elif kind == "text/x-feedback-report":
            letter.feedback = {name: value for block in blocks_of(_text(part)) for name, value in block.items()}
        elif kind in ("text/rfc822-headers", "text/rfc822") or kind.startswith("text/x-"):
            letter.returned += [_decoded_fields(block) for block in blocks_of(_text(part).lstrip())[:1]]
        elif kind.startswith(("text/", "multipart/")):  # a multipart without its parts is plain text after all
            plain.append(_text(part))
    words = "\n".join(plain)
    letter.words = (words if len(words.strip()) > 40 or not marked else "\n".join([words, *marked]))[:_LONGEST_TEXT]
    return letter


def _report_type(message: Message) -> str:
    return str(message.get_param("report-type") or "").strip().lower()


def _parts(message: Message) -> Iterator[Message]:
    left, seen = [message], 0
    while left and seen < _MOST_PARTS:
        part = left.pop(0)
        seen += 1
        payload = part.get_payload()
        if isinstance(payload, list):
            left[:0] = [one for one in payload if isinstance(one, Message)]
        else:
            yield part


def _headers(message: Message) -> Fields:
    fields: Fields = {}
    for name, value in message.items():
        key = name.lower()
        text = _decoded(str(value))
        # Every envelope address counts; of the others the first.
        fields[key] = f"{fields[key]}, {text}" if key in fields and key in _REPEATED else fields.get(key, text)
    return fields


_REPEATED = {"delivered-to", "x-original-to", "envelope-to", "to", "x-failed-recipients"}


def _decoded_fields(fields: Fields) -> Fields:
    return {name: _decoded(value) for name, value in fields.items()}


def _decoded(value: str) -> str:
    """A header without its RFC 2047 words and folds, as far as it can be read."""
    value = " ".join(value[:8000].split())
    if "=?" not in value:
        return value
    try:
        pieces = decode_header(value)
        return "".join(_as_text(one, charset or "ascii") if isinstance(one, bytes) else one for one, charset in pieces)
    except (HeaderParseError, ValueError, LookupError):
        return value


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else str(part.get_payload()).encode("utf-8", "replace")
    charset = part.get_param("charset") or "utf-8"
    if isinstance(charset, tuple):
        charset = charset[2]
    return _as_text(data[: 2 * _LONGEST_TEXT], str(charset))[:_LONGEST_TEXT]


def _as_text(data: bytes, charset: str) -> str:
    for name in (charset, "utf-8"):
        try:
            if codecs.lookup(name).name not in _NOT_TEXT:
                return data.decode(name)
        except (LookupError, ValueError):
            continue
    return data.decode("latin-1")

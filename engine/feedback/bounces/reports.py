"""What does a delivery status report say, recipient by recipient? RFC 3464, and how it is bent in practice."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engine.feedback.bounces.addresses import address_in
from engine.feedback.bounces.letters import Fields
from engine.model import NoticeKind

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_TYPE = re.compile(
    r"^\s*(?:x-[a-z0-9-]+|smtp|dns|rfc822|unix|x400|local|utf-8|notes|lmtp|postfix)\s*;\s*", re.IGNORECASE
)
_KINDS = {
    "fail": NoticeKind.BOUNCED,
    "error": NoticeKind.BOUNCED,  # OpenSMTPD
    "delay": NoticeKind.DELAYED,
    "delivered": NoticeKind.DELIVERED,
    "relayed": NoticeKind.DELIVERED,  # to a system that sends no reports: accepted, at least
    "expanded": NoticeKind.DELIVERED,
    "deliverable": NoticeKind.DELIVERED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One recipient's lines."""

    kind: NoticeKind
    recipient: str
    status: str
    diagnostic: str


def reports(blocks: list[Fields]) -> Iterator[Report]:
    """A report for each recipient that one of the blocks names."""
    for block in blocks:
        recipient = _recipient(block)
        action = block.get("action", "").lower()
        if not (recipient or action) or ("reporting-mta" in block and not recipient):
            continue
        kind = next((kind for word, kind in _KINDS.items() if action.startswith(word)), None)
        status = status_in(block.get("status", ""))
        if kind is None:
            kind = NoticeKind.BOUNCED if status.startswith("5") or not action else NoticeKind.UNKNOWN
        if kind is NoticeKind.BOUNCED and "will-retry-until" in block and status.startswith("4"):
            kind = NoticeKind.DELAYED
        if kind is NoticeKind.BOUNCED and status.startswith("2"):
            kind = NoticeKind.DELIVERED
        yield Report(kind=kind, recipient=recipient, status=status, diagnostic=_diagnostic(block))


def status_in(text: str) -> str:
    """The first enhanced code in a text, or the empty string."""
    found = _STATUS.search(text)
    return found[0] if found else ""


def _recipient(block: Fields) -> str:
    """The address that we mailed rather than the one it was forwarded to, where both stand there."""
    for name in ("original-recipient", "final-recipient", "x-actual-recipient"):
        found = address_in(_TYPE.sub("", block.get(name, "")))
        if found:
            return found
    return ""


def _diagnostic(block: Fields) -> str:
    said = [_TYPE.sub("", block.get(name, "")) for name in ("diagnostic-code", "x-supplementary-info", "x-notes")]
    comment = block.get("status", "").partition("(")[2].rstrip(")")  # 5.1.1 (user unknown)
    return " ".join(one for one in (*said, comment) if one)

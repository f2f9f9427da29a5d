"""What does a mail in the bounce mailbox say? Bounces, delays, complaints, holiday notes; or something else."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256

from engine.feedback.bounces.addresses import delivery_of_message_id, delivery_of_path
from engine.feedback.bounces.complaints import complaint
from engine.feedback.bounces.letters import Letter, blocks_of, open_letter
from engine.feedback.bounces.phrases import (
    ANSWERED,
    AUTO_AGENT,
    AUTO_SUBJECT,
    AUTO_WORDS,
    DELAYED_SUBJECT,
    DELAYED_WORDS,
    FAILED_SUBJECT,
    FAILED_WORDS,
    FINAL_CODE,
    GIVEN_UP,
    ROBOT,
)
from engine.feedback.bounces.prose import Said, own_words, returned_fields, said_of_recipients
from engine.feedback.bounces.reports import Report, reports, status_in
from engine.model import Notice, NoticeKind
from engine.replies import final_row_for, is_vague, shortened

_ENVELOPE = ("delivered-to", "x-original-to", "envelope-to", "to", "x-envelope-to", "apparently-to")
_MOST = 50  # recipients of one mail


def read_notice(raw: bytes) -> list[Notice]:
    """What the mail says, a notice for each recipient it speaks of; never empty, never an exception.

    `source` is left empty. What stands in a notice stands in the mail: anybody may have written it, so whoever acts on
    it decides whom to believe. Only the first 512 KB are read.
    """
    letter = open_letter(raw)
    found = _once(_complained(letter) or _reported(letter) or _told(letter))
    delivery_id = _delivery_id(letter)
    at = _moment(letter.header("date"))
    told_by = letter.header("message-id") or sha256(raw).hexdigest()
    return [
        Notice(
            kind=one.kind,
            reason=one.reason,
            delivery_id=delivery_id,
            recipient=one.recipient,
            status=one.status,
            diagnostic=one.diagnostic,
            at=at,
            notice_id=sha256(
                "\0".join((told_by, one.recipient.lower(), delivery_id)).encode("utf-8", "replace")
            ).hexdigest()[:40],
        )
        for one in found[:_MOST]
    ]


def _complained(letter: Letter) -> list[Notice]:
    found = complaint(letter)
    if found is None:
        return []
    kind, recipient, words = found
    reason = "complaint" if kind is NoticeKind.COMPLAINED else ""
    return [Notice(kind=kind, reason=reason, recipient=recipient, diagnostic=shortened(words))]


def _once(found: list[Notice]) -> list[Notice]:
    """One notice a recipient: aliases are expanded, and fail, several times over. A failure outweighs the rest."""
    kept: dict[str, Notice] = {}
    for one in sorted(found, key=lambda notice: notice.kind is not NoticeKind.BOUNCED):
        kept.setdefault(one.recipient.lower(), one)
    return list(kept.values())


def _reported(letter: Letter) -> list[Notice]:
    """RFC 3464; where a report says too little, the words above it are asked."""
    blocks = letter.statuses or [one for one in blocks_of(letter.words) if "final-recipient" in one]
    told = list(reports(blocks))
    if not told:
        return []
    said = {one.recipient.lower(): one.words for one in said_of_recipients(letter)}
    words = ""
    if len({report.recipient.lower() for report in told}) == 1:
        words = said.get(told[0].recipient.lower(), "") or own_words(letter)
    return [_of_report(report, said.get(report.recipient.lower(), words if len(told) == 1 else "")) for report in told]


def _of_report(report: Report, words: str) -> Notice:
    reason = ""
    diagnostic = report.diagnostic
    if report.kind is NoticeKind.BOUNCED:
        row = final_row_for(report.status, diagnostic)
        # A clear status without words needs no others: what stands around may be a scanner's advertisement.
        if not row.words and words and (diagnostic or is_vague(report.status)):
            other = final_row_for(report.status, words)
            row = other if other.words else row
            diagnostic = diagnostic or words
        reason = row.reason
    elif report.kind is NoticeKind.DELAYED:
        reason = "delayed"
    return Notice(
        kind=report.kind,
        reason=reason,
        recipient=report.recipient,
        status=report.status or status_in(diagnostic),
        diagnostic=shortened(diagnostic),
    )


def _told(letter: Letter) -> list[Notice]:
    """A mail without a report: what its headers and words make likely."""
    kind = _kind(letter)
    if kind is NoticeKind.AUTO_REPLY:
        return [Notice(kind=kind, reason="auto_reply", diagnostic=shortened(letter.header("subject")))]
    if kind is NoticeKind.UNKNOWN:
        return [Notice(kind=kind, diagnostic=shortened(letter.header("subject")))]
    said = said_of_recipients(letter) or [Said(recipient="", words=own_words(letter))]
    return [_of_words(kind, one, letter, len(said)) for one in said]


def _of_words(kind: NoticeKind, said: Said, letter: Letter, count: int) -> Notice:
    row = final_row_for("", said.words)
    words = said.words
    if not row.words and count == 1:
        whole = f"{own_words(letter)} {letter.header('subject')}"
        other = final_row_for(status_in(words), whole)
        row, words = (other, whole) if other.words else (row, words)
    return Notice(
        kind=kind,
        reason="delayed" if kind is NoticeKind.DELAYED else row.reason,
        recipient=said.recipient,
        status=status_in(said.words),
        diagnostic=shortened(words),
    )


def _kind(letter: Letter) -> NoticeKind:
    subject, words = letter.header("subject"), own_words(letter)[:8000]
    # A receipt's return path is empty, as a bounce's. Sieve's `reject` (RFC 5429) writes one too, and says so.
    if letter.is_receipt and not FAILED_SUBJECT.search(subject):
        return NoticeKind.AUTO_REPLY
    sender = letter.header("from")
    by_robot = bool(ROBOT.search(sender)) or letter.header("return-path").strip() == "<>" or not sender
    failed = bool(FAILED_SUBJECT.search(subject)) and not ANSWERED.search(subject)
    if by_robot or failed:
        waits = DELAYED_SUBJECT.search(subject) or (DELAYED_WORDS.search(words) and not GIVEN_UP.search(words))
        if waits and not FINAL_CODE.search(words):
            return NoticeKind.DELAYED
    if letter.header("x-failed-recipients"):
        return NoticeKind.BOUNCED
    bounces = (failed and by_robot) or (sender.strip() in ("", "<>") and FAILED_WORDS.search(words))
    if (_is_automatic(letter) and not bounces) or (AUTO_SUBJECT.search(subject) and not failed):
        return NoticeKind.AUTO_REPLY
    if (by_robot or failed) and (FAILED_WORDS.search(words) or (by_robot and failed) or letter.is_report):
        return NoticeKind.BOUNCED
    if AUTO_WORDS.search(words) and not failed:
        return NoticeKind.AUTO_REPLY
    return NoticeKind.UNKNOWN


def _is_automatic(letter: Letter) -> bool:
    """RFC 3834, and what was used before it."""
    said = letter.header("auto-submitted").lower()
    return (
        said.startswith("auto-replied")
        or any(
            letter.header(name)
            for name in ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply", "x-vacation")
        )
        or letter.header("precedence").lower() in ("auto_reply", "auto-reply", "autoreply")
        or letter.header("x-precedence").lower() in ("auto_reply", "auto-reply")
        or bool(AUTO_AGENT.search(f"{letter.header('x-mailer')} {letter.header('x-loop')}"))
    )


def _delivery_id(letter: Letter) -> str:
    """By the address it came to; else by what it returns or answers."""
    for name in _ENVELOPE:
        if found := delivery_of_path(letter.header(name)):
            return found
    if letter.feedback and (found := delivery_of_path(letter.feedback.get("original-mail-from", ""))):
        return found
    for fields in returned_fields(letter):
        if found := delivery_of_message_id(fields.get("message-id", "")):
            return found
        if found := delivery_of_path(fields.get("return-path", "")):
            return found
    for name in ("in-reply-to", "references", "original-message-id", "x-original-message-id"):
        if found := delivery_of_message_id(letter.header(name)):
            return found
    return ""


def _moment(date: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(date[:200])
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None

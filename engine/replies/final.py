"""What does a final bounce say about the address? Whoever wrote it has given up: there is nothing left to retry.

Not the live table: a bounce with a 4.x status is as final as one with 5.x, and its words come from any server on the
way, so that nothing here may stop a campaign as a fault of ours would (`configuration` is no answer here). A mistake
suppresses a living person, so only plain words or a code that says nothing else make an address `unknown_address`.

Sources: RFC 3463, RFC 3464 2.3.4, sendmail's habit of telling 5.1.1 for every 550, the providers' own lists.
"""

import re
from dataclasses import dataclass

from engine.replies import texts

_CODE = re.compile(r"(?<![\d.])([245]\d\d)(?![\d.]|-\d)(?=[\s\-,:;#<()\]]|$)")
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_VAGUE = re.compile(r"[245]\.(0\.0|\d\.0|0\.\d+)|")


@dataclass(frozen=True, slots=True)
class FinalRow:
    """One line of the table; what is left empty fits everything."""

    reason: str
    status: str = ""  # of the enhanced code, as a pattern
    code: str = ""  # of the SMTP code in the text, as a pattern
    words: str = ""  # anywhere in the text, as a pattern, any case


FINAL_ROWS: tuple[FinalRow, ...] = (
    FinalRow("mailbox_unavailable", status=r"[45]\.3\.1"),  # the server's own disk
    # Who we are, told in words that also name addresses and unknown things: before the words about the recipient.
    FinalRow("mailbox_full", words=rf"^(?!.*(sending|hourly|daily|per (hour|day|minute)|\brate\b)).*?({texts.FULL})"),
    FinalRow("throttled", words=texts.FAST),
    FinalRow("mailbox_full", words=texts.FULL),
    FinalRow("content", words=texts.TOO_BIG),
    FinalRow("blocked", words=texts.NAMELESS),
    FinalRow("blocked", words=texts.AT_MAIL),
    FinalRow("blocked", words=texts.SENDER),
    FinalRow("blocked", words=texts.UNSIGNED),
    FinalRow("mailbox_unavailable", words=texts.BROKEN),
    # Nobody lives there.
    FinalRow("doubtful_address", status=r"4\..*", words=texts.NOBODY),
    FinalRow("unknown_address", words=texts.NOBODY),
    FinalRow("unknown_address", words=texts.NOBODY_ELSEWHERE),
    FinalRow("unknown_address", status=r"5\.4\.1", words=r"recipient address rejected: access denied"),
    # GMX and Outlook.com say so of addresses that they don't have; the words are RFC 5321's for any 550.
    FinalRow(
        "unknown_address",
        status=r"5\.1\.1|5\.5\.0|5\.0\.0|",
        code="550",
        words=texts.NO_MAILBOX,
    ),
    FinalRow("greylisted", words=texts.GREY),
    FinalRow("refused", words=texts.RELAY),
    FinalRow("blocked", words=texts.LISTED),
    FinalRow("content", words=texts.SPAM),
    FinalRow("mailbox_unavailable", status=r"[45]\.4\.\d+|4\..*", words=texts.UNREACHED),
    # Shut by an administrator (5.7.13), or the owner changed (RFC 7293): it may open again.
    FinalRow("doubtful_address", status=r"5\.7\.1[378]"),
    FinalRow("doubtful_address", words=texts.LOCKED),
    FinalRow("unknown_address", words=texts.SHUT),
    FinalRow("doubtful_address", status=r"4\..*", words=texts.NO_DOMAIN),
    FinalRow("unknown_address", words=texts.NO_DOMAIN),
    FinalRow("unknown_address", status=r"5\.1\.2", words=texts.NO_HOST),
    FinalRow("refused", words=texts.LOOPED),
    FinalRow("doubtful_address", status=r"5\..*|", words=texts.NO_HOST),
    FinalRow("unknown_address", status=r"5\.1\.([1236]|10)"),
    FinalRow("doubtful_address", status=r"5\.1\.[04]|5\.2\.1|5\.4\.4|5\.7\.1[78]|5\.7\.13"),
    FinalRow("blocked", status=r"[45]\.7\.\d+|5\.1\.[78]"),
    FinalRow("mailbox_full", status=r"[45]\.2\.2"),
    FinalRow("content", status=r"5\.6\.\d+|[45]\.3\.4"),
    FinalRow("mailbox_unavailable", status=r"[45]\.[24]\.\d+|4\..*"),
    FinalRow("mailbox_unavailable", words=texts.UNREACHED),
    FinalRow("mailbox_full", code="552"),
    FinalRow("doubtful_address", code="55[013]"),
    FinalRow("refused", code="5.."),
    FinalRow("mailbox_unavailable", code="4.."),
    FinalRow("doubtful_address", status=r"5\.0\.0|5\.5\.0"),
    FinalRow("refused", status=r"5\..*"),
    FinalRow("mailbox_unavailable"),
)
_COMPILED = tuple(
    (row, re.compile(row.status), re.compile(row.code), re.compile(row.words, re.IGNORECASE)) for row in FINAL_ROWS
)


def classify_final(status: str, diagnostic: str) -> str:
    """The reason word of a delivery that somebody gave up; `status` is RFC 3463's, `diagnostic` the words."""
    return final_row_for(status, diagnostic).reason


def final_row_for(status: str, diagnostic: str) -> FinalRow:
    """The first line of the table that fits; the last fits everything."""
    found = _CODE.search(diagnostic)
    code = found[1] if found else ""
    status = _clearer(status, diagnostic)
    text = texts.plain(diagnostic)
    bare = texts.without_hosts(text)
    for row, statuses, codes, words in _COMPILED:
        if row.status and not statuses.fullmatch(status):
            continue
        if row.code and not codes.fullmatch(code):
            continue
        if row.words and not words.search(bare):
            continue
        return row
    raise AssertionError("the last line fits everything")


def is_vague(status: str) -> bool:
    """Whether an enhanced code says no more than yes, later or no; or is none."""
    return _VAGUE.fullmatch(status) is not None


def _clearer(status: str, diagnostic: str) -> str:
    """The status of the words where they hold one and the given one is none or says nothing."""
    if not is_vague(status):
        return status
    told = _STATUS.findall(diagnostic)
    return next((one for one in told if not is_vague(one)), status or (told[0] if told else ""))

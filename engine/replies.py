"""What does a server's refusal mean? SMTP replies to a state and a reason word; the first row that fits wins.

The action follows from the reason word:

    unknown_address      never write again            doubtful_address     suppress after two hits, a day apart
    mailbox_full         count, retry                 mailbox_unavailable  count
    greylisted           retry, same addresses        throttled            slow down, retry
    temporary            retry                        blocked              never suppress: pause and alarm
    content              the message is at fault      configuration        ours: stop at once, suppress nobody
    refused              final, for no known reason   reply_lost           nobody knows: after the dot

Sources: RFC 5321 4.2, RFC 3463 (enhanced codes), RFC 7505 (5.1.10), RFC 7372 (5.7.20-25), the providers' own lists.
"""

import re
from dataclasses import dataclass, field

from engine.model import MessageState, Outcome

DOT = "."  # the stage after which the server may hold the message whatever we hear
_REPLY_LENGTH = 200
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")
_ADDRESS = re.compile(r"[^\s<>\"'(),:;]+@[^\s<>\"'(),:;]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; what is left empty fits everything."""

    state: MessageState
    reason: str
    code: str = ""  # of the reply code, as a pattern
    enhanced: str = ""  # of the enhanced code (RFC 3463), as a pattern
    words: str = ""  # anywhere in the text, as a pattern, any case
    stage: str = ""  # of the SMTP command, as a pattern
    _words: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_words", re.compile(self.words, re.IGNORECASE))

    def fits(self, code: int, enhanced: str, text: str, stage: str) -> bool:
        """Whether this row speaks about the reply."""
        return (
            (not self.code or re.fullmatch(self.code, str(code)) is not None)
            and (not self.enhanced or re.fullmatch(self.enhanced, enhanced) is not None)
            and (not self.stage or re.fullmatch(self.stage, stage) is not None)
            and self._words.search(text) is not None
        )


def _refused(reason: str, **fits: str) -> Row:
    return Row(state=MessageState.REFUSED, reason=reason, **fits)


def _deferred(reason: str, **fits: str) -> Row:
    return Row(state=MessageState.DEFERRED, reason=reason, **fits)


_NOBODY = (
    r"(user|recipient|mailbox|account|address) (is )?unknown|unknown (user|recipient|mailbox|local part)"
    r"|no such (user|recipient|mailbox|person|address|account)|(does not|doesn't) exist|no mailbox here"
    r"|(recipient|user|mailbox|account|address)( address)? not found|invalid (recipient|mailbox|user)"
)
_SENDER = r"sender address rejected|sender verify|send as|sender (is )?(not allowed|unauthori[sz]ed)|not owned by user"
_SPAM = r"spam|virus|malware|phish|message content|content rejected|content filter"
_LISTED = r"\bblock|black ?list|deny ?list|block ?list|reputation|\bspam|\bdnsbl|\brbl\b|policy|S31[45]0|\[BL\d"

ROWS: tuple[Row, ...] = (
    # After the dot: 2xx is the receipt. A 421 there is formally a refusal, yet servers send it after having stored
    # the message, so nobody can tell.
    Row(state=MessageState.SENT, reason="", code="2..", stage=r"\."),
    Row(state=MessageState.UNCERTAIN, reason="reply_lost", code="421|(?![45]).*", stage=r"\."),
    # Configuration: ours. Nobody is to blame, nobody is suppressed, nothing more is sent.
    _deferred("configuration", code="530|534|535|538"),
    _deferred("configuration", code="5..", enhanced=r"5\.7\.[89]|5\.7\.1[14]|5\.1\.[78]"),
    _deferred("configuration", code="5..", words=_SENDER),
    _deferred("configuration", code="5..", words=r"relay(ing)? (access )?(is )?(denied|not permitted)|unable to relay"),
    # Too large is told at MAIL already, where SIZE is declared (RFC 1870): the message's fault, not the sender's.
    _refused("content", code="5..", enhanced=r"5\.3\.4"),
    _refused("content", code="552", words=r"size|too (big|large)|exceeds", stage=r"MAIL|DATA|\."),
    # Throttled: a code with its words beats the code alone.
    _refused("blocked", words=r"\[TS03\]|permanently deferred"),
    _deferred("greylisted", code="4..", enhanced=r"(4\.7\.[01]|4\.2\.0)?", words=r"gr[ea]y-?list"),
    _deferred("blocked", code="4..", enhanced=r"4\.7\.(2[3-7]|29|3[0-2])"),
    _deferred("throttled", code="421"),
    _deferred("throttled", code="4..", enhanced=r"4\.7\.0|4\.7\.28|4\.3\.2|4\.5\.3"),
    _deferred("throttled", code="4..", words=r"too (quickly|fast|much|many)|rate limit|throttl|slow down|\[TS\d"),
    _deferred("greylisted", code="45[01]", enhanced=r"4\.7\.1|4\.2\.0", words=r"try again|later"),
    # The mailbox, for now. 552 and 5.2.2 are permanent by number and soft by nature: people tidy up.
    _deferred("mailbox_full", code="4..", enhanced=r"4\.2\.2"),
    _deferred("mailbox_full", code="5..", enhanced=r"5\.2\.2"),
    _deferred("mailbox_full", code="4..|552", words=r"\bfull\b|over ?quota|quota exceeded|exceeded.{0,20}quota"),
    _deferred("mailbox_unavailable", code="4..", enhanced=r"4\.2\.1"),
    _refused("mailbox_unavailable", code="5..", enhanced=r"5\.2\.[03]"),
    # Nobody lives there.
    _refused("unknown_address", code="5..", enhanced=r"5\.1\.([1236]|10)"),
    _refused("unknown_address", code="550", enhanced=r"5\.4\.1", words=r"recipient address rejected: access denied"),
    _refused("unknown_address", code="5..", enhanced=r"5\.2\.1", words=r"disabled|inactive"),
    _refused("unknown_address", code="5..", words=_NOBODY, stage=r"RCPT|DATA|\."),
    _refused("doubtful_address", code="5..", enhanced=r"5\.2\.1|5\.4\.4|5\.7\.1[378]|5\.1\.0"),
    # What the server thinks of this message, after having read it; and of us.
    _refused("content", code="5..", enhanced=r"5\.6\.\d+"),
    _refused("content", code="552", enhanced=r"5\.7\.0"),
    _refused("content", code="55[024]", enhanced=r"(?!5\.7\.).*", words=_SPAM, stage=r"DATA|\."),
    _refused("blocked", code="5..", enhanced=r"5\.7\.\d+"),
    _refused("blocked", code="5..", words=_LISTED),
    # At MAIL or DATA what is left is about the sender or the dialogue; at RCPT it is about one address, and one odd
    # address must not stop a campaign.
    _deferred("configuration", code="50[0-5]|553|555", stage=r"(?!RCPT|\.).*"),
    _deferred("configuration", code="5..", enhanced=r"5\.5\.\d+", stage=r"(?!RCPT|\.).*"),
    _deferred("configuration", code="5..", stage="MAIL"),
    _refused("doubtful_address", code="501|55[0136]", stage="RCPT"),
    _deferred("temporary", code="4.."),
    _refused("refused", code="5.."),
    # Anything else before the dot is no answer to what was asked; certainly not accepted.
    _deferred("temporary"),
)


def classify(code: int, text: str, stage: str) -> Outcome:
    """What the reply to `stage` (MAIL, RCPT, DATA, `.`, AUTH ...) means for the one message on the wire."""
    return outcome_of(row_for(code, text, stage), code, text, stage)


def row_for(code: int, text: str, stage: str) -> Row:
    """The first line of the table that fits; the last fits everything."""
    found = _ENHANCED.match(text)
    enhanced = found[1] if found else ""
    return next(row for row in ROWS if row.fits(code, enhanced, text, stage))


def outcome_of(row: Row, code: int, text: str, stage: str) -> Outcome:
    """The row's verdict together with the server's words."""
    return Outcome(state=row.state, reason=row.reason, reply=shortened(f"{code} {text}"), stage=stage)


def shortened(reply: str) -> str:
    """A reply fit for keeping: one line, at most 200 characters, no address (erasing a person must not search here)."""
    said = " ".join("".join(c if c.isprintable() else " " for c in reply).split())
    return _ADDRESS.sub("<address>", said)[:_REPLY_LENGTH]

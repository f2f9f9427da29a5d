"""What does a server's answer on the wire mean? A state and a reason word; the first row of the table that fits wins.

A code with its words beats the code alone, so rows with words stand before the rows of their code. The stage matters:
at MAIL a server speaks about us, at RCPT about one address, after the dot about the message.

Sources: RFC 5321 4.2, RFC 3463 and its registry, RFC 7505 (5.1.10), RFC 7372 (5.7.20-25), Google's and Microsoft's
lists of SMTP errors, the postmaster pages of Yahoo, Apple, GMX, Orange, Comcast, Mail.ru, Yandex, QQ and NetEase, the
sources of Postfix, Exim, Sendmail and qmail.
"""

import re
from functools import lru_cache

from engine.model import MessageState, Outcome
from engine.replies import texts
from engine.replies.keeping import shortened
from engine.replies.row import Row, deferred, refused, sent, uncertain

_SENT = MessageState.SENT
DOT = "."  # the stage after which the server may hold the message whatever we hear
_ENHANCED = re.compile(r"\s*#?([245]\.\d{1,3}\.\d{1,3})\b")

_BEFORE_DOT = r"(?!\.$).*"  # any stage but the dot
_NOT_ABOUT_ONE = r"(?!RCPT$|\.$).*"  # what is said there is said to every message of ours
_NOT_OURS_TO_SEND = (
    r"not owned by user|\bsend as\b|sender address rejected|permissions to send|must equal authori[sz]ed"
)
_SHUT_FOR_GOOD = rf"^(?!.*({texts.LOCKED})).*?({texts.SHUT})"

ROWS: tuple[Row, ...] = (
    # After the dot: 2xx is the receipt. A 421 there is formally a refusal, yet servers send it after having stored
    # the message, so nobody can tell.
    sent(code="2..", stage=r"\."),
    uncertain("reply_lost", code="421|(?![45]).*", stage=r"\."),
    # Configuration: ours. Nobody is to blame, nobody is suppressed, nothing more is sent.
    deferred("configuration", code="530|535|538", stage=_BEFORE_DOT),
    deferred("configuration", code="5..", enhanced=r"5\.7\.(8|9|1[14])", stage=_NOT_ABOUT_ONE),
    deferred("configuration", code="5..", stage="EHLO|STARTTLS|AUTH"),
    deferred("configuration", code="5..", words=_NOT_OURS_TO_SEND),
    deferred("configuration", code="5..", enhanced=r"5\.1\.[78]"),
    # Gmail, Exchange Online: the day's allowance of the account that we send through.
    deferred("throttled", code="550", words=r"(daily|hourly) (user )?(sending|smtp|message)[a-z ]{0,20}(quota|limit)"),
    # Yahoo: a 4xx that says never. To try again is to be hated more.
    refused("blocked", words=r"\[TS03\]|\[TSS09\]|permanently deferred"),
    # Longer than this mailbox takes: RFC 3463 counts it to the mailbox.
    refused("mailbox_unavailable", code="5..", enhanced=r"5\.2\.3"),
    # Too large is told at MAIL already, where SIZE is declared (RFC 1870): the message's fault, not the sender's.
    refused("content", code="5..", enhanced=r"5\.3\.4", stage=r"MAIL|DATA|\."),
    refused("content", code="5..", words=texts.TOO_BIG, stage=r"MAIL|DATA|\."),
    # 4xx that are about what we are: waiting cures them only when somebody mends something.
    deferred("blocked", code="4..", enhanced=r"4\.7\.(2[3-7]|29|3[0-2]|5(09|15)|650)"),
    deferred("blocked", code="4..", words=r"\[BL\d\d|blocked using|blacklisted|S31[45]0|spamhaus|bl0000\d\d"),
    deferred("greylisted", code="4..", words=texts.GREY),
    # Throttled: slow down. RFC 5321 4.5.3.1.10: 552 for too many recipients is 452.
    deferred("throttled", code="421"),
    deferred("throttled", code="4..", enhanced=r"4\.7\.(0|28|5\d\d|6\d\d)|4\.3\.2|4\.5\.3"),
    deferred("throttled", code="4..", words=texts.FAST),
    deferred("throttled", code="552", words=r"too many recipients"),
    # Gmail says it with 550 5.2.1, QQ and NetEase with bare 550 and 554. Whom it is told to is not who is unknown.
    deferred(
        "throttled",
        code="5..",
        words=r"too (quickly|fast)\b|at a rate that|frequency limited|too many connections"
        r"|too many (invalid|bad|unknown|non-?existent)|(recipient|message|connection|rate) limit (exceeded|reached)",
    ),
    deferred("greylisted", code="45[01]", enhanced=r"4\.7\.1|4\.2\.0", words=r"try again|later"),
    # The mailbox, for now. 552 and 5.2.2 are permanent by number and soft by nature: this message is refused, the
    # address is only counted, because people tidy up.
    deferred("temporary", code="4..", enhanced=r"4\.3\.1"),  # the server's own disk
    deferred("mailbox_full", code="4..", enhanced=r"4\.2\.2"),
    deferred("mailbox_full", code="4..", words=texts.FULL, stage=r"RCPT|DATA|\."),
    refused("mailbox_full", code="5..", enhanced=r"5\.2\.2"),
    refused("mailbox_full", code="5..", words=texts.FULL, stage=r"RCPT|DATA|\."),
    deferred("mailbox_unavailable", code="4..", enhanced=r"4\.2\.1"),
    refused("mailbox_unavailable", code="5..", enhanced=r"5\.2\.(0|12[12])", words=r"^(?!.*(spam|block|polic|OFR_))"),
    # Who we are, in words that also name addresses: before the words about the recipient.
    refused("blocked", code="5..", words=texts.UNSIGNED),
    refused("blocked", code="5..", words=texts.NAMELESS),
    deferred("configuration", code="5..", words=texts.SENDER, stage="MAIL"),
    refused("blocked", code="5..", words=texts.SENDER),
    # Nobody lives there.
    refused("unknown_address", code="5..", words=texts.NOBODY, stage=r"RCPT|DATA|\."),
    refused("unknown_address", code="5..", words=texts.NOBODY_ELSEWHERE, stage=r"RCPT|DATA|\."),
    refused("unknown_address", code="550", enhanced=r"5\.4\.1", words=r"recipient address rejected: access denied"),
    refused("unknown_address", code="5..", enhanced=r"5\.2\.1|5\.1\.\d+|", words=_SHUT_FOR_GOOD, stage=r"RCPT|DATA|\."),
    # GMX and Outlook.com say so of addresses that they don't have; the words are RFC 5321's for any 550.
    refused("unknown_address", code="550", words=texts.NO_MAILBOX, stage="RCPT"),
    # What the server thinks of us, and of this message after having read it.
    deferred("configuration", code="5..", words=texts.RELAY),
    refused("content", code="5..", enhanced=r"5\.6\.\d+"),
    refused("content", code="552", enhanced=r"5\.7\.0"),
    refused("content", code="55[024]", enhanced=r"(?!5\.7\.).*", words=texts.SPAM, stage=r"DATA|\."),
    refused("blocked", code="5..", words=texts.LISTED),
    refused("blocked", code="5..", words=texts.SPAM),
    # Locked, for now: before the codes, which are those of an address that is gone.
    refused("doubtful_address", code="5..", words=texts.LOCKED, stage="RCPT"),
    refused("refused", code="5..", words=texts.LOOPED, stage="RCPT"),
    # Codes alone.
    refused("unknown_address", code="5..", enhanced=r"5\.1\.([1236]|10)"),
    refused("doubtful_address", code="5..", enhanced=r"5\.2\.1|5\.4\.4|5\.7\.1[378]|5\.1\.[04]"),
    refused("blocked", code="5..", enhanced=r"5\.7\.\d+"),
    # At MAIL or DATA what is left is about the sender or the dialogue; at RCPT it is about one address, and one odd
    # address must not stop a campaign.
    deferred("configuration", code="50[0-5]|553|555", stage=_NOT_ABOUT_ONE),
    deferred("configuration", code="5..", enhanced=r"5\.5\.\d+", stage=_NOT_ABOUT_ONE),
    deferred("configuration", code="5..", stage="MAIL"),
    refused("doubtful_address", code="501|55[0136]", stage="RCPT"),
    deferred("temporary", code="4.."),
    refused("refused", code="5.."),
    # Anything else before the dot is no answer to what was asked; certainly not accepted.
    deferred("temporary"),
)


def classify(code: int, text: str, stage: str) -> Outcome:
    """What the reply to `stage` (MAIL, RCPT, DATA, `.`, AUTH ...) means for the one message on the wire."""
    if stage == DOT and 200 <= code < 300:  # nearly every reply: no table, no pattern
        return Outcome(state=_SENT, reply=shortened(f"{code} {text}"), stage=DOT)
    return outcome_of(row_for(code, text, stage), code, text, stage)


def row_for(code: int, text: str, stage: str) -> Row:
    """The first line of the table that fits; the last fits everything."""
    found = _ENHANCED.match(text)
    return _row(str(code), found[1] if found else "", texts.without_hosts(texts.plain(text)), stage)


@lru_cache(maxsize=512)  # a server says the same to many, but for the address, which is out of the words
def _row(code: str, enhanced: str, words: str, stage: str) -> Row:
    return next(row for row in ROWS if row.fits(code, enhanced, words, stage))


def outcome_of(row: Row, code: int, text: str, stage: str) -> Outcome:
    """The row's verdict together with the server's words."""
    return Outcome(state=row.state, reason=row.reason, reply=shortened(f"{code} {text}"), stage=stage)

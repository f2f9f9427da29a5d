"""What is handed over, and what comes back?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from engine.model.frozen import frozen
from engine.model.states import HitKind, MessageState


@frozen
class Mail:
    """Bytes ready for a transport. `digest` covers everything but Date and DKIM-Signature."""

    delivery_id: str
    envelope_from: str
    recipient: str
    data: bytes  # RFC 5322, CRLF line ends, not dot-stuffed
    digest: str
    # As our encoder writes: whole CRLF line ends, also the last, no line over 998 octets, none that begins with a dot.
    is_wire_ready: bool = False


@frozen
class Outcome:
    """How one attempt ended. `stage` is the SMTP command (or `http`) that the reply answered."""

    state: MessageState
    reason: str = ""  # a word: unknown_address, throttled, opted_out, reply_lost ...
    reply: str = ""  # the server's own text, shortened
    stage: str = ""
    at: datetime | None = None  # when the answer came; None: when it is recorded
    retry_at: datetime | None = None  # deferred: when it is to be tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalProof:
    """What a dead sender's journal proves of one batch: which items were handed over, and what was answered."""

    handed: frozenset[int]
    answered: Mapping[int, Outcome]
    keys: Mapping[int, str] = field(default_factory=dict)  # under which a provider may be asked again, by item


class NoticeKind(StrEnum):
    """What somebody else's machine tells about a message, after the answer to its dot."""

    ACCEPTED = "accepted"  # a provider has it
    DELIVERED = "delivered"
    BOUNCED = "bounced"  # given up: the message did not reach the mailbox
    DELAYED = "delayed"  # not yet: no bounce
    COMPLAINED = "complained"
    OPENED = "opened"
    CLICKED = "clicked"
    UNSUBSCRIBED = "unsubscribed"
    AUTO_REPLY = "auto_reply"  # a holiday note, a challenge: no bounce
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A bounce, a complaint or a provider's event, as it reads; which message it is about is told by what is filled."""

    kind: NoticeKind
    reason: str = ""  # a word of `engine.replies`: unknown_address, mailbox_full, blocked ...
    delivery_id: str = ""  # from the VERP address, a Message-ID of ours or a provider's metadata
    recipient: str = ""  # as it was tried; may be another than the one we mailed (forwarding)
    status: str = ""  # RFC 3463
    diagnostic: str = ""  # the other side's own words, shortened, without addresses
    at: datetime | None = None
    source: str = ""  # mailbox, file, resend, ses
    notice_id: str = ""  # the same notice twice is applied once


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A raw request from a message in somebody's hands, kept as it came so that it can be judged again."""

    kind: HitKind
    delivery_id: str
    site: int  # which link place of the template; -1 for the pixel
    occurrence: int  # which round of a loop
    at: datetime
    method: str = "GET"
    ip: str = ""
    agent: str = ""
    referer: str = ""
    accept_language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What one variant (or the holdout) did within the window, one number a contact, as assigned.

    `converted`, `revenue`, `profit` and `pre_revenue` are equally long. Money in shop currency, decimal;
    `pre_revenue` is the spend of the 90 days before the planned time (the CUPED covariate).
    """

    name: str
    assigned: int
    sent: int
    delivered: int
    human_opens: int
    human_clicks: int
    converted: tuple[int, ...]
    revenue: tuple[float, ...]
    profit: tuple[float, ...] | None  # None: neither cost nor margin is known
    pre_revenue: tuple[float, ...]
    share: float  # the planned share of the whole audience, for the sample-ratio check

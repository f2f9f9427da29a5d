"""The nouns: frozen values that stages hand to each other, and the closed lists of states and reasons."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

# ---------------------------------------------------------------- states (drawn in docs/states.md)


class PlanState(StrEnum):
    """A plan is a draft until somebody releases it."""

    DRAFT = "draft"
    RELEASED = "released"
    CANCELLED = "cancelled"


class EntryState(StrEnum):
    """What a plan decides for one contact."""

    MESSAGE = "message"
    HOLDOUT = "holdout"
    SKIPPED = "skipped"


class MessageState(StrEnum):
    """Where one message to one contact stands."""

    PLANNED = "planned"  # released, nothing tried yet
    CLAIMED = "claimed"  # a sender holds it; may already be on the wire
    SENT = "sent"  # the server took responsibility (2xx after the dot)
    REFUSED = "refused"  # final: the server said no for good, or retries are used up
    DEFERRED = "deferred"  # certainly not delivered; may be tried again
    SKIPPED = "skipped"  # decided at the claim or at the dot not to send it
    UNCERTAIN = "uncertain"  # handed over, but the answer was lost


class BatchState(StrEnum):
    """Who may hand over the messages of a batch."""

    READY = "ready"  # anybody, from its hour on
    LEASED = "leased"  # the sender that claimed it, while its lease lasts and its fence is the last one given
    DONE = "done"  # nobody: every message in it has an outcome


class SkipReason(StrEnum):
    """Why somebody in the audience gets no message."""

    NO_CONSENT = "no_consent"
    SUPPRESSED = "suppressed"
    NO_ADDRESS = "no_address"
    DUPLICATE = "duplicate"  # another contact with the same mailbox is in this plan
    MINOR = "minor"  # younger than 16
    MISSING_DATA = "missing_data"  # the template needs a value this contact lacks
    CAPPED = "capped"
    EXPIRED = "expired"
    OPTED_OUT = "opted_out"  # since the plan was frozen
    GOAL_REACHED = "goal_reached"  # since the plan was frozen
    CANCELLED = "cancelled"


class CampaignState(StrEnum):
    """What the operator wants of a campaign."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"
    CANCELLED = "cancelled"


class TrackingMode(StrEnum):
    """How much a message may tell about the one who reads it."""

    INDIVIDUAL_WITH_CONSENT = "individual-with-consent"
    AGGREGATE = "aggregate"
    OFF = "off"


class HitKind(StrEnum):
    """What came back from a message in somebody's hands."""

    OPEN = "open"
    CLICK = "click"
    UNSUBSCRIBE = "unsubscribe"


class Verdict(StrEnum):
    """Who caused a hit, as far as can be told."""

    HUMAN = "human"
    MACHINE = "machine"


class Severity(StrEnum):
    """An error stops a check (exit 3); a warning does so only with --strict."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


# ---------------------------------------------------------------- people


class FieldKind(StrEnum):
    """The type of a field, as rules see it. LOOSE is text that also compares as a number when it reads as one."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    MOMENT = "moment"
    LIST = "list"
    LOOSE = "loose"


_TEXTS = (
    "email external_id given_name family_name full_name greeting language country region city timezone gender "
    "job_title company industry income_band favourite_category favourite_brand lifecycle"
)
_NUMBERS = (
    "age orders_count revenue average_order days_since_last_order usual_gap_days discount_share "
    "recency_score frequency_score monetary_score sent_30d human_clicks_30d"
)
_MOMENTS = "created_at first_order_at last_order_at last_sent_at last_click_at"

# Every name a rule may use, beside `attributes.X` (LOOSE). Templates see these and the extras of `TEMPLATE_EXTRAS`.
FIELDS: Mapping[str, FieldKind] = {
    **dict.fromkeys(_TEXTS.split(), FieldKind.TEXT),
    **dict.fromkeys(_NUMBERS.split(), FieldKind.NUMBER),
    **dict.fromkeys(["mailing_consent", "tracking_consent"], FieldKind.BOOLEAN),
    **dict.fromkeys(
        ["created_at", "first_order_at", "last_order_at", "last_sent_at", "last_click_at"], FieldKind.MOMENT
    ),
    **dict.fromkeys(["interests", "tags", "categories", "brands"], FieldKind.LIST),
    "company_size": FieldKind.LOOSE,
}

TEMPLATE_EXTRAS = ("favourite_product", "last_purchases", "buy_again", "new_for_you", "shop", "links")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A product as a template shows it. `reason` is a sentence in the reader's language, or empty."""

    product_id: str
    title: str
    url: str
    image_url: str
    price: float | None  # shop currency, decimal
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One contact as of a moment: all that rules and templates may see. None means known to be empty (Missing)."""

    contact_id: int
    email: str | None = None
    external_id: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    full_name: str | None = None
    honorific: str | None = None  # for greetings only; rules don't see it
    greeting: str | None = None
    language: str | None = None
    country: str | None = None
    region: str | None = None
    city: str | None = None
    timezone: str | None = None
    age: int | None = None
    gender: str | None = None
    job_title: str | None = None
    company: str | None = None
    industry: str | None = None
    company_size: str | None = None
    income_band: str | None = None
    interests: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    mailing_consent: bool | None = None
    tracking_consent: bool | None = None
    created_at: datetime | None = None
    orders_count: int = 0
    revenue: float = 0.0  # shop currency, decimal
    average_order: float | None = None
    first_order_at: datetime | None = None
    last_order_at: datetime | None = None
    days_since_last_order: int | None = None  # whole days of 24 hours
    usual_gap_days: float | None = None  # median of own gaps between purchase days
    favourite_category: str | None = None
    favourite_brand: str | None = None
    categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    discount_share: float | None = None  # money off / price before it
    recency_score: int | None = None
    frequency_score: int | None = None
    monetary_score: int | None = None
    lifecycle: str = "prospect"
    sent_30d: int = 0
    last_sent_at: datetime | None = None
    human_clicks_30d: int = 0
    last_click_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picks:
    """The products a template may show to one contact, with reasons in their language."""

    favourite_product: Card | None = None
    last_purchases: tuple[Card, ...] = ()
    buy_again: tuple[Card, ...] = ()
    new_for_you: tuple[Card, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """May this contact be mailed at all? Read together with the profile, and again just before each dot."""

    suppressed: bool
    mailing_consent: bool | None
    tracking_consent: bool | None
    address_key: str | None  # normalised mailbox: equal for the same person's spellings


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Somebody a campaign's segment selected, as the plan sees her."""

    profile: Profile
    picks: Picks
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """An input row that did not go in: its line in the file (1 = first) and why."""

    line: int
    why: str


# ---------------------------------------------------------------- campaigns and plans


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One arm of a campaign. Shares of all variants sum to 1 (after the holdout)."""

    name: str
    share: float
    template: str
    subject: Mapping[str, str] = field(default_factory=dict)  # language -> subject; empty: the template's
    cost_per_conversion: float = 0.0  # shop currency, decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A campaign file, checked. Exactly one of `segment` and `where` is set."""

    name: str
    segment: str | None
    where: str | None
    exclude: str | None  # a rule: who matches is not in the audience
    goal: str  # order | click | event:NAME
    window: timedelta
    holdout: float
    send_at: str
    variants: tuple[Variant, ...]
    message_class: str = "marketing"  # marketing | transactional
    priority: int = 0  # whose messages go first when several campaigns are due
    max_lateness: timedelta | None = None
    expires: datetime | None = None
    drift_limit: float = 0.01
    transport: str | None = None  # None: the first one configured
    uncertain: str = "assume-sent"  # assume-sent | resend | ask


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEntry:
    """What a plan decides for one contact, and all that is needed to render her message later."""

    contact_id: int
    email: str | None
    state: EntryState
    reason: str = ""
    detail: str = ""  # the reason in words: which value is missing, where
    variant: str = ""
    language: str = ""
    template_hash: str = ""
    send_at: datetime | None = None
    tracked: bool = False  # tracking consent and mode allow pixel and personal link tokens
    context: Mapping[str, Any] = field(default_factory=dict)  # only the fields the template reads; JSON values


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A fault or a doubt found by a check: a stable code, where, and in words."""

    code: str
    severity: Severity
    where: str
    message: str
    count: int = 1
    examples: tuple[str, ...] = ()


# ---------------------------------------------------------------- messages on their way


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """Bytes ready for a transport. `digest` covers everything but Date and DKIM-Signature."""

    delivery_id: str
    envelope_from: str
    recipient: str
    data: bytes  # RFC 5322, CRLF line ends, not dot-stuffed
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
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

"""What is known of a contact, as rules, templates and plans see it?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from engine.model.frozen import frozen


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

CARD_LISTS = ("last_purchases", "buy_again", "new_for_you", "basket")
TEMPLATE_EXTRAS = ("favourite_product", *CARD_LISTS, "basket_url", "shop", "links")


@frozen
class Card:
    """A product as a template shows it. `reason` is a sentence in the reader's language, or empty."""

    product_id: str
    title: str
    url: str
    image_url: str
    price: float | None  # shop currency, decimal
    reason: str = ""


@frozen
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


@frozen
class Picks:
    """The products a template may show to one contact, with reasons in their language."""

    favourite_product: Card | None = None
    last_purchases: tuple[Card, ...] = ()
    buy_again: tuple[Card, ...] = ()
    new_for_you: tuple[Card, ...] = ()
    basket: tuple[Card, ...] = ()  # filled and not ordered
    basket_url: str | None = None


@frozen
class Standing:
    """May this contact be mailed at all? Read together with the profile, and again just before each dot."""

    suppressed: bool
    mailing_consent: bool | None
    tracking_consent: bool | None
    address_key: str | None  # normalised mailbox: equal for the same person's spellings


@frozen
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

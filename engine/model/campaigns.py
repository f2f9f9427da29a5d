"""What is a campaign, and what does a plan decide?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from engine.model.frozen import frozen
from engine.model.states import EntryState, Severity

TRANSACTIONAL = "transactional"  # the class of what is owed; messages of every other class are advertising


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One arm of a campaign. Shares of all variants sum to 1 (after the holdout)."""

    name: str
    share: float
    template: str
    subject: Mapping[str, str] = field(default_factory=dict)  # language -> subject; empty: the template's
    cost_per_conversion: float = 0.0  # shop currency, decimal
    send_at: str = ""  # empty: the campaign's


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
    message_class: str = "marketing"  # any word; of transactional ones no consent, cap or quiet hour is asked
    priority: int = 0  # whose messages go first when several campaigns are due
    max_lateness: timedelta | None = None
    expires: datetime | None = None
    drift_limit: float = 0.01
    transport: str | None = None  # None: the first one configured
    uncertain: str = "assume-sent"  # assume-sent | resend | ask
    repeat: str = ""  # when it comes round by itself, once somebody armed it; empty: it doesn't


@frozen
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

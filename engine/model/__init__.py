"""The nouns: frozen values that stages hand to each other, and the closed lists of states and reasons."""

from engine.model.campaigns import TRANSACTIONAL, Campaign, Finding, PlanEntry, Variant
from engine.model.frozen import frozen
from engine.model.messages import Arm, Hit, JournalProof, Mail, Notice, NoticeKind, Outcome
from engine.model.people import (
    CARD_LISTS,
    FIELDS,
    TEMPLATE_EXTRAS,
    Candidate,
    Card,
    FieldKind,
    Picks,
    Profile,
    RefusedRow,
    Standing,
)
from engine.model.progress import Progress, unwatched
from engine.model.states import (
    BatchState,
    CampaignState,
    EnrolmentState,
    EntryState,
    HitKind,
    MessageState,
    PlanState,
    Severity,
    SkipReason,
    TrackingMode,
    Verdict,
)
from engine.model.tags import with_tags

__all__ = [
    "CARD_LISTS",
    "FIELDS",
    "TEMPLATE_EXTRAS",
    "TRANSACTIONAL",
    "Arm",
    "BatchState",
    "Campaign",
    "CampaignState",
    "Candidate",
    "Card",
    "EnrolmentState",
    "EntryState",
    "FieldKind",
    "Finding",
    "Hit",
    "HitKind",
    "JournalProof",
    "Mail",
    "MessageState",
    "Notice",
    "NoticeKind",
    "Outcome",
    "Picks",
    "PlanEntry",
    "PlanState",
    "Profile",
    "Progress",
    "RefusedRow",
    "Severity",
    "SkipReason",
    "Standing",
    "TrackingMode",
    "Variant",
    "Verdict",
    "frozen",
    "unwatched",
    "with_tags",
]

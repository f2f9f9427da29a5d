"""Which states and reasons are there? The closed lists, drawn in docs/states.md."""

from enum import StrEnum


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


class EnrolmentState(StrEnum):
    """Where somebody stands in a journey."""

    WAITING = "waiting"  # inside: a timer or an event takes her on
    DONE = "done"  # through all of its steps
    LEFT = "left"  # ended before its end, with a reason
    GOAL = "goal"  # reached what the journey is for

"""What happens to every message, from the frozen plan to the last hit: the only writer of a message's state.

    freeze -> release -> claim -> advance, window by window -> finish
                           |-> hand_back (stopped in order)
                           '-> the next claim (killed): its journal proves who was handed over, or they are uncertain

A message is claimed, and that is committed, before it is handed over. Must not know: transports, templates, rules.
"""

from engine.ledger.advancing import Ended, advance, finish, hand_back, heartbeat
from engine.ledger.asking import Keyed, keyed_doubts
from engine.ledger.braking import BrakeCounts, brake_counts, braking_plans, take_brake_off
from engine.ledger.breakers import breaker_open, note_failure, note_success
from engine.ledger.campaigns import BRAKED, PAUSED_BY_HAND, Standing, note, set_state, state_of, states, story_of
from engine.ledger.claiming import LEASE_SECONDS, WINDOW, Claim, claim, window_size, windows
from engine.ledger.events import (
    Added,
    KnownHit,
    add_bounce,
    add_hits,
    add_tally,
    hits_of,
    judge_again,
)
from engine.ledger.evidence import Doubt, in_doubt, prove, settle_proven
from engine.ledger.freezing import PlanHeader, freeze, save_digests, save_templates, template
from engine.ledger.history import Attempt, Chapter, PlannedMessage, Response, history
from engine.ledger.hits import HitMessage, hit_messages, judged_too_soon
from engine.ledger.holdups import Holdup, holdups
from engine.ledger.items import Item
from engine.ledger.outcomes import UncertainPolicy, resolve_uncertain, retry_deferred, settle, skip
from engine.ledger.pacing import (
    Lease,
    PaceLimit,
    Restraint,
    give_back,
    hold,
    lease,
    lease_size,
    let_go,
    restraints,
    scope_of,
    slow_down,
)
from engine.ledger.plans import (
    FrozenEntry,
    Plan,
    cancel,
    drop_contexts,
    entries_of,
    forget_contact,
    plan_of,
    plans_of,
    purge_drafts,
)
from engine.ledger.postponing import postpone
from engine.ledger.processes import Process, beat, leave, living, processes
from engine.ledger.reading import (
    Assignment,
    Counts,
    Due,
    MessageFacts,
    assignments,
    counts,
    due,
    last_hour,
    message_by_delivery,
    next_due,
    unsettled,
)
from engine.ledger.releasing import finish_releases, release
from engine.ledger.retrying import offer_retries
from engine.ledger.returns import (
    CLAIM,
    COMPLAINT,
    UNSUBSCRIBED,
    AddressRecord,
    add_return,
    address_record,
    is_answered,
    is_known,
    latest_to,
    refused_since,
)

__all__ = [
    "BRAKED",
    "CLAIM",
    "COMPLAINT",
    "LEASE_SECONDS",
    "PAUSED_BY_HAND",
    "UNSUBSCRIBED",
    "WINDOW",
    "Added",
    "AddressRecord",
    "Assignment",
    "Attempt",
    "BrakeCounts",
    "Chapter",
    "Claim",
    "Counts",
    "Doubt",
    "Due",
    "Ended",
    "FrozenEntry",
    "HitMessage",
    "Holdup",
    "Item",
    "Keyed",
    "KnownHit",
    "Lease",
    "MessageFacts",
    "PaceLimit",
    "Plan",
    "PlanHeader",
    "PlannedMessage",
    "Process",
    "Response",
    "Restraint",
    "Standing",
    "UncertainPolicy",
    "add_bounce",
    "add_hits",
    "add_return",
    "add_tally",
    "address_record",
    "advance",
    "assignments",
    "beat",
    "brake_counts",
    "braking_plans",
    "breaker_open",
    "cancel",
    "claim",
    "counts",
    "drop_contexts",
    "due",
    "entries_of",
    "finish",
    "finish_releases",
    "forget_contact",
    "freeze",
    "give_back",
    "hand_back",
    "heartbeat",
    "history",
    "hit_messages",
    "hits_of",
    "hold",
    "holdups",
    "in_doubt",
    "is_answered",
    "is_known",
    "judge_again",
    "judged_too_soon",
    "keyed_doubts",
    "last_hour",
    "latest_to",
    "lease",
    "lease_size",
    "leave",
    "let_go",
    "living",
    "message_by_delivery",
    "next_due",
    "note",
    "note_failure",
    "note_success",
    "offer_retries",
    "plan_of",
    "plans_of",
    "postpone",
    "processes",
    "prove",
    "purge_drafts",
    "refused_since",
    "release",
    "resolve_uncertain",
    "restraints",
    "retry_deferred",
    "save_digests",
    "save_templates",
    "scope_of",
    "set_state",
    "settle",
    "settle_proven",
    "skip",
    "slow_down",
    "state_of",
    "states",
    "story_of",
    "take_brake_off",
    "template",
    "unsettled",
    "window_size",
    "windows",
]

"""What happens to every message, from the frozen plan to the last hit: the only writer of a message's state.

    freeze -> release -> claim -> advance, window by window -> finish
                           |-> hand_back (stopped in order)
                           '-> the next claim (killed): its journal proves who was handed over, or they are uncertain

A message is claimed, and that is committed, before it is handed over. Must not know: transports, templates, rules.
"""

from engine.ledger.advancing import advance, finish, hand_back, heartbeat
from engine.ledger.campaigns import PAUSED_BY_HAND, Standing, set_state, state_of, states
from engine.ledger.claiming import LEASE_SECONDS, WINDOW, Claim, Item, claim, windows
from engine.ledger.events import (
    Added,
    KnownHit,
    add_bounce,
    add_hits,
    add_tally,
    hits_of,
    judge_again,
)
from engine.ledger.freezing import PlanHeader, freeze, save_digests, save_templates, template
from engine.ledger.history import Attempt, Chapter, PlannedMessage, Response, history
from engine.ledger.hits import HitMessage, hit_messages, judged_too_soon
from engine.ledger.outcomes import UncertainPolicy, resolve_uncertain, retry_deferred, settle, skip
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

__all__ = [
    "LEASE_SECONDS",
    "PAUSED_BY_HAND",
    "WINDOW",
    "Added",
    "Assignment",
    "Attempt",
    "Chapter",
    "Claim",
    "Counts",
    "Due",
    "FrozenEntry",
    "HitMessage",
    "Item",
    "KnownHit",
    "MessageFacts",
    "Plan",
    "PlanHeader",
    "PlannedMessage",
    "Process",
    "Response",
    "Standing",
    "UncertainPolicy",
    "add_bounce",
    "add_hits",
    "add_tally",
    "advance",
    "assignments",
    "beat",
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
    "hand_back",
    "heartbeat",
    "history",
    "hit_messages",
    "hits_of",
    "judge_again",
    "judged_too_soon",
    "last_hour",
    "leave",
    "living",
    "message_by_delivery",
    "next_due",
    "plan_of",
    "plans_of",
    "processes",
    "purge_drafts",
    "release",
    "resolve_uncertain",
    "retry_deferred",
    "save_digests",
    "save_templates",
    "set_state",
    "settle",
    "skip",
    "state_of",
    "states",
    "template",
    "unsettled",
    "windows",
]

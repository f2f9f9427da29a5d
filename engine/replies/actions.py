"""What does a reason word do: to the message, to the address, to the destination and to the campaign?

The closed list of reason words. Where a refusal of a destination (`pause`) or of a campaign (`stop`) follows, the
stages that count and pause carry it out; here it only stands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from engine.model import NoticeKind

Kind = Literal[
    "hard", "maybe-hard", "mailbox-soft", "greylist", "throttle", "temporary", "block", "content", "configuration",
    "refusal", "doubt", "complaint", "auto-reply", "delay",
]  # fmt: skip
Word = Literal["suppress", "count", "retry", "throttle", "block", "ignore", "complaint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What follows from one reason word. `word` is what `mailer bounce classify` prints of a final bounce."""

    kind: Kind
    # by_code: a 4xx is retried, a 5xx is not. uncertain: nobody knows. none: it is not about a message under way.
    message: Literal["refused", "retried", "by_code", "uncertain", "none"]
    address: Literal["suppress", "count", "keep"]
    destination: Literal["slow_down", "pause", "none"] = "none"
    campaign: Literal["count_refusal", "count_block", "count_complaint", "stop", "none"] = "none"
    word: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """An address is suppressed after this many final refusals of different messages, first to last this far apart."""

    hits: int
    over: timedelta


_HARD = Action(kind="hard", message="refused", address="suppress", campaign="count_refusal", word="suppress")
_SOFT = Action(kind="mailbox-soft", message="by_code", address="count", word="count")
_LATER = Action(kind="temporary", message="retried", address="keep", word="retry")
_FINAL = Action(kind="refusal", message="refused", address="keep", campaign="count_refusal", word="ignore")
_NOT_OURS = Action(kind="auto-reply", message="none", address="keep", word="ignore")

ACTIONS: Mapping[str, Action] = {
    # about the address
    "unknown_address": _HARD,
    "doubtful_address": Action(
        kind="maybe-hard", message="refused", address="count", campaign="count_refusal", word="count"
    ),
    "mailbox_full": _SOFT,
    "mailbox_unavailable": _SOFT,
    # not now
    "greylisted": Action(kind="greylist", message="retried", address="keep", word="retry"),
    "throttled": Action(kind="throttle", message="retried", address="keep", destination="slow_down", word="throttle"),
    "temporary": _LATER,
    "connection_lost": Action(
        kind="temporary", message="retried", address="keep", destination="slow_down", word="retry"
    ),
    # about us, or about what we say
    "blocked": Action(
        kind="block", message="by_code", address="keep", destination="pause", campaign="count_block", word="block"
    ),
    "content": Action(kind="content", message="refused", address="keep", campaign="count_block", word="block"),
    "configuration": Action(
        kind="configuration", message="retried", address="keep", destination="pause", campaign="stop", word="ignore"
    ),
    # final, for no reason that says more
    "refused": _FINAL,
    "expired": Action(kind="refusal", message="refused", address="keep", word="ignore"),
    # never offered to a server: the engine's own doubts about one mail
    "bad_address": _FINAL,
    "needs_smtputf8": _FINAL,
    "malformed": Action(kind="content", message="refused", address="keep", campaign="count_block", word="block"),
    # the answer to the dot never came: only evidence or the operator settles it
    "reply_lost": Action(kind="doubt", message="uncertain", address="keep", word="ignore"),
    # what comes back by mail and is no refusal
    "complaint": Action(
        kind="complaint", message="none", address="suppress", campaign="count_complaint", word="complaint"
    ),
    "auto_reply": _NOT_OURS,
    "delayed": Action(kind="delay", message="none", address="keep", word="ignore"),
}

COUNTING: Mapping[str, Counting] = {
    "doubtful_address": Counting(hits=2, over=timedelta(hours=24)),
    "mailbox_full": Counting(hits=5, over=timedelta(days=14)),
    "mailbox_unavailable": Counting(hits=5, over=timedelta(days=14)),
}


def action_of(reason: str) -> Action:
    """What follows from a reason word; a word that is not in the list changes nothing but this try."""
    return ACTIONS.get(reason, _LATER)


def has_counted_up(reason: str, hits: Sequence[datetime]) -> bool:
    """Whether these final refusals with this reason, each of another message, are enough to suppress the address."""
    rule = COUNTING.get(reason)
    return rule is not None and len(hits) >= rule.hits and max(hits) - min(hits) >= rule.over


def word_of(kind: NoticeKind, reason: str) -> Word:
    """The action in one word, as `mailer bounce classify` prints it."""
    if kind is NoticeKind.COMPLAINED:
        return "complaint"
    return action_of(reason).word if kind is NoticeKind.BOUNCED else "ignore"

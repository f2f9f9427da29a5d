"""Should a campaign go on, after what its messages met? Decided by figures; others count, and others stop it."""

from dataclasses import dataclass
from enum import StrEnum

from engine.config import Brake
from engine.ledger import BrakeCounts

# Below `minimum` a share is chance. So many bad ends that are at least half of all tried are not.
FLOOD = 10
FLOOD_SHARE = 0.5
# A server that refuses the content says the same of every message, since all are made of one template. One odd filter
# among many servers is no reason to stop, so they must also be a share of what was tried.
ALIKE = 5
ALIKE_SHARE = 0.01


class BrakeState(StrEnum):
    """How hard the brake is pressed."""

    GO = "go"
    WARN = "warn"  # told, and nothing more
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakeVerdict:
    """What to do, and why in words with the figures."""

    state: BrakeState
    reason: str = ""


def brake_verdict(counts: BrakeCounts, limits: Brake) -> BrakeVerdict:
    """Go on, warn or stop. A limit of 0 never stops for its reason."""
    for found in (
        _share(counts.refused, counts.tried, limits.refused, limits, "messages went to addresses where nobody lives"),
        _share(counts.blocked, counts.tried, limits.blocked, limits, "messages were blocked: reputation or policy"),
        _complaints(counts, limits.complaints, limits, BrakeState.STOP),
        _content(counts),
        _complaints(counts, limits.complaints_warn, limits, BrakeState.WARN),
    ):
        if found is not None:
            return found
    return BrakeVerdict(state=BrakeState.GO)


def _share(bad: int, tried: int, limit: float, limits: Brake, what: str) -> BrakeVerdict | None:
    if not limit or not bad:
        return None
    is_over = tried >= limits.minimum and bad / tried >= limit
    is_flood = bad >= FLOOD and bad / max(tried, bad) >= FLOOD_SHARE
    if not is_over and not is_flood:
        return None
    return BrakeVerdict(state=BrakeState.STOP, reason=f"{_of(bad, tried)} {what} (limit {limit:.2%})")


def _complaints(counts: BrakeCounts, limit: float, limits: Brake, state: BrakeState) -> BrakeVerdict | None:
    if not limit or not counts.complaints or counts.sent < limits.minimum or counts.complaints / counts.sent < limit:
        return None
    word = "limit" if state is BrakeState.STOP else "warned from"
    said = f"{_of(counts.complaints, counts.sent)} messages brought a complaint ({word} {limit:.2%})"
    return BrakeVerdict(state=state, reason=said)


def _content(counts: BrakeCounts) -> BrakeVerdict | None:
    if counts.alike < ALIKE or counts.alike / max(counts.tried, 1) < ALIKE_SHARE:
        return None
    said = f"{_of(counts.alike, counts.tried)} messages were refused for their content, in the same words"
    return BrakeVerdict(state=BrakeState.STOP, reason=f"{said}: {counts.words}")


def _of(bad: int, all_: int) -> str:
    return f"{bad:,} of {all_:,} ({bad / all_:.2%})" if all_ else f"{bad:,}"

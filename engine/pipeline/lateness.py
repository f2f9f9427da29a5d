"""Until when is a message of a plan wanted? Read once from the plan, asked before each message is handed over."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.ledger import Item, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """When the campaign expires, and how long after its hour a message may still go; None: at any time."""

    expires: datetime | None
    good_for: timedelta | None  # a journey's mail: so long after its hour
    patience: timedelta | None
    released_at: datetime | None

    @classmethod
    def of(cls, plan: Plan) -> "Lateness":
        """What the plan allows."""
        expires = plan.definition["expires"]
        return cls(
            expires=None if expires is None else datetime.fromisoformat(expires),
            good_for=_length(plan.definition.get("good_for")),
            patience=_length(plan.definition["max_lateness"]),
            released_at=plan.released_at,
        )

    def is_over(self, item: Item, now: datetime) -> bool:
        """Whether it is too late for this message.

        Who released a plan after its hour wanted it to go out then: lateness counts from the later of the two. What
        was tried in time may be tried again later.
        """
        if self.expires is not None and now >= self.expires:
            return True
        if self.good_for is not None and now - item.send_at >= self.good_for:
            return True
        if self.patience is None or item.first_at is not None:
            return False
        return now - max(item.send_at, self.released_at or item.send_at) > self.patience


def _length(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)

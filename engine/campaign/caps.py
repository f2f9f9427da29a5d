"""How many messages may one person still get? Rolling windows over all that went to her, and over each class of them.

A window of 24 hours is any 24 hours: a message leaves it exactly a day after it went out. Transactional messages are
neither capped nor counted. What went out is a list of (moment, class); pure functions, no clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from engine.config import Caps, Limits
from engine.model import TRANSACTIONAL

UNLIMITED = 1_000_000_000

Sent = tuple[datetime, str]  # when a message went out, and its class

_SPANS = (
    ("messages_per_day", timedelta(hours=24)),
    ("messages_per_7_days", timedelta(days=7)),
    ("messages_per_30_days", timedelta(days=30)),
)
LONGEST = timedelta(days=30)


def room(caps: Sequence[Caps], sent: Sequence[datetime], at: datetime) -> int:
    """How many more messages all of these caps allow at `at`, after those that went out at `sent`."""
    left = [most - sum(at - span < one <= at for one in sent) for most, span in _windows(caps)]
    return max(0, min(left, default=UNLIMITED))


def next_room(caps: Sequence[Caps], sent: Sequence[datetime], at: datetime) -> datetime:
    """The first moment from `at` on at which they allow one more, if nothing else goes out meanwhile."""
    newest_first = sorted(sent, reverse=True)
    free = [newest_first[most - 1] + span for most, span in _windows(caps) if len(newest_first) >= most]
    return max([at, *free])


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The caps of config.toml: those of all messages together, and of each class beside them."""

    together: Caps
    by_class: Mapping[str, Caps]

    @classmethod
    def of(cls, limits: Limits) -> Self:
        """The caps of `[limits]` and `[limits.class.X]`."""
        return cls(together=limits, by_class=limits.classes)

    def concerns(self, message_class: str) -> bool:
        """Whether anything caps messages of this class."""
        return message_class != TRANSACTIONAL and bool(_windows(self._caps(message_class)))

    def room(self, message_class: str, sent: Sequence[Sent], at: datetime) -> int:
        """How many more messages of this class may go to her at `at`."""
        if not self.concerns(message_class):
            return UNLIMITED
        scopes = self._scopes(message_class, sent)
        return min(room([caps], moments, at) for caps, moments in scopes)

    def next_room(self, message_class: str, sent: Sequence[Sent], at: datetime) -> datetime:
        """The first moment from `at` on at which one more of this class may go to her."""
        if not self.concerns(message_class):
            return at
        return max(next_room([caps], moments, at) for caps, moments in self._scopes(message_class, sent))

    def blocking(self, message_class: str, sent: Sequence[Sent], at: datetime) -> str:
        """The cap that leaves no room at `at`, in words; empty where there is room."""
        for name, caps, moments in self._named(message_class, sent):
            for (key, span), most in zip(_SPANS, _limits(caps), strict=True):
                if most and sum(at - span < one <= at for one in moments) >= most:
                    return f"{name}{key} = {most}"
        return ""

    def _caps(self, message_class: str) -> list[Caps]:
        own = self.by_class.get(message_class)
        return [self.together, own] if own else [self.together]

    def _scopes(self, message_class: str, sent: Sequence[Sent]) -> list[tuple[Caps, list[datetime]]]:
        return [(caps, moments) for _, caps, moments in self._named(message_class, sent)]

    def _named(self, message_class: str, sent: Sequence[Sent]) -> list[tuple[str, Caps, list[datetime]]]:
        """Each of the caps by its place in config.toml, with the messages that it counts."""
        counted = [(moment, said) for moment, said in sent if said != TRANSACTIONAL]
        found = [("[limits] ", self.together, [moment for moment, _ in counted])]
        own = self.by_class.get(message_class)
        if own is not None:
            of_class = [moment for moment, said in counted if said == message_class]
            found.append((f"[limits.class.{message_class}] ", own, of_class))
        return found


def _limits(caps: Caps) -> list[int]:
    return [caps.messages_per_day, caps.messages_per_7_days, caps.messages_per_30_days]


def _windows(caps: Sequence[Caps]) -> list[tuple[int, timedelta]]:
    """The windows that are capped at all, with how many messages each may hold."""
    return [(most, span) for one in caps for most, (_, span) in zip(_limits(one), _SPANS, strict=True) if most]

"""How many messages may one person still get? Rolling windows over all that went to her, and over each class of them.

A window of 24 hours is any 24 hours: a message leaves it exactly a day after it went out. Transactional messages are
neither capped nor counted. What went out is a list of (moment, class); pure functions, no clock.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from engine.config import Caps, Limits
from engine.model import TRANSACTIONAL

UNLIMITED = 1_000_000_000

Sent = tuple[datetime, str]  # when a message went out, and its class

_SPANS = (
    ("messages_per_day", timedelta(hours=24)),
    ("messages_per_7_days", timedelta(days=7)),
    ("messages_per_30_days", timedelta(days=30)),
)


class _Window(NamedTuple):
    """How many messages any stretch of time so long may hold, in config.toml by this key."""

    key: str
    most: int
    span: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """Messages that are counted together: those of one class, or (empty) all but the transactional."""

    message_class: str
    windows: tuple[_Window, ...]
    least: int  # the fewest that any of the windows may hold

    def counted(self, sent: Sequence[Sent]) -> list[datetime]:
        """When those went out that count here, the oldest first."""
        own = self.message_class
        if own:
            return sorted([moment for moment, said in sent if said == own])
        return sorted([moment for moment, said in sent if said != TRANSACTIONAL])

    def room(self, sent: Sequence[Sent], at: datetime, most_of_all: int) -> int:
        """How many more its windows hold at `at`, or `most_of_all` if that is less."""
        left = most_of_all
        if self.least - len(sent) >= left:  # even if each of them counted in each window
            return left
        moments = self.counted(sent)
        until_now = bisect_right(moments, at)
        for _, most, span in self.windows:
            if most - until_now < left:
                left = min(left, most - until_now + bisect_right(moments, at - span))
        return left


_Scopes = tuple[_Scope, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The caps of config.toml, laid out once: a sender asks them several times for each message.

    `usual`: what caps a class that has no caps of its own. `by_class`: all that caps one that has.
    """

    usual: _Scopes
    by_class: Mapping[str, _Scopes]

    @classmethod
    def of(cls, limits: Limits) -> Self:
        """The caps of `[limits]` and `[limits.class.X]`."""
        usual = _scopes("", limits)
        by_class = {name: usual + _scopes(name, caps) for name, caps in limits.classes.items()}
        return cls(usual=usual, by_class=by_class | {TRANSACTIONAL: ()})

    def concerns(self, message_class: str) -> bool:
        """Whether anything caps messages of this class."""
        return bool(self._scopes(message_class))

    def room(self, message_class: str, sent: Sequence[Sent], at: datetime) -> int:
        """How many more messages of this class may go to her at `at`."""
        left = UNLIMITED
        for scope in self._scopes(message_class):
            left = scope.room(sent, at, left)
        return max(0, left)

    def next_room(self, message_class: str, sent: Sequence[Sent], at: datetime) -> datetime:
        """The first moment from `at` on at which one more of this class may go, if nothing else goes meanwhile."""
        free = at
        for scope in self._scopes(message_class):
            moments = scope.counted(sent) if len(sent) >= scope.least else []
            for _, most, span in scope.windows:
                if len(moments) >= most:
                    free = max(free, moments[-most] + span)
        return free

    def blocking(self, message_class: str, sent: Sequence[Sent], at: datetime) -> str:
        """The cap that leaves no room at `at`, in words; empty where there is room."""
        for scope in self._scopes(message_class):
            moments = scope.counted(sent)
            for key, most, span in scope.windows:
                if bisect_right(moments, at) - bisect_right(moments, at - span) >= most:
                    table = f"limits.class.{scope.message_class}" if scope.message_class else "limits"
                    return f"[{table}] {key} = {most}"
        return ""

    def _scopes(self, message_class: str) -> _Scopes:
        return self.by_class.get(message_class, self.usual)


def _scopes(message_class: str, caps: Caps) -> _Scopes:
    """The scope of these caps; none where nothing is capped."""
    limits = (caps.messages_per_day, caps.messages_per_7_days, caps.messages_per_30_days)
    asked = zip(_SPANS, limits, strict=True)
    windows = tuple(_Window(key, most, span) for (key, span), most in asked if most)
    if not windows:
        return ()
    least = min(one.most for one in windows)
    return (_Scope(message_class=message_class, windows=windows, least=least),)

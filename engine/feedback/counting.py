"""How often was a link followed that names nobody? Counted in memory, so that a redirect never waits for a writer."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedLink:
    """A link of a campaign's variant on one day: all that mode `aggregate` knows of a click."""

    plan_id: int
    variant: str
    site: int
    day: date


class ClickCounts:
    """Clicks until they are written down; taken as a whole, and put back when writing failed."""

    def __init__(self) -> None:
        self._waiting: Counter[CountedLink] = Counter()
        self._lock = threading.Lock()

    def add(self, link: CountedLink) -> None:
        """One more click."""
        with self._lock:
            self._waiting[link] += 1

    def take(self) -> Mapping[CountedLink, int]:
        """All that was counted since the last time."""
        with self._lock:
            taken, self._waiting = self._waiting, Counter()
        return taken

    def put_back(self, counts: Mapping[CountedLink, int]) -> None:
        """They could not be written: next time."""
        with self._lock:
            self._waiting.update(counts)

"""Is the batch that a sender works on still its own? By heartbeats while it is awake, by asking after it slept."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from engine import ledger
from engine.errors import StoreUnavailable
from engine.ledger import Claim
from engine.store import Store

_HEARTBEAT_SECONDS = 15
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_SURE_SECONDS = ledger.LEASE_SECONDS / 2  # so long after the last look nobody else can have taken the batch


class Hold:
    """Is the batch still ours? The heartbeat sees to it; after a sleep only the ledger knows."""

    def __init__(self, store: Store, claim: Claim) -> None:
        self._store = store
        self._claim = claim
        self.renewed()

    def renewed(self) -> None:
        """The ledger has just said so."""
        self._sure_until = _awake_or_asleep() + _SURE_SECONDS

    def is_sure(self) -> bool:
        """Whether nobody can have taken the batch over; asks the ledger when the last answer is old."""
        return _awake_or_asleep() < self._sure_until or self._beat()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Hold the lease while the block runs: a dot may be answered after ten minutes."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(_HEARTBEAT_SECONDS):
                with suppress(StoreUnavailable):  # a lost beat costs nothing unless the lease runs out
                    self._beat()

        thread = threading.Thread(target=beat, daemon=True, name="heartbeat")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _beat(self) -> bool:
        asked = _awake_or_asleep()
        held = ledger.heartbeat(self._store, self._claim)
        if held:
            self._sure_until = asked + _SURE_SECONDS
        return held


def _awake_or_asleep() -> float:
    """Seconds that also pass while the machine sleeps, where it can tell."""
    return time.clock_gettime(_CLOCK)

"""How does a send end early? Ctrl-C and SIGTERM ask for it, and nobody gets half a mail."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from engine import delivery

_GRACE_SECONDS = 10  # how long a stop waits for the answer to a message that is already handed over
_SLICE = 0.1


@dataclass(slots=True)
class Stop:
    """Asked once: hand off nothing new, wait 10 s for the reply in flight. Asked twice: don't wait.

    No threading.Event: a signal handler that sets one while its own thread begins to wait for it never comes back.
    """

    times: int = 0
    transport: delivery.Transport | None = None

    @property
    def asked(self) -> bool:
        """Whether somebody wants an end."""
        return self.times > 0

    def ask(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """A signal handler."""
        self.times += 1
        if self.transport is not None:
            self.transport.give_up_after(_GRACE_SECONDS if self.times == 1 else 0)

    def rest(self, seconds: float) -> None:
        """Wait so long, or until asked to stop."""
        deadline = time.monotonic() + seconds
        while not self.asked and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE))


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """A Stop that Ctrl-C and SIGTERM ask, while the block runs."""
    stop = Stop()
    before = {one: signal.signal(one, stop.ask) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)

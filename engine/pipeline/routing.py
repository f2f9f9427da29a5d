"""Over which transport does a campaign's mail go now? The one it names, or its backup while that one can't be used.

The message moves with its claim: a batch belongs to one sender, which hands it back before it takes another way, so
that nothing can go out over both. Breakers are shared by all senders; see `ledger.breakers`.
"""

import logging
import time
from collections.abc import Callable

from engine import ledger
from engine.pipeline.composing import routes
from engine.pipeline.workspace import Mailer

_BELIEVED_SECONDS = 5.0  # so long an answer about a breaker is good for
_BROKEN_SECONDS = 30.0  # so long this sender leaves alone what failed it

log = logging.getLogger("mailer.send")


def ways_in_use(mailer: Mailer) -> dict[str, str]:
    """The transport in use for each name that a campaign may give, as the breakers that all share stand; asks none."""
    broken = {name for name, state in ledger.breaker_states(mailer.store).items() if state != ledger.CLOSED}
    return {name: _first(ways, lambda one: one not in broken) for name, ways in _ways(mailer).items()}


def _ways(mailer: Mailer) -> dict[str, tuple[str, ...]]:
    """A transport and its backups for each name that a campaign's file may give; "" is for none."""
    return {name: routes(mailer, name) for name in ("", *mailer.settings.transport)}


def _first(ways: tuple[str, ...], may_use: Callable[[str], bool]) -> str:
    """The first that may be used. Where there is but one, or all are broken, the first is tried all the same."""
    return ways[0] if len(ways) == 1 else next((one for one in ways if may_use(one)), ways[0])


class Routing:
    """One sender's view of all transports."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer
        self._names = _ways(mailer)
        self._broken_until: dict[str, float] = {}
        self._asked: dict[str, tuple[float, bool]] = {}  # when, and whether it may be used

    def via(self) -> dict[str, str]:
        """The transport in use for each name that a campaign's file may give; "" is for none."""
        return {name: _first(ways, self._may_use) for name, ways in self._names.items()}

    def way_of(self, name: str | None) -> str:
        """The transport in use for a campaign that names this one, or none."""
        return _first(self._names[name or ""], self._may_use)

    def failed(self, transport: str, why: str, *, for_good: bool) -> None:
        """Nothing gets through it; `for_good` until a person has mended something."""
        self._broken_until[transport] = time.monotonic() + _BROKEN_SECONDS
        self._asked.pop(transport, None)
        opened = ledger.note_failure(self._mailer.store, transport, why, at_once=for_good)
        log.warning("transport_failed transport=%s left_alone=%s reason=%r", transport, opened, why)

    def worked(self, transport: str) -> None:
        """Something got through."""
        self._broken_until.pop(transport, None)
        ledger.note_success(self._mailer.store, transport)

    def is_another_left(self, name: str | None) -> bool:
        """Whether this campaign has a way that is not known to be broken."""
        return any(self._may_use(one) for one in self._names[name or ""])

    def _may_use(self, transport: str) -> bool:
        now = time.monotonic()
        if self._broken_until.get(transport, 0.0) > now:
            return False
        asked, may = self._asked.get(transport, (0.0, False))
        if not asked or now - asked > _BELIEVED_SECONDS:
            may = ledger.breaker_open(self._mailer.store, transport) is None
            self._asked[transport] = (now, may)
        return may

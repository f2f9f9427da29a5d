"""What does a worker on PostgreSQL do between two sends? It waits for a hint, and for what it knows will be due."""

from engine import ledger, pipeline
from engine.fleet.taking import Hints
from engine.pipeline import Mailer, Stop

LOOK_SECONDS = 5.0  # between two looks where no hint comes: so late is a batch at most whose hints are all lost
_WITHOUT_SECONDS = 1.0  # the same, where there are no hints
_SHORTEST_SECONDS = 0.02


def run_worker(mailer: Mailer, stop: Stop) -> None:
    """Send whatever becomes due, until stopped: woken by hints, by the hour of what is known to come, and by itself.

    Each time the ledger is asked for whatever is due, the most urgent first, whichever batch the hint was for.
    """
    if mailer.store.is_sqlite:
        pipeline.work(mailer, stop)
        return
    with Hints(mailer.store) as hints:
        pipeline.work(mailer, stop, lambda: _rest(mailer, stop, hints))


def _rest(mailer: Mailer, stop: Stop, hints: Hints) -> None:
    most = LOOK_SECONDS if hints.are_live else _WITHOUT_SECONDS
    hints.wait(min(most, _until_next(mailer)), lambda: stop.asked)


def _until_next(mailer: Mailer) -> float:
    """Real seconds until the next hour of something released."""
    at = mailer.clock()
    hour = ledger.next_due(mailer.store, at)
    if hour is None:
        return LOOK_SECONDS
    return max(_SHORTEST_SECONDS, (hour - at).total_seconds() / (mailer.settings.clock.speed or 1.0))

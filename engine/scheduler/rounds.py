"""What does the clock call, and how often? Each job has a thread of its own: a slow one keeps no other waiting."""

import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress

from apscheduler.schedulers.background import BackgroundScheduler

from engine import journeys, pipeline
from engine.clock import system_clock
from engine.errors import MailerError
from engine.pipeline import Mailer
from engine.scheduler import notifying
from engine.scheduler.children import Child

TICK_SECONDS = 5
_ALERT_SECONDS = 10  # between two looks at what somebody should be told
_NIGHT_SECONDS = 60  # between two looks whether the night's work is due
_BOUNCES_SECONDS = 120  # between two looks into the bounce mailbox
_LAST_TICK_SECONDS = 3
_FAILS_SECONDS = 60.0  # a step that has failed for so long is something to look at
_STUCK_SECONDS = 600.0  # a tick that does not end: systemd is told no more that we live, and starts us again

# One after the other, each tick: campaigns first, then who is on her way through a journey.
STEPS: Sequence[pipeline.Step] = (*pipeline.STEPS, *getattr(journeys, "STEPS", ()))

log = logging.getLogger("mailer.run")


def started(rounds: "Rounds") -> BackgroundScheduler:
    """The clock, ticking; a round that was missed is simply the next round's work."""
    # It would tell of every round that one is still going on.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    defaults = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
    clock = BackgroundScheduler(timezone="UTC", job_defaults=defaults)
    at_once = system_clock()
    jobs = (
        (rounds.beat, TICK_SECONDS),
        (rounds.tick, TICK_SECONDS),
        (rounds.repeats, TICK_SECONDS),
        (rounds.alert, _ALERT_SECONDS),
        (rounds.look_for_night, _NIGHT_SECONDS),
        (rounds.look_for_bounces, _BOUNCES_SECONDS),
    )
    for act, seconds in jobs:
        clock.add_job(act, "interval", seconds=seconds, next_run_time=at_once)
    clock.start()
    return clock


class Rounds:
    """What the clock calls. What goes wrong in a step is told; neither the next step nor the next round minds."""

    def __init__(
        self,
        mailer: Mailer,
        night: Child,
        bounces: Child,
        children: Sequence[Child] = (),
        tell: Sequence[pipeline.Step] = (),
    ) -> None:
        self._mailer = mailer
        self._night = night
        self._bounces = bounces
        self._children = children
        self._tell = tell  # the last steps of whatever may have made something ready to send
        self._at_work, self._at_plans, self._telling = threading.Lock(), threading.Lock(), threading.Lock()
        self._faults: dict[str, str] = {}
        self._failing_since: dict[str, float] = {}
        self._begun = time.monotonic()  # the tick that began last

    def beat(self) -> None:
        """Say that the parent lives and how its children do; to systemd as well, as long as it ticks."""
        if time.monotonic() - self._begun < _STUCK_SECONDS:
            notifying.notify("WATCHDOG=1")
        self._guarded("beat", lambda: pipeline.beat(self._mailer, "run", "\n".join(self._troubles())))

    def tick(self) -> None:
        """All that is to be done every few seconds."""
        with self._at_work:
            self._begun = time.monotonic()
            self._step(*STEPS, *self._tell)
            took = time.monotonic() - self._begun
            self._guarded("ticked", lambda: pipeline.ticked(self._mailer, took))

    def repeats(self) -> None:
        """Campaigns that come round: a round of its own, since planning for a large audience takes minutes."""
        with self._at_plans:
            self._guarded("repeats", lambda: pipeline.run_repeats(self._mailer, self._mailer.clock()))
            self._step(*self._tell)

    def alert(self) -> None:
        """Tell a person what she should look at: a slow webhook or mail server keeps no tick waiting."""
        with self._telling:
            self._guarded("alert", lambda: pipeline.alert(self._mailer, self._mailer.clock()))

    def look_for_night(self) -> None:
        """The night's work has a process of its own: it may take minutes, and all of a core."""
        self._guarded("look_for_night", self._look_for_night)

    def _look_for_night(self) -> None:
        if pipeline.night_is_due(self._mailer, self._mailer.clock()):
            self._night.wanted = True

    def look_for_bounces(self) -> None:
        """Reading the bounce mailbox, where there is one, has a process of its own: a mail server may take its time."""
        self._bounces.wanted = self._bounces.wanted or self._mailer.settings.bounces.kind != "none"

    def end(self) -> None:
        """Say goodbye. What is in the middle of a long plan or release is cut off: the next start completes it."""
        deadline = time.monotonic() + _LAST_TICK_SECONDS
        busy = (self._at_work, self._at_plans, self._telling)
        if not all(one.acquire(timeout=max(0.0, deadline - time.monotonic())) for one in busy):
            log.info("tick_cut_off")
            log.info("run_stopped")
            logging.shutdown()
            os._exit(0)
        with suppress(MailerError):
            pipeline.leave(self._mailer)
        self._mailer.store.close()

    def _troubles(self) -> list[str]:
        """One line each, the same as long as it is the same thing."""
        now = time.monotonic()
        failing = [name for name, since in self._failing_since.items() if now - since > _FAILS_SECONDS]
        children = [one.trouble for one in (*self._children, self._night, self._bounces) if one.trouble]
        return [*dict.fromkeys(children), *(f"the clock's step {name} fails: see the log" for name in sorted(failing))]

    def _step(self, *steps: pipeline.Step) -> None:
        for step in steps:
            self._guarded(step.__name__.strip("_"), lambda step=step: step(self._mailer, self._mailer.clock()))  # type: ignore[misc]

    def _guarded(self, name: str, act: Callable[[], None]) -> None:
        """A fault is told once, until it changes or is over."""
        fault = ""
        try:
            act()
        except MailerError as known:
            fault = str(known)
        except Exception:  # the one place that catches all: a bug in a step must not stop the clock
            fault = f"a bug: {traceback.format_exc()}"
        if fault and fault != self._faults.get(name):
            log.error("tick_failed step=%s reason=%r", name, fault)
        self._faults[name] = fault
        if fault:
            self._failing_since.setdefault(name, time.monotonic())
        else:
            self._failing_since.pop(name, None)

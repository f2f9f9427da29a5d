"""What keeps a shop's mail going? A parent that ticks, and starts web and senders again when they die.

The only file that knows APScheduler: a clock that ticks, nothing else. What is due lies in the ledger's tables, so a
tick that is late, doubled or lost changes nothing; stop and start at any moment.

Every child has a pipe as its standard input, whose other end the parent holds. However the parent ends, also by
kill -9, the system closes that end: the child reads it and ends in order.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from apscheduler.schedulers.background import BackgroundScheduler

from engine import pipeline
from engine.clock import system_clock
from engine.errors import MailerError
from engine.pipeline import Mailer, Stop

TICK_SECONDS = 5
_NIGHT_SECONDS = 60  # between two looks whether the night's work is due
_BOUNCES_SECONDS = 120  # between two looks into the bounce mailbox
_STOP_SECONDS = 20  # a sender waits up to 10 s for the answer in flight
_LAST_TICK_SECONDS = 3
_LOOK_SECONDS = 0.2
_WELL_SECONDS = 60.0  # who lived so long was well: the next death starts the count anew
_RESTART_SECONDS = (1, 2, 5, 10, 30, 60)

log = logging.getLogger("mailer.run")


def supervise(folder: Path) -> None:
    """Run web, senders and tick until SIGINT or SIGTERM, then end them in order; asked twice, nobody waits."""
    with pipeline.stop_on_signals() as stop:
        mailer = pipeline.open_mailer(folder)
        senders = max(one.connections for one in mailer.settings.transport.values())
        night = Child(name="night", command="night", folder=folder, once=True, wanted=False)
        bounces = Child(name="bounces", command="returns", folder=folder, once=True, wanted=False)
        children = [Child(name="web", command="serve", folder=folder), night, bounces]
        children += [Child(name=f"sender-{n}", command="worker", folder=folder) for n in range(1, senders + 1)]
        rounds = Rounds(mailer, night, bounces)
        clock = _started(rounds)
        log.info("run_started web=%s senders=%s", mailer.settings.web.listen, senders)
        try:
            while not stop.asked:
                for child in children:
                    child.look_after()
                stop.rest(_LOOK_SECONDS)
        finally:
            log.info("run_stopping")
            clock.shutdown(wait=False)
            end_all(children, stop)
            rounds.end()
            log.info("run_stopped")


def end_with_parent() -> None:
    """Ask this process to end in order as soon as `mailer run`, which holds the other end of its input, is gone."""

    def watch() -> None:
        # No Python file object: its lock can't be had any more when the interpreter ends before us.
        with suppress(OSError):
            while os.read(0, 1):
                pass
        log.warning("parent_gone")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_STOP_SECONDS)
        os._exit(1)  # safe at any moment: the ledger and the journal say what was handed over

    threading.Thread(target=watch, daemon=True, name="parent").start()


# ---------------------------------------------------------------- the clock


def _started(rounds: "Rounds") -> BackgroundScheduler:
    """Several jobs, so that a long one keeps no other waiting; a missed round is simply the next round's work."""
    # It would tell of every round that one is still going on.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    defaults = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
    clock = BackgroundScheduler(timezone="UTC", job_defaults=defaults)
    at_once = system_clock()
    clock.add_job(rounds.beat, "interval", seconds=TICK_SECONDS, next_run_time=at_once)
    clock.add_job(rounds.tick, "interval", seconds=TICK_SECONDS, next_run_time=at_once)
    clock.add_job(rounds.look_for_night, "interval", seconds=_NIGHT_SECONDS, next_run_time=at_once)
    clock.add_job(rounds.look_for_bounces, "interval", seconds=_BOUNCES_SECONDS, next_run_time=at_once)
    clock.start()
    return clock


class Rounds:
    """What the clock calls. What goes wrong in a step is told; neither the next step nor the next round minds."""

    def __init__(self, mailer: Mailer, night: "Child", bounces: "Child") -> None:
        self._mailer = mailer
        self._night = night
        self._bounces = bounces
        self._at_work = threading.Lock()
        self._faults: dict[str, str] = {}

    def beat(self) -> None:
        """Say that the parent lives."""
        self._guarded("beat", lambda: pipeline.beat(self._mailer, "run"))

    def tick(self) -> None:
        """All that is to be done every few seconds."""
        with self._at_work:
            for step in pipeline.STEPS:
                self._guarded(step.__name__.strip("_"), lambda step=step: step(self._mailer, self._mailer.clock()))  # type: ignore[misc]

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
        """Say goodbye. A tick in the middle of a long release is cut off: the next start completes it."""
        if not self._at_work.acquire(timeout=_LAST_TICK_SECONDS):
            log.info("tick_cut_off")
            os._exit(0)
        with suppress(MailerError):
            pipeline.leave(self._mailer)
        self._mailer.store.close()

    def _guarded(self, name: str, act: Callable[[], None]) -> None:
        """A fault is told once, until it changes or is over."""
        fault = ""
        try:
            act()
        except MailerError as known:
            fault = f"reason={str(known)!r}"
        except Exception:  # the one place that catches all: a bug in a step must not stop the clock
            fault = f"bug\n{traceback.format_exc()}"
        if fault and fault != self._faults.get(name):
            log.error("tick_failed step=%s %s", name, fault)
        self._faults[name] = fault


# ---------------------------------------------------------------- the children


@dataclass(slots=True, kw_only=True)
class Child:
    """One process, started again whenever it ends; one of `once` only when the clock wants it once more."""

    name: str
    command: str
    folder: Path
    once: bool = False
    wanted: bool = True
    process: "subprocess.Popen[bytes] | None" = None
    deaths: int = 0
    not_before: float = 0.0
    started: float = 0.0

    def look_after(self) -> None:
        """Start it where it is wanted and doesn't live; every time it dies a little later."""
        if self.process is not None and (code := self.process.poll()) is not None:
            self._bury(code)
        if self.process is None and self.wanted and time.monotonic() >= self.not_before:
            self._start()

    def close(self) -> None:
        """Forget the process, and close our end of its pipe."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
        self.process = None

    def _start(self) -> None:
        command = [sys.executable, "-m", "engine", "--workspace", str(self.folder), self.command, "--supervised"]
        self.started = time.monotonic()
        try:
            # Its own session: Ctrl-C reaches the parent alone, which then ends everybody in order.
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        except OSError as fault:  # no memory, no process left
            self._died(str(fault))
            return
        log.info("child_started name=%s pid=%s", self.name, self.process.pid)

    def _bury(self, code: int) -> None:
        self.close()
        if self.once:
            self.wanted = False  # until the clock finds that it is still due
        if self.once and code == 0:
            self.deaths = 0
            log.info("child_ended name=%s", self.name)
        else:
            self._died(str(code))

    def _died(self, code: str) -> None:
        now = time.monotonic()
        self.deaths = 1 if now - self.started > _WELL_SECONDS else self.deaths + 1
        wait = _RESTART_SECONDS[min(self.deaths, len(_RESTART_SECONDS)) - 1]
        self.not_before = now + wait
        log.error("child_died name=%s code=%r again_in_seconds=%s", self.name, code, wait)


def end_all(children: Sequence[Child], stop: Stop) -> None:
    """Ask all to end, once more each time we are asked ourselves; who hasn't after 20 s is killed."""
    asked, deadline = 0, time.monotonic() + _STOP_SECONDS
    while living := [one.process for one in children if one.process is not None and one.process.poll() is None]:
        if asked < max(stop.times, 1):
            asked += 1
            for process in living:
                process.terminate()
        if time.monotonic() > deadline:
            for process in living:
                process.kill()  # safe at any moment: the ledger and the journal say what was handed over
        time.sleep(_LOOK_SECONDS / 4)
    for child in children:
        child.close()

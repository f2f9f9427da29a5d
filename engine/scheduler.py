"""What keeps a shop's mail going? A parent that ticks, and starts web and senders again when they die.

The only file that knows APScheduler: a clock that ticks, nothing else. What is due lies in the ledger's tables, so a
tick that is late, doubled or lost changes nothing; stop and start at any moment.
"""

import logging
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from apscheduler.schedulers.background import BackgroundScheduler

from engine import pipeline
from engine.errors import MailerError

TICK_SECONDS = 5
_STOP_SECONDS = 20  # a sender waits up to 10 s for the answer in flight
_RESTART_SECONDS = (1, 2, 5, 10, 30, 60)

log = logging.getLogger("mailer.run")


@dataclass(slots=True)
class _Child:
    """One process that should live, and how often it died in a row."""

    name: str
    arguments: tuple[str, ...]
    process: "subprocess.Popen[bytes] | None" = None
    deaths: int = 0
    not_before: float = 0.0
    started: float = field(default=0.0)


def supervise(folder: Path) -> None:
    """Run web, senders and tick until SIGINT or SIGTERM; children are stopped in order."""
    stop = threading.Event()

    def asked(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, asked)
    mailer = pipeline.open_mailer(folder)
    senders = max(one.connections for one in mailer.settings.transport.values())
    children = [_Child("web", ("serve",)), *(_Child(f"sender {n + 1}", ("worker",)) for n in range(senders))]
    clock = BackgroundScheduler(timezone="UTC")
    # A missed tick is simply the next tick's work: one at a time, never dropped for being late.
    clock.add_job(
        _tick, "interval", args=[mailer], seconds=TICK_SECONDS, max_instances=1, coalesce=True, misfire_grace_time=None
    )
    clock.start()
    try:
        while not stop.is_set():
            for child in children:
                _keep_alive(child, folder)
            stop.wait(0.5)
    finally:
        clock.shutdown(wait=True)
        _stop_all(children)
        mailer.store.close()


def _tick(mailer: pipeline.Mailer) -> None:
    """One tick of the clock; whatever goes wrong in it is told, and the next one comes."""
    try:
        pipeline.tick(mailer)
    except MailerError as fault:
        log.error("tick failed reason=%s", fault)
    except Exception:  # the one place that catches all: a bug in a tick must not stop the clock
        log.error("tick failed\n%s", traceback.format_exc())


def _keep_alive(child: _Child, folder: Path) -> None:
    now = time.monotonic()
    if child.process is not None:
        code = child.process.poll()
        if code is None:
            return
        # Somebody who lived for a minute was well: the next death starts the count anew.
        child.deaths = 1 if now - child.started > 60 else child.deaths + 1
        wait = _RESTART_SECONDS[min(child.deaths, len(_RESTART_SECONDS)) - 1]
        child.not_before, child.process = now + wait, None
        log.error("%s ended code=%s; starting it again in %s s", child.name, code, wait)
    if now >= child.not_before:
        command = [sys.executable, "-m", "engine", "--workspace", str(folder), *child.arguments]
        # Its own process group: Ctrl-C reaches the parent alone, which then stops everybody in order.
        child.process = subprocess.Popen(command, start_new_session=True)
        child.started = now


def _stop_all(children: list[_Child]) -> None:
    living = [child.process for child in children if child.process is not None and child.process.poll() is None]
    for one in living:
        one.terminate()
    deadline = time.monotonic() + _STOP_SECONDS
    for one in living:
        try:
            one.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            one.kill()  # safe at any moment: the ledger and the journal say what was handed over
            one.wait()

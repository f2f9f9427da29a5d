"""Who runs below the parent? One process each for web, senders, the night and the bounces; started again when it dies.

It ends with its parent, however that one ends.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.pipeline import Stop

_STOP_SECONDS = 20  # a sender waits up to 10 s for the answer in flight
_LOOK_SECONDS = 0.05
_WELL_SECONDS = 60.0  # who lived so long was well: the next death starts the count anew
_RESTART_SECONDS = (1, 2, 5, 10, 30, 60)
_AGAIN_AND_AGAIN = 3  # deaths in a row

log = logging.getLogger("mailer.run")


@dataclass(slots=True, kw_only=True)
class Child:
    """One process, started again whenever it ends; one of `once` only when the clock wants it once more."""

    name: str
    command: str
    folder: Path
    options: Sequence[str] = ()  # how it logs
    once: bool = False
    wanted: bool = True
    process: "subprocess.Popen[bytes] | None" = None
    deaths: int = 0
    not_before: float = 0.0
    started: float = 0.0

    @property
    def trouble(self) -> str:
        """What somebody should know of it; empty while it lives, or died once or twice."""
        return (
            ""
            if (self.process is not None and self._is_well()) or self.deaths < _AGAIN_AND_AGAIN
            else f"{self.name} dies again and again: see the log"
        )

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
            self.process = subprocess.Popen([*command, *self.options], stdin=subprocess.PIPE, start_new_session=True)
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
        self.deaths = 1 if self._is_well() else self.deaths + 1
        wait = _RESTART_SECONDS[min(self.deaths, len(_RESTART_SECONDS)) - 1]
        self.not_before = now + wait
        log.error("child_died name=%s code=%r again_in_seconds=%s", self.name, code, wait)

    def _is_well(self) -> bool:
        """Long work that fails at its end was never well: only its success counts."""
        return not self.once and time.monotonic() - self.started > _WELL_SECONDS


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
        time.sleep(_LOOK_SECONDS)
    for child in children:
        child.close()


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

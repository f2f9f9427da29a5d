"""What befalls a sender from within its own process: it dies in a transaction, its disk is full, its clock jumps.

The engine's code is untouched. What is changed here are the conditions under which it runs: a limit of the operating
system, a setting of the database, the clock it is given, a constant of its patience.
"""

import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import sqlalchemy as sa

from engine.audience.gate import _Gate
from engine.ledger import advancing, claiming
from engine.pipeline import Mailer, holding
from engine.store import Store, opening


@contextmanager
def endured(mailer: Mailer, hardships: Mapping[str, Any]) -> Iterator[Mailer]:
    """The workspace under these hardships, by their names below; what the process says afterwards is free of them."""
    with ExitStack() as over:
        for name, values in hardships.items():
            mailer = over.enter_context(_HARDSHIPS[name](mailer, *values))
        yield mailer


@contextmanager
def lease(mailer: Mailer, seconds: float) -> Iterator[Mailer]:
    """It takes shorter leases, for the story of their running out."""
    claiming.LEASE_SECONDS = advancing.LEASE_SECONDS = seconds
    holding._SURE_SECONDS = seconds / 2
    yield mailer


@contextmanager
def lock_patience(mailer: Mailer, seconds: float) -> Iterator[Mailer]:
    """It waits no longer than this for SQLite's lock."""
    opening._LOCK_SECONDS = seconds
    yield mailer


@contextmanager
def killed_in_a_write(mailer: Mailer, nth: int, share: float, marks: str) -> Iterator[Mailer]:
    """It dies in its nth write transaction, after this share of the steps of the one before, and leaves a mark."""
    doom = _Doom(mailer.store, nth, share, Path(marks))
    object.__setattr__(mailer.store, "write", doom.write)
    yield mailer


@contextmanager
def files_end_at(mailer: Mailer, size: int) -> Iterator[Mailer]:
    """No file grows beyond so many bytes: the disk is full for whatever would."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))  # Python ignores SIGXFSZ: writes fail, nobody dies
    try:
        yield mailer
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def database_ends_after(mailer: Mailer, more: int) -> Iterator[Mailer]:
    """SQLite finds the disk full when its file would grow by more pages than this."""

    def limit(driver: Any, _record: object) -> None:
        pages = driver.execute("PRAGMA page_count").fetchone()[0]
        driver.execute(f"PRAGMA max_page_count={pages + more}")

    sa.event.listen(mailer.store._writer, "connect", limit)
    yield mailer


@contextmanager
def clock_jumps(mailer: Mailer, every: int, seconds: list[float]) -> Iterator[Mailer]:
    """After each so many looks at the clock it is off by the next of these, over and over."""
    looks = 0

    def clock() -> datetime:
        nonlocal looks
        looks += 1
        return mailer.clock() + timedelta(seconds=seconds[looks // every % len(seconds)])

    yield replace(mailer, clock=clock)


@contextmanager
def looks_are_noted(mailer: Mailer, notes: str) -> Iterator[Mailer]:
    """Each look just before a dot is written down: the nanosecond at which it began, whose it was, what it found."""
    inner, file = _Gate.may_receive, os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def noted(self: _Gate, contact_id: int, message_class: str = "marketing") -> str:
        began = time.monotonic_ns()
        found = inner(self, contact_id, message_class)
        os.write(file, f"{began} {contact_id} {found or 'go'}\n".encode())
        return found

    setattr(_Gate, "may_receive", noted)  # noqa: B010 - a plain assignment is what mypy forbids
    yield mailer


_HARDSHIPS: dict[str, Callable[..., AbstractContextManager[Mailer]]] = {
    one.__name__: one
    for one in (
        lease,
        lock_patience,
        killed_in_a_write,
        files_end_at,
        database_ends_after,
        clock_jumps,
        looks_are_noted,
    )
}


@dataclass
class _Doom:
    """Counts the calls and returns that a transaction takes, whatever driver it runs on, and ends it at one of them.

    Where it was shorter than the one before, the next is the last one.
    """

    store: Store
    left: int
    share: float
    marks: Path

    def __post_init__(self) -> None:
        self._write = self.store.write
        self._usual = 0
        self._steps = 0

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """`Store.write`, until it is the last one."""
        self.left -= 1
        self._steps = 0
        with self._write() as db:
            sys.setprofile(self._step)
            yield db
        sys.setprofile(None)
        self._usual = self._steps

    def _step(self, _frame: FrameType, _event: str, _argument: object) -> None:
        self._steps += 1
        if self.left <= 0 and self._steps > self._usual * self.share:
            sys.setprofile(None)
            with self.marks.open("a") as file:
                file.write("died\n")
            os.kill(os.getpid(), signal.SIGKILL)

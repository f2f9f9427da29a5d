"""How does a sender hear that there is work? Procrastinate takes hints in a thread of its own, one at a time.

The sender keeps the main thread, where signals arrive, and is woken by a hint. The hint counts as carried out when the
sender has looked: so a worker that sends for an hour holds one, and leaves the others to workers that rest.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from engine.errors import StoreUnavailable
from engine.fleet import schema
from engine.fleet.hinting import QUEUE, TASK
from engine.store import Store

if TYPE_CHECKING:
    from procrastinate import App

_SLICE = 0.1  # seconds between two looks whether somebody wants an end
_AGAIN_SECONDS = 5.0  # after which hints are tried again that could not be had
_END_SECONDS = 2.0  # a hint that is given back late is given again by the sweep
_CONNECTIONS = 2  # beside the one that listens

log = logging.getLogger("mailer.fleet")


class Hints:
    """Hints at work, as long as it is entered; without any, `are_live` is False and `wait` only waits."""

    def __init__(self, store: Store) -> None:
        self.are_live = False
        self._store = store
        self._taken: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()  # each: call it when it is followed
        self._followed: Callable[[], None] = _nothing
        self._ended = threading.Event()
        self._end: Callable[[], None] = self._ended.set
        self._thread = threading.Thread(target=self._carry, daemon=True, name="hints")

    def __enter__(self) -> Self:
        for chatty in ("procrastinate", "psycopg.pool"):  # it tells each job, and each fault with its traceback
            logging.getLogger(chatty).setLevel(logging.CRITICAL)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._followed()
        self._end()
        self._thread.join(_END_SECONDS)

    def wait(self, seconds: float, is_over: Callable[[], bool]) -> bool:
        """Wait for a hint, so long at most, or until it is over; True when there came one.

        The hint before counts as followed now.
        """
        self._followed()
        self._followed = _nothing
        deadline = time.monotonic() + seconds
        while not is_over() and (left := deadline - time.monotonic()) > 0:
            try:
                self._followed = self._taken.get(timeout=min(left, _SLICE))
                return True
            except queue.Empty:
                continue
        return False

    # ------------------------------------------------------------ in the thread

    def _carry(self) -> None:
        """Take hints until the end; whatever goes wrong, the sender does without, and it is tried again."""
        told = ""
        while not self._ended.is_set():
            try:
                fault = schema.fault_of(self._store) or asyncio.run(self._take())
            except StoreUnavailable as gone:
                fault = str(gone)
            except Exception as failed:  # another program's faults, in a thread that nobody would see die
                fault = f"{type(failed).__name__}: {' '.join(str(failed).split())}"
            self.are_live = False
            if fault != told and not self._ended.is_set():
                log.warning("no_hints reason=%r", fault)
                told = fault
            self._ended.wait(_AGAIN_SECONDS)

    async def _take(self) -> str:
        """One connection's worth of hints; why it ended."""
        loop, me = asyncio.get_running_loop(), asyncio.current_task()
        assert me is not None
        app = _app(self._store.url)

        @app.task(name=TASK, queue=QUEUE)
        async def look(plan: int, batch: int) -> None:
            followed = asyncio.Event()
            log.debug("hint_taken plan=%s batch=%s", plan, batch)
            self._taken.put(lambda: _call_in(loop, followed.set))
            await followed.wait()

        def end() -> None:
            self._ended.set()
            _call_in(loop, me.cancel)

        self._end = end
        if self._ended.is_set():
            return ""
        try:
            async with app.open_async():
                self.are_live = True
                await app.run_worker_async(
                    queues=[QUEUE],
                    concurrency=1,
                    delete_jobs="always",
                    install_signal_handlers=False,
                    shutdown_graceful_timeout=_END_SECONDS / 2,
                )
        except asyncio.CancelledError:
            return ""
        return "the database closed the connection"


def _app(url: str) -> "App":
    import procrastinate  # heavy, and not installed where there is no PostgreSQL

    session = {"options": f"-c search_path={schema.SCHEMA}", "application_name": "mailer hints"}
    connector = procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=_CONNECTIONS, kwargs=session)
    return procrastinate.App(connector=connector)


def _call_in(loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
    """Call it in the other thread's loop, unless that has ended."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(act)


def _nothing() -> None:
    """No hint is being followed."""

"""What goes on beside answering? Hits to disk, from disk to the database, and a sign of life."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import anyio

from engine import pipeline
from engine.feedback import ClickCounts, Spool
from engine.feedback.spool import FLUSH_SECONDS
from engine.pipeline import Mailer, MailerError

_DRAIN_SECONDS = 1.0
_BEAT_SECONDS = 10.0  # who was not heard of for 30 s is taken for dead
_TELL_SECONDS = 60.0

log = logging.getLogger("mailer.web")


@asynccontextmanager
async def upkeep(mailer: Mailer, spool: Spool, counts: ClickCounts) -> AsyncIterator[None]:
    """While the block runs: flush every 100 ms, drain every second, and say that this process lives."""
    # Threads of their own: however many requests wait for the database, what came in reaches the disk.
    threads = anyio.CapacityLimiter(4)
    works = [
        _Work("writing hits to the spool", spool.flush, FLUSH_SECONDS, threads),
        _Work("counting clicks", lambda: pipeline.count_clicks(mailer, counts), FLUSH_SECONDS, threads),
        _Work("bringing hits into the database", lambda: pipeline.drain_hits(mailer, spool), _DRAIN_SECONDS, threads),
        _Work("saying that web lives", lambda: pipeline.beat(mailer, "web"), _BEAT_SECONDS, threads),
    ]
    tasks = [asyncio.create_task(one.again_and_again()) for one in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for last in works[:3]:
            await last.once()
        with suppress(MailerError):
            await anyio.to_thread.run_sync(pipeline.leave, mailer, limiter=threads)


class _Work:
    """Something to be done every few moments; what goes wrong is told once a minute, and tried again."""

    def __init__(self, name: str, act: Callable[[], object], seconds: float, threads: anyio.CapacityLimiter) -> None:
        self._name = name
        self._act = act
        self._seconds = seconds
        self._threads = threads
        self._told = float("-inf")

    async def again_and_again(self) -> None:
        while True:
            await self.once()
            await asyncio.sleep(self._seconds)

    async def once(self) -> None:
        try:
            await anyio.to_thread.run_sync(self._act, limiter=self._threads)
        except (OSError, MailerError) as fault:
            self._tell(str(fault))
        except Exception:  # a bug in here must not silently end what keeps hits from being lost
            self._tell(traceback.format_exc())

    def _tell(self, fault: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told >= _TELL_SECONDS:
            self._told = now
            log.error("upkeep_failed work=%r reason=%r", self._name, fault)

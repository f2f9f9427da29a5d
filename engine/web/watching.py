"""Does it live, is it well, and what are its figures? `/health`, `/ready` and `/metrics`.

`/health` answers for this process alone, and to anybody: for proxies and containers. `/ready` gives the verdict of
`mailer status` and is, like `/metrics`, for this machine or the holder of [web] watch_token. Both are worked out every
few seconds at most, however often they are asked, in threads of their own.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

import anyio
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from engine import pipeline
from engine.errors import StoreUnavailable
from engine.pipeline import Mailer, Metric, Worry
from engine.web.access import is_own, refused, told
from engine.web.pages import PRIVATE

_READY_SECONDS = 3.0
_METRICS_SECONDS = 10.0
_FORMAT = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus' text exposition format

T = TypeVar("T")


def watch_routes(mailer: Mailer, clock: Callable[[], datetime]) -> list[Route]:
    """The three routes."""
    answers = _Answers(mailer, clock)
    return [
        Route("/health", answers.health, methods=["GET"]),
        Route("/ready", answers.ready, methods=["GET"]),
        Route("/metrics", answers.metrics, methods=["GET"]),
    ]


class _Answers:
    def __init__(self, mailer: Mailer, clock: Callable[[], datetime]) -> None:
        self._mailer = mailer
        threads = anyio.CapacityLimiter(2)  # whoever watches must not hold up what is watched
        self._worries: _Kept[list[Worry]] = _Kept(lambda: _verdict(mailer, clock()), _READY_SECONDS, threads)
        self._metrics: _Kept[str] = _Kept(lambda: exposed(pipeline.metrics(mailer, clock())), _METRICS_SECONDS, threads)

    async def health(self, _request: Request) -> Response:
        """This process answers."""
        return told({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """503 with the reasons while somebody should look; the causes stay the same, their words may move."""
        if answer := self._kept_out(request):
            return answer
        found = await self._worries.value()
        reasons = [{"cause": one.cause, "text": one.text} for one in found]
        return told({"ready": not found, "reasons": reasons}, 503 if found else 200)

    async def metrics(self, request: Request) -> Response:
        """The figures, as text."""
        if answer := self._kept_out(request):
            return answer
        try:
            return PlainTextResponse(await self._metrics.value(), media_type=_FORMAT, headers=PRIVATE)
        except StoreUnavailable:
            return told({"error": "the database does not answer"}, 503)

    def _kept_out(self, request: Request) -> Response | None:
        return None if is_own(request) else refused(request, self._mailer.settings.web.watch_token)


class _Kept(Generic[T]):
    """A value that takes a while, worked out by one asker for all who ask within some seconds."""

    def __init__(self, work_out: Callable[[], T], seconds: float, threads: anyio.CapacityLimiter) -> None:
        self._work_out = work_out
        self._seconds = seconds
        self._threads = threads
        self._lock = asyncio.Lock()
        self._until = 0.0
        self._value: T | None = None

    async def value(self) -> T:
        async with self._lock:
            if self._value is None or time.monotonic() > self._until:
                self._value = await anyio.to_thread.run_sync(self._work_out, limiter=self._threads)
                self._until = time.monotonic() + self._seconds
            return self._value


def _verdict(mailer: Mailer, at: datetime) -> list[Worry]:
    """What `mailer status` worries about; and this process has just written to the database, or says that it can't."""
    found = pipeline.worries(mailer, at)
    if not any(one.cause == "database" for one in found):
        try:
            pipeline.beat(mailer, "web")
        except StoreUnavailable as fault:
            found.append(Worry(cause="database", text=str(fault)))
    return found


def exposed(metrics: list[Metric]) -> str:
    """The figures in Prometheus' text format."""
    lines = []
    for one in metrics:
        lines += [f"# HELP {one.name} {one.help}", f"# TYPE {one.name} gauge"]
        for labels, value in sorted(one.values.items()):
            inside = ",".join(f'{name}="{_escaped(said)}"' for name, said in labels)
            lines.append(f"{one.name}{{{inside}}} {float(value)!r}" if inside else f"{one.name} {float(value)!r}")
    return "\n".join(lines) + "\n"


def _escaped(said: str) -> str:
    return said.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

"""What happens when a mail is opened, clicked or unsubscribed from? Each answer is the same for living and unknown tokens."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from engine import locale, pipeline
from engine.feedback import Spool
from engine.feedback.spool import FLUSH_SECONDS
from engine.links import Purpose
from engine.model import Hit, HitKind
from engine.pipeline import Mailer
from engine.web.words import WORDS

_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_PRIVATE = {
    "Cache-Control": "no-store, no-cache, must-revalidate, private, max-age=0",
    "Pragma": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "X-Content-Type-Options": "nosniff",
}
_BODY_LIMIT = 64 * 1024
_DRAIN_SECONDS = 1.0
_PIXEL_SITE = -1


def tracking_app(mailer: Mailer, clock: Callable[[], datetime] | None = None) -> Starlette:
    """The app; `clock` says when a hit happened (default: the workspace's clock)."""
    pages = _Tracking(mailer, clock or mailer.clock)
    routes = [
        Route("/o/{token}", pages.pixel, methods=["GET"]),
        Route("/c/{token}/{place}", pages.click, methods=["GET"]),
        Route("/a/{plan:int}/{variant}/{version}/{site:int}/{tag}", pages.campaign_click, methods=["GET"]),
        Route("/u/{token}", pages.unsubscribe, methods=["GET", "POST"]),
        Route("/p/{token}", pages.preferences, methods=["GET", "POST"]),
        Route("/v/{token}", pages.view, methods=["GET"]),
        Route("/health", lambda _request: PlainTextResponse("ok")),
    ]
    return Starlette(routes=routes, lifespan=pages.keep_draining)


class _Tracking:
    def __init__(self, mailer: Mailer, clock: Callable[[], datetime]) -> None:
        self._mailer = mailer
        self._clock = clock
        self._spool = Spool(mailer.settings.state_dir / "spool")
        folder = FileSystemLoader(Path(__file__).parent)
        self._page = Environment(loader=folder, autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True)

    # ------------------------------------------------------------ what mails call by themselves

    async def pixel(self, request: Request) -> Response:
        """The 43 bytes, whatever the token is worth."""
        token = request.path_params["token"].removesuffix(".gif")
        self._keep(request, HitKind.OPEN, token, Purpose.OPEN, (_PIXEL_SITE, 0))
        return Response(_PIXEL, media_type="image/gif", headers=_PRIVATE)

    # ------------------------------------------------------------ what people call

    async def click(self, request: Request) -> Response:
        """On to where the link of this mail leads; the address is never taken from the URL."""
        place = _place(request.path_params["place"])
        delivery_id = self._mailer.keys.read(request.path_params["token"], Purpose.CLICK)
        if delivery_id is None or place is None:
            return self._gone(request)
        target = await run_in_threadpool(pipeline.destination, self._mailer, delivery_id, *place)
        if target is None:
            return self._gone(request)
        self._keep(request, HitKind.CLICK, request.path_params["token"], Purpose.CLICK, place)
        return RedirectResponse(target, status_code=302, headers=_PRIVATE)

    async def campaign_click(self, request: Request) -> Response:
        """On, from a link that names no person; only the count is kept."""
        plan, site, tag = (request.path_params[name] for name in ("plan", "site", "tag"))
        variant, version = request.path_params["variant"], request.path_params["version"]
        if not self._mailer.keys.is_campaign_tag(tag, plan, f"{variant}/{version}", site):
            return self._gone(request)
        at = self._clock() if request.method == "GET" else None  # HEAD never counts
        target = await run_in_threadpool(pipeline.campaign_destination, self._mailer, plan, variant, version, site, at)
        return RedirectResponse(target, status_code=302, headers=_PRIVATE) if target else self._gone(request)

    async def unsubscribe(self, request: Request) -> Response:
        """POST acts, without cookie, login or redirect (RFC 8058, 3.2); GET only shows a page: scanners GET everything."""
        token = request.path_params["token"]
        delivery_id = self._mailer.keys.read(token, Purpose.UNSUBSCRIBE)
        if delivery_id is None:
            return self._gone(request)
        language = await run_in_threadpool(pipeline.language_of, self._mailer, delivery_id)
        more = f"{self._mailer.settings.tracking.base_url}/p/{token}"
        if request.method != "POST":
            return self._show(request, language, "unsubscribe_title", "unsubscribe_ask", form="unsubscribe", more=more)
        if await _body(request) is None:
            return PlainTextResponse("too large", status_code=413)
        await run_in_threadpool(pipeline.opt_out, self._mailer, delivery_id, self._clock(), "unsubscribe link")
        return self._show(request, language, "unsubscribe_title", "unsubscribed", more=more)

    async def preferences(self, request: Request) -> Response:
        """Mailing and tracking, each by itself, given and taken back equally easily."""
        delivery_id = self._mailer.keys.read(request.path_params["token"], Purpose.UNSUBSCRIBE)
        if delivery_id is None:
            return self._gone(request)
        language = await run_in_threadpool(pipeline.language_of, self._mailer, delivery_id)
        said = ""
        if request.method == "POST":
            body = await _body(request)
            if body is None:
                return PlainTextResponse("too large", status_code=413)
            wishes = parse_qs(body.decode("utf-8", "replace"))
            choice = pipeline.Choice(mailing="mailing" in wishes, tracking="tracking" in wishes)
            await run_in_threadpool(pipeline.set_choice, self._mailer, delivery_id, choice, self._clock())
            said = "saved"
        stands = await run_in_threadpool(pipeline.choice_of, self._mailer, delivery_id)
        given = {"mailing": stands.mailing, "tracking": stands.tracking}
        return self._show(request, language, "preferences_title", said, form="preferences", **given)

    async def view(self, request: Request) -> Response:
        """The mail as a page, rendered again from its frozen context."""
        delivery_id = self._mailer.keys.read(request.path_params["token"], Purpose.VIEW)
        html = await run_in_threadpool(pipeline.html_of, self._mailer, delivery_id) if delivery_id else None
        if html is None:
            return self._gone(request)
        # A mail needs no scripts; should one slip in, it must not run on our own address.
        return HTMLResponse(
            html, headers=_PRIVATE | {"Content-Security-Policy": "script-src 'none'; form-action 'none'"}
        )

    # ------------------------------------------------------------ behind the pages

    @asynccontextmanager
    async def keep_draining(self, _app: Starlette) -> AsyncIterator[None]:
        """While the app lives: hits to disk every 100 ms, from disk to the database every second."""
        tasks = [
            asyncio.create_task(_every(FLUSH_SECONDS, self._spool.flush)),
            asyncio.create_task(_every(_DRAIN_SECONDS, lambda: pipeline.drain_hits(self._mailer, self._spool))),
        ]
        yield
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await run_in_threadpool(self._spool.flush)
        await run_in_threadpool(pipeline.drain_hits, self._mailer, self._spool)

    def _keep(self, request: Request, kind: HitKind, token: str, purpose: Purpose, place: tuple[int, int]) -> None:
        delivery_id = self._mailer.keys.read(token, purpose)
        if delivery_id is None:
            return
        headers = request.headers
        self._spool.append(
            Hit(
                kind=kind,
                delivery_id=delivery_id,
                site=place[0],
                occurrence=place[1],
                at=self._clock(),
                method=request.method,
                ip=request.client.host if request.client else "",
                agent=headers.get("user-agent", "")[:500],
                referer=headers.get("referer", "")[:500],
                accept_language=headers.get("accept-language", "")[:100],
            )
        )

    def _gone(self, request: Request) -> Response:
        return self._show(request, "", "gone_title", "gone", status=410, to_shop=bool(self._mailer.settings.shop.url))

    def _show(
        self, request: Request, language: str, title: str, text: str, *, status: int = 200, **values: object
    ) -> Response:
        wanted = language or request.headers.get("accept-language", "")[:2]
        chosen, _ = locale.negotiate(wanted, tuple(WORDS), self._mailer.settings.shop.languages[0])
        words = WORDS.get(chosen, WORDS["en"])
        html = self._page.get_template("page.html").render(
            language=chosen,
            direction=locale.direction(chosen),
            words=words,
            title=getattr(words, title),
            text=getattr(words, text) if text else "",
            shop=self._mailer.settings.shop,
            **values,
        )
        return HTMLResponse(html, status_code=status, headers=_PRIVATE)


async def _every(seconds: float, act: Callable[[], object]) -> None:
    """Act again and again; a full disk or a busy database is met again next time, the hits wait."""
    while True:
        await asyncio.sleep(seconds)
        with suppress(OSError, pipeline.MailerError):
            await run_in_threadpool(act)


async def _body(request: Request) -> bytes | None:
    """The body, or None when it is larger than any form of ours."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _BODY_LIMIT:
            return None
    return body


def _place(text: str) -> tuple[int, int] | None:
    site, dash, occurrence = text.partition("-")
    if not (dash and site.isdecimal() and occurrence.isdecimal() and len(text) < 12 and text.isascii()):
        return None
    return int(site), int(occurrence)

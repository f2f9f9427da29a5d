"""What happens when a mail is opened, clicked or unsubscribed from? Forged, cut and forgotten links all look alike."""

import base64
import ipaddress
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import ParamSpec, TypeVar
from urllib.parse import parse_qs

import anyio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from engine import pipeline
from engine.clock import local_day
from engine.feedback import ClickCounts, CountedLink
from engine.feedback.webhooks import Fetch, fetch
from engine.links import Purpose
from engine.model import Hit, HitKind, TrackingMode
from engine.pipeline import Mailer, MailerError
from engine.web.bodies import body_of
from engine.web.hooks import hook_routes
from engine.web.incoming import in_routes
from engine.web.pages import PRIVATE, Pages, mail_page
from engine.web.upkeep import upkeep
from engine.web.watching import watch_routes

P = ParamSpec("P")
T = TypeVar("T")

_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")
_PIXEL_PLACE = (-1, 0)
_BODY_LIMIT = 64 * 1024
_LONGEST_NUMBER = 9  # digits of a plan's or a link place's number


def tracking_app(mailer: Mailer, clock: Callable[[], datetime] | None = None, get: Fetch = fetch) -> Starlette:
    """The app; `clock` says when a hit happened (default: the workspace's clock), `get` fetches certificates."""
    answers = _Answers(mailer, clock or mailer.clock)
    routes = [
        Route("/o/{token:path}", answers.pixel, methods=["GET"]),
        Route("/c/{token}/{place}", answers.click, methods=["GET"]),
        Route("/a/{plan}/{variant}/{version}/{site}/{tag}", answers.campaign_click, methods=["GET"]),
        Route("/u/{token}", answers.unsubscribe, methods=["GET", "POST"]),
        Route("/p/{token}", answers.preferences, methods=["GET", "POST"]),
        Route("/v/{token}", answers.view, methods=["GET"]),
        *hook_routes(mailer, clock or mailer.clock, get),
        *in_routes(mailer, clock or mailer.clock),
        *watch_routes(mailer, clock or mailer.clock),
    ]
    faults = {404: answers.gone, MailerError: answers.busy, Exception: answers.busy, ClientDisconnect: answers.left}
    app = Starlette(routes=routes, exception_handlers=faults, lifespan=answers.upkeep)
    app.router.redirect_slashes = False  # it would lead to whatever host the request names
    return app


class _Answers:
    def __init__(self, mailer: Mailer, clock: Callable[[], datetime]) -> None:
        self._mailer = mailer
        self._clock = clock
        self._pages = Pages(mailer.settings.shop)
        self._spool = pipeline.spool_of(mailer)
        self._counts = ClickCounts()
        # An opt-out or a choice never waits behind clicks: it has threads, and so connections, of its own.
        self._for_links, self._for_choices = anyio.CapacityLimiter(6), anyio.CapacityLimiter(4)

    # ------------------------------------------------------------ what mails call by themselves

    async def pixel(self, request: Request) -> Response:
        """The 43 bytes, whatever the token is worth."""
        token = request.path_params["token"].removesuffix(".gif")
        delivery_id = self._mailer.keys.read(token, Purpose.OPEN)
        if delivery_id is not None:
            self._keep(request, HitKind.OPEN, delivery_id, _PIXEL_PLACE)
        return Response(_PIXEL, media_type="image/gif", headers=PRIVATE)

    # ------------------------------------------------------------ what people call

    async def click(self, request: Request) -> Response:
        """On to where the link of this mail leads; the address is never taken from the URL."""
        place = _place(request.path_params["place"])
        delivery_id = self._mailer.keys.read(request.path_params["token"], Purpose.CLICK)
        if delivery_id is None or place is None:
            return self._gone(request)
        target = await self._look_up(pipeline.destination, self._mailer, delivery_id, *place)
        if target is None:
            return self._gone(request)
        self._keep(request, HitKind.CLICK, delivery_id, place)
        return RedirectResponse(target, status_code=302, headers=PRIVATE)

    async def campaign_click(self, request: Request) -> Response:
        """On, from a link that names no person; only the count is kept."""
        plan, site = (_number(request.path_params[name]) for name in ("plan", "site"))
        variant, version = request.path_params["variant"], request.path_params["version"]
        signed = f"{variant}/{version}"
        if plan is None or site is None:
            return self._gone(request)
        if not self._mailer.keys.is_campaign_tag(request.path_params["tag"], plan, signed, site):
            return self._gone(request)
        target = await self._look_up(pipeline.campaign_destination, self._mailer, version, site)
        if target is None:
            return self._gone(request)
        if request.method == "GET":  # HEAD never counts
            day = local_day(self._clock(), self._mailer.zone)
            self._counts.add(CountedLink(plan_id=plan, variant=variant, site=site, day=day))
        return RedirectResponse(target, status_code=302, headers=PRIVATE)

    async def unsubscribe(self, request: Request) -> Response:
        """POST acts, without cookie, login or redirect (RFC 8058, 3.2); GET shows a page: scanners GET everything."""
        token = request.path_params["token"]
        delivery_id = self._mailer.keys.read(token, Purpose.UNSUBSCRIBE)
        if delivery_id is None:
            return self._gone(request)
        more = f"{self._mailer.settings.tracking.base_url}/p/{token}"
        if request.method != "POST":
            return self._pages.show(await self._language(request, delivery_id), "unsubscribe", more=more)
        # `List-Unsubscribe=One-Click`, as form or multipart, or nothing: the token says it all.
        await body_of(request, _BODY_LIMIT)
        done = await self._decide(pipeline.opt_out, self._mailer, delivery_id, self._clock(), "unsubscribe link")
        if not done:
            return self._gone(request)
        return self._pages.show(await self._language(request, delivery_id), "unsubscribed", more=more)

    async def preferences(self, request: Request) -> Response:
        """Mailing and tracking, each by itself, given and taken back equally easily."""
        delivery_id = self._mailer.keys.read(request.path_params["token"], Purpose.UNSUBSCRIBE)
        if delivery_id is None:
            return self._gone(request)
        language = await self._language(request, delivery_id)
        if request.method != "POST":
            stands = await self._decide(pipeline.choice_of, self._mailer, delivery_id)
            return self._choices(request, language, stands)
        wishes = parse_qs((await body_of(request, _BODY_LIMIT)).decode("utf-8", "replace"))
        choice = pipeline.Choice(mailing="mailing" in wishes, tracking="tracking" in wishes)
        words = self._pages.words(language).tracking
        stands = await self._decide(pipeline.set_choice, self._mailer, delivery_id, choice, self._clock(), words)
        refused = stands is not None and choice.mailing and not stands.mailing
        return self._choices(request, language, stands, said="refused" if refused else "saved")

    async def view(self, request: Request) -> Response:
        """The mail as a page, rendered again from its frozen context."""
        delivery_id = self._mailer.keys.read(request.path_params["token"], Purpose.VIEW)
        html = await self._look_up(pipeline.html_of, self._mailer, delivery_id) if delivery_id else None
        return self._gone(request) if html is None else mail_page(html)

    # ------------------------------------------------------------ what nobody wants to see

    async def gone(self, request: Request, _fault: Exception) -> Response:
        """A path that is no link of ours, or was cut."""
        return self._gone(request)

    async def busy(self, request: Request, _fault: Exception) -> Response:
        """The database does not answer, or we have a bug (uvicorn logs it): the mail program may try again."""
        page = self._pages.show(self._pages.language("", _accept_language(request)), "busy", status=503)
        page.headers["Retry-After"] = "60"
        return page

    async def left(self, _request: Request, _fault: Exception) -> Response:
        """Nobody is there to read this."""
        return Response(status_code=400)

    # ------------------------------------------------------------ behind the pages

    def upkeep(self, _app: Starlette) -> AbstractAsyncContextManager[None]:
        """What goes on while the app lives."""
        return upkeep(self._mailer, self._spool, self._counts)

    def _gone(self, request: Request) -> Response:
        return self._pages.show(self._pages.language("", _accept_language(request)), "gone", status=410)

    def _choices(self, request: Request, language: str, stands: pipeline.Choice | None, said: str = "") -> Response:
        if stands is None:
            return self._gone(request)
        return self._pages.show(language, "preferences", stands=stands, said=said)

    async def _language(self, request: Request, delivery_id: str) -> str:
        of_message = await self._decide(pipeline.language_of, self._mailer, delivery_id)
        return self._pages.language(of_message, _accept_language(request))

    async def _look_up(self, find: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await anyio.to_thread.run_sync(lambda: find(*args, **kwargs), limiter=self._for_links)

    async def _decide(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await anyio.to_thread.run_sync(lambda: act(*args, **kwargs), limiter=self._for_choices)

    def _keep(self, request: Request, kind: HitKind, delivery_id: str, place: tuple[int, int]) -> None:
        if self._mailer.settings.tracking.mode is not TrackingMode.INDIVIDUAL_WITH_CONSENT:
            return  # mails of an earlier mode still lead on
        headers = request.headers
        self._spool.append(
            Hit(
                kind=kind,
                delivery_id=delivery_id,
                site=place[0],
                occurrence=place[1],
                at=self._clock(),
                method=request.method,
                ip=_peer(request),
                agent=headers.get("user-agent", "")[:500],
                referer=headers.get("referer", "")[:500],
                accept_language=_accept_language(request)[:100],
            )
        )


def _accept_language(request: Request) -> str:
    return request.headers.get("accept-language", "")


def _peer(request: Request) -> str:
    """The visitor's IP address; a proxy may say anything."""
    said = request.client.host if request.client else ""
    try:
        return str(ipaddress.ip_address(said))
    except ValueError:
        return ""


def _place(text: str) -> tuple[int, int] | None:
    site, _, occurrence = text.partition("-")
    numbers = _number(site), _number(occurrence)
    return None if numbers[0] is None or numbers[1] is None else (numbers[0], numbers[1])


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER else None

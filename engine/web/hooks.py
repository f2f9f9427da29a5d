"""What happens when a provider tells what became of our mails? Proven, applied and committed, then answered 200.

`POST /hooks/TRANSPORT`. Whatever is not answered 200 comes again, for hours: so nothing is lost while the database is
away, and what came twice is applied once.
"""

import logging
from collections.abc import Callable
from datetime import datetime

import anyio
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from engine import pipeline
from engine.feedback.webhooks import Fetch, Hook, fetch, hook_for
from engine.pipeline import Mailer
from engine.web.bodies import body_of
from engine.web.pages import PRIVATE

_BODY_LIMIT = 512 * 1024  # SNS sends up to 256 KB, and escapes them once more

log = logging.getLogger("mailer.web")


def hook_routes(mailer: Mailer, clock: Callable[[], datetime], get: Fetch = fetch) -> list[Route]:
    """The routes of all transports' webhooks; BadConfig when a secret is none. `get` fetches SNS's certificates."""
    found = {name: hook_for(name, settings, get) for name, settings in mailer.settings.transport.items()}
    answers = _Answers(mailer, clock, {name: hook for name, hook in found.items() if hook is not None})
    return [Route("/hooks/{transport}", answers.take, methods=["POST"])]


class _Answers:
    def __init__(self, mailer: Mailer, clock: Callable[[], datetime], hooks: dict[str, Hook]) -> None:
        self._mailer = mailer
        self._clock = clock
        self._hooks = hooks
        # Threads of its own: a flood of events must not hold up anybody's opt-out.
        self._threads = anyio.CapacityLimiter(4)

    async def take(self, request: Request) -> Response:
        """200 once all is committed, 401 for what is not the provider's, 404 where no webhook is."""
        name = request.path_params["transport"]
        hook = self._hooks.get(name)
        if hook is None:
            return _said("not found", 404)
        body = await body_of(request, _BODY_LIMIT)
        headers = {key: value for key, value in request.headers.items() if key.startswith("svix-")}
        genuine = await anyio.to_thread.run_sync(self._apply, name, hook, headers, body, limiter=self._threads)
        return _said("ok", 200) if genuine else _said("not signed by whom we know", 401)

    def _apply(self, name: str, hook: Hook, headers: dict[str, str], body: bytes) -> bool:
        at = self._clock()
        notices = hook.read(headers, body, at)
        if notices is None:
            log.warning("webhook_refused transport=%s", name)
            return False
        for notice in notices:
            pipeline.apply_notice(self._mailer, notice, at)
        return True


def _said(text: str, status: int) -> Response:
    return PlainTextResponse(text, status_code=status, headers=PRIVATE)

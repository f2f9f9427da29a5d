"""What happens when the shop tells of a contact, an order, an event or a product? The same as with a file, at once.

`POST /in/contacts|orders|events|products` with the token of [web] in_token_*. What is answered 200 is committed; the
same rows again change nothing, so whoever got no answer sends them again.
"""

import logging
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine import pipeline
from engine.errors import BadFile, StoreUnavailable
from engine.pipeline import ImportResult, Mailer
from engine.web.access import refused, told
from engine.web.bodies import body_of

_BODY_LIMIT = 8 * 1024 * 1024
_KINDS = ("contacts", "orders", "events", "products")
_JSON = ("application/json", "application/x-ndjson", "application/jsonl", "")
_CSV = "text/csv"

log = logging.getLogger("mailer.web")


def in_routes(mailer: Mailer, clock: Callable[[], datetime]) -> list[Route]:
    """The one route."""
    return [Route("/in/{kind}", _Answers(mailer, clock).take, methods=["POST"])]


class _Answers:
    def __init__(self, mailer: Mailer, clock: Callable[[], datetime]) -> None:
        self._mailer = mailer
        self._clock = clock
        # Threads of its own: a shop that tells much must not hold up anybody's opt-out.
        self._threads = anyio.CapacityLimiter(2)

    async def take(self, request: Request) -> Response:
        """200 once all is committed, also where some rows are refused; 422 where none could go in."""
        kind = request.path_params["kind"]
        if answer := refused(request, self._mailer.settings.web.in_token):
            return answer
        if kind not in _KINDS:
            return told({"error": f"not found; known: {', '.join(_KINDS)}"}, 404)
        said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if said != _CSV and said not in _JSON:
            return told({"error": f"{said!r} is not read here; send application/json or text/csv"}, 415)
        body = await body_of(request, _BODY_LIMIT)
        number = secrets.token_hex(4)
        found = await anyio.to_thread.run_sync(self._take_in, kind, body, said == _CSV, number, limiter=self._threads)
        return told(*found, {"X-Request-Id": number})

    def _take_in(self, kind: str, body: bytes, is_csv: bool, number: str) -> tuple[dict[str, Any], int]:
        try:
            result = pipeline.take_in(self._mailer, kind, body, self._clock(), is_csv=is_csv)
        except BadFile as fault:
            log.warning("in_unreadable kind=%s request=%s", kind, number)
            return {**_told(0, 0, 0, [{"line": 1, "why": str(fault)}])}, 422
        except StoreUnavailable as fault:
            log.error("in_put_off kind=%s request=%s reason=%r", kind, number, str(fault))
            return {"error": "the database does not answer; send it again"}, 503
        log.info("in_taken kind=%s rows=%s refused=%s request=%s", kind, result.rows, result.refused_rows, number)
        why = [{"line": one.line, "why": one.why} for one in result.refused]
        return _told(result.rows, result.added, result.updated, why), 422 if _all_refused(result) else 200


def _all_refused(result: ImportResult) -> bool:
    return 0 < result.rows == result.refused_rows


def _told(rows: int, added: int, updated: int, refused: list[dict[str, Any]]) -> dict[str, Any]:
    return {"rows": rows, "added": added, "updated": updated, "refused": refused}

"""Who may see or bring what is not for recipients? This machine itself, or whoever holds a token.

A proxy on this machine speaks for others, and says so in X-Forwarded-For or Forwarded: such a request is never this
machine's own. Tokens are compared in constant time, by their digests, so that neither content nor length shows.
"""

import hashlib
import hmac
import ipaddress

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.web.pages import PRIVATE

_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")


def is_own(request: Request) -> bool:
    """Whether the request comes from this machine, and speaks for nobody else."""
    try:
        peer = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    return peer.is_loopback and not any(name in request.headers for name in _FORWARDED)


def refused(request: Request, token: SecretStr | None) -> Response | None:
    """The answer to a request without the token: 404 where none is configured, else 401; None when it has it."""
    if token is None or not token.get_secret_value():
        return told({"error": "not found"}, 404)
    if _has(request, token.get_secret_value()):
        return None
    return told({"error": "the bearer token is missing or wrong"}, 401, {"WWW-Authenticate": "Bearer"})


def told(body: object, status: int = 200, more: dict[str, str] | None = None) -> Response:
    """An answer in JSON that nobody keeps."""
    return JSONResponse(body, status_code=status, headers=PRIVATE | (more or {}))


def _has(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    digests = (hashlib.sha256(one.encode("utf-8", "surrogateescape")).digest() for one in (given.strip(), token))
    return hmac.compare_digest(*digests) and scheme.lower() == "bearer"

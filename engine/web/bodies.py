"""What did a request bring? Its body, within limits: strangers send anything, and slowly."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request

from engine.web.pages import PRIVATE

_SECONDS = 10.0


async def body_of(request: Request, limit: int) -> bytes:
    """The body; 413 when it is larger, 408 when it does not come."""
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > limit:
                    raise HTTPException(413, headers=PRIVATE)
    except TimeoutError:
        raise HTTPException(408, headers=PRIVATE) from None
    return bytes(body)

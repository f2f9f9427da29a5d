"""Is this webhook signed with our secret, and fresh? The signature that Svix made common (standardwebhooks.com).

HMAC-SHA256 over `id.timestamp.body`; several signatures may stand side by side while a secret is changed.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from engine.errors import BadConfig

TOLERANCE = timedelta(minutes=5)  # what Svix's own libraries allow, into the past and the future
_STAMP = re.compile(r"[0-9]{1,12}")


def key_of(name: str, secret: str) -> bytes:
    """The key within a secret as the provider shows it: `whsec_` and base64."""
    try:
        key = base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < 16:
        raise BadConfig(f"transport {name!r}: the webhook secret is none; copy it whole, whsec_ and what follows")
    return key


def is_genuine(key: bytes, headers: Mapping[str, str], body: bytes, at: datetime) -> bool:
    """Whether one of the signatures is right and the request was made within five minutes of `at`."""
    identifier, stamp = headers.get("svix-id", ""), headers.get("svix-timestamp", "")
    if not identifier or not _STAMP.fullmatch(stamp):
        return False
    if abs(at.timestamp() - int(stamp)) > TOLERANCE.total_seconds():
        return False
    right = hmac.new(key, f"{identifier}.{stamp}.".encode() + body, hashlib.sha256).digest()
    expected = b"v1," + base64.b64encode(right)
    # All are compared, each in constant time: how long it takes tells nothing.
    same = [hmac.compare_digest(expected, one.encode()) for one in headers.get("svix-signature", "").split(" ")]
    return any(same)

"""Under which key does a request go out, so that it can be asked for again, and where is the key kept meanwhile?

In the journal from just before the request, and in the reply of an attempt whose answer was lost.
"""

import hashlib
import re
from collections.abc import Sequence

from engine.model import Mail, MessageState, Outcome
from engine.replies import shortened

_MANY = "batch-"
_KEY = re.compile(r"key=([A-Za-z0-9._-]{1,256})(?:@([A-Za-z0-9_-]+))?(?= |$)")
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def key_of(mails: Sequence[Mail]) -> str:
    """The Idempotency-Key of a request: the delivery id, or for several a hash over theirs in order."""
    if len(mails) == 1:
        return mails[0].delivery_id
    return _MANY + hashlib.sha256(" ".join(one.delivery_id for one in mails).encode()).hexdigest()[:40]


def is_for_many(key: str) -> bool:
    """Whether the key belongs to a batch, of however few mails in the end."""
    return key.startswith(_MANY)


def key_in(reply: str) -> str:
    """The key that an uncertain attempt's reply kept; empty when there is none to ask again with."""
    found = _KEY.match(reply)
    return found[1] if found else ""


def transport_in(reply: str) -> str:
    """The transport that a dead sender's key went over, where the reply of an uncertain attempt tells."""
    found = _KEY.match(reply)
    return (found[2] or "") if found else ""


def journalled(transport: str, key: str) -> str:
    """What a journal keeps of a key; empty where it could not be read back."""
    return f"{key}@{transport}" if key and _NAME.fullmatch(transport) else ""


def uncertain(key: str, why: str) -> Outcome:
    """Nobody can tell; the key stays with it."""
    reply = shortened(f"key={key} {why}")
    return Outcome(state=MessageState.UNCERTAIN, reason="reply_lost", reply=reply, stage="http")

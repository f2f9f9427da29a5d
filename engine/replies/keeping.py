"""What of a server's words may be kept? One short line without an address."""

import re

_REPLY_LENGTH = 200
_LOOKED_AT = 2000  # what is longer says nothing new
_ADDRESS = re.compile(r"[^\s<>\"'(),:;]+@[^\s<>\"'(),:;]+")


def shortened(reply: str) -> str:
    """A reply fit for keeping: one line, at most 200 characters, no address (erasing a person must not search here)."""
    # The common receipt needs nothing done; this is asked for each message sent.
    if len(reply) <= _REPLY_LENGTH and "@" not in reply and reply.isprintable() and "  " not in reply:
        return reply.strip() if not reply.isascii() else reply.strip(" ")
    said = " ".join("".join(c if c.isprintable() else " " for c in reply[:_LOOKED_AT]).split())
    return _ADDRESS.sub("<address>", said)[:_REPLY_LENGTH]

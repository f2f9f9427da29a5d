"""What is a mail's digest, read from its bytes alone? The independent check of the one that its maker computes."""

import hashlib
import re

_UNDIGESTED = re.compile(rb"(?im)^(?:Date|DKIM-Signature):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")


def digest_of(data: bytes) -> str:
    """Over everything but its Date and DKIM-Signature headers."""
    head, _, body = data.partition(b"\r\n\r\n")
    said = _UNDIGESTED.sub(b"", head + b"\r\n") + b"\r\n" + hashlib.sha256(body).hexdigest().encode()
    return hashlib.sha256(said).hexdigest()

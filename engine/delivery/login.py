"""How does a session prove whose it is? AUTH PLAIN, LOGIN, CRAM-MD5 and XOAUTH2 (RFC 4954).

Under TLS the plain ways come first: there nobody listens, and a server that can check a digest must know the password
itself. In the clear, which config allows on this machine only, the digest comes first. XOAUTH2 takes an access token in
place of the password (https://developers.google.com/workspace/gmail/imap/xoauth2-protocol).
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Generator

from engine.delivery.wire import Reply

_UNDER_TLS = ("PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2")
_IN_THE_CLEAR = ("CRAM-MD5", "PLAIN", "LOGIN", "XOAUTH2")

Answers = Generator[bytes, str, None]  # what goes with AUTH, then an answer for each challenge


def mechanism(wanted: str, offered: str, *, encrypted: bool) -> str:
    """What to log in with; empty when what is `wanted` (a mechanism, or `auto`) is not among those `offered`."""
    preferred = _UNDER_TLS if encrypted else _IN_THE_CLEAR
    known = preferred if wanted == "auto" else (wanted.upper(),)
    ways = offered.upper().split()
    return next((way for way in known if way in ways), "")


def log_in(way: str, user: str, secret: str, say: Callable[[str], Reply]) -> Reply:
    """The server's last word on a login by this mechanism."""
    answers = _MECHANISMS[way](user.encode(), secret.encode())
    reply = say(f"AUTH {way} {_b64(next(answers))}".rstrip())
    while reply.code == 334:
        try:
            answer = answers.send(reply.text)
        except StopIteration:
            return say("*")  # it asks for more than the mechanism knows: RFC 4954 section 4
        reply = say(_b64(answer))
    return reply


def _plain(user: bytes, secret: bytes) -> Answers:
    yield b"\0".join((b"", user, secret))


def _login(user: bytes, secret: bytes) -> Answers:
    yield b""
    yield user
    yield secret


def _cram_md5(user: bytes, secret: bytes) -> Answers:
    challenge = _decoded((yield b""))
    yield user + b" " + hmac.new(secret, challenge, "md5").hexdigest().encode()


def _xoauth2(user: bytes, token: bytes) -> Answers:
    yield b"user=%b\1auth=Bearer %b\1\1" % (user, token)
    yield b""  # a refusal comes as a challenge that tells why; the final answer follows the empty line


_MECHANISMS: dict[str, Callable[[bytes, bytes], Answers]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
    "XOAUTH2": _xoauth2,
}


def _decoded(challenge: str) -> bytes:
    try:
        return base64.b64decode(challenge, validate=True)
    except binascii.Error as fault:
        raise ConnectionError("its login challenge can't be read") from fault


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()

"""How does a session prove whose it is? AUTH PLAIN, LOGIN, CRAM-MD5 and XOAUTH2 (RFC 4954).

Under TLS the plain ways come first: there nobody listens, and a server that can check a digest must know the password
itself. In the clear, which config allows on this machine only, the digest comes first. XOAUTH2 takes an access token in
place of the password (https://developers.google.com/workspace/gmail/imap/xoauth2-protocol).
"""

import base64
import hmac
import re
from collections.abc import Callable, Generator

from engine.delivery.wire import Reply

_UNDER_TLS = ("PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2")
_IN_THE_CLEAR = ("CRAM-MD5", "PLAIN", "LOGIN", "XOAUTH2")

_TELLING = 6  # octets of an answer by which it is known in what a server says

Answers = Generator[bytes, str, None]  # what goes with AUTH, then an answer for each challenge


def mechanism(wanted: str, offered: str, *, encrypted: bool) -> str:
    """What to log in with; empty when what is `wanted` (a mechanism, or `auto`) is not among those `offered`."""
    preferred = _UNDER_TLS if encrypted else _IN_THE_CLEAR
    known = preferred if wanted == "auto" else (wanted.upper(),)
    ways = offered.upper().split()
    return next((way for way in known if way in ways), "")


def log_in(way: str, user: str, secret: str, say: Callable[[str], Reply]) -> Reply:
    """The server's last word on a login by this mechanism."""
    answers = _MECHANISMS[way](_octets(user), _octets(secret))
    said = [_b64(next(answers))]
    reply = say(f"AUTH {way} {said[0]}".rstrip())
    while reply.code == 334:
        try:
            said.append(_b64(answers.send(reply.text)))
        except StopIteration:
            reply = say("*")  # it asks for more than the mechanism knows: RFC 4954 section 4
            break
        reply = say(said[-1])
    return _discreet(reply, _octets(secret), said)


def _discreet(reply: Reply, secret: bytes, said: list[str]) -> Reply:
    """The reply without the secret: servers repeat what they don't understand, whole or cut off, and people log it."""
    words = [re.escape(one[:_TELLING].encode()) + rb"[\w+/=]*" for one in said if one]
    known = re.compile(b"|".join([*([re.escape(secret)] if secret else []), *words]) or rb"(?!)")
    return Reply(reply.code, tuple(known.sub(b"...", line) for line in reply.raw))


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
    except ValueError as fault:  # binascii.Error, or octets beyond ASCII
        raise ConnectionError("its login challenge can't be read") from fault


def _octets(text: str) -> bytes:
    """As it stood in the environment, whatever its encoding was."""
    return text.encode("utf-8", "surrogateescape")


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()

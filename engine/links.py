"""Which message does a link belong to? Delivery ids, signed tokens, draws and hashes: everything made with the secret.

A token is 43 characters: key id (1 byte), delivery id (15 bytes), tag (16 bytes), in URL-safe base64. One
HMAC-SHA512 a recipient gives the tags of all four purposes, each its own 128 bits, so that an open token opens
nothing else. Destinations never stand in a URL: they are looked up by link place ("site") in the template version,
which is what stops open redirects.
"""

import base64
import binascii
import hashlib
import hmac
from enum import IntEnum
from typing import NamedTuple

_DELIVERY_BYTES = 15
_TAG_BYTES = 16
_TOKEN_CHARS = 43
_ID_CHARS = 24
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648 6, in the order of their values
# To Python's own digits of base 32; what is no letter of ours is none of them either.
_BASE32 = bytearray(b"!" * 256)
for _letter, _digit in zip(_LETTERS.encode(), b"0123456789abcdefghijklmnopqrstuv", strict=True):
    _BASE32[_letter] = _BASE32[ord(chr(_letter).upper())] = _digit
_HALVES = ((192, 60), (96, 30), (48, 15))
_SPELT = _LETTERS.encode().ljust(256)  # by value


def _in_each(lane: int, bits: int, up: int = 0) -> int:
    """A mask for so many bits of each lane that is so wide, of a delivery id that takes an octet a letter."""
    return sum(((1 << bits) - 1) << start + up for start in range(0, _ID_CHARS * 8, lane))


# The bits of each lane that stay, those that move on to a lane of their own, and how far.
_MOVES = [(_in_each(lane, bits), _in_each(lane, bits, bits), lane // 2 - bits) for lane, bits in _HALVES]
_LETTER, _NEXT, _LAST = (_in_each(24, 5, up) for up in (0, 5, 10))
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Purpose(IntEnum):
    """What a token is good for; the number is its place among the tags."""

    OPEN = 0
    CLICK = 1
    UNSUBSCRIBE = 2  # and preferences
    VIEW = 3


class _Hmac:
    """HMAC (RFC 2104) with one key, whose two hashes are begun once: half the time of `hmac.digest`, or less."""

    def __init__(self, key: bytes, algorithm: str) -> None:
        inner, outer = hashlib.new(algorithm), hashlib.new(algorithm)
        padded = key.ljust(inner.block_size, b"\0")
        inner.update(bytes(octet ^ 0x36 for octet in padded))
        outer.update(bytes(octet ^ 0x5C for octet in padded))
        self._inner, self._outer = inner, outer

    def of(self, said: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(said)
        outer.update(inner.digest())
        return outer.digest()


class Tokens(NamedTuple):
    """The signed tokens of one message, by purpose."""

    open: str
    click: str
    unsubscribe: str
    view: str


class Keys:
    """All that is derived from the workspace's secret. Old secrets are only read: their links work for ever."""

    def __init__(self, secret: bytes, old: tuple[bytes, ...] = ()) -> None:
        self._ids, self._draws, self._addresses = (
            _Hmac(_derived(secret, purpose), "sha256") for purpose in (b"delivery", b"draw", b"address")
        )
        self._tags = {_key_id(one): _derived(one, b"token") for one in (*old, secret)}
        self._current = _key_id(secret)
        self._head = bytes([self._current])
        self._current_tags = _Hmac(self._tags[self._current], "sha512")
        self.fingerprint = hashlib.sha256(_derived(secret, b"fingerprint")).hexdigest()[:16]

    def delivery_id(self, campaign: str, occurrence: str, contact_id: int) -> str:
        """24 lower-case letters and digits: unguessable, the same for every attempt, fit for Message-ID and VERP."""
        said = f"{len(campaign)}:{campaign}{len(occurrence)}:{occurrence}{contact_id}".encode()
        return _spelt(self._ids.of(said)[:_DELIVERY_BYTES])

    def draw(self, salt: str, contact_id: int) -> float:
        """A share in [0, 1) that is always the same for this contact and salt: holdouts and variants."""
        return int.from_bytes(self._draws.of(f"{salt}\0{contact_id}".encode())[:7]) / 2**56

    def address_hash(self, address_key: str) -> str:
        """The name under which a mailbox is suppressed: survives erasure, tells nobody the address."""
        return self._addresses.of(address_key.encode()).hex()[:40]

    def tokens(self, delivery_id: str) -> Tokens:
        """The tokens of all purposes for one message, for one HMAC."""
        raw = _octets(delivery_id)
        tags, head = self._current_tags.of(raw), self._head + raw
        # All in one go, each with an octet behind it that makes up whole groups of base64: 44 characters, the last of
        # which says nothing.
        said = b"%b%b\0%b%b\0%b%b\0%b%b\0" % (head, tags[:16], head, tags[16:32], head, tags[32:48], head, tags[48:])
        text = binascii.b2a_base64(said, newline=False).translate(_URL_SAFE).decode()
        return Tokens(text[:43], text[44:87], text[88:131], text[132:175])

    def read(self, token: str, purpose: Purpose) -> str | None:
        """The delivery id of a token made for this purpose; None when it is forged, cut or for another purpose."""
        if len(token) != _TOKEN_CHARS or not token.isascii():
            return None
        try:
            raw = base64.b64decode(token + "=", altchars=b"-_", validate=True)
        except ValueError:
            return None
        if base64.urlsafe_b64encode(raw).decode().rstrip("=") != token:
            return None  # the last character has two spare bits: only one spelling is ours
        key = self._tags.get(raw[0])
        body, tag = raw[1 : 1 + _DELIVERY_BYTES], raw[1 + _DELIVERY_BYTES :]
        start = purpose * _TAG_BYTES
        if key is None or not hmac.compare_digest(hmac.digest(key, body, "sha512")[start : start + _TAG_BYTES], tag):
            return None
        return base64.b32encode(body).decode().lower()

    def campaign_tag(self, plan_id: int, variant: str, site: int) -> str:
        """Signs a link that names a campaign's variant and no person (tracking mode `aggregate`)."""
        return _short(_mac(self._tags[self._current], f"aggregate\0{plan_id}\0{variant}\0{site}".encode()))

    def is_campaign_tag(self, tag: str, plan_id: int, variant: str, site: int) -> bool:
        """Whether `tag` was made here, by the current or an old secret."""
        said = f"aggregate\0{plan_id}\0{variant}\0{site}".encode()
        return any(hmac.compare_digest(_short(_mac(key, said)), tag) for key in self._tags.values() if tag.isascii())


def _spelt(raw: bytes) -> str:
    """Base32 of a delivery id, all letters at once: their bits are moved apart until each five have their octet."""
    bits = int.from_bytes(raw)
    for staying, moving, far in _MOVES:
        bits = bits & staying | (bits & moving) << far
    bits = bits & _LETTER | (bits & _NEXT) << 3 | (bits & _LAST) << 6
    return bits.to_bytes(_ID_CHARS).translate(_SPELT).decode()


def _octets(delivery_id: str) -> bytes:
    """What a delivery id spells; the standard library's own reader of base32 takes ten times as long."""
    digits = delivery_id.encode().translate(_BASE32)
    if len(digits) != _ID_CHARS or b"!" in digits:
        return base64.b32decode(delivery_id.upper())
    return int(digits, 32).to_bytes(_DELIVERY_BYTES)


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return hmac.digest(secret, b"mailer/1/" + purpose, "sha256")


def _mac(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, said, "sha256")


def _key_id(secret: bytes) -> int:
    return _derived(secret, b"key id")[0]


def _short(mac: bytes) -> str:
    return base64.urlsafe_b64encode(mac[:_TAG_BYTES]).decode().rstrip("=")

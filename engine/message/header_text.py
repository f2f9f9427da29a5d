"""How is a text written in a header? Cleaned of what could deceive or break out, then folded, quoted or encoded.

The standard library lets NUL and bidirectional overrides through in display names; nothing of the kind leaves here.
"""

import binascii
import re
import unicodedata
from collections.abc import Iterator

NAME_LIMIT = 64  # characters of a display name
SUBJECT_LIMIT = 250
FOLD_AT = 76  # RFC 2047 2: a line that holds an encoded word is no longer than this
_WORD = 75  # RFC 2047 2: nor is an encoded word
_FRAME = len("=?utf-8?q??=")
_CLUSTER = 20  # octets kept together when a text is cut into encoded words

# Joiners spell Persian and hold emoji together; tags make flags. The marks only say which way a word reads; the
# embeddings, overrides and isolates (U+202A-E, U+2066-9) can disguise a sender, so they go.
_JOINERS = {0x200C, 0x200D, *range(0xE0020, 0xE0080)}
_MARKS = {0x200E, 0x200F, 0x061C}
_BLANKS = {*range(0x09, 0x0E), *range(0x1C, 0x20), 0x85}

_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
# RFC 2047 5(3): only these stand for themselves in an encoded word within a phrase.
_Q = ["_" if n == 32 else chr(n) if re.match(r"[A-Za-z0-9!*+/-]", chr(n)) else f"={n:02X}" for n in range(256)]
_Q_LENGTH = [len(one) for one in _Q]


def cleaned_name(text: str) -> str:
    """A display name without control, bidirectional and invisible characters, on one line, at most 64 long."""
    return _cleaned(text, _NAMES, NAME_LIMIT)


def cleaned_subject(text: str) -> str:
    """A subject without control characters and overrides, on one line, at most 250 long."""
    return _cleaned(text, _SUBJECTS, SUBJECT_LIMIT)


def phrase(text: str, column: int) -> str:
    """A display name by RFC 5322 3.2.5: as it is, quoted, or as encoded words."""
    if text.isascii() and "=?" not in text:
        if len(text) <= FOLD_AT - column and _PLAIN_PHRASE.fullmatch(text):
            return text
        quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if len(quoted) <= FOLD_AT - column:
            return quoted
    return "\r\n ".join(_encoded_words(text, FOLD_AT - column))


def unstructured(name: str, text: str) -> str:
    """An unstructured header: folded between words where it is ASCII, else encoded words."""
    column = len(name) + 2
    if text.isascii() and "=?" not in text:
        if column + len(text) <= FOLD_AT:
            return f"{name}: {text}"
        words = text.split(" ")
        if max(map(len, words)) <= FOLD_AT - column:
            return f"{name}: {_folded(words, column)}"
    return f"{name}: " + "\r\n ".join(_encoded_words(text, FOLD_AT - column))


def _folded(words: list[str], column: int) -> str:
    out = words[0]
    column += len(words[0])
    for word in words[1:]:
        fits = column + 1 + len(word) <= FOLD_AT
        out += (" " if fits else "\r\n ") + word
        column = (column if fits else 0) + 1 + len(word)
    return out


def _encoded_words(text: str, room: int) -> list[str]:
    """RFC 2047, in the shorter of its two encodings; no character is cut in two (section 5)."""
    raw = text.encode()
    length = sum(map(_Q_LENGTH.__getitem__, raw))
    quoted = length <= 4 * ((len(raw) + 2) // 3)
    pieces, piece, size = [], b"", 0
    room = _capacity(min(room, _WORD) - _FRAME, quoted)
    if (length if quoted else len(raw)) <= room:
        return [_word(raw, quoted)]  # nearly all names
    for cluster in _clusters(text):
        cost = sum(map(_Q_LENGTH.__getitem__, cluster)) if quoted else len(cluster)
        if piece and size + cost > room:
            pieces.append(piece)
            piece, size, room = b"", 0, _capacity(_WORD - _FRAME, quoted)
        piece += cluster
        size += cost
    pieces.append(piece)
    return [_word(one, quoted) for one in pieces]


def _word(raw: bytes, quoted: bool) -> str:
    if quoted:
        return f"=?utf-8?q?{''.join(map(_Q.__getitem__, raw))}?="
    return f"=?utf-8?b?{binascii.b2a_base64(raw, newline=False).decode()}?="


def _capacity(room: int, quoted: bool) -> int:
    """How much goes into `room` columns: written characters in Q, octets before encoding in base64."""
    return room if quoted else room // 4 * 3


def _clusters(text: str) -> Iterator[bytes]:
    """The text in pieces that are better not torn apart: a letter with its accents, a joined emoji."""
    cluster = b""
    joined = False
    for c in text:
        raw = c.encode()
        # Nothing below U+0300 combines.
        clings = c >= "\u0300" and (joined or c in "\u200c\u200d" or unicodedata.category(c)[0] == "M")
        if cluster and not (clings and len(cluster) + len(raw) <= _CLUSTER):
            yield cluster
            cluster = b""
        cluster += raw
        joined = c == "\u200d"
    yield cluster


class _Kept(dict[int, int | None]):
    """For str.translate: what becomes of each character; learns as it goes."""

    def __init__(self, formats: set[int]) -> None:
        self._formats = formats

    def __missing__(self, n: int) -> int | None:
        category = unicodedata.category(chr(n))
        if n in _BLANKS or category in ("Zl", "Zp"):
            becomes: int | None = 0x20
        elif category in ("Cc", "Cs") or (category == "Cf" and n not in self._formats):
            becomes = None
        else:
            becomes = n
        self[n] = becomes
        return becomes


_NAMES = _Kept(_JOINERS)
_SUBJECTS = _Kept(_JOINERS | _MARKS)


def _cleaned(text: str, kept: _Kept, limit: int) -> str:
    if not (text.isascii() and text.isprintable()):
        text = text.translate(kept)
    text = " ".join(word for word in text.split(" ") if word)[:limit].rstrip(" \u200c\u200d")
    return text if text.isascii() or any(unicodedata.category(c)[0] in "LNPS" for c in text) else ""

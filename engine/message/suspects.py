"""Could a value make a finding that its template alone doesn't make? Asked of each value once, not of each mail.

A finding is a match of one of the `wordings` in what a reader sees. Where no value is suspect, a match could only lie
in the literal text, or begin or end in it: `shapes` looks at that once for each way through a template. The answers
err on one side: a suspect may turn out harmless, the whole message is then looked at.
"""

import binascii
import re
from collections.abc import Sequence
from enum import IntFlag
from html import unescape

from engine.message.encoding import is_ragged
from engine.message.wordings import ADDRESS, BRACES, ENDS, GREETINGS, LEFT_OVER, TEST_HOST, WORDS


class Doubt(IntFlag):
    """What may be wrong with a value."""

    NONE = 0
    OPEN = 1  # its end may begin what the text behind it ends
    WORDS = 2  # it may make a finding by itself, or with the text before it


_OPENINGS = frozenset(word[:n] for word in (*WORDS, "Missing(") for n in range(1, len(word) + 1))
_CLOSINGS = frozenset(word[n:] for word in WORDS for n in range(1, len(word)))
_CALL_CLOSINGS = frozenset("Missing("[n:] for n in range(1, len("Missing(")))
_MOST_KEPT = 50_000
_LONGEST_OPENING = 200

# One search for all that a match could hold, quick because each way begins with a sign of its own; then a closer one.
_SPACED_ENDS = "|".join(rf"{end}(?<=\s{end})" for end in ENDS)
_SIGNS = re.compile(
    rf"\{{|\}}|\[|\]|%|\*|{_SPACED_ENDS}|None|NaN|nan|undefined|null|Undefined"
    r"|Lorem ipsum|lorem ipsum|TODO|FIXME|Missing\("
)
# The same for many values at once, with a blank between each two; what any match must hold.
_HARMLESS = bytes(sign for sign in range(0x20, 0x7F) if chr(sign) not in "{}[]|")
_RARE = (b"None", b"NaN", b"ndefined", b"null", b"orem", b"TODO", b"FIXME", b"  ")
_NAN = re.compile(rb"nan(?<![\w'-]nan)(?![\w'-])")  # which many a name and word holds
_PERCENTS = re.compile(rb"%[A-Za-z_.]+%")
_UNESCAPED = re.compile(rb"&(?! |(?:amp|lt|gt|#34|#39);)")  # what the engine's own escaping doesn't write
_NO_BREAK = "\xa0".encode()
_FOREIGN = re.compile("[\xa0-\u2027\u202f-\ud7ff\ue000-\ufdcf\ufdf0-\ufffc\U00010000-\U0010ffff]*")
_FOREIGN_SIGNS = re.compile(rf"[\s{ENDS}]")
_CLOSE_SIGNS = re.compile(rf"\s[\s{ENDS}]")
# At the ends of a value, its neighbours are taken for blanks.
_CONTENT = re.compile(rf"\s[{ENDS}]|Missing\(|{LEFT_OVER.pattern}|{BRACES.pattern}")
_OPEN_WORD = rf"(?<![\w'-])(?:{'|'.join(map(re.escape, sorted(_OPENINGS)))})\Z"
_OPEN_SIGN = r"[{}\[\]]\Z|%[A-Za-z_.]*\Z|\*(?:\|[A-Z_:]*\|?)?\Z"
_OPEN = re.compile(rf"{_OPEN_WORD}|{_OPEN_SIGN}")
_ENDED = re.compile(
    r"[{}\[\]%|*]|[A-Za-z_.]*%|[A-Z_:]*\|"
    rf"|(?:{'|'.join(map(re.escape, sorted(_CLOSINGS, key=len, reverse=True)))})(?![\w'-])"
    rf"|(?:{'|'.join(map(re.escape, sorted(_CALL_CLOSINGS, key=len, reverse=True)))})"
)
# All of the text between two values, where a match could begin before and end behind it.
_BRIDGE = re.compile(r"[A-Za-z_.:|(]*|[Ll]?o?r?e?m i?p?s?u?m?")
_GREETING_CLOSINGS = "|".join(re.escape(word[n:]) for word in GREETINGS for n in range(len(word)))
_ENDED_GREETING = re.compile(rf"\s*(?:{_GREETING_CLOSINGS})?\s+[{ENDS}]", re.IGNORECASE)


def doubt_about(text: str) -> Doubt:
    """What may be wrong with a value that a reader sees."""
    if (
        is_ragged(text)
        or text[0] in ENDS
        or "orem" in text
        or (_SIGNS.search(text) is not None and _CONTENT.search(text) is not None)
    ):
        return Doubt.WORDS
    if text[-1] in "0123456789":
        return Doubt.NONE  # no opening ends so
    last = text.rpartition(" ")[2]
    if last.isalpha() and "%" not in text:
        return Doubt.OPEN if last in _OPENINGS else Doubt.NONE  # nearly all values end in a word
    return Doubt.OPEN if _OPEN.search(text[-_LONGEST_OPENING:]) else Doubt.NONE


def is_doubtful(pieces: Sequence[str]) -> bool:
    """Might one of these be more than NONE or OPEN, as a reader sees it? A yes may be wrong, a no never is.

    Where the ends of a value are ragged, or it is empty, two blanks stand side by side.
    """
    said = f" {' '.join(pieces)} ".encode(errors="surrogatepass")
    if b"=" in said:
        said = binascii.a2b_qp(said.replace(b"\0", b"\r\n"))
    said = said.replace(_NO_BREAK, b" ")  # which prices and names hold
    rest = said.translate(None, _HARMLESS)
    return (
        (rest != b"" and _is_foreign(said, rest.decode(errors="replace")))
        or any(map(said.__contains__, _RARE))
        or (b"," in said and b" ," in said)
        or (b"!" in said and b" !" in said)
        or (b"(" in said and b"Missing(" in said)
        or (b"&" in said and _UNESCAPED.search(said) is not None)
        or (b"nan" in said and _NAN.search(said) is not None)
        or (b"%" in said and _PERCENTS.search(said) is not None)
    )


def _is_foreign(said: bytes, rest: str) -> bool:
    """Is anything in the rest but letters and signs that ASCII lacks, or does a blank or the like stand wrongly?"""
    return _FOREIGN.fullmatch(rest) is None or (
        _FOREIGN_SIGNS.search(rest) is not None and _CLOSE_SIGNS.search(said.decode(errors="replace")) is not None
    )


def is_fragile(segments: list[str]) -> bool:
    """Might any value at all make a finding with the literal texts between which it stands?"""
    return any(_OPEN.search(one) or "Missing(" in one for one in segments[:-1]) or any(
        _ENDED_GREETING.match(one) for one in segments[1:]
    )


def touchy(segments: list[str]) -> list[int]:
    """The values, by their number, that might make a finding with the text behind them where their end is open."""
    last = len(segments) - 2
    return [
        number
        for number, behind in enumerate(segments[1:])
        if _ENDED.match(behind) or (number < last and _BRIDGE.fullmatch(behind))
    ]


def is_sound_address(text: str) -> bool:
    """An address as `findings` want it."""
    return ADDRESS.fullmatch(text) is not None


def is_local(text: str) -> bool:
    """An address on a test machine."""
    return TEST_HOST.match(text) is not None


class _Doubts(dict[str, int]):
    """Pieces of a message, and what may be wrong with them in a reader's eyes."""

    def __missing__(self, piece: str) -> int:
        if len(self) >= _MOST_KEPT:
            self.clear()
        self[piece] = found = int(doubt_about(written_in(piece)))
        return found


class _Unsound(dict[str, int]):
    """Pieces that are addresses in HTML: 0 for a good one, 1 for one on a test machine, 2 for one that is none."""

    def __missing__(self, piece: str) -> int:
        if len(self) >= _MOST_KEPT:
            self.clear()
        said = written_in(piece).strip()
        self[piece] = found = int(is_local(said)) if is_sound_address(said) else 2
        return found


def written_in(piece: str) -> str:
    """What a reader sees of a value's piece."""
    text = piece
    if "=" in text:
        text = binascii.a2b_qp(text.replace("\0", "\r\n")).replace(b"\r\n", b"\n").decode()
    return unescape(text) if "&" in text else text


DOUBTS = _Doubts()
UNSOUND = _Unsound()

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

from engine.message.encoding import has_ragged, is_ragged
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
# The same for many values at once, each on a line of its own; what any match must hold.
_RARE = tuple("{ } [ ] *| None NaN ndefined null orem TODO FIXME Missing(".split())
_PUNCTUATED_ASCII = tuple(f"{blank}{end}" for blank in " \n" for end in ENDS if end.isascii())
_NAN = re.compile(r"nan(?<![\w'-]nan)(?![\w'-])")  # which many a name and word holds
_PERCENTS = re.compile(r"%[A-Za-z_.]+%")
_PUNCTUATED = re.compile(rf"[{ENDS}](?<=\s.)")
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


def is_doubtful(texts: Sequence[str]) -> bool:
    """Might one of these values be more than NONE or OPEN? A yes may be wrong, a no never is."""
    said = "\n" + "\n".join(texts)
    return (
        has_ragged(said[1:])
        or said.count("\n") != len(texts)
        or any(map(said.__contains__, _RARE))
        or _NAN.search(said) is not None
        or _PERCENTS.search(said) is not None
        # Of blanks, ASCII has but these two that are printed.
        or (any(map(said.__contains__, _PUNCTUATED_ASCII)) if said.isascii() else _PUNCTUATED.search(said) is not None)
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

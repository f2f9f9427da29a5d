"""How much room does a text take, and where does it break? An estimate without any font, on the wide side.

Good for every script a drawing meets: what is written without blanks (Chinese) breaks anywhere, marks that stand over
a letter take no room, and right-to-left text is told apart so that it may be set so.
"""

import unicodedata
from collections.abc import Iterator

_NARROW, _BROAD = set("iljtfrI.,:;|!'()[]{}/ ·-"), set("mwMW@%—")
_DOTS = "…"


def width_of(text: str, size: float) -> float:
    """About how many pixels wide a text of this size is."""
    return sum(map(_share, text)) * size


def broken(text: str, size: float, room: float, most: int) -> list[str]:
    """The text in lines of at most `room` pixels; what is over after `most` lines ends in dots."""
    lines: list[str] = []
    line = ""
    for piece in _pieces(text, size, room):
        if line and width_of((line + piece).rstrip(), size) > room:
            lines.append(line.rstrip())
            line = ""
        line += piece.lstrip() if not line else piece
    lines.append(line.rstrip())
    if len(lines) > most:
        last = lines[most - 1]
        while last and width_of(last + _DOTS, size) > room:
            last = last[:-1]
        lines = [*lines[: most - 1], last.rstrip() + _DOTS]
    return lines


def is_right_to_left(text: str) -> bool:
    """Whether the first letter that says so is of a script written from right to left."""
    for sign in text:
        direction = unicodedata.bidirectional(sign)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def _pieces(text: str, size: float, room: float) -> Iterator[str]:
    """What may stand at the end of a line: words with the blank behind them, and signs that need none."""
    word = ""
    for sign in " ".join(text.split()):
        if _is_wide(sign):
            if word:
                yield word
            yield sign
            word = ""
            continue
        word += sign
        if sign == " " or width_of(word, size) > room * 0.9:
            yield word
            word = ""
    if word:
        yield word


def _share(sign: str) -> float:
    """The width of a sign, as a share of the size."""
    if unicodedata.category(sign) in ("Mn", "Me", "Cf"):
        return 0.0
    if _is_wide(sign):
        return 1.02
    if sign in _NARROW:
        return 0.36
    if sign in _BROAD:
        return 0.92
    return 0.70 if sign.isupper() else 0.58


def _is_wide(sign: str) -> bool:
    return unicodedata.east_asian_width(sign) in ("W", "F")

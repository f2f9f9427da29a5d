"""How does a text become quoted-printable piece by piece, so that no body is ever encoded as a whole?

Literal text is encoded when a template is made ready, values as they come. Each piece begins in the first column and
ends before a soft break, so pieces can be put together in any order without a line growing past 76 octets. The result
also is the form that DKIM calls relaxed: no runs of blanks and none at a line's end (RFC 6376 3.4.4).
"""

import binascii
import re
from collections.abc import Mapping, Sequence

from markupsafe import escape

from engine.message.guards import address


class Fixed(str):
    """A literal's piece: the same object in each message, and never one that a value could be too."""


SOFT = Fixed("=\r\n")
# The same in a text part until its line ends are in order: no text holds NUL once it is encoded.
HELD_SOFT = Fixed("=\0")
LONGEST_VALUE = 10_000  # characters; a message with a longer one is encoded as a whole

_COLUMNS = 75  # one less than RFC 2045 6.7 allows: each piece leaves room for the `=` of a soft break
_MOST_KEPT = 20_000  # values; a catalogue's titles and prices come again and again
_LONGEST_KEPT = 300
_NEWLINES = re.compile(r"\r\n?")
# What stands for itself in HTML and in quoted-printable; asked first, because nearly all values are so.
_PLAIN = re.compile(r"(?=[^.].{0,74}\Z)[!#-%(-;?-~]+(?: [!#-%(-;?-~]+)*", re.ASCII).fullmatch
_SIGNS = bytes(n for n in range(0x20, 0x7F) if n != 0x3D) + b"\n"
_TEXT_SIGNS, _HTML_SIGNS = _SIGNS, bytes(n for n in _SIGNS if n not in b"&<>\"'")
_UNPRINTED = re.compile("[^\x20-\x7e\xa0-\u2027\u202f-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]")
# Among texts that stand on a line each: one that is empty, or has a blank at one of its ends.
_RAGGED = re.compile(r"\n(?:\s|(?<=\s\n))")
_BLANK_RUNS = re.compile(rb"  |\t")


class TooLong(ValueError):
    """A value so long that encoding it again and again could fill the memory."""


class Ragged(ValueError):
    """A value that is empty, holds a line end or has blanks round it: how a text part is tidied depends on it."""


class Blank(Fixed):
    """A literal of blanks at the edge of a stretch of a text part: gone where a line ends beside it."""


class Address(str):
    """A piece that is an address of the engine's own, or the beginning of one."""


class End(Address):
    """The end of a counted link's address: the number of its place, a hyphen, the number of its round."""


def quoted_printable(text: str) -> bytes:
    """RFC 2045 6.7: lines of at most 76, CRLF ends; half a surrogate pair, which no mail can hold, becomes `?`."""
    if "\r" in text:
        text = _NEWLINES.sub("\n", text)
    # In LF form all through: b2a_qp picks the ends of its soft breaks by the first line it sees.
    return binascii.b2a_qp(text.encode("utf-8", "replace"), istext=True).replace(b"\n", b"\r\n")


def piece(text: str) -> str:
    """The text as a piece that begins in the first column; what follows must begin with a soft break or a line end."""
    if (
        len(text) <= _COLUMNS
        and text.isascii()
        and text.isprintable()  # no line end
        and "=" not in text
        and "  " not in text
        and not text.startswith(".")
    ):
        return text
    if "\r" in text:
        text = _NEWLINES.sub("\n", text)
    # With one more character behind it, which has its column, and before which a blank may stay a blank.
    raw = binascii.b2a_qp(f"{text}x".encode("utf-8", "replace"), istext=True)[:-1]
    needs_care = _BLANK_RUNS.search(raw) or raw.startswith(b".") or b"\n." in raw
    return _relaxed(text) if needs_care else raw.replace(b"\n", b"\r\n").decode()


def own_address(text: str) -> Address:
    """The piece of an address that holds nothing but what stands for itself: letters, digits and a few signs."""
    if len(text) <= _COLUMNS:
        return Address(text)
    if len(text) <= 2 * _COLUMNS and text[_COLUMNS] != ".":
        return Address(f"{text[:_COLUMNS]}=\r\n{text[_COLUMNS:]}")
    return Address(piece(text))


def are_plain(texts: Sequence[str], *, escaped: bool) -> bool:
    """Is each of these texts its own piece, as it is? A no may be wrong, a yes never is."""
    said = "\n".join(texts)
    return (
        said.isascii()
        and not said.encode().translate(None, _HTML_SIGNS if escaped else _TEXT_SIGNS)
        and said.count("\n") == len(texts) - 1
        and "  " not in said
        and "\n." not in said
        and not said.startswith(".")
        and max(map(len, texts)) <= _COLUMNS
        and (escaped or not _RAGGED.search(f"\n{said}\n"))
    )


def _relaxed(text: str) -> str:
    """As `piece`, with every second blank of a run written out, and every dot at the head of a line.

    So no line begins with a dot, and nobody has to copy the mail to put a second one before it (RFC 5321 4.5.2). Slow,
    for literals and rare values.
    """
    out: list[str] = []
    for line in text.encode("utf-8", "replace").split(b"\n"):
        written, column, last = ["\r\n"] if out else [], 0, len(line) - 1
        for position, octet in enumerate(line):
            blank_before = position > 0 and line[position - 1] == 0x20 and written[-1] != "=20"
            sign = _sign(octet, blank_before)
            if column + len(sign) > _COLUMNS:
                written.append("=\r\n")
                column = 0
            if sign == "." and column == 0:
                sign = "=2E"
            written.append(sign)
            column += len(sign)
        if last >= 0 and written[-1] == " ":
            written[-1] = "=20"
            if column + 2 > _COLUMNS:
                written.insert(-1, "=\r\n")
        out.append("".join(written))
    return "".join(out)


def _sign(octet: int, blank_before: bool) -> str:
    if octet == 0x20:
        return "=20" if blank_before else " "
    return chr(octet) if 0x20 < octet < 0x7F and octet != 0x3D else f"={octet:02X}"


class _Pieces(dict[str, str]):
    """Texts and their pieces: asked as a mapping, at the speed of one. A piece that recurs is made once.

    Only for texts that are exactly of type `str`: `1 == True`, and Markup equals the text that it is made of.
    """

    def _keep(self, text: str, made: str) -> str:
        if len(text) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[text] = made
        elif len(text) > LONGEST_VALUE:
            raise TooLong(f"a value of {len(text)} characters")
        return made


class _Signs(dict[int, str]):
    """For str.translate: what stands for each character in quoted-printable, for some after a change; learns."""

    def __init__(self, changes: Mapping[str, str]) -> None:
        super().__init__((ord(sign), changed) for sign, changed in changes.items())

    def __missing__(self, n: int) -> str:
        sign = chr(n)
        if n < 0x20 or n == 0x7F:
            said = _CARE  # line ends and the like are no matter of one character
        elif n < 0x80 and sign != "=":
            said = sign
        else:
            said = "".join([f"={octet:02X}" for octet in sign.encode()]) if not 0xD800 <= n < 0xE000 else "?"
        self[n] = said
        return said


_CARE = "\r"
_SHOWN_SIGNS = _Signs({sign: str(escape(sign)) for sign in "&<>\"'"})
_WRITTEN_SIGNS = _Signs({})


def _short_piece(text: str, signs: _Signs) -> str | None:
    """A short text's piece; None where more is to be looked at than its characters."""
    if len(text) > _COLUMNS:
        return None
    said = text.translate(signs)
    fits = len(said) <= _COLUMNS and _CARE not in said and "  " not in said and not said.startswith(".")
    return said if fits else None


class _HtmlValues(_Pieces):
    """Values of an HTML part: escaped, encoded."""

    def __missing__(self, text: str) -> str:
        if not _PLAIN(text):
            short = _short_piece(text, _SHOWN_SIGNS)
            return self._keep(text, piece(str(escape(text[: LONGEST_VALUE + 1]))) if short is None else short)
        if len(self) >= _MOST_KEPT:
            self.clear()
        self[text] = text
        return text


class _TextValues(_Pieces):
    """Values of a text part: encoded."""

    def __missing__(self, text: str) -> str:
        if _PLAIN(text):
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[text] = text
            return text
        if is_ragged(text):
            raise Ragged(f"{text[:60]!r}")
        short = _short_piece(text, _WRITTEN_SIGNS)
        return self._keep(text, piece(text[: LONGEST_VALUE + 1]) if short is None else short)


class _Guarded(dict[str, str]):
    """Addresses as they may stand in a mail, by how they were written; what may not stand there raises."""

    def __missing__(self, text: str) -> str:
        said = address(text)
        if len(self) >= _MOST_KEPT:
            self.clear()
        self[text] = said
        return said


def is_ragged(text: str) -> bool:
    """Is the value empty, are there blanks round it, line ends or signs in it that nobody prints?"""
    return (
        not text
        or text[0].isspace()
        or text[-1].isspace()
        or (not text.isprintable() and _UNPRINTED.search(text) is not None)
    )


HTML_VALUES = _HtmlValues()
TEXT_VALUES = _TextValues()
GUARDED = _Guarded()

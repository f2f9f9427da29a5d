"""How does a text become quoted-printable piece by piece, so that no body is ever encoded as a whole?

Literal text is encoded when a template is made ready, values as they come. Each piece begins in the first column and
ends before a soft break, so pieces can be put together in any order without a line growing past 76 octets. The result
also is the form that DKIM calls relaxed: no runs of blanks and none at a line's end (RFC 6376 3.4.4).
"""

import binascii
import re

from markupsafe import escape

from engine.message.guards import address

SOFT = b"=\r\n"
# The same in a text part until its line ends are in order: no text holds NUL once it is encoded.
HELD_SOFT = b"=\0"
LONGEST_VALUE = 10_000  # characters; a message with a longer one is encoded as a whole

_COLUMNS = 75  # one less than RFC 2045 6.7 allows: each piece leaves room for the `=` of a soft break
_MOST_KEPT = 20_000  # values; a catalogue's titles and prices come again and again
_LONGEST_KEPT = 300
_NEWLINES = re.compile(r"\r\n?")
# What stands for itself in HTML and in quoted-printable; asked first, because nearly all values are so.
_PLAIN = re.compile(r"(?=[^.].{0,74}\Z)[!#-%(-;?-~]+(?: [!#-%(-;?-~]+)*", re.ASCII).fullmatch
_UNPRINTED = re.compile("[^\x20-\x7e\xa0-\u2027\u202f-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]")
_BLANK_RUNS = re.compile(rb"  |\t")


class TooLong(ValueError):
    """A value so long that encoding it again and again could fill the memory."""


class Ragged(ValueError):
    """A value that is empty, holds a line end or has blanks round it: how a text part is tidied depends on it."""


class Blank(bytes):
    """A literal of blanks at the edge of a stretch of a text part: gone where a line ends beside it."""


class Address(bytes):
    """A piece that is a whole address, or a part of one, behind the guard that addresses pass."""


class End(Address):
    """The end of a counted link's address: the number of its place, a hyphen, the number of its round."""


def quoted_printable(text: str) -> bytes:
    """RFC 2045 6.7: lines of at most 76, CRLF ends; half a surrogate pair, which no mail can hold, becomes `?`."""
    if "\r" in text:
        text = _NEWLINES.sub("\n", text)
    # In LF form all through: b2a_qp picks the ends of its soft breaks by the first line it sees.
    return binascii.b2a_qp(text.encode("utf-8", "replace"), istext=True).replace(b"\n", b"\r\n")


def piece(text: str) -> bytes:
    """The text as a piece that begins in the first column; what follows must begin with a soft break or a line end."""
    if (
        len(text) <= _COLUMNS
        and text.isascii()
        and text.isprintable()  # no line end
        and "=" not in text
        and "  " not in text
        and not text.startswith(".")
    ):
        return text.encode()
    if "\r" in text:
        text = _NEWLINES.sub("\n", text)
    # With one more character behind it, which has its column, and before which a blank may stay a blank.
    raw = binascii.b2a_qp(f"{text}x".encode("utf-8", "replace"), istext=True)[:-1]
    needs_care = _BLANK_RUNS.search(raw) or raw.startswith(b".") or b"\n." in raw
    return _relaxed(text) if needs_care else raw.replace(b"\n", b"\r\n")


def _relaxed(text: str) -> bytes:
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
    return "".join(out).encode()


def _sign(octet: int, blank_before: bool) -> str:
    if octet == 0x20:
        return "=20" if blank_before else " "
    return chr(octet) if 0x20 < octet < 0x7F and octet != 0x3D else f"={octet:02X}"


class _Pieces(dict[str, bytes]):
    """Texts and their pieces: asked as a mapping, at the speed of one. A piece that recurs is made once.

    Only for texts that are exactly of type `str`: `1 == True`, and Markup equals the text that it is made of.
    """

    def _keep(self, text: str, made: bytes) -> bytes:
        if len(text) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[text] = made
        elif len(text) > LONGEST_VALUE:
            raise TooLong(f"a value of {len(text)} characters")
        return made


class _HtmlValues(_Pieces):
    """Values of an HTML part: escaped, encoded."""

    def __missing__(self, text: str) -> bytes:
        if not _PLAIN(text):
            return self._keep(text, piece(str(escape(text[: LONGEST_VALUE + 1]))))
        if len(self) >= _MOST_KEPT:
            self.clear()
        self[text] = made = text.encode()
        return made


class _TextValues(_Pieces):
    """Values of a text part; most have stood in the HTML part before."""

    def __missing__(self, text: str) -> bytes:
        if _PLAIN(text):
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[text] = made = text.encode()
            return made
        if is_ragged(text):
            raise Ragged(f"{text[:60]!r}")
        said = HTML_VALUES.get(text)
        # No sign was escaped in it.
        return self._keep(text, said if said is not None and b"&" not in said else piece(text[: LONGEST_VALUE + 1]))


class _ShownAddresses(_Pieces):
    """Whole addresses of an HTML part that have passed the guard."""

    def __missing__(self, text: str) -> bytes:
        return self._keep(text, Address(text.encode() if _PLAIN(text) else piece(str(escape(text)))))


class _HtmlAddresses(_Pieces):
    """Whole addresses of an HTML part, guarded first."""

    def __missing__(self, text: str) -> bytes:
        said = address(text)
        return self._keep(text, Address(said.encode() if _PLAIN(said) else piece(str(escape(said)))))


class _TextAddresses(_Pieces):
    """Whole addresses of a text part, guarded first."""

    def __missing__(self, text: str) -> bytes:
        said = HTML_ADDRESSES.get(text)
        return self._keep(text, said if said is not None and b"&" not in said else Address(piece(address(text))))


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
SHOWN_ADDRESSES = _ShownAddresses()
HTML_ADDRESSES = _HtmlAddresses()
TEXT_ADDRESSES = _TextAddresses()

"""Is anything odd about a message that was rendered and encoded at once? Says what `findings_in` says.

To look at every message as a whole takes a millisecond. But all that take the same way through a template differ only
in their values. So the literal text of a way is looked at once, with signs for values in it; of each message, only its
values are, and most of these have been seen before. Whatever is in doubt, `findings_in` decides.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from engine.message.encoding import Address, End
from engine.message.findings import WARN_BYTES, findings_in, findings_in_words, links_in, visible_text
from engine.message.fused_parts import OWN, FusedPart, Pieces, Written, picking
from engine.message.fusing import Encoded, Trace
from engine.message.plain_text import tidied
from engine.message.rendering import Rendered
from engine.message.suspects import DOUBTS, UNSOUND, Doubt, is_doubtful, is_fragile, is_local, touchy
from engine.model import Finding

TEST_LINK = "ML023"  # a link that leads to a test machine: in a rehearsal, all do

_MOST_SHAPES = 2_000
_SIGN = re.compile("¤([0-9]+)¤")
_SIGNED_ADDRESS = re.compile("¤[0-9]+¤(?:[0-9]+-[0-9]+)?")  # of a counted one, the end may be literal
_WHOLE_HOST = re.compile(r"https?://[^\s/?#@]+/\S*")
_SCHEME = len("https://")
_NOTHING_LEFT_OUT: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class Shape:
    """One way through a part, with what picks the values that are read, those whose end matters, and addresses."""

    is_told: bool  # something is odd about the literal text, or any value might make it so
    is_local: bool  # a literal link leads to a test machine
    seen: Callable[[Pieces], tuple[str, ...]]
    touchy: Callable[[Pieces], tuple[str, ...]]
    linked: Callable[[Pieces], tuple[str, ...]]
    at_home: Callable[[Pieces], tuple[str, ...]]  # the addresses that as a rule begin like the engine's own


class Glance(NamedTuple):
    """What must be read of one message, as pieces, to know its findings; nothing where all of it must be."""

    lines: tuple[str, ...]
    pieces: tuple[str, ...]
    said: str  # all of them
    plainly: Callable[[], Rendered]
    leaving_out: Collection[str]


def findings_of(message: Encoded, leaving_out: Collection[str] = _NOTHING_LEFT_OUT) -> list[Finding]:
    """What is wrong with one message, as `findings_in` says of the same in words, without these codes."""
    return findings_of_each([glance(message, leaving_out)])[0]


def findings_of_each(glances: Sequence[Glance]) -> list[list[Finding]]:
    """The same of many messages: what is read of them is looked at together."""
    are_fine = not is_doubtful([one.said for one in glances if one.said])
    return [[] if one.said and (are_fine or _is_harmless(one)) else _findings_in(one) for one in glances]


def glance(message: Encoded, leaving_out: Collection[str] = _NOTHING_LEFT_OUT) -> Glance:
    """What must be read of a message; all the rest of it is looked at here. Holds none of its long texts."""
    trace, may_be_local = message.trace, TEST_LINK in leaving_out
    if trace is None or len(message.html_piece) > WARN_BYTES:  # in words it is no larger
        return Glance((), (), "", message.plainly, leaving_out)
    html, text = _shape_of(trace, trace.html, True), _shape_of(trace, trace.text, False)
    if not _is_sound(trace, html, may_be_local) or text.is_told or _has_open_end(html, trace.html, text, trace.text):
        return Glance((), (), "", message.plainly, leaving_out)
    lines = _as_piece(message.subject), _as_piece(message.preheader or message.subject)
    pieces = html.seen(trace.html.pieces) + text.seen(trace.text.pieces)
    return Glance(lines, pieces, " ".join(lines + pieces), message.plainly, leaving_out)


def _findings_in(one: Glance) -> list[Finding]:
    return [found for found in findings_in(one.plainly()) if found.code not in one.leaving_out]


def _is_harmless(one: Glance) -> bool:
    """Is nothing that is read a finding by itself? Asked of all at once; of each piece only in doubt."""
    return not is_doubtful([one.said]) or (
        not is_doubtful(one.lines) and Doubt.WORDS not in map(DOUBTS.__getitem__, one.pieces)
    )


def _as_piece(line: str) -> str:
    return line.replace("=", "=3D")


def _has_open_end(html: Shape, written_html: Written, text: Shape, written_text: Written) -> bool:
    """Might the end of a value begin what the text behind it ends?"""
    touchy = html.touchy(written_html.pieces) + text.touchy(written_text.pieces)
    return any(DOUBTS[one] & Doubt.OPEN for one in touchy)


def _is_sound(trace: Trace, html: Shape, may_be_local: bool) -> bool:
    """Does each link lead somewhere, and none to a test machine where that is told?"""
    home, pieces = _home(trace.own or trace.prefix), trace.html.pieces
    if (
        html.is_told
        or (html.is_local and not may_be_local)
        or (home and not _is_sound_home(home, may_be_local))
        or (trace.prefix and not _is_under(home, trace.prefix))
        or (trace.own and not _is_under(home, trace.own))
    ):
        return False
    unsound = {UNSOUND[one] for one in html.linked(pieces)}
    unsound |= {UNSOUND[one] for one in html.at_home(pieces) if not _is_itself_under(home, one)}
    return not unsound or unsound <= ({0, 1} if may_be_local else {0})


@lru_cache(maxsize=1024)
def _is_sound_home(home: str, may_be_local: bool) -> bool:
    return _WHOLE_HOST.fullmatch(home) is not None and (may_be_local or not is_local(home))


def _home(address: str) -> str:
    """The address to the slash behind its host."""
    return address[: address.find("/", _SCHEME) + 1]


def _is_under(home: str, address: str) -> bool:
    """Is it an address with this host? Behind that, any path will do that holds no blank."""
    return (
        home != "" and address.startswith(home) and address.isascii() and address.isprintable() and " " not in address
    )


def _is_itself_under(home: str, piece: str) -> bool:
    """The same of a piece, as its reader sees it."""
    return "=" not in piece and "&" not in piece and _is_under(home, piece)


def _shape_of(trace: Trace, written: Written, is_html: bool) -> Shape:
    shapes, key = trace.fused.shapes, (is_html, written.way)
    shape: Shape | None = shapes.get(key)
    if shape is None:
        part = trace.fused.html if is_html else trace.fused.text
        assert part is not None
        if len(shapes) >= _MOST_SHAPES:
            shapes.clear()
        shape = shapes[key] = _shape(part, written, _home(trace.own or trace.prefix), is_html)
    return shape


def _shape(part: FusedPart, written: Written, home: str, is_html: bool) -> Shape:
    """Look at the literal text of one way, each value as a sign with its number."""
    pieces = written.pieces
    texts = [_sign(part, number, one) for number, one in enumerate(pieces)]
    text = "".join(texts)
    literal = "".join(one for one in texts if not _SIGN.fullmatch(one))
    if "¤" in literal:
        return _told()  # a sign could not be told from it
    read = visible_text(text) if is_html else tidied(text)
    where = "html" if is_html else "text"
    segments = _SIGN.split(read)
    seen = [int(one) for one in segments[1::2]]
    linked, is_sound, has_local = _links(text) if is_html else ([], True, False)
    linked = [one for one in linked if not _is_own(written, pieces[one])]
    at_home = [one for one in linked if _is_itself_under(home, pieces[one])]
    return Shape(
        is_told=not is_sound
        or not read.strip()
        or bool(list(findings_in_words(where, read)))
        or is_fragile(segments[::2]),
        is_local=has_local,
        seen=picking(seen),
        touchy=picking([seen[one] for one in touchy(segments[::2])]),
        linked=picking([one for one in linked if one not in at_home]),
        at_home=picking(at_home),
    )


def _is_own(written: Written, piece: str) -> bool:
    """Is it one of the engine's own addresses, or the beginning of one, of which `_is_sound` looks at the host?"""
    return type(piece) is Address and OWN in written.way and not written.form.has_markup


def _sign(part: FusedPart, number: int, piece: str) -> str:
    if id(piece) in part.literals:
        return part.literals[id(piece)].plain
    return "0-0" if type(piece) is End else f"¤{number}¤"  # no wording holds a digit


def _told() -> Shape:
    nothing = picking([])
    return Shape(is_told=True, is_local=False, seen=nothing, touchy=nothing, linked=nothing, at_home=nothing)


def _links(html: str) -> tuple[list[int], bool, bool]:
    """The values that are links, whether all literal ones are sound, and whether one is on a test machine."""
    linked: list[int] = []
    is_sound, has_local = True, False
    for _, _, address in links_in(html):
        if "¤" in address:
            is_sound = is_sound and _SIGNED_ADDRESS.fullmatch(address) is not None
            linked += [int(one) for one in _SIGN.findall(address)]
            continue
        found = UNSOUND[address]
        is_sound, has_local = is_sound and found < 2, has_local or found == 1
    return linked, is_sound, has_local

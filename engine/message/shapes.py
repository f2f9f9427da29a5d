"""Is anything odd about a message that was rendered and encoded at once? Says what `findings_in` says.

To look at every message as a whole takes a millisecond. But all that take the same way through a template differ only
in their values. So the literal text of a way is looked at once, with signs for values in it; of each message, only its
values are, and most of these have been seen before. Whatever is in doubt, `findings_in` decides.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any

from engine.message.encoding import Address, End
from engine.message.findings import WARN_BYTES, findings_in, findings_in_words, links_in, visible_text
from engine.message.fusing import Encoded, FusedPart, Pieces, Trace
from engine.message.plain_text import tidied
from engine.message.suspects import DOUBTS, UNSOUND, Doubt, doubt_about, is_fragile, is_local, touchy
from engine.model import Finding

TEST_LINK = "ML023"  # a link that leads to a test machine: in a rehearsal, all do

_MOST_SHAPES = 2_000
_SIGN = re.compile("¤([0-9]+)¤")
_SIGNED_ADDRESS = re.compile("¤[0-9]+¤(?:[0-9]+-[0-9]+)?")  # of a counted one, the end may be literal
_WHOLE_HOST = re.compile(r"https?://[^\s/?#@]+/\S*")
_NOTHING_LEFT_OUT: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Shape:
    """One way through a part, with what picks the values that are read, that are addresses, whose end matters."""

    is_told: bool  # something is odd about the literal text, or any value might make it so
    is_local: bool  # a literal link leads to a test machine
    seen: Callable[[Pieces], tuple[bytes, ...]]
    touchy: Callable[[Pieces], tuple[bytes, ...]]
    linked: Callable[[Pieces], tuple[bytes, ...]]


def findings_of(message: Encoded, leaving_out: Collection[str] = _NOTHING_LEFT_OUT) -> list[Finding]:
    """What is wrong with one message, as `findings_in` says of the same in words, without these codes."""
    if message.trace is not None and _is_fine(message, message.trace, TEST_LINK in leaving_out):
        return []
    return [one for one in findings_in(message.plainly()) if one.code not in leaving_out]


def _is_fine(message: Encoded, trace: Trace, may_be_local: bool) -> bool:
    return (
        sum(map(len, message.html_pieces)) <= WARN_BYTES  # in words it is no larger
        and _line_is_fine(message.subject)
        and (not message.preheader or _line_is_fine(message.preheader))
        and _prefix_is_fine(trace.prefix, may_be_local)
        and _part_is_fine(trace, "html", may_be_local)
        and _part_is_fine(trace, "text", may_be_local)
    )


@lru_cache(maxsize=4096)
def _line_is_fine(line: str) -> bool:
    return not doubt_about(line) & Doubt.WORDS


def _prefix_is_fine(prefix: str, may_be_local: bool) -> bool:
    return not prefix or (_WHOLE_HOST.fullmatch(prefix) is not None and (may_be_local or not is_local(prefix)))


def _part_is_fine(trace: Trace, name: str, may_be_local: bool) -> bool:
    is_html = name == "html"
    pieces, way = (trace.html, trace.html_way) if is_html else (trace.text, trace.text_way)
    shapes = trace.fused.shapes
    key = (name, *way)
    shape = shapes.get(key)
    if shape is None:
        part = trace.fused.html if is_html else trace.fused.text
        assert part is not None
        if len(shapes) >= _MOST_SHAPES:
            shapes.clear()
        shape = shapes[key] = _shape(part, pieces, is_html)
    if shape.is_told or (shape.is_local and not may_be_local):
        return False
    if Doubt.WORDS in map(DOUBTS.__getitem__, shape.seen(pieces)):
        return False
    if Doubt.OPEN in map(DOUBTS.__getitem__, shape.touchy(pieces)):
        return False
    unsound = set(map(UNSOUND.__getitem__, shape.linked(pieces)))
    return not unsound or unsound <= ({0, 1} if may_be_local else {0})


def _shape(part: FusedPart, pieces: Pieces, is_html: bool) -> Shape:
    """Look at the literal text of one way, each value as a sign with its number."""
    texts = [_sign(part, number, one) for number, one in enumerate(pieces)]
    text = "".join(texts)
    literal = "".join(one for one in texts if not _SIGN.fullmatch(one))
    if "¤" in literal:
        return _told()  # a sign could not be told from it
    read = visible_text(text) if is_html else tidied(text)
    where = "html" if is_html else "text"
    segments = _SIGN.split(read)
    seen = [int(one) for one in segments[1::2]]
    linked, is_sound, has_local = _links(text, pieces) if is_html else ([], True, False)
    return Shape(
        is_told=not is_sound
        or not read.strip()
        or bool(list(findings_in_words(where, read)))
        or is_fragile(segments[::2]),
        is_local=has_local,
        seen=_picking(seen),
        touchy=_picking([seen[one] for one in touchy(segments[::2])]),
        linked=_picking(linked),
    )


def _sign(part: FusedPart, number: int, piece: bytes) -> str:
    if id(piece) in part.literals:
        return part.literals[id(piece)].plain
    return "0-0" if type(piece) is End else f"¤{number}¤"  # no wording holds a digit


def _told() -> Shape:
    nothing = _picking([])
    return Shape(is_told=True, is_local=False, seen=nothing, touchy=nothing, linked=nothing)


def _links(html: str, pieces: Pieces) -> tuple[list[int], bool, bool]:
    """The values that are links, whether all literal ones are sound, and whether one is on a test machine."""
    linked: list[int] = []
    is_sound, has_local = True, False
    for _, _, address in links_in(html):
        if "¤" in address:
            numbers = [int(one) for one in _SIGN.findall(address)]
            guarded = all(isinstance(pieces[one], Address) for one in numbers)
            is_sound = is_sound and guarded and _SIGNED_ADDRESS.fullmatch(address) is not None
            linked += numbers
            continue
        found = UNSOUND[address.encode()]
        is_sound, has_local = is_sound and found < 2, has_local or found == 1
    return linked, is_sound, has_local


def _picking(numbers: list[int]) -> Callable[[Pieces], tuple[Any, ...]]:
    if not numbers:
        return lambda _pieces: ()
    if len(numbers) == 1:
        return lambda pieces: (pieces[numbers[0]],)
    return itemgetter(*numbers)

"""Is anything odd about a message that was rendered and encoded at once? Says what `findings_in` says.

To look at every message as a whole takes a millisecond. But all that take the same way through a template differ only
in their values. So the literal text of a way is looked at once, with signs for values in it; of each message, only its
values are, and most of these have been seen before. Whatever is in doubt, `findings_in` decides.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import lru_cache

from engine.message.encoding import Address, End
from engine.message.findings import WARN_BYTES, findings_in, findings_in_words, links_in, visible_text
from engine.message.fused_parts import OWN, FusedPart, Pieces, Written, picking
from engine.message.fusing import Encoded, Trace
from engine.message.plain_text import tidied
from engine.message.suspects import DOUBTS, UNSOUND, Doubt, is_doubtful, is_fragile, is_local, touchy
from engine.model import Finding

TEST_LINK = "ML023"  # a link that leads to a test machine: in a rehearsal, all do

_MOST_SHAPES = 2_000
_SIGN = re.compile("¤([0-9]+)¤")
_SIGNED_ADDRESS = re.compile("¤[0-9]+¤(?:[0-9]+-[0-9]+)?")  # of a counted one, the end may be literal
_WHOLE_HOST = re.compile(r"https?://[^\s/?#@]+/\S*")
_NOTHING_LEFT_OUT: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class Shape:
    """One way through a part, with what picks the values that are addresses, and those whose end matters."""

    is_told: bool  # something is odd about the literal text, or any value might make it so
    is_local: bool  # a literal link leads to a test machine
    seen: list[int]  # the values that are read
    touchy: Callable[[Pieces], tuple[str, ...]]
    linked: Callable[[Pieces], tuple[str, ...]]
    plain: list[int] = field(default_factory=list)  # the form's, for which `odd` was made
    odd: Callable[[Pieces], tuple[str, ...]] | None = None

    def doubtful(self, written: Written) -> tuple[str, ...]:
        """The values that must be looked at one by one: all that are read, where the plain ones are not beyond doubt.

        Together even those are looked at that nobody reads: that is still quicker.
        """
        form = written.form
        if form.has_markup or (form.plain and is_doubtful(form.plain_values(written.pieces))):
            return picking(self.seen)(written.pieces)
        if self.odd is None or self.plain is not form.plain:
            self.plain, self.odd = form.plain, picking([one for one in self.seen if one not in form.plain])
        return self.odd(written.pieces)


def findings_of(message: Encoded, leaving_out: Collection[str] = _NOTHING_LEFT_OUT) -> list[Finding]:
    """What is wrong with one message, as `findings_in` says of the same in words, without these codes."""
    if message.trace is not None and _is_fine(message, message.trace, TEST_LINK in leaving_out):
        return []
    return [one for one in findings_in(message.plainly()) if one.code not in leaving_out]


def _is_fine(message: Encoded, trace: Trace, may_be_local: bool) -> bool:
    return (
        len(message.html_piece) <= WARN_BYTES  # in words it is no larger
        and not is_doubtful((message.subject, message.preheader or message.subject))
        and (not trace.prefix or _is_sound_beginning(_origin(trace.prefix), may_be_local))
        and (not trace.own or _is_sound_beginning(_origin(trace.own), may_be_local))
        and _part_is_fine(trace, trace.html, True, may_be_local)
        and _part_is_fine(trace, trace.text, False, may_be_local)
    )


@lru_cache(maxsize=1024)
def _is_sound_beginning(origin: str, may_be_local: bool) -> bool:
    return _WHOLE_HOST.fullmatch(origin) is not None and (may_be_local or not is_local(origin))


def _origin(address: str) -> str:
    """The address to the slash behind its host; all of it where anything but a path stands behind that."""
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}{slash}" if path.isascii() and path.isprintable() and " " not in path else address


def _part_is_fine(trace: Trace, written: Written, is_html: bool, may_be_local: bool) -> bool:
    shapes, key = trace.fused.shapes, (is_html, written.way)
    shape = shapes.get(key)
    if shape is None:
        part = trace.fused.html if is_html else trace.fused.text
        assert part is not None
        if len(shapes) >= _MOST_SHAPES:
            shapes.clear()
        shape = shapes[key] = _shape(part, written, is_html)
    if shape.is_told or (shape.is_local and not may_be_local):
        return False
    pieces = written.pieces
    if Doubt.WORDS in map(DOUBTS.__getitem__, shape.doubtful(written)):
        return False
    if Doubt.OPEN in map(DOUBTS.__getitem__, shape.touchy(pieces)):
        return False
    unsound = set(map(UNSOUND.__getitem__, shape.linked(pieces)))
    return not unsound or unsound <= ({0, 1} if may_be_local else {0})


def _shape(part: FusedPart, written: Written, is_html: bool) -> Shape:
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
    return Shape(
        is_told=not is_sound
        or not read.strip()
        or bool(list(findings_in_words(where, read)))
        or is_fragile(segments[::2]),
        is_local=has_local,
        seen=seen,
        touchy=picking([seen[one] for one in touchy(segments[::2])]),
        linked=picking([one for one in linked if not _is_own(written, pieces[one])]),
    )


def _is_own(written: Written, piece: str) -> bool:
    """Is it one of the engine's own addresses, or the beginning of one, of which `_is_fine` has looked at the host?"""
    return type(piece) is Address and OWN in written.way and not written.form.has_markup


def _sign(part: FusedPart, number: int, piece: str) -> str:
    if id(piece) in part.literals:
        return part.literals[id(piece)].plain
    return "0-0" if type(piece) is End else f"¤{number}¤"  # no wording holds a digit


def _told() -> Shape:
    nothing = picking([])
    return Shape(is_told=True, is_local=False, seen=[], touchy=nothing, linked=nothing)


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

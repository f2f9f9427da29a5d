"""Which address stands at a link place of this message? In pieces, most of which are the same for many links."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from markupsafe import escape

from engine.message import encoding
from engine.message.dialects import Kind, NotFused
from engine.message.encoding import HELD_SOFT, SOFT, Address, End, piece
from engine.message.guards import address
from engine.message.sandbox import MOST_ROUNDS, Frame

_MOST_ROUNDS = 500  # fused; a message that goes round more often is rendered with an eye on its size
_WEB = ("https:", "http:")


class Pen:
    """Writes the addresses of one message's links, in one part."""

    __slots__ = ("_ends", "_frame", "_shown", "_soft", "_way", "click", "prefix")

    def __init__(self, frame: Frame, kind: Kind, way: list[int]) -> None:
        self._frame, self._way = frame, way
        self.click = frame.addresses.click
        self.prefix: Any = frame.addresses.counted
        self._shown, self._soft, self._ends = _PENS[kind]
        if self.prefix and kind is not Kind.WORDS:
            said = str(escape(self.prefix)) if kind is Kind.HTML else self.prefix
            self.prefix = Address(piece(said) + self._soft)

    def link(self, destination: Any, site: int) -> tuple[Any, Any]:
        """The pieces of the address at a link place, behind the guard that all addresses pass."""
        said = _checked(destination) if type(destination) is str else address(destination)
        if not said.startswith(_WEB):
            self._way.append(0)
            return self._shown[said], self._soft  # mailto and the like open no page
        return self.checked(said, site)

    def checked(self, destination: str, site: int) -> tuple[Any, Any]:
        """The same for an address that has passed."""
        seen = self._frame.seen
        occurrence = seen.get(site, 0)
        seen[site] = occurrence + 1
        if self.prefix:
            return self.prefix, self._ends[site, occurrence]
        return self._shown[self.click(site, occurrence, destination)], self._soft

    def rounds(self, items: Any) -> list[Any]:
        """The items of a loop."""
        found = self._frame.counted(items)
        if self._frame.rounds < MOST_ROUNDS - _MOST_ROUNDS:
            raise NotFused("more rounds than may be made without looking at the size")
        return found


class _Ends(dict[tuple[int, int], bytes]):
    """The end of a counted link's address, by place and round."""

    def __init__(self, soft: bytes) -> None:
        self._soft = soft

    def __missing__(self, at: tuple[int, int]) -> bytes:
        self[at] = made = End(b"%d-%d" % at + self._soft)
        return made


class _EndsInWords(dict[tuple[int, int], str]):
    """The same in words."""

    def __missing__(self, at: tuple[int, int]) -> str:
        self[at] = made = "{}-{}".format(*at)
        return made


class AsItIs(dict[str, str]):
    """A text in words is its own piece."""

    def __missing__(self, text: str) -> str:
        return text


class Guarded(dict[str, str]):
    """An address in words."""

    def __missing__(self, text: str) -> str:
        return address(text)


AS_IT_IS = AsItIs()
_PENS: Mapping[Kind, tuple[Any, Any, Any]] = {
    Kind.HTML: (encoding.SHOWN_ADDRESSES, SOFT, _Ends(SOFT)),
    Kind.TEXT: (encoding.TEXT_VALUES, HELD_SOFT, _Ends(HELD_SOFT)),
    Kind.WORDS: (AS_IT_IS, "", _EndsInWords()),
}
_checked = lru_cache(maxsize=8192)(address)

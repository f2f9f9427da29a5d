"""Which address stands at a link place of this message? In pieces, most of which are the same for many links."""

from functools import lru_cache
from typing import Any

from jinja2.runtime import Context
from markupsafe import escape

from engine.locale import money
from engine.message.dialects import Kind, NotFused
from engine.message.encoding import GUARDED, HELD_SOFT, SOFT, Address, End, own_address, piece
from engine.message.guards import address
from engine.message.sandbox import MOST_ROUNDS, Frame, LinkAddresses, Sandbox

_MOST_ROUNDS = 500  # fused; a message that goes round more often is rendered with an eye on its size
_WEB = ("https:", "http:")
_MOST_KEPT = 20_000


class Pen:
    """Writes the addresses of one message's links, in one part."""

    __slots__ = ("_ends", "_environment", "_frame", "_seen", "_soft", "_values", "_way", "click", "end", "prefix")

    def __init__(self, frame: Frame, kind: Kind, way: list[int], environment: Sandbox, values: dict[str, Any]) -> None:
        self._frame, self._way, self._seen = frame, way, frame.seen
        self._environment, self._values = environment, values
        self.click = frame.addresses.click
        self._soft, self._ends = _PENS[kind]
        self.prefix: Any = frame.addresses.counted
        if self.prefix and kind is not Kind.WORDS:
            self.prefix = _beginning(frame.addresses, kind)

    def link(self, destination: Any, site: int) -> Any:
        """The address at a link place, behind the guard that all addresses pass: its beginning; `end` is the rest."""
        if self.prefix and type(destination) is str and IS_WEB[destination]:
            seen = self._seen
            occurrence = seen.get(site, 0)
            seen[site] = occurrence + 1
            self.end = self._ends[site, occurrence]
            return self.prefix
        said = GUARDED[destination] if type(destination) is str else address(destination)
        if said.startswith(_WEB):
            return self.checked(said, site)
        self._way.append(0)
        self.end = self._soft
        return said  # mailto and the like open no page

    def once(self, destination: Any, site: int) -> Any:
        """The same where all such addresses begin alike, and this place comes once."""
        if IS_WEB[destination] if type(destination) is str else address(destination).startswith(_WEB):
            self.end = self._ends[site, 0]
            return self.prefix
        return self.link(destination, site)

    def checked(self, destination: str, site: int) -> Any:
        """The same for an address that has passed."""
        seen = self._seen
        occurrence = seen.get(site, 0)
        seen[site] = occurrence + 1
        if self.prefix:
            self.end = self._ends[site, occurrence]
            return self.prefix
        self.end = self._soft
        return self.click(site, occurrence, destination)

    def context(self) -> Context:
        """What a filter is given that asks for it; few need to be."""
        return Context(self._environment, self._values, None, {})

    def rounds(self, items: Any) -> list[Any]:
        """The items of a loop."""
        found = self._frame.counted(items)
        if self._frame.rounds < MOST_ROUNDS - _MOST_ROUNDS:
            raise NotFused("more rounds than may be made without looking at the size")
        return found


def _beginning(addresses: LinkAddresses, kind: Kind) -> Address:
    """What all counted links of a message begin with, as a piece."""
    said = addresses.counted
    if addresses.are_sound:
        made: str = own_address(said)
    else:
        made = piece(said if kind is Kind.TEXT else str(escape(said)))
    return Address(made + (HELD_SOFT if kind is Kind.TEXT else SOFT))


class _IsWeb(dict[str, bool]):
    """Does an address open a page? What may not stand in a mail raises."""

    def __missing__(self, text: str) -> bool:
        if len(self) >= _MOST_KEPT:
            self.clear()
        self[text] = found = address(text).startswith(_WEB)
        return found


class Prices(dict[float, str]):
    """Amounts as this reader writes them."""

    def __init__(self, currency: str, language: str) -> None:
        self._currency, self._language = currency, language

    def __missing__(self, amount: float) -> str:
        if len(self) >= _MOST_KEPT:
            self.clear()
        self[amount] = made = money(amount, self._currency, self._language)
        return made


@lru_cache(maxsize=64)
def prices(currency: str, language: str) -> Prices:
    """The amounts met so far, as readers of this language write them."""
    return Prices(currency, language)


class _Ends(dict[tuple[int, int], str]):
    """The end of a counted link's address, by place and round."""

    def __init__(self, soft: str) -> None:
        self._soft = soft

    def __missing__(self, at: tuple[int, int]) -> str:
        self[at] = made = End("{}-{}".format(*at) + self._soft)
        return made


class _EndsInWords(dict[tuple[int, int], str]):
    """The same in words."""

    def __missing__(self, at: tuple[int, int]) -> str:
        self[at] = made = "{}-{}".format(*at)
        return made


_PENS: dict[Kind, tuple[Any, Any]] = {
    Kind.HTML: (SOFT, _Ends(SOFT)),
    Kind.TEXT: (HELD_SOFT, _Ends(HELD_SOFT)),
    Kind.WORDS: ("", _EndsInWords()),
}
IS_WEB = _IsWeb()

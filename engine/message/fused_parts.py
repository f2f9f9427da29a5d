"""How does one part of a message come about? Its program gives literals ready made and values; these are encoded here.

Most values are one person's own, so a memory of values met before rarely helps. But nearly all are their own pieces, as
they are: this is asked of all of them at once. What is known of a way through a part, its `Form`, tells where values
stand, and at which places they are other than plain.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from jinja2.runtime import Context

from engine.message.dialects import Kind, Literal
from engine.message.encoding import GUARDED, HTML_VALUES, TEXT_VALUES, Address, Blank, Fixed, are_plain, own_address
from engine.message.pens import Pen
from engine.message.sandbox import Frame, Sandbox

_MOST_FORMS = 2_000
MARKUP = -1  # the mark of something printed that was escaped before
OWN = -2  # the mark of a message whose own addresses are known to be in order

Pieces = list[Any]
Way = tuple[tuple[int, ...], ...]  # the branches taken, by part


class Setting(NamedTuple):
    """What all programs of one message read."""

    parent: dict[str, Any]
    frame: Frame
    attribute: Callable[[str], Any]  # a contact's column as it was imported
    field: Callable[[str], Any]  # the same as templates see it
    prices: Mapping[float, str]
    is_sound: bool  # are the engine's own addresses known to be in order?


class Written(NamedTuple):
    """One part of a message: its pieces, and how it came about."""

    said: str  # the pieces as one
    pieces: Pieces
    way: tuple[int, ...]  # the branches taken
    form: "Form"


@dataclass(slots=True, kw_only=True)
class Form:
    """What is known of one way through a part: where values stand in it, and which of them are plain as a rule.

    Plain ones are looked at all together. Where one was not plain, its place is looked at by itself from then on.
    """

    has_markup: bool  # was anything printed that was escaped before?
    plain: list[int]
    plain_values: Callable[[Pieces], tuple[str, ...]]
    odd: list[int]

    def encode(self, pieces: Pieces, known: Mapping[str, str], *, escaped: bool) -> None:
        """Put the pieces of values in their places. Raises Ragged in a text part."""
        if self.plain and not are_plain(self.plain_values(pieces), escaped=escaped):
            found = {place for place in self.plain if not are_plain((pieces[place],), escaped=escaped)}
            self.odd += found
            self.plain = [place for place in self.plain if place not in found]
            self.plain_values = picking(self.plain)
        for place in self.odd:
            pieces[place] = known[pieces[place]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedPart:
    """One part as a program."""

    kind: Kind
    root: Callable[..., None]
    reads_context: bool
    has_pen: bool
    environment: Sandbox
    literals: Mapping[int, Literal]  # by the identity of the piece
    has_blanks: bool
    most_lost: int  # characters that a literal is shorter than in the plain text
    forms: dict[tuple[int, ...], Form] = field(default_factory=dict)

    def words(self, setting: Setting) -> str:
        """Run a program of words."""
        return "".join(self._run(setting, []))

    def begun(self, setting: Setting) -> tuple[Pieces, list[int]]:
        """Run it: the pieces, values still in words, and the branches taken."""
        way = [OWN] if setting.is_sound else []
        return self._run(setting, way), way

    def written(self, pieces: Pieces, way: list[int]) -> Written:
        """Encode the values of what was begun. Raises Ragged in a text part."""
        taken = tuple(way)
        form = self.forms.get(taken) or self._form(taken, pieces)
        is_html = self.kind is Kind.HTML
        form.encode(pieces, HTML_VALUES if is_html else TEXT_VALUES, escaped=is_html)
        if self.has_blanks:
            return Written("".join(_without_edges(pieces)), pieces, taken, form)
        return Written("".join(pieces), pieces, taken, form)

    def _run(self, setting: Setting, way: list[int]) -> Pieces:
        pieces: Pieces = []
        parent = setting.parent
        context = Context(self.environment, parent, None, {}) if self.reads_context else None
        pen = Pen(setting.frame, self.kind, way, self.environment, parent) if self.has_pen else None
        prefix = pen.prefix if pen else ""
        own = GUARDED.__getitem__ if not setting.is_sound else own_address if self.kind is not Kind.WORDS else str
        known = setting.attribute, setting.field, setting.prices
        self.root(context, parent.get, pieces, way.append, prefix, pen, *known, own)
        return pieces

    def _form(self, way: tuple[int, ...], pieces: Pieces) -> Form:
        places = [number for number, one in enumerate(pieces) if not isinstance(one, Fixed | Address)]
        if len(self.forms) >= _MOST_FORMS:
            self.forms.clear()
        self.forms[way] = form = Form(has_markup=MARKUP in way, plain=places, plain_values=picking(places), odd=[])
        return form


def picking(numbers: Sequence[int]) -> Callable[[Pieces], tuple[Any, ...]]:
    """Gives the pieces with these numbers."""
    if not numbers:
        return lambda _pieces: ()
    if len(numbers) == 1:
        return lambda pieces: (pieces[numbers[0]],)
    return itemgetter(*numbers)


def _without_edges(pieces: Pieces) -> Pieces:
    """The pieces without the blanks beside line ends, as `tidied` wants it."""
    kept: Pieces = []
    held: Pieces = []  # blanks, until it is known what follows them
    for one in pieces:
        if type(one) is Blank:
            held.append(one)
            continue
        if held:
            if not one.startswith("\r\n") and kept and not kept[-1].endswith("\r\n"):
                kept += held
            held = []
        kept.append(one)
    return kept

"""What stands where in an MJML source? Tags, attributes, comments and enclosing elements, each with its place.

Reads the source with its Jinja tokens masked, so that all positions are positions in the flattened text. Refuses what
the MJML compiler would refuse with a poorer message, or none: bare `<`, attributes without quotes, elements that cross.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import BadTemplate
from engine.message.mjml_tags import PLAIN_TEXT, VOID
from engine.message.sources import Source
from engine.message.tokens import MASK

_ATTRIBUTE = rf"""[^\s"'<>/={MASK}]+(?:\s*=\s*(?:"[^"]*"|'[^']*'))?"""
_TAG = rf"""<(?P<opening>[a-zA-Z][\w:-]*)(?P<attributes>(?:\s+{_ATTRIBUTE}|\s*{MASK}+)*)\s*(?P<empty>/?)>"""
_OPENING = re.compile(_TAG, re.DOTALL)
_PIECE = re.compile(
    rf"""<!--.*?-->
    |</(?P<closing>[a-zA-Z][\w:-]*)\s*>
    |{_TAG}
    |<""",
    re.DOTALL | re.VERBOSE,
)
_ONE_ATTRIBUTE = re.compile(r"""(?P<name>[^\s"'<>/=]+)(?:\s*=\s*(?P<value>"[^"]*"|'[^']*'))?""", re.DOTALL)
_RAW = frozenset(["mj-style", "style", "script"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """An attribute; `start` and `end` bound its value within the quotes, `name_start` and `whole_end` all of it."""

    name: str
    value: str  # as written, tokens masked
    name_start: int
    start: int
    end: int
    whole_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """An element: its opening tag stands in start..content_start, its content in content_start..content_end."""

    name: str
    parent: str
    start: int
    content_start: int
    content_end: int
    end: int
    attributes: tuple[Attribute, ...]

    @property
    def after_name(self) -> int:
        """Where a further attribute can be put."""
        return self.start + 1 + len(self.name)

    def attribute(self, name: str) -> Attribute | None:
        """The attribute of this name."""
        return next((one for one in self.attributes if one.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Markup:
    """All elements in the order of their opening tags, the comments, and what encloses what."""

    elements: tuple[Element, ...]
    comments: tuple[tuple[int, int], ...]
    turns: tuple[tuple[int, str], ...]  # from this position on, this element encloses the text
    outlook: tuple[Attribute, ...]  # attributes within conditional comments, whose elements need not be balanced

    def first(self, name: str) -> Element | None:
        """The first element of this name."""
        return next((one for one in self.elements if one.name == name), None)

    def enclosing(self, position: int) -> str:
        """The innermost element round a position in text; empty outside all of them."""
        index = bisect_right(self.turns, position, key=lambda one: one[0]) - 1
        return self.turns[index][1] if index >= 0 else ""

    def is_comment(self, position: int) -> bool:
        """Does the position lie in a comment?"""
        return _within(self.comments, position)

    def is_tag(self, position: int) -> bool:
        """Does the position lie in an opening tag, attributes included?"""
        index = bisect_right(self.elements, position, key=lambda one: one.start) - 1
        return index >= 0 and position < self.elements[index].content_start

    def is_plain_text(self, position: int) -> bool:
        """Does the position lie where no comment can stand?"""
        return self.enclosing(position) in PLAIN_TEXT


def scan(text: str, source: Source) -> Markup:
    """Read a masked MJML source; raises BadTemplate with file:line:col."""
    reader = _Reader(text, source)
    position = 0
    while match := _PIECE.search(text, position):
        position = reader.take(match)
    return reader.result()


class _Reader:
    """The open elements while the source is read from front to back."""

    def __init__(self, text: str, source: Source) -> None:
        self._text, self._source = text, source
        self._open: list[tuple[str, int, int, tuple[Attribute, ...], int]] = []
        self._elements: dict[int, Element] = {}
        self._comments: list[tuple[int, int]] = []
        self._turns: list[tuple[int, str]] = []
        self._outlook: list[Attribute] = []

    def take(self, match: re.Match[str]) -> int:
        """Note one piece; the position to go on from."""
        if match["closing"]:
            self._close(match)
        elif match["opening"]:
            return self._opened(match)
        elif match[0] == "<":
            raise self._fault(match.start(), self._told(match.start()))
        else:
            self._comments.append(match.span())
            for tag in _OPENING.finditer(self._text, *match.span()):
                self._outlook += self._attributes(tag)
        return match.end()

    def result(self) -> Markup:
        """What was read, once nothing is left open."""
        if self._open:
            name, start, *_ = self._open[-1]
            raise self._fault(start, f"<{name}> is never closed")
        elements = tuple(self._elements[start] for start in sorted(self._elements))
        return Markup(
            elements=elements, comments=tuple(self._comments), turns=tuple(self._turns), outlook=tuple(self._outlook)
        )

    def _opened(self, match: re.Match[str]) -> int:
        name, attributes = match["opening"], self._attributes(match)
        parent = self._open[-1][0] if self._open else ""
        end = match.end()
        if match["empty"] or name.lower() in VOID:
            self._elements[match.start()] = Element(
                name=name,
                parent=parent,
                start=match.start(),
                content_start=end,
                content_end=end,
                end=end,
                attributes=attributes,
            )
            return end
        self._open.append((name, match.start(), end, attributes, len(self._open)))
        self._turns.append((end, name))
        if name in _RAW:  # a style sheet is no mark-up
            closing = self._text.find(f"</{name}", end)
            return closing if closing >= 0 else len(self._text)
        return end

    def _close(self, match: re.Match[str]) -> None:
        name = match["closing"]
        if not self._open or self._open[-1][0] != name:
            if not self._open:
                raise self._fault(match.start(), f"</{name}> closes nothing")
            inner, start, *_ = self._open[-1]
            raise self._fault(
                match.start(), f"</{name}> stands where <{inner}> of {self._source.place(start)} must be closed"
            )
        _, start, content_start, attributes, _ = self._open.pop()
        parent = self._open[-1][0] if self._open else ""
        self._turns.append((match.end(), parent))
        self._elements[start] = Element(
            name=name,
            parent=parent,
            start=start,
            content_start=content_start,
            content_end=match.start(),
            end=match.end(),
            attributes=attributes,
        )

    def _attributes(self, match: re.Match[str]) -> tuple[Attribute, ...]:
        found: list[Attribute] = []
        base = match.start("attributes")
        for one in _ONE_ATTRIBUTE.finditer(match["attributes"]):
            if MASK in one["name"]:
                token = self._text[base + one.start() : base + one.end()]
                raise self._fault(
                    base + one.start() + token.index(MASK),
                    "no Jinja may stand in a tag outside of an attribute's value",
                )
            value = one["value"] or '""'
            start = base + (one.start("value") + 1 if one["value"] is not None else one.end())
            if any(one["name"] == other.name for other in found):
                raise self._fault(
                    base + one.start(), f"the attribute {one['name']!r} stands twice in <{match['opening']}>"
                )
            found.append(
                Attribute(
                    name=one["name"],
                    value=value[1:-1],
                    name_start=base + one.start(),
                    start=start,
                    end=start + len(value) - 2,
                    whole_end=base + one.end(),
                )
            )
        return tuple(found)

    def _told(self, position: int) -> str:
        tag = re.match(r"</?([a-zA-Z][\w:-]*)", self._text[position:])
        if tag is None:
            return "a bare '<' in text; write &lt;"
        return f"the tag <{tag[1]}> is not well formed: every attribute needs quotes, every quote its partner"

    def _fault(self, position: int, what: str) -> BadTemplate:
        return BadTemplate(f"{self._source.place(position)}: {what}")


def _within(spans: Sequence[tuple[int, int]], position: int) -> bool:
    index = bisect_right(spans, position, key=lambda one: one[0]) - 1
    return index >= 0 and position < spans[index][1]

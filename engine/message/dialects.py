"""What can be fused, and into what? The kinds of parts, their pieces, and what their trees may hold."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from jinja2 import nodes

from engine.message.encoding import HELD_SOFT, SOFT

# Whatever captures what was written, to write it again, would see encoded text.
_UNKNOWN = (
    nodes.Macro,
    nodes.CallBlock,
    nodes.FilterBlock,
    nodes.AssignBlock,
    nodes.Block,
    nodes.Extends,
    nodes.Include,
    nodes.Import,
    nodes.FromImport,
    nodes.ImportedName,
    nodes.EvalContextModifier,
    nodes.ScopedEvalContextModifier,
    nodes.OverlayScope,
    nodes.ExtensionAttribute,
    nodes.EnvironmentAttribute,
)
_LINE_ENDS = re.compile(r"[^\S\n]*\n[^\S\n]*")
_GAPS = re.compile(r"\n{3,}")


class NotFused(ValueError):
    """This template, or this message, takes the plain path."""


class Kind(StrEnum):
    """What a part's literals are; values are words until they are encoded, all of a message together."""

    HTML = "html"  # encoded; values will be escaped
    TEXT = "text"  # encoded, and tidied as far as literals go
    WORDS = "words"  # as they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a part is written."""

    kind: Kind
    is_counted: bool  # do tracked links all begin alike, with the message's own prefix?
    repeated: frozenset[int]  # link places that may come more than once

    @property
    def is_encoded(self) -> bool:
        """Do pieces begin and end in the first column?"""
        return self.kind is not Kind.WORDS

    @property
    def soft(self) -> str:
        """A soft break between pieces."""
        return HELD_SOFT if self.kind is Kind.TEXT else SOFT

    def value(self, code: str) -> str:
        """The code of a value: as it is where it is plain text, else as a slower function shows it."""
        return f"(_t if type(_t := {code}) is str else {self.shown('_t')})"

    def shown(self, code: str) -> str:
        """The code that shows a value of any kind. What is escaped already is a piece, and leaves a mark."""
        return f"shown({code}, mark)" if self.kind is Kind.HTML else f"str({code})"


@dataclass(frozen=True, slots=True)
class Literal:
    """A piece that is the same in every message: as it goes out, and as it would be in the plain text."""

    made: str
    plain: str


def tidied_stretch(text: str) -> str:
    """A part of a text without what `tidied` takes out of any text that it is part of."""
    return _GAPS.sub("\n\n", _LINE_ENDS.sub("\n", text))


def fusable(tree: nodes.Template) -> bool:
    """Does this compiler know all that stands in the template?"""
    names = {one.name for one in tree.find_all(nodes.Name)}
    recursive = any(loop.recursive for loop in tree.find_all(nodes.For))
    return (
        not recursive
        and next(tree.find_all(_UNKNOWN), None) is None
        and not names & {"self", "super", "caller", "varargs", "kwargs"}
    )


def repeated_sites(trees: Iterable[nodes.Template]) -> frozenset[int]:
    """The link places that one message may hold more than once: in loops, or written twice."""
    count: Counter[Any] = Counter()
    for tree in trees:
        count.update(map(_site, _links(tree)))
        for loop in tree.find_all(nodes.For):
            count.update(2 * list(map(_site, _links(loop))))
    return frozenset(site for site, times in count.items() if times > 1)


def _links(tree: nodes.Node) -> list[nodes.Filter]:
    return [one for one in tree.find_all(nodes.Filter) if one.name == "_link"]


def _site(link: nodes.Filter) -> Any:
    return link.args[0].value if link.args and isinstance(link.args[0], nodes.Const) else None

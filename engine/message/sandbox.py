"""What may a template do while it runs? Jinja's sandbox, narrowed to our own values, with everything bounded.

Template authors are trusted with words, not with the machine: no methods, no text times a number, loops and texts with
an end. Jinja's own sandbox stops none of these: `'a' * 10**10` has killed a process.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import StrictUndefined, Template, nodes, pass_context
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape

from engine.clock import parse_duration
from engine.errors import RenderFailed
from engine.message.catalog import filled
from engine.message.filters import FILTERS, bounded, counted_range
from engine.message.guards import WEB, address, address_part, bounded_operation, style_address, style_value
from engine.model import frozen
from engine.rules import Missing, prepare, seen

MOST_ROUNDS = 10_000
_NO_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)

# What has members beside our own objects: `loop`, a Missing card, `attributes`.
_MEMBERS = (Missing, LoopContext, type(seen({}, "attributes")))


class SkipMessage(RenderFailed):
    """The template itself decided that this contact gets no message: `{{ skip("no recent order") }}`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"skipped by the template: {reason}")
        self.reason = reason


@frozen
class LinkAddresses:
    """The addresses of one message's links. `click` gets the place, the round of its loop and the destination."""

    unsubscribe: str
    preferences: str
    view: str = ""  # empty: the message can't be looked at in a browser
    click: Callable[[int, int, str], str] = field(default=lambda _site, _occurrence, destination: destination)
    pixel_url: str | None = None
    are_sound: bool = False  # do all but clicks' destinations stand in a mail as they are? Who made them has looked
    counted: str = ""  # where set, `click` isn't asked: a counted link's address is this and PLACE-ROUND

    def counted_at(self, site: int, occurrence: int, destination: str) -> str:
        """The address that stands at a link place in one round of its loop."""
        if self.counted:
            return f"{self.counted}{site}-{occurrence}"
        return self.click(site, occurrence, destination)


# For a try whose result nobody reads.
PLAIN_ADDRESSES = LinkAddresses(
    unsubscribe="https://localhost/u", preferences="https://localhost/p", view="https://localhost/v"
)


@dataclass(slots=True, kw_only=True)
class Frame:
    """What one rendering keeps in mind: the reader's language, the links counted, the rounds left."""

    language: str
    currency: str
    timezone: str
    at: datetime
    addresses: LinkAddresses
    rounds: int = MOST_ROUNDS
    seen: dict[int, int] = field(default_factory=dict)

    def address_of(self, site: int, destination: str) -> str:
        """The address that stands at a link place, in this round of its loop."""
        occurrence = self.seen.get(site, 0)
        self.seen[site] = occurrence + 1
        return self.addresses.counted_at(site, occurrence, destination)

    def counted(self, items: Iterable[Any]) -> list[Any]:
        """The items of a loop, counted: all loops of a message together have so many rounds."""
        found = list(items)
        self.rounds -= len(found)
        if self.rounds < 0:
            raise RenderFailed(f"the loops of this message go round more than {MOST_ROUNDS} times")
        return found


@lru_cache(maxsize=16)
def sandbox(autoescape: bool, timezone: str) -> "Sandbox":
    """The environment of HTML parts (`autoescape`) or of texts, in the shop's time zone."""
    environment = Sandbox(autoescape=autoescape)
    prepare(environment, _NO_MOMENT, ZoneInfo(timezone))
    environment.globals["ago"] = _ago  # so that one program serves all moments
    for operator in ("+", "*", "**", "%"):
        environment.binop_table[operator] = _bounded(operator, environment.binop_table[operator])
    return environment


def _bounded(operator: str, operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def within_bounds(left: Any, right: Any) -> Any:
        bounded_operation(operator, left, right)
        return operation(left, right)

    return within_bounds


def program(environment: "Sandbox", source: str) -> Template:
    """A source as Python, its loops counted and its texts watched."""
    code = environment.compile(bounded_tree(environment, source), filename="<template>")
    return Template.from_code(environment, code, environment.make_globals(None))


def bounded_tree(environment: "Sandbox", source: str) -> nodes.Template:
    """A source as Jinja understands it, with all that bounds it while it runs."""
    tree = environment.parse(source)
    for loop in tree.find_all(nodes.For):
        loop.iter = nodes.Filter(loop.iter, "_rounds", [], [], None, None, lineno=loop.iter.lineno)
    _bound_joins(tree)
    return tree


def _bound_joins(node: nodes.Node) -> None:
    """`a ~ b` as a filter, so that its length can be watched; Jinja's own can't be intercepted."""
    for name, value in node.iter_fields():
        if isinstance(value, list):
            setattr(node, name, [_as_filter(item) for item in value])
        elif isinstance(value, nodes.Node):
            setattr(node, name, _as_filter(value))


def _as_filter(node: Any) -> Any:
    if not isinstance(node, nodes.Node):
        return node
    _bound_joins(node)
    if not isinstance(node, nodes.Concat):
        return node
    first, *others = node.nodes
    return nodes.Filter(first, "_joined", others, [], None, None, lineno=node.lineno)


class Sandbox(SandboxedEnvironment):
    """The sandbox of the run pass: fields of our own values only, no methods."""

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(autoescape=autoescape, undefined=StrictUndefined, keep_trailing_newline=True, cache_size=0)
        said = escape if autoescape else str
        self.filters = {
            **FILTERS,
            "_part": address_part,
            "_style": style_value,
            "_style_url": lambda value: said(style_address(value)),
            "_sheet_url": lambda value: Markup(style_address(value)),  # a style sheet knows no entities
            "_address": lambda value: said(address(value)),
            "_link": _escaped_link if autoescape else _link,
            "_rounds": _rounds,
            "_joined": _joined,
        }
        self.globals = {"_": _said, "range": counted_range, "skip": _skip}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A field of ours; anything else is unknown."""
        if type(obj) is dict or isinstance(obj, Mapping):  # the first question is the cheap one
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, _MEMBERS) or type(obj).__name__ == "Attributes":
            return super().getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item by number or slice, a field by name."""
        return self.getattr(obj, argument) if isinstance(argument, str) else super().getitem(obj, argument)


def _said(text: str, **values: Any) -> str:
    return filled(text, values, _shown)


def _shown(_name: str, value: Any) -> str:
    return str(value)  # a Missing or unknown value raises here


@pass_context
def _ago(context: Context, text: str) -> datetime:
    frame: Frame = context.parent["_frame"]
    return frame.at - parse_duration(text)


def _skip(reason: Any = "") -> str:
    raise SkipMessage(str(reason))


def _joined(*parts: Any) -> str:
    texts = [str(part) for part in parts]
    return bounded("".join(texts), sum(map(len, texts)))


@pass_context
def _rounds(context: Context, items: Iterable[Any]) -> list[Any]:
    frame: Frame = context.parent["_frame"]
    return frame.counted(items)


@pass_context
def _link(context: Context, destination: Any, site: int) -> str:
    frame: Frame = context.parent["_frame"]
    checked = address(destination)
    if checked.partition(":")[0] not in WEB:
        return checked  # mailto and the like open no page
    return frame.address_of(site, checked)


@pass_context
def _escaped_link(context: Context, destination: Any, site: int) -> Markup:
    return escape(_link(context, destination, site))

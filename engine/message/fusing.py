"""How does a contact's message become encoded bytes in one go? Rendering and transfer encoding as a single step.

What the bytes decode to is what `render` gives, exactly. Where the fused programs can't, or anything goes wrong in
them, `render` itself is asked, and what it says or raises counts: so faults and limits are the same by construction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from jinja2 import TemplateError, nodes
from markupsafe import escape

from engine.message.compiled import CompiledTemplate, Part
from engine.message.dialects import Dialect, Kind, NotFused, fusable, repeated_sites
from engine.message.encoding import (
    GUARDED,
    HELD_SOFT,
    Address,
    Blank,
    Ragged,
    piece,
    quoted_printable,
)
from engine.message.fused_parts import MARKUP, FusedPart, Setting, Way, Written
from engine.message.generating import generated
from engine.message.guards import address
from engine.message.pens import prices
from engine.message.plain_text import tidied
from engine.message.rendering import (
    FAULTS,
    LARGEST_OUTPUT,
    LONGEST_SUBJECT,
    Rendered,
    programs,
    render,
    run,
    values_of,
)
from engine.message.sandbox import LinkAddresses, Sandbox, bounded_tree, sandbox
from engine.model import frozen
from engine.rules import seen

_NOTHING: dict[str, Any] = {}
_ATTRIBUTES = type(seen({}, "attributes"))


@frozen
class Encoded:
    """One contact's message, its parts in quoted-printable."""

    subject: str
    preheader: str
    html_piece: str
    text_piece: str
    is_relaxed: bool  # are html and text already what DKIM calls relaxed?
    trace: "Trace | None"  # how it came about; None where it was encoded as a whole
    plainly: Callable[[], Rendered] = field(repr=False)  # the same message in words

    @property
    def html(self) -> bytes:
        """The HTML part."""
        return self.html_piece.encode()

    @property
    def way(self) -> Way:
        """The branches taken in each part: of two messages with the same, only values differ. Empty: not known."""
        return (self.trace.html.way, self.trace.text.way) if self.trace else ()

    @property
    def text(self) -> bytes:
        """The text part."""
        return self.text_piece.encode()


class Trace(NamedTuple):
    """A message's parts, what all its counted links begin with, and one of its own addresses."""

    fused: "Fused"
    html: Written
    text: Written
    prefix: str
    own: str  # an address of the engine's own, where these are known to be in order


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """A template's parts; None where a part must take the plain path."""

    template: CompiledTemplate
    html: FusedPart | None
    text: FusedPart | None
    words: FusedPart | None  # the text part once more, for values that are not encoded one by one
    subject: FusedPart | None
    preheader: FusedPart | None
    shapes: dict[Any, Any] = field(default_factory=dict)  # kept by `shapes`: what is known of a way through a part


def render_mail(template: CompiledTemplate, context: Mapping[str, Any], addresses: LinkAddresses) -> Encoded:
    """One contact's message, encoded; raises what `render` raises."""

    def plainly() -> Rendered:
        return render(template, context, addresses)

    try:
        return _fused_mail(_fused(template, bool(addresses.counted)), context, addresses, plainly)
    except FAULTS:  # among them NotFused and TooLong
        return encoded(plainly())


def encoded(rendered: Rendered) -> Encoded:
    """A message that was rendered before."""
    return Encoded(
        subject=rendered.subject,
        preheader=rendered.preheader,
        html_piece=quoted_printable(rendered.html).decode(),
        text_piece=quoted_printable(rendered.text).decode(),
        is_relaxed=False,
        trace=None,
        plainly=lambda: rendered,
    )


def _fused_mail(
    fused: Fused, context: Mapping[str, Any], addresses: LinkAddresses, plainly: Callable[[], Rendered]
) -> Encoded:
    """The parts in the order of `render`, so that rounds and links are counted alike."""
    if "_" in context:
        raise NotFused("a value hides the engine's own `_`")
    template = fused.template
    values = values_of(template, context, addresses)
    attributes = context.get("attributes", _NOTHING)
    setting = Setting(
        {**sandbox(True, template.timezone).globals, **values},
        values["_frame"],
        attributes.get if type(attributes) is dict else _NOTHING.get,
        _fields_of(values.get("attributes")),
        prices(template.currency, template.language),
        addresses.are_sound,
    )
    subject = _in_one_line(template, "subject", fused.subject, setting, values)
    if len(subject) > LONGEST_SUBJECT:
        raise NotFused("a subject that is refused")
    preheader = _in_one_line(template, "preheader", fused.preheader, setting, values)
    html = _html(fused, setting, values)
    text, text_written = _text(fused, setting, values)
    trace = None
    if isinstance(html, Written) and text_written is not None:
        own = addresses.unsubscribe if addresses.are_sound else ""
        trace = Trace(fused, html, text_written, addresses.counted, own)
    return Encoded(
        subject=subject,
        preheader=preheader,
        html_piece=html.said if isinstance(html, Written) else html,
        text_piece=text,
        is_relaxed=trace is not None,
        trace=trace,
        plainly=plainly,
    )


def _fields_of(attributes: Any) -> Callable[[str], Any]:
    if type(attributes) is _ATTRIBUTES:
        columns: Callable[[str], Any] = attributes.__getitem__
        return columns
    return _not_an_attribute


def _not_an_attribute(name: str) -> Any:
    raise NotFused(f"attributes.{name} of something that has none")


def _in_one_line(
    template: CompiledTemplate, name: str, one: FusedPart | None, setting: Setting, values: dict[str, Any]
) -> str:
    part: Part = getattr(template, name)
    if "{" not in part.source:
        return " ".join(part.source.split())
    if one is None:
        return " ".join(run(getattr(programs(template), name), part, values).split())
    return " ".join(one.words(setting).split())


def _html(fused: Fused, setting: Setting, values: dict[str, Any]) -> Written | str:
    template = fused.template
    if fused.html is None:
        return quoted_printable(run(programs(template).html, template.html, values)).decode()
    found = fused.html.written(setting)
    # No character takes less than an octet, so what is within the limit here is within it in words.
    if len(found.said) > LARGEST_OUTPUT:
        raise NotFused("a message that may be too large")
    return found


def _text(fused: Fused, setting: Setting, values: dict[str, Any]) -> tuple[str, Written | None]:
    template, frame = fused.template, setting.frame
    if fused.text is None or fused.words is None:
        return quoted_printable(tidied(run(programs(template).text, template.text, values))).decode(), None
    rounds, counted = frame.rounds, dict(frame.seen)
    try:
        found = fused.text.written(setting)
    except Ragged:
        frame.rounds, frame.seen = rounds, counted
        words = fused.words.words(setting)
        if len(words) > LARGEST_OUTPUT:
            raise NotFused("a message that may be too large") from None
        return quoted_printable(tidied(words)).decode(), None
    if len(found.said) + len(found.pieces) * fused.text.most_lost > LARGEST_OUTPUT:
        raise NotFused("a message that may be too large")
    return tidied_pieces(found.said), found if found.said else None


def tidied_pieces(text: str) -> str:
    """As `tidied`, when no line has blanks round it: no row of empty lines, one line end behind it all."""
    while "\r\n\r\n\r\n" in text:
        text = text.replace("\r\n\r\n\r\n", "\r\n\r\n")
    text = text.strip("\r\n")
    while text.endswith(HELD_SOFT):
        text = text[: -len(HELD_SOFT)].rstrip("\r\n")
    return f"{text}\r\n".replace("\0", "\r\n")


# ---------------------------------------------------------------- programs


@lru_cache(maxsize=64)
def _fused(template: CompiledTemplate, is_counted: bool) -> Fused:
    """The template's parts as fused programs. A source that is no template raises what `render` would."""
    escaping, plain = (sandbox(autoescape, template.timezone) for autoescape in (True, False))
    parts = {
        "html": (escaping, template.html),
        "text": (plain, template.text),
        "subject": (plain, template.subject),
        "preheader": (plain, template.preheader),
    }
    trees = {name: bounded_tree(environment, part.source) for name, (environment, part) in parts.items()}
    repeated = repeated_sites(trees.values())

    def made(name: str, kind: Kind) -> FusedPart | None:
        environment, part = parts[name]
        tree = trees[name] if kind is not Kind.WORDS else bounded_tree(environment, part.source)
        return _part(tree, environment, Dialect(kind=kind, is_counted=is_counted, repeated=repeated))

    return Fused(
        template=template,
        html=made("html", Kind.HTML),
        text=made("text", Kind.TEXT),
        words=made("text", Kind.WORDS),
        subject=made("subject", Kind.WORDS),
        preheader=made("preheader", Kind.WORDS),
    )


def _part(tree: nodes.Template, environment: Sandbox, dialect: Dialect) -> FusedPart | None:
    if not fusable(tree):
        return None
    try:
        source, generator = generated(tree, environment, dialect)
    except (NotFused, TemplateError):
        return None
    namespace: dict[str, Any] = {
        "environment": environment,
        "GUARDED": GUARDED,
        "address": address,
        "shown": _shown_in_html,
        **{f"K{number}": one.made for number, one in enumerate(generator.literals)},
    }
    exec(compile(source, "<fused>", "exec"), namespace)
    return FusedPart(
        kind=dialect.kind,
        root=namespace["root"],
        reads_context="context" in source.partition("):")[2],
        environment=environment,
        literals={id(one.made): one for one in generator.literals},
        has_blanks=any(type(one.made) is Blank for one in generator.literals),
        most_lost=generator.most_lost,
    )


def _shown_in_html(value: Any, mark: Callable[[int], None]) -> str:
    """What Jinja's `escape` makes of a value that is no plain text: words to be escaped, or a piece that has been."""
    if hasattr(value, "__html__"):
        mark(MARKUP)
        return Address(piece(str(escape(value))))
    return str(value)

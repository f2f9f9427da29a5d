"""How does a contact's message become encoded bytes in one go? Rendering and transfer encoding as a single step.

What the bytes decode to is what `render` gives, exactly. Where the fused programs can't, or anything goes wrong in
them, `render` itself is asked, and what it says or raises counts: so faults and limits are the same by construction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.runtime import Context
from markupsafe import escape

from engine.message import encoding
from engine.message.compiled import CompiledTemplate, Part
from engine.message.dialects import Dialect, Kind, Literal, NotFused, fusable, repeated_sites
from engine.message.encoding import HELD_SOFT, Blank, Ragged, piece, quoted_printable
from engine.message.generating import generated
from engine.message.guards import address
from engine.message.pens import AS_IT_IS, Guarded, Pen
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
from engine.message.sandbox import Frame, LinkAddresses, Sandbox, bounded_tree, sandbox

_NOTHING: dict[str, Any] = {}

Pieces = list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """One contact's message, its parts in quoted-printable."""

    subject: str
    preheader: str
    html_pieces: Pieces  # not joined: whoever makes a mail of them joins them with the rest, once
    text: bytes
    is_relaxed: bool  # are html and text already what DKIM calls relaxed?
    trace: "Trace | None"  # how it came about; None where it was encoded as a whole
    plainly: Callable[[], Rendered] = field(repr=False)  # the same message in words

    @property
    def html(self) -> bytes:
        """The HTML part."""
        return b"".join(self.html_pieces)


@dataclass(frozen=True, slots=True)
class Trace:
    """The pieces of a message and the way through its template."""

    fused: "Fused"
    html: Pieces
    html_way: list[int]
    text: Pieces
    text_way: list[int]
    prefix: str  # of all counted links


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedPart:
    """One part as a program."""

    kind: Kind
    root: Callable[..., None]
    reads_context: bool
    environment: Sandbox
    literals: Mapping[int, Literal]  # by the identity of the piece
    has_blanks: bool
    most_lost: int  # characters that a literal is shorter than in the plain text

    def pieces(self, parent: dict[str, Any], frame: Frame, attribute: Callable[[str], Any]) -> tuple[Pieces, list[int]]:
        """Run it: the pieces, and the branches taken."""
        out: Pieces = []
        way: list[int] = []
        context = Context(self.environment, parent, None, {}) if self.reads_context else None
        pen = Pen(frame, self.kind, way)
        self.root(context, parent.get, out, way.append, pen.prefix, pen, pen.rounds, attribute)
        return out, way


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
        html_pieces=[quoted_printable(rendered.html)],
        text=quoted_printable(rendered.text),
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
    parent = {**sandbox(True, template.timezone).globals, **values}
    attributes = context.get("attributes", _NOTHING)
    attribute = attributes.get if type(attributes) is dict else _NOTHING.get
    frame: Frame = values["_frame"]

    def in_one_line(part: Part, one: FusedPart | None, name: str) -> str:
        if "{" not in part.source:
            return " ".join(part.source.split())
        if one is None:
            return " ".join(run(getattr(programs(template), name), part, values).split())
        return " ".join("".join(one.pieces(parent, frame, attribute)[0]).split())

    subject = in_one_line(template.subject, fused.subject, "subject")
    if len(subject) > LONGEST_SUBJECT:
        raise NotFused("a subject that is refused")
    preheader = in_one_line(template.preheader, fused.preheader, "preheader")
    html, html_way = _html(fused, parent, frame, attribute, values)
    text, text_pieces, text_way = _text(fused, parent, frame, attribute, values)
    is_traced = fused.html is not None and bool(text_pieces)
    return Encoded(
        subject=subject,
        preheader=preheader,
        html_pieces=html,
        text=text,
        is_relaxed=is_traced,
        trace=Trace(fused, html, html_way, text_pieces, text_way, addresses.counted) if is_traced else None,
        plainly=plainly,
    )


def _html(
    fused: Fused, parent: dict[str, Any], frame: Frame, attribute: Callable[[str], Any], values: dict[str, Any]
) -> tuple[Pieces, list[int]]:
    template = fused.template
    if fused.html is None:
        return [quoted_printable(run(programs(template).html, template.html, values))], []
    pieces, way = fused.html.pieces(parent, frame, attribute)
    # No character takes less than an octet, so what is within the limit here is within it in words.
    if sum(map(len, pieces)) > LARGEST_OUTPUT:
        raise NotFused("a message that may be too large")
    return pieces, way


def _text(
    fused: Fused, parent: dict[str, Any], frame: Frame, attribute: Callable[[str], Any], values: dict[str, Any]
) -> tuple[bytes, Pieces, list[int]]:
    template = fused.template
    if fused.text is None or fused.words is None:
        return quoted_printable(tidied(run(programs(template).text, template.text, values))), [], []
    rounds, seen = frame.rounds, dict(frame.seen)
    try:
        pieces, way = fused.text.pieces(parent, frame, attribute)
    except Ragged:
        frame.rounds, frame.seen = rounds, seen
        words = "".join(fused.words.pieces(parent, frame, attribute)[0])
        if len(words) > LARGEST_OUTPUT:
            raise NotFused("a message that may be too large") from None
        return quoted_printable(tidied(words)), [], []
    if fused.text.has_blanks:
        pieces = _without_edges(pieces)
    text = b"".join(pieces)
    if len(text) + len(pieces) * fused.text.most_lost > LARGEST_OUTPUT:
        raise NotFused("a message that may be too large")
    return tidied_pieces(text), pieces, way


def _without_edges(pieces: Pieces) -> Pieces:
    """The pieces without the blanks beside line ends, as `tidied` wants it."""
    kept: Pieces = []
    held: Pieces = []  # blanks, until it is known what follows them
    for one in pieces:
        if type(one) is Blank:
            held.append(one)
            continue
        if held:
            if not one.startswith(b"\r\n") and kept and not kept[-1].endswith(b"\r\n"):
                kept += held
            held = []
        kept.append(one)
    return kept


def tidied_pieces(text: bytes) -> bytes:
    """As `tidied`, when no line has blanks round it: no row of empty lines, one line end behind it all."""
    while b"\r\n\r\n\r\n" in text:
        text = text.replace(b"\r\n\r\n\r\n", b"\r\n\r\n")
    text = text.strip(b"\r\n")
    while text.endswith(HELD_SOFT):
        text = text[: -len(HELD_SOFT)].rstrip(b"\r\n")
    return text.replace(b"\0", b"\r\n") + b"\r\n"


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
        **_NAMES[dialect.kind],
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


def _shown_in_html(value: Any) -> bytes:
    """What Jinja's `escape` makes of a value that is no plain text, as a piece."""
    return piece(str(escape(value))) if hasattr(value, "__html__") else encoding.HTML_VALUES[str(value)]


# What the programs of each kind know beside their literals.
_NAMES: Mapping[Kind, Mapping[str, Any]] = {
    Kind.HTML: {
        "VALUES": encoding.HTML_VALUES,
        "ADDRESSES": encoding.HTML_ADDRESSES,
        "SHOWN_ADDRESSES": encoding.SHOWN_ADDRESSES,
        "shown": _shown_in_html,
        "as_text": lambda value: encoding.HTML_VALUES[str(value)],
        "address_of": lambda value: encoding.SHOWN_ADDRESSES[address(value)],
    },
    Kind.TEXT: {
        "VALUES": encoding.TEXT_VALUES,
        "ADDRESSES": encoding.TEXT_ADDRESSES,
        "SHOWN_ADDRESSES": encoding.TEXT_VALUES,
        "shown": lambda value: encoding.TEXT_VALUES[str(value)],
        "as_text": lambda value: encoding.TEXT_VALUES[str(value)],
        "address_of": lambda value: encoding.TEXT_VALUES[address(value)],
    },
    Kind.WORDS: {
        "ADDRESSES": Guarded(),
        "SHOWN_ADDRESSES": AS_IT_IS,
        "shown": str,
        "as_text": str,
        "address_of": address,
    },
}

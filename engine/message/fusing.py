"""How do contacts' messages become encoded bytes in one go? Rendering and transfer encoding as a single step.

What the bytes decode to is what `render` gives, exactly. Where the fused programs can't, or anything goes wrong in
them, `render` itself is asked, and what it says or raises counts: so faults and limits are the same by construction.

Several messages are made stage after stage, not one after the other: what a stage runs and reads stays in the
processor's nearest caches meanwhile, which spares each message a fifth of its time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, NamedTuple

from engine.errors import RenderFailed
from engine.message.compiled import CompiledTemplate, Part
from engine.message.dialects import NotFused
from engine.message.encoding import HELD_SOFT, Ragged, quoted_printable
from engine.message.fused_parts import FusedPart, Pieces, Setting, Way, Written
from engine.message.fused_template import Fused, fused_template
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
from engine.message.sandbox import LinkAddresses
from engine.model import frozen
from engine.rules import seen

_NOTHING: dict[str, Any] = {}
_ATTRIBUTES = type(seen({}, "attributes"))


class Wanted(NamedTuple):
    """What one message is made of."""

    template: CompiledTemplate
    context: Mapping[str, Any]
    addresses: LinkAddresses


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

    fused: Fused
    html: Written
    text: Written
    prefix: str
    own: str  # an address of the engine's own, where these are known to be in order


def render_mail(template: CompiledTemplate, context: Mapping[str, Any], addresses: LinkAddresses) -> Encoded:
    """One contact's message, encoded; raises what `render` raises."""
    (made,) = render_mails([Wanted(template, context, addresses)])
    if isinstance(made, RenderFailed):
        raise made
    return made


def render_mails(wanted: Sequence[Wanted]) -> list[Encoded | RenderFailed]:
    """Each message, or why there is none, in this order."""
    begun = [_Making(one) for one in wanted]
    for stage in _STAGES:
        for one in begun:
            if one.is_fused:
                try:
                    stage(one)
                except FAULTS:  # among them NotFused and TooLong
                    one.is_fused = False
    return [_encoded(one) if one.is_fused else _plainly_encoded(one.wanted) for one in begun]


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


def _plainly_encoded(wanted: Wanted) -> Encoded | RenderFailed:
    try:
        return encoded(render(*wanted))
    except RenderFailed as fault:
        return fault


# ---------------------------------------------------------------- stages, in the order of `render`


class _Making:
    """One message on its way through the stages."""

    __slots__ = (
        "fused",
        "html",
        "html_begun",
        "is_fused",
        "preheader",
        "setting",
        "subject",
        "text",
        "text_begun",
        "text_said",
        "values",
        "wanted",
    )

    fused: Fused
    values: dict[str, Any]
    setting: Setting
    subject: str
    preheader: str
    html_begun: tuple[Pieces, list[int]]
    html: Written | str
    text_begun: tuple[Pieces, list[int], int, dict[int, int]]
    text: Written | None  # None: `text_said` was encoded as a whole
    text_said: str

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.is_fused = True


def _begin(one: _Making) -> None:
    """The values, as templates see them."""
    template, context, addresses = one.wanted
    if "_" in context:
        raise NotFused("a value hides the engine's own `_`")
    one.fused = fused = fused_template(template, bool(addresses.counted))
    one.values = values = values_of(template, context, addresses)
    attributes = context.get("attributes", _NOTHING)
    one.setting = Setting(
        {**fused.known, **values},
        values["_frame"],
        attributes.get if type(attributes) is dict else _NOTHING.get,
        _fields_of(values.get("attributes")),
        prices(template.currency, template.language),
        addresses.are_sound,
    )


def _say_lines(one: _Making) -> None:
    """Subject and preheader."""
    one.subject = _in_one_line(one, "subject", one.fused.subject)
    if len(one.subject) > LONGEST_SUBJECT:
        raise NotFused("a subject that is refused")
    one.preheader = _in_one_line(one, "preheader", one.fused.preheader)


def _run_html(one: _Making) -> None:
    if one.fused.html is None:
        template = one.wanted.template
        one.html = quoted_printable(run(programs(template).html, template.html, one.values)).decode()
    else:
        one.html_begun = one.fused.html.begun(one.setting)


def _encode_html(one: _Making) -> None:
    if one.fused.html is None:
        return
    one.html = found = one.fused.html.written(*one.html_begun)
    # No character takes less than an octet, so what is within the limit here is within it in words.
    if len(found.said) > LARGEST_OUTPUT:
        raise NotFused("a message that may be too large")


def _run_text(one: _Making) -> None:
    if one.fused.text is None or one.fused.words is None:
        template = one.wanted.template
        one.text = None
        one.text_said = quoted_printable(tidied(run(programs(template).text, template.text, one.values))).decode()
    else:
        frame = one.setting.frame
        before = frame.rounds, dict(frame.seen)
        one.text_begun = *one.fused.text.begun(one.setting), *before


def _encode_text(one: _Making) -> None:
    part, words = one.fused.text, one.fused.words
    if part is None or words is None:
        return
    pieces, way, rounds, counted = one.text_begun
    try:
        found = part.written(pieces, way)
    except Ragged:
        one.text, one.text_said = None, _encoded_words(one, words, rounds, counted)
        return
    if len(found.said) + len(found.pieces) * part.most_lost > LARGEST_OUTPUT:
        raise NotFused("a message that may be too large")
    one.text_said = tidied_pieces(found.said)
    one.text = found if found.said else None


_STAGES: tuple[Callable[[_Making], None], ...] = (
    _begin,
    _say_lines,
    _run_html,
    _encode_html,
    _run_text,
    _encode_text,
)


def _encoded(one: _Making) -> Encoded:
    addresses, html, trace = one.wanted.addresses, one.html, None
    if isinstance(html, Written) and one.text is not None:
        own = addresses.unsubscribe if addresses.are_sound else ""
        trace = Trace(one.fused, html, one.text, addresses.counted, own)
    wanted = one.wanted
    return Encoded(
        subject=one.subject,
        preheader=one.preheader,
        html_piece=html.said if isinstance(html, Written) else html,
        text_piece=one.text_said,
        is_relaxed=trace is not None,
        trace=trace,
        plainly=lambda: render(*wanted),
    )


def _encoded_words(one: _Making, words: FusedPart, rounds: int, counted: dict[int, int]) -> str:
    """The text part encoded as a whole, from the same place on."""
    frame = one.setting.frame
    frame.rounds, frame.seen = rounds, counted
    said = words.words(one.setting)
    if len(said) > LARGEST_OUTPUT:
        raise NotFused("a message that may be too large")
    return quoted_printable(tidied(said)).decode()


def _fields_of(attributes: Any) -> Callable[[str], Any]:
    if type(attributes) is _ATTRIBUTES:
        columns: Callable[[str], Any] = attributes.__getitem__
        return columns
    return _not_an_attribute


def _not_an_attribute(name: str) -> Any:
    raise NotFused(f"attributes.{name} of something that has none")


def _in_one_line(one: _Making, name: str, program: FusedPart | None) -> str:
    template = one.wanted.template
    part: Part = getattr(template, name)
    if "{" not in part.source:
        return " ".join(part.source.split())
    if program is None:
        return " ".join(run(getattr(programs(template), name), part, one.values).split())
    return " ".join(program.words(one.setting).split())


def tidied_pieces(text: str) -> str:
    """As `tidied`, when no line has blanks round it: no row of empty lines, one line end behind it all."""
    while "\r\n\r\n\r\n" in text:
        text = text.replace("\r\n\r\n\r\n", "\r\n\r\n")
    text = text.strip("\r\n")
    while text.endswith(HELD_SOFT):
        text = text[: -len(HELD_SOFT)].rstrip("\r\n")
    return f"{text}\r\n".replace("\0", "\r\n")

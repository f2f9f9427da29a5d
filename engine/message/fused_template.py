"""What are the parts of a template as fused programs? Made once for each template, and kept."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, nodes
from markupsafe import escape

from engine.message.compiled import CompiledTemplate
from engine.message.dialects import Dialect, Kind, NotFused, fusable, repeated_sites
from engine.message.encoding import GUARDED, Address, Blank, piece
from engine.message.fused_parts import MARKUP, FusedPart
from engine.message.generating import generated
from engine.message.guards import address
from engine.message.sandbox import Sandbox, bounded_tree, sandbox

_SHORT_TEXT = 10_000  # characters, which no limit is about


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """A template's parts; None where a part must take the plain path."""

    template: CompiledTemplate
    html: FusedPart | None
    text: FusedPart | None
    words: FusedPart | None  # the text part once more, for values that are not encoded one by one
    subject: FusedPart | None
    preheader: FusedPart | None
    known: Mapping[str, Any]  # to all templates: functions
    shapes: dict[Any, Any] = field(default_factory=dict)  # kept by `shapes`: what is known of a way through a part


@lru_cache(maxsize=64)
def fused_template(template: CompiledTemplate, is_counted: bool) -> Fused:
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
        known=escaping.globals,
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
        "joined": _joined,
        "operators": environment.binop_table,
        **generator.called,
        **{f"K{number}": one.made for number, one in enumerate(generator.literals)},
    }
    exec(compile(source, "<fused>", "exec"), namespace)
    return FusedPart(
        kind=dialect.kind,
        root=namespace["root"],
        reads_context=_reads(source, "context"),
        has_pen=_reads(source, "pen") or _reads(source, "prefix"),
        environment=environment,
        literals={id(one.made): one for one in generator.literals},
        has_blanks=any(type(one.made) is Blank for one in generator.literals),
        most_lost=generator.most_lost,
    )


def _reads(source: str, name: str) -> bool:
    """May a program read this parameter? A yes may be wrong."""
    return re.search(rf"(?<![.\w]){name}\b", source.partition("):")[2]) is not None


def _joined(carefully: Callable[..., Any], parts: tuple[Any, ...]) -> Any:
    """Texts as one; where one is none, or they are long, by the filter."""
    try:
        said = "".join(parts)
    except TypeError:
        return carefully(*parts)
    return said if len(said) < _SHORT_TEXT else carefully(*parts)


def _shown_in_html(value: Any, mark: Callable[[int], None]) -> str:
    """What Jinja's `escape` makes of a value that is no plain text: words to be escaped, or a piece that has been."""
    if hasattr(value, "__html__"):
        mark(MARKUP)
        return Address(piece(str(escape(value))))
    return str(value)

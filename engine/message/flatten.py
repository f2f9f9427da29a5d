"""What is a template once its layouts, partials and strings are written out? The build pass, `[% %]` and `[[ ]]`.

Runs once a language. The run pass (`{{ }}`, `{% %}`) is left as it stands. To tell a fault's place later, each stretch
of literal text carries an invisible mark with its file and offset through the pass; the marks come off at the end.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from jinja2 import (
    BytecodeCache,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
)
from jinja2 import pass_eval_context as with_eval_context
from jinja2.bccache import Bucket
from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape

from engine.errors import BadTemplate, RenderFailed, nearest
from engine.locale import direction
from engine.message.catalog import Catalog, filled
from engine.message.guards import bounded_operation
from engine.message.sources import Piece, Source

# Noncharacters: no text that people write holds them.
_MARK = re.compile("\ufdd0(\\d+),(\\d+)\ufdd1")
_TRAP = re.compile(r"\{(?=[{%#]|\Z)")
_LARGEST = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopView:
    """What a template may know of the shop."""

    name: str
    postal_address: str
    url: str = ""
    currency: str = "EUR"
    timezone: str = "UTC"
    languages: tuple[str, ...] = ("en",)


class Workshop(BytecodeCache):
    """What the languages of one template share: where to look, for whom, and the files once they were parsed."""

    def __init__(self, folder: Path, layouts: Sequence[Path], shop: ShopView, catalog: Catalog) -> None:
        self.folders = [folder, *layouts]
        self.shop, self.catalog = shop, catalog
        self.texts: dict[str, str] = {}
        self._code: dict[str, Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Jinja asks for a parsed file."""
        bucket.code = self._code.get(f"{bucket.key}{bucket.checksum}")

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Jinja has parsed a file."""
        self._code[f"{bucket.key}{bucket.checksum}"] = bucket.code


def flatten(name: str, workshop: Workshop, language: str) -> Source:
    """The template `name` (`body.mjml`) with the whole build pass written out; raises BadTemplate with the place."""
    build = _Build(workshop, language)
    folder = workshop.folders[0].name
    try:
        marked = build.get_template(name).render()
    except (TemplateError, SecurityError, RenderFailed, ArithmeticError, LookupError, TypeError, ValueError) as fault:
        raise BadTemplate(build.told(fault, name)) from fault
    if build.untranslated:
        strings = ", ".join(repr(one) for one in build.untranslated[:5])
        raise BadTemplate(
            f"{folder}/{name}: no {language!r} translation of {strings}; add it to catalog.toml under [{language}]"
        )
    if len(marked) > _LARGEST:
        raise BadTemplate(f"{folder}/{name}: longer than {_LARGEST} characters once its layouts are written out")
    return build.unmarked(marked)


class _Build(SandboxedEnvironment):
    """The environment of the build pass; remembers the files it read."""

    intercepted_binops = frozenset(["*", "**", "+", "%"])

    def __init__(self, workshop: Workshop, language: str) -> None:
        super().__init__(
            block_start_string="[%",
            block_end_string="%]",
            variable_start_string="[[",
            variable_end_string="]]",
            comment_start_string="[#",
            comment_end_string="#]",
            keep_trailing_newline=True,
            undefined=StrictUndefined,
            autoescape=lambda name: not (name or "").endswith(".txt"),
            finalize=_harmless,
            loader=FileSystemLoader([str(folder) for folder in workshop.folders]),
            bytecode_cache=workshop,
        )
        rtl = direction(language) == "rtl"
        self.untranslated: list[str] = []
        self._language, self._catalog, self._texts = language, workshop.catalog, workshop.texts
        self.globals = {
            "shop": workshop.shop,
            "language": language,
            "direction": "rtl" if rtl else "ltr",
            "start": "right" if rtl else "left",
            "end": "left" if rtl else "right",
            "range": self.globals["range"],
            "_": self.said,
        }

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuses what would eat the memory."""
        bounded_operation(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def said(self, text: str, **values: object) -> str:
        """The string in this language; one that nobody translated is remembered and reported at the end."""
        return filled(self.translated(text), values, lambda _, value: str(value))

    def translated(self, text: str) -> str:
        """The string in this language, its `{slots}` still open."""
        found = self._catalog.say(text, self._language)
        if found is None and text not in self.untranslated:
            self.untranslated.append(text)
        return found or text

    def preprocess(self, source: str, name: str | None = None, filename: str | None = None) -> str:
        """Marks each stretch of literal text with where it stands."""
        text = source.replace("\r\n", "\n").replace("\r", "\n")
        if "\ufdd0" in text or "\ufdd1" in text:
            raise TemplateSyntaxError("holds the character U+FDD0 or U+FDD1, which no text needs", 1, name, filename)
        self._texts.setdefault(_short(filename, name), text)
        number = list(self._texts).index(_short(filename, name))
        out: list[str] = []
        position = 0
        for _, kind, value in self.lex(text, name, filename):
            start = text.index(value, position)
            mark = f"\ufdd0{number},{start}\ufdd1" if kind == "data" else ""
            out += [text[position:start], mark, value]
            position = start + len(value)
        return "".join(out) + text[position:]

    def unmarked(self, marked: str) -> Source:
        """The text without marks, and the pieces that the marks told of."""
        names = list(self._texts)
        pieces = [Piece(start=0, file=names[0], offset=0)]
        out: list[str] = []
        length = position = 0
        for mark in _MARK.finditer(marked):
            out.append(marked[position : mark.start()])
            length += mark.start() - position
            position = mark.end()
            pieces.append(Piece(start=length, file=names[int(mark[1])], offset=int(mark[2])))
        return Source(text="".join([*out, marked[position:]]), pieces=tuple(pieces), files=self._texts)

    def told(self, fault: Exception, name: str) -> str:
        """The fault in words, with file and line."""
        if isinstance(fault, TemplateSyntaxError):
            return f"{_short(fault.filename, fault.name)}:{fault.lineno}:1: {fault.message}"
        where = _short(None, name)
        if spot := _where(fault.__traceback__):
            where = f"{_short(spot[0], None)}:{spot[1]}:1"
        if isinstance(fault, TemplateNotFound):
            known = [one for one in self.list_templates() if one.endswith((".mjml", ".txt"))]
            near = nearest(str(fault.name), known)
            return f"{where}: there is no {fault.name!r} in the template's folder or the layouts{near}"
        return f"{where}: {fault}"


@with_eval_context
def _harmless(context: EvalContext, value: object) -> object:
    """Braces in a build value must not become a statement of the run pass; marked-up text is the author's own."""
    if isinstance(value, Markup) or not isinstance(value, str) or not _TRAP.search(value):
        return value
    if context.autoescape:
        return Markup(_TRAP.sub("&#123;", str(escape(value))))
    return _TRAP.sub("{{ '{' }}", value)


def _short(filename: str | None, name: str | None) -> str:
    path = Path(filename) if filename and filename != "<template>" else Path(name or "template")
    return f"{path.parent.name}/{path.name}" if path.parent.name else path.name


def _where(trace: TracebackType | None) -> tuple[str, int] | None:
    """File and line of the innermost template frame; Jinja has put the template's own lines into the traceback."""
    spot = None
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.endswith((".mjml", ".txt")):
            spot = (file, trace.tb_lineno)
        trace = trace.tb_next
    return spot

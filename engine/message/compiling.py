"""How does a folder of MJML become something that can be filled for a million readers? The story, once a language.

Write layouts out -> find the Jinja tokens -> shield them -> MJML to HTML -> write inline styles into elements -> check
that nothing was lost, doubled or moved -> put the tokens back, each value behind the guard of its place. A
personalisation that would be lost is an error here, never a silent gap in a mail.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape, unescape
from itertools import chain, pairwise
from pathlib import Path

from engine.config import shipped
from engine.errors import BadTemplate, RenderFailed, UnknownTemplate, nearest
from engine.message.attributes import garbage_in
from engine.message.catalog import read_catalog
from engine.message.compiled import CompiledTemplate, Part
from engine.message.fields import checked_fields
from engine.message.flatten import ShopView, Workshop, flatten
from engine.message.guards import address
from engine.message.markup import Element, Markup, scan
from engine.message.placing import put_back
from engine.message.plain_text import make_text, take_text
from engine.message.protecting import Draft, placeholders, protect
from engine.message.sources import Source
from engine.message.tokens import MASK, Kind, Token, lex, masked
from engine.message.writing import Site, Writer

ANY_LANGUAGE = "*"  # a campaign's subject that is one string for all languages

_SCHEMES = '<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">'
_PIXEL = (
    '{% if _pixel %}<img src="{{ _pixel }}" alt="" width="1" height="1" '
    'style="display:block;border:0;width:1px;height:1px;">{% endif %}'
)
_OUTLOOK = re.compile(r"<!--\[if[^\]]*\]>(?!<!-->).*?<!\[endif\]-->", re.DOTALL)
# Not the empty ones that set defaults in mj-attributes: what follows them is no text.
_TEXT_ELEMENT = re.compile(r"<mj-text\b[^>]*(?<!/)>.*?</mj-text>", re.DOTALL)
_LINE_BETWEEN = re.compile(r"(?<=>)[ \t]*[\r\n]\s*(?=<)")
_POSITION = re.compile(r" at position (\d+):(\d+)")
_ADDRESSES = frozenset(["href", "src", "background-url"])


def compile_template(
    folder: Path, variant_subject: Mapping[str, str], shop: ShopView, layouts: Sequence[Path] = ()
) -> dict[str, CompiledTemplate]:
    """The template in each of the shop's languages that it speaks; raises BadTemplate with file:line:column.

    `variant_subject` (language, or `*`, to subject) goes before the template's own. Layouts are searched in the folder
    itself, then in `layouts`, then among those that come with the engine.
    """
    workshop = open_workshop(folder, shop, layouts)
    files = template_files(workshop)
    if not files:
        spoken = ", ".join(shop.languages)
        raise BadTemplate(
            f"{folder.name}: speaks none of the shop's languages ({spoken}); it needs LANG.mjml or body.mjml"
        )
    return {
        language: compile_one(
            workshop, language, name, variant_subject.get(language) or variant_subject.get(ANY_LANGUAGE)
        )
        for language, name in files.items()
    }


def open_workshop(folder: Path, shop: ShopView, layouts: Sequence[Path]) -> Workshop:
    """What the languages of one template share."""
    if not folder.is_dir():
        raise BadTemplate(f"{folder}: there is no such template folder")
    found = [*layouts, shipped("templates") / "_layout"]
    return Workshop(folder, found, shop, read_catalog(folder, found))


def template_files(workshop: Workshop) -> dict[str, str]:
    """The file that speaks each of the shop's languages; `LANG.mjml` before `body.mjml`. Others are left out."""
    folder = workshop.folders[0]
    own = {_folded(path.stem): path.name for path in sorted(folder.glob("*.mjml")) if path.stem != "body"}
    body = {_folded(one) for one in workshop.catalog.languages} if (folder / "body.mjml").exists() else set()
    found = {}
    for language in workshop.shop.languages:
        if _folded(language) in own:
            found[language] = own[_folded(language)]
        elif _folded(language) in body:
            found[language] = "body.mjml"
    return found


def languages_of(folder: Path) -> tuple[str, ...]:
    """The languages that a template speaks, whether or not the shop does."""
    own = [path.stem for path in sorted(folder.glob("*.mjml")) if path.stem != "body"]
    body = read_catalog(folder, ()).languages if (folder / "body.mjml").exists() else ()
    return tuple(dict.fromkeys([*own, *body]))


def template_folder(templates: Path, name: str) -> Path:
    """The folder of a template; UnknownTemplate when there is none."""
    known = (
        [path.name for path in templates.iterdir() if path.is_dir() and path.name[0] not in "_."]
        if templates.is_dir()
        else []
    )
    if name not in known:
        meant = nearest(name, known)
        raise UnknownTemplate(
            f"there is no template {name!r} in {templates}{meant} (known: {', '.join(sorted(known)) or 'none'})"
        )
    return templates / name


def compile_one(workshop: Workshop, language: str, name: str, subject: str | None) -> CompiledTemplate:
    """One file in one language."""
    return _compiled(workshop, language, _with_subject(flatten(name, workshop, language), subject))


def _compiled(workshop: Workshop, language: str, source: Source) -> CompiledTemplate:
    """The steps, one below the other."""
    fields = checked_fields(source)
    tokens = lex(source, _translator(workshop, language))
    markup = scan(masked(source.text, tokens), source)
    check_addresses(source, markup)
    draft = protect(source, tokens, markup, language)
    html = _outlook_bare(to_html(source, draft), draft)
    styled = inlined(html, draft)
    check_html(styled, tokens, draft)
    written = put_back(styled, tokens, draft)
    text = _own_text(workshop, language, written.sites) or _made_text(html, tokens, draft, written.sites)
    subject, preheader = (_said_in(markup.first(name), source, tokens) for name in ("mj-title", "mj-preview"))
    return CompiledTemplate(
        name=workshop.folders[0].name,
        language=language,
        currency=workshop.shop.currency,
        timezone=workshop.shop.timezone,
        html=_part(_finished(written.text()), written),
        text=_part(text.text(), text),
        subject=_part(subject.text(), subject),
        preheader=_part(preheader.text(), preheader),
        fields=tuple(sorted(fields | text.fields)),
        sites=tuple(written.sites),
    )


def _with_spaces(text: str) -> str:
    """The compiler drops white space between two elements when a line ends in it, and `</a>` runs into the next `<a>`.

    As many spaces instead, so that positions stay what they were.
    """

    def spaced(found: re.Match[str]) -> str:
        return " " * len(found[0])

    return _TEXT_ELEMENT.sub(lambda found: _LINE_BETWEEN.sub(spaced, found[0]), text)


def to_html(source: Source, draft: Draft) -> str:
    """MJML to HTML; the compiler's byte positions become file:line:column."""
    import mjml  # late, as the inliner below: no command that compiles nothing should wait for them

    try:
        html = str(mjml.mjml2html(_with_spaces(draft.edited.text)))
    except ValueError as fault:
        found = _POSITION.search(str(fault))
        place = source.place(draft.edited.origin_of_byte(int(found[1])) if found else 0)
        raise BadTemplate(f"{place}: MJML: {_POSITION.sub('', str(fault))}") from fault
    if (garbage := garbage_in(html)) is not None:
        raise BadTemplate(f"{source.place(0)}: the MJML compiler mangled an attribute: {garbage[:80]!r}")
    return html


def inlined(html: str, draft: Draft) -> str:
    """`mj-style inline="inline"` written into the elements; other style sheets stay as they are."""
    if not draft.inline_css.strip():
        return html
    import css_inline

    inliner = css_inline.CSSInliner(
        inline_style_tags=False, keep_style_tags=True, load_remote_stylesheets=False, extra_css=draft.inline_css
    )
    return str(inliner.inline(html))


def check_html(html: str, tokens: Sequence[Token], draft: Draft) -> None:
    """Every token is still there; statements between elements stand there once and in their order."""
    found = [int(index) for index in placeholders(draft.word).findall(html + draft.inline_css)]
    present, written = set(found), draft.edited.text
    for token in tokens:
        was_written = f"{draft.word}{token.index}{draft.word}" in written
        if was_written and token.index not in present:
            raise BadTemplate(f"{token.told} would be lost by the MJML compiler; layout attributes must be literal")
    content = [index for index in found if index in draft.content]
    for before, after in pairwise(content):
        if after <= before:
            raise BadTemplate(
                f"{tokens[after].told} would be moved or doubled by the MJML compiler; put it round whole elements"
            )


def check_addresses(source: Source, markup: Markup) -> None:
    """Literal addresses must be absolute and harmless; those with values are checked when these are known."""
    for attribute in chain(markup.outlook, *(element.attributes for element in markup.elements)):
        value = unescape(attribute.value).strip()
        if attribute.name not in _ADDRESSES or MASK in value or not value or value.startswith("#"):
            continue
        try:
            address(value)
        except RenderFailed as fault:
            raise BadTemplate(f"{source.place(attribute.start)}: {fault}") from fault


def _with_subject(source: Source, subject: str | None) -> Source:
    """The source with the campaign's subject for its title."""
    tokens = lex(source, str)
    markup = scan(masked(source.text, tokens), source)
    title, head, root = (markup.first(name) for name in ("mj-title", "mj-head", "mjml"))
    if not subject:
        if title is None or not source.text[title.content_start : title.content_end].strip():
            raise BadTemplate(f"{source.place(0)}: no subject; write it in <mj-title> or in the campaign")
        return source
    subject_file = "the campaign's subject"
    said = Source(text=subject, pieces=source.pieces[:1], files={source.pieces[0].file: subject})
    words = lex(said, str)
    written, position = [], 0
    for token in words:
        written += [escape(subject[position : token.start], quote=False), subject[token.start : token.end]]
        position = token.end
    inner = "".join(written) + escape(subject[position:], quote=False)
    if title is not None:
        return source.spliced(title.content_start, title.content_end, inner, subject_file)
    if root is None:
        return source  # reported with its place later
    element = f"<mj-title>{inner}</mj-title>"
    at = head.content_start if head is not None else root.content_start
    return source.spliced(at, at, element if head is not None else f"<mj-head>{element}</mj-head>", subject_file)


def _own_text(workshop: Workshop, language: str, sites: list[Site]) -> Writer | None:
    """The author's own text part, LANG.txt. Its link places are numbered on from the HTML's."""
    own = next((path for path in workshop.folders[0].glob("*.txt") if _folded(path.stem) == _folded(language)), None)
    if own is None:
        return None
    source = flatten(own.name, workshop, language)
    tokens = lex(source, _translator(workshop, language))
    writer = Writer(tokens=tokens, part="text", sites=sites, fields=checked_fields(source))
    take_text(source.text, tokens, writer)
    return writer


def _made_text(html: str, tokens: Sequence[Token], draft: Draft, sites: list[Site]) -> Writer:
    writer = Writer(tokens=tokens, part="text", sites=sites)
    make_text(html, tokens, draft, writer)
    return writer


def _translator(workshop: Workshop, language: str) -> Callable[[str], str]:
    def translated(text: str) -> str:
        found = workshop.catalog.say(text, language)
        if found is None:
            folder = workshop.folders[0].name
            raise BadTemplate(
                f"{folder}: no {language!r} translation of {text!r}; add it to catalog.toml under [{language}]"
            )
        return found

    return translated


def _said_in(element: Element | None, source: Source, tokens: Sequence[Token]) -> Writer:
    """The text of mj-title or mj-preview as a source of its own, with entities resolved."""
    writer = Writer(tokens=tokens, part="head", sites=[])
    if element is None:
        return writer
    position = element.content_start
    for token in tokens:
        if element.content_start <= token.start < element.content_end:
            writer.literal(unescape(source.text[position : token.start]))
            position = token.end
            if token.kind is not Kind.NOTHING:
                writer.mixed([token.index])
    writer.literal(unescape(source.text[position : element.content_end]))
    return writer


def _outlook_bare(html: str, draft: Draft) -> str:
    """Placeholder comments inside Outlook's conditional comments as bare words: a comment would end the outer one."""
    pattern = re.compile(rf"<!--({draft.word}\d+{draft.word})-->")
    return _OUTLOOK.sub(lambda match: pattern.sub(r"\1", match[0]), html)


def _finished(source: str) -> str:
    """Colour schemes in the head, the pixel at the end of the body."""
    if 'name="color-scheme"' not in source:
        source = source.replace("<head>", f"<head>{_SCHEMES}", 1)
    at = source.rfind("</body>")
    return source[:at] + _PIXEL + source[at:]


def _part(source: str, writer: Writer) -> Part:
    return Part(source=source, lines=tuple((line, writer.tokens[index].told) for line, index in writer.lines))


def _folded(language: str) -> str:
    return language.replace("_", "-").lower()

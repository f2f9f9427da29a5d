"""What is wrong with a template before anybody gets it? Every finding with file, line and column."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from jinja2 import TemplateSyntaxError

from engine.errors import BadTemplate, nearest
from engine.message.catalog import Catalog
from engine.message.compiled import CompiledTemplate
from engine.message.compiling import compile_one, languages_of, open_workshop, template_files
from engine.message.fields import read_fields
from engine.message.flatten import ShopView, Workshop, flatten
from engine.message.markup import Element, Markup, scan
from engine.message.mjml_tags import ATTRIBUTES, CHILDREN, EVERYWHERE, WITHOUT_EFFECT
from engine.message.sources import Source
from engine.message.tokens import lex, masked
from engine.model import Finding, Severity

# Stands in for the shop while a template is looked at alone; the address is one that no template holds by chance.
SAMPLE_SHOP = ShopView(
    name="The Shop", postal_address="7 Sample-Street, 00100 Lint-Town", url="https://shop.test", languages=()
)

_PREHEADER = range(30, 111)
_LONGEST_SUBJECT = 70
_BLANKS = re.compile(r"\s+")


def lint_template(folder: Path, shop: ShopView | None = None, layouts: Sequence[Path] = ()) -> list[Finding]:
    """All findings of a template in every language it speaks, or in the shop's where `shop` is given."""
    shop = shop or SAMPLE_SHOP
    try:
        spoken = languages_of(folder)
        workshop = open_workshop(folder, _speaking(shop, spoken), layouts)
    except BadTemplate as fault:
        return [_from_fault(fault)]
    found = [*_languages(folder, shop, spoken), *_catalog(folder, workshop.catalog)]
    for language, name in template_files(workshop).items():
        found += _one_language(workshop, language, name)
    return _merged(found)


def _one_language(workshop: Workshop, language: str, name: str) -> Iterator[Finding]:
    try:
        source = flatten(name, workshop, language)
    except BadTemplate as fault:
        yield _from_fault(fault)
        return
    yield from _fields(source)
    try:
        markup = scan(masked(source.text, lex(source, str)), source)
    except BadTemplate as fault:
        yield _from_fault(fault)
        return
    yield from _elements(source, markup)
    try:
        # A campaign may bring the subject; here it must only not stop the compile.
        compiled = compile_one(workshop, language, name, None if _has_title(source, markup) else "Subject")
    except BadTemplate as fault:
        yield _from_fault(fault)
        return
    yield from _lawful(workshop, compiled, f"{workshop.folders[0].name}/{name}")
    yield from _inbox(source, markup, compiled)


def _fields(source: Source) -> Iterator[Finding]:
    """Unknown names, and values that may be missing and have no default."""
    try:
        reading = read_fields(source.text)
    except TemplateSyntaxError as fault:
        yield _error("ML001", source.place_of_line(fault.lineno), fault.message or "")
        return
    for line, what in reading.faults:
        yield _error("ML001", source.place_of_line(line), what)
    for line, path in reading.bare:
        said = f"{path} may be missing; then the reader gets no message: {{{{ {path} | default('...') }}}}"
        yield _warning("ML007", source.place_of_line(line), said)


def _elements(source: Source, markup: Markup) -> Iterator[Finding]:
    for element in markup.elements:
        place = source.place(element.start)
        if element.name in ("mj-image", "img") and not _is_default(element) and element.attribute("alt") is None:
            yield _warning(
                "ML003", place, f'<{element.name}> has no alt; write what the picture says, or alt="" for decoration'
            )
        if element.name.startswith("mj") and not _is_default(element):
            yield from _element(source, element, place)
    for name in ("mj-navbar", "mj-carousel"):
        several = [one for one in markup.elements if one.name == name and one.parent != "mj-attributes"]
        for one in several[1:]:
            yield _error("ML006", source.place(one.start), f"a second <{name}>; two in one message disturb each other")


def _element(source: Source, element: Element, place: str) -> Iterator[Finding]:
    known = ATTRIBUTES.get(element.name)
    if known is None:
        yield _error("ML002", place, f"there is no element <{element.name}>{nearest(element.name, ATTRIBUTES)}")
        return
    allowed = CHILDREN.get(element.parent)
    if allowed is not None and element.name not in allowed:
        yield _error("ML002", place, f"<{element.name}> can't stand directly in <{element.parent}>")
    for attribute in element.attributes:
        where = source.place(attribute.name_start)
        if (element.name, attribute.name) in WITHOUT_EFFECT:
            yield _warning("ML002", where, f"{attribute.name} has no effect on <{element.name}>")
        elif attribute.name not in known | EVERYWHERE:
            near = nearest(attribute.name, known | EVERYWHERE)
            yield _error("ML002", where, f"<{element.name}> has no attribute {attribute.name!r}{near}")


def _lawful(workshop: Workshop, compiled: CompiledTemplate, where: str) -> Iterator[Finding]:
    """The way out, and the sender's address, in both parts."""
    address = _flat(workshop.shop.postal_address)
    for part, source in (("HTML", compiled.html.source), ("text part", compiled.text.source)):
        if "links.unsubscribe" not in source:
            yield _error(
                "ML004", where, f"no unsubscribe link in the {part} ({compiled.language}): {{{{ links.unsubscribe }}}}"
            )
        if "shop.postal_address" not in source and address not in _flat(source):
            yield _error(
                "ML005", where, f"no postal address in the {part} ({compiled.language}): [[ shop.postal_address ]]"
            )


def _inbox(source: Source, markup: Markup, compiled: CompiledTemplate) -> Iterator[Finding]:
    """What is seen before the message is opened; lengths count only where no value stands in it."""
    preview, title = markup.first("mj-preview"), markup.first("mj-title")
    preheader, subject = (" ".join(part.source.split()) for part in (compiled.preheader, compiled.subject))
    if not preheader:
        yield _warning(
            "ML008", source.place(preview.start if preview else 0), f"no preheader ({compiled.language}): <mj-preview>"
        )
    elif "{" not in preheader and _seen_length(preheader) not in _PREHEADER and preview is not None:
        said = f"the preheader ({compiled.language}) has {len(preheader)} characters; 30 to 110 are shown well"
        yield _warning("ML008", source.place(preview.content_start), said)
    if "{" not in subject and _seen_length(subject) > _LONGEST_SUBJECT and title is not None:
        said = f"the subject ({compiled.language}) has {len(subject)} characters; at most {_LONGEST_SUBJECT} are seen"
        yield _warning("ML009", source.place(title.content_start), said)


def _languages(folder: Path, shop: ShopView, spoken: Iterable[str]) -> Iterator[Finding]:
    have = {one.replace("_", "-").lower() for one in spoken}
    if not have:
        yield _error("ML001", folder.name, "no template: it needs LANG.mjml, or body.mjml with a catalog.toml")
    for language in shop.languages:
        if language.replace("_", "-").lower() not in have:
            yield _warning("ML010", folder.name, f"not written in {language!r}; its readers get the fallback language")


def _catalog(folder: Path, catalog: Catalog) -> Iterator[Finding]:
    for said in catalog.wrong_slots():
        yield _error("ML010", f"{folder.name}/catalog.toml", said)


def _speaking(shop: ShopView, spoken: tuple[str, ...]) -> ShopView:
    return ShopView(
        name=shop.name,
        postal_address=shop.postal_address,
        url=shop.url,
        currency=shop.currency,
        timezone=shop.timezone,
        languages=tuple(spoken),
    )


def _has_title(source: Source, markup: Markup) -> bool:
    title = markup.first("mj-title")
    return title is not None and bool(source.text[title.content_start : title.content_end].strip())


def _is_default(element: Element) -> bool:
    """Elements within mj-attributes set defaults; any attribute of any element may stand there."""
    return element.parent in ("mj-attributes", "mj-class") or element.name in ("mj-all", "mj-class")


def _seen_length(text: str) -> int:
    """Characters, those of East Asia counted twice as they are twice as wide."""
    return sum(2 if ord(one) >= 0x1100 and not 0x1F00 <= ord(one) < 0x2E80 else 1 for one in text)


def _flat(text: str) -> str:
    return _BLANKS.sub(" ", text)


def _merged(found: Iterable[Finding]) -> list[Finding]:
    """One finding for all languages that share it."""
    first: dict[tuple[str, str, str], Finding] = {}
    for one in found:
        first.setdefault((one.code, one.where, one.message), one)
    return list(first.values())


def _from_fault(fault: BadTemplate) -> Finding:
    match = re.match(r"(\S+?:\d+:\d+): (.*)", str(fault), re.DOTALL)
    place, said = (match[1], match[2]) if match else ("", str(fault))
    code = "ML010" if "translation of" in said else "ML001"
    return _error(code, place or str(fault).partition(":")[0], said)


def _error(code: str, where: str, message: str) -> Finding:
    return Finding(code=code, severity=Severity.ERROR, where=where, message=message)


def _warning(code: str, where: str, message: str) -> Finding:
    return Finding(code=code, severity=Severity.WARNING, where=where, message=message)

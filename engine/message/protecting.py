"""What does the MJML compiler get to see? The source with a harmless word for each Jinja token, and what we add.

A statement between elements becomes a comment, which is valid in every container and disturbs no column count; every
other token becomes a bare ASCII word. Recipients' data therefore never meets the MJML parser.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import BadTemplate
from engine.locale import direction
from engine.message.attributes import safe_value
from engine.message.markup import Attribute, Element, Markup
from engine.message.sources import Edited, Edits, Source
from engine.message.tokens import Kind, Token

NO_TRACK = "data-no-track"

_UNSUPPORTED = {
    "mj-include": "use [% include %] or [% extends %]",
    "mj-html-attributes": "write the attributes on the elements",
    "mj-selector": "write the attributes on the elements",
}
# First in the head, so that whatever the author sets goes before it.
_TURNED = '<mj-attributes><mj-all direction="rtl"/><mj-text align="right"/><mj-table align="right"/></mj-attributes>'
_CONDITIONAL = re.compile(r"<!--(\[if |<!\[endif\]|\[endif\])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What goes into the MJML compiler. `word` begins each placeholder; `content` are statements between elements."""

    edited: Edited
    word: str
    content: frozenset[int]  # token numbers
    inline_css: str

    @property
    def untracked(self) -> str:
        """The mark at the start of an address that is not to be tracked."""
        return f"{self.word}NOTRACK{self.word}"


def protect(source: Source, tokens: Sequence[Token], markup: Markup, language: str) -> Draft:
    """The protected source; raises BadTemplate for what the MJML compiler can't do."""
    _refuse_unsupported(source, markup)
    word = unused_word(source.text)
    shielding = _Shielding(source, tokens, markup, word)
    shielding.take_out_comments()
    css = shielding.take_out_inline_styles()
    shielding.replace_tokens()
    for element in markup.elements:
        shielding.write_attributes(element)
    shielding.write_title()
    shielding.set_language(language)
    return Draft(
        edited=shielding.edits.made_in(source.text), word=word, content=frozenset(shielding.content), inline_css=css
    )


def placeholder(word: str, index: int) -> str:
    """The word that stands for a token."""
    return f"{word}{index}{word}"


def placeholders(word: str) -> re.Pattern[str]:
    """Finds placeholders, also those that are comments; one group, the token's number."""
    return re.compile(rf"(?:<!--)?{word}(\d+){word}(?:-->)?")


def unused_word(text: str) -> str:
    """A word for placeholders that the text does not hold."""
    folded = text.upper()
    return next(word for word in ("JJ", *(f"J{chr(65 + i)}Q{chr(90 - i)}J" for i in range(26))) if word not in folded)


class _Shielding:
    """The edits to one source, and what was learned while making them."""

    def __init__(self, source: Source, tokens: Sequence[Token], markup: Markup, word: str) -> None:
        self.edits = Edits()
        self.content: set[int] = set()
        self._source, self._tokens, self._markup, self._word = source, tokens, markup, word
        self._gone: list[tuple[int, int]] = []

    def take_out_comments(self) -> None:
        """The author's own comments stay at home; conditional ones are for Outlook and go on."""
        for start, end in self._markup.comments:
            if not _CONDITIONAL.match(self._source.text, start):
                self.edits.replace(start, end, "")
                self._gone.append((start, end))
        for attribute in self._markup.outlook:
            if not any(start <= attribute.start < end for start, end in self._gone):
                self._write(attribute)  # the compiler reads and rewrites these too

    def take_out_inline_styles(self) -> str:
        """`mj-style inline="inline"`, which the MJML compiler drops in silence; it is written into elements later."""
        sheets = []
        for element in self._markup.elements:
            inline = element.attribute("inline")
            if element.name == "mj-style" and inline is not None:
                sheets.append(self._with_words(element.content_start, element.content_end))
                self.edits.replace(element.start, element.end, "")
                self._gone.append((element.start, element.end))
        return "\n".join(sheets)

    def replace_tokens(self) -> None:
        """A comment for statements between elements, a bare word for all else."""
        for token in self._tokens:
            if any(start <= token.start < end for start, end in self._gone):
                continue
            if token.kind is Kind.NOTHING:
                self.edits.replace(token.start, token.end, "")
                continue
            if self._is_content(token):
                self._refuse_in_carousel(token)
                self.content.add(token.index)
                self.edits.replace(token.start, token.end, f"<!--{placeholder(self._word, token.index)}-->")
            else:
                self.edits.replace(token.start, token.end, placeholder(self._word, token.index))

    def write_attributes(self, element: Element) -> None:
        """Values in a form that the compiler leaves alone; an `alt` on each image; no-track marks."""
        if any(start <= element.start < end for start, end in self._gone):
            return
        untracked = element.attribute(NO_TRACK)
        for attribute in element.attributes:
            if attribute is untracked:
                self.edits.replace(attribute.name_start, attribute.whole_end, "")
                continue
            self._write(attribute)
            if attribute.name == "href" and untracked is not None:
                self.edits.insert(attribute.start, f"{self._word}NOTRACK{self._word}")
        is_image = element.name in ("mj-image", "img") and element.parent != "mj-attributes"
        if is_image and element.attribute("alt") is None:
            self.edits.insert(element.after_name, ' alt=""')

    def write_title(self) -> None:
        """The compiler copies the title into an attribute, so it is written as one."""
        title = self._markup.first("mj-title")
        if title is not None:
            self._write_stretch(title.content_start, title.content_end)

    def set_language(self, language: str) -> None:
        """`lang` and `dir` on the root; sections, columns and texts from right to left where the language is."""
        root, head = self._markup.first("mjml"), self._markup.first("mj-head")
        if root is None:
            raise BadTemplate(f"{self._source.place(0)}: no <mjml> element")
        side = direction(language)
        for name, value in (("lang", language.replace("_", "-")), ("dir", side)):
            if root.attribute(name) is None:
                self.edits.insert(root.after_name, f' {name}="{value}"')
        if side == "rtl":
            at = head.content_start if head is not None else root.content_start
            self.edits.insert(at, _TURNED if head is not None else f"<mj-head>{_TURNED}</mj-head>")

    def _write(self, attribute: Attribute) -> None:
        if self._source.text[attribute.start - 1 : attribute.start] == "'":
            self.edits.replace(attribute.start - 1, attribute.start, '"')
            self.edits.replace(attribute.end, attribute.end + 1, '"')
        self._write_stretch(attribute.start, attribute.end)

    def _write_stretch(self, start: int, end: int) -> None:
        for first, last in self._literal(start, end):
            text = self._source.text[first:last]
            if (safe := safe_value(text)) != text:
                self.edits.replace(first, last, safe)

    def _literal(self, start: int, end: int) -> list[tuple[int, int]]:
        """The stretches between the tokens."""
        bounds = [start]
        for token in self._tokens:
            if start <= token.start < end:
                bounds += [token.start, token.end]
        bounds.append(end)
        return list(zip(bounds[::2], bounds[1::2], strict=True))

    def _with_words(self, start: int, end: int) -> str:
        inside = [token for token in self._tokens if start <= token.start < end]
        out, position = [], start
        for token in inside:
            out += [self._source.text[position : token.start], placeholder(self._word, token.index)]
            position = token.end
        return "".join(out) + self._source.text[position:end]

    def _is_content(self, token: Token) -> bool:
        if token.kind is not Kind.STATEMENT:
            return False
        at = token.start
        return not (self._markup.is_comment(at) or self._markup.is_tag(at) or self._markup.is_plain_text(at))

    def _refuse_in_carousel(self, token: Token) -> None:
        if self._markup.enclosing(token.start) == "mj-carousel":
            raise BadTemplate(f"{token.told}: no statement may stand in mj-carousel; its pictures are fixed")


def _refuse_unsupported(source: Source, markup: Markup) -> None:
    for element in markup.elements:
        if element.name in _UNSUPPORTED:
            raise BadTemplate(
                f"{source.place(element.start)}: <{element.name}> is not supported; {_UNSUPPORTED[element.name]}"
            )
        if element.name == "mj-raw" and (position := element.attribute("position")) is not None:
            raise BadTemplate(f"{source.place(position.name_start)}: mj-raw position is not supported")
        if element.parent == "mj-class":
            raise BadTemplate(f"{source.place(element.start)}: defaults nested in mj-class are not supported")

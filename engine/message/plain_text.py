"""What does the message say without HTML? Turns the compiled HTML into the source of the text part, once a template."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import BadTemplate
from engine.message.addresses import link
from engine.message.protecting import Draft, placeholder, placeholders, unused_word
from engine.message.sources import Edits
from engine.message.tokens import Kind, Token
from engine.message.writing import Writer, pieces_of

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_BLOCKS = frozenset("p div tr table tbody thead tfoot h1 h2 h3 h4 h5 h6 ul ol li blockquote hr center section".split())
_PARAGRAPHS = frozenset("p h1 h2 h3 h4 h5 h6 ul ol blockquote".split())
_SILENT = frozenset("head style script title img noscript".split())
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_WEB = re.compile(r"https?://[^\s<>\"']+")
_ADDRESS_VALUE = re.compile(r"\s*[\w.]+\.(url|image_url|unsubscribe|preferences|view)\s*")
_GAPS = re.compile(r"\n{3,}")


def make_text(compiled: str, tokens: Sequence[Token], draft: Draft, writer: Writer) -> None:
    """Write the text part made from compiled HTML whose tokens are still placeholders."""
    from lxml import html as lxml_html  # late: no command that compiles nothing should wait for it

    walker = _Walker(writer, draft)
    walker.walk(lxml_html.document_fromstring(compiled))
    wanted = [index for index in sorted(draft.content) if not walker.is_head(index, compiled)]
    if walker.statements != wanted:
        lost = next((index for index in wanted if index not in walker.statements), wanted[0] if wanted else 0)
        raise BadTemplate(
            f"{tokens[lost].told}: would be lost or moved in the text part; write a text of your own beside it"
        )


def take_text(text: str, tokens: Sequence[Token], writer: Writer) -> None:
    """Write the author's own text part: addresses written out, and values that end in `.url`, are links."""
    word = unused_word(text)
    edits = Edits()
    for token in tokens:
        here = placeholder(word, token.index)
        written = {Kind.VALUE: here, Kind.STATEMENT: f"<!--{here}-->", Kind.NOTHING: ""}[token.kind]
        edits.replace(token.start, token.end, written)
    shielded, pattern = edits.made_in(text).text, placeholders(word)
    position = 0
    for found in _WEB.finditer(shielded):
        address = found[0].rstrip(".,;:!?)")
        _write_text(shielded[position : found.start()], pattern, writer)
        link(writer, pieces_of(address, pattern), True, str)
        position = found.start() + len(address)
    _write_text(shielded[position:], pattern, writer)


def tidied(text: str) -> str:
    """A rendered text part without blanks at line ends and without rows of empty lines."""
    return _GAPS.sub("\n\n", "\n".join([line.strip() for line in text.split("\n")])).strip() + "\n"


class _Walker:
    """Goes through the HTML tree and writes what a reader would see."""

    def __init__(self, writer: Writer, draft: Draft) -> None:
        self.statements: list[int] = []
        self._writer, self._draft = writer, draft
        self._word = placeholders(draft.word)

    def walk(self, node: "HtmlElement") -> None:
        """One node with all that is in it; not the text behind it."""
        if not isinstance(node.tag, str):
            self._statements_in(node.text or "")
            return
        if (
            node.tag in _SILENT
            or node.get("aria-hidden") == "true"
            or "display:none" in (node.get("style") or "").replace(" ", "")
        ):
            return
        if node.tag == "br":
            self._writer.literal("\n")
            return
        block = node.tag in _BLOCKS
        around = "\n\n" if node.tag in _PARAGRAPHS else "\n"
        self._writer.literal(around if block else "")
        self._writer.literal("- " if node.tag == "li" else "")
        if node.tag == "a":
            self._link(node)
        else:
            self._inside(node)
        self._writer.literal(around if block else "  " if node.tag in ("td", "th") else "")

    def is_head(self, index: int, compiled: str) -> bool:
        """Does the statement stand in the head, which has no text?"""
        return compiled.find(f"{self._draft.word}{index}{self._draft.word}") < compiled.find("<body")

    def _inside(self, node: "HtmlElement") -> None:
        self._text(node.text)
        for child in node:
            self.walk(child)
            self._text(child.tail)

    def _text(self, text: str | None) -> None:
        self._writer.mixed(pieces_of(_BLANKS.sub(" ", text or ""), self._word))

    def _statements_in(self, comment: str) -> None:
        """A comment is a placeholder, or Outlook's, in which the compiler may have put statements of the content."""
        for found in self._word.findall(comment):
            if int(found) in self._draft.content:
                self.statements.append(int(found))
                self._writer.statement(self._writer.tokens[int(found)])

    def _link(self, node: "HtmlElement") -> None:
        """`text: address`; the address alone where it is the text too, the text alone where there is nowhere to go."""
        href, text = node.get("href") or "", "".join(node.itertext()).strip()
        untracked = href.startswith(self._draft.untracked)
        href = href.removeprefix(self._draft.untracked)
        if href != text:
            self._inside(node)
        if text and href and not href.startswith("#"):
            self._writer.literal(": " if href != text else "")
            link(self._writer, pieces_of(href, self._word), not untracked, str)


def _write_text(text: str, word: re.Pattern[str], writer: Writer) -> None:
    for piece in pieces_of(text, word):
        if isinstance(piece, str):
            writer.literal(piece)
        elif writer.tokens[piece].kind is Kind.STATEMENT:
            writer.statement(writer.tokens[piece])
        elif _ADDRESS_VALUE.fullmatch(writer.tokens[piece].code):
            link(writer, [piece], True, str)
        else:
            writer.value(writer.tokens[piece])

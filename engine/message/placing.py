"""Where did each value land in the compiled HTML, and which guard does it need there? Puts the Jinja tokens back.

Reads the HTML that the MJML compiler wrote, also the mark-up inside Outlook's conditional comments.
"""

import html
import re
from collections.abc import Sequence

from engine.errors import BadTemplate
from engine.message.addresses import expression, link
from engine.message.protecting import Draft, placeholders
from engine.message.tokens import Kind, Token
from engine.message.writing import Writer, first_of, pieces_of

_ADDRESSES = frozenset(
    "href src background action formaction poster cite data longdesc lowsrc dynsrc ping codebase xlink:href".split()
)
_LINKS = frozenset(["a", "area"])
_PART = re.compile(
    r"""(?P<bound><!--\[if[^\]]*\]>(?:<!-->)?|<!--<!\[endif\]-->|<!\[endif\]-->)
    |(?P<comment><!--.*?-->)
    |(?P<tag><[a-zA-Z][^\s/>]*)
    |(?P<closing></[a-zA-Z][^>]*>)""",
    re.DOTALL | re.VERBOSE,
)
_ATTRIBUTE = re.compile(
    r"""(?P<gap>\s+|/)|(?P<name>[^\s"'<>/=]+)(?P<is>\s*=\s*)?(?:(?P<quote>["'])(?P<value>.*?)(?P=quote)|(?P<bare>[^\s"'<>]+))?""",
    re.DOTALL,
)
_CSS_ADDRESS = re.compile(r"""(url\(\s*)(&quot;|&\#39;|&apos;|["']|)(.*?)(\2\s*\))""", re.DOTALL | re.IGNORECASE)


def put_back(compiled: str, tokens: Sequence[Token], draft: Draft) -> Writer:
    """The compiled HTML with its tokens in place, each value guarded for where it stands; raises BadTemplate."""
    writer = Writer(tokens=tokens, part="html", sites=[])
    _Placer(compiled, writer, draft).run()
    return writer


class _Placer:
    def __init__(self, compiled: str, writer: Writer, draft: Draft) -> None:
        self._html, self._writer, self._draft = compiled, writer, draft
        self._word = placeholders(draft.word)

    def run(self) -> None:
        """From front to back."""
        position = 0
        while match := _PART.search(self._html, position):
            self._text(self._html[position : match.start()])
            if match["tag"]:
                position = self._tag(match)
                continue
            position = match.end()
            self._text(match[0])  # a placeholder comment, a bound, a closing tag
        self._text(self._html[position:])

    def _text(self, text: str) -> None:
        self._writer.mixed(pieces_of(text, self._word))

    def _tag(self, match: re.Match[str]) -> int:
        """An opening tag with its attributes, and the content of style sheets and scripts."""
        name = match["tag"][1:].lower()
        self._writer.literal(match["tag"])
        position = match.end()
        while self._html[position : position + 1] not in (">", ""):
            found = _ATTRIBUTE.match(self._html, position)
            if found is None or found.end() == position:
                raise BadTemplate(
                    f"<{name}> in the compiled HTML can't be read near {self._html[position : position + 40]!r}"
                )
            self._attribute(name, found)
            position = found.end()
        self._writer.literal(">")
        position += 1
        if name not in ("style", "script"):
            return position
        end = self._html.find(f"</{name}", position)
        end = len(self._html) if end < 0 else end
        self._sheet(self._html[position:end], name)
        return end

    def _attribute(self, tag: str, found: re.Match[str]) -> None:
        if found["name"] is None or found["quote"] is None:
            self._refuse(found[0], f"stands in a tag <{tag}> without quotes")
            self._writer.literal(found[0])
            return
        name, value, quote = found["name"].lower(), found["value"], found["quote"]
        self._refuse(found["name"], "stands in the name of an attribute")
        self._writer.literal(found["name"] + found["is"] + quote)
        if name == "href" and (tag in _LINKS or tag.startswith("v:")):
            self._link(value)
        elif name in _ADDRESSES:
            self._address(value)
        elif name == "style":
            self._style(value, "_style_url")
        else:
            if name == "srcset" or name.startswith("on") or tag in ("meta", "script", "iframe", "object", "embed"):
                self._refuse(value, f"stands in {name} of <{tag}>, where no value may stand")
            self._group(value)
        self._writer.literal(quote)

    def _link(self, value: str) -> None:
        untracked = value.startswith(self._draft.untracked)
        link(
            self._writer, pieces_of(value.removeprefix(self._draft.untracked), self._word), not untracked, html.unescape
        )

    def _address(self, value: str) -> None:
        pieces = pieces_of(value, self._word)
        if all(isinstance(piece, str) for piece in pieces):
            self._writer.literal(value)
            return
        code = expression(pieces, self._writer.tokens, html.unescape)
        self._writer.expression(first_of(pieces), f" ({code}) | _address ")

    def _style(self, value: str, guard: str) -> None:
        """Style declarations; `url(...)` in them is an address."""
        position = 0
        for found in _CSS_ADDRESS.finditer(value):
            pieces = pieces_of(found[3], self._word)
            if all(isinstance(piece, str) for piece in pieces):
                continue
            self._plain_style(value[position : found.start()])
            self._writer.literal(found[1] + found[2])
            code = expression(pieces, self._writer.tokens, html.unescape if guard == "_style_url" else str)
            self._writer.expression(first_of(pieces), f" ({code}) | {guard} ")
            self._writer.literal(found[4])
            position = found.end()
        self._plain_style(value[position:])
        self._check_groups(value)

    def _plain_style(self, value: str) -> None:
        self._writer.mixed(pieces_of(value, self._word), "_style")

    def _sheet(self, content: str, name: str) -> None:
        if name == "script":
            self._refuse(content, "stands in a <script>")
        self._style(content, "_sheet_url")

    def _group(self, value: str) -> None:
        self._check_groups(value)
        self._text(value)

    def _check_groups(self, value: str) -> None:
        """Statements in an attribute must be whole groups there: the compiler may have copied the attribute."""
        open_words: list[str] = []
        for index in (int(found) for found in self._word.findall(value)):
            token = self._writer.tokens[index]
            if token.kind is Kind.VALUE or (
                token.word in ("set", "elif", "else") and (open_words or token.word == "set")
            ):
                continue
            if token.word.startswith("end") and open_words and open_words.pop() == token.word[3:]:
                continue
            if token.word not in ("if", "for", "with"):
                raise BadTemplate(f"{token.told}: a statement in an attribute or style must be complete there")
            open_words.append(token.word)
        if open_words:
            index = int(self._word.findall(value)[0])
            raise BadTemplate(
                f"{self._writer.tokens[index].told}: a statement in an attribute or style must be complete there"
            )

    def _refuse(self, text: str, why: str) -> None:
        found = self._word.search(text)
        if found is not None:
            raise BadTemplate(f"{self._writer.tokens[int(found[1])].told}: {why}")

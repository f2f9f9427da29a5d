"""Which stretches of a template belong to Jinja? Found with its own lexer, because a string may hold `%}` or `}}`."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from jinja2 import Environment, TemplateSyntaxError

from engine.errors import BadTemplate
from engine.message.sources import Source

MASK = "\ue000"  # stands for each character of a token while the mark-up round it is read

_LEXER = Environment()
_OPEN = frozenset(["variable_begin", "block_begin"])
_CLOSE = frozenset(["variable_end", "block_end"])
_NOTHING = frozenset(["comment_begin", "comment", "comment_end", "raw_begin", "raw_end"])


class Kind(StrEnum):
    """What a token does."""

    VALUE = "value"  # {{ }}
    STATEMENT = "statement"  # {% %}
    NOTHING = "nothing"  # comments, and the bounds of {% raw %}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One Jinja token. `code` is what stands between the delimiters, with its strings translated."""

    index: int
    kind: Kind
    code: str
    opening: str  # "{{", "{%-" ...
    closing: str
    start: int
    end: int
    place: str  # file:line:col
    written: str  # as it stands in the file

    @property
    def word(self) -> str:
        """The first word of a statement: if, for, endif ..."""
        match = re.match(r"\s*(\w+)", self.code)
        return match[1] if match else ""

    @property
    def told(self) -> str:
        """Place and text, as messages show them."""
        return f"{self.place}: {self.written if len(self.written) <= 80 else self.written[:77] + '...'}"


def lex(source: Source, translated: Callable[[str], str]) -> tuple[Token, ...]:
    """The run-pass tokens in order; the literal strings of `_("...")` are replaced by their translations."""
    tokens: list[Token] = []
    parts: list[tuple[str, str]] = []
    start = 0
    for kind, value, at in _lexed(source):
        end = at + len(value)
        if kind in _NOTHING:
            tokens.append(_token(source, len(tokens), [("nothing", "")] * 2, (at, end), translated))
        elif kind in _OPEN:
            start, parts = at, [(kind, value)]
        elif kind in _CLOSE:
            tokens.append(_token(source, len(tokens), [*parts, (kind, value)], (start, end), translated))
            parts = []
        elif parts:
            parts.append((kind, value))
    return tuple(tokens)


def masked(text: str, tokens: Sequence[Token]) -> str:
    """The text, as long as before, with a mask on each token: whatever a token holds can't be taken for mark-up."""
    out: list[str] = []
    position = 0
    for token in tokens:
        out += [text[position : token.start], MASK * (token.end - token.start)]
        position = token.end
    return "".join(out) + text[position:]


def _lexed(source: Source) -> list[tuple[str, str, int]]:
    """Jinja's raw tokens with their places; whitespace that `-%}` swallows is in none of them."""
    found = []
    position = 0
    try:
        for _, kind, value in _LEXER.lex(source.text):
            at = source.text.index(value, position)
            found.append((kind, value, at))
            position = at + len(value)
    except TemplateSyntaxError as fault:
        raise BadTemplate(f"{source.place_of_line(fault.lineno)}: {fault.message}") from fault
    return found


def _token(
    source: Source,
    index: int,
    parts: list[tuple[str, str]],
    span: tuple[int, int],
    translated: Callable[[str], str],
) -> Token:
    start, end = span
    kinds = {"variable_begin": Kind.VALUE, "block_begin": Kind.STATEMENT}
    return Token(
        index=index,
        kind=kinds.get(parts[0][0], Kind.NOTHING),
        code=_translated(source, parts[1:-1], start, translated),
        opening=parts[0][1],
        closing=parts[-1][1].rstrip(),
        start=start,
        end=end,
        place=source.place(start),
        written=source.text[start:end].strip(),
    )


def _translated(source: Source, parts: list[tuple[str, str]], start: int, translated: Callable[[str], str]) -> str:
    """The code of a token; `_(` must be followed by a literal string, which is exchanged for its translation."""
    out: list[str] = []
    awaited = 0  # 1 after `_`, 2 after `_(`
    for kind, value in parts:
        if kind == "whitespace":
            out.append(value)
            continue
        if awaited == 2 and kind != "string":
            raise BadTemplate(
                f'{source.place(start)}: _() takes a literal string, as in _("Hello {{name}}", name=given_name)'
            )
        if awaited == 2:
            value = ascii(translated(_unquoted(value)))
        awaited = 1 if (kind, value) == ("name", "_") else 2 if awaited == 1 and value == "(" else 0
        out.append(value)
    return "".join(out)


def _unquoted(literal: str) -> str:
    """A string literal's value, by the rules of Jinja's own lexer."""
    return literal[1:-1].encode("ascii", "backslashreplace").decode("unicode-escape")

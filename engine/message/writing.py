"""How is a Jinja source written piece by piece, so that a fault in it leads back to the author's file?

Each token begins on a line of its own: a line end inside the braces prints nothing, and Jinja's line numbers tell which
token it was.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.message.tokens import Kind, Token

# What Jinja would take for the start of a token in literal text, as in `{#id` of a style sheet.
_TRAP = re.compile(r"\{(?=[{%#]|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One place of a link. `href` is the address itself when `literal`, else the expression it is made of."""

    index: int
    href: str
    literal: bool
    part: str  # html | text
    tracked: bool


@dataclass(slots=True)
class Writer:
    """A Jinja source while it is written: text, tokens, the line each token begins on, and the link places."""

    tokens: Sequence[Token]
    part: str
    sites: list[Site]
    out: list[str] = field(default_factory=list)
    lines: list[tuple[int, int]] = field(default_factory=list)  # line, token
    line: int = 1
    fields: set[str] = field(default_factory=set)  # read by this part alone

    def literal(self, text: str) -> None:
        """Text that Jinja must print as it is."""
        self._write(_TRAP.sub("{{ '{' }}", text))

    def statement(self, token: Token) -> None:
        """A statement, as the author wrote it."""
        self._token(token.index, f"{token.opening}\n{token.code}{token.closing}")

    def value(self, token: Token, guard: str = "") -> None:
        """A value, through a guard where the place needs one."""
        code = f" ({token.code.strip()}) | {guard} " if guard else token.code
        self._token(token.index, f"{token.opening}\n{code}{token.closing}")

    def made(self, code: str) -> None:
        """Jinja that stands for no token of the author's."""
        self._write(code)

    def mixed(self, pieces: Sequence[str | int], guard: str = "") -> None:
        """Literal text and tokens in turn."""
        for piece in pieces:
            if isinstance(piece, str):
                self.literal(piece)
            elif self.tokens[piece].kind is Kind.STATEMENT:
                self.statement(self.tokens[piece])
            else:
                self.value(self.tokens[piece], guard)

    def expression(self, first: int, code: str) -> None:
        """An expression made here; `first` is the token it is told by."""
        self._token(first, f"{{{{\n{code}}}}}")

    def text(self) -> str:
        """The whole source."""
        return "".join(self.out)

    def _token(self, index: int, code: str) -> None:
        self.lines.append((self.line + 1, index))
        self._write(code)

    def _write(self, text: str) -> None:
        self.out.append(text)
        self.line += text.count("\n")


def pieces_of(text: str, word: re.Pattern[str]) -> list[str | int]:
    """Literal stretches and token numbers in turn; empty stretches are left out."""
    split = word.split(text)
    return [int(piece) if i % 2 else piece for i, piece in enumerate(split) if i % 2 or piece]


def first_of(pieces: Sequence[str | int]) -> int:
    """The first token's number."""
    return next(piece for piece in pieces if isinstance(piece, int))

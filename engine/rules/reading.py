"""How is a rule's text read? By Jinja's own lexer and expression parser, with the column of every node.

Jinja keeps only line numbers. Here each token carries its place in the text where Jinja expects the line, so that
`node.lineno` of an expression is that place, counted from 1.
"""

import re
from dataclasses import dataclass

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.lexer import Token, TokenStream, describe_token
from jinja2.parser import Parser

from engine.errors import BadRule

MAX_LENGTH = 20_000  # characters
MAX_NESTING = 20  # brackets and prefixes inside each other; Jinja's parser needs 13 Python frames a level

_ENVIRONMENT = Environment()
_SPELLINGS = {
    "=": "write == to compare",
    "&": "write and",
    "|": "write or",
    "!": "write not",
    "AND": "write and",
    "OR": "write or",
    "NOT": "write not",
    "'": "the text has no closing quote",
    '"': "the text has no closing quote",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a rule stands, so that a fault can be pointed at. `where` is `file:line`, or empty."""

    source: str
    where: str

    def fault(self, position: int, message: str) -> BadRule:
        """The error for a place in the text (1 = first character)."""
        before = self.source[: position - 1]
        line, column = before.count("\n"), position - (before.rfind("\n") + 1)
        if self.where:
            return BadRule(f"{self.where}{f' (line {line + 1} of the rule)' if line else ''}:{column}: {message}")
        return BadRule(f"{f'line {line + 1}, ' if line else ''}column {column}: {message}")


def parse(source: str, where: str) -> tuple[nodes.Expr, Place]:
    """The rule as Jinja's nodes, and the place that turns their `lineno` into an error message."""
    text = source.replace("\r\n", "\n").replace("\r", "\n")
    place = Place(source=text, where=where)
    if not text.strip():
        raise place.fault(1, "the rule is empty; write a condition such as orders_count >= 2")
    if len(text) > MAX_LENGTH:
        raise place.fault(1, f"the rule is longer than {MAX_LENGTH:,} characters; split it into segments")
    tokens = _tokens(text, place)
    parser = Parser(_ENVIRONMENT, "", state="variable")
    parser.stream = TokenStream(tokens, None, None)
    try:
        expression = parser.parse_expression()
    except TemplateSyntaxError as fault:
        raise _syntax_fault(place, fault) from None
    except RecursionError:
        raise place.fault(1, _too_deep()) from None
    if not parser.stream.eos:
        raise _unexpected(place, parser.stream.current)
    return expression, place


def _tokens(text: str, place: Place) -> list[Token]:
    pieces: list[tuple[int, str, str]] = []
    end = 0
    try:
        for _line, kind, piece in _ENVIRONMENT.lexer.tokeniter(text, None, None, "variable"):
            pieces.append((end + 1, kind, piece))
            end += len(piece)
    except TemplateSyntaxError as fault:
        message = re.sub(r" at \d+$", "", fault.message or "").replace("unexpected char", "unexpected")
        raise place.fault(end + 1, message + _spelling(text[end : end + 1])) from None
    _refuse_depth(pieces, place)
    try:
        return list(_ENVIRONMENT.lexer.wrap(pieces))
    except TemplateSyntaxError as fault:
        raise place.fault(fault.lineno, fault.message or "not understood") from None
    except ValueError:  # Python refuses to read whole numbers of more than 4300 digits
        raise place.fault(1, "a number in the rule is too long") from None


def _refuse_depth(pieces: list[tuple[int, str, str]], place: Place) -> None:
    brackets = prefixes = 0
    for position, kind, piece in pieces:
        if kind == "whitespace":
            continue
        if kind == "operator" and piece in "([{":
            brackets += 1
        elif kind == "operator" and piece in ")]}":
            brackets -= 1
        prefixes = prefixes + 1 if piece in ("not", "-", "+") else 0
        if brackets + prefixes > MAX_NESTING:
            raise place.fault(position, _too_deep())


def _too_deep() -> str:
    return f"the rule is nested more than {MAX_NESTING} deep; split it into segments"


def _syntax_fault(place: Place, fault: TemplateSyntaxError) -> BadRule:
    message = (fault.message or "not understood").replace("end of template", "end of the rule").rstrip(".")
    if "end of the rule" in message:
        return place.fault(len(place.source) + 1, message)
    found = place.source[fault.lineno - 1 : fault.lineno]
    return place.fault(fault.lineno, message + _spelling(found))


def _unexpected(place: Place, token: Token) -> BadRule:
    word = describe_token(token) if token.type != "variable_end" else "}}"
    return place.fault(token.lineno, f"unexpected {word!r} after a complete condition{_spelling(word)}")


def _spelling(found: str) -> str:
    return f"; {_SPELLINGS[found]}" if found in _SPELLINGS else ""

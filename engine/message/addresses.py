"""Where does a link lead, when its address is made of text, values and conditions? One Jinja expression for each.

A link that is counted is written as `address | _link(place)`: at render the place's number and round decide the address
that stands in the mail. Other addresses are written as `address | _address`, which only checks them.
"""

import re
from collections.abc import Callable, Sequence

from jinja2 import Environment, nodes

from engine.errors import BadTemplate, RenderFailed
from engine.message.guards import OTHER, address
from engine.message.tokens import Kind, Token
from engine.message.writing import Site, Writer, first_of


def link(writer: Writer, pieces: Sequence[str | int], tracked: bool, unescape: Callable[[str], str]) -> None:
    """Write the address of a link; where it is tracked, through `_link` with the number of its place."""
    index = len(writer.sites)
    if all(isinstance(piece, str) for piece in pieces):
        href = unescape("".join(str(piece) for piece in pieces)).strip()
        counted = tracked and _is_counted(href)
        _check_literal(href)
        writer.sites.append(Site(index=index, href=href, literal=True, part=writer.part, tracked=counted))
        if counted:
            writer.made(f"{{{{ {href!a} | _link({index}) }}}}")
        else:
            writer.literal("".join(str(piece) for piece in pieces))
        return
    code = expression(pieces, writer.tokens, unescape)
    counted = tracked and _is_counted_expression(code)
    writer.sites.append(Site(index=index, href=code, literal=False, part=writer.part, tracked=counted))
    writer.expression(first_of(pieces), f" ({code}) | _link({index}) " if counted else f" ({code}) | _address ")


def expression(pieces: Sequence[str | int], tokens: Sequence[Token], unescape: Callable[[str], str]) -> str:
    """One Jinja expression for an address made of text, values and `{% if %}`.

    A value at the very start stands as it is; each later one is percent-encoded. The whole is checked when it is known.
    """
    code, rest, _ = _sequence(list(pieces), tokens, unescape, is_start=True)
    if rest:
        raise BadTemplate(f"{tokens[first_of(rest)].told}: this statement is not complete within the address")
    return code


def _sequence(
    pieces: list[str | int], tokens: Sequence[Token], unescape: Callable[[str], str], *, is_start: bool
) -> tuple[str, list[str | int], bool]:
    """The expression up to the end or the next else/endif, what is left, and whether nothing was written yet."""
    parts: list[str] = []
    while pieces:
        piece = pieces[0]
        if isinstance(piece, str):
            text = unescape(piece)
            parts.append(ascii(text))
            is_start = is_start and not text.strip()
        elif tokens[piece].kind is Kind.VALUE:
            code = f"({tokens[piece].code.strip()})"
            parts.append(code if is_start or _is_encoded(code) else f"({code} | _part)")
            is_start = False
        elif tokens[piece].word in ("elif", "else", "endif"):
            break
        elif tokens[piece].word == "if":
            code, pieces, is_start = _condition(pieces, tokens, unescape, is_start=is_start)
            parts.append(code)
            continue
        else:
            raise BadTemplate(f"{tokens[piece].told}: in an address only {{{{ }}}} and {{% if %}} may stand")
        pieces = pieces[1:]
    return " ~ ".join(parts) or "''", pieces, is_start


def _condition(
    pieces: list[str | int], tokens: Sequence[Token], unescape: Callable[[str], str], *, is_start: bool
) -> tuple[str, list[str | int], bool]:
    """`{% if a %}x{% elif b %}y{% else %}z{% endif %}` as an expression."""
    opener = tokens[first_of(pieces)]
    code, still_start = "", is_start
    while True:
        token = tokens[first_of(pieces)]
        condition = re.sub(r"^\s*\w+", "", token.code).strip()
        branch, pieces, empty = _sequence(pieces[1:], tokens, unescape, is_start=is_start)
        still_start = still_start and empty
        code += f"({branch}) if ({condition}) else " if token.word in ("if", "elif") else f"({branch})"
        if not pieces:
            raise BadTemplate(f"{opener.told}: this statement is not complete within the address")
        if tokens[first_of(pieces)].word == "endif":
            return f"({code})" if token.word == "else" else f"({code}'')", pieces[1:], still_start


def _is_encoded(code: str) -> bool:
    """Has the author percent-encoded the value already?"""
    tree = Environment().parse(f"{{{{ {code} }}}}")
    outermost = next(iter(tree.find_all(nodes.Output))).nodes[0]
    return isinstance(outermost, nodes.Filter) and outermost.name == "url_encode"


def _is_counted(href: str) -> bool:
    return href.lower().startswith(("http:", "https:"))


def _is_counted_expression(code: str) -> bool:
    """The engine's own links, and those that open no web page, are never counted."""
    start = code.lstrip("('\"").lower()
    own = re.match(r"links\s*[.\[]", start)
    return not own and not start.startswith((*(f"{scheme}:" for scheme in OTHER), "#"))


def _check_literal(href: str) -> None:
    if href.startswith("#") or not href:
        return
    try:
        address(href)
    except RenderFailed as fault:
        raise BadTemplate(f"a link can't be used: {fault}") from fault

"""May this value stand here? One guard for each kind of place in a message; all of them refuse rather than repair.

Escaping alone lets `javascript:` through in an href and `red;background:url(//x)` in a colour. Which guard a value gets
is decided at compile time from where it landed (`placing`).
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from engine.errors import RenderFailed

LONGEST_TEXT = 200_000
WEB = frozenset(["http", "https"])
OTHER = frozenset(["mailto", "tel", "sms"])

_LONGEST_ADDRESS = 8192
_LONGEST_STYLE = 1000
_LARGEST_NUMBER = 1e30
_LARGEST_BASE = 1e6
_LARGEST_EXPONENT = 20
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_PLAIN = re.compile(
    r"https?://[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d{1,5})?(?:[/?#][\w%/:?#\[\]@!$&'()*+,;=~.-]*)?", re.ASCII
)
_BASE = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9_/.-]*)?", re.ASCII)
_KEPT = "%/:?#[]@!$&'()*+,;=~-._"
_STYLE = re.compile(r"[\w#.,%() +-]*", re.ASCII)
_FUNCTION = re.compile(r"(\w*)\s*\(")
_COLOURS = frozenset(["rgb", "rgba", "hsl", "hsla"])
_CSS_UNSAFE = re.compile(r"""['"()\\<>]""")


def address(value: object) -> str:
    """An absolute address that may stand in a mail: http(s) with a host and no user name, mailto, tel or sms.

    Spaces and other scripts are percent-encoded, the host becomes A-labels. Raises RenderFailed.
    """
    text = str(value).strip()
    if _PLAIN.fullmatch(text) and len(text) <= _LONGEST_ADDRESS:
        return text  # nearly all are; the rest is looked at more closely
    if not text:
        raise RenderFailed("an address is empty")
    if len(text) > _LONGEST_ADDRESS:
        raise RenderFailed(f"the address {_short(text)} is longer than {_LONGEST_ADDRESS} characters")
    if "\\" in text or any(unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") for one in text):
        raise RenderFailed(f"the address {_short(text)} holds a backslash or an invisible character")
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise RenderFailed(f"the address {_short(text)} is relative; in a mail it must begin with https://")
    if scheme[1].lower() in OTHER:
        return quote(text, safe=_KEPT)
    if scheme[1].lower() not in WEB:
        raise RenderFailed(
            f"the address {_short(text)} begins with {scheme[1]!r}; allowed are https, http, mailto, tel, sms"
        )
    return _web_address(text)


@lru_cache(maxsize=64)
def is_plain_base(base: str) -> bool:
    """Does an address that begins so, and goes on with letters, digits, `/ . - _`, stand in any part as it is?"""
    return _BASE.fullmatch(base) is not None and address(f"{base}/x") == f"{base}/x"


def address_part(value: object) -> str:
    """A value inside an address, percent-encoded as a whole."""
    text = str(value)
    return text if text.isascii() and text.isalnum() else quote(text, safe="", errors="replace")


def style_value(value: object) -> str:
    """A colour, a size, a font: nothing that could end the declaration or load something."""
    text = str(value).strip()
    if len(text) > _LONGEST_STYLE:  # first: what is looked for below takes the square of the length
        raise RenderFailed(f"{_short(text)} is longer than {_LONGEST_STYLE} characters, and so no style value")
    functions = {name.lower() for name in _FUNCTION.findall(text)}
    if not _STYLE.fullmatch(text) or functions - _COLOURS or "url" in text.lower() or "expression" in text.lower():
        raise RenderFailed(f"{_short(text)} is no plain style value; letters, digits and # . , % ( ) - _ are allowed")
    return text


def style_address(value: object) -> str:
    """An http(s) address inside CSS `url()`."""
    text = address(value)
    if _SCHEME.match(text)[1].lower() not in WEB:  # type: ignore[index]  # `address` found a scheme
        raise RenderFailed(f"the address {_short(text)} can't be a picture; it must begin with https://")
    return _CSS_UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", text)


def bounded_operation(operator: str, left: Any, right: Any) -> None:
    """Refuse what could fill the memory: text times number, `%` as a formatter, large powers, texts without end."""
    texts = [one for one in (left, right) if isinstance(one, str | list | tuple)]
    if operator == "+" and len(texts) == 2 and sum(map(len, texts)) > LONGEST_TEXT:
        raise RenderFailed(f"a text or list grew past {LONGEST_TEXT}")
    if operator in ("*", "**", "%") and any(not _is_loose_number(one) for one in texts):
        raise RenderFailed(f"{operator} is for numbers only")
    if operator in ("*", "**"):
        size = [abs(one) for one in (left, right) if isinstance(one, int | float)]
        largest = _LARGEST_BASE if operator == "**" else _LARGEST_NUMBER
        if any(one > largest for one in size) or (operator == "**" and size[1:] and size[1] > _LARGEST_EXPONENT):
            raise RenderFailed("a number grew too large")


def _is_loose_number(value: object) -> bool:
    """`attributes.X` counts as a number where it reads as one; the rules tell which."""
    return isinstance(value, str) and type(value) is not str and not hasattr(value, "__html__")


def _web_address(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, user, port = parts.hostname, parts.username, parts.port
    except ValueError:
        raise RenderFailed(f"the address {_short(text)} is not well formed") from None
    if not text[len(parts.scheme) :].startswith("://") or not host:
        raise RenderFailed(f"the address {_short(text)} has no host")
    if user is not None or parts.password is not None:
        raise RenderFailed(f"the address {_short(text)} holds a user name before the host")
    if re.search(r"[\s%]", host):
        raise RenderFailed(f"the address {_short(text)} has a host that is none")
    try:
        ascii_host = host.encode("idna").decode() if not host.isascii() else host
    except UnicodeError:
        raise RenderFailed(f"the address {_short(text)} has a host that is none") from None
    shown = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    rest = text[len(parts.scheme) + 3 + len(parts.netloc) :]
    return f"{parts.scheme.lower()}://{shown}{f':{port}' if port is not None else ''}{quote(rest, safe=_KEPT)}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")

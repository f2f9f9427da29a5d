"""What does HTML say to a reader? Enough of it to find an address and a sentence; in one pass over any input."""

import re
from html import unescape

_TAG = re.compile(r"<(/?)([a-zA-Z!][a-zA-Z0-9-]*)?([^<>]*)>")
_UNSEEN = {"style", "script", "head", "title"}
_LINES = {"br", "p", "div", "tr", "li", "table", "h1", "h2", "h3", "h4", "ul", "ol", "hr", "pre", "blockquote", "dd"}


def text_of(markup: str) -> str:
    """The text, a line for each block."""
    pieces: list[str] = []
    unseen, place = "", 0
    for tag in _TAG.finditer(markup):
        name = (tag[2] or "").lower()
        if "@" in tag[3] and " " not in tag[3]:  # an address in brackets that nobody escaped
            continue
        if not unseen:
            pieces.append(markup[place : tag.start()])
        place = tag.end()
        if unseen:
            unseen = "" if tag[1] and name == unseen else unseen
        elif name in _UNSEEN and not tag[1]:
            unseen = name
        elif name in _LINES:
            pieces.append("\n")
        elif name in ("td", "th"):
            pieces.append(" ")
    if not unseen:
        pieces.append(markup[place:])
    return unescape("".join(pieces)).replace("\xa0", " ")

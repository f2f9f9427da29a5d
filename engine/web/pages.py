"""How do the pages look that a recipient may see? One frame, her language, nothing fetched from anywhere."""

import base64
import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from starlette.responses import HTMLResponse

from engine import locale
from engine.config import Shop
from engine.web.words import WORDS, Words

# What holds for every answer: it is one person's, so it is kept nowhere, found by nobody, and tells no other site.
PRIVATE = {
    "Cache-Control": "no-store, no-cache, must-revalidate, private, max-age=0",
    "Pragma": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "X-Content-Type-Options": "nosniff",
}
# A mail needs no scripts; should one slip in, it must not run on our own address.
_MAIL_POLICY = (
    "default-src 'none'; img-src https: http: data:; style-src 'unsafe-inline'; font-src https:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TAG = re.compile(r"([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)(?:\s*;\s*q=([01](?:\.\d{1,3})?))?")
_LAST_RESORT = "en"


class Pages:
    """The shop's pages; every text on them is ours or the shop's, none comes from the request."""

    def __init__(self, shop: Shop) -> None:
        style = (files("engine.web") / "page.css").read_text(encoding="utf-8")
        environment = Environment(
            loader=PackageLoader("engine.web", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        environment.globals |= {"shop": shop, "style": Markup(style)}
        self._page = environment.get_template("page.html")
        self._shop = shop
        self._policy = (
            f"default-src 'none'; style-src '{_hash(style)}'; base-uri 'none'; form-action 'self'; "
            "frame-ancestors 'none'"
        )

    def language(self, of_message: str, accepted: str) -> str:
        """The message's language, else the reader's, else the shop's, as far as we have words in it."""
        for wanted in (of_message, *_accepted(accepted), *self._shop.languages):
            found, _ = locale.negotiate(wanted, tuple(WORDS), "")
            if found:
                return found
        return _LAST_RESORT

    def words(self, language: str) -> Words:
        """What the pages say in a language that `language` gave."""
        return WORDS[language]

    def show(self, language: str, kind: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """One of our pages: unsubscribe | unsubscribed | preferences | gone | busy."""
        html = self._page.render(
            kind=kind, language=language, direction=locale.direction(language), words=WORDS[language], **values
        )
        headers = PRIVATE | {"Content-Security-Policy": self._policy, "Content-Language": language}
        return HTMLResponse(html, status_code=status, headers=headers)


def mail_page(html: str) -> HTMLResponse:
    """A mail, to be read in a browser."""
    return HTMLResponse(html, headers=PRIVATE | {"Content-Security-Policy": _MAIL_POLICY})


def _accepted(header: str) -> Sequence[str]:
    """The languages a browser asks for, the dearest first (RFC 9110, 12.5.4)."""
    found = [match for part in header[:200].split(",") if (match := _TAG.fullmatch(part.strip()))]
    wanted = [(float(match[2] or 1), match[1]) for match in found]
    return [tag for weight, tag in sorted(wanted, key=lambda pair: -pair[0]) if weight]


def _hash(style: str) -> str:
    """Lets the browser take this style sheet and no other (CSP level 2)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}"

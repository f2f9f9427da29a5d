"""A workbench for template tests: files in a folder, one reader, one call from MJML to a rendered message."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.message import (
    CompiledTemplate,
    LinkAddresses,
    Rendered,
    ShopView,
    compile_template,
    context_for,
    render,
)
from engine.model import Card, Picks, Profile

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHOP = ShopView(name="Tom & Jerry's", postal_address="1 Main Street, 00100 Helsinki", url="https://shop.test")
LINKS = LinkAddresses(
    unsubscribe="https://t.test/u/1", preferences="https://t.test/p/1", view="https://t.test/v/1", pixel_url=None
)
ANNA = Profile(contact_id=1, email="anna@a.test", given_name="Anna", city="Turku", language="en", orders_count=3)


def card(number: int, **changes: Any) -> Card:
    made = Card(
        product_id=str(number),
        title=f"Thing {number}",
        url=f"https://shop.test/p/{number}?a=1&b=2",
        image_url=f"https://shop.test/i/{number}.png",
        price=9.5,
        reason=f"Reason {number}",
    )
    return replace(made, **changes)


def mjml(body: str, *, head: str = "<mj-title>Subject</mj-title>", wrap: bool = True) -> str:
    """A whole document; `body` stands in a text unless `wrap` is off."""
    if wrap:
        body = f"<mj-section><mj-column><mj-text>{body}</mj-text></mj-column></mj-section>"
    return f"<mjml>\n<mj-head>{head}</mj-head>\n<mj-body>{body}</mj-body>\n</mjml>"


def write(folder: Path, **files: str) -> Path:
    """A template folder with these files: `en_mjml=...` becomes en.mjml."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", "-").replace("_", ".")).write_text(text, encoding="utf-8", newline="")
    return folder


def compiled(folder: Path, source: str, *, language: str = "en", **files: str) -> CompiledTemplate:
    """One language compiled from one file."""
    write(folder / "winback", **{f"{language}_mjml": source}, **files)
    return compile_template(folder / "winback", {}, replace(SHOP, languages=(language,)))[language]


def rendered(
    template: CompiledTemplate,
    profile: Profile = ANNA,
    picks: Picks | None = None,
    *,
    links: LinkAddresses = LINKS,
    **changes: Any,
) -> Rendered:
    """The message of one reader, through a frozen context."""
    context: Mapping[str, Any] = context_for(template, replace(profile, **changes), picks or Picks(), SHOP, AT)
    return render(template, context, links)


def shown(folder: Path, body: str, *, wrap: bool = True, picks: Picks | None = None, **changes: Any) -> str:
    """The HTML that a body becomes."""
    return rendered(compiled(folder, mjml(body, wrap=wrap)), picks=picks, **changes).html

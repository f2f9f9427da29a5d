"""The few pages a recipient may see: in her language, the shop's own, and nothing else on them."""

import base64
import hashlib
import re
from dataclasses import fields

import pytest

from engine.config import Shop
from engine.web.pages import Pages
from engine.web.words import WORDS, Words

SHOP = Shop(name="Kahvila <&> Co", postal_address="1 Street", url="https://shop.example", languages=("fi", "en"))
KINDS = ("unsubscribe", "unsubscribed", "preferences", "gone", "busy")


def page(language: str, kind: str) -> str:
    stands = {"mailing": True, "tracking": False}
    shown = Pages(SHOP).show(language, kind, more="https://mail.test/p/x", stands=stands, said="saved")
    return bytes(shown.body).decode()


@pytest.mark.parametrize(
    ("of_message", "accepted", "language"),
    [
        ("fa", "en", "fa"),
        ("zh_TW", "", "zh"),
        ("zh-Hans", "", "zh"),
        ("", "vi,en;q=0.8", "vi"),
        ("", "en;q=0.3, ms;q=0.9", "ms"),
        ("", "en;q=0, zh", "zh"),
        ("", "de-DE,de;q=0.9,en;q=0.5", "en"),
        ("de", "vi", "vi"),
        ("", "fil-PH", "fi"),  # Filipino is not Finnish; but this shop is
        ("", "", "fi"),
        ("", "*;q=0.1,,;;q=x, <b>", "fi"),
        ("", "e" * 5000, "fi"),
    ],
)
def test_the_messages_language_wins_then_the_readers_then_the_shops(
    of_message: str, accepted: str, language: str
) -> None:
    assert language == Pages(SHOP).language(of_message, accepted)


def test_filipino_is_not_taken_for_finnish() -> None:
    shop = SHOP.model_copy(update={"languages": ("de",)})

    assert "en" == Pages(shop).language("", "fil-PH")


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_says_its_language_and_direction_and_names_the_shop(language: str, kind: str) -> None:
    html = page(language, kind)

    assert f'<html lang="{language}" dir="{"rtl" if language == "fa" else "ltr"}">' in html
    assert "Kahvila &lt;&amp;&gt; Co" in html
    assert "<&>" not in html
    assert "1 Street" in html


@pytest.mark.parametrize("language", WORDS)
def test_every_sentence_is_there_and_is_shown_on_some_page(language: str) -> None:
    shown = "".join(page(language, kind) for kind in KINDS).replace("&#39;", "'")
    missing = {one.name for one in fields(Words) if getattr(WORDS[language], one.name) not in shown}

    assert {"refused"} == missing  # stands in the place of `saved`


def test_the_policy_allows_our_style_sheet_and_no_other() -> None:
    shown = Pages(SHOP).show("en", "gone")
    (style,) = re.findall(r"<style>(.*?)</style>", bytes(shown.body).decode(), re.DOTALL)

    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"style-src 'sha256-{digest}';" in shown.headers["Content-Security-Policy"]


def test_a_shop_without_an_address_on_the_web_has_no_button_to_it() -> None:
    shown = Pages(SHOP.model_copy(update={"url": ""})).show("en", "gone")

    assert b"<a " not in bytes(shown.body)


def test_preferences_show_what_stands() -> None:
    mailing, tracking = re.findall(r"<input[^>]+>", page("en", "preferences"))

    assert "checked" in mailing
    assert "checked" not in tracking

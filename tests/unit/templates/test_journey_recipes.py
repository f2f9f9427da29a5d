"""The mails of the shipped journeys: six languages, nothing to find fault with, and room on a narrow screen.

What they share with the campaigns' recipes (greeting, cells, prices, colours) is tried there.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, sync_playwright
from sample_readers import (
    CHROMIUM,
    CHROMIUM_SWITCHES,
    JOURNEY_RECIPES,
    LANGUAGES,
    LAYOUT,
    TEMPLATES,
    full_reader,
    rendered,
    shop_of,
    sparse_reader,
)

from engine.message import compile_template, findings_in, lint_template

every_recipe = pytest.mark.parametrize("recipe", JOURNEY_RECIPES)


@every_recipe
def test_a_recipe_speaks_the_six_languages_and_passes_the_checks_for_authors(recipe: str) -> None:
    shop = replace(shop_of("en"), languages=LANGUAGES)

    assert set(LANGUAGES) == set(compile_template(TEMPLATES / recipe, {}, shop, [LAYOUT]))
    assert [] == lint_template(TEMPLATES / recipe, shop)


@every_recipe
def test_readers_known_well_and_hardly_at_all_get_a_mail_without_findings(recipe: str) -> None:
    for language in LANGUAGES:
        for reader in (full_reader(language, pictures=True), sparse_reader(language)):
            message = rendered(recipe, language, reader)

            assert [] == findings_in(message), language
            assert "unsubscribe" in message.html or "/u/" in message.html
            assert not any(left in message.html + message.text for left in ("{{", "{%", "[[", "[%"))


@every_recipe
def test_subject_and_preheader_have_the_length_that_inboxes_show(recipe: str) -> None:
    for language in LANGUAGES:
        message = rendered(recipe, language, sparse_reader(language))

        assert 0 < cells(message.subject) <= 60, language
        assert 30 <= cells(message.preheader) <= 110, language


def cells(text: str) -> int:
    """How wide a text is: Chinese characters take the room of two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_no_string_is_left_in_english(language: str) -> None:
    for recipe in JOURNEY_RECIPES:
        ours, english = (rendered(recipe, one, sparse_reader(one)) for one in (language, "en"))

        assert ours.subject != english.subject
        assert not set(sentences(ours.text)) & set(sentences(english.text)), recipe


def sentences(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) > 40 and "http" not in line and "example" not in line]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_SWITCHES)
        yield opened
        opened.close()


def test_nothing_runs_over_the_edge_of_a_narrow_screen(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 320, "height": 700})
    for recipe in JOURNEY_RECIPES:
        for language in ("fi", "fa", "zh"):
            page.set_content(rendered(recipe, language, full_reader(language, pictures=True)).html)

            assert page.evaluate("document.documentElement.scrollWidth") <= 320, (recipe, language)
    page.close()

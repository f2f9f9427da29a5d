"""Would a shop be proud to send the shipped recipes, in each language, to readers known well and hardly at all?"""

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from playwright.sync_api import Browser, sync_playwright
from sample_readers import (
    ADDRESSES,
    AT,
    CHROMIUM,
    CHROMIUM_SWITCHES,
    LANGUAGES,
    LAYOUT,
    RECIPES,
    SHOPS,
    TEMPLATES,
    full_reader,
    rendered,
    shop_of,
    sparse_reader,
)

from engine.locale import money
from engine.message import compile_template, context_for, findings_in, lint_template, render
from engine.model import Card, Picks, Severity

READERS = {
    "full": lambda language: full_reader(language),
    "with_pictures": lambda language: full_reader(language, pictures=True),
    "sparse": lambda language: sparse_reader(language),
}

every_recipe = pytest.mark.parametrize("recipe", RECIPES)
every_language = pytest.mark.parametrize("language", LANGUAGES)
every_reader = pytest.mark.parametrize("reader", READERS)


# ---------------------------------------------------------------- what is in them


@every_recipe
def test_a_recipe_speaks_the_six_languages(recipe: str) -> None:
    spoken = compile_template(TEMPLATES / recipe, {}, replace(shop_of("en"), languages=LANGUAGES))

    assert set(LANGUAGES) == set(spoken)


@every_recipe
def test_a_recipe_passes_the_checks_for_authors(recipe: str) -> None:
    assert [] == lint_template(TEMPLATES / recipe, replace(shop_of("en"), languages=LANGUAGES))


@every_recipe
@every_language
@every_reader
def test_a_message_has_no_findings(recipe: str, language: str, reader: str) -> None:
    found = findings_in(rendered(recipe, language, READERS[reader](language)))

    assert [] == [one for one in found if one.severity is Severity.ERROR]


@every_recipe
@every_language
@every_reader
def test_a_message_says_who_sent_it_and_how_to_leave(recipe: str, language: str, reader: str) -> None:
    message = rendered(recipe, language, READERS[reader](language))

    for part in (message.html, message.text):
        assert SHOPS[language][1] in part
        assert ADDRESSES.unsubscribe in part
        assert ADDRESSES.preferences in part
        assert ADDRESSES.view in part


@every_recipe
@every_language
@every_reader
def test_nothing_of_the_template_is_left_over(recipe: str, language: str, reader: str) -> None:
    message = rendered(recipe, language, READERS[reader](language))

    visible = "\n".join(
        [message.subject, message.preheader, message.text, re.sub(r"<style.*?</style>", "", message.html)]
    )
    assert not re.search(r"\{\{|\{%|\[\[|\[%|\bNone\b|undefined|\\u\{", visible)
    assert len(message.html.encode()) < 100_000


@every_recipe
@every_language
def test_subject_and_preheader_have_the_length_that_inboxes_show(recipe: str, language: str) -> None:
    message = rendered(recipe, language, sparse_reader(language))

    assert 0 < len(message.subject) <= 60
    assert 30 <= len(message.preheader) <= 110


@every_recipe
@every_language
def test_a_language_is_said_and_runs_its_own_way(recipe: str, language: str) -> None:
    html = rendered(recipe, language, full_reader(language)).html

    way = "rtl" if language == "fa" else "ltr"
    head = re.search(r"<html[^>]*>", html)
    assert head is not None
    assert f'lang="{language}"' in head[0]
    assert f'dir="{way}"' in head[0] or language != "fa"
    assert ("direction:ltr" in html.replace("direction: ", "direction:")) is (way == "ltr")


@every_recipe
@every_language
@every_reader
def test_every_tag_is_closed_for_browsers_and_for_outlook(recipe: str, language: str, reader: str) -> None:
    html = rendered(recipe, language, READERS[reader](language)).html

    assert [] == unbalanced(html)
    assert [] == unbalanced(as_outlook_reads(html))


# ---------------------------------------------------------------- the products


def test_a_reader_is_greeted_by_name_and_otherwise_by_a_whole_sentence() -> None:
    assert "خانم احمدی عزیز،" in rendered("winback", "fa", full_reader("fa")).text
    assert "王先生，您好！" in rendered("loyalty", "zh", full_reader("zh")).text
    assert "\nHello,\n" in rendered("winback", "en", sparse_reader("en")).text


def test_the_text_part_reads_like_a_letter() -> None:
    text = rendered("winback", "en", full_reader("en")).text

    assert (
        "Picked for you\n\n"
        "House espresso blend 1 kg: https://shop.test/p/3\n"
        "£24.00\n"
        "Bought 4 times, most recently on October\u00a03,\u00a02025\n\n"
        "Wildflower honey 340 g: https://shop.test/p/4\n"
    ) in text
    assert "\n\n\n" not in text


def cards(first: str, count: int) -> tuple[Card, ...]:
    return tuple(
        Card(product_id=f"{first}{i}", title=f"{first} {i}", url=f"https://shop.test/{first}{i}", image_url="", price=1)
        for i in range(count)
    )


@pytest.mark.parametrize(
    ("expected", "again", "new"),
    [
        (["again 0", "again 1", "new 0", "new 1"], 5, 5),
        (["again 0", "again 1", "again 2", "again 3"], 5, 0),
        (["new 0", "new 1", "new 2", "new 3"], 0, 5),
        (["again 0", "new 0", "new 1", "new 2"], 1, 5),
        (["again 0", "again 1", "new 0", "again 2"], 3, 1),
        (["again 0", "again 1"], 2, 1),
        (["again 0", "new 0"], 1, 1),
        ([], 1, 0),
        ([], 0, 1),
        ([], 0, 0),
    ],
)
@pytest.mark.parametrize("recipe", ["winback", "winback_discount", "loyalty"])
def test_the_grid_shows_full_rows_and_vanishes_with_fewer_than_two(
    recipe: str, expected: list[str], again: int, new: int
) -> None:
    picks = Picks(buy_again=cards("again", again), new_for_you=cards("new", new))

    message = rendered(recipe, "en", (full_reader("en")[0], picks))

    assert expected == re.findall(r"^((?:again|new) \d):", message.text, re.MULTILINE)
    assert ("Picked for you" in message.html or "Your favourites" in message.text) is bool(expected)


def test_a_cross_sell_shows_new_things_first() -> None:
    picks = Picks(buy_again=cards("again", 4), new_for_you=cards("new", 2))

    text = rendered("cross_sell", "en", (full_reader("en")[0], picks)).text

    assert ["new 0", "new 1", "again 0", "again 1"] == re.findall(r"^((?:again|new) \d):", text, re.MULTILINE)


def test_without_purchases_their_block_is_gone() -> None:
    assert "Your recent purchases" in rendered("winback", "en", full_reader("en")).html
    assert "Your recent purchases" not in rendered("winback", "en", sparse_reader("en")).html


@every_recipe
def test_a_product_without_address_price_picture_or_reason_still_shows_its_name(recipe: str) -> None:
    bare = tuple(Card(product_id=str(i), title=f"Plain thing {i}", url="", image_url="", price=None) for i in range(4))

    message = rendered(
        recipe, "en", (full_reader("en")[0], Picks(last_purchases=bare, buy_again=bare[:2], new_for_you=bare[2:]))
    )

    assert 3 + 4 == message.text.count("Plain thing")
    assert [] == unbalanced(message.html)


@every_language
def test_prices_are_written_as_the_reader_writes_them(language: str) -> None:
    _, picks = full_reader(language)
    price = picks.buy_again[0].price
    assert price is not None

    assert money(price, SHOPS[language][2], language) in rendered("winback", language, full_reader(language)).text


def test_names_that_look_like_markup_or_templates_arrive_literally() -> None:
    profile, picks = full_reader("en")
    evil = replace(picks.buy_again[0], title='I <3 "{{ 7*7 }}" & [[ x ]] </a>')

    message = rendered("winback", "en", (profile, replace(picks, buy_again=(evil, *picks.buy_again[1:]))))

    assert 'I <3 "{{ 7*7 }}" & [[ x ]] </a>: https://shop.test/p/3' in message.text
    assert "I &lt;3" in message.html
    assert [] == unbalanced(message.html)


@every_language
def test_the_discount_arm_carries_its_code(language: str) -> None:
    message = rendered("winback_discount", language, sparse_reader(language))

    assert "COMEBACK15" in message.html
    assert "COMEBACK15" in message.text


@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ("ink", "paper"),
        ("ink", "page"),
        ("quiet", "paper"),
        ("quiet", "page"),
        ("on_soft", "soft"),
        ("paper", "accent"),
    ],
)
def test_text_stands_out_from_its_ground(ink: str, ground: str) -> None:
    colours = dict(re.findall(r'set (\w+) = "(#[0-9a-f]{6})"', (LAYOUT / "style.mjml").read_text()))

    assert contrast(colours[ink], colours[ground]) >= 4.5


# ---------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing: install Debian's package `chromium` (apt-get install chromium)")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_SWITCHES)
        yield opened
        opened.close()


@every_recipe
def test_nothing_runs_over_the_edge_of_a_narrow_screen(recipe: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 800})
    too_wide = {}
    for language in LANGUAGES:
        for reader in READERS:
            page.set_content(rendered(recipe, language, READERS[reader](language)).html, wait_until="commit")
            width = page.evaluate("document.documentElement.scrollWidth")
            if width > 375:
                too_wide[language, reader] = width
    page.close()

    assert {} == too_wide


@every_recipe
def test_persian_cells_run_from_right_to_left(recipe: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 800})
    page.set_content(rendered(recipe, "fa", full_reader("fa")).html, wait_until="commit")
    cells = page.evaluate("[...document.querySelectorAll('td, th')].map(e => getComputedStyle(e).direction)")
    said = page.evaluate(
        "[...document.querySelectorAll('body *')]"
        ".filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && e.innerText.trim())"
        ".map(e => { const s = getComputedStyle(e); return [e.innerText, s.direction, s.textAlign]; })"
    )
    first_card, second_card = page.evaluate(
        "[...document.querySelectorAll('.mj-column-per-50')].slice(0, 2).map(e => e.getBoundingClientRect().x)"
    )
    page.close()

    assert len(cells) > 20
    assert {"rtl"} == set(cells)
    assert [] == [text for text, way, _ in said if way != "rtl" and text != "COMEBACK15"]
    assert [] == [text for text, _, align in said if align not in {"right", "start", "center", "-webkit-center"}]
    assert first_card > second_card


_RUNS = """said => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let one; one = texts.nextNode();) {
        const at = one.data.indexOf(said);
        if (at < 0) continue;
        const x = place => { const r = document.createRange(); r.setStart(one, place); r.setEnd(one, place + 1);
                             return r.getBoundingClientRect().x; };
        return x(at) < x(at + said.length - 1) ? "forwards" : "backwards";
    }
}"""


@pytest.mark.parametrize("recipe", ["winback", "loyalty"])
def test_what_a_shop_says_in_english_runs_forwards_in_a_persian_mail(recipe: str, browser: Browser) -> None:
    shop = replace(shop_of("en"), name="24 Seven", postal_address="1 Market Street, Dover", languages=("fa",))
    template = compile_template(TEMPLATES / recipe, {}, shop)["fa"]
    profile, picks = full_reader("fa")
    goods = tuple(replace(one, title="2 Peaks") for one in picks.buy_again)
    bought = tuple(replace(one, title="7 Seas", url=url) for one in picks.last_purchases for url in ("", one.url))
    seen = replace(picks, buy_again=goods, new_for_you=goods, last_purchases=bought)
    html = render(template, context_for(template, profile, seen, shop, AT), ADDRESSES).html

    page = browser.new_page(viewport={"width": 800, "height": 800})
    page.set_content(html, wait_until="commit")
    found = {said: page.evaluate(_RUNS, said) for said in ("24 Seven", shop.postal_address, "2 Peaks", "7 Seas")}
    page.close()

    assert dict.fromkeys(found, "forwards") == found


# ---------------------------------------------------------------- reading the result


def as_outlook_reads(html: str) -> str:
    """The message with what stands for Outlook alone opened, and what is hidden from it gone."""
    shown = re.sub(r"<!--\[if !mso[^\]]*\]><!-->.*?<!--<!\[endif\]-->", "", html, flags=re.DOTALL)
    return re.sub(r"<!--\[if [^\]]*(?:mso|IE)[^\]]*\]>(.*?)<!\[endif\]-->", r"\1", shown, flags=re.DOTALL)


def unbalanced(html: str) -> list[str]:
    """Tags that are closed in the wrong order, or never."""
    reader = _Tags()
    reader.feed(html)
    return reader.faults + [f"<{tag}> stays open" for tag in reader.open]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"br", "img", "meta", "link", "hr"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.faults.append(f"</{tag}> at {self.getpos()} closes {self.open[-1:]}")


def contrast(one: str, other: str) -> float:
    """Contrast ratio as WCAG 2.2 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

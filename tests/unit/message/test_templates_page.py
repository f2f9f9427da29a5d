"""docs/templates.md tells authors how to write; its examples must work as they stand there."""

import re
from dataclasses import replace
from pathlib import Path

from message_bench import ANNA, SHOP, card, compiled, mjml, rendered, write

from engine.message import compile_template
from engine.message.filters import FILTERS
from engine.model import Picks

PAGE = (Path(__file__).parents[3] / "docs" / "templates.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\w*\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def block(beginning: str) -> str:
    return next(one for one in BLOCKS if one.startswith(beginning))


def test_the_layout_example_works(tmp_path: Path) -> None:
    layout, template = block("[# templates/_layout").split("[# templates/winback/body.mjml #]\n")
    write(tmp_path / "_layout", shop_mjml=layout, footer_mjml="")
    folder = write(tmp_path / "winback", body_mjml=template, catalog_toml=block("# templates/winback/catalog.toml"))
    write(
        folder,
        catalog_toml=block("# templates/winback/catalog.toml")
        + '"Your favourites are waiting, and a few new things with them" = "Suosikkisi odottavat"\n',
    )
    templates = compile_template(folder, {}, replace(SHOP, languages=("en", "fi")), [tmp_path / "_layout"])

    assert "We miss you" == rendered(templates["en"]).subject
    assert "It has been 90 days." in rendered(templates["en"]).text
    assert "Edellisestä käynnistäsi on 12 päivää." in rendered(templates["fi"], days_since_last_order=12).text


def test_the_grid_example_works(tmp_path: Path) -> None:
    template = compiled(tmp_path, mjml(block("{% for row in new_for_you"), wrap=False))
    message = rendered(template, ANNA, Picks(new_for_you=tuple(card(n) for n in range(5))))

    assert 4 == message.html.count("€9.50")
    assert "Thing 4" not in message.html


def test_the_macro_example_works(tmp_path: Path) -> None:
    macro, call = re.findall(
        r"`(\[% macro card\(c\) %\]<.*?\[% endmacro %\])` and `(\[\[ card\(\"one\"\) \]\])`", PAGE
    )[0]
    body = f"{macro}{{% for one in buy_again %}}{call}{{% endfor %}}"
    source = mjml(f"<mj-section><mj-column>{body}</mj-column></mj-section>", wrap=False)

    assert 'alt="Thing 1"' in rendered(compiled(tmp_path, source), picks=Picks(buy_again=(card(1),))).html


def test_every_filter_is_on_the_page() -> None:
    told = set(re.findall(r"\w+", PAGE.partition("## Filters")[2].partition("## Where values")[0]))

    assert set() == set(FILTERS) - told - {"d"}

"""Layouts, partials, strings: the build pass."""

from dataclasses import replace
from pathlib import Path

import pytest
from message_bench import SHOP, card, mjml, rendered, write

from engine.errors import BadTemplate
from engine.message import compile_template, languages_of
from engine.model import Picks

LAYOUT = mjml(
    '[% include "greeting.mjml" %][% block content %][% endblock %]'
    '<p>[[ _("Bye") ]], [[ shop.name ]] [[ direction ]] [[ start ]]</p>',
    head="<mj-title>[% block subject %][% endblock %]</mj-title>",
)
LAYOUT_CATALOG = '[fi]\n"Bye" = "Hei hei"\n[fa]\n"Bye" = "خدا\u200cحافظ"\n'
BODY = (
    '[% extends "shop.mjml" %][% from "cards.mjml" import one %][# a note #]'
    '[% block subject %]{{ _("News") }}[% endblock %]'
    '[% block content %]{{ _("You have {n} orders", n=orders_count | number) }}'
    '{% for c in buy_again %}[[ one("c") ]]{% endfor %}[% endblock %]'
)
CATALOG = (
    '[fi]\n"News" = "Uutta"\n"You have {n} orders" = "Tilauksiasi: {n}"\n'
    '[fa]\n"News" = "تازه\u200cها"\n"You have {n} orders" = "{n} سفارش"\n'
)


def make(folder: Path, body: str = BODY, catalog: str = CATALOG) -> Path:
    write(
        folder / "_layout",
        shop_mjml=LAYOUT,
        greeting_mjml="<p>{{ greeting }}</p>",
        cards_mjml="[% macro one(c) %]<i>{{ [[ c ]].title }}</i>[% endmacro %]",
        catalog_toml=LAYOUT_CATALOG,
    )
    return write(folder / "winback", body_mjml=body, catalog_toml=catalog)


def speaking(*languages: str):  # type: ignore[no-untyped-def]
    return replace(SHOP, languages=languages)


def test_a_template_is_put_together_from_layout_partial_and_macro_in_each_language(tmp_path: Path) -> None:
    templates = compile_template(make(tmp_path), {}, speaking("en", "fi", "fa"), [tmp_path / "_layout"])
    picks = Picks(buy_again=(card(1), card(2)))

    assert ("News", "Uutta", "تازه\u200cها") == tuple(rendered(templates[one]).subject for one in ("en", "fi", "fa"))
    assert (
        "Hi Anna,\n\nYou have 3 ordersThing 1Thing 2\n\nBye, Tom & Jerry's ltr left\n"
        == rendered(templates["en"], picks=picks).text
    )
    assert "Hei Anna,\n\nTilauksiasi: 3\n\nHei hei, Tom & Jerry's ltr left\n" == rendered(templates["fi"]).text
    assert "۳ سفارش" in rendered(templates["fa"]).text
    assert "خدا\u200cحافظ, Tom & Jerry's rtl right" in rendered(templates["fa"]).text


def test_the_languages_of_a_body_are_those_of_its_own_catalog(tmp_path: Path) -> None:
    assert ("en", "fi", "fa") == languages_of(make(tmp_path))


def test_a_string_that_nobody_translated_is_named(tmp_path: Path) -> None:
    folder = make(tmp_path, catalog='[fi]\n"News" = "Uutta"\n')

    with pytest.raises(BadTemplate, match=r"no 'fi' translation of 'You have \{n\} orders'"):
        compile_template(folder, {}, speaking("fi"), [tmp_path / "_layout"])


def test_a_file_of_a_language_goes_before_the_body(tmp_path: Path) -> None:
    folder = make(tmp_path)
    write(folder, fi_mjml=mjml("oma"))

    assert "oma" in rendered(compile_template(folder, {}, speaking("fi"), [tmp_path / "_layout"])["fi"]).text


def test_a_value_of_the_shop_can_not_become_a_statement(tmp_path: Path) -> None:
    shop = replace(speaking("en"), name="{{ city }} {% x %} <b>")
    template = compile_template(make(tmp_path), {}, shop, [tmp_path / "_layout"])["en"]

    assert "{{ city }} {% x %} <b>" in rendered(template).text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('[% extends "shop.mjm" %]', "did you mean 'shop.mjml'"),
        (
            '[% extends "shop.mjml" %]\n[% block content %]\n[[ shopp.name ]][% endblock %]',
            r"winback/body\.mjml:3:1: .*shopp",
        ),
        ('[% extends "shop.mjml" %]\n[% block content %]\n[% if %][% endblock %]', r"winback/body\.mjml:3:1: "),
        ("[[ 'a' * 10**9 ]]", "numbers only"),
        ('[% include "../../../etc/passwd" %]', "there is no"),
    ],
)
def test_a_fault_of_the_build_pass_is_told_with_its_place(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(BadTemplate, match=said):
        compile_template(make(tmp_path, body), {}, speaking("en"), [tmp_path / "_layout"])


def test_a_lost_value_in_an_included_file_is_told_by_that_file(tmp_path: Path) -> None:
    folder = make(tmp_path)
    write(tmp_path / "_layout", greeting_mjml="<p>\n  {{ greting }}</p>")

    with pytest.raises(
        BadTemplate, match=r"_layout/greeting\.mjml:2:3: there is no field 'greting'; did you mean 'greeting'"
    ):
        compile_template(folder, {}, speaking("en"), [tmp_path / "_layout"])


def test_a_catalog_that_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadTemplate, match=r"winback/catalog\.toml: not valid TOML"):
        compile_template(make(tmp_path, catalog="[fi"), {}, speaking("fi"), [tmp_path / "_layout"])

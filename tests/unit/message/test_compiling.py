"""What survives the MJML compiler, what is refused, and where the fault is said to be."""

import re
from dataclasses import replace
from pathlib import Path

import lxml.html
import pytest
from message_bench import SHOP, card, compiled, mjml, rendered, shown, write

from engine.errors import BadTemplate
from engine.message import CompiledTemplate, compile_template, languages_of
from engine.model import Picks

COLUMN = "<mj-section><mj-column>{}</mj-column></mj-section>"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<mj-text>{{ city }}</mj-text>", "Turku"),
        ('<mj-text>{{ city if orders_count < 9 else "<b>" }}</mj-text>', "Turku"),
        ('<mj-button href="https://a.test/{{ city }}">go</mj-button>', 'href="https://a.test/Turku"'),
        ('<mj-image src="https://a.test/{{ city }}.png" alt="{{ city }}" />', 'alt="Turku"'),
        ('<mj-image src="https://a.test/x.png" alt="{{ city | default("a town") }}" />', 'alt="Turku"'),
        ("<mj-image src='https://a.test/x.png' alt='say \"{{ city }}\"' />", 'alt="say &quot;Turku&quot;"'),
        ('<mj-text color="{{ city }}">x</mj-text>', "color:Turku"),
        ('<mj-text padding="{{ orders_count }}px">x</mj-text>', "padding:3px"),
        ('<mj-text css-class="{{ city }}">x</mj-text>', 'class="Turku"'),
        ("<mj-raw>{% if orders_count < 9 %}<p>few</p>{% endif %}</mj-raw>", "<p>few</p>"),
        ("<mj-raw><!--[if mso]><b>{{ city }}</b><![endif]--></mj-raw>", "<!--[if mso]><b>Turku</b><![endif]-->"),
        ("<mj-text>a{# <x> #}b</mj-text>", ">ab</div>"),
        ("<mj-text>{% raw %}{{ city }}{% endraw %}</mj-text>", "{{ city }}"),
        ('<mj-text>{{ "%} }}" }}</mj-text>', "%} }}"),
        ("<mj-table>{% for t in tags %}<tr><td>{{ t }}</td></tr>{% endfor %}</mj-table>", "<tr><td>b</td></tr>"),
        ("{% if city %}<mj-text>in</mj-text>{% else %}<mj-text>out</mj-text>{% endif %}", ">in</div>"),
        ("<mj-text>{% set n = orders_count + 1 %}{{ n }}</mj-text>", ">4</div>"),
        ("<mj-button>{% if city %}{{ city }}{% endif %}</mj-button>", "Turku"),
        ("<mj-text>1 &lt; 2 &amp; 3</mj-text>", "1 &lt; 2 &amp; 3"),
        ("<mj-text>one<br>two<br/>three</mj-text>", "three"),
    ],
)
def test_a_value_or_statement_survives(tmp_path: Path, body: str, expected: str) -> None:
    assert expected in shown(tmp_path, COLUMN.format(body), wrap=False, tags=("a", "b"))


@pytest.mark.parametrize(
    "body",
    [
        "{% for c in buy_again %}<mj-section><mj-column><mj-text>{{ c.title }}</mj-text></mj-column></mj-section>"
        "{% endfor %}",
        "<mj-wrapper>{% for c in buy_again %}<mj-section><mj-column><mj-text>{{ c.title }}</mj-text></mj-column>"
        "</mj-section>{% endfor %}</mj-wrapper>",
        '<mj-section>{% for c in buy_again %}<mj-column width="50%"><mj-text>{{ c.title }}</mj-text></mj-column>'
        "{% endfor %}</mj-section>",
        "<mj-section><mj-group>{% for c in buy_again %}<mj-column><mj-text>{{ c.title }}</mj-text></mj-column>"
        "{% endfor %}</mj-group></mj-section>",
        "<mj-hero>{% for c in buy_again %}<mj-text>{{ c.title }}</mj-text>{% endfor %}</mj-hero>",
        COLUMN.format(
            '<mj-social>{% for c in buy_again %}<mj-social-element href="{{ c.url }}">{{ c.title }}'
            "</mj-social-element>{% endfor %}</mj-social>"
        ),
        COLUMN.format(
            '<mj-navbar>{% for c in buy_again %}<mj-navbar-link href="{{ c.url }}">{{ c.title }}</mj-navbar-link>'
            "{% endfor %}</mj-navbar>"
        ),
        COLUMN.format(
            "<mj-accordion>{% for c in buy_again %}<mj-accordion-element><mj-accordion-title>{{ c.title }}"
            "</mj-accordion-title><mj-accordion-text>x</mj-accordion-text></mj-accordion-element>{% endfor %}"
            "</mj-accordion>"
        ),
    ],
    ids="body wrapper section group hero social navbar accordion".split(),
)
def test_a_loop_stands_between_the_elements_of_every_container(tmp_path: Path, body: str) -> None:
    message = rendered(compiled(tmp_path, mjml(body, wrap=False)), picks=Picks(buy_again=(card(1), card(2))))

    assert [1, 1] == [message.html.count(">Thing 1<"), message.html.count(">Thing 2<")]
    assert [1, 1] == [message.text.count("Thing 1"), message.text.count("Thing 2")]


@pytest.mark.parametrize(
    ("body", "said"),  # ¦ stands before the character that must be named
    [
        ('<mj-image src="https://a.test/x.png" alt="" width="¦{{ orders_count }}px" />', "would be lost"),
        ("<mj-carousel>¦{% for c in buy_again %}{% endfor %}</mj-carousel>", "mj-carousel"),
        ("<mj-text>I ¦<3 you</mj-text>", "bare '<'"),
        ("<mj-text><p>open¦</mj-text>", "where <p> of winback/en.mjml:3:42 must be closed"),
        ("<mj-text>¦<a href=https://a.test>x</a></mj-text>", "quotes"),
        ("<mj-text ¦{{ city }}>x</mj-text>", "no Jinja"),
        ("<mj-text>¦<mj-foo></mj-bar></mj-text>", ""),
        ('<mj-text title="a" ¦title="b">x</mj-text>', "twice"),
        ('¦<mj-include path="x.mjml" />', "[% include %]"),
        ('<mj-raw ¦position="file-start">x</mj-raw>', "position"),
        ('<mj-text><a href="¦/shop">x</a></mj-text>', "relative"),
        ('<mj-text><a href="¦javascript:alert(1)">x</a></mj-text>', "javascript"),
        ('<mj-text><a href="¦//evil.test">x</a></mj-text>', "relative"),
        ('<mj-text><a href="¦https://good.test@evil.test">x</a></mj-text>', "user name"),
        ('<mj-text><a href="¦data:text/html,x">x</a></mj-text>', "data"),
        ('<mj-text><p title="¦{% if city %}">x</p>{% endif %}</mj-text>', "complete"),
        ('<mj-text><a href="¦{% for t in tags %}{{ t }}{% endfor %}">x</a></mj-text>', "address"),
        ('<mj-image src="https://a.test/1.png" srcset="¦{{ city }} 2x" alt="" />', "srcset"),
        ('<mj-text><b onclick="¦{{ city }}">x</b></mj-text>', "onclick"),
        ("<mj-raw><script>¦{{ city }}</script></mj-raw>", "script"),
        ('<mj-raw><meta content="¦{{ city }}" /></mj-raw>', "meta"),
        ("<mj-text>¦{{ _(city) }}</mj-text>", "literal string"),
    ],
)
def test_what_would_go_wrong_is_refused_with_its_place(tmp_path: Path, body: str, said: str) -> None:
    source = mjml("", wrap=False).replace("<mj-body>", "<mj-body>" + COLUMN.format(body))
    line = source.split("\n")[2]

    with pytest.raises(BadTemplate) as fault:
        compiled(tmp_path, source.replace("¦", ""))

    assert said in str(fault.value)
    if said:
        assert f"winback/en.mjml:3:{line.index('¦') + 1}: " in str(fault.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{{ city ", "unexpected"),
        ("{% if city %}x", "'endif'"),
        ("{% endif %}", "endif"),
        ("{{ given_nam }}", "there is no field 'given_nam'; did you mean 'given_name'?"),
        ("{{ buy_again[0].titel }}", "buy_again has no 'titel'; did you mean 'title'?"),
        ("{{ shop.adress }}", "shop has no 'adress'"),
        ("{{ given_name.upper }}", "use a filter"),
        ("{{ given_name.upper() }}", "use a filter"),
        ("{{ city | uppper }}", "there is no filter 'uppper'; did you mean 'upper'?"),
        ("{{ city | safe }}", "there is no filter 'safe'"),
        ("{{ '%0999999999d' | format(1) }}", "there is no filter 'format'"),
        ("{% if city is mising %}{% endif %}", "there is no test 'mising'; did you mean 'missing'?"),
        ("{{ cycler('a') }}", "the only functions are"),
        ("{{ ago('3 dayz') }}", "is not a duration"),
        ("{{ date('soon') }}", "is not a time"),
        ("{{ segment(city) }}", "takes a literal text"),
        ("{% include 'x' %}", "[% include %]"),
        ("{% macro m() %}{% endmacro %}", "[% macro %]"),
        ("{% set x %}a{% endset %}", "[% set ... endset %]"),
        ("{% filter upper %}a{% endfilter %}", "[% filter %]"),
        ("{% autoescape false %}{{ city }}{% endautoescape %}", "autoescape"),
        ("{% for t in tags recursive %}{{ loop(t) }}{% endfor %}", "recursive"),
        ("{% set _link = 1 %}", "the engine's own"),
        ("{{ _link(1, city) }}", "the only functions are"),
        ("{{ ''.__class__ }}", "__class__"),
    ],
)
def test_what_jinja_can_do_and_templates_may_not_is_refused_with_its_line(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(BadTemplate) as fault:
        compiled(tmp_path, mjml(f"x\n{body}"))

    assert str(fault.value).startswith("winback/en.mjml:")
    assert said in str(fault.value)


def test_a_fault_that_only_the_mjml_compiler_finds_is_told_by_line_and_column(tmp_path: Path) -> None:
    body = COLUMN.format("\n<mj-text title='ÄÖ'>é {{ city }}</mj-text><mj-spacer>text</mj-spacer>")

    with pytest.raises(BadTemplate, match=r"^winback/en\.mjml:4:54: MJML: unexpected token"):
        compiled(tmp_path, mjml(body, wrap=False))


@pytest.mark.parametrize(
    "text",
    [
        "می‌خواهم",  # ZWNJ
        "গণপ্রজাতন্ত্রী",
        "தமிழ் மொழி",
        "മലയാളം",
        "ภาษาไทย",
        "Nguye\u0302\u0303n Va\u0306n",  # NFD
        "中文字符",
        "👩‍👩‍👧 ❤️",
        "a\u00a0b",
        "שָׁלוֹם",
        "back\\slash",
    ],
)
def test_text_of_every_script_comes_through_attributes_and_titles_unharmed(tmp_path: Path, text: str) -> None:
    head = f"<mj-title>{text}</mj-title>"
    body = f"<mj-image src='https://a.test/x.png' alt='{text}' /><mj-text><b title=\"{text}\">{text}</b></mj-text>"
    message = rendered(compiled(tmp_path, mjml(COLUMN.format(body), head=head, wrap=False)))
    tree = lxml.html.fromstring(message.html.encode(), parser=lxml.html.HTMLParser(encoding="utf-8"))

    assert {text} == {
        *tree.xpath("//img/@alt"),
        *tree.xpath("//b/@title"),
        *tree.xpath("//b/text()"),
        *tree.xpath("//title/text()"),
        *tree.xpath("//div[@role='article']/@aria-label"),
    }
    assert " ".join(text.split()) == message.subject


def test_attributes_for_outlook_come_through_unharmed_and_need_no_balance(tmp_path: Path) -> None:
    html = shown(
        tmp_path,
        "<!--[if mso]><table title='می‌خ {{ city }}'><tr><td><![endif]-->x<!--[if mso]></td></tr></table><![endif]-->",
    )

    assert '<table title="&#x645;&#x6cc;&#x200c;&#x62e; Turku"><tr><td>' in html


def test_line_ends_in_an_attribute_become_blanks(tmp_path: Path) -> None:
    assert 'style="color:red; margin:0"' in shown(tmp_path, '<p style="color:red;\n\tmargin:0">x</p>')


def test_the_authors_comments_stay_at_home_with_all_that_is_in_them(tmp_path: Path) -> None:
    assert "secret" not in shown(tmp_path, "a<!-- secret {{ city }} -->b")


def test_a_brace_of_a_style_sheet_is_no_jinja(tmp_path: Path) -> None:
    sheet = "@media print{ #x{color:red} } {% raw %}@media print{#y{color:red}}{% endraw %}"
    head = f"<mj-title>S</mj-title><mj-style>{sheet}</mj-style>"

    assert "print{#y{color:red}}" in rendered(compiled(tmp_path, mjml("x", head=head))).html


def test_inline_styles_are_written_into_elements_and_others_stay_a_sheet(tmp_path: Path) -> None:
    head = (
        "<mj-title>S</mj-title><mj-style inline='inline'>.big { font-size: 40px; }</mj-style>"
        "<mj-style>.sheet { color: red; }</mj-style>"
    )
    html = rendered(compiled(tmp_path, mjml('<b class="big sheet">x</b>', head=head))).html

    assert '<b class="big sheet" style="font-size: 40px">' in html.replace('40px;"', '40px"')
    assert ".sheet { color: red; }" in html


def test_inlining_keeps_what_stands_in_outlooks_comments(tmp_path: Path) -> None:
    head = "<mj-title>S</mj-title><mj-style inline='inline'>.big { font-size: 40px; }</mj-style>"
    body = (
        "<mj-wrapper>{% for c in buy_again %}<mj-section><mj-column><mj-text>{{ c.title }}</mj-text></mj-column>"
        "</mj-section>{% endfor %}</mj-wrapper>"
    )
    plain = compiled(tmp_path / "plain", mjml(body, wrap=False))
    inlined = compiled(tmp_path / "inlined", mjml(body, head=head, wrap=False))
    picks = Picks(buy_again=(card(1), card(2)))

    assert rendered(plain, picks=picks).html.count('<td width="600px">') == 2
    assert rendered(inlined, picks=picks).html.count('<td width="600px">') == 2


def test_an_image_without_alt_gets_an_empty_one(tmp_path: Path) -> None:
    html = shown(tmp_path, COLUMN.format('<mj-image src="https://a.test/x.png" />'), wrap=False)

    assert [""] == lxml.html.fromstring(html).xpath("//img/@alt")


def test_colour_schemes_stand_in_the_head(tmp_path: Path) -> None:
    assert '<head><meta name="color-scheme" content="light dark">' in shown(tmp_path, "x")


def test_a_right_to_left_language_turns_sections_columns_and_texts(tmp_path: Path) -> None:
    html = rendered(compiled(tmp_path, mjml("سلام"), language="fa")).html

    assert '<html lang="fa" dir="rtl"' in html
    assert "direction:ltr" not in html
    assert "text-align:right" in html


def test_the_author_may_align_a_text_otherwise_than_its_language(tmp_path: Path) -> None:
    head = "<mj-title>S</mj-title><mj-attributes><mj-text align='center' /></mj-attributes>"

    assert "text-align:center" in rendered(compiled(tmp_path, mjml("سلام", head=head), language="fa")).html


def test_the_campaigns_subject_goes_before_the_templates(tmp_path: Path) -> None:
    folder = write(tmp_path / "winback", en_mjml=mjml("x"))
    template = compile_template(folder, {"en": "A <b> & {{ city | upper }}"}, SHOP)["en"]

    assert "A <b> & TURKU" == rendered(template).subject
    assert "<title>A &lt;b&gt; &amp; TURKU</title>" in rendered(template).html.replace("&#60;", "&lt;")


def test_one_subject_for_all_languages(tmp_path: Path) -> None:
    folder = write(tmp_path / "winback", en_mjml=mjml("x", head=""))

    assert "Hello Turku" == rendered(compile_template(folder, {"*": "Hello {{ city }}"}, SHOP)["en"]).subject


def test_no_subject_anywhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadTemplate, match="no subject"):
        compiled(tmp_path, mjml("x", head=""))


def test_the_preheader_is_mj_preview(tmp_path: Path) -> None:
    head = "<mj-title>S</mj-title><mj-preview>Only &amp; just for {{ city }}</mj-preview>"
    message = rendered(compiled(tmp_path, mjml("x", head=head)))

    assert "Only & just for Turku" == message.preheader
    assert "Only" not in message.text


def test_only_the_shops_languages_are_compiled(tmp_path: Path) -> None:
    folder = write(tmp_path / "winback", en_mjml=mjml("x"), fi_mjml=mjml("y"), fa_mjml=mjml("z"))

    assert ["en", "fi"] == list(compile_template(folder, {}, replace(SHOP, languages=("en", "fi", "sv"))))
    assert {"en", "fi", "fa"} == set(languages_of(folder))


def test_a_template_without_any_of_the_shops_languages_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "winback", fa_mjml=mjml("z"))

    with pytest.raises(BadTemplate, match="speaks none"):
        compile_template(folder, {}, SHOP)


def test_a_compiled_template_comes_back_from_its_bytes(tmp_path: Path) -> None:
    template = compiled(tmp_path, mjml('<a href="https://a.test/{{ city }}">{{ _("Hi {x}", x=given_name) }}</a>'))
    again = CompiledTemplate.from_bytes(template.to_bytes())

    assert template == again
    assert template.hash == again.hash
    assert rendered(template) == rendered(again)


def test_the_hash_changes_with_every_letter_and_not_with_the_folder(tmp_path: Path) -> None:
    one = compiled(tmp_path / "a", mjml("x"))
    same = compiled(tmp_path / "b", mjml("x"))
    other = compiled(tmp_path / "c", mjml("y"))

    assert one.hash == same.hash
    assert one.hash != other.hash


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("{{ city }}{% if orders_count > 1 %}x{% endif %}", {"city", "orders_count"}),
        ("{{ attributes.size }}{{ attributes['colour'] }}", {"attributes.size", "attributes.colour"}),
        ("{% for c in buy_again %}{{ c.title }}{% endfor %}", {"buy_again", "buy_again.title"}),
        (
            "{% for row in new_for_you | take(4) | batch(2) %}{% for c in row %}{{ c.price | money }}{% endfor %}"
            "{% endfor %}",
            {"new_for_you", "new_for_you.price"},
        ),
        (
            "{% for c in buy_again[:2] + new_for_you %}{{ c.url }}{% endfor %}",
            {"buy_again", "buy_again.url", "new_for_you", "new_for_you.url"},
        ),
        ("{% set p = favourite_product %}{{ p.title }}", {"favourite_product.title"}),
        ("{{ buy_again | map(attribute='title') | join(', ') }}", {"buy_again.title"}),
        ("{% if (buy_again | length) > 1 %}x{% endif %}", {"buy_again"}),
        ("{{ shop.name }}{{ links.view }}", {"shop.name", "links.view"}),
        ("{% if segment('vip') %}x{% endif %}", {"segments.vip"}),
        ("{% if last_order_at < ago('3 days') %}x{% endif %}", {"last_order_at", "at"}),
        ("{{ _('Hi {n}', n=given_name) }}", {"given_name"}),
    ],
)
def test_exactly_the_fields_that_are_read_are_known(tmp_path: Path, body: str, fields: set[str]) -> None:
    assert fields == set(compiled(tmp_path, mjml(body)).fields)


def test_a_line_end_between_two_links_is_a_space_in_the_mail(tmp_path: Path) -> None:
    mjml = """<mjml><mj-head><mj-title>T</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>
    <a href="https://shop.test/a">one</a>
    <a href="https://shop.test/b">two</a></mj-text></mj-column></mj-section></mj-body></mjml>"""
    (tmp_path / "en.mjml").write_text(mjml)

    (made,) = compile_template(tmp_path, {}, replace(SHOP, languages=("en",))).values()

    assert re.search(r"one</a>\s+<a", made.html.source)


def test_spaces_are_put_only_into_texts_and_not_between_the_layouts_own_elements(tmp_path: Path) -> None:
    (tmp_path / "en.mjml").write_text("""<mjml><mj-head><mj-title>T</mj-title>
    <mj-attributes>
      <mj-text padding="0"/>
      <mj-all color="#111111"/>
    </mj-attributes></mj-head>
    <mj-body><mj-section><mj-column><mj-text>Hello</mj-text></mj-column></mj-section></mj-body></mjml>""")

    assert ["en"] == list(compile_template(tmp_path, {}, replace(SHOP, languages=("en",))))

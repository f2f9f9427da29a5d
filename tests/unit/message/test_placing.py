"""Which values may stand where: each attack at each place, and that no value ever breaks out of its own."""

import re
from pathlib import Path

import lxml.html
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from message_bench import card, compiled, mjml, rendered, shown

from engine.errors import BadTemplate, RenderFailed
from engine.message import CompiledTemplate
from engine.model import Picks
from tests.nasty import NAMES

SECTION = "<mj-section{}><mj-column>{}</mj-column></mj-section>"

ATTACKS = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,<script>",
    "vbscript:x",
    "//evil.test/x",
    "/relative",
    "relative",
    "https://good.test@evil.test/",
    "https://user:word@evil.test/",
    "https:\\\\evil.test",
    "https://evil.test\\@good.test",
    "https:///nohost",
    "https://",
    "https://a.test/\r\nX: y",
    "https://[::1",
    "https://a.test:port/",
    "https://a b.test/",
    "https://a.test/" + "x" * 9000,
    "",
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(
    "place",
    [
        '<mj-button href="{{ attributes.x }}">go</mj-button>',
        '<mj-button href="{{ attributes.x }}" data-no-track="true">go</mj-button>',
        '<mj-text><a href="{% if city %}{{ attributes.x }}{% endif %}">x</a></mj-text>',
        '<mj-image src="{{ attributes.x }}" alt="" />',
        '<mj-text><table background="{{ attributes.x }}"></table></mj-text>',
        '<mj-text><p style="background:url({{ attributes.x }})">x</p></mj-text>',
    ],
    ids="button untracked if image background css".split(),
)
def test_no_harmful_address_gets_into_a_place_for_addresses(tmp_path: Path, place: str, attack: str) -> None:
    template = compiled(tmp_path, mjml(SECTION.format("", place), wrap=False))

    with pytest.raises(RenderFailed, match=r"winback/en\.mjml:3:\d+"):
        rendered(template, attributes={"x": attack} if attack else {})


def test_an_address_of_a_section_background_is_guarded_in_css_and_for_outlook(tmp_path: Path) -> None:
    source = mjml(SECTION.format(' background-url="{{ attributes.x }}"', "<mj-text>x</mj-text>"), wrap=False)
    template = compiled(tmp_path, source)
    html = rendered(template, attributes={"x": "https://a.test/a(1)'b.png?x=1&y=2"}).html

    assert "url('https://a.test/a%281%29%27b.png?x=1&amp;y=2')" in html
    assert '<v:fill position="0.5, 0" origin="0.5, 0" src="https://a.test/a(1)&#39;b.png?x=1&amp;y=2"' in html
    with pytest.raises(RenderFailed):
        rendered(template, attributes={"x": "javascript:alert(1)"})


def test_mail_and_telephone_addresses_are_allowed_in_links_and_not_for_pictures(tmp_path: Path) -> None:
    assert 'href="mailto:a@b.test?subject=Hi"' in shown(
        tmp_path, '<a href="{{ attributes.x }}">x</a>', attributes={"x": "mailto:a@b.test?subject=Hi"}
    )
    with pytest.raises(RenderFailed, match="picture"):
        shown(tmp_path, '<p style="background:url({{ attributes.x }})">x</p>', attributes={"x": "mailto:a@b.test"})


@pytest.mark.parametrize(
    ("written", "value", "href"),
    [
        ("https://a.test/?q={{ attributes.x }}&amp;n=1", "a b&c=d/é", "https://a.test/?q=a%20b%26c%3Dd%2F%C3%A9&n=1"),
        ("https://a.test/?q={{ attributes.x | url_encode }}", "a b", "https://a.test/?q=a%20b"),
        ("{{ attributes.x }}?q=1&amp;r=2", "https://a.test/p", "https://a.test/p?q=1&r=2"),
        ("{{ attributes.x }}", "https://a.test/?a=1&b=2#c", "https://a.test/?a=1&b=2#c"),
        ("{{ attributes.x }}", "https://a.test/a b/نام", "https://a.test/a%20b/%D9%86%D8%A7%D9%85"),
        ("{{ attributes.x }}", "https://bücher.test/", "https://xn--bcher-kva.test/"),
        ("{{ attributes.x }}", "HTTPS://A.test/", "https://a.test/"),
        ("{% if city %}{{ attributes.x }}{% else %}https://b.test/{% endif %}", "https://a.test/", "https://a.test/"),
        ("{% if not city %}{{ attributes.x }}{% else %}https://b.test/{% endif %}", "x", "https://b.test/"),
        ("{% if not city %}a{% elif city %}https://c.test/{% endif %}", "x", "https://c.test/"),
        ("https://a.test/{% if city %}{{ attributes.x }}{% endif %}/z", "m n", "https://a.test/m%20n/z"),
        ("https://a.test/&quot;&lt;x&gt;?a=1&amp;amp;b", "", "https://a.test/%22%3Cx%3E?a=1&amp;b"),
        ("https://{{ attributes.x }}.test/", "evil.test/", "https://evil.test%2F.test/"),
    ],
)
def test_an_address_is_written_once_encoded_and_once_escaped(
    tmp_path: Path, written: str, value: str, href: str
) -> None:
    if value == "evil.test/":
        with pytest.raises(RenderFailed, match="host"):
            shown(tmp_path, f'<a href="{written}">x</a>', attributes={"x": value})
        return

    html = shown(tmp_path, f'<a href="{written}">x</a>', attributes={"x": value})

    assert [href] == lxml.html.fromstring(html).xpath("//a/@href")


@pytest.mark.parametrize(
    "value",
    [
        "red;background:url(//x)",
        "red}body{display:none",
        "url(https://a.test)",
        "expression(alert(1))",
        "var(--x)",
        "image-set('x')",
        '"',
        "'",
        "</style><script>",
        "\\72 ed",
        "red/**/",
        "@import",
        "a:b",
    ],
)
@pytest.mark.parametrize(
    "place",
    ['<mj-text color="{{ attributes.x }}">x</mj-text>', '<mj-text><p style="color:{{ attributes.x }}">x</p></mj-text>'],
)
def test_no_style_value_ends_its_declaration(tmp_path: Path, place: str, value: str) -> None:
    with pytest.raises(RenderFailed, match="style value"):
        shown(tmp_path, SECTION.format("", place), wrap=False, attributes={"x": value})


def test_a_style_sheet_takes_plain_values_only(tmp_path: Path) -> None:
    head = "<mj-title>S</mj-title><mj-style>.x{color:{{ attributes.x }}}</mj-style>"
    template = compiled(tmp_path, mjml("x", head=head))

    assert ".x{color:rgb(1, 2, 3)}" in rendered(template, attributes={"x": "rgb(1, 2, 3)"}).html
    with pytest.raises(RenderFailed, match="style value"):
        rendered(template, attributes={"x": "red}</style><script>"})


@pytest.mark.parametrize("value", ["#ff00aa", "12px", "50%", "Arial, Helvetica", "hsl(1, 2%, 3%)", "-1.5em"])
def test_plain_style_values_pass(tmp_path: Path, value: str) -> None:
    assert f"color:{value}" in shown(tmp_path, '<p style="color:{{ attributes.x }}">x</p>', attributes={"x": value})


def test_statements_in_an_attribute_are_whole_groups(tmp_path: Path) -> None:
    classes, style = "{% for t in tags %}{{ t }} {% endfor %}", "{% if city %}color:red{% endif %}"
    html = shown(tmp_path, f'<p class="{classes}" style="{style}">x</p>', tags=("a", "b"))

    assert '<p class="a b " style="color:red">' in html
    with pytest.raises(BadTemplate, match="complete"):
        shown(tmp_path, '<p style="{% if city %}color:red">x</p>{% endif %}')


# ---------------------------------------------------------------- no value breaks out

PLACES = mjml(
    SECTION.format(
        "",
        '<mj-image src="https://a.test/{{ attributes.x }}.png" alt="{{ attributes.x }}" title="{{ attributes.x }}" />'
        '<mj-text><b title="{{ attributes.x }}">{{ attributes.x }}</b>'
        '<a href="https://a.test/?q={{ attributes.x }}">y</a></mj-text>'
        "<mj-raw><!--[if mso]><i>{{ attributes.x }}</i><![endif]--></mj-raw>",
    ),
    head="<mj-title>{{ attributes.x }}</mj-title><mj-preview>{{ attributes.x }}</mj-preview>",
    wrap=False,
)


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> CompiledTemplate:
    """One value at every place that takes text."""
    return compiled(tmp_path_factory.mktemp("places"), PLACES)


def without_controls(text: str) -> str:
    """What a message may carry of a text: no controls, no bidi overrides, no halves of characters."""
    return re.sub(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]", "", text
    )


def assert_kept_in_place(template: CompiledTemplate, value: str) -> None:
    """The message has the same elements as with a plain value, and the value stands, whole, in each of its places."""
    message = rendered(template, attributes={"x": value})
    plain = rendered(template, attributes={"x": "plain"})
    parser = lxml.html.HTMLParser(encoding="utf-8")
    tree = lxml.html.document_fromstring(message.html.encode(), parser=parser)

    def shape(html: str) -> list[tuple[object, ...]]:
        root = lxml.html.document_fromstring(html.encode(), parser=parser)
        return [(element.tag, *sorted(element.attrib)) for element in root.iter() if isinstance(element.tag, str)]

    kept = without_controls(value)
    assert shape(plain.html) == shape(message.html)
    assert [kept] == tree.xpath("//b/@title")
    assert [kept] == tree.xpath("//img/@alt")
    assert kept == "".join(tree.xpath("//b/text()"))
    assert message.html.count("<![endif]-->") == plain.html.count("<![endif]-->")
    assert message.html.count("-->") == plain.html.count("-->")


@pytest.mark.parametrize(
    "value", [name for name in NAMES if without_controls(name).strip() and len(name) < 400], ids=repr
)
def test_nasty_names_stay_in_their_places(everywhere: CompiledTemplate, value: str) -> None:
    assert_kept_in_place(everywhere, value)


@settings(max_examples=150)
@given(
    st.one_of(
        st.text(min_size=1, max_size=40),
        st.lists(st.sampled_from([*"<>\"'&;{}%#!-/\\=()[] ", "--", "-->", "]]>", "<!--", "{{", "%}", "script"])).map(
            "".join
        ),
    ).filter(lambda text: without_controls(text).strip())
)
def test_no_text_breaks_out_of_its_place(everywhere: CompiledTemplate, value: str) -> None:
    assert_kept_in_place(everywhere, value)


def test_a_product_with_mark_up_in_its_title_is_shown_with_it(tmp_path: Path) -> None:
    picks = Picks(buy_again=(card(1, title="I <3 you & {{7*7}}"),))
    message = rendered(compiled(tmp_path, mjml("{% for c in buy_again %}{{ c.title }}{% endfor %}")), picks=picks)

    assert "I &lt;3 you &amp; {{7*7}}" in message.html
    assert "I <3 you & {{7*7}}" in message.text

"""What a reader gets: values, filters, missing ones, limits, links and the text part."""

import json
import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lxml.html
import pytest
from message_bench import ANNA, AT, LINKS, SHOP, card, compiled, mjml, rendered, shown, write

from engine.errors import RenderFailed
from engine.message import (
    LinkAddresses,
    SkipMessage,
    compile_template,
    context_for,
    destinations,
    literal_destination,
    render,
)
from engine.model import Picks
from engine.rules import check

CARDS = Picks(buy_again=(card(1), card(2), card(3)), new_for_you=(card(4), card(5)), favourite_product=card(9))


def said(folder: Path, body: str, **changes: Any) -> str:
    """The text of one paragraph."""
    html = shown(folder, f"<b>{body}</b>", picks=CARDS, **changes)
    return "".join(lxml.html.fromstring(html).xpath("//b//text()"))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{{ job_title | default('your work') }}", "your work"),
        ("{{ attributes.size | default('M') }}", "M"),
        ("{{ favourite_product.title }}", "Thing 9"),
        ("{{ city | upper }}{{ city | downcase }}{{ 'ab' | capitalize }}{{ 'a b' | title }}", "TURKUturkuAbA B"),
        ("{{ 'a b c d' | truncatewords(2) }}", "a b…"),
        ("{{ 'x' | append('y') | prepend('w') | replace('x', '-') | remove('w') }}", "-y"),
        ("{{ 'a,b' | split(',') | join(' + ') }}", "a + b"),
        ("{{ tags | first }}{{ tags | last }}{{ tags | size }}", "ab2"),
        ("{{ buy_again | map(attribute='title') | join(', ') }}", "Thing 1, Thing 2, Thing 3"),
        ("{{ (buy_again | where('title', 'Thing 2') | first).url }}", "https://shop.test/p/2?a=1&b=2"),
        ("{% for r in buy_again | take(3) | batch(2) %}{{ r | size }};{% endfor %}", "2;1;"),
        ("{{ buy_again | sum(attribute='price') }}", "28.5"),
        ("{{ 1234.5 | money }} {{ 1234567 | number }}", "€1,234.50 1,234,567"),
        ("{{ last_order_at | date }}", "February 2, 2026"),
        ("{{ orders_count | pluralize('order', 'orders') }}", "orders"),
        ("{{ 7 | divided_by(2) | round | int }}{{ 1 | plus(2) | times(3) | minus(1) }}", "48"),
        ("{{ 5.2 | ceil }}{{ 5.8 | floor }}{{ 5 | at_most(3) }}{{ 5 | at_least(9) }}", "6539"),
        ("{{ 'a/b c' | url_encode }}", "a%2Fb%20c"),
        ("{{ tags | sort | reverse | join }}", "ba"),
        ("{% if orders_count >= 3 and 'a' in tags %}yes{% endif %}", "yes"),
        ("{% if age > 1 %}yes{% else %}no{% endif %}{% if age is missing %}!{% endif %}", "no!"),
        ("{% if last_order_at < ago('20 days') %}long ago{% endif %}", "long ago"),
        ("{{ _('Hi {name}, {n} times', name=given_name, n=orders_count) }}", "Hi Anna, 3 times"),
        ("{{ shop.name }}, {{ shop.currency }}", "Tom & Jerry's, EUR"),
        ("{% for c in new_for_you %}{{ loop.index }}{{ '' if loop.last else ',' }}{% endfor %}", "1,2"),
        ("{{ greeting }}", "Hi Anna,"),
        ("{{ links.unsubscribe }}", "https://t.test/u/1"),
        ("{{ attributes.items | default('none') }}", "none"),
        ("{{ 10 / 4 }}{{ 10 / 0 | default('-') }}", "2.5"),
    ],
)
def test_a_template_says(tmp_path: Path, body: str, expected: str) -> None:
    if "10 / 0" in body:
        body = body.replace("10 / 0 |", "(10 / 0) |")
        expected += "-"
    last = datetime(2026, 2, 2, 9, tzinfo=UTC)

    assert expected == said(tmp_path, body, tags=("a", "b"), last_order_at=last)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("{{ job_title }}", "job_title is missing"),
        ("{{ job_title | upper }}", "job_title is missing"),
        ("{{ attributes.size }}", "attributes.size is missing"),
        ("{{ 'a' ~ job_title }}", "job_title is missing"),
        ("{{ _('Hi {x}', x=job_title) }}", "job_title is missing"),
        ('<a href="https://a.test/{{ job_title }}">x</a>', "job_title is missing"),
        ('<a href="{{ job_title }}">x</a>', "job_title is missing"),
        ('<i style="color:{{ job_title }}">x</i>', "job_title is missing"),
        ("{{ favourite_product.price | money }}", "favourite_product.price is missing"),
        ("{{ city | number }}", "is not a number"),
        ("{{ _('Hi {x}', y=city) }}", "needs a value for {x}"),
        ("{{ city | date }}", "is not a date"),
        ("{{ 1 | divided_by(0) }}", "divided by zero"),
        ("{% for x in job_title %}{% endfor %}", "job_title is missing"),
    ],
)
def test_a_value_that_can_not_be_said_is_told_with_its_place(tmp_path: Path, body: str, what: str) -> None:
    picks = Picks(favourite_product=card(1, price=None))
    source = mjml("\n".join(["first", "", f"  x {body}"]))

    with pytest.raises(RenderFailed, match=r"^winback/en\.mjml:5:\d+: .*" + re.escape(what)):
        rendered(compiled(tmp_path, source), picks=picks)


def test_the_place_in_a_layout_is_told(tmp_path: Path) -> None:
    write(tmp_path / "_layout", shop_mjml=mjml("\n[% block content %][% endblock %]\n{{ job_title }}"))
    folder = write(
        tmp_path / "winback", en_mjml='[% extends "shop.mjml" %]\n[% block content %]\n\n{{ age }}[% endblock %]'
    )
    template = compile_template(folder, {}, SHOP, [tmp_path / "_layout"])["en"]

    with pytest.raises(RenderFailed, match=r"^winback/en\.mjml:4:1: \{\{ age \}\}: age is missing"):
        rendered(template)
    with pytest.raises(RenderFailed, match=r"^_layout/shop\.mjml:5:1: "):
        rendered(template, age=40)


def test_skip_ends_one_readers_message_with_its_reason(tmp_path: Path) -> None:
    template = compiled(tmp_path, mjml('{% if orders_count < 5 %}{{ skip("too few orders") }}{% endif %}x'))

    with pytest.raises(SkipMessage) as skipped:
        rendered(template)
    assert "too few orders" == skipped.value.reason
    assert "x" in rendered(template, orders_count=9).text


@pytest.mark.parametrize(
    "body",
    [
        "{{ 'a' * 10**9 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ ('%0999999999d') % 1 }}",
        "{% set s = 'xxxxxxxxxx' %}" + "{% set s = s ~ s %}" * 40 + "{{ s }}",
        "{% set s = 'xxxxxxxxxx' %}" + "{% set s = s + s %}" * 40 + "{{ s }}",
        "{% set n = 10 %}" + "{% set n = n * n %}" * 40 + "{{ n }}",
        "{% for a in range(1000) %}{% for b in range(1000) %}{{ b }}{% endfor %}{% endfor %}",
        "{{ range(10**9) | join }}",
        "{{ ('x' * 1) | replace('', 'y') }}",
        "{% set s = 'x' | append('y') %}" + "{% set s = s | append(s) %}" * 40 + "{{ s }}",
        "{% set s = 'xxxxxxxxxx' %}" + "{% set s = s | replace('x', 'xxxxxxxxxx') %}" * 9 + "{{ s }}",
        "{% set s = 'xxxxxxxxxxxxxxxxxxxx' %}"
        + "{% set s = s ~ s %}" * 12
        + "{% for a in range(100) %}{{ s }}{% endfor %}",
    ],
)
def test_a_template_can_fill_neither_memory_nor_time(tmp_path: Path, body: str) -> None:
    template = compiled(tmp_path, mjml(body))
    began = time.process_time()

    with pytest.raises(RenderFailed):
        rendered(template)
    assert time.process_time() - began < 2


def test_a_contacts_value_is_never_a_template(tmp_path: Path) -> None:
    message = rendered(
        compiled(tmp_path, mjml("{{ city }}", head="<mj-title>{{ city }}</mj-title>")), city="{{7*7}}{% x %}"
    )

    assert "{{7*7}}{% x %}" == message.subject
    assert "{{7*7}}{% x %}" in message.html
    assert "{{7*7}}{% x %}" in message.text


def test_subject_and_preheader_are_one_line_and_not_escaped(tmp_path: Path) -> None:
    head = "<mj-title>Tom &amp; {{ city }}</mj-title><mj-preview>\n a\n {{ city }}</mj-preview>"
    message = rendered(compiled(tmp_path, mjml("x", head=head)), city='A\r\nBcc:\t"x"\u2028y')

    assert 'Tom & A Bcc: "x"y' == message.subject
    assert 'a A Bcc: "x"y' == message.preheader


def test_a_subject_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RenderFailed, match="subject is longer"):
        rendered(compiled(tmp_path, mjml("x", head="<mj-title>{{ city }}</mj-title>")), city="x" * 10_000)


# ---------------------------------------------------------------- the frozen context


def test_a_context_is_json_with_only_what_is_read(tmp_path: Path) -> None:
    template = compiled(
        tmp_path,
        mjml(
            "{{ city }}{{ last_order_at | date }}{{ attributes.size }}{% for c in buy_again %}{{ c.title }}{% endfor %}"
        ),
    )
    profile = replace(
        ANNA, last_order_at=datetime(2026, 2, 2, tzinfo=UTC), attributes={"size": "M", "shoe": "40"}, tags=("a",)
    )
    context = context_for(template, profile, CARDS, SHOP, AT)

    assert {
        "attributes": {"size": "M"},
        "buy_again": [{"title": "Thing 1"}, {"title": "Thing 2"}, {"title": "Thing 3"}],
        "city": "Turku",
        "last_order_at": "2026-02-02T00:00:00+00:00",
    } == context
    assert render(template, context, LINKS) == render(template, json.loads(json.dumps(context)), LINKS)


def test_a_card_that_is_only_asked_for_is_there(tmp_path: Path) -> None:
    assert "yes" == said(tmp_path, "{% if favourite_product %}yes{% endif %}")


def test_a_greeting_is_in_the_messages_language(tmp_path: Path) -> None:
    template = compiled(tmp_path, mjml("{{ greeting }}"), language="fi")

    assert "Hei Anna," in rendered(template, language="en", greeting="Hi Anna,").text


def test_whether_a_contact_is_in_a_segment_is_frozen(tmp_path: Path) -> None:
    template = compiled(tmp_path, mjml("{% if segment('vip') %}VIP{% else %}no{% endif %}"))
    context = context_for(template, ANNA, Picks(), SHOP, AT, {"vip": check("orders_count > 2")})

    assert {"segments": {"vip": True}} == context
    assert "VIP" in render(template, context, LINKS).text


def test_the_day_is_the_shops(tmp_path: Path) -> None:
    folder = write(tmp_path / "winback", en_mjml=mjml("{{ last_order_at | date }}"))
    template = compile_template(folder, {}, replace(SHOP, timezone="Asia/Tokyo"))["en"]

    assert "February 3, 2026" in rendered(template, last_order_at=datetime(2026, 2, 2, 20, tzinfo=UTC)).text


# ---------------------------------------------------------------- links

LINKED = mjml(
    '<a href="https://a.test/x?a=1&amp;b=2">one</a> <a href="https://a.test/x?a=1&amp;b=2">one again</a>'
    '{% for c in buy_again %}<a href="{{ c.url }}">{{ c.title }}</a>{% endfor %}'
    '<a href="mailto:a@b.test">mail</a><a href="tel:1">call</a><a href="#top">up</a>'
    '<a href="{{ links.unsubscribe }}">bye</a><a href="{{ links.preferences }}">prefs</a>'
    '<a href="https://a.test/quiet" data-no-track="true">quiet</a>'
    '<map><area href="https://a.test/area" /></map>'
    '<!--[if mso]><v:roundrect href="https://a.test/vml"></v:roundrect><![endif]-->'
)


def counted(site: int, occurrence: int, destination: str) -> str:
    return f"https://t.test/c/{site}-{occurrence}"


def test_each_place_and_round_of_a_link_is_counted(tmp_path: Path) -> None:
    template = compiled(tmp_path, LINKED)
    html = rendered(template, picks=CARDS, links=replace(LINKS, click=counted)).html

    assert [
        "https://t.test/c/0-0",
        "https://t.test/c/1-0",
        "https://t.test/c/2-0",
        "https://t.test/c/2-1",
        "https://t.test/c/2-2",
        "mailto:a@b.test",
        "tel:1",
        "#top",
        "https://t.test/u/1",
        "https://t.test/p/1",
        "https://a.test/quiet",
    ] == lxml.html.fromstring(html).xpath("//a/@href")
    assert 'area href="https://t.test/c/9-0"' in html
    assert '<v:roundrect href="https://t.test/c/10-0" />' in html
    assert "data-no-track" not in html


def test_where_each_link_leads_is_known_again_later(tmp_path: Path) -> None:
    template = compiled(tmp_path, LINKED)
    found = destinations(template, context_for(template, ANNA, CARDS, SHOP, AT))

    assert "https://a.test/x?a=1&b=2" == found[0, 0] == found[1, 0] == literal_destination(template, 0)
    assert "https://shop.test/p/2?a=1&b=2" == found[2, 1]
    assert literal_destination(template, 2) is None
    assert literal_destination(template, 3) is None  # mailto is not counted
    assert literal_destination(template, 999) is None
    assert {"html", "text"} == {site.part for site in template.sites}


def test_links_of_the_text_part_are_places_of_their_own(tmp_path: Path) -> None:
    template = compiled(tmp_path, mjml('<a href="https://a.test/x">one</a>'))
    message = rendered(template, links=replace(LINKS, click=counted))

    assert "one: https://t.test/c/1-0" in message.text
    assert "https://a.test/x" == literal_destination(template, 1)


def test_a_message_that_is_not_followed_has_plain_addresses_and_no_pixel(tmp_path: Path) -> None:
    message = rendered(compiled(tmp_path, LINKED), picks=CARDS)

    assert 'href="https://a.test/x?a=1&amp;b=2"' in message.html
    assert "t.test/c" not in message.html + message.text
    assert "<img" not in message.html


def test_the_pixel_is_the_last_thing_of_the_body(tmp_path: Path) -> None:
    html = rendered(compiled(tmp_path, mjml("x")), links=replace(LINKS, pixel_url="https://t.test/o/1.gif")).html

    assert html.endswith(
        '<img src="https://t.test/o/1.gif" alt="" width="1" height="1" '
        'style="display:block;border:0;width:1px;height:1px;"></body></html>'
    )


def test_a_button_and_a_picture_can_be_left_uncounted(tmp_path: Path) -> None:
    body = (
        '<mj-section><mj-column><mj-button href="https://a.test/b" data-no-track="true">go</mj-button>'
        '<mj-image src="https://a.test/i.png" alt="i" href="https://a.test/i" data-no-track="true" />'
        "</mj-column></mj-section>"
    )
    template = compiled(tmp_path, mjml(body, wrap=False))

    assert "t.test/c" not in rendered(template, links=replace(LINKS, click=counted)).html
    assert not any(site.tracked for site in template.sites)


def test_view_in_browser_may_be_off(tmp_path: Path) -> None:
    source = mjml('{% if links.view %}<a href="{{ links.view }}">view</a>{% else %}none{% endif %}')
    template = compiled(tmp_path, source)

    assert (
        "none"
        in rendered(template, links=LinkAddresses(unsubscribe="https://t.test/u", preferences="https://t.test/p")).text
    )
    assert "view: https://t.test/v/1" in rendered(template).text


# ---------------------------------------------------------------- the text part


def test_the_text_part_reads_like_a_letter(tmp_path: Path) -> None:
    body = (
        '<mj-section><mj-column><mj-image src="https://a.test/i.png" alt="logo" href="https://a.test" />'
        "<mj-text><h1>Title &amp; more</h1>"
        "<p>Hi {% if given_name %}{{ given_name }}{% else %}you{% endif %},<br/>second line</p>"
        "<ul>{% for c in buy_again %}<li>{{ c.title }}</li>{% endfor %}</ul></mj-text>"
        '<mj-button href="https://a.test/go">Buy now</mj-button>'
        '<mj-text><a href="https://a.test/bare">https://a.test/bare</a></mj-text>'
        "<mj-table><tr><td>a</td><td>b</td></tr></mj-table></mj-column></mj-section>"
    )
    message = rendered(compiled(tmp_path, mjml(body, wrap=False)), picks=CARDS)

    assert (
        "Title & more\n\nHi Anna,\nsecond line\n\n- Thing 1\n- Thing 2\n- Thing 3\n\nBuy now: https://a.test/go\n\n"
        "https://a.test/bare\n\na  b\n"
    ) == message.text.replace("\n\n- Thing 2", "\n- Thing 2").replace("\n\n- Thing 3", "\n- Thing 3")


def test_an_own_text_part_goes_before_the_made_one(tmp_path: Path) -> None:
    own = (
        "Hi {{ given_name }} & co,\nsee https://a.test/x?q={{ city }}&n=1.\n"
        "{% for c in buy_again %}{{ c.title }}: {{ c.url }}\n{% endfor %}"
    )
    template = compiled(tmp_path, mjml("html only"), en_txt=own)
    message = rendered(template, picks=CARDS, city="a b", links=replace(LINKS, click=lambda s, o, to: f"{to}#{s}-{o}"))

    assert (
        "Hi Anna & co,\nsee https://a.test/x?q=a%20b&n=1#0-0.\nThing 1: https://shop.test/p/1?a=1&b=2#1-0\n"
        "Thing 2: https://shop.test/p/2?a=1&b=2#1-1\nThing 3: https://shop.test/p/3?a=1&b=2#1-2\n"
    ) == message.text
    assert {"buy_again", "buy_again.title", "buy_again.url", "city", "given_name"} == set(template.fields)

"""The quick look at a message finds what the long one finds."""

import re
from typing import Any

import pytest
from fused_bench import (
    ADDRESSES,
    ALONE,
    FOLLOWED,
    TITLES,
    VALUES,
    arriving,
    bodies,
    check,
    check_findings,
    contexts,
    written,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markupsafe import escape

from engine.message import LinkAddresses, findings_in, findings_of, findings_of_each, glance, render_mail, shapes
from engine.message.encoding import piece
from engine.message.suspects import Doubt, doubt_about, is_doubtful
from engine.message.wordings import BRACES, GREETING, LEFT_OVER

CONTEXT: dict[str, Any] = {
    "city": "Turku",
    "given_name": "Anna",
    "orders_count": 3,
    "attributes": {"size": "M", "shoe": "40"},
    "buy_again": [{"title": f"Thing {n}", "price": 9.5, "url": f"https://shop.test/p/{n}"} for n in range(2)],
}
FRAME = "<html><body><p>{}</p></body></html>"


@settings(max_examples=150)
@given(
    html=bodies(VALUES, "links.unsubscribe", 2),
    text=bodies(VALUES, "links.unsubscribe", 2),
    context=contexts,
    addresses=st.sampled_from(ADDRESSES),
)
def test_any_message_has_the_same_findings_both_ways(
    html: str, text: str, context: dict[str, Any], addresses: LinkAddresses
) -> None:
    found = check(written(FRAME.format(html), text, subject="For {{ city }}"), context, addresses)

    if found is not None:
        check_findings(found)


@settings(max_examples=300)
@given(
    before=st.sampled_from(
        ["", "Hi ", "\nHi", "good ", "No", "lorem ", "Missing(", "%", "{{ '{' }}", "[", "*|", "a ", "N"]
    ),
    one=st.sampled_from([*TITLES, "Anna", "ne", "morning", "name", "day !", "Lorem", "N", "ipsum", "A", "|*"]),
    between=st.sampled_from(
        ["", " ", ",", " ,", "one", "ull ", "%", "%}", "}", "|*", " ipsum", ")", "(x)", "orem ", "m "]
    ),
    two=st.sampled_from(["Anna", "one", "ipsum", ", x", "%", "}", "FIXME", "ll", ")", "x"]),
    behind=st.sampled_from(["", " ,", "!", "%", "one", " x", "\n,"]),
)
@example(before="", one="No", between="", two="ne", behind="")
@example(before="", one="Lorem", between=" ", two="ipsum", behind="")
@example(before="", one="l", between="orem ", two="ipsum", behind="")
@example(before="%", one="name", between="%", two="x", behind="")
def test_what_begins_in_one_text_and_ends_in_another_is_found(
    before: str, one: str, between: str, two: str, behind: str
) -> None:
    body = f"{before}{{{{ city }}}}{between}{{{{ given_name }}}}{behind}"
    template = written(FRAME.format(body), body)

    for context in (CONTEXT, CONTEXT | {"city": one, "given_name": two}):  # the first one's way is then known
        if (found := check(template, context, FOLLOWED)) is not None:  # None: an empty text is a missing one
            check_findings(found)


@given(st.one_of(st.text(), st.sampled_from(TITLES)))
def test_no_value_that_holds_a_finding_is_free_of_doubt(text: str) -> None:
    found = any(pattern.search(text) for pattern in (GREETING, BRACES, LEFT_OVER))

    assert not found or Doubt.WORDS == doubt_about(text)


@given(st.lists(st.one_of(st.text(), st.sampled_from(TITLES)), min_size=1), st.booleans())
@example(["a", "", "b"], False)
@example(["a", ", b"], False)
@example(["a\nb"], False)
@example(["a\n!"], False)
@example(["a\u3000!"], False)
@example(["%a%"], False)
@example(["a\u00a0"], False)
@example(["\u00a0", "ä"], False)
@example(["ä", "\u202fa"], True)
@example(["a" * 73 + " None"], True)
@example(["\ufffd"], True)
@example(["\ud800half"], False)
def test_values_looked_at_together_are_doubted_where_one_of_them_is(texts: list[str], is_html: bool) -> None:
    texts = [arriving(text) for text in texts]  # half a character arrives as another
    doubted = any(doubt_about(text) & Doubt.WORDS for text in texts)
    pieces = [piece(str(escape(text)) if is_html else text) for text in texts]

    assert not doubted or is_doubtful(pieces)


def test_half_a_character_in_a_line_that_is_not_encoded_is_doubted() -> None:
    assert is_doubtful(["\ud800half"])


@pytest.mark.parametrize(
    "texts",
    [
        ["Anna", "10 %", "€1,234.50"],
        ["banner", "a. b, c", "70% cocoa 5%"],
        ["12,50\u00a0€", "سلام، مریم", "你好，王小明"],
        ["Farmer's Coffee", "Dairy & Eggs", "<3", "what!", "Coffee (250 g)", "word " * 30 + "end"],
    ],
)
@pytest.mark.parametrize("is_html", [False, True])
def test_usual_values_are_not_doubted_together(texts: list[str], is_html: bool) -> None:
    assert not is_doubtful([piece(str(escape(text)) if is_html else text) for text in texts])


@pytest.mark.parametrize(
    "name", ["Anna", "Zoë Müller-5", "Mary & Sue", "€1,234.50", "70% cocoa", "Hi Anna,", "مریم", "王小明"]
)
def test_a_usual_message_is_never_read_as_a_whole(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    template = written(FRAME.format("Hi {{ given_name }}, see {{ city }}."), "Hi {{ given_name }},\n{{ city }}")
    findings_of(render_mail(template, CONTEXT, FOLLOWED))

    monkeypatch.setattr(shapes, "findings_in", None)

    assert [] == findings_of(render_mail(template, CONTEXT | {"given_name": name}, FOLLOWED))


def test_of_many_messages_looked_at_together_each_has_its_own_findings() -> None:
    template = written(FRAME.format("Hi {{ given_name }}, see {{ city }}."), "Hi {{ given_name }},\n{{ city }}")
    whole = written(FRAME.format("{% macro m() %}{{ city }}{% endmacro %}{{ m() }}"), "{{ city }}")
    made = [
        render_mail(one, CONTEXT | {"given_name": name, "city": city}, FOLLOWED)
        for one in (template, whole)
        for name, city in (("Anna", "Turku"), ("{{7*7}}", "Oulu"), ("Zoë", "null"), ("Anna", "Espoo"))
    ]

    assert [findings_in(one.plainly()) for one in made] == findings_of_each([glance(one) for one in made])
    assert [2, 2, 0] == [len(findings_of_each([glance(one)])[0]) for one in made[1:4]]


def test_a_picture_that_was_on_the_engines_own_host_is_looked_at_when_it_is_elsewhere() -> None:
    template = written(FRAME.format('<img src="{{ city | _address }}"> {{ given_name }}'), "text {{ given_name }}")
    home = {"city": "https://t.test/o/1.gif"}
    findings_of(render_mail(template, CONTEXT | home, FOLLOWED))  # the way is then known

    assert [] == findings_of(render_mail(template, CONTEXT | {"city": "https://t.test/o/2.gif"}, FOLLOWED))
    assert ["ML023"] == [
        one.code for one in findings_of(render_mail(template, CONTEXT | {"city": "https://a.example/2.gif"}, FOLLOWED))
    ]


@pytest.mark.parametrize(
    ("body", "context", "code"),
    [
        ("Hi {{ given_name }},", {"given_name": " "}, "ML020"),
        ("{{ given_name }},", {"given_name": "Hi ,"}, "ML020"),
        ("x {{ given_name }}", {"given_name": "{{7*7}}"}, "ML021"),
        ("x {{ given_name }}", {"given_name": "null"}, "ML022"),
        ('<a href="{{ city | _link(0) }}">x</a> {{ given_name }}', {"city": "https://localhost/x"}, "ML023"),
        ('<img src="{{ city | _address }}"> {{ given_name }}', {"city": "https://shop.example/x"}, "ML023"),
        ('<a href="/relative">x</a> {{ given_name }}', {}, "ML025"),
        ('<a href="{{ given_name }}">x</a>', {}, "ML025"),
        ("{{ given_name }} " + "x" * 103_000, {}, "ML024"),
    ],
)
def test_what_is_wrong_is_told(body: str, context: dict[str, Any], code: str) -> None:
    template = written(FRAME.format(body), "text {{ given_name }}")
    findings_of(render_mail(template, CONTEXT | {"city": "https://a.test/"}, ALONE))

    assert code in [one.code for one in findings_of(render_mail(template, CONTEXT | context, ALONE))]


@pytest.mark.parametrize("where", ["subject", "preheader"])
@pytest.mark.parametrize("line", ["nan=41", "{{ '{' }}{{ '{' }}=7", "a, b=3D, TODO=41"])
def test_what_looks_encoded_in_a_line_that_is_not_hides_nothing(where: str, line: str) -> None:
    template = written(FRAME.format("{{ city }}"), "{{ city }}", **{where: line})
    found = render_mail(template, CONTEXT, FOLLOWED)

    assert [] != findings_in(found.plainly())
    check_findings(found)


def test_an_empty_text_and_an_empty_subject_are_told() -> None:
    template = written(FRAME.format("{{ city }}"), " \n", subject="{{ given_name }}")

    assert ["ML026", "ML027"] == [
        one.code
        for one in findings_of(render_mail(template, CONTEXT | {"given_name": ""} | {"given_name": " "}, ALONE))
    ]


def test_in_a_rehearsal_links_to_this_machine_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    here = LinkAddresses(
        unsubscribe="http://localhost:8025/u/1",
        preferences="http://localhost:8025/p/1",
        counted="http://localhost:8025/c/1/",
    )
    template = written(
        FRAME.format(
            '<a href="{{ \'https://a.test\' | _link(0) }}">x</a> <a href="{{ links.unsubscribe | _address }}">y</a>'
        ),
        "{{ city }}",
    )
    found = render_mail(template, CONTEXT, here)

    assert ["ML023", "ML023"] == [one.code for one in findings_of(found)]
    monkeypatch.setattr(shapes, "findings_in", None)
    assert [] == findings_of(found, {"ML023"})


def test_the_way_through_a_template_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    monkeypatch.setattr(shapes, "visible_text", lambda html: looked.append(html) or re.sub("<.*?>", "", html))
    template = written(FRAME.format("{% if city == 'Turku' %}a{% endif %}{{ city }} once"), "{{ city }}")

    for city in ("Turku", "Turku", "Oulu", "Espoo", "Turku"):
        findings_of(render_mail(template, CONTEXT | {"city": city}, FOLLOWED))

    assert 2 == len(looked)

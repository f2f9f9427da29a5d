"""A fused message decodes to what the plain path renders, and fails as it does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fused_bench import (
    ADDRESSES,
    ALONE,
    CAPTURES,
    FAILING,
    FOLLOWED,
    VALUES,
    arriving,
    bodies,
    check,
    contexts,
    decoded,
    fused,
    outcome,
    written,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markupsafe import escape
from message_bench import compiled, mjml
from nasty import NAMES

from engine.errors import RenderFailed
from engine.message import LinkAddresses, SkipMessage, render, render_mail
from engine.message.encoding import HTML_VALUES, TEXT_VALUES, are_plain, is_ragged, own_address, piece

CONTEXT: dict[str, Any] = {
    "city": "Turku",
    "given_name": "Zoë & co",
    "orders_count": 3,
    "age": None,
    "job_title": None,
    "tags": ["a", "b"],
    "attributes": {"size": "M", "shoe": "40"},
    "shop": {"name": "Tom & Jerry's"},
    "favourite_product": {"title": "Tea", "price": None, "url": "https://shop.test/p/1", "reason": "R"},
    "buy_again": [
        {"title": f"Thing {n}", "price": 9.5, "url": f"https://shop.test/p/{n}?a=1&b=2", "reason": "R"}
        for n in range(3)
    ],
}
LOOP = '{% for c in buy_again %}<a href="{{ (c.url) | _link(3) }}">{{ c.title }}</a>{{ loop.index }}{% endfor %}'


@settings(max_examples=150)
@given(
    html=bodies(VALUES, "links.unsubscribe", 2),
    text=bodies(VALUES, "links.unsubscribe", 2),
    context=contexts,
    addresses=st.sampled_from(ADDRESSES),
)
def test_any_template_says_the_same_both_ways(
    html: str, text: str, context: dict[str, Any], addresses: LinkAddresses
) -> None:
    check(written(html, text, subject="For {{ city }}", preheader="{{ given_name }}"), context, addresses)


@settings(max_examples=100)
@given(
    before=bodies(VALUES, "links.unsubscribe", 1),
    failing=st.sampled_from(FAILING),
    in_text=st.booleans(),
    context=contexts,
)
def test_what_can_not_be_said_fails_alike(before: str, failing: str, in_text: bool, context: dict[str, Any]) -> None:
    body = f"{before}\n{{{{ {failing} }}}}"
    template = written("x" if in_text else body, body if in_text else "x")

    check(template, context, FOLLOWED)


def test_a_fault_is_told_with_its_place() -> None:
    with pytest.raises(RenderFailed, match=r"^line 3: job_title is missing"):
        render_mail(written("a\n{{ city }}\n{{ job_title }}"), CONTEXT, FOLLOWED)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:40])
@pytest.mark.parametrize(
    "body", ["Hi {{ given_name }},\n{{ city }}", "{{ given_name }}", "{{ city }}{{ given_name }}\n"]
)
def test_a_nasty_value_arrives_as_it_would_plainly(name: str, body: str) -> None:
    template = written(f"<p title='{{{{ given_name }}}}'>{body}</p>", body, subject="x {{ given_name | truncate(9) }}")

    check(template, CONTEXT | {"given_name": name}, FOLLOWED)


@given(st.one_of(st.text(), st.text("=.\n\r \tFrom-_ab", max_size=300), st.sampled_from(NAMES)))
@example("x" * 76)
@example(".")
@example("x" * 74 + "é.\n..")
@example("a" * 74 + "  b")
@example("=" * 30 + " ")
@example("é" * 40)
def test_a_piece_holds_its_text_within_its_columns_and_without_runs_of_blanks(text: str) -> None:
    made = piece(text).encode()

    assert arriving(text) == decoded(made + b"=\r\n")
    assert max(map(len, made.split(b"\r\n"))) <= 76
    assert len(made.rpartition(b"\n")[2]) <= 75
    assert not [sign for sign in (b"  ", b"\t", b" \r\n", b"\r\n.") if sign in b"\r\n" + made]


@given(st.one_of(st.text(), st.text("=.&<'\" €é\n\r\t", max_size=90), st.sampled_from(NAMES)))
@example("x" * 75)
@example("€" * 9)
@example("a  b")
@example(".a")
@example("\ud800")
def test_a_value_met_for_the_first_time_becomes_the_same_piece_by_each_way(text: str) -> None:
    HTML_VALUES.clear()
    TEXT_VALUES.clear()

    assert piece(str(escape(text))) == HTML_VALUES[text]
    assert is_ragged(text) or piece(text) == TEXT_VALUES[text]
    assert not are_plain([text], escaped=True) or HTML_VALUES[text] == text
    assert not are_plain([text], escaped=False) or TEXT_VALUES[text] == text


@given(st.lists(st.one_of(st.text(), st.text("=.&< \n", max_size=4), st.sampled_from(NAMES)), min_size=1))
@example(["a", ".b"])
@example(["a", "", "b"])
@example(["a", " b"])
@example(["a\n", "b"])
def test_texts_are_plain_together_only_where_each_is(texts: list[str]) -> None:
    for escaped in (True, False):
        assert not are_plain(texts, escaped=escaped) or all(are_plain([one], escaped=escaped) for one in texts)


@pytest.mark.parametrize("length", [20, 75, 76, 110, 150, 151, 400])
def test_an_address_of_our_own_is_cut_as_any_other_piece(length: int) -> None:
    text = "https://m.test/u/" + "aB-_9" * 80

    assert piece(text[:length]) == own_address(text[:length])
    assert piece("x" * 75 + ".y") == own_address("x" * 75 + ".y")


def test_blanks_before_the_last_words_leave_these_their_columns() -> None:
    check(written("x", "Hi {% if orders_count > 9 %}{% endif %}  " + "word " * 14 + "ends"), CONTEXT, FOLLOWED)


def test_what_can_be_known_beforehand_costs_no_piece_of_its_own() -> None:
    source = "<a href=\"{{ 'https://a.test/x' | _link(3) }}\">{{ 'a' | upper }} {{ _('plain words') }}</a>"
    found = render_mail(written(source, "x {{ city }}"), CONTEXT, FOLLOWED)

    assert found.trace is not None
    assert ['<a href=3D"=\r\n', f"{FOLLOWED.counted}=\r\n", '3-0">A plain words</a>'] == found.trace.html.pieces


# ---------------------------------------------------------------- links


def test_each_round_of_a_link_has_its_number_also_across_parts() -> None:
    found = check(written(LOOP, LOOP), CONTEXT, FOLLOWED)

    assert found is not None
    assert found.trace is not None
    assert [f"{FOLLOWED.counted}3-{n}" for n in range(3)] == [
        one.partition('"')[0] for one in decoded(found.html).split('href="')[1:]
    ]
    assert f"{FOLLOWED.counted}3-5" in decoded(found.text)


def test_a_place_that_stands_twice_is_counted_on() -> None:
    link = "{{ 'https://a.test/x' | _link(1) }}"
    found = check(written(f"{link} {link}", f"{link} {{{{ city }}}}"), CONTEXT, FOLLOWED)

    assert found is not None
    assert f"{FOLLOWED.counted}1-0 {FOLLOWED.counted}1-1" == decoded(found.html)
    assert f"{FOLLOWED.counted}1-2 Turku\n" == decoded(found.text)


def test_a_link_that_opens_no_page_stays_itself() -> None:
    found = check(written("{{ 'mailto:a@b.test' | _link(1) }} {{ city }}", "x"), CONTEXT, FOLLOWED)

    assert found is not None
    assert "mailto:a@b.test Turku" == decoded(found.html)


@pytest.mark.parametrize("addresses", ADDRESSES)
def test_both_ways_ask_alike_where_links_lead(addresses: LinkAddresses) -> None:
    check(written(LOOP + "{{ 'https://a.test' | _link(4) }}", LOOP), CONTEXT, addresses)


# ---------------------------------------------------------------- the plain path, where it is needed


@pytest.mark.parametrize("capture", CAPTURES)
@pytest.mark.parametrize("where", ["html", "text", "subject"])
def test_what_captures_output_takes_the_plain_path(capture: str, where: str) -> None:
    sources = {"html": "<p>{{ city }} = {{ given_name }}</p>", "text": "x {{ city }}"} | {where: capture}
    template = written(**sources)

    check(template, CONTEXT, FOLLOWED)
    assert where == "subject" or render_mail(template, CONTEXT, FOLLOWED).trace is None


def test_a_part_that_captures_leaves_the_others_fused() -> None:
    template = written("{{ city }}=", CAPTURES[1])

    assert b"Turku=\r\n=3D" == render_mail(template, CONTEXT, FOLLOWED).html  # a value, a soft break, a literal


@pytest.mark.parametrize(
    "html",
    [
        "{% for a in range(600) %}{{ a }}{% endfor %}",
        "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
        "{% for a in range(400) %}" + "x" * 4000 + "{% endfor %}",
        "{% set s = city %}" + "{% set s = s ~ s %}" * 12 + "{{ s }}{{ s | size }}",
        "{% set s = city %}" + "{% set s = s ~ s %}" * 16 + "{{ s }}",
        "{{ 'a' * 10**9 }}",
        "{{ 'https:///x' | _link(1) }}",
        "{{ 'javascript:x' | _link(1) }}",
        "{{ city.__class__ }}",
        "{% set x = 1e400 %}",
        "{{ attributes.__class__ }}{{ attributes._values }}",
        "{{ city.upper() }}",
        "{% if %}",
    ],
)
def test_limits_and_refusals_are_the_same(html: str) -> None:
    for template in (written(html, "x"), written("x", html)):
        try:
            expected = outcome(template, CONTEXT, FOLLOWED)
        except Exception as fault:
            with pytest.raises(type(fault)):
                render_mail(template, CONTEXT, FOLLOWED)
            continue
        found = fused(template, CONTEXT, FOLLOWED)
        assert expected == found or arriving(expected.html) == decoded(found.html)


def test_a_number_that_python_can_not_write_down_is_told_with_its_place() -> None:
    with pytest.raises(RenderFailed, match=r"^line 2: name 'inf' is not defined"):
        render_mail(written("a\n{% set x = 1e400 %}"), CONTEXT, FOLLOWED)


def test_a_subject_without_end_is_refused() -> None:
    with pytest.raises(RenderFailed, match="subject is longer"):
        render_mail(written("x", "x", subject="{{ city }}"), CONTEXT | {"city": "x" * 501}, FOLLOWED)


def test_skip_gives_its_reason() -> None:
    with pytest.raises(SkipMessage) as skipped:
        render_mail(written('{{ skip("too few") }}'), CONTEXT, FOLLOWED)
    assert "too few" == skipped.value.reason


def test_a_compiled_template_is_fused_in_both_parts(tmp_path: Path) -> None:
    body = (
        '{% for c in buy_again %}<a href="{{ c.url }}">{{ c.title }}</a>{% endfor %}'
        '<a href="https://a.test/x">{{ city }}</a> <a href="{{ links.unsubscribe }}">off</a>'
    )
    template = compiled(tmp_path, mjml(body))

    for addresses in (*ADDRESSES, replace(ALONE, pixel_url="https://t.test/o/1.gif")):
        found = check(template, CONTEXT, addresses)
        assert found is not None
        assert found.trace is not None
        assert found.is_relaxed
        assert render(template, CONTEXT, addresses) == found.plainly()

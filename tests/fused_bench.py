"""A workbench for the fused encoder: hand-written sources, both ways of making a message, what must agree."""

import binascii
import re
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from nasty import NAMES

from engine.errors import RenderFailed
from engine.message import CompiledTemplate, Encoded, LinkAddresses, Part, Rendered, findings_in, findings_of, render
from engine.message.fusing import render_mail

TOKEN = "A" * 43
FOLLOWED = LinkAddresses(
    unsubscribe=f"https://t.test/u/{TOKEN}",
    preferences=f"https://t.test/p/{TOKEN}?a=1&b=2",
    view=f"https://t.test/v/{TOKEN}",
    pixel_url="https://t.test/o/1.gif",
    counted=f"https://t.test/c/{TOKEN}/",
)
ALONE = LinkAddresses(unsubscribe="https://t.test/u/1", preferences="https://t.test/p/1")
AGGREGATE = LinkAddresses(
    unsubscribe="https://t.test/u/1",
    preferences="https://t.test/p/1",
    click=lambda site, occurrence, destination: f"https://t.test/a/{site}?o={occurrence}&to={len(destination)}",
)
# As the engine makes them: known to stand in a mail as they are, and here too long for one line.
SOUND = LinkAddresses(
    unsubscribe=f"https://mail.a-shop-with-a-long-name.test/u/{TOKEN}",
    preferences=f"https://mail.a-shop-with-a-long-name.test/p/{TOKEN}",
    view=f"https://mail.a-shop-with-a-long-name.test/v/{TOKEN}",
    pixel_url=f"https://mail.a-shop-with-a-long-name.test/o/{TOKEN}.gif",
    counted=f"https://mail.a-shop-with-a-long-name.test/c/{TOKEN}/",
    are_sound=True,
)
ADDRESSES = [FOLLOWED, ALONE, AGGREGATE, SOUND]


def written(html: str, text: str = "", subject: str = "Hello", preheader: str = "") -> CompiledTemplate:
    """A template of these sources, each line of which is its own place."""
    return CompiledTemplate(
        name="t",
        language="en",
        currency="EUR",
        timezone="Europe/Helsinki",
        html=part(html),
        text=part(text),
        subject=part(subject),
        preheader=part(preheader),
        fields=(),
        sites=(),
    )


def part(source: str) -> Part:
    """A source with a place for each line."""
    return Part(source=source, lines=tuple((n, f"line {n}") for n in range(1, source.count("\n") + 2)))


def outcome(template: CompiledTemplate, context: Mapping[str, Any], addresses: LinkAddresses) -> Any:
    """What the plain path gives: a message, or the fault with its place."""
    try:
        return render(template, context, addresses)
    except RenderFailed as fault:
        return type(fault), str(fault)


def fused(template: CompiledTemplate, context: Mapping[str, Any], addresses: LinkAddresses) -> Any:
    """What the fused path gives."""
    try:
        return render_mail(template, context, addresses)
    except RenderFailed as fault:
        return type(fault), str(fault)


def decoded(encoded: bytes) -> str:
    """The text that a receiver reads."""
    return binascii.a2b_qp(encoded).decode().replace("\r\n", "\n")


def arriving(text: str) -> str:
    """A text as it can arrive: with one kind of line end and whole characters."""
    return text.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")


def check(template: CompiledTemplate, context: Mapping[str, Any], addresses: LinkAddresses) -> Encoded | None:
    """Both ways agree, and what the fused one wrote can travel; None where both refuse."""
    expected, found = outcome(template, context, addresses), fused(template, context, addresses)
    if not isinstance(expected, Rendered):
        assert expected == found
        return None
    assert isinstance(found, Encoded)
    assert (expected.subject, expected.preheader) == (found.subject, found.preheader)
    assert arriving(expected.html) == decoded(found.html)
    assert arriving(expected.text) == decoded(found.text)
    for encoded in (found.html, found.text):
        assert encoded.isascii()
        assert encoded.count(b"\n") == encoded.count(b"\r\n") == encoded.count(b"\r")
        assert max(map(len, encoded.split(b"\r\n"))) <= 76
        if found.is_relaxed:
            assert not any(sign in encoded for sign in (b"  ", b"\t", b" \r\n", b"\0"))
            assert not encoded.endswith(b" ")
            assert b"\r\n." not in b"\r\n" + encoded  # nothing to stuff before it is sent
    return found


def check_findings(found: Encoded) -> None:
    """The quick look and the long one say the same."""
    if re.search("[\ud800-\udfff]", found.plainly().html):
        return  # no context holds half a character, and nothing can look at it
    expected = findings_in(found.plainly())
    assert expected == findings_of(found)
    assert [one for one in expected if one.code != "ML023"] == findings_of(found, {"ML023"})


# ---------------------------------------------------------------- what is tried

VALUES = [
    "city",
    "given_name",
    "orders_count",
    "age",
    "attributes['shoe']",
    "links.unsubscribe",
    "shop.name",
    "favourite_product.title",
    "tags",
    "attributes.size | default('M')",
    "orders_count | money",
    "city | upper",
    "given_name | default('friend')",
    "given_name | default('')",
    "_('Hi {x} and {y}', x=city, y=given_name)",
    "_('plain words')",
    "'a' ~ city",
    "orders_count + 1",
    "tags | join(', ')",
    "'x' if orders_count > 2 else city",
    "1 / 4",
    "city | truncate(3)",
    "'<b>' if attributes.size == 'M' else '&'",
    "(buy_again + buy_again) | take(2) | map(attribute='title') | join",
    "buy_again | take(-1)",
    "tags | take(1)",
    "(tags + tags) + tags",
    "city + given_name",
    "city ~ orders_count ~ attributes.shoe",
    "('https://a.test/?x=' ~ (attributes.shoe | _part)) | _address",
    "(given_name | _part) ~ (attributes.size | _part)",
]
FAILING = [
    "unknown_name",
    "job_title",
    "none",
    "city | number",
    "favourite_product.price | money",
    "1 | divided_by(0)",
    "city ~ job_title",
    "job_title ~ city",
    "'x' ~ (attributes.none | _part)",
    "orders_count | take(1)",
    "buy_again | take('1')",
    "tags + 1",
]
IN_LOOPS = ["c.title", "c['reason'] | default('R')", "c.price | default(1)", "loop.index", "loop.last", "city"]
WORDS = [
    *(
        "Hi ",
        "Hello",
        " ,",
        ", ",
        "!",
        "\n",
        "\n\n\n",
        " ",
        "  ",
        "\t",
        "a",
        "no",
        "N",
        "ne",
        "null",
        "None",
        "Missing(",
    ),
    *(
        "lorem ",
        "L",
        "ipsum",
        "%",
        "%x",
        "%}",
        "[",
        "]",
        "*|",
        "|*",
        "=",
        "=3D",
        ".",
        "\n.",
        "ü",
        "\u00a0",
        "سلام ",
        "你好",
    ),
    *("x" * 80, "y" * 75, "z" * 76, "word " * 20, "e.g. ", "-", "'", "<b>", "</b>", "&amp;", "<p>", "</p>", "<br>"),
]
TITLES = [*NAMES, "70% cocoa", "100 %", "M", "L", "None", "no", "ull", "hi", "Hi ,", "%name", "x%", "%", "T", "[New] x"]
literals = st.lists(st.sampled_from(WORDS), max_size=4).map("".join)
sites = st.integers(0, 5)


def printed(names: list[str]) -> st.SearchStrategy[str]:
    """One value."""
    return st.sampled_from(names).map(lambda code: f"{{{{ {code} }}}}")


def links(name: str) -> st.SearchStrategy[str]:
    """One address at a link place."""
    made = st.sampled_from(
        ["'https://a.test/x?a=1&b=2'", "'mailto:a@b.test'", "'HTTPS://A.test/ü'", name, "links.preferences"]
    )
    here = st.tuples(made, st.one_of(sites.map(lambda site: f"_link({site})"), st.just("_address")))
    return here.map(lambda both: f'<a href="{{{{ ({both[0]}) | {both[1]} }}}}">')


def bodies(names: list[str], address: str, depth: int) -> st.SearchStrategy[str]:
    """A stretch of a template."""
    pieces = [literals, literals, printed(names), printed(names), links(address)]
    if depth:
        inner = bodies(names, address, depth - 1)
        looped = bodies([*names, *IN_LOOPS], "c.url", depth - 1)
        tests = st.sampled_from(["orders_count > 2", "given_name", "city == 'Turku'", "'a' in tags", "age is missing"])
        pieces += [
            st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, tests, inner, inner),
            st.builds("{{% if {} %}}{}{{% endif %}}".format, tests, inner),
            st.builds("{{% for c in buy_again %}}{}{{% endfor %}}".format, looped),
            st.builds("{{% for c in buy_again if c.price %}}{}{{% else %}}{}{{% endfor %}}".format, looped, inner),
            st.builds(
                "{{% set city = {} %}}{}".format, st.sampled_from(["'Oulu'", "given_name", "city | lower"]), inner
            ),
            st.builds("{{% with city = 'Vaasa' %}}{}{{% endwith %}}".format, inner),
            st.builds("{{%- if orders_count -%}}{}{{%- endif -%}}".format, inner),
        ]
    return st.lists(st.one_of(pieces), max_size=5).map("".join)


# What captures output: the plain path is taken.
CAPTURES = [
    "{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(city) }}",
    "{% set s %}a {{ city }}=\n{% endset %}{{ s }}{{ s | upper }}",
    "{% filter upper %}x {{ city }}{% endfilter %}",
    "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}{{ city }}{% endcall %}",
    "{% block b %}{{ city }}{% endblock %}",
    "{% autoescape false %}{{ city }}{% endautoescape %}",
    "{% for c in buy_again recursive %}{{ c.title }}{% endfor %}",
]

PLAIN = [
    "Turku",
    "Anna",
    "Mary & Sue",
    "Zoë",
    "A fine thing",
    "T-shirt, size M",
    "70% cocoa",
    "Kahvi 250\u00a0g",
    "می‌خواهم",
]
texts = st.one_of(
    st.sampled_from(PLAIN),
    st.sampled_from(PLAIN),
    st.sampled_from(PLAIN),
    st.sampled_from(TITLES),
    st.text(max_size=20),
    st.just("Turku"),
)
cards = st.fixed_dictionaries(
    {
        "title": texts,
        "reason": st.one_of(st.none(), texts),
        "price": st.one_of(st.none(), st.floats(0, 100), st.integers(0, 9)),
        "url": st.sampled_from(["https://shop.test/p/1?a=1&b=2", "https://é.test/ä b", "mailto:x@y.test"]),
    }
)
contexts = st.fixed_dictionaries(
    {
        "city": texts,
        "given_name": texts,
        "age": st.one_of(st.none(), st.integers(0, 99)),
        "job_title": st.none(),
        "orders_count": st.integers(0, 5),
        "tags": st.lists(texts, max_size=2),
        "attributes": st.fixed_dictionaries({"shoe": texts}, optional={"size": texts}),
        "shop": st.fixed_dictionaries({"name": texts}),
        "favourite_product": cards,
        "buy_again": st.lists(cards, max_size=3),
    }
)

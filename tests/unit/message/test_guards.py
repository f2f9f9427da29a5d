"""The guards alone: what passes, what is refused, and that the memory is safe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import RenderFailed
from engine.message.guards import address, address_part, bounded_operation, is_plain_base, style_value


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("https://a.test", "https://a.test"),
        ("https://a.test:8443/x?y=1#z", "https://a.test:8443/x?y=1#z"),
        ("https://a.test/100%", "https://a.test/100%"),
        ("https://[2001:db8::1]/x", "https://[2001:db8::1]/x"),
        ("tel:+358 40", "tel:+358%2040"),
        ("mailto:a@b.test?subject=é", "mailto:a@b.test?subject=%C3%A9"),
    ],
)
def test_an_address_passes(written: str, expected: str) -> None:
    assert expected == address(written)


@pytest.mark.parametrize("character", ["\u202e", "\u200b", "\x00", "\x7f", "\u2028", "\n", "\\", "\ud800"])
def test_no_invisible_character_passes_in_an_address(character: str) -> None:
    with pytest.raises(RenderFailed):
        address(f"https://a.test/{character}x")


@given(st.text(max_size=60))
def test_whatever_passes_as_an_address_is_ascii_and_absolute(text: str) -> None:
    try:
        passed = address(text)
    except RenderFailed:
        return

    assert passed.isascii()
    assert passed.partition(":")[0].lower() in {"http", "https", "mailto", "tel", "sms"}
    assert not set(passed) & set(' \r\n\t\\"<>')


@given(st.text(max_size=60))
def test_a_part_of_an_address_can_add_no_structure(text: str) -> None:
    assert not set(address_part(text)) & set("/?#&=:@ \"'<>")


@given(st.text(max_size=30))
def test_whatever_passes_as_style_can_end_nothing(text: str) -> None:
    try:
        passed = style_value(text)
    except RenderFailed:
        return

    assert not set(passed) & set(";:{}\"'<>\\/@!&*")


@pytest.mark.parametrize("sign", ["a", " ", "("])
def test_a_style_value_without_end_is_refused_before_it_is_looked_at(sign: str) -> None:
    with pytest.raises(RenderFailed, match="longer than 1000 characters, and so no style value"):
        style_value(f"a{sign * 1_000_000}a")


@pytest.mark.parametrize(
    ("operator", "left", "right"),
    [
        ("*", "a", 10**10),
        ("*", 10**10, "a"),
        ("*", [1], 10**9),
        ("**", 10, 10**9),
        ("**", 10**7, 2),
        ("*", 10**31, 10),
        ("+", "a" * 150_000, "b" * 60_000),
        ("%", "%0999999999d", 1),
    ],
)
def test_what_would_fill_the_memory_is_refused_before_it_is_computed(
    operator: str, left: object, right: object
) -> None:
    with pytest.raises(RenderFailed):
        bounded_operation(operator, left, right)


@pytest.mark.parametrize(
    ("base", "is_plain"),
    [
        ("https://mail.shop.test", True),
        ("http://localhost:8025", True),
        ("https://shop.test/mail_1/a.b-c", True),
        ("https://shop.test/a=b", False),
        ("https://shop.test/?a", False),
        ("https://Shop.test", False),
        ("https://shop.test/a b", False),
        ("https://me@shop.test", False),
        ("https://shöp.test", False),
        ("", False),
    ],
)
def test_a_plain_base_needs_no_second_look_in_any_mail(base: str, is_plain: bool) -> None:
    assert is_plain == is_plain_base(base)

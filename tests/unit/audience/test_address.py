"""Addresses: one mailbox, one key; what could reach somebody else is refused."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from engine.audience import Address, address


@pytest.mark.parametrize(
    ("given", "email", "key"),
    [
        ("anna@shop.fi", "anna@shop.fi", "anna@shop.fi"),
        ("Anna.B@Shop.FI", "Anna.B@shop.fi", "anna.b@shop.fi"),  # the local part is mailed as given
        ("  anna@shop.fi\u00a0", "anna@shop.fi", "anna@shop.fi"),
        ("\ufeffanna@shop.fi\u200b", "anna@shop.fi", "anna@shop.fi"),
        ("mailto:anna@shop.fi", "anna@shop.fi", "anna@shop.fi"),
        ("Anna Berg <anna@shop.fi>", "anna@shop.fi", "anna@shop.fi"),
        ('"Berg, Anna" <anna@shop.fi>', "anna@shop.fi", "anna@shop.fi"),
        ("anna@é.fi", "anna@xn--9ca.fi", "anna@xn--9ca.fi"),
        ("anna@xn--9ca.fi", "anna@xn--9ca.fi", "anna@xn--9ca.fi"),
        ("anna@e\u0301.fi", "anna@xn--9ca.fi", "anna@xn--9ca.fi"),  # the same letter in two characters
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v", "用户@xn--fsqu00a.xn--4rr70v"),
        ("anna+shoes@gmail.com", "anna+shoes@gmail.com", "anna+shoes@gmail.com"),  # somebody's own sorting: kept
        ("abuse@shop.fi", "abuse@shop.fi", "abuse@shop.fi"),
    ],
)
def test_an_address_is_normalised(given: str, email: str, key: str) -> None:
    assert Address(email, key) == address(given)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "anna",
        "a@y.fi,c@d.fi",
        "b@y.fi>\r\nRCPT TO:<evil@z.fi",
        "b@y.fi\nDATA",
        "a@y.fi\x00",
        "a@y.fi\n",
        "<a@b>",
        "a@y.fi.",
        "a..b@y.fi",
        ".a@y.fi",
        "a.@y.fi",
        "a@nowhere",
        '"a b"@y.fi',
        "a b@y.fi",
        "x" * 65 + "@y.fi",
        "a@" + "x" * 64 + ".fi",
        "a@[127.0.0.1]",
        "a@y.test",
        "evil@x.fi <a@y.fi>",
        "a@b@y.fi",
        "Bob <evil@x.fi>, c",
        "a\u202eb@y.fi",
        "a@" + ".".join(["x" * 60] * 5) + ".fi",
    ],
)
def test_what_is_no_single_mailbox_is_refused_with_a_reason(given: str) -> None:
    with pytest.raises(ValueError, match=r"email address"):
        address(given)


def test_the_reason_does_not_quote_the_address() -> None:
    with pytest.raises(ValueError, match="email") as refused:
        address("anna.berg..private@shop.fi")

    assert "anna.berg" not in str(refused.value)


def test_test_domains_are_let_in_only_where_the_shop_says_so() -> None:
    assert "a@y.test" == address("a@y.test", allow_test_domains=True).email
    with pytest.raises(ValueError, match="allow_test_domains"):
        address("a@y.test")


_LOCAL = st.text("abAB09._+-'!#", min_size=1, max_size=70)
_DOMAIN = st.text("abA9.-_é", min_size=1, max_size=70)


@given(_LOCAL, _DOMAIN)
def test_the_quick_way_and_the_library_agree(local: str, domain: str) -> None:
    try:
        expected = validate_email(f"{local}@{domain}", check_deliverability=False, strict=True)
    except EmailNotValidError:
        with pytest.raises(ValueError, match="email"):
            address(f"{local}@{domain}")
        return
    assert f"{expected.local_part}@{expected.ascii_domain}" == address(f"{local}@{domain}").email

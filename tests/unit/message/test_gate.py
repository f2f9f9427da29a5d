"""The last gate: a good mail passes, and each rule alone stops a mail that breaks it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nasty import NAMES

from engine.message.dkim import Signer
from engine.message.gate import Expected, check_mail
from engine.message.headers import Mailbox, MailHeaders
from engine.message.mime import compose
from engine.model import Severity

URL = "https://t.shop.test/u/" + "A" * 43
HEADERS = MailHeaders(
    delivery_id="abc234abc234abc234abc234",
    to=Mailbox(email="ann@example.test", name="Ann"),
    from_=Mailbox(email="news@shop.test", name="Corner Shop"),
    date=datetime(2026, 3, 1, 12, tzinfo=UTC),
    bounce_domain="bounce.shop.test",
    unsubscribe_url=URL,
    list_id="news.shop.test",
    feedback_id="spring:marketing:shop:corner",
)
EXPECTED = Expected(
    unsubscribe_url=URL, postal_address="1 Main Street\nSpringfield", envelope_from="b+abc@bounce.shop.test"
)
FOOTER = f'<p>1 Main Street<br>Springfield &middot; <a href="{URL}">Unsubscribe</a></p>'
SIGNER = Signer(domain="shop.test", selector="s1", key=Ed25519PrivateKey.generate(), algorithm="ed25519-sha256")


@dataclass
class Text:
    subject: str = "Hello"
    html: str = f"<html><body><p>Hi</p>{FOOTER}</body></html>"
    text: str = f"Hi\n\n1 Main Street, Springfield\nUnsubscribe: {URL}\n"


def made(text: Text | None = None, signer: Signer | None = SIGNER, **changes: Any) -> bytes:
    return compose(text or Text(), replace(HEADERS, **changes), signer).data


def codes(data: bytes, expected: Expected = EXPECTED, severity: Severity = Severity.ERROR) -> list[str]:
    return [one.code for one in check_mail(data, expected) if one.severity is severity]


def test_a_right_mail_passes_without_a_word() -> None:
    assert [] == check_mail(made(), EXPECTED)
    assert [] == check_mail(made(signer=None), EXPECTED)
    assert [] == check_mail(made())


@pytest.mark.parametrize("name", NAMES)
def test_no_name_or_subject_makes_a_mail_wrong(name: str) -> None:
    text = Text(subject=f"For {name}")

    assert [] == check_mail(made(text, to=Mailbox(email="ann@example.test", name=name), campaign=name), EXPECTED)


def swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


ONE_CLICK = b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (swap(b"<https://t", b"=?utf-8?q?=3Chttps=3A//t"), "mangled_list_unsubscribe"),
        (swap(b"<https://t.shop.test/u/A", b"<https://t.shop.test/u/\r\n A"), "mangled_list_unsubscribe"),
        (swap(b"<https://t", b"<http://t"), "no_https_unsubscribe"),
        (swap(b"List-Unsubscribe: <", b"List-Unsubscribe: <https://x.test/>, <"), "no_https_unsubscribe"),
        (swap(b"List-Unsubscribe: <", b"X-Other: <"), "no_list_unsubscribe"),
        (swap(ONE_CLICK, b""), "no_one_click"),
        (swap(b"=One-Click", b"=one-click"), "no_one_click"),
        (lambda data: data.replace(b"list-unsubscribe:", b""), "unsigned_list_unsubscribe"),
        (swap(b"\r\nTo:", b"\r\nFrom: x@shop.test\r\nTo:"), "duplicate_header"),
        (swap(b"\r\nTo:", b"\r\nMessage-ID: <x@shop.test>\r\nTo:"), "duplicate_header"),
        (swap(b"Date: ", b"X-Date: "), "missing_header"),
        (swap(b"Subject: Hello", b"Subject: "), "missing_header"),
        (swap(b"MIME-Version: 1.0\r\n", b""), "missing_header"),
        (swap(b"<news@shop.test>", b"<news@shop.test>, b@shop.test"), "not_one_sender"),
        (swap(b"From: ", b"X-From: "), "not_one_sender"),
        (swap(b"<news@shop.test>", b"<news@gmail.com>"), "freemail_sender"),
        (swap(b"<news@shop.test>", b"<news@other.test>"), "unaligned_sender"),
        (swap(b"abc234@shop.test>", b"abc234@other.test>"), "foreign_message_id"),
        (swap(b"Message-ID: <", b"Message-ID: "), "foreign_message_id"),
        (swap(b"<p>Hi", b"<p>" + b"x" * 999), "long_line"),
        (swap(b"<p>Hi", b"<p>\xc3\xa9"), "eight_bit"),
        (swap(b"Subject: Hello", b"Subject: \xc3\xa9"), "raw_header"),
        (swap(b"Subject: Hello", b"Subject: a\0b"), "nul"),
        (swap(b"<p>Hi", b"<p>\nHi"), "bare_newline"),
        (swap(b"<p>Hi", b"<p>\rHi"), "bare_newline"),
        (swap(b"Encoding: quoted-printable", b"Encoding: 8bit"), "bad_encoding"),
        (lambda data: data.partition(b"\r\n\r\n")[0] + b"\r\n", "no_body"),
    ],
)
def test_a_mail_is_stopped_that(change: Callable[[bytes], bytes], code: str) -> None:
    assert code in codes(change(made()))


@pytest.mark.parametrize(
    ("html", "code"),
    [
        (Text.html.replace(URL, "https://shop.test/other"), "no_visible_unsubscribe"),
        (Text.html.replace(">Unsubscribe<", "><"), "no_visible_unsubscribe"),
        (Text.html.replace("<p>1 Main", '<p style="color:red; display : none">1 Main'), "no_visible_unsubscribe"),
        (Text.html.replace("<p>1 Main", "<p hidden>1 Main"), "no_postal_address"),
        (Text.html.replace("1 Main Street", "1 Main"), "no_postal_address"),
        (f"<html><!-- {FOOTER} --><body>Hi</body></html>", "no_postal_address"),
        (
            f"<html><head><title>1 Main Street Springfield</title></head><body><a href='{URL}'>x</a></body></html>",
            "no_postal_address",
        ),
        ("", "no_visible_unsubscribe"),
        (Text.html + "x" * 102_401, "too_large"),
    ],
)
def test_a_mail_is_stopped_whose_html(html: str, code: str) -> None:
    assert code in codes(made(Text(html=html)))


@pytest.mark.parametrize(
    ("text", "code"),
    [(Text.text.replace(URL, ""), "no_visible_unsubscribe"), (Text.text.replace("Main", ""), "no_postal_address")],
)
def test_a_mail_is_stopped_whose_text(text: str, code: str) -> None:
    assert [code] == codes(made(Text(text=text)))


def test_layout_tables_of_font_size_zero_hide_nothing() -> None:
    html = Text.html.replace("<p>1 Main", '<td style="font-size:0px;padding:0"><p style="font-size:13px">1 Main')

    assert [] == codes(made(Text(html=html)))


def test_an_image_is_something_to_click_on() -> None:
    assert [] == codes(made(Text(html=Text.html.replace(">Unsubscribe<", "><img src='x' alt='off'><"))))


def test_a_large_mail_is_doubted_before_it_is_stopped() -> None:
    data = made(Text(html=Text.html + "x" * 100_000))

    assert ([], ["too_large"]) == (codes(data), codes(data, severity=Severity.WARNING))


def test_a_missing_text_part_is_doubted() -> None:
    assert ["no_text_part"] == codes(made(Text(text="  \n")), Expected(), Severity.WARNING)


def test_bounces_to_the_senders_own_mailbox_stop_a_mail_unless_the_owner_chose_so() -> None:
    own = replace(EXPECTED, envelope_from="News@shop.test")

    assert ["return_path_is_sender"] == codes(made(), own)
    assert ["return_path_is_sender"] == codes(made(), replace(own, return_path="from"), Severity.WARNING)


@pytest.mark.parametrize(
    ("domain", "envelope", "aligned"),
    [
        ("shop.test", "b@bounce.shop.test", True),
        ("news.shop.test", "b@bounce.shop.test", True),
        ("shop.test", "b@relay.example", False),
        ("shop.co.uk", "b@other.co.uk", False),
        ("news.shop.co.uk", "b@bounce.shop.co.uk", True),
        ("notshop.test", "b@shop.test", False),
    ],
)
def test_an_unsigned_sender_belongs_to_the_organisation_of_the_bounce_domain(
    domain: str, envelope: str, aligned: bool
) -> None:
    data = made(signer=None, from_=Mailbox(email=f"news@{domain}"))

    found = codes(data, replace(EXPECTED, envelope_from=envelope), Severity.WARNING)

    assert ([] if aligned else ["unaligned_sender"]) == found


def test_an_unsubscribe_page_on_this_machine_is_doubted() -> None:
    data = made(unsubscribe_url="http://127.0.0.1:8025/u/x")

    assert ["loopback_unsubscribe"] == codes(data, Expected(), Severity.WARNING)


def test_transactional_mail_needs_no_way_out() -> None:
    data = made(
        Text(html="<p>Your receipt</p>", text="Your receipt"), message_class="transactional", unsubscribe_url=""
    )

    assert [] == check_mail(data, replace(EXPECTED, message_class="transactional"))


@pytest.mark.parametrize("charset", [b"iso-8859-1", b"no-such-charset"])
def test_a_mail_of_another_charset_is_read_too(charset: bytes) -> None:
    data = made(Text(html=Text.html + "&uuml;", text=Text.text)).replace(b"charset=utf-8", b"charset=" + charset)

    assert [] == codes(data)


def test_a_recipient_beyond_ascii_is_allowed_to_stand_raw() -> None:
    assert [] == codes(made(to=Mailbox(email="jörg@example.test", name="Jörg")))


@pytest.mark.parametrize(
    "data", [b"", b"\r\n\r\n", b"x", b"\xff\xfe", b"From: \r\n\r\n", b"From: a@\r\n\r\n", b":\r\n\r\n"]
)
def test_nonsense_is_stopped_and_never_raises(data: bytes) -> None:
    assert len(codes(data)) > 3

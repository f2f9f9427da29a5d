"""Headers: what stands in them, and that no value can break out of its own."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_string, policy
from email.header import decode_header, make_header
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nasty import NAMES

from engine.errors import BadConfig, RenderFailed
from engine.message.framing import Body, mail_frame
from engine.message.header_text import cleaned_name, cleaned_subject, phrase
from engine.message.headers import Mailbox, MailHeaders, envelope_from, feedback_id, mailbox

HEADERS = MailHeaders(
    delivery_id="abc234abc234abc234abc234",
    to=Mailbox(email="ann@example.test", name="Ann"),
    from_=Mailbox(email="news@shop.test", name="Corner Shop"),
    date=datetime(2026, 3, 1, 12, tzinfo=UTC),
    bounce_domain="bounce.shop.test",
    unsubscribe_url="https://t.shop.test/u/" + "A" * 43,
)
anything = st.one_of(
    st.text(), st.text(st.characters(categories=["L", "M", "S", "Cf", "Zs", "Po"])), st.sampled_from(NAMES)
)


def written(subject: str = "Hello", **changes: Any) -> dict[str, str]:
    headers = replace(HEADERS, **changes)
    own = {name: getattr(headers, name) for name in ("delivery_id", "to", "date", "unsubscribe_url")}
    data = mail_frame(headers).mail(subject, Body(text="", html="", form="simple"), **own).data
    lines = re.split(r"\r\n(?![ \t])", data.partition(b"\r\n\r\n")[0].decode())
    return {line.partition(":")[0]: line for line in lines}


def read(lines: dict[str, str]) -> Any:
    return message_from_string("\r\n".join(lines.values()) + "\r\n\r\n", policy=policy.default)


def decoded(line: str) -> str:
    return str(make_header(decode_header(line.partition(": ")[2].replace("\r\n", ""))))


# ---------------------------------------------------------------- the whole set


def test_marketing_mail_carries_these_headers_and_no_others() -> None:
    expected = """\
From: Corner Shop <news@shop.test>
To: Ann <ann@example.test>
Subject: Hello
Date: Sun, 01 Mar 2026 12:00:00 +0000
Message-ID: <abc234abc234abc234abc234@shop.test>
Reply-To: help@shop.test
MIME-Version: 1.0
Content-Type: multipart/alternative;
 boundary="=_abc234abc234abc234abc234"
List-Unsubscribe: <https://t.shop.test/u/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA>, <mailto:off@shop.test?subject=x>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
List-ID: <news.shop.test>
Feedback-ID: spring:marketing:shop:corner
Precedence: bulk
Auto-Submitted: auto-generated
X-Campaign: spring"""

    lines = written(
        reply_to=Mailbox(email="help@shop.test"),
        unsubscribe_mailto="mailto:off@shop.test?subject=x",
        list_id="news.shop.test",
        feedback_id=feedback_id("spring", "marketing", "shop", "corner"),
        campaign="spring",
    )

    assert expected == "\n".join(lines.values()).replace("\r\n", "\n")


def test_transactional_mail_has_no_list_headers_unless_given() -> None:
    bare = written(message_class="transactional", unsubscribe_url="")
    given_one = written(message_class="transactional")

    assert "From To Subject Date Message-ID MIME-Version Content-Type Auto-Submitted".split() == list(bare)
    assert {"List-Unsubscribe", "List-Unsubscribe-Post"} == set(given_one) - set(bare)


def test_marketing_mail_without_an_unsubscribe_address_is_not_written() -> None:
    with pytest.raises(RenderFailed, match=r"no unsubscribe address; set base_url in \[tracking\]"):
        written(unsubscribe_url="")


def test_the_date_is_told_in_utc() -> None:
    assert (
        "Date: Sun, 01 Mar 2026 10:00:00 +0000"
        == written(date=datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))))["Date"]
    )


# ---------------------------------------------------------------- unsubscribe, as a literal


@pytest.mark.parametrize("length", [10, 60, 78, 200, 900])
def test_the_unsubscribe_url_stands_literally_however_long(length: int) -> None:
    url = "https://t.shop.test/" + "A" * length

    assert f"List-Unsubscribe: <{url}>" == written(unsubscribe_url=url)["List-Unsubscribe"]


@pytest.mark.parametrize(
    "url",
    [
        "http://t.shop.test/u/x",
        "javascript:alert(1)",
        "https://t.shop.test/u/x\r\nBcc: evil@x.test",
        "https://t.shop.test/u/x>, <https://evil.test",
        "https://t.shop.test/ü",
        "https://t.shop.test/a b",
        "https:///x",
        "https://t.shop.test/" + "A" * 1000,
        "https://t.shop.test/=?utf-8?q?x?=",
    ],
)
def test_an_unsubscribe_address_that_is_no_plain_https_url_is_not_written(url: str) -> None:
    with pytest.raises(RenderFailed):
        written(unsubscribe_url=url)


@pytest.mark.parametrize(
    "address", ["off@shop.test", "mailto:off@shop.test>, <https://evil.test", "mailto:a b@shop.test"]
)
def test_an_unsubscribe_mailto_that_is_none_is_not_written(address: str) -> None:
    with pytest.raises(RenderFailed, match="mailto"):
        written(unsubscribe_mailto=address)


def test_this_machine_may_do_without_https() -> None:
    assert (
        "List-Unsubscribe: <http://127.0.0.1:8025/u/x>"
        == written(unsubscribe_url="http://127.0.0.1:8025/u/x")["List-Unsubscribe"]
    )


# ---------------------------------------------------------------- any text


@given(anything)
@example("x" * 70 + " end")
def test_any_name_arrives_as_cleaned_and_nothing_else_does(name: str) -> None:
    name_arrives(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_nasty_name_arrives_as_cleaned(name: str) -> None:
    name_arrives(name)
    subject_arrives(name)
    is_well_formed(name, name, name)


def name_arrives(name: str) -> None:
    lines = written(to=Mailbox(email="ann@example.test", name=name))
    parsed = read(lines)

    assert list(lines) == list(parsed.keys())
    assert ("ann@example.test",) == tuple(one.addr_spec for one in parsed["to"].addresses)
    assert cleaned_name(name) == decoded_name(lines["To"])
    assert () == parsed["to"].defects


def decoded_name(line: str) -> str:
    """The name as a receiver reads it: unfolded, unquoted, its encoded words joined (RFC 2047 6.2)."""
    said = line.partition(": ")[2].replace("\r\n", "").rpartition("<")[0].rstrip(" ")
    if said.startswith('"'):
        return re.sub(r"\\(.)", r"\1", said[1:-1])
    return str(make_header(decode_header(said)))


@pytest.mark.parametrize("name", [name for name in NAMES if len(cleaned_name(name).encode()) < 40])
def test_a_short_name_is_read_alike_by_the_standard_library(name: str) -> None:
    parsed = read(written(to=Mailbox(email="ann@example.test", name=name)))

    assert cleaned_name(name) == parsed["to"].addresses[0].display_name


@given(anything)
def test_any_subject_arrives_as_cleaned_and_nothing_else_does(subject: str) -> None:
    subject_arrives(subject)


def subject_arrives(subject: str) -> None:
    lines = written(subject)
    parsed = read(lines)

    assert list(lines) == list(parsed.keys())
    assert cleaned_subject(subject) == str(parsed["subject"])
    assert cleaned_subject(subject) == decoded(lines["Subject"])


@given(anything, anything, anything)
def test_every_line_is_ascii_short_and_no_encoded_word_is_too_long(name: str, subject: str, campaign: str) -> None:
    is_well_formed(name, subject, campaign)


def is_well_formed(name: str, subject: str, campaign: str) -> None:
    lines = written(subject, to=Mailbox(email="ann@example.test", name=name), campaign=campaign).values()

    for line in (piece for one in lines for piece in one.split("\r\n")):
        assert line.isascii()
        assert line.isprintable()
        assert len(line) <= 78 or line.startswith("List-Unsubscribe:")
        assert all(len(word) <= 75 for word in line.split(" ") if word.startswith("=?"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("\u202egnp.exe", "gnp.exe"),
        ("Ann\r\nBcc: evil@x.test", "Ann Bcc: evil@x.test"),
        ("nul\0nul", "nulnul"),
        ("\ud800half", "half"),
        ("\u200b", ""),
        ("\u0301", ""),
        ("  a \t b  ", "a b"),
        ("می‌خواهم", "می‌خواهم"),
        ("👨‍👩‍👧", "👨‍👩‍👧"),
        ("\u200fAli", "Ali"),
        ("x" * 10_000, "x" * 64),
        ("{{7*7}}", "{{7*7}}"),
    ],
)
def test_a_name_is_cleaned(name: str, expected: str) -> None:
    assert expected == cleaned_name(name)


def test_a_subject_keeps_the_marks_of_direction_and_loses_the_overrides() -> None:
    assert "سلام\u200f! abc" == cleaned_subject("سلام\u200f! \u202eabc")


@given(anything)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert cleaned_name(text) == cleaned_name(cleaned_name(text))
    assert cleaned_subject(text) == cleaned_subject(cleaned_subject(text))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ann Lee", "Ann Lee"),
        ("Doe, John", '"Doe, John"'),
        ('J. "X" \\', '"J. \\"X\\" \\\\"'),
        ("Zoë", "=?utf-8?q?Zo=C3=AB?="),
        ("مریم", "=?utf-8?b?2YXYsduM2YU=?="),
        ("=?utf-8?q?x?=", "=?utf-8?b?PT91dGYtOD9xP3g/PQ==?="),
    ],
)
def test_a_name_is_written_in_the_plainest_form_that_holds_it(name: str, expected: str) -> None:
    assert expected == phrase(name, 4)


def test_a_joined_emoji_and_an_accented_letter_stay_in_one_encoded_word() -> None:
    subject = "e\u0301" * 60

    words = re.findall(r"=\?utf-8\?.\?.*?\?=", written(subject)["Subject"])

    assert len(words) > 2
    assert all(str(make_header(decode_header(word))).startswith("e") for word in words)


# ---------------------------------------------------------------- addresses and ids


def test_a_local_part_beyond_ascii_stands_as_it_is() -> None:
    assert "To: Ann <jörg@example.test>" == written(to=Mailbox(email="jörg@example.test", name="Ann"))["To"]


@pytest.mark.parametrize(
    "email", ["a@b.test>\r\nBcc: <e@x.test", "a b@c.test", "a@b", "a@é.test", "", "a,b@c.test", "\ud800@c.test"]
)
def test_an_address_that_could_break_out_is_not_written(email: str) -> None:
    if email == "a@b":
        assert "To: a@b" == written(to=Mailbox(email=email))["To"]
        return
    with pytest.raises(RenderFailed, match="address in header To"):
        written(to=Mailbox(email=email))


@pytest.mark.parametrize("delivery_id", ["", "a b", "a@b", "a\r\nb", "ü", "x" * 61])
def test_a_delivery_id_that_could_break_out_is_not_written(delivery_id: str) -> None:
    with pytest.raises(RenderFailed, match="Message-ID"):
        written(delivery_id=delivery_id)


def test_a_feedback_id_that_names_a_recipient_is_not_written() -> None:
    with pytest.raises(RenderFailed, match="names one recipient"):
        written(feedback_id=f"spring:marketing:shop:{HEADERS.delivery_id}")


def test_a_feedback_id_is_made_of_plain_words() -> None:
    assert "Fr-hling-2026:marketing:Corner-Shop:corner" == feedback_id(
        "Frühling 2026", "marketing", "Corner: Shop", "corner"
    )


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("verp", "b+abc234abc234abc234abc234@bounce.shop.test"),
        ("fixed", "bounce@bounce.shop.test"),
        ("from", "news@shop.test"),
    ],
)
def test_bounces_go(mode: Any, expected: str) -> None:
    assert expected == envelope_from(replace(HEADERS, return_path=mode), HEADERS.delivery_id)


def test_bounces_to_a_domain_beyond_ascii_go_to_its_a_labels() -> None:
    found = envelope_from(replace(HEADERS, bounce_domain="bounce.bücher.example"), HEADERS.delivery_id)

    assert "b+abc234abc234abc234abc234@bounce.xn--bcher-kva.example" == found


@pytest.mark.parametrize("domain", ["", "☃‿.test", "a b", "x@y", "a.test>\r\nRCPT TO:<e@x.test"])
def test_a_bounce_domain_that_is_none_is_told(domain: str) -> None:
    with pytest.raises(RenderFailed, match="is no domain; set it in the transport's section"):
        envelope_from(replace(HEADERS, bounce_domain=domain), HEADERS.delivery_id)


def test_a_sender_is_read_from_the_settings() -> None:
    expected = Mailbox(email="news@xn--caf-dma.test", name="Café, Zoë")

    assert expected == mailbox('"Café, Zoë" <news@café.test>', "[sender] from")
    assert "xn--caf-dma.test" == expected.domain


@pytest.mark.parametrize(
    "text",
    [
        "sales@shop.test <news@shop.test>",  # the first of them would be who sends
        "Shop: our@shop.test <news@shop.test>",
        "Shop, Inc. <news@shop.test>",
        "Shop <news@shop.test>, other@shop.test",
        "Shop: News <news@shop.test>",  # a group: what stands before its colon would be dropped without a word
        "Shop [Paris] <news@shop.test>",
    ],
)
def test_a_sender_that_can_be_misread_is_told_with_its_cure(text: str) -> None:
    with pytest.raises(BadConfig, match=r"^\[sender\] from: .* <news@example\.com>"):
        mailbox(text, "[sender] from")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Dr. A.B. Shop e.V. <news@shop.test>", "Dr. A.B. Shop e.V."),
        ("Shop (Berlin) <news@shop.test>", "Shop (Berlin)"),
        ("news@shop.test (Corner Shop)", "Corner Shop"),
        ('"Shop: \\"News\\"" <news@shop.test>', 'Shop: "News"'),
        ("O'Neil & Söhne! <news@shop.test>", "O'Neil & Söhne!"),
    ],
)
def test_a_sender_keeps_his_whole_name(text: str, name: str) -> None:
    assert Mailbox(email="news@shop.test", name=name) == mailbox(text, "[sender] from")


@pytest.mark.parametrize("text", ["", "Shop", "Shop <>", "a@b@c.test", "jörg@shop.test"])
def test_a_sender_that_is_none_is_told_with_its_place(text: str) -> None:
    with pytest.raises(BadConfig, match=r"\[sender\] from: "):
        mailbox(text, "[sender] from")

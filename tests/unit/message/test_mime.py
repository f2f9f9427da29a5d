"""From a rendered text to bytes: what a receiver decodes is what was rendered."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from digests import digest_of
from fused_bench import FOLLOWED, written
from hypothesis import example, given
from hypothesis import strategies as st
from nasty import NAMES

from engine.errors import RenderFailed
from engine.message import render_mail
from engine.message.dkim import Signer
from engine.message.encoding import quoted_printable
from engine.message.framing import mail_frame
from engine.message.headers import Mailbox, MailHeaders
from engine.message.mime import body_of, compose

HEADERS = MailHeaders(
    delivery_id="abc234abc234abc234abc234",
    to=Mailbox(email="ann@example.test", name="Ann"),
    from_=Mailbox(email="news@shop.test", name="Corner Shop"),
    date=datetime(2026, 3, 1, 12, tzinfo=UTC),
    bounce_domain="bounce.shop.test",
    unsubscribe_url="https://t.shop.test/u/" + "A" * 43,
)
SIGNER = Signer(domain="shop.test", selector="s1", key=Ed25519PrivateKey.generate(), algorithm="ed25519-sha256")


@dataclass
class Text:
    subject: str = "Hello"
    html: str = "<p>Grüße</p>"
    text: str = "Grüße"


def parts(data: bytes) -> dict[str, str]:
    mail = message_from_bytes(data, policy=policy.default)
    assert isinstance(mail, policy.default.message_factory)
    found: dict[str, Any] = {part.get_content_type(): part for part in mail.iter_parts()}
    return {kind: part.get_payload(decode=True).decode().replace("\r\n", "\n") for kind, part in found.items()}


def test_a_mail_is_two_alternatives_in_quoted_printable() -> None:
    expected = """\
--=_abc234abc234abc234abc234
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe
--=_abc234abc234abc234abc234
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<p>Gr=C3=BC=C3=9Fe</p>
--=_abc234abc234abc234abc234--
"""

    mail = compose(Text(), HEADERS)

    assert expected.replace("\n", "\r\n").encode() == mail.data.partition(b"\r\n\r\n")[2]
    assert ("b+abc234abc234abc234abc234@bounce.shop.test", "ann@example.test", HEADERS.delivery_id) == (
        mail.envelope_from,
        mail.recipient,
        mail.delivery_id,
    )


@given(st.one_of(st.text(), st.text("=.\r\n \tFrom-_ab", max_size=300), st.sampled_from(NAMES)))
@example("--=_abc234abc234abc234abc234--")
@example(".\n.\r\n..")
@example("a" * 75 + "=" + " \n \t\n")
@example("x" * 2000)
def test_any_body_comes_back_and_its_lines_are_short(body: str) -> None:
    data = compose(Text(text=body, html=f"<p>{body}</p>"), HEADERS).data
    kept = body.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")

    assert {"text/plain": kept, "text/html": f"<p>{kept}</p>"} == parts(data)
    assert max(len(line) for line in data.partition(b"\r\n\r\n")[2].split(b"\r\n")) <= 76
    assert data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r")
    assert data.isascii()


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_of_any_kind_go_out_as_crlf(newline: str) -> None:
    assert b"a\r\n\r\nb\r\n" == quoted_printable(f"a{newline}{newline}b{newline}")


def test_the_same_message_has_the_same_bytes_on_every_attempt() -> None:
    assert compose(Text(), HEADERS) == compose(Text(), HEADERS)


def test_one_frame_writes_every_mail_of_a_plan() -> None:
    frame = mail_frame(HEADERS, (SIGNER,))

    for number in range(3):
        own = replace(HEADERS, delivery_id=f"d{number}", to=Mailbox(email=f"a{number}@x.test", name="Zoë " * number))
        made = frame.mail(
            f"Nr {number}",
            body_of(Text()),
            delivery_id=own.delivery_id,
            to=own.to,
            date=own.date,
            unsubscribe_url=own.unsubscribe_url,
        )
        assert compose(Text(subject=f"Nr {number}"), own, SIGNER) == made


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"delivery_id": "a b"}, "can't stand in a Message-ID"),
        ({"delivery_id": "corner", "feedback_id": "a:b:c:corner"}, "Feedback-ID holds the delivery id"),
        ({"unsubscribe_url": ""}, "no unsubscribe address"),
        ({"to": Mailbox(email="a b@x.test")}, "the address in header To"),
        ({"reply_to": Mailbox(email="a b@x.test")}, "the address in header Reply-To"),
        ({"from_": Mailbox(email="a@" + "x" * 1000)}, "header From|too long"),
    ],
)
def test_a_mail_that_can_not_be_written_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(RenderFailed, match=told):
        compose(Text(), replace(HEADERS, **changes))


def test_a_fused_message_becomes_the_same_mail_but_for_its_soft_breaks() -> None:
    template = written("<p>Grüße {{ city }}</p>", "Grüße {{ city }}", subject="Hello")
    found = render_mail(template, {"city": "Zoë"}, FOLLOWED)
    fused, plain = compose(found, HEADERS), compose(found.plainly(), HEADERS)

    assert parts(plain.data) == parts(fused.data)
    assert plain.data.partition(b"\r\n\r\n")[0] == fused.data.partition(b"\r\n\r\n")[0]
    assert fused.digest == digest_of(fused.data)


def test_the_digest_leaves_out_date_and_signature_and_nothing_else() -> None:
    later = replace(HEADERS, date=HEADERS.date + timedelta(days=1))
    plain, signed = compose(Text(), HEADERS), compose(Text(), later, SIGNER)

    assert plain.data != signed.data
    assert plain.digest == signed.digest == digest_of(plain.data) == digest_of(signed.data)
    assert digest_of(plain.data) != digest_of(plain.data.replace(b"Hello", b"Hullo"))
    assert digest_of(plain.data) != digest_of(plain.data.replace(b"To: Ann", b"To: Bob"))
    assert digest_of(plain.data) != digest_of(plain.data.replace(b"<p>Gr", b"<p>gr"))


def test_a_body_that_looks_like_a_date_header_is_part_of_the_digest() -> None:
    one, other = compose(Text(text="a\n\nDate: 1\n"), HEADERS), compose(Text(text="a\n\nDate: 2\n"), HEADERS)

    assert one.digest != other.digest
    assert digest_of(one.data) == one.digest


def test_everything_that_differs_between_recipients_changes_the_digest() -> None:
    other = replace(HEADERS, to=Mailbox(email="bob@example.test"), delivery_id="bbb")

    assert compose(Text(), HEADERS).digest != compose(Text(), other).digest


def test_a_recipient_beyond_ascii_is_the_only_thing_that_is_not_ascii() -> None:
    data = compose(Text(), replace(HEADERS, to=Mailbox(email="jörg@example.test", name="Jörg"))).data

    assert [b"To: =?utf-8?b?SsO2cmc=?= <j\xc3\xb6rg@example.test>"] == [
        line for line in data.split(b"\r\n") if not line.isascii()
    ]

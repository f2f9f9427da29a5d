"""What our own encoder wrote is sent without a look at its lines: so the look must never find anything there."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fused_bench import ADDRESSES, VALUES, bodies, contexts, fused, written
from hypothesis import given, settings
from hypothesis import strategies as st
from nasty import NAMES

from engine.delivery.envelope import Letter, malformed, sealed, stuffed
from engine.errors import RenderFailed
from engine.message import Encoded, LinkAddresses, Mailbox, MailHeaders, Rendered, body_of, mail_frame
from engine.model import Mail

SHOP = Mailbox(email="hello@shop.test", name="Corner & Co Größe")
FRAME = mail_frame(
    MailHeaders(
        delivery_id="",
        to=SHOP,
        from_=SHOP,
        date=datetime(2026, 11, 21, tzinfo=UTC),
        bounce_domain="bounce.shop.test",
        list_id="news.shop.test",
        campaign="spring",
    )
)
NAMED = st.one_of(st.sampled_from(NAMES), st.text(max_size=300), st.text(".=\r\n \t", max_size=90))


def mail_of(said: Encoded | Rendered, name: str, subject: str) -> Mail | None:
    to = Mailbox(email="ann@people.test", name=name)
    at = datetime(2026, 11, 21, 9, tzinfo=UTC)
    try:
        return FRAME.mail(
            subject, body_of(said), delivery_id="d1", to=to, date=at, unsubscribe_url="https://mail.shop.test/u/1"
        )
    except RenderFailed:
        return None


@settings(max_examples=150)
@given(
    html=bodies(VALUES, "links.unsubscribe", 2),
    text=bodies(VALUES, "links.unsubscribe", 2),
    context=contexts,
    addresses=st.sampled_from(ADDRESSES),
    name=NAMED,
    subject=NAMED,
)
def test_a_mail_that_says_it_is_ready_would_pass_the_look_as_it_is(
    html: str, text: str, context: dict[str, Any], addresses: LinkAddresses, name: str, subject: str
) -> None:
    said = fused(written(html, text), context, addresses)
    if not isinstance(said, Encoded):
        return
    made = mail_of(said, name, subject)

    if made is not None and made.is_wire_ready:
        looked_at = sealed(replace(made, is_wire_ready=False))
        assert isinstance(looked_at, Letter)
        assert "" == malformed(made.data)
        assert made.data == looked_at.data == stuffed(looked_at)


def test_the_usual_mail_is_ready() -> None:
    said = fused(written("<p>Hi {{ city }}</p>", "Hi {{ city }}"), {"city": ".Turku"}, ADDRESSES[0])
    assert isinstance(said, Encoded)
    made = mail_of(said, "Ann", "Hello")

    assert made is not None
    assert made.is_wire_ready


def test_a_mail_encoded_as_a_whole_is_looked_at() -> None:
    said = fused(written("<p>Hi</p>", "Hi"), {}, ADDRESSES[0])
    assert isinstance(said, Encoded)
    made = mail_of(said.plainly(), "Ann", "Hello")

    assert made is not None
    assert not made.is_wire_ready

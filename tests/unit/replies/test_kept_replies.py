"""What of a server's words is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.replies import shortened


def test_a_kept_reply_is_one_short_line_without_an_address() -> None:
    kept = shortened("550 5.1.1 <bob@example.test>:\r\nRecipient address\x00 rejected, ann@example.test " + "x" * 500)

    assert "550 5.1.1 <<address>>: Recipient address rejected, <address> xxx" == kept[:64]
    assert len(kept) == 200


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ("250 2.0.0 Ok: queued as 4F2A", "250 2.0.0 Ok: queued as 4F2A"),
        ("250 Ok", "250 Ok "),
        ("250 a b", "250  a  b"),
        ("250 Größe", " 250 Größe"),
        ("", ""),
    ],
)
def test_a_receipt_is_kept_as_it_is(expected: str, said: str) -> None:
    assert expected == shortened(said)


@given(st.text(max_size=600))
def test_whatever_is_kept_is_printable_short_and_nobodys_address(said: str) -> None:
    kept = shortened(said)

    assert kept.isprintable()
    assert len(kept) <= 200
    assert kept == " ".join(kept.split())

"""What is said about one mail: addresses, size, lines, dots."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.delivery.envelope import Letter, commands, sealed, stuffed
from engine.model import Mail, Outcome

DATA = b"Subject: hi\r\n\r\nhello\r\n"  # 22 bytes


def mail(recipient: str = "ann@a.test", data: bytes = DATA, sender: str = "b@b.test") -> Mail:
    return Mail(delivery_id="d", envelope_from=sender, recipient=recipient, data=data, digest="x")


def letter(recipient: str = "ann@a.test", data: bytes = DATA) -> Letter:
    made = sealed(mail(recipient, data))
    assert isinstance(made, Letter)
    return made


def reason(ended: Letter | bytes | Outcome) -> tuple[str, str, str]:
    assert isinstance(ended, Outcome)
    return ended.state.value, ended.reason, ended.reply


def test_a_domain_beyond_ascii_is_named_in_a_labels() -> None:
    # IDNA 2008 keeps the sharp s; the older standard would write to another domain.
    assert b"MAIL FROM:<b@b.test>\r\nRCPT TO:<ann@xn--strae-oqa.example>\r\n" == commands(
        letter("ann@straße.example"), {}
    )


def test_a_domain_that_has_no_a_labels_is_no_address() -> None:
    assert ("refused", "bad_address", "") == reason(sealed(mail("ann@☃‿.test")))


def test_the_size_is_declared_where_it_is_asked_for() -> None:
    assert b"MAIL FROM:<b@b.test> SIZE=22\r\nRCPT TO:<ann@a.test>\r\n" == commands(letter(), {"SIZE": ""})


@pytest.mark.parametrize("limit", ["22", "0", "", "no number", "9" * 20, "9" * 5000])
def test_a_mail_within_the_servers_limit_goes(limit: str) -> None:
    assert isinstance(commands(letter(), {"SIZE": limit}), bytes)


def test_a_mail_beyond_the_servers_limit_is_content_that_it_will_not_take() -> None:
    said = "the mail has 22 bytes, the server takes 21 at most (SIZE)"

    assert ("refused", "content", said) == reason(commands(letter(), {"SIZE": "21"}))


def test_a_line_as_long_as_the_standard_allows_goes() -> None:
    assert isinstance(sealed(mail(data=DATA + b"x" * 998 + b"\r\n" + b"y" * 998)), Letter)


@pytest.mark.parametrize("data", [b"x" * 999, DATA + b"x" * 999 + b"\r\n", b"x" * 3000 + b"\r\n" + DATA])
def test_a_longer_line_never_goes(data: bytes) -> None:
    assert ("refused", "malformed", "a line of more than 998 characters") == reason(sealed(mail(data=data)))


@given(data=st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b".", b"a" * 997, b"a" * 998]), max_size=8))
def test_what_passes_has_only_whole_line_ends_and_no_long_lines(data: list[bytes]) -> None:
    whole = b"".join(data)
    ended = whole if whole.endswith(b"\r\n") else whole + b"\r\n"
    lines = ended.split(b"\r\n")
    right = all(b"\r" not in line and b"\n" not in line and len(line) <= 998 for line in lines)

    assert right == isinstance(sealed(mail(data=whole)), Letter)


@given(lines=st.lists(st.sampled_from([b"", b".", b"..", b".a", b"a.", b"a"]), min_size=1, max_size=6))
def test_every_line_that_begins_with_a_dot_gets_a_second_one(lines: list[bytes]) -> None:
    expected = b"".join(b"." * line.startswith(b".") + line + b"\r\n" for line in lines)

    assert expected == stuffed(letter(data=b"\r\n".join(lines) + b"\r\n"))


def test_a_mail_that_is_ready_for_the_wire_goes_as_it_is() -> None:
    ready = replace(mail(), is_wire_ready=True)

    made = sealed(ready)

    assert isinstance(made, Letter)
    assert made.data is ready.data
    assert stuffed(made) is ready.data

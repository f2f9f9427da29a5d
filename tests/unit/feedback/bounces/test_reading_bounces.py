"""What mails in the bounce mailbox say: samples of our own, after the public descriptions of how systems bounce.

expected.csv holds what is to be read, a line for each recipient that a sample speaks of.
"""

import csv
import time
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.feedback import read_notice
from engine.feedback.bounces.letters import LARGEST
from engine.model import Notice, NoticeKind
from engine.replies import ACTIONS, word_of

HERE = Path(__file__).parent
ID = "k4qzr7m2xw5tn3vbcyhd6jpa"
with (HERE / "expected.csv").open(encoding="utf-8", newline="") as table:
    EXPECTED = {
        file: [tuple(row.values())[1:] for row in rows]
        for file, rows in groupby(csv.DictReader(table), key=lambda row: row["file"])
    }


def _sample(name: str) -> bytes:
    return (HERE / f"{name}.eml").read_bytes()


def _as_told(notice: Notice) -> tuple[str, ...]:
    word = word_of(notice.kind, notice.reason)
    return (notice.kind.value, notice.reason, word, notice.recipient, notice.status, notice.delivery_id)


def test_every_sample_is_in_the_table() -> None:
    assert sorted(path.stem for path in HERE.glob("*.eml")) == sorted(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_says(name: str) -> None:
    assert sorted(EXPECTED[name]) == sorted(_as_told(one) for one in read_notice(_sample(name)))


@pytest.mark.parametrize("name", EXPECTED)
def test_line_ends_change_nothing(name: str) -> None:
    plain = _sample(name).replace(b"\r\n", b"\n")

    assert [_as_told(one) for one in read_notice(plain)] == [
        _as_told(one) for one in read_notice(plain.replace(b"\n", b"\r\n"))
    ]


@pytest.mark.parametrize("name", EXPECTED)
def test_no_address_is_kept_in_the_words(name: str) -> None:
    assert [] == [one for one in read_notice(_sample(name)) if "@" in one.diagnostic]


def test_the_moment_is_the_date_of_the_bounce() -> None:
    (notice,) = read_notice(_sample("postfix_user_unknown"))

    assert datetime(2026, 11, 2, 9, 5, tzinfo=UTC) == notice.at


def test_the_same_mail_read_twice_is_the_same_notice() -> None:
    raw = _sample("several_recipients")

    ids = [one.notice_id for one in read_notice(raw)]

    assert ids == [one.notice_id for one in read_notice(raw)]
    assert 3 == len(set(ids))


def test_a_mail_without_message_id_is_known_by_its_bytes() -> None:
    (first,) = read_notice(b"Subject: x\n\none")
    (second,) = read_notice(b"Subject: x\n\ntwo")

    assert first.notice_id != second.notice_id


@pytest.mark.parametrize(
    "date", ["", "yesterday", "Mon, 99 Nov 2026 09:05:00 +0000", "Mon, 2 Nov 99999 09:05:00 +9999"]
)
def test_a_date_that_is_none_leaves_the_moment_open(date: str) -> None:
    (notice,) = read_notice(f"Date: {date}\nSubject: x\n\nhello".encode())

    assert notice.at is None


def test_a_longer_local_part_is_no_address_of_ours() -> None:
    raw = f"From: mailer-daemon@mx.example\nTo: ab+{ID}@bounce.shop.example\nSubject: failure notice\n\nfailed".encode()

    assert {""} == {one.delivery_id for one in read_notice(raw)}


def test_the_return_path_counts_before_a_message_id_that_anybody_can_write() -> None:
    other = "a" * 24
    raw = _sample("postfix_user_unknown").replace(f"Message-ID: <{ID}@".encode(), f"Message-ID: <{other}@".encode())

    assert {ID} == {one.delivery_id for one in read_notice(raw)}


def test_a_failure_outweighs_what_else_is_said_of_an_address() -> None:
    raw = _sample("postfix_user_unknown").replace(
        b"Final-Recipient: rfc822; bob@mail.example\n",
        b"Final-Recipient: rfc822; Bob@mail.example\nAction: expanded\nStatus: 2.0.0\n\n"
        b"Final-Recipient: rfc822; bob@mail.example\n",
    )

    assert [NoticeKind.BOUNCED] == [one.kind for one in read_notice(raw)]


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ("jörg.müller@bücher.example", "<jörg.müller@bücher.example>: user unknown"),
        ("bob@mail.example", "收件人bob@mail.example不存在"),
        ("bob@mail.example", "Unknown user: 'bob@mail.example'."),
        ("Bob.Miller@Mail.example", "Bob.Miller@Mail.example... User unknown"),
        ("bob@corp.example", "c=US;a= ;p=corp;dda:smtp=bob@corp.example; The recipient name is not recognized"),
    ],
)
def test_the_recipient_is_read_as_it_is_meant(expected: str, said: str) -> None:
    raw = (
        f"From: mailer-daemon@mx.example\nSubject: failure notice\nContent-Type: text/plain; charset=utf-8\n\n{said}\n"
    )

    assert [expected] == [one.recipient for one in read_notice(raw.encode())]


# ---------------------------------------------------------------- rubbish


def _is_sound(notices: list[Notice]) -> bool:
    return bool(notices) and all(
        isinstance(one.kind, NoticeKind)
        and (not one.reason or one.reason in ACTIONS)
        and len(one.diagnostic) <= 200
        and one.notice_id
        and not one.source
        for one in notices
    )


@given(st.binary(max_size=3000))
def test_any_bytes_are_read(raw: bytes) -> None:
    assert _is_sound(read_notice(raw))


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_bounce_is_read(data: st.DataObject) -> None:
    raw = bytearray(_sample(data.draw(st.sampled_from(sorted(EXPECTED)))))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=12))
        raw = raw or bytearray(b"x")

    assert _is_sound(read_notice(bytes(raw)))


_HEAD = b"From: mailer-daemon@mx.example\nTo: b@bounce.shop.example\nSubject: failure notice\nMIME-Version: 1.0\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"\x00" * 5000,
        _HEAD + b"Content-Type: text/plain; charset=nonsense\n\n<bob@mail.example>: user unknown",
        _HEAD + b"Content-Type: text/plain; charset=unicode_escape\n\n\\x <bob@mail.example>: user unknown",
        _HEAD + b'Content-Type: text/plain; charset="\n\n<bob@mail.example>: user unknown',
        _HEAD + b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n!!!! not base64",
        _HEAD + b"Content-Type: multipart/report\n\nno boundary",
        _HEAD + b'Content-Type: multipart/mixed; boundary=""\n\n--\n\n--',
        _HEAD + b"Subject: =?utf-8?B?%%%?= =?x?Q?=FF?=\n\nhello",
        _HEAD + b"X-Failed-Recipients: " + b"a@b.test, " * 50_000 + b"\n\nhello",
        _HEAD + b"\n" + b"bob@mail.example user unknown " * 200_000,
        _HEAD + b"\n" + b"a" * 2_000_000,
        _HEAD + b"\n" + b"<" * 500_000,
        _HEAD + b"Content-Type: text/html\n\n" + b"<style" * 100_000,
        _HEAD + b"Content-Type: text/html\n\n" + b"&" * 500_000,
        _HEAD + b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(3000)),
        _HEAD + b"Content-Type: message/rfc822\n\n" * 5000,
        _HEAD + b"Content-Type: message/delivery-status\n\n" + b"Final-Recipient: rfc822; a@b.test\n\n" * 20_000,
        _HEAD + b"Content-Type: message/delivery-status\n\nStatus: " + b"5.1.1 (" * 50_000,
        b"X: y\n" * 100_000,
    ],
    ids=lambda raw: f"{len(raw)}-{raw[105:150]!r}",
)
def test_rubbish_costs_little_and_says_something(raw: bytes) -> None:
    started = time.process_time()

    assert _is_sound(read_notice(raw))
    assert time.process_time() - started < 4.0


def test_only_the_beginning_of_a_huge_mail_is_read() -> None:
    raw = _HEAD + b"\n" + b" " * LARGEST + b"<bob@mail.example>: user unknown"

    assert "bob@mail.example" not in {one.recipient for one in read_notice(raw)}


def test_what_many_recipients_a_mail_may_speak_of_is_bounded() -> None:
    blocks = b"".join(b"Final-Recipient: rfc822; a%d@b.test\nAction: failed\n\n" % n for n in range(500))

    assert 50 == len(read_notice(_HEAD + b"Content-Type: message/delivery-status\n\n" + blocks))

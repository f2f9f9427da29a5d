"""The bounce mailbox over IMAP: each mail once, marked only when we say so, and nothing deleted."""

import socket
from pathlib import Path
from typing import Any

import pytest
from imap_server import ImapServer, Post, serving_imap
from mail_servers import certificate
from pydantic import SecretStr

from engine import feedback
from engine.config import Bounces
from engine.errors import BadConfig, MailboxUnavailable
from engine.feedback import Mailbox

MARK = "$MailerDone"


def opened(server: ImapServer, password: str = "open sesame", **other: Any) -> Mailbox:
    wanted = {"kind": "imap", "host": "127.0.0.1", "port": server.port, "tls": "off", "username": "bounces"}
    settings = Bounces(**{**wanted, **other}).model_copy(update={"password": SecretStr(password)})
    return feedback.open_mailbox(settings, Path())


def read_all(box: Mailbox) -> list[bytes | None]:
    return [box.read(one) for one in box.waiting()]


def test_mails_are_read_oldest_first_and_reading_marks_nothing() -> None:
    with serving_imap(ImapServer()) as server:
        server.put(b"one\r\n", b"two\r\n")
        box = opened(server)

        assert [b"one\r\n", b"two\r\n"] == read_all(box)
        assert [set(), set()] == server.flags()
        box.close()


def test_a_mail_that_is_done_waits_no_more_in_this_connection_or_the_next() -> None:
    with serving_imap(ImapServer()) as server:
        server.put(b"one\r\n", b"two\r\n")
        box = opened(server)
        box.done(box.waiting()[0])

        assert [b"two\r\n"] == read_all(box)
        box.close()
        again = opened(server)
        assert [b"two\r\n"] == read_all(again)
        again.close()
        assert [{MARK, r"\Seen"}, set()] == server.flags()


def test_a_mail_that_a_person_has_looked_at_still_waits() -> None:
    with serving_imap(ImapServer()) as server:
        server.put(b"one\r\n")
        server.posts[1].flags.add(r"\Seen")
        box = opened(server)

        assert [b"one\r\n"] == read_all(box)
        box.close()


def test_where_no_keyword_is_kept_seen_is_the_mark() -> None:
    with serving_imap(ImapServer(keeps_keywords=False)) as server:
        server.put(b"one\r\n", b"two\r\n")
        box = opened(server)
        box.done(box.waiting()[0])

        assert [b"two\r\n"] == read_all(box)
        assert [{r"\Seen"}, set()] == server.flags()
        box.close()


def test_nothing_is_ever_deleted_or_expunged() -> None:
    with serving_imap(ImapServer()) as server:
        server.put(b"one\r\n")
        box = opened(server)
        box.done(box.waiting()[0])
        box.close()

        assert not [line for line in server.heard if "Deleted" in line or line.upper().startswith(("EXPUNGE", "CLOSE"))]


def test_thousands_of_mails_are_asked_for_in_parts() -> None:
    with serving_imap(ImapServer()) as server:
        server.posts = {n: Post(b"one\r\n", {MARK}) for n in range(1, 45_001)}
        for n in (1, 20_000, 20_001, 45_000):
            server.posts[n].flags.clear()
        box = opened(server)

        assert ["7:1", "7:20000", "7:20001", "7:45000"] == box.waiting()
        assert 3 == sum("UNKEYWORD" in line for line in server.heard)
        box.close()


def test_a_few_mails_with_high_numbers_are_asked_for_at_once() -> None:
    with serving_imap(ImapServer()) as server:
        server.posts = {7: Post(b"one\r\n"), 4_294_967_295: Post(b"two\r\n")}
        box = opened(server)

        assert ["7:7", "7:4294967295"] == box.waiting()
        assert 1 == sum("UNKEYWORD" in line for line in server.heard)
        box.close()


def test_a_mail_that_comes_after_the_folder_was_opened_waits_too() -> None:
    with serving_imap(ImapServer()) as server:
        server.put(b"one\r\n")
        box = opened(server)
        server.put(b"two\r\n")

        assert ["7:1", "7:2"] == box.waiting()
        box.close()


def test_an_empty_folder_is_no_fault() -> None:
    with serving_imap(ImapServer()) as server:
        box = opened(server)
        assert [] == box.waiting()
        box.close()


def test_a_mail_that_went_away_meanwhile_reads_as_none() -> None:
    with serving_imap(ImapServer()) as server:
        server.put(b"one\r\n")
        box = opened(server)
        (waiting,) = box.waiting()
        server.posts.clear()

        assert box.read(waiting) is None
        box.close()


def test_only_the_first_megabyte_of_a_mail_is_read() -> None:
    with serving_imap(ImapServer()) as server:
        server.put(b"x" * (1024 * 1024 + 1))
        box = opened(server)

        (raw,) = read_all(box)
        assert raw is not None
        assert 1024 * 1024 == len(raw)
        box.close()


def test_a_number_of_another_validity_is_refused() -> None:
    with serving_imap(ImapServer()) as server:
        server.put(b"one\r\n")
        box = opened(server)

        with pytest.raises(MailboxUnavailable, match="numbered INBOX anew"):
            box.done("6:1")
        assert [set()] == server.flags()
        box.close()


def test_a_folder_may_have_any_name() -> None:
    with serving_imap(ImapServer(folder='"INBOX.Zur&APw-ck &- \\"so\\""')) as server:
        server.put(b"one\r\n")
        box = opened(server, folder='INBOX.Zurück & "so"')
        assert [b"one\r\n"] == read_all(box)
        box.close()


@pytest.mark.parametrize("offers_plain", [True, False])
def test_a_wrong_password_is_told_and_not_repeated(offers_plain: bool) -> None:
    with (
        serving_imap(ImapServer(offers_plain=offers_plain)) as server,
        pytest.raises(MailboxUnavailable, match=r"refuses the login; check \[bounces\] username") as fault,
    ):
        opened(server, password="wrong password")
    assert "wrong password" not in str(fault.value)


def test_a_password_outside_ascii_is_fine() -> None:
    with serving_imap(ImapServer(password="sésame")) as server:
        opened(server, password="sésame").close()


def test_a_password_that_the_server_cannot_take_is_not_quoted() -> None:
    with (
        serving_imap(ImapServer(offers_plain=False)) as server,
        pytest.raises(MailboxUnavailable, match="letters outside ASCII") as fault,
    ):
        opened(server, password="sésame")
    assert "xe9" not in str(fault.value)


def test_the_right_name_logs_in_without_plain() -> None:
    with serving_imap(ImapServer(offers_plain=False)) as server:
        opened(server).close()
        assert "LOGIN" in server.heard


def test_a_folder_that_is_not_there_is_told() -> None:
    with (
        serving_imap(ImapServer()) as server,
        pytest.raises(MailboxUnavailable, match=r"no folder 'Bounces' .*check \[bounces\] folder"),
    ):
        opened(server, folder="Bounces")


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(MailboxUnavailable, match=rf"127.0.0.1:{port} can't be reached; check \[bounces\] host"):
        opened(ImapServer(port=port))


def test_a_connection_that_is_lost_is_told() -> None:
    with serving_imap(ImapServer(hang_up_after=1)) as server:
        server.put(b"one\r\n", b"two\r\n")
        box = opened(server)
        with pytest.raises(MailboxUnavailable, match="can't be read; the next fetch goes on"):
            read_all(box)
        box.close()


@pytest.mark.parametrize("tls", ["implicit", "required"])
def test_the_login_goes_over_tls(tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, context = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with serving_imap(ImapServer(tls=context, implicit=tls == "implicit")) as server:
        server.put(b"one\r\n")
        box = opened(server, tls=tls)
        assert [b"one\r\n"] == read_all(box)
        box.close()


@pytest.mark.parametrize("tls", ["implicit", "required"])
def test_a_certificate_of_nobody_known_gets_no_password(tls: str, tmp_path: Path) -> None:
    _, context = certificate(tmp_path)
    with serving_imap(ImapServer(tls=context, implicit=tls == "implicit")) as server:
        with pytest.raises(MailboxUnavailable, match="can't be reached"):
            opened(server, tls=tls)
        assert not {"LOGIN", "AUTHENTICATE"} & set(server.heard)


def test_a_server_without_starttls_gets_no_password() -> None:
    with serving_imap(ImapServer()) as server:
        with pytest.raises(MailboxUnavailable, match="can't be reached"):
            opened(server, tls="required")
        assert not {"LOGIN", "AUTHENTICATE"} & set(server.heard)


def test_without_a_mailbox_the_cure_is_told() -> None:
    with pytest.raises(BadConfig, match=r"write \[bounces\] kind"):
        feedback.open_mailbox(Bounces(), Path())

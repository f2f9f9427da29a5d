"""`mailer bounce`: what returned mails mean, told of files, and done about those in the mailbox."""

import shutil
import tracemalloc
from pathlib import Path

import pytest
from desk import PEOPLE, Desk
from imap_server import ImapServer, serving_imap
from returned_mail import Returned, arf, dsn, holiday

from engine import pipeline

HARD = {"kind": "bounced", "recipient": "p3@people.test", "status": "5.1.1", "action": "suppress"}
ID = "a" * 24


def told(row: dict[str, str]) -> dict[str, str]:
    return {name: row[name] for name in HARD}


def test_files_are_classified_without_a_workspace(bare_desk: Desk) -> None:
    mails = {
        "hard.eml": (dsn("p3@people.test"), HARD),
        "full.eml": (
            dsn("p3@people.test", status="5.2.2", diagnostic="smtp; 552 5.2.2 mailbox full"),
            HARD | {"status": "5.2.2", "action": "count"},
        ),
        "blocked.eml": (
            dsn("p3@people.test", status="5.7.1", diagnostic="smtp; 550 5.7.1 blocked for its bad reputation"),
            HARD | {"status": "5.7.1", "action": "block"},
        ),
        "delayed.eml": (
            dsn("p3@people.test", status="4.4.1", action="delayed"),
            HARD | {"kind": "delayed", "status": "4.4.1", "action": "ignore"},
        ),
        "abuse.eml": (arf("p3@people.test"), HARD | {"kind": "complained", "status": "", "action": "complaint"}),
        "away.eml": (holiday(""), {"kind": "auto_reply", "recipient": "", "status": "", "action": "ignore"}),
    }
    for name, (raw, _) in mails.items():
        (bare_desk.folder / name).write_bytes(raw)

    typed = bare_desk.type(f"bounce classify {' '.join(mails)} --format jsonl")

    assert 0 == typed.code
    assert {name: expected for name, (_, expected) in mails.items()} == {row["file"]: told(row) for row in typed.jsonl}


def test_the_id_of_the_message_is_told(bare_desk: Desk) -> None:
    (bare_desk.folder / "hard.eml").write_bytes(dsn("p3@people.test", ID))

    (row,) = bare_desk.type("bounce classify hard.eml --format jsonl").jsonl

    assert (ID, "unknown_address") == (row["delivery_id"], row["reason"])


def test_a_huge_file_is_read_no_further_than_a_mail_can_tell(tmp_path: Path) -> None:
    file = tmp_path / "huge.eml"
    file.write_bytes(dsn("p3@people.test"))
    with file.open("r+b") as opened:
        opened.truncate(256 * 1024 * 1024)
    tracemalloc.start()

    rows = pipeline.classify_files([file], lambda _done, _total: None)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (["suppress"], True) == ([row["action"] for row in rows], peak < 32 * 1024 * 1024)


def test_mailboxes_and_folders_are_read_too(bare_desk: Desk) -> None:
    two = b"".join(b"From MAILER-DAEMON Sun Mar  1 12:00:00 2026\n" + dsn(f"p{n}@people.test") + b"\n" for n in (1, 2))
    (bare_desk.folder / "box").mkdir()
    (bare_desk.folder / "box" / "all.mbox").write_bytes(two)
    (bare_desk.folder / "box" / "saved.eml").write_bytes(b"From somebody\n" + dsn("p3@people.test"))
    (bare_desk.folder / "box" / ".hidden").write_bytes(b"no mail")

    rows = bare_desk.type("bounce classify box --format jsonl").jsonl

    files = ["box/all.mbox#1", "box/all.mbox#2", "box/saved.eml"]
    assert files == [row["file"] for row in rows]
    assert [f"p{n}@people.test" for n in (1, 2, 3)] == [row["recipient"] for row in rows]


def test_what_is_no_mail_at_all_is_ignored(bare_desk: Desk) -> None:
    (bare_desk.folder / "noise").write_bytes(bytes(range(256)))
    (bare_desk.folder / "empty.eml").write_bytes(b"")

    rows = bare_desk.type("bounce classify noise empty.eml --format jsonl").jsonl

    assert [("noise", "unknown", "ignore"), ("empty.eml", "unknown", "ignore")] == [
        (row["file"], row["kind"], row["action"]) for row in rows
    ]


def test_a_file_that_is_not_there_is_told(bare_desk: Desk) -> None:
    assert (1, "gone.eml does not exist; name mails (.eml), an mbox file, or a folder of them") == bare_desk.wrong(
        "bounce classify gone.eml"
    )


def test_without_a_mailbox_the_cure_is_told(desk: Desk) -> None:
    code, said = desk.wrong("bounce fetch")

    assert 1 == code
    assert said.startswith('no bounce mailbox is set: write [bounces] kind = "imap" or "maildir"')


def test_fetching_tells_what_was_done(desk: Desk) -> None:
    box = Returned(desk.folder)
    box.put(dsn(PEOPLE[3]), holiday(""))

    found = desk.type("bounce fetch --format json").json

    assert {"mails": 2, "ignored": 1, "unmatched": 1} == {name: number for name, number in found.items() if number}
    assert (2, 0) == (box.done(), box.waiting())
    typed = desk.type("bounce fetch --format table")
    assert "0 mails" in typed.out


def test_a_maildir_lies_where_the_owner_says(desk: Desk) -> None:
    Returned(desk.folder).put(holiday(""))
    shutil.move(desk.folder / "returned", desk.folder / "elsewhere")
    config = desk.folder / "config.toml"

    assert "returned is no Maildir" in desk.wrong("bounce fetch")[1]
    config.write_text(config.read_text().replace('path = "returned"', 'path = "elsewhere"'))
    assert 1 == desk.type("bounce fetch --format json").json["mails"]


IMAP = """
[bounces]
kind = "imap"
host = "127.0.0.1"
port = {port}
tls = "off"
username = "post"
folder = "Returned"
{secret}
"""


def test_every_key_of_an_imap_mailbox_is_obeyed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server knows no other name, password or folder."""
    config = desk.folder / "config.toml"
    before = config.read_text()
    (desk.folder / "post.secret").write_text("open sesame\n")
    monkeypatch.setenv("POST_PASSWORD", "open sesame")
    with serving_imap(ImapServer(username="post", folder='"Returned"')) as server:
        for secret in ('password_env = "POST_PASSWORD"', 'password_file = "post.secret"'):
            server.put(holiday(""))
            config.write_text(before + IMAP.format(port=server.port, secret=secret))
            assert 1 == desk.type("bounce fetch --format json").json["mails"]
        for wrong in ('username = "post"', 'folder = "Returned"', secret):
            config.write_text((before + IMAP.format(port=server.port, secret=secret)).replace(wrong, ""))
            assert 1 == desk.wrong("bounce fetch")[0]
        config.write_text((before + IMAP.format(port=server.port, secret=secret)).replace('tls = "off"', ""))
        assert "can't be reached" in desk.wrong("bounce fetch")[1]


def test_a_password_in_the_file_is_refused(desk: Desk) -> None:
    config = desk.folder / "config.toml"
    config.write_text(config.read_text() + IMAP.format(port=143, secret='password = "open sesame"'))

    code, said = desk.wrong("bounce fetch")

    assert 1 == code
    assert "a password never stands here" in said
    assert "sesame" not in said


def test_plain_text_goes_to_this_machine_only(desk: Desk) -> None:
    config = desk.folder / "config.toml"
    config.write_text(config.read_text() + IMAP.format(port=143, secret="").replace("127.0.0.1", "mail.shop.example"))

    assert 'tls = "off" is allowed only to this machine' in desk.wrong("bounce fetch")[1]

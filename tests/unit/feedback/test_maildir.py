"""The bounce mailbox as a Maildir: what lies in new/ or unseen in cur/ waits, and nothing is ever deleted."""

from pathlib import Path

import pytest

from engine import feedback
from engine.config import Bounces
from engine.errors import MailboxUnavailable
from engine.feedback import Mailbox


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (tmp_path / "box" / name).mkdir(parents=True)
    return tmp_path / "box"


def opened(folder: Path) -> Mailbox:
    return feedback.open_mailbox(Bounces(kind="maildir", path=folder.name), folder.parent)


def test_mails_wait_by_age_wherever_another_program_has_moved_them(folder: Path) -> None:
    (folder / "new" / "2.b.host").write_bytes(b"second")
    (folder / "cur" / "1.a.host:2,").write_bytes(b"first")
    (folder / "cur" / "3.c.host:2,FR").write_bytes(b"third")
    (folder / "cur" / "0.d.host:2,S").write_bytes(b"dealt with")
    (folder / "new" / ".hidden").write_bytes(b"no mail")

    box = opened(folder)

    assert [b"first", b"second", b"third"] == [box.read(one) for one in box.waiting()]


def test_a_mail_that_is_done_lies_in_cur_seen_with_its_other_flags(folder: Path) -> None:
    (folder / "new" / "1.a.host").write_bytes(b"one")
    (folder / "cur" / "2.b.host:2,FR").write_bytes(b"two")
    box = opened(folder)
    for one in box.waiting():
        box.done(one)

    assert [] == opened(folder).waiting()
    assert ["1.a.host:2,S", "2.b.host:2,FRS"] == sorted(path.name for path in (folder / "cur").iterdir())
    assert [] == list((folder / "new").iterdir())


def test_reading_marks_nothing(folder: Path) -> None:
    (folder / "new" / "1.a.host").write_bytes(b"one")
    box = opened(folder)
    box.read(box.waiting()[0])

    assert ["1.a.host"] == [path.name for path in (folder / "new").iterdir()]


def test_a_mail_that_another_program_moves_meanwhile_is_found(folder: Path) -> None:
    (folder / "new" / "1.a.host").write_bytes(b"one")
    box = opened(folder)
    (waiting,) = box.waiting()
    (folder / "new" / "1.a.host").rename(folder / "cur" / "1.a.host:2,R")

    assert b"one" == box.read(waiting)
    box.done(waiting)
    assert ["1.a.host:2,RS"] == [path.name for path in (folder / "cur").iterdir()]


def test_a_mail_that_another_program_takes_away_is_no_fault(folder: Path) -> None:
    (folder / "new" / "1.a.host").write_bytes(b"one")
    box = opened(folder)
    (waiting,) = box.waiting()
    (folder / "new" / "1.a.host").unlink()

    assert box.read(waiting) is None
    box.done(waiting)


def test_only_the_first_megabyte_is_read(folder: Path) -> None:
    (folder / "new" / "1.a.host").write_bytes(b"x" * (1024 * 1024 + 1))
    box = opened(folder)

    raw = box.read(box.waiting()[0])
    assert raw is not None
    assert 1024 * 1024 == len(raw)


def test_a_folder_that_is_no_maildir_is_told(tmp_path: Path) -> None:
    (tmp_path / "box" / "cur").mkdir(parents=True)

    with pytest.raises(MailboxUnavailable, match=r"box is no Maildir: it has no folder new; name .* \[bounces\] path"):
        opened(tmp_path / "box")

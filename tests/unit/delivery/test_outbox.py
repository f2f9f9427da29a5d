"""The outbox folder: numbered files, whole or not at all, each delivery once."""

from pathlib import Path

import pytest

from engine.delivery import hand_over
from engine.delivery.outbox import OutboxTransport
from engine.errors import TransportUnavailable
from engine.model import Mail, MessageState, Outcome


def mail(delivery_id: str) -> Mail:
    data = b"Subject: hi\r\n\r\nhello\r\n"
    return Mail(delivery_id=delivery_id, envelope_from="b@b.test", recipient="r@b.test", data=data, digest="x")


def go_ahead() -> Outcome | None:
    return None


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_files_are_numbered_in_the_order_of_sending_and_no_draft_stays(tmp_path: Path) -> None:
    outbox = OutboxTransport("out", tmp_path / "made" / "here")

    for one in ("xx", "aa", "mm"):
        hand_over(outbox, mail(one))

    assert ["001-xx.eml", "002-aa.eml", "003-mm.eml"] == names(tmp_path / "made" / "here")


def test_another_sender_goes_on_with_the_numbers(tmp_path: Path) -> None:
    first, second = OutboxTransport("out", tmp_path), OutboxTransport("out", tmp_path)
    hand_over(first, mail("a"))
    hand_over(second, mail("b"))
    hand_over(first, mail("c"))

    assert ["001-a.eml", "002-b.eml", "003-c.eml"] == names(tmp_path)


@pytest.mark.parametrize("again", ["same sender", "new sender"])
def test_a_delivery_is_written_once(tmp_path: Path, again: str) -> None:
    outbox = OutboxTransport("out", tmp_path)
    hand_over(outbox, mail("a"))
    outbox = outbox if again == "same sender" else OutboxTransport("out", tmp_path)

    outcome = hand_over(outbox, mail("a"))

    assert MessageState.SENT == outcome.state
    assert ["001-a.eml"] == names(tmp_path)


def test_a_skipped_mail_leaves_no_file(tmp_path: Path) -> None:
    skip = Outcome(state=MessageState.SKIPPED, reason="opted_out")

    hand_over(OutboxTransport("out", tmp_path), mail("a"), lambda: skip)

    assert [] == names(tmp_path)


def test_a_file_that_cannot_be_put_in_place_is_told_with_its_cure(tmp_path: Path) -> None:
    def in_the_way() -> Outcome | None:
        (tmp_path / "001-a.eml").mkdir()
        return None

    with pytest.raises(TransportUnavailable, match=r"transport 'out': the outbox .* can't be written: .*; make the"):
        hand_over(OutboxTransport("out", tmp_path), mail("a"), in_the_way)


@pytest.mark.parametrize("delivery_id", ["../a", "a/b", "", ".a", "a\0", "a\n"])
def test_a_delivery_id_never_leads_out_of_the_folder(tmp_path: Path, delivery_id: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        hand_over(OutboxTransport("out", tmp_path / "x"), mail(delivery_id))
    assert [] == names(tmp_path)

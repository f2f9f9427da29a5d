"""The journal: what it proves after a kill, and that a damaged one proves nothing."""

import os
from pathlib import Path

import pytest

from engine.delivery import Journal, forget_older, owner_name, read_journal, trusted_journal
from engine.errors import StoreUnavailable
from engine.model import JournalProof, MessageState, Outcome

SENT = Outcome(state=MessageState.SENT, reply="250 2.0.0 ok", stage=".")
REFUSED = Outcome(state=MessageState.REFUSED, reason="unknown_address", reply="550 no", stage="RCPT")


def journal_file(folder: Path) -> Path:
    return folder / "7.2.journal"


def test_a_journal_tells_what_was_handed_over_and_what_was_answered(tmp_path: Path) -> None:
    with Journal(tmp_path / "new", 7, 2) as journal:
        journal.handing_over(0)
        journal.answered(0, SENT)
        journal.answered(1, REFUSED)  # refused before the dot
        journal.handing_over(2)

    proof = read_journal(tmp_path / "new", 7, 2)

    assert JournalProof(handed=frozenset({0, 2}), answered={0: SENT, 1: REFUSED}) == proof


def test_a_journal_tells_under_which_key_a_request_went(tmp_path: Path) -> None:
    with Journal(tmp_path, 7, 2) as journal:
        journal.handing_over(0, "batch-abc")
        journal.handing_over(1, "batch-abc")
        journal.answered(1, SENT)
        journal.handing_over(2)
        journal.handing_over(3, "d3")
        journal.handing_over(3, "batch-def")  # handed over anew, in another company
        journal.handing_over(4, "d4")
        journal.handing_over(4)

    proof = read_journal(tmp_path, 7, 2)

    keys = {0: "batch-abc", 1: "batch-abc", 3: "batch-def"}
    assert JournalProof(handed=frozenset({0, 1, 2, 3, 4}), answered={1: SENT}, keys=keys) == proof


def test_a_second_dot_for_the_same_message_voids_the_answer_to_the_first(tmp_path: Path) -> None:
    with Journal(tmp_path, 7, 2) as journal:
        journal.handing_over(0)
        journal.answered(0, Outcome(state=MessageState.DEFERRED, reason="temporary", reply="451 later", stage="."))
        journal.handing_over(0)

    assert JournalProof(handed=frozenset({0}), answered={}) == read_journal(tmp_path, 7, 2)


def test_each_line_is_on_its_way_to_the_disk_before_the_call_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 7, 2)
    journal.handing_over(3)

    assert JournalProof(handed=frozenset({3}), answered={}) == read_journal(tmp_path, 7, 2)
    journal.close()


def test_an_opened_journal_proves_that_nothing_was_handed_over(tmp_path: Path) -> None:
    Journal(tmp_path, 7, 2).close()

    assert JournalProof(handed=frozenset(), answered={}) == read_journal(tmp_path, 7, 2)


def test_a_missing_journal_proves_nothing(tmp_path: Path) -> None:
    assert read_journal(tmp_path, 7, 2) is None


def test_a_finished_journal_is_gone(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 7, 2)

    journal.finish()
    journal.finish()

    assert [] == list(tmp_path.iterdir())


def test_a_new_claim_of_the_same_name_starts_empty(tmp_path: Path) -> None:
    with Journal(tmp_path, 7, 2) as before:
        before.handing_over(5)

    with Journal(tmp_path, 7, 2) as after:
        after.handing_over(6)

    assert JournalProof(handed=frozenset({6}), answered={}) == read_journal(tmp_path, 7, 2)


def test_every_cut_within_the_last_line_leaves_the_lines_before_it(tmp_path: Path) -> None:
    with Journal(tmp_path, 7, 2) as journal:
        journal.handing_over(1)
        whole = journal_file(tmp_path).read_bytes()
        journal.answered(1, Outcome(state=MessageState.SENT, reply="250 gespeichert für später", stage="."))
    data = journal_file(tmp_path).read_bytes()

    for end in range(len(whole), len(data)):
        journal_file(tmp_path).write_bytes(data[:end])
        assert JournalProof(handed=frozenset({1}), answered={}) == read_journal(tmp_path, 7, 2)


@pytest.mark.parametrize("cut", range(len("mailer journal 1 7 2\n")))
def test_a_cut_within_the_first_line_proves_nothing(tmp_path: Path, cut: int) -> None:
    journal_file(tmp_path).write_bytes(b"mailer journal 1 7 2\n"[:cut])

    assert read_journal(tmp_path, 7, 2) is None


@pytest.mark.parametrize(
    "line",
    ["", "S", "S x", "S 1 2", "R 1", "R 1 sent", "R 1 gone - . 250", "R 1 sent - .", "T 1", "S 1\0", "R x sent - . ok"],
)
def test_a_line_that_is_none_spoils_the_whole_journal(tmp_path: Path, line: str) -> None:
    journal_file(tmp_path).write_text(f"mailer journal 1 7 2\nS 0\n{line}\nS 3\n")

    assert read_journal(tmp_path, 7, 2) is None


def test_bytes_that_are_no_text_spoil_the_whole_journal(tmp_path: Path) -> None:
    journal_file(tmp_path).write_bytes(b"mailer journal 1 7 2\nS 0\n\xff\xfe\nS 3\n")

    assert read_journal(tmp_path, 7, 2) is None


def test_another_batch_under_this_name_is_not_believed(tmp_path: Path) -> None:
    Journal(tmp_path, 7, 3).close()
    (tmp_path / "7.3.journal").rename(journal_file(tmp_path))

    assert read_journal(tmp_path, 7, 2) is None


@pytest.mark.parametrize("reply", ["", " ", "250 two\r\nlines\nS 9", "é\u2028\x85x", "\ud800"])
def test_any_reply_stays_one_line(tmp_path: Path, reply: str) -> None:
    with Journal(tmp_path, 7, 2) as journal:
        journal.handing_over(0)
        journal.answered(0, Outcome(state=MessageState.SENT, reply=reply, stage="."))
        journal.handing_over(1)

    proof = read_journal(tmp_path, 7, 2)

    assert proof is not None
    assert frozenset({0, 1}) == proof.handed
    assert MessageState.SENT == proof.answered[0].state


def test_a_living_owner_is_not_spoken_for_by_its_journal(tmp_path: Path) -> None:
    Journal(tmp_path, 7, 2).close()
    dead = "|".join([*owner_name().split("|")[:3], "1"])  # this process id, started at another moment

    assert trusted_journal(tmp_path, 7, 2, owner_name()) is None
    assert JournalProof(handed=frozenset(), answered={}) == trusted_journal(tmp_path, 7, 2, dead)


def test_a_full_disk_is_told_before_the_dot(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 7, 2)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._file)
    os.close(full)

    with pytest.raises(StoreUnavailable, match=r"7\.2\.journal can't be written: No space left"):
        journal.handing_over(1)
    journal.close()


def test_after_an_answer_that_could_not_be_written_no_dot_follows(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 7, 2)
    journal.handing_over(1)
    kept = os.dup(journal._file)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._file)
    journal.answered(1, SENT)  # lost, and no harm done
    os.dup2(kept, journal._file)  # there is space again, but half a line may stand there

    with pytest.raises(StoreUnavailable):
        journal.handing_over(2)
    for one in (kept, full):
        os.close(one)
    journal.close()
    assert JournalProof(handed=frozenset({1}), answered={}) == read_journal(tmp_path, 7, 2)


def test_a_folder_that_cannot_be_made_is_told_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / "state").touch()

    with pytest.raises(StoreUnavailable, match="free some space, then `mailer resume`"):
        Journal(tmp_path / "state", 7, 2)


def test_the_journals_of_earlier_claims_are_forgotten_and_no_others(tmp_path: Path) -> None:
    for batch_id, fence in ((7, 1), (7, 2), (7, 3), (71, 1)):
        Journal(tmp_path, batch_id, fence).close()

    forget_older(tmp_path, 7, 3)

    assert ["7.3.journal", "71.1.journal"] == sorted(path.name for path in tmp_path.iterdir())

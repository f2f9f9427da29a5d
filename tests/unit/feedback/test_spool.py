"""The spool: nothing twice, nothing half, nothing in the way."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.feedback import Spool
from engine.model import Hit, HitKind

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_hit(site: int = 0) -> Hit:
    return Hit(kind=HitKind.CLICK, delivery_id="d", site=site, occurrence=0, at=AT, agent="Firefox é")


def test_hits_come_back_as_they_went_in_and_are_forgotten(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(a_hit(1))
    spool.append(a_hit(2))
    spool.flush()

    (drained,) = spool.drain()

    assert [a_hit(1), a_hit(2)] == [hit for _, hit in drained.hits]
    spool.forget(drained)
    assert [] == list(spool.drain())


def test_draining_twice_gives_the_same_ids(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(a_hit())
    spool.flush()

    first, again = list(spool.drain()), list(Spool(tmp_path).drain())

    assert [d.hits for d in first] == [d.hits for d in again]


def test_two_processes_never_share_an_id(tmp_path: Path) -> None:
    for spool in (Spool(tmp_path), Spool(tmp_path)):
        spool.append(a_hit())
        spool.flush()

    ids = [spool_id for drained in Spool(tmp_path).drain() for spool_id, _ in drained.hits]

    assert 2 == len(set(ids))


def test_a_broken_line_costs_only_itself(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(a_hit())
    spool.flush()
    (file,) = tmp_path.glob("*.jsonl")
    file.write_text('{"kind": "cl\n[]\n' + file.read_text())

    (drained,) = spool.drain()

    assert [a_hit()] == [hit for _, hit in drained.hits]


def test_what_cannot_be_written_is_kept(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    spool = Spool(tmp_path / "spool")
    spool.append(a_hit())

    with pytest.raises(OSError, match="spool"):
        spool.flush()
    (tmp_path / "spool").unlink()
    spool.flush()

    assert 1 == len(list(spool.drain()))


def test_a_full_disk_is_not_filled_with_halves_of_files(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(a_hit())
    spool.flush()
    (written,) = tmp_path.glob("*.jsonl")
    # The next file's name is taken by a folder: as on a full disk, the last step fails.
    (tmp_path / written.name.replace("00000001", "00000002")).mkdir()
    spool.append(a_hit())

    with pytest.raises(IsADirectoryError):
        spool.flush()

    assert [] == list(tmp_path.glob("*.part"))


def test_what_waits_while_nothing_can_be_written_has_an_end(tmp_path: Path) -> None:
    spool = Spool(tmp_path, most_waiting=3)
    for site in range(5):
        spool.append(a_hit(site))
    spool.flush()

    (drained,) = spool.drain()

    assert [0, 1, 2] == [hit.site for _, hit in drained.hits]


@pytest.mark.parametrize("line", ['{"at": "2026-03-01T12:00:00"}', '"x"', "\x00", '{"site": Infinity}', "null"])
def test_a_line_of_a_strangers_making_is_no_hit(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(line.encode() + b"\n\xff\xfe\n")

    assert [[]] == [drained.hits for drained in Spool(tmp_path).drain()]

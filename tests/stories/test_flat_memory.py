"""A sender's memory does not grow with the number of people it sends to."""

from pathlib import Path

import pytest

from benchmarks import memory, reference
from benchmarks.sinks import cheap_sink, reading_sink


def flat(few: int, many: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = reference.make(folder / "made", contacts=150, messages=1)
    found = memory.sender_peaks(made, few, many, folder, cheap_sink(folder) or reading_sink())

    with capsys.disabled():
        print(f"\n{few:,} messages: {found.few_mb:.0f} MB; {many:,}: {found.many_mb:.0f} MB; {found.ratio:.2f} times")
    assert found.ratio <= memory.MUST


def test_a_sender_to_five_times_as_many_holds_no_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flat(1_000, 5_000, tmp_path, capsys)


@pytest.mark.soak
def test_a_sender_to_a_million_holds_no_more_than_one_to_ten_thousand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat(memory.FEW, memory.MANY, tmp_path, capsys)

"""segments.toml, read and checked."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from engine.audience.segments import load_segments
from engine.errors import BadRule
from engine.rules import check


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "segments.toml"


def faults(file: Path, text: str) -> list[str]:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadRule) as raised:
        load_segments(file)
    return str(raised.value).replace(f"{file.parent}/", "").splitlines()


def test_segments_come_in_the_files_order_with_rule_and_line(file: Path) -> None:
    file.write_text(
        '# ours\n[regulars]\ndescription = "Three or more"\nwhere = "orders_count >= 3"\n\n'
        "[quiet]\nwhere = \"segment('regulars') and days_since_last_order > 90\"\n"
    )

    found = load_segments(file)

    assert [("regulars", "Three or more", 2), ("quiet", "", 6)] == [
        (one.name, one.description, one.line) for one in found.values()
    ]
    assert check("orders_count >= 3") == found["regulars"].rule


def test_no_file_means_no_segments(file: Path) -> None:
    assert {} == load_segments(file)


def test_dates_are_midnight_in_the_shops_zone(file: Path) -> None:
    file.write_text("[a]\nwhere = \"last_order_at > date('2026-01-01')\"\n")
    helsinki = ZoneInfo("Europe/Helsinki")

    found = load_segments(file, helsinki)["a"].rule

    assert check("last_order_at > date('2026-01-01')", zone=helsinki) == found
    assert check("last_order_at > date('2026-01-01')") != found


def test_every_fault_is_told_with_its_line(file: Path) -> None:
    text = """
loose = 3

[first]
wher = "orders_count > 1"

[second]
description = "x"
where = "order_count > 1"

[third]
where = '''
segment('secnd')'''
"""

    told = faults(file, text)

    assert (
        "segments.toml:2: 'loose' stands outside a segment; a segment is written as [loose] and where = \"...\"" in told
    )
    assert "segments.toml:5: unknown key 'wher' in segment 'first'; did you mean 'where'?" in told
    assert "segments.toml:4: segment 'first' needs its rule as text: where = \"...\"" in told
    assert any(one.startswith("segments.toml:9:1: ") and "did you mean 'orders_count'?" in one for one in told)
    assert any(one.startswith("segments.toml:12:") and "did you mean 'second'?" in one for one in told)
    assert 5 == len(told)


def test_segments_in_a_circle_are_refused(file: Path) -> None:
    told = faults(file, "[a]\nwhere = \"segment('b')\"\n[b]\nwhere = \"segment('a')\"\n")

    assert 1 == len(told)
    assert told[0].startswith("segments.toml:2")


def test_broken_toml_is_told_with_line_and_column(file: Path) -> None:
    told = faults(file, '[a]\nwhere = "unfinished\n')

    assert told[0].startswith("segments.toml:2:20: not valid TOML: ")


def test_a_file_that_is_not_text_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff\xfe[a]")

    with pytest.raises(BadRule, match="must be UTF-8 text"):
        load_segments(file)

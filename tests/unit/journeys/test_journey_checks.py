from pathlib import Path

import pytest

from engine.journeys.checks import Surroundings, check_journeys
from engine.model import Severity

AROUND = Surroundings(
    templates={"hello": ("en", "fi"), "english": ("en",), "finnish": ("fi",)},
    languages=("en", "fi"),
    transports=("main", "backup"),
    campaigns=("spring",),
)
SOUND = """\
start   = { segment = "loyal" }
holdout = 0.1

[[step]]
id   = "a"
send = "hello"
"""


def doubts(folder: Path, text: str, name: str = "welcome") -> list[tuple[str, str, str]]:
    """What is said of a file: how bad, which line, which code."""
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    found = check_journeys(folder, ("loyal",), AROUND)
    return [(one.severity.value, one.where.removeprefix(f"{folder}/{name}.toml:"), one.code) for one in found]


def test_a_sound_journey_raises_no_doubt(tmp_path: Path) -> None:
    assert [] == doubts(tmp_path, SOUND)


def test_a_file_that_does_not_load_is_an_error_with_its_line(tmp_path: Path) -> None:
    assert [("error", "1", "unknown_segment")] == doubts(tmp_path, SOUND.replace("loyal", "loyl"))


@pytest.mark.parametrize(
    ("old", "new", "doubt"),
    [
        ("hello", "helo", ("error", "6", "unknown_template")),
        ("hello", "finnish", ("error", "6", "missing_fallback")),
        ("hello", "english", ("warning", "6", "missing_language")),
        ('"hello"', '"hello"\nsubject = { en = "Hi" }', ("warning", "7", "missing_language")),
        ("holdout = 0.1", 'holdout = 0.1\ntransport = "bakup"', ("error", "3", "unknown_transport")),
        ("holdout = 0.1", "", ("info", "1", "no_holdout")),
        ("holdout = 0.1", 'holdout = 0.1\ngoal = "click"', ("warning", "2", "holdout_cannot_click")),
        ("segment = \"loyal\"", "date = \"birth_date\"", ("info", "1", "no_max_lateness")),
        ('"hello"', '"hello"\n[[step]]\nid = "b"\nsend = "hello"', ("warning", "9", "same_mail")),
        ('send = "hello"', "tag = \"seen\"", ("info", "1", "no_mail")),
        (
            '"hello"',
            '"hello"\n[[step]]\nid = "b"\nwait = "31 days"\n[[step]]\nid = "c"\nuntil = "mon 09:00"',
            ("warning", "1", "short_window"),
        ),
        (
            '"hello"',
            '"hello"\n[[step]]\nid = "b"\nuntil_event = "order"\nat_most = "9 days"',
            ("info", "9", "awaits_goal"),
        ),
        (
            '[[step]]',
            '[[step]]\nid = "b"\nbranch = [{ clicked = "a", to = "end" }]\n[[step]]',
            ("warning", "6", "never_sent_before"),
        ),
    ],
)  # fmt: skip
def test_a_doubt_has_its_line_and_code(tmp_path: Path, old: str, new: str, doubt: tuple[str, str, str]) -> None:
    assert [doubt] == doubts(tmp_path, SOUND.replace(old, new, 1))


def test_a_mail_asked_for_after_it_was_sent_raises_no_doubt(tmp_path: Path) -> None:
    text = SOUND + '[[step]]\nid = "b"\nbranch = [{ clicked = "a", to = "end" }]\n'

    assert [] == doubts(tmp_path, text)


def test_a_campaign_of_the_same_name_is_an_error(tmp_path: Path) -> None:
    assert [("error", "1", "same_name")] == doubts(tmp_path, SOUND, "spring")


def test_one_journey_is_looked_at_alone(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("start = 1\n")
    (tmp_path / "good.toml").write_text(SOUND)

    assert [] == check_journeys(tmp_path, ("loyal",), AROUND, only="good")
    assert {Severity.ERROR} == {one.severity for one in check_journeys(tmp_path, ("loyal",), AROUND)}

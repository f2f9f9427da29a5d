"""The demo, on a tenth of its panel: the whole story through real SMTP, HTTP and database, and an honest end."""

import json
import sqlite3
from contextlib import closing
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from engine.cli.app import run
from engine.demo.names import person_for


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace that the story leaves."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    assert 0 == run(["demo", str(folder), "--households", "260"])
    return folder


def the_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    capsys.readouterr()
    run([*words, "--format", "json"])
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_every_message_sent_lies_in_the_inbox_once(told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [one for one in the_json(capsys, "report", "--workspace", str(told)) if one["campaign"] == "winback"]
    mails = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in (told / "inbox").glob("*.eml")]

    assert 0 < rows[0]["sent"] == len(mails) == len({mail["Message-ID"] for mail in mails})


def test_the_report_is_final_finds_no_effect_and_says_what_is_simulated(
    told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = the_json(capsys, "report", "winback", "--workspace", str(told))

    assert found["earned"]["final"] is True
    assert "No effect found" in found["verdict"]
    assert ["simulated"] == [one["name"] for one in found["checks"] if "made up" in one["message"]]
    assert "Simulated." in (told / "report.html").read_text()
    assert sum(one["human_opens"] for one in found["variants"]) > 0


def test_scanners_clicks_are_not_counted_as_peoples(told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = the_json(capsys, "report", "winback", "--workspace", str(told))

    clicked = sum(one["human_clicks"] for one in found["variants"])
    assert clicked < 0.5 * sum(one["human_opens"] for one in found["variants"])


def test_the_workspace_can_be_gone_on_with(told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(["send", "loyalty", "--dry-run", "--workspace", str(told)])
    capsys.readouterr()
    assert 4 == run(["send", "winback", "--yes", "--workspace", str(told)])
    assert "is released already" in capsys.readouterr().err


def test_a_second_demo_does_not_touch_the_first(told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 4 == run(["demo", str(told)])
    assert "is not empty" in capsys.readouterr().err


def test_a_household_always_has_the_same_name() -> None:
    assert person_for(7) == person_for(7)
    assert {"en", "fi", "fa", "vi", "ms", "zh"} == {person_for(n).language for n in range(200)}
    assert all(person_for(n).latin.replace(".", "").isalpha() for n in range(500))


def test_redeemed_coupons_are_events_of_their_households(told: Path) -> None:
    with closing(sqlite3.connect(told / "mailer.db")) as db:
        found = db.execute(
            "SELECT count(*), count(DISTINCT contact_id), max(at) FROM event WHERE kind = 'coupon_redeemed'"
        ).fetchone()

    assert found[0] > found[1] > 1
    assert found[2] < 1_512_104_400_000_000  # December began in New York at 05:00 UTC

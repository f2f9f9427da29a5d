"""A journey from its start to its end, as somebody types it: published, let in, asked about, paused, cancelled."""

import pytest
from desk import Desk

from engine import journeys, pipeline

REFUSED, UNKNOWN = 4, 1
FEW = """\
start = { hand = true }

[[step]]
id   = "hello"
send = "winback"

[[step]]
id   = "rest"
wait = "3 days"

[[step]]
id   = "again"
send = "winback_discount"
"""


@pytest.fixture
def with_file(desk: Desk) -> Desk:
    (desk.folder / "journeys").mkdir(exist_ok=True)
    for path in (desk.folder / "journeys").glob("*.toml"):
        path.unlink()
    (desk.folder / "journeys" / "few.toml").write_text(FEW)
    return desk


@pytest.fixture
def running(with_file: Desk) -> Desk:
    """Two were let in and got their first mail."""
    assert 0 == with_file.type("journey start few --yes").code
    assert 0 == with_file.type("journey enrol few p0@people.test p1@people.test").code
    tick(with_file)
    return with_file


def tick(desk: Desk) -> None:
    mailer = pipeline.open_mailer(desk.folder)
    journeys.advance(mailer, mailer.clock())
    mailer.store.close()


def test_starting_is_refused_where_nobody_can_be_asked(with_file: Desk) -> None:
    typed = with_file.type("journey start few")

    assert REFUSED == typed.code
    assert "Start few?" in typed.err
    assert UNKNOWN == with_file.type("journey enrol few p0@people.test").code


def test_starting_anew_tells_what_changes_and_how_many_stand_there(running: Desk) -> None:
    changed = FEW.replace('"3 days"', '"5 days"').replace('"again"', '"last"')
    (running.folder / "journeys" / "few.toml").write_text(changed)

    told = running.type("journey start few --yes --format json").json

    assert (2, ["last"], ["again"], ["rest"]) == (told["version"], told["added"], told["removed"], told["changed"])
    assert {"rest": 2} == told["inside"]


def test_who_is_inside_is_not_let_in_again(running: Desk) -> None:
    typed = running.type("journey enrol few p0@people.test p2@people.test --format json")

    assert {"enrolled": 1, "not_enrolled": 1} == typed.json


def test_why_tells_how_she_got_in_what_she_passed_and_where_she_stands(running: Desk) -> None:
    told = running.type("why p0@people.test few --format json").json

    assert ("waiting", "She is inside few, at rest.") == (told["state"], told["answer"])
    said = [f"{one['what']}: {one['value']}" for one in told["steps"]]
    assert said[0].startswith("came in, time 1: 2026-03-01 12:00 UTC (by hand")
    assert any("hello: 2026-03-01 12:00 UTC: sent, on to rest" in one for one in said)
    assert any(one.startswith("message: planned") for one in said)
    assert said[-1].startswith("stands: at rest since 2026-03-01 12:00 UTC, goes on 2026-03-04 12:00 UTC")
    assert "She never came into few." == running.type("why p5@people.test few --format json").json["answer"]


def test_preview_writes_the_mail_of_one_step(running: Desk) -> None:
    told = running.type("preview few/hello --to p0@people.test --format json").json

    assert "Persona" in (running.folder / told["text"]).read_text() or told["subject"]
    assert 2 == running.type("preview few/rest --to p0@people.test").code


def test_a_paused_journey_sends_nothing_until_it_is_resumed(running: Desk) -> None:
    running.type("journey pause few --reason thinking")
    assert 0 == running.type("resume").code
    assert [] == list((running.folder / "outbox").rglob("*.eml"))

    typed = running.type("resume few --format json")

    assert 2 == typed.json["sent"]
    assert 2 == len(list((running.folder / "outbox").rglob("*.eml")))


def test_cancelling_asks_first_and_lets_everybody_leave(running: Desk) -> None:
    assert REFUSED == running.type("journey cancel few").code

    typed = running.type("journey cancel few --yes")

    assert "2 left it" in typed.err
    told = running.type("why p0@people.test few --format json").json
    assert "She came into few and left it: cancelled." == told["answer"]


def test_nobody_comes_into_an_ended_journey(running: Desk) -> None:
    assert 0 == running.type("journey end few").code
    assert REFUSED == running.type("journey enrol few p3@people.test").code

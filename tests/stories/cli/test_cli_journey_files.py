"""A journey as its marketer meets it: the file, its faults, its drawing, and how the people in it stand."""

import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from desk import Desk

from engine import journeys, ledger, pipeline
from engine.model import CampaignState
from engine.store.tables import enrolment, enrolment_step

Edited = Callable[[str, str, str], None]
FAULTS, UNKNOWN = 3, 1
WELCOME = """\
description = "Says hello"
start   = { event = "signup" }
holdout = 0.1

[[step]]
id   = "hello"
send = "winback"

[[step]]
id   = "rest"
wait = "3 days"

[[step]]
id     = "bought"
branch = [{ if = "orders_count > 0", to = "end" }, { to = "again" }]

[[step]]
id   = "again"
send = "winback_discount"
"""


@pytest.fixture
def with_file(desk: Desk) -> Desk:
    (desk.folder / "journeys").mkdir(exist_ok=True)
    for path in (desk.folder / "journeys").glob("*.toml"):
        path.unlink()
    (desk.folder / "journeys" / "welcome.toml").write_text(WELCOME)
    return desk


@pytest.fixture
def published(with_file: Desk) -> Desk:
    """Three came in, one of them held out; one got her mail and rests, one bought after it."""
    mailer = pipeline.open_mailer(with_file.folder)
    at = mailer.clock()
    journey = journeys.load_journey(mailer, "welcome")
    ledger.publish(mailer.store, "welcome", journeys.to_json(journey), journeys.digest(journey), at)
    ledger.set_journey_state(mailer.store, "welcome", CampaignState.RUNNING, "", at)
    people = {1: (False, "waiting"), 2: (False, "goal"), 3: (True, "waiting")}
    with mailer.store.write() as db:
        for who, (held_out, state) in people.items():
            moments = {"entered_at": at, "step_at": at, "rings_at": at}
            where = {"journey": "welcome", "version": 1, "contact_id": who, "n": 1, "state": state, "step": "rest"}
            db.execute(sa.insert(enrolment).values(id=who, held_out=held_out, **where, **moments))
            done = {"step": "hello", "result": "sent", "leads_to": "rest"}
            key = {"enrolment_id": who, "visit": 0, "journey": "welcome", "at": at}
            db.execute(sa.insert(enrolment_step).values(**key, **done))
    mailer.store.close()
    return with_file


def test_a_sound_file_is_in_order_and_listed_as_a_draft(with_file: Desk) -> None:
    assert 0 == with_file.type("journey check").code
    assert [
        {
            "name": "welcome",
            "state": "draft",
            "version": 0,
            "start": "event signup",
            "entered": 0,
            "inside": 0,
            "goal": 0,
            "sent": 0,
            "reason": "",
        }
    ] == with_file.type("journey list --format json").json


def test_faults_are_told_with_their_places(with_file: Desk, edited: Edited) -> None:
    edited("journeys/welcome.toml", '"winback"', '"winbak"')
    checked = with_file.type("journey check welcome --format json")

    (finding,) = checked.json["findings"]
    assert (FAULTS, "unknown_template", "journeys/welcome.toml:7") == (checked.code, finding["code"], finding["where"])
    edited("journeys/welcome.toml", 'id   = "rest"', 'id   = "end"')
    assert FAULTS == with_file.type("journey check").code
    listed = with_file.type("journey list --format json").json
    assert "'end' is taken" in listed[0]["reason"]


def test_a_broken_template_is_a_fault_of_the_journey_that_sends_it(with_file: Desk, edited: Edited) -> None:
    edited("templates/winback_discount/body.mjml", "[% endblock %]", "{{ nothing_known }}[% endblock %]")
    findings = with_file.type("journey check welcome --format json").json["findings"]

    assert ["error"] == [one["severity"] for one in findings if "nothing_known" in one["message"]]


def test_a_wrong_segment_is_told_before_the_journeys(with_file: Desk) -> None:
    (with_file.folder / "segments.toml").write_text('[all]\nwhere = "order_count > 1"\n')
    checked = with_file.type("journey check --format json")

    assert [(FAULTS, "bad_rule")] == [(checked.code, one["code"]) for one in checked.json["findings"]]


def test_a_file_is_drawn_before_anybody_published_it(with_file: Desk) -> None:
    shown = with_file.type("journey show welcome --svg welcome.svg --format table")

    assert shown.out.startswith("not published yet\nSays hello\n\ncomes in: event signup\n│\nhello: mail winback\n")
    assert "welcome.svg" in shown.err
    drawn = ET.parse(with_file.folder / "welcome.svg").getroot()
    assert {"hello", "rest", "bought", "again", "end"} <= {one.attrib.get("data-step") for one in drawn.iter()}


def test_a_published_journey_is_shown_with_its_people(published: Desk) -> None:
    told = published.type("journey show welcome --format table").out

    assert told.startswith("welcome: running, version 1\n")
    assert "2 came in: event signup\n│\nhello: mail winback\n│ 2\n" in told
    assert "rest: wait 3 days · 1 here · 1 reached the goal here\n" in told
    assert "holdout, who get no mail: 1 came in" in told
    data = published.type("journey show welcome --version 1 --format json").json
    assert (2, {"rest": 1}, 1) == (data["entered"], data["inside"], data["holdout"]["entered"])
    assert [{"step": "hello", "result": "sent", "to": "rest", "people": 2}] == data["ways"]
    (row,) = published.type("journey list --format json").json
    assert ("running", 1, 3, 2, 1) == (row["state"], row["version"], row["entered"], row["inside"], row["goal"])


def test_show_says_when_the_file_is_another_than_what_runs(published: Desk, edited: Edited) -> None:
    assert "says something else" not in published.type("journey show welcome").err
    edited("journeys/welcome.toml", "3 days", "4 days")
    assert "welcome.toml says something else than version 1" in published.type("journey show welcome").err
    assert "wait 3 days" in published.type("journey show welcome --format table").out
    (published.folder / "journeys" / "welcome.toml").unlink()
    assert "is gone; what was published goes on" in published.type("journey show welcome").err


def test_a_journey_or_version_that_is_not_there_is_told(published: Desk) -> None:
    assert "did you mean 'welcome'?" in published.type("journey show welcom").err
    unknown = published.type("journey show welcome --version 7")

    assert UNKNOWN == unknown.code
    assert "has no version 7" in unknown.err


def test_no_folder_for_the_drawing_is_told_before_anything_else(with_file: Desk) -> None:
    assert 2 == with_file.type("journey show welcome --svg nowhere/x.svg").code


def test_an_unknown_recipe_names_those_there_are(with_file: Desk) -> None:
    assert "there is no recipe 'nothing'" in with_file.type("journey new nothing").err

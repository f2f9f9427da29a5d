"""One person at a time: what is known of her, what she allowed, and how she is forgotten."""

import json

from desk import Desk

ERROR, REFUSED = 1, 4


def test_a_person_is_added_with_her_consent_and_its_proof(desk: Desk) -> None:
    added = desk.type("contact add Ida@people.test --given-name Ida --language en --consent --source 'stand, 28 Feb'")

    card = desk.type("contact show ida@people.test").json
    assert (0, "", "added\n") == (added.code, added.out, added.err)
    assert ("Ida", True, "stand, 28 Feb") == (card["given_name"], card["mailing_consent"], card["consent"][0]["source"])


def test_somebody_added_without_consent_is_not_mailed(desk: Desk) -> None:
    desk.type("contact add ida@people.test")

    assert {"contacts": 10} == desk.type("segment count --where mailing_consent").json
    assert None is desk.type("contact show ida@people.test").json["mailing_consent"]


def test_an_address_is_found_in_any_spelling(desk: Desk) -> None:
    spellings = ["P1@People.Test", "mailto:p1@people.test", "'Person B <p1@people.test>'"]

    assert ["p1@people.test"] * 3 == [desk.type(f"contact show {one}").json["email"] for one in spellings]


def test_a_suppressed_address_gets_nothing_more_even_when_it_is_imported_again(desk: Desk) -> None:
    typed = desk.type("contact suppress p1@people.test")
    desk.type("import contacts contacts.csv")

    assert (0, "suppressed\n") == (typed.code, typed.err)
    assert {"suppressed": 1, "no_consent": 2} == desk.type("plan winback").json["skipped"]
    assert "She is left out of winback: her address is suppressed." == desk.type("why p1@people.test").json["answer"]


def test_a_suppression_needs_no_contact(desk: Desk) -> None:
    desk.type("contact suppress later@people.test --reason complained")
    desk.type("contact add later@people.test --consent --source form")

    assert "complained" == desk.type("contact show later@people.test").json["suppression"]["reason"]


def test_everything_held_about_a_person_comes_as_one_document(desk: Desk) -> None:
    desk.type("send winback --yes")

    held = json.loads(desk.type("contact export p1@people.test").out)
    assert (4, 1) == (len(held["orders"]), len(held["plans"]))
    assert {"order_id", "ordered_at", "lines"} == set(held["orders"][0])


def test_an_erased_person_is_gone_and_not_taken_in_again(desk: Desk) -> None:
    erased = desk.type("contact erase p1@people.test --yes")
    (desk.folder / "again.csv").write_text("email,given_name\np1@people.test,Anna\nnew@people.test,Nora\n")
    again = desk.type("import contacts again.csv").json

    assert (0, "erased\n") == (erased.code, erased.err)
    assert ERROR == desk.wrong("contact show p1@people.test")[0]
    assert (1, [2]) == (again["added"], [one["line"] for one in again["refused"]])
    assert REFUSED == desk.wrong("contact add p1@people.test --consent --source form")[0]
    assert {"contacts": 11} == desk.type("segment count lapsed_regulars").json


def test_she_is_in_a_segment_for_reasons_that_can_be_shown(desk: Desk) -> None:
    said = desk.type("segment why lapsed_regulars p1@people.test").json

    assert said["holds"]
    assert ["all of these", "orders_count >= 3", "days_since_last_order > (2 * usual_gap_days)"] == [
        step["text"] for step in said["steps"]
    ]
    assert "orders_count = 4" == said["steps"][1]["value"]


def test_a_person_in_no_plan_is_told_so(desk: Desk) -> None:
    assert ("No plan names her.", "none") == tuple(
        desk.type("why p1@people.test").json[key] for key in ("answer", "state")
    )
    assert "She is in no plan of winback." == desk.type("why p1@people.test winback").json["answer"]


def test_the_chain_of_one_message_runs_from_the_rule_to_the_attempt(desk: Desk) -> None:
    desk.type("send winback --yes")
    desk.type("resume --at 2026-03-02T09:00")
    mailed = next(row["email"] for row in desk.type("plan show 1").json if row["state"] == "message")

    said = desk.type(f"why {mailed} winback").json
    assert ("sent", "") == (said["state"], said["reason"])
    what = [step["what"] for step in said["steps"]]
    assert ["consent to mail", "consent to tracking", "suppressed", "rule", "rule", "rule", "plan 1 of winback"] == (
        what[:7]
    )
    assert ["draw", "planned for", "attempt 1", "message"] == what[7:]


def test_whoever_is_held_out_is_told_so(desk: Desk) -> None:
    desk.type("send winback --yes")
    (held_out,) = [row["email"] for row in desk.type("plan show 1").json if row["state"] == "holdout"]

    said = desk.type(f"why {held_out} winback").json
    assert "She gets nothing of winback: the lot put her into the holdout, to measure against." == said["answer"]
    assert "holdout" == said["state"]


def test_of_many_drafts_only_the_newest_is_told(desk: Desk) -> None:
    for _ in range(3):
        desk.type("plan winback")
    desk.type("plan loyalty")

    said = desk.type("why p1@people.test").json
    assert ["plan 3 of winback"] == [step["what"] for step in said["steps"] if step["what"].startswith("plan ")]


def test_a_campaign_whose_file_is_gone_can_still_be_explained(desk: Desk) -> None:
    desk.type("send winback --yes")
    (desk.folder / "campaigns" / "winback.toml").unlink()

    said = desk.type("why p10@people.test winback").json
    assert "She is left out of winback: she has not agreed to get mail." == said["answer"]

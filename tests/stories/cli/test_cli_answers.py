"""What each command gives to a program that reads it: JSON with the documented keys, on stdout and nowhere else."""

import json
from collections.abc import Callable

import pytest
from desk import Desk

SUMMARY = {"plan", "campaign", "occurrence", "audience", "messages", "holdout", "skipped", "variants", "hash"}
COUNTS = {"sent", "refused", "deferred", "skipped", "waiting", "uncertain"}


@pytest.fixture
def sent(desk: Desk) -> Desk:
    """The shop after its win-back, whose hour was nine in the morning of the next day."""
    assert 0 == desk.type("send winback --yes").code
    assert 0 == desk.type("resume --at 2026-03-02T09:00").code
    return desk


def _code(line: str) -> int:
    """Nothing runs in these workspaces, and `status` says so by its exit code."""
    return 5 if line == "status" else 0


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ("import contacts contacts.csv", {"file", "rows", "added", "updated", "mailable", "trackable", "refused"}),
        ("import orders orders.csv", {"file", "rows", "added", "updated", "refused"}),
        ("import products products.csv", {"file", "rows", "added", "updated", "refused"}),
        ("refresh", {"contacts", "seconds"}),
        ("segment count lapsed_regulars", {"contacts"}),
        ("segment why lapsed_regulars p1@people.test", {"segment", "email", "holds", "steps"}),
        ("campaign check", {"findings"}),
        ("lint templates/winback", {"findings"}),
        ("preview winback --to p1@people.test", {"variant", "language", "subject", "reason", "eml", "html", "text"}),
        ("plan winback", SUMMARY),
        ("send winback --dry-run", SUMMARY | {"findings", "samples"}),
        ("send winback --yes", {"plan"} | COUNTS),
        ("resume", {"plan"} | COUNTS),
        ("why p1@people.test", {"answer", "state", "reason", "steps"}),
        ("why p1@people.test winback", {"answer", "state", "reason", "steps"}),
        ("contact show p1@people.test", {"email", "attributes", "consent", "suppression"}),
        ("contact export p1@people.test", {"email", "consent", "orders", "events", "messages", "hits", "plans"}),
        ("recommend backtest --until 2025-08-31", {"methods", "chosen"}),
        ("status", {"processes", "campaigns", "due", "next_due", "worries"}),
    ],
)
def test_the_answer_has_its_keys(desk: Desk, line: str, keys: set[str]) -> None:
    typed = desk.type(f"{line} --format json" if "export" not in line else line)

    assert (_code(line), set()) == (typed.code, keys - set(typed.json))


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ("segment list", {"name", "contacts", "description", "where"}),
        ("segment show lapsed_regulars", {"email", "greeting", "language", "orders_count", "lifecycle"}),
        ("campaign list", {"name", "state", "segment", "variants", "sent", "waiting", "reason"}),
        ("plan show 1", {"email", "variant", "state", "reason", "send_at"}),
        ("report", {"campaign", "occurrence", "plan", "released_at", *COUNTS}),
    ],
)
def test_many_rows_come_as_a_list_or_a_line_each(sent: Desk, line: str, keys: set[str]) -> None:
    listed, lines = sent.type(f"{line} --format json").json, sent.type(f"{line} --format jsonl").jsonl

    assert listed == lines
    assert listed
    assert [set()] * len(listed) == [keys - set(row) for row in listed]


def test_the_report_has_its_keys(sent: Desk) -> None:
    typed = sent.type("report winback --format json --at 2026-03-10")

    assert {"variants", "comparison", "holdout", "checks", "earned", "verdict"} <= set(typed.json)
    assert {"revenue", "profit", "low", "high", "orders_until", "final"} <= set(typed.json["earned"])
    arm = {"name", "sent", "delivered", "human_opens", "human_clicks", "converted", "revenue"}
    assert [set()] * 2 == [arm - set(one) for one in typed.json["variants"]]
    assert typed.json["verdict"].startswith("Interim: ")


def test_the_plan_counts_everybody_once(desk: Desk) -> None:
    said = desk.type("plan winback").json

    assert {"no_consent": 2} == said["skipped"]
    assert 12 == said["audience"] == said["messages"] + said["holdout"] + 2
    assert said["messages"] == sum(said["variants"].values())


def test_a_findings_keys_are_stable(desk: Desk, edited: Callable[[str, str, str], None]) -> None:
    edited("campaigns/winback.toml", "lapsed_regulars", "nobody")

    (found,) = desk.type("campaign check winback").json["findings"]
    assert ("unknown_segment", "campaigns/winback.toml:2", "error") == (
        found["code"],
        found["where"],
        found["severity"],
    )
    assert {"code", "where", "message", "severity", "count", "examples"} == set(found)


def test_a_table_is_for_people(desk: Desk) -> None:
    typed = desk.type("segment count lapsed_regulars --format table")

    assert (0, "contacts  12", "") == (typed.code, typed.out.strip(), typed.err)


@pytest.mark.parametrize(
    "line",
    [
        "segment list",
        "segment show lapsed_regulars",
        "segment why lapsed_regulars p1@people.test",
        "campaign list",
        "campaign check",
        "plan winback",
        "send winback --dry-run",
        "send --all --dry-run",
        "why p1@people.test winback",
        "contact show p1@people.test",
        "report",
        "import contacts contacts.csv",
        "refresh",
        "recommend backtest --until 2025-08-31",
    ],
)
def test_tables_stand_on_stdout_alone(desk: Desk, line: str) -> None:
    typed = desk.type(f"{line} --format table")

    assert (0, "") == (typed.code, typed.err)
    assert typed.out.strip()
    assert not typed.out.lstrip().startswith(("{", "["))


def test_status_of_a_shop_where_nothing_runs_shows_it_and_ends_with_5(desk: Desk) -> None:
    typed = desk.type("status --format table")

    assert (5, "error: no sender lives: start `mailer run`") == (typed.code, typed.err.strip())
    assert "processes: none" in typed.out


def test_status_counts_each_campaign_and_tells_the_hour_by_the_shops_clock(desk: Desk) -> None:
    desk.type("send winback --yes")

    typed = desk.type("status --format table")

    assert "winback: running; 0 sent, 9 waiting" in typed.out
    assert "next due: 2026-03-02 09:00\n" in typed.out


def test_a_pipe_gets_json_by_itself(desk: Desk) -> None:
    assert {"contacts": 12} == desk.type("segment count lapsed_regulars").json


def test_the_formats_name_is_read_in_any_case(desk: Desk) -> None:
    assert {"contacts": 12} == desk.type("segment count lapsed_regulars --format JSON").json


def test_news_goes_to_stderr(desk: Desk) -> None:
    typed = desk.type("send winback --yes")

    assert {"sent": 0, "waiting": 9} == {key: typed.json[key] for key in ("sent", "waiting")}
    assert "9 messages wait for their hour (next: 2026-03-02 09:00); no sender is running" in typed.err
    assert 1 == len(typed.err.splitlines())


def test_names_in_any_script_are_written_as_they_are(desk: Desk) -> None:
    desk.type("contact add maryam@people.test --given-name مریم --consent --source letter")

    assert '"given_name": "مریم"' in desk.type("contact show maryam@people.test").out


def test_several_files_are_answered_as_a_list(desk: Desk) -> None:
    once, twice = desk.type("import contacts contacts.csv").json, desk.type("import contacts contacts.csv contacts.csv")

    assert [once, once] == twice.json
    assert [once, once] == desk.type("import contacts contacts.csv contacts.csv --format jsonl").jsonl


def test_all_campaigns_are_answered_as_a_list(desk: Desk) -> None:
    listed = desk.type("send --all --dry-run --format json").json

    assert ["cross_sell", "loyalty", "winback"] == [one["campaign"] for one in listed]
    assert [set()] * 3 == [(SUMMARY | {"findings", "samples"}) - set(one) for one in listed]


def test_the_workspace_may_be_named_anywhere(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    answers = [
        desk.type(f"--workspace {desk.folder} segment count lapsed_regulars"),
        desk.type(f"segment --workspace {desk.folder} count lapsed_regulars"),
        desk.type(f"segment count lapsed_regulars --workspace {desk.folder}"),
        desk.type(f"segment count lapsed_regulars --workspace={desk.folder}"),
    ]
    monkeypatch.setenv("MAILER_WORKSPACE", str(desk.folder))
    answers.append(desk.type("segment count lapsed_regulars"))

    assert [{"contacts": 12}] * 5 == [one.json for one in answers]


def test_the_option_outranks_the_environment(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILER_WORKSPACE", "/nowhere")

    assert {"contacts": 12} == desk.type(f"segment count lapsed_regulars --workspace {desk.folder}").json


@pytest.mark.parametrize(
    ("at", "contacts"),
    [
        ("2025-07-10", 0),  # the first order only
        ("2025-10-20T12:00", 0),  # three and more, but only just now
        ("2025-12-24T12:00:00+02:00", 12),
        ("2026-03-01", 12),
    ],
)
def test_a_command_acts_as_of_the_moment_it_is_given(desk: Desk, at: str, contacts: int) -> None:
    assert {"contacts": contacts} == desk.type(f"segment count lapsed_regulars --at {at}").json


def test_what_is_planned_for_later_goes_out_at_its_hour(sent: Desk) -> None:
    rows = sent.type("plan show 1").json

    assert {"2026-03-02T09:00:00+00:00"} == {row["send_at"] for row in rows if row["state"] == "message"}
    assert 9 == len(list((sent.folder / "outbox").rglob("*.eml")))


def test_json_is_one_document_a_line_even_where_texts_have_several(desk: Desk) -> None:
    (desk.folder / "note.csv").write_text('email,note\np1@people.test,"two\nlines"\n')
    desk.type("import contacts note.csv")

    typed = desk.type("contact show p1@people.test --format jsonl")
    assert "two lines" == json.loads(typed.out)["attributes"]["note"]
    assert 1 == len(typed.out.splitlines())

"""A campaign as its marketer meets it: from a recipe to what was sent, and the files it leaves."""

import email.policy
import re
import sqlite3
from collections.abc import Callable, Iterator
from email import message_from_bytes
from pathlib import Path

import pytest
from desk import Desk
from mail_servers import Inbox

Edited = Callable[[str, str, str], None]

FINDINGS, REFUSED, UNFINISHED = 3, 4, 5


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    server = Inbox()
    server.start()
    yield server
    server.stop()


def outbox(desk: Desk) -> list[bytes]:
    return sorted(path.read_bytes() for path in (desk.folder / "outbox").rglob("*.eml"))


def undated(mail: bytes) -> bytes:
    return re.sub(rb"(?m)^Date: [^\r]+", b"", mail)


def test_a_fresh_workspace_is_in_order(bare_desk: Desk) -> None:
    made = bare_desk.type("init shop")

    assert (0, 59) == (made.code, int(made.err.split()[0]))
    assert "mailer send winback --dry-run" in made.out
    checked = bare_desk.type("campaign check --workspace shop")
    assert (0, {"findings": []}) == (checked.code, checked.json)
    assert 0o600 == (bare_desk.folder / "shop" / "secret.key").stat().st_mode & 0o777


def test_a_campaign_starts_from_a_recipe(desk: Desk) -> None:
    made = desk.type("campaign new winback --name spring")

    assert (0, "", "written: campaigns/spring.toml\n") == (made.code, made.out, made.err)
    assert ["cross_sell", "loyalty", "spring", "winback"] == [row["name"] for row in desk.type("campaign list").json]
    assert 0 == desk.type("send spring --dry-run").code


def test_a_recipe_brings_back_the_templates_that_lack(desk: Desk) -> None:
    (desk.folder / "templates" / "winback_discount" / "body.mjml").unlink()

    made = desk.type("campaign new winback --name spring")
    assert ["written: campaigns/spring.toml", "written: templates/winback_discount/body.mjml"] == made.err.splitlines()


def test_the_preview_is_what_goes_out(desk: Desk) -> None:
    desk.type("send winback --yes")
    desk.type("resume --at 2026-03-02T09:00")
    mailed = next(row["email"] for row in desk.type("plan show 1").json if row["state"] == "message")

    seen = desk.type(f"preview winback --to {mailed} --out look").json
    assert undated(Path(seen["eml"]).read_bytes()) in [undated(mail) for mail in outbox(desk)]
    assert ("en", "") == (seen["language"], seen["reason"])
    assert "Unsubscribe" in Path(seen["text"]).read_text()
    assert "</html>" in Path(seen["html"]).read_text()


@pytest.mark.parametrize(("who", "reason"), [("p10@people.test", "no_consent"), ("p1@people.test", "suppressed")])
def test_a_preview_says_who_would_get_nothing(desk: Desk, who: str, reason: str) -> None:
    desk.type("contact suppress p1@people.test")

    typed = desk.type(f"preview winback --to {who}")
    assert (0, reason) == (typed.code, typed.json["reason"])
    assert f"planned now, she would get nothing: {reason}\n" == typed.err


def test_every_variant_can_be_previewed(desk: Desk) -> None:
    subjects = {
        desk.type(f"preview winback --to p1@people.test --variant {one}").json["subject"]
        for one in (
            "reminder",
            "discount",
        )
    }

    assert {"It has been a while: shall we catch up?", "15% off, to welcome you back"} == subjects


def test_what_the_dry_run_showed_is_what_goes_out(desk: Desk) -> None:
    shown = desk.type("send winback --dry-run").json
    samples = {undated(Path(path).read_bytes()) for path in shown["samples"]}
    assert [] == outbox(desk)

    sent = desk.type(f"send winback --plan {shown['plan']} --yes").json
    desk.type("resume --at 2026-03-02T09:00")
    assert (shown["plan"], shown["messages"]) == (sent["plan"], sent["waiting"])
    assert shown["messages"] == len(outbox(desk))
    assert samples <= {undated(mail) for mail in outbox(desk)}


def test_samples_go_where_they_are_wanted(desk: Desk) -> None:
    shown = desk.type("send winback --dry-run --out look").json

    assert {"look/discount-en.eml", "look/reminder-en.eml"} == set(shown["samples"])


def test_a_copy_to_myself_changes_nothing(desk: Desk) -> None:
    typed = desk.type("send winback --test me@people.test --as p1@people.test --variant discount")

    (mail,) = outbox(desk)
    read = message_from_bytes(mail, policy=email.policy.default)
    assert (0, "", "sent one copy to me@people.test: written\n") == (typed.code, typed.out, typed.err)
    assert ("me@people.test", "15% off, to welcome you back") == (read["To"].addresses[0].addr_spec, read["Subject"])
    assert [] == desk.type("report").json
    assert "No plan names her." == desk.type("why p1@people.test").json["answer"]


def test_a_copy_to_myself_takes_somebody_of_the_audience(desk: Desk) -> None:
    assert 0 == desk.type("send winback --test me@people.test").code
    assert 1 == len(outbox(desk))


def test_a_pause_holds_and_resume_goes_on(desk: Desk) -> None:
    desk.type("send winback --yes")
    paused = desk.type("campaign pause winback --reason 'a typo in the subject'")
    worked = desk.type("worker --once")
    rows = {row["name"]: row for row in desk.type("campaign list").json}

    assert (0, 0, []) == (paused.code, worked.code, outbox(desk))
    assert "paused" == rows["winback"]["state"]
    assert "a typo in the subject" in rows["winback"]["reason"]
    assert 9 == desk.type("resume winback --at 2026-03-02T09:00").json["sent"]


def test_a_cancelled_campaign_never_goes_out(desk: Desk) -> None:
    desk.type("send winback --yes")
    cancelled = desk.type("campaign cancel winback")

    assert (0, "winback is cancelled\n") == (cancelled.code, cancelled.err)
    assert (0, 0) == (desk.type("resume --at 2026-03-02T09:00").json["sent"], len(outbox(desk)))


def test_what_the_server_defers_ends_with_five(desk: Desk, edited: Edited, inbox: Inbox) -> None:
    edited("config.toml", 'kind = "outbox"', f'kind = "smtp"\nport = {inbox.port}\ntls = "off"\nreturn_path = "from"')
    edited("campaigns/winback.toml", '"09:00 local"', '"now"')
    inbox.replies["RCPT"] = "451 4.3.0 come again"

    typed = desk.type("send winback --yes")
    assert (UNFINISHED, 9, 0) == (typed.code, typed.json["deferred"], typed.json["sent"])
    assert typed.err.splitlines()[-1].startswith("error: some messages are deferred or uncertain; `mailer run` or ")


def test_what_the_server_takes_is_sent(desk: Desk, edited: Edited, inbox: Inbox) -> None:
    edited("config.toml", 'kind = "outbox"', f'kind = "smtp"\nport = {inbox.port}\ntls = "off"\nreturn_path = "from"')
    edited("campaigns/winback.toml", '"09:00 local"', '"now"')

    typed = desk.type("send winback --yes")
    assert (0, "", 9, 9) == (typed.code, typed.err, typed.json["sent"], len(inbox.received))


def test_lint_names_code_file_line_and_column(desk: Desk, edited: Edited) -> None:
    edited("templates/winback/body.mjml", "{{ greeting }}", "{{ greetin }}")

    typed = desk.type("lint templates/winback templates/winback/body.mjml")
    (found,) = typed.json["findings"]  # told once, though named twice
    assert (FINDINGS, "error: 1 fault found\n") == (typed.code, typed.err)
    assert ("ML001", "error") == (found["code"], found["severity"])
    assert re.fullmatch(r"winback/body\.mjml:\d+:\d+", found["where"])


def test_lint_reads_messages_and_needs_no_workspace(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    eml = desk.folder / desk.type("preview winback --to p1@people.test").json["eml"]
    (desk.folder / "bad.eml").write_bytes(eml.read_bytes().replace(b"List-Unsubscribe-Post", b"X-Other"))
    monkeypatch.chdir("/")

    assert (0, []) == (desk.type(f"lint {eml}").code, desk.type(f"lint {eml}").json["findings"])
    typed = desk.type(f"lint {desk.folder}/bad.eml")
    assert (FINDINGS, ["no_one_click"]) == (typed.code, [one["code"] for one in typed.json["findings"]])


def test_a_check_looks_at_sender_templates_and_time(desk: Desk, edited: Edited) -> None:
    edited("config.toml", "hello@harbour.test", "nobody")
    edited("campaigns/winback.toml", '"09:00 local"', '"2026-01-01T09:00Z"')
    edited("templates/loyalty/body.mjml", "{{ greeting }}", "{{ greetin }}")

    typed = desk.type("campaign check")
    assert FINDINGS == typed.code
    assert {"sender", "past_send_at", "ML001"} == {one["code"] for one in typed.json["findings"]}


def test_a_check_of_one_campaign_looks_at_its_own_templates(desk: Desk, edited: Edited) -> None:
    edited("templates/loyalty/body.mjml", "{{ greeting }}", "{{ greetin }}")
    edited("campaigns/loyalty.toml", "holdout  = 0.1", "")  # worth a remark, and no reason to look no further

    assert (0, FINDINGS) == (desk.type("campaign check winback").code, desk.type("campaign check loyalty").code)


def test_a_copy_of_the_database_holds_everything(desk: Desk) -> None:
    typed = desk.type("db backup copy.db")

    with sqlite3.connect(desk.folder / "copy.db") as db:
        assert [(12,)] == db.execute("SELECT count(*) FROM contact").fetchall()
    db.close()
    assert (0, "copied to copy.db\n") == (typed.code, typed.err)


def test_an_upgrade_may_be_repeated(desk: Desk) -> None:
    (desk.folder / "mailer.db").unlink()

    assert ["the database is up to date\n"] * 2 == [desk.type("db upgrade").err for _ in range(2)]
    assert {"contacts": 0} == desk.type("segment count loyal").json


def test_the_report_is_written_as_a_page(desk: Desk) -> None:
    desk.type("send winback --yes")

    typed = desk.type("report winback --html result.html")
    assert (0, "written: result.html\n") == (typed.code, typed.err)
    assert "winback" in (desk.folder / "result.html").read_text()

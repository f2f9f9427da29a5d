"""What goes wrong, told in one sentence: the fault, the place, the cure. The right exit code, and never a traceback."""

import os
import pty
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import Desk

from engine.store.migrating import newest_version

Edited = Callable[[str, str, str], None]

ERROR, USAGE, FINDINGS, REFUSED, UNFINISHED = 1, 2, 3, 4, 5


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---------------------------------------------------------------- config.toml, secret, database


def test_a_folder_without_a_workspace_names_init(bare_desk: Desk) -> None:
    assert (ERROR, "config.toml does not exist; `mailer init .` makes a workspace") == bare_desk.wrong("segment list")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('currency = "GBP"', 'curency = "GBP"', "config.toml: unknown key shop.curency; did you mean 'currency'?"),
        ("[tracking]", "[trackng]", "config.toml: unknown key trackng; did you mean 'tracking'?"),
        (
            'kind = "outbox"',
            'kind = "outbx"',
            "config.toml: transport.main.kind: Input should be 'smtp', 'outbox', 'resend' or 'ses'",
        ),
        (
            'timezone = "Europe/London"',
            'timezone = "Europe/Londn"',
            "config.toml: shop.timezone: 'Europe/Londn' is no IANA time zone; did you mean 'Europe/London'?",
        ),
        (
            'kind = "outbox"',
            'kind = "outbox"\npassword = "x"',
            "config.toml: transport: transport.main.password: a password never stands here; "
            "use password_env or password_file",
        ),
        (
            'kind = "outbox"',
            'kind = "smtp"\nhost = "mail.example"\ntls = "off"\nreturn_path = "from"',
            "config.toml: transport.main: tls = \"off\" is allowed only to this machine, not to 'mail.example'; "
            'use "required"',
        ),
        (
            'kind = "outbox"',
            'kind = "outbox"\npassword_env = "NO_SUCH_SECRET"',
            "transport 'main': the environment holds no NO_SUCH_SECRET; set it before you start",
        ),
        (
            'kind = "outbox"',
            'kind = "outbox"\npassword_file = "nope"',
            "config.toml: the secret's file nope can't be read: No such file or directory",
        ),
        (
            "[shop]",
            '[database]\nurl = "mysql://root@here/db"\n[shop]',
            "config.toml: database.url: write sqlite:///mailer.db or postgresql://user@host/name",
        ),
    ],
)
def test_a_wrong_config_is_told_by_key(desk: Desk, edited: Edited, old: str, new: str, told: str) -> None:
    edited("config.toml", old, new)

    assert (ERROR, told) == desk.wrong("segment list")


def test_all_faults_of_a_config_are_told_at_once(desk: Desk, edited: Edited) -> None:
    edited("config.toml", 'currency = "GBP"', 'currency = "pounds"\nnam = "x"')

    code, told = desk.wrong("status")
    assert ERROR == code
    assert "shop.currency" in told
    assert "unknown key shop.nam; did you mean 'name'?" in told


def test_a_config_that_is_no_toml_names_the_line(desk: Desk) -> None:
    (desk.folder / "config.toml").write_text("[shop\n")

    code, told = desk.wrong("status")
    assert ERROR == code
    assert re.fullmatch(r"config\.toml: not valid TOML: .*line 1.*", told)


def test_a_config_that_is_a_folder_is_told(desk: Desk) -> None:
    (desk.folder / "config.toml").unlink()
    (desk.folder / "config.toml").mkdir()

    assert (ERROR, "config.toml can't be read: Is a directory") == desk.wrong("status")


def test_a_workspace_that_is_a_file_is_told(desk: Desk) -> None:
    assert (ERROR, "config.toml/config.toml can't be read: Not a directory") == desk.wrong(
        "status --workspace config.toml"
    )


def test_another_secret_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.folder / "secret.key").write_text("x" * 40)
    by_file = desk.wrong("segment list")
    monkeypatch.setenv("MAILER_KEY", "y" * 40)

    assert (
        REFUSED,
        "the secret in secret.key (or MAILER_KEY) is not the one this database was made with; "
        "opt-outs and links would be lost: restore that key file",
    ) == by_file
    assert by_file == desk.wrong("segment list")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "the secret key secret.key does not exist; restore it from its backup "),
        (b"short", "the secret key secret.key is shorter than 32 characters"),
        ("ä".encode() * 40, "the secret key secret.key can't be read: it holds other signs than ASCII letters"),
    ],
)
def test_a_missing_or_broken_secret_is_told(desk: Desk, content: bytes | None, told: str) -> None:
    path = desk.folder / "secret.key"
    path.unlink() if content is None else path.write_bytes(content)

    code, said = desk.wrong("segment list")
    assert (ERROR, told) == (code, said[: len(told)])


def test_a_database_that_is_not_there_names_the_upgrade(desk: Desk) -> None:
    (desk.folder / "mailer.db").unlink()

    assert (ERROR, "the database mailer.db does not exist; run `mailer db upgrade`") == desk.wrong("segment list")


def test_a_database_that_was_not_migrated_names_the_upgrade(desk: Desk) -> None:
    with sqlite3.connect(desk.folder / "mailer.db") as db:
        db.execute("DROP TABLE alembic_version")
    db.close()

    assert (
        ERROR,
        f"the database is at version none, this engine needs {newest_version()}; run `mailer db upgrade`",
    ) == desk.wrong("status")


def test_a_database_of_a_newer_engine_is_left_alone(desk: Desk) -> None:
    with sqlite3.connect(desk.folder / "mailer.db") as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    db.close()

    assert (
        ERROR,
        f"the database is at version 9999, this engine needs {newest_version()}; install the newer engine that made it",
    ) == desk.wrong("status")
    code, told = desk.wrong("db upgrade")
    assert ERROR == code
    assert "install the engine that made it" in told


@pytest.mark.parametrize("line", ["segment list", "db upgrade"])
def test_a_database_that_is_a_folder_is_told(desk: Desk, line: str) -> None:
    (desk.folder / "mailer.db").unlink()
    (desk.folder / "mailer.db").mkdir()

    assert (
        ERROR,
        "the database sqlite:///mailer.db can't be used: unable to open database file; check its disk and rights",
    ) == desk.wrong(line)


@pytest.mark.parametrize("line", ["segment list", "db upgrade"])
def test_a_file_that_is_no_database_is_told(desk: Desk, line: str) -> None:
    (desk.folder / "mailer.db").write_bytes(b"no database at all " * 200)

    assert (
        ERROR,
        "sqlite:///mailer.db can't be used: file is not a database; restore the file from a backup",
    ) == desk.wrong(line)


def test_a_postgresql_that_does_not_answer_is_told_without_its_password(desk: Desk, edited: Edited) -> None:
    edited("config.toml", "[shop]", f'[database]\nurl = "postgresql://me:geheim@127.0.0.1:{closed_port()}/x"\n[shop]')

    code, told = desk.wrong("status")
    assert ERROR == code
    assert told.startswith("the database postgresql://me:***@127.0.0.1:")
    assert "Connection refused" in told
    assert "geheim" not in told


# ---------------------------------------------------------------- segments, campaigns, templates


@pytest.mark.parametrize("line", ["segment list", "segment count loyal", "plan winback", "send winback --dry-run"])
def test_a_wrong_rule_is_told_with_its_place(desk: Desk, edited: Edited, line: str) -> None:
    edited("segments.toml", "orders_count >= 3 and", "order_count >= 3 and")

    assert (ERROR, "segments.toml:5:1: unknown name 'order_count'; did you mean 'orders_count'?") == desk.wrong(line)


def test_a_wrong_rule_is_a_finding_of_the_check(desk: Desk, edited: Edited) -> None:
    edited("segments.toml", "orders_count >= 3 and", "order_count >= 3 and")

    typed = desk.type("campaign check")
    (found,) = typed.json["findings"]
    assert (FINDINGS, "error: 1 fault found\n") == (typed.code, typed.err)
    assert ("segments.toml:5:1", "unknown name 'order_count'; did you mean 'orders_count'?", "error") == (
        found["where"],
        found["message"],
        found["severity"],
    )


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("segment count loyl", ERROR, "segment 'loyl' is not defined in segments.toml; did you mean 'loyal'? (known: "),
        ("segment show nobody", ERROR, "segment 'nobody' is not defined in segments.toml (known: lapsed_regulars, "),
        (
            "segment count 'orders_count > 1'",
            ERROR,
            "segment 'orders_count > 1' is not defined in segments.toml (known: lapsed_regulars, recent_buyers, loyal, "
            "discount_lovers, big_baskets, new_people, new_signups, due_again, advocates, silent; "
            "a rule goes behind --where)",
        ),
        ("segment count", USAGE, "give either a segment's name or a rule with --where"),
        ("segment count loyal --where 'orders_count > 1'", USAGE, "give either a segment's name or a rule with"),
        ("segment count --where 'orders_count >'", ERROR, "--where:15: unexpected 'end of the rule'"),
        ("segment count --where 'ordrs_count > 1'", ERROR, "--where:1: unknown name 'ordrs_count'; did you mean "),
        ("segment count --where ''", ERROR, "--where:1: the rule is empty; write a condition such as "),
        ("segment why p1@people.test loyal", USAGE, "the segment comes first: mailer segment why loyal p1@people.test"),
        ("segment why loyal nobody@people.test", ERROR, "no contact has the address 'nobody@people.test'; "),
        ("plan spring", ERROR, "there is no campaign 'spring' in campaigns (known: cross_sell, loyalty, winback)"),
        ("plan winbak", ERROR, "there is no campaign 'winbak' in campaigns; did you mean 'winback'? (known: "),
        ("plan campaigns/winback.toml", ERROR, "there is no campaign 'campaigns/winback.toml' in campaigns; did you "),
        ("plan ../winback", ERROR, "there is no campaign '../winback' in campaigns; did you mean 'winback'? "),
        ("campaign check winbak", ERROR, "there is no campaign 'winbak' in campaigns; did you mean 'winback'? "),
        ("campaign pause winbak", ERROR, "there is no campaign 'winbak' in campaigns; did you mean 'winback'? "),
        ("campaign new winbck", ERROR, "there is no recipe 'winbck'; did you mean 'winback'? (known: cross_sell, "),
        ("campaign new winback", REFUSED, "campaigns/winback.toml exists already; choose another name with --name"),
        ("campaign new winback --name ../x", USAGE, "'../x' can't name a campaign; use letters, digits, - and _"),
        ("report winback", ERROR, "campaign 'winback' has not been sent yet; `mailer send winback` does it"),
        ("report winbak", ERROR, "there is no campaign 'winbak' in campaigns; did you mean 'winback'? "),
        ("report --since yesterday", USAGE, "nothing was released since yesterday"),
        ("report winback --html nowhere/x.html", USAGE, "the folder of nowhere/x.html does not exist; make it first, "),
        ("resume spring", ERROR, "nothing released is called 'spring'; `mailer report` lists what is"),
        ("resume --uncertain maybe", USAGE, "--uncertain is assume-sent, resend or ask, not 'maybe'"),
        ("why winback p1@people.test", USAGE, "the address comes first: mailer why p1@people.test winback"),
        ("why nobody@people.test", ERROR, "no contact has the address 'nobody@people.test'; `mailer contact add` or "),
        ("why p1@people.test spring", ERROR, "there is no campaign 'spring' in campaigns (known: "),
        ("why p1", ERROR, "'p1' is not the address of a contact: "),
        ("preview winback --to nobody@people.test", ERROR, "no contact has the address 'nobody@people.test'; "),
        ("preview winback --to p1@people.test --variant c", USAGE, "winback has no variant 'c'; it has reminder, "),
        ("preview winback --to p1@people.test --out config.toml", USAGE, "--out config.toml is a file; name a folder"),
        ("plan show 99", ERROR, "there is no plan 99; `mailer plan CAMPAIGN` makes one and prints its number"),
        ("plan show x", USAGE, "`mailer plan show ID` wants a plan's number"),
        ("plan show", USAGE, "`mailer plan show ID` wants a plan's number"),
        ("plan winback loyalty", USAGE, "`mailer plan` wants one campaign"),
        ("lint nowhere.mjml", ERROR, "nowhere.mjml does not exist; name a template (.mjml, or its folder) or a "),
        ("lint segments.toml", ERROR, "segments.toml is neither a template (.mjml, or its folder) nor a message "),
        ("recommend backtest --until soon", USAGE, "--until is a day such as 2026-11-30, not 'soon'"),
        ("recommend backtest --until 2020-01-01", USAGE, "nobody bought the same products both up to 2020-01-01 and "),
        ("recommend backtest --until 2025-08-31 --horizon 0", USAGE, "--horizon is a number of days, 1 or more, not "),
        ("db backup nowhere/copy.db", USAGE, "the folder of nowhere/copy.db does not exist; make it first, or "),
        ("db backup config.toml", REFUSED, "config.toml exists already; choose another name"),
        ("init .", REFUSED, "config.toml exists already; `mailer init` writes only into a folder without one"),
        ("import contacts nowhere.csv", ERROR, "nowhere.csv does not exist; name a CSV, JSONL or Parquet file"),
        ("import contacts campaigns", ERROR, "campaigns is not a file; name a CSV, JSONL or Parquet file"),
        ("import orders contacts.csv", ERROR, "contacts.csv: the column order_id is missing; say `--map "),
        ("import contacts contacts.csv --map email", USAGE, "--map wants THEIRS=OURS, as in --map 'E-Mail Address="),
        ("import contacts contacts.csv --dates usa", USAGE, "--dates is dmy, mdy or ymd, not 'usa'"),
        ("import contacts contacts.csv --decimal ,", USAGE, "--decimal is point or comma, not ','"),
        ("contact add nobody", USAGE, "the contact can't be added: no email address"),
        ("contact add a@people.test --consent", USAGE, "--consent needs --source: where and how she agreed is kept "),
        ("contact suppress nobody", USAGE, "can't suppress 'nobody': no email address"),
        (
            "contact suppress a@people.test --reason hm",
            USAGE,
            "'hm' is no reason to suppress; known: bounced",
        ),
        ("contact erase p1@people.test", REFUSED, "Erase everything known of this person? It can't be taken back. "),
    ],
)
def test_a_line_that_can_not_work_is_told_why(desk: Desk, line: str, code: int, told: str) -> None:
    wrong = desk.wrong(line)

    assert (code, told) == (wrong[0], wrong[1][: len(told)])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("sned winback", "No such command 'sned'. Did you mean 'send'? `mailer --help` shows how"),
        ("segment cuont loyal", "No such command 'cuont'. Did you mean 'count'? `mailer segment --help` shows how"),
        ("help", "No such command 'help'; `mailer --help` shows how"),
        ("winback send", "No such command 'winback'; `mailer --help` shows how"),
        ("import p.csv", "No such command 'p.csv'; `mailer import --help` shows how"),
        ("import contacts", "Missing argument 'FILE...'; `mailer import contacts --help` shows how"),
        ("preview winback", "Missing option '--to'; `mailer preview --help` shows how"),
        ("plan", "Missing argument 'CAMPAIGN | show ID'; `mailer plan --help` shows how"),
        ("why", "Missing argument 'EMAIL'; `mailer why --help` shows how"),
        ("send winback now", "Got unexpected extra argument(s) (now); `mailer send --help` shows how"),
        (
            "send winback --dryrun",
            "No such option: --dryrun (Possible options: --dry-run); `mailer send ",
        ),
        (
            "--worksapce x status",
            "No such option: --worksapce (Possible options: --workspace); `mailer ",
        ),
        ("status --workspace", "--workspace wants the folder with config.toml behind it"),
        (
            "segment list --format xml",
            "Invalid value for '--format': 'xml' is not one of 'table', 'json', 'jsonl'; "
            "`mailer segment list --help` shows how",
        ),
        (
            "status --format ''",
            "Invalid value for '--format': '' is not one of 'table', 'json', 'jsonl'; `mailer status --help` shows how",
        ),
        ("send winback --plan one", "Invalid value for '--plan': Input should be a valid integer, unable to parse "),
        ("send", "which campaign? give the name of a file of campaigns/, or --all --dry-run"),
        ("send --dry-run", "which campaign? give the name of a file of campaigns/, or --all --dry-run"),
        (
            "send --yes --test me@people.test",
            "which campaign? give the name of a file of campaigns/, or --all --dry-run",
        ),
        ("send --all", "--all goes with --dry-run only; nothing was sent"),
        ("send winback --all --dry-run", "--all checks every campaign; leave the name out, or leave --all out"),
        ("send winback --yes --as p1@people.test", "--as goes with --test only; nothing was sent"),
        ("send winback --yes --variant discount", "--variant goes with --test only; nothing was sent"),
        ("send winback --yes --strict", "--strict goes with --dry-run only; nothing was sent"),
        ("send winback --yes --out x", "--out goes with --dry-run only; nothing was sent"),
        ("send winback --dry-run --wait", "--dry-run and --wait don't go together; nothing was sent"),
        ("send winback --dry-run --test me@people.test", "--test and --dry-run don't go together; nothing was sent"),
        ("send winback --test me", "--test 'me': no email address"),
        ("send winback --dry-run --out config.toml", "--out config.toml is a file; name a folder"),
    ],
)
def test_a_hurried_line_is_told_how_it_is_written(desk: Desk, line: str, told: str) -> None:
    wrong = desk.wrong(line)

    assert (USAGE, told) == (wrong[0], wrong[1][: len(told)])


@pytest.mark.parametrize("at", ["nonsense", "2026-13-01", "tomorrow", "01/02/2026", "9999-12-31T23:59-14:00", "''"])
@pytest.mark.parametrize("line", ["segment count loyal", "plan winback", "send winback --yes", "status"])
def test_a_moment_that_is_none_is_told(desk: Desk, line: str, at: str) -> None:
    typed = desk.type(f"{line} --at {at}")

    assert (USAGE, "error: ") == (typed.code, typed.err[:7])
    assert "is not a time; write it as 2026-12-03, 2026-12-03T09:00 or 2026-12-03T09:00+02:00" in typed.err


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("window ", "windw ", "campaigns/winback.toml:5: unknown key 'windw'; did you mean 'window'?"),
        ('"14 days"', '"soon"', "campaigns/winback.toml:5: window: 'soon' is not a duration; write it as '14 days', "),
        ("0.1", "1.5", "campaigns/winback.toml:7: holdout: "),
        ('"09:00 local"', '"noon"', "campaigns/winback.toml:6: send_at: 'noon' is no time to send at; write now, "),
        ('"lapsed_regulars"', '"lapsed"', "campaigns/winback.toml:2: unknown segment 'lapsed'"),
        ('template = "winback"', 'template = "winbak"', "there is no template 'winbak' in templates; did you mean "),
        ("[[variant]]", "[[variant]", "campaigns/winback.toml:9"),
    ],
)
@pytest.mark.parametrize("line", ["plan winback", "send winback --yes", "preview winback --to p1@people.test"])
def test_a_wrong_campaign_file_is_told_with_its_line(
    desk: Desk, edited: Edited, line: str, old: str, new: str, told: str
) -> None:
    edited("campaigns/winback.toml", old, new)

    wrong = desk.wrong(line)
    assert (ERROR, told) == (wrong[0], wrong[1][: len(told)])


def test_a_wrong_campaign_file_does_not_hide_the_others(desk: Desk, edited: Edited) -> None:
    edited("campaigns/loyalty.toml", "window ", "windw ")

    rows = {row["name"]: row for row in desk.type("campaign list").json}
    assert "campaigns/loyalty.toml:5: unknown key 'windw'; did you mean 'window'?" == rows["loyalty"]["reason"]
    assert ("lapsed_regulars", "") == (rows["winback"]["segment"], rows["winback"]["reason"])


def test_a_template_that_does_not_compile_is_told_with_its_place(desk: Desk, edited: Edited) -> None:
    edited("templates/winback/body.mjml", "{{ greeting }}", "{{ greetin }}")

    wrong = desk.wrong("plan winback")
    assert ERROR == wrong[0]
    assert re.match(r"winback/body\.mjml:\d+:\d+: .*'greetin'.*did you mean 'greeting'", wrong[1])


def test_a_template_without_its_folder_is_told(desk: Desk) -> None:
    (desk.folder / "templates" / "winback").rename(desk.folder / "templates" / "other")

    code, told = desk.wrong("send winback --dry-run")
    assert (ERROR, "there is no template 'winback' in templates; did you mean 'winback_last'? (known: ") == (
        code,
        told.partition("basket_1")[0],
    )
    assert "loyalty, milestone, other, referral" in told


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("e.csv", b"", "e.csv is empty; the first line must hold the names of the columns"),
        ("w.xlsx", b"PK\x03\x04....", "w.xlsx is a zip archive or an Excel workbook; unpack it, or save the sheet as "),
        ("x.jsonl", b'{"email": \n', "x.jsonl: no line holds a JSON object; write one object a line (JSONL)"),
        ("x.csv", b"name,city\nAnna,Turku\n", "x.csv: the column email is missing; say `--map theirs=email`, or "),
    ],
)
def test_a_file_that_can_not_be_read_is_told(desk: Desk, name: str, content: bytes, told: str) -> None:
    (desk.folder / name).write_bytes(content)

    wrong = desk.wrong(f"import contacts {name}")
    assert (ERROR, told) == (wrong[0], wrong[1][: len(told)])


def test_what_went_in_before_a_bad_file_is_still_told(desk: Desk) -> None:
    typed = desk.type("import contacts contacts.csv nowhere.csv")

    assert (ERROR, [12]) == (typed.code, [one["rows"] for one in typed.json])
    assert "error: nowhere.csv does not exist; name a CSV, JSONL or Parquet file\n" == typed.err


# ---------------------------------------------------------------- sending


def test_nobody_is_mailed_where_nobody_can_be_asked(desk: Desk) -> None:
    assert (REFUSED, "Send 9 messages of winback? Nobody can be asked here: repeat with --yes.") == desk.wrong(
        "send winback"
    )
    assert [] == desk.type("report").json


def test_an_unreachable_server_releases_nothing(desk: Desk, edited: Edited) -> None:
    port = closed_port()
    edited("config.toml", 'kind = "outbox"', f'kind = "smtp"\nport = {port}\ntls = "off"\nreturn_path = "from"')

    assert (
        ERROR,
        f"transport 'main': localhost:{port} can't be used: Connection refused; "
        "check host and port, or whether the server runs",
    ) == desk.wrong("send winback --yes")
    assert [] == desk.type("report").json


def test_an_outbox_that_can_not_be_written_releases_nothing(desk: Desk, edited: Edited) -> None:
    edited("config.toml", 'kind = "outbox"', 'kind = "outbox"\nfolder = "config.toml"')

    code, told = desk.wrong("send winback --yes")
    assert ERROR == code
    assert told.startswith("transport 'main': the outbox config.toml can't be written: ")
    assert [] == desk.type("report").json


def test_an_unknown_transport_is_told(desk: Desk, edited: Edited) -> None:
    edited("campaigns/winback.toml", "segment ", 'transport = "post"\nsegment ')

    assert (ERROR, "transport 'post' is not in config.toml; known: main") == desk.wrong("send winback --yes")


def test_a_campaign_goes_out_once(desk: Desk) -> None:
    assert 0 == desk.type("send winback --yes").code

    code, told = desk.wrong("send winback --yes")
    assert REFUSED == code
    assert told.startswith("campaign 'winback', occurrence 'once', is released already, as plan 1; `mailer resume` ")
    assert 0 == desk.type("send winback --yes --occurrence again").code


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        (
            "campaigns/winback.toml",
            '"14 days"',
            '"15 days"',
            "campaigns/winback.toml changed since plan 1; ",
        ),
        ("segments.toml", "orders_count >= 3", "orders_count >= 30", "100.0% of the audience changed since plan 1, "),
        ("templates/winback/body.mjml", "We would love", "We would so love", "a template of 'winback' changed since "),
    ],
)
def test_drift_is_refused(desk: Desk, edited: Edited, name: str, old: str, new: str, told: str) -> None:
    desk.type("send winback --dry-run")
    edited(name, old, new)

    wrong = desk.wrong("send winback --plan 1 --yes")
    assert (REFUSED, told) == (wrong[0], wrong[1][: len(told)])
    assert [] == desk.type("report").json


@pytest.mark.parametrize("line", ["send loyalty --plan 1 --yes", "send loyalty --plan 1 --dry-run"])
def test_another_campaigns_plan_is_refused(desk: Desk, line: str) -> None:
    desk.type("plan winback")

    assert (REFUSED, "plan 1 is of campaign 'winback', not 'loyalty'") == desk.wrong(line)


def test_a_dry_run_with_errors_ends_with_three(desk: Desk, edited: Edited) -> None:
    edited("templates/winback/body.mjml", "{{ greeting }}", "{{ greeting }} {{ city }}")

    typed = desk.type("send winback --dry-run")
    assert (FINDINGS, "error: the dry run found faults; nothing was sent\n") == (typed.code, typed.err)
    (found,) = [one for one in typed.json["findings"] if one["severity"] == "error"]
    assert "city" in found["message"]
    assert found["count"] == typed.json["skipped"]["missing_data"]


def test_warnings_count_as_errors_only_when_asked(desk: Desk, edited: Edited) -> None:
    edited("templates/winback/body.mjml", "Visit the shop", "TODO: Visit the shop")
    edited(
        "templates/winback/body.mjml", "[[ to_shop", '<mj-text><a href="https://shop.invalid">x</a></mj-text>[[ to_shop'
    )
    relaxed, strict = desk.type("send winback --dry-run"), desk.type("send winback --dry-run --strict")

    assert {"warning"} == {one["severity"] for one in relaxed.json["findings"]}
    assert (0, FINDINGS) == (relaxed.code, strict.code)


def test_one_bad_campaign_does_not_hide_the_others_in_a_dry_run_of_all(desk: Desk, edited: Edited) -> None:
    edited("campaigns/loyalty.toml", "window ", "windw ")

    typed = desk.type("send --all --dry-run --format json")
    by_name = {one["campaign"]: one for one in typed.json}
    assert (FINDINGS, None) == (typed.code, by_name["loyalty"]["plan"])
    assert ["not_planned"] == [one["code"] for one in by_name["loyalty"]["findings"]]
    assert (12, 12) == (by_name["winback"]["audience"], by_name["cross_sell"]["audience"] + 12)


def test_status_says_when_somebody_should_look(desk: Desk) -> None:
    desk.type("send winback --yes")

    typed = desk.type("status --at 2026-03-02T10:00")
    assert UNFINISHED == typed.code
    assert 9 == typed.json["due"]
    assert "error: 9 messages of winback are due since 2026-03-02 09:00 UTC; messages wait, but no sender lives" in (
        typed.err
    )


def test_a_full_disk_is_told(desk: Desk) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    desk.type("send winback --yes")

    assert (ERROR, "the disk: No space left on device") == desk.wrong("report winback --html /dev/full")


# ---------------------------------------------------------------- as a process, at a terminal


def test_a_process_ends_with_the_code_and_the_sentence(desk: Desk) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engine", "segment", "count", "loyl"], capture_output=True, text=True, check=False
    )

    assert (ERROR, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("error: segment 'loyl' is not defined in segments.toml; did you mean 'loyal'? ")
    assert 1 == len(done.stderr.splitlines())


@pytest.mark.parametrize("form", ["json", "table"])
def test_a_terminal_that_knows_one_script_is_no_fault(desk: Desk, form: str) -> None:
    desk.type("contact add maryam@people.test --given-name مریم")

    done = subprocess.run(
        [sys.executable, "-m", "engine", "contact", "show", "maryam@people.test", "--format", form],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (0, b"") == (done.returncode, done.stderr)
    assert rb"\u0645\u0631\u06cc\u0645" in done.stdout


@pytest.mark.parametrize(("answer", "code", "released"), [(b"n\n", REFUSED, 0), (b"y\n", 0, 1)])
def test_at_a_terminal_the_operator_is_asked(desk: Desk, answer: bytes, code: int, released: int) -> None:
    theirs, ours = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "send", "winback"],
        stdin=ours,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(ours)
    os.write(theirs, answer)
    out, err = process.communicate(timeout=60)
    os.close(theirs)

    assert code == process.returncode
    assert "Plan 1 of winback: 12 people in the audience" in out
    assert "Send 9 messages of winback? [y/N]:" in err
    assert released == len(desk.type("report").json)

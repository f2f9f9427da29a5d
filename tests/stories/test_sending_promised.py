"""What a dry run shows is what goes out, byte for byte; what changed since is refused; and it touches nothing."""

import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sink import Sink
from story_shop import NOTE, PEOPLE, Shop, address, agreed, quiet, standings

from engine import audience, pipeline
from engine.clock import clock_set_to
from engine.errors import Refused
from engine.store.tables import attempt, batch, message, release

SOME = 120
DKIM = '\n[dkim."shop.example"]\nselector = "s1"\nkey_file = "dkim.pem"\nalgorithm = "ed25519-sha256"\n'
VARIANTS = '[[variant]]\nname = "short"\n[[variant]]\nname = "long"\nsubject = "News in many words"\n'
REFUSED = 4  # the exit code

# Patched in at the start of a process: whoever opens a connection, or asks for a name's address, is told on.
GUARD = """
import socket, sys
def guard(event, values):
    if event == "socket.connect" and values[0].family != socket.AF_UNIX or event in {
        "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind", "subprocess.Popen"
    }:
        raise PermissionError(f"guard: {event} {values}")
sys.addaudithook(guard)
from engine.cli.app import run
sys.exit(run(sys.argv[1:]))
"""


def sign(shop: Shop) -> None:
    """Mails carry a signature, as in life."""
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (shop.folder / "dkim.pem").write_bytes(key)
    with (shop.folder / "config.toml").open("a") as config:
        config.write(DKIM)


def unsigned(data: bytes) -> bytes:
    """A mail without its date and its signature."""
    head, body = data.split(b"\r\n\r\n", 1)
    kept, found = re.subn(rb"(?m)^(Date|DKIM-Signature):.*\r\n([ \t].*\r\n)*", b"", head + b"\r\n")
    assert 2 == found
    return kept + b"\r\n" + body


def test_what_the_dry_run_showed_goes_out_byte_for_byte(shop: Shop, sink: Sink) -> None:
    shop.configure(sink.port)
    sign(shop)
    mailer, name = shop.open(), shop.campaign("some", more=VARIANTS)
    run = pipeline.dry_run(mailer, name, mailer.clock(), "once", None, quiet)
    samples = [sample.read_bytes() for sample in run.samples]
    opted_out = address(7)
    log = mailer.settings.state_dir
    audience.opt_out(
        mailer.store, mailer.keys, audience.find(mailer.store, opted_out), mailer.clock(), "link", log
    )  # no drift

    sent = pipeline.send(mailer, name, run.planned.plan_id, "once", mailer.clock(), agreed, quiet)

    assert SOME - 1 == sent.counts["sent"]
    found = standings(mailer, run.planned.plan_id)
    assert SOME == len({one.shown for one in found.values()}), "each has a mail of its own"
    assert {email: one.shown for email, one in found.items() if email != opted_out} == {
        email: one.digest for email, one in found.items() if email != opted_out
    }
    received = {one.recipient: one.data for one in sink.taken}
    assert 2 == len(samples)
    for sample in samples:
        to = re.search(rb"(?m)^To: .*?([\w.]+@shop\.test)", sample)
        assert to is not None
        assert unsigned(sample) == unsigned(received[to[1].decode()])


def refused(shop: Shop, plan: int) -> str:
    """What `send --plan` says when it refuses."""
    mailer = shop.open()
    with pytest.raises(Refused) as fault:
        pipeline.send(mailer, "story", plan, "once", mailer.clock(), agreed, quiet)
    assert REFUSED == fault.value.exit_code
    with mailer.store.read() as db:
        assert [0, 0] == [db.scalar(sa.select(sa.func.count()).select_from(one)) for one in (release, message)]
    return str(fault.value)


def test_a_template_edited_since_the_dry_run_is_refused(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    mailer, name = sqlite_shop.open(), sqlite_shop.campaign("few")
    made = pipeline.dry_run(mailer, name, mailer.clock(), "once", None, quiet).planned

    template = sqlite_shop.folder / "templates" / "note" / "en.mjml"
    template.write_text(NOTE.replace("Something new has come in.", "Something else has come in."))

    assert f"a template of 'story' changed since plan {made.plan_id}" in refused(sqlite_shop, made.plan_id)
    template.write_text(NOTE)
    assert 25 == pipeline.send(mailer, name, made.plan_id, "once", mailer.clock(), agreed, quiet).counts["sent"]


def test_a_campaign_file_edited_since_the_dry_run_is_refused(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    mailer, name = sqlite_shop.open(), sqlite_shop.campaign("few")
    made = pipeline.dry_run(mailer, name, mailer.clock(), "once", None, quiet).planned

    sqlite_shop.campaign("some")

    assert f"story.toml changed since plan {made.plan_id}" in refused(sqlite_shop, made.plan_id)


def newcomers(shop: Shop, number: int) -> None:
    rows = [f"new{n}@shop.test,,,some,yes,2026-01-01,shop" for n in range(number)]
    head = "email,given_name,city,tags,mailing_consent,mailing_consent_at,consent_source"
    shop.import_text("contacts", "\n".join((head, *rows)) + "\n")


def test_an_audience_that_changed_by_more_than_one_in_a_hundred_is_refused(shop: Shop, sink: Sink) -> None:
    shop.configure(sink.port)
    mailer, name = shop.open(), shop.campaign("some")
    made = pipeline.dry_run(mailer, name, mailer.clock(), "once", None, quiet).planned

    newcomers(shop, 2)

    assert "1.6% of the audience changed" in refused(shop, made.plan_id)


def test_an_audience_that_hardly_changed_gets_what_the_dry_run_showed(shop: Shop, sink: Sink) -> None:
    shop.configure(sink.port)
    mailer, name = shop.open(), shop.campaign("some")
    made = pipeline.dry_run(mailer, name, mailer.clock(), "once", None, quiet).planned

    newcomers(shop, 1)
    pipeline.send(mailer, name, made.plan_id, "once", mailer.clock(), agreed, quiet)

    assert {address(n) for n in range(SOME)} == set(sink.recipients())


def test_findings_stand_in_the_order_of_their_mails_though_many_are_looked_at_together(
    sqlite_shop: Shop, sink: Sink
) -> None:
    sqlite_shop.configure(sink.port)
    (sqlite_shop.folder / "templates" / "note" / "en.mjml").write_text(
        NOTE.replace("Something new has come in.", "Near {{ city }}.")
    )
    cities = ["Oulu", "null", "", "TODO", *["Turku"] * 40, "null"]
    rows = [f"odd{n}@shop.test,Ann,{city},odd,yes,2026-01-01,shop" for n, city in enumerate(cities)]
    head = "email,given_name,city,tags,mailing_consent,mailing_consent_at,consent_source"
    sqlite_shop.import_text("contacts", "\n".join((head, *rows)) + "\n")
    mailer, told = sqlite_shop.open(), list[tuple[int, int]]()

    run = pipeline.dry_run(
        mailer, sqlite_shop.campaign("odd"), mailer.clock(), "once", None, lambda *one: told.append(one)
    )

    odd = [one for one in run.findings if not one.where.endswith("text") and "leads to" not in one.message]
    assert [("'null' in the text", 2), ("missing data", 1), ("'TODO' in the text", 1)] == [
        (one.message.partition(":")[0], one.count) for one in odd
    ]
    assert ["odd1@shop.test", "odd44@shop.test"] == [said.partition(":")[0] for said in odd[0].examples]
    assert (len(cities), len(cities) - 1) == told[-1]


def test_several_senders_keep_the_clock_that_the_operator_set(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port, connections=2)
    moment = datetime(2027, 3, 1, 12, tzinfo=UTC)
    mailer = replace(sqlite_shop.open(), clock=clock_set_to(moment))

    sent = pipeline.send(mailer, sqlite_shop.campaign("few"), None, "once", moment, agreed, quiet)

    assert 25 == sent.counts["sent"]
    dates = {re.search(rb"(?m)^Date: (.*)\r$", one.data)[1] for one in sink.taken}  # type: ignore[index]
    assert {b"Mon, 01 Mar 2027 12:00:00 +0000"} == dates


def guarded(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", GUARD, "--workspace", str(folder), *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


def test_a_dry_run_opens_no_connection_and_writes_no_message(shop: Shop, sink: Sink) -> None:
    shop.configure(sink.port)
    shop.campaign("all")

    ran = guarded(shop.folder, "send", "story", "--dry-run", "--format", "json")

    assert 0 == ran.returncode, ran.stderr
    assert "guard" not in ran.stderr
    assert f'"messages":{PEOPLE}' in ran.stdout.replace(" ", "")
    assert 0 == sink.connections
    with shop.open().store.read() as db:
        tables = (release, message, attempt, batch)
        assert [0] * 4 == [db.scalar(sa.select(sa.func.count()).select_from(one)) for one in tables]


def test_the_guard_of_the_dry_run_would_see_a_connection(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    sqlite_shop.campaign("few")

    ran = guarded(sqlite_shop.folder, "send", "story", "--yes")

    assert "guard: socket." in ran.stderr
    assert 0 == sink.connections


@pytest.mark.parametrize(("domain", "is_told"), [("shop.example", False), ("other.example", True)])
def test_a_key_for_another_domain_than_the_senders_is_told(
    sqlite_shop: Shop, sink: Sink, domain: str, is_told: bool
) -> None:
    sqlite_shop.configure(sink.port)
    sign(sqlite_shop)
    file = sqlite_shop.folder / "config.toml"
    file.write_text(file.read_text().replace('[dkim."shop.example"]', f'[dkim."{domain}"]'))
    mailer, name = sqlite_shop.open(), sqlite_shop.campaign("few")

    found = pipeline.dry_run(mailer, name, mailer.clock(), "once", None, quiet).findings

    said = "the sender's domain is shop.example, and [dkim] has only other.example"
    assert [said] * is_told == [one.message.partition("signature: ")[2] for one in found if one.code == "ML031"]


def test_a_plan_for_nobody_is_told_and_never_uses_the_occurrence_up(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    name = sqlite_shop.campaign("nobody")
    mailer = sqlite_shop.open()

    run = pipeline.dry_run(mailer, name, mailer.clock(), "once", None, quiet)
    with pytest.raises(Refused, match="holds no message: 0 in the audience"):
        pipeline.send(mailer, name, None, "once", mailer.clock(), agreed, quiet)
    sqlite_shop.campaign("few", name)
    sent = pipeline.send(mailer, name, None, "once", mailer.clock(), agreed, quiet)

    assert ["ML030"] == [one.code for one in run.findings]
    assert 25 == sent.counts["sent"]

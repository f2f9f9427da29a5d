"""A real Postfix greylists, refuses, throttles, and bounces late; Dovecot holds what came back: each in its class.

`make soak` runs it where the servers are installed (Debian: apt-get install --no-install-recommends postfix
postfix-pcre dovecot-imapd postgrey) and root starts it; elsewhere it says why not.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import real_servers
from real_servers import GREY_SECONDS, PASSWORD, RATE_LIMIT, MailSystem, mail_system, until
from sink import Sink
from story_shop import HEAD, Shop, Standing, agreed, in_state, quiet, standings

from engine import audience, pipeline
from engine.cli.app import run
from engine.model import MessageState
from engine.pipeline import Mailer

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(real_servers.missing()), reason=real_servers.missing()),
]

WELL = [f"well{n}@ok.test" for n in range(30)]
GREY = [f"grey{n}@grey.test" for n in range(5)]
GONE = [f"gone{n}@ok.test" for n in range(3)]
FULL = [f"full{n}@ok.test" for n in range(2)]
DEAD = [f"dead{n}@late.test" for n in range(3)]  # taken, then bounced: no such mailbox
LATE_FULL = ["full7@late.test"]  # taken, then bounced: full
CONFIG = """
[bounces]
kind = "imap"
host = "127.0.0.1"
port = {imap}
tls = "off"
username = "bounces"
password_env = "BOUNCES_PASSWORD"
[limits.brake]
refused = 0
blocked = 0
"""


@pytest.fixture
def postfix(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailSystem]:
    """The mail system; the server behind it knows nobody, or has no room for who is called full."""

    def refused(stage: str, recipient: str) -> str | None:
        if stage != "RCPT":
            return None
        return "552 5.2.2 mailbox full" if recipient.startswith("full") else "550 5.1.1 no such user here"

    sink.answers = refused
    monkeypatch.setenv("BOUNCES_PASSWORD", PASSWORD)
    with mail_system(sink.port) as system:
        yield system


def prepared(shop: Shop, port: int, imap: int, addresses: list[str]) -> str:
    """The workspace mails over that port, and reads its bounces by IMAP; gives a campaign for these people."""
    shop.configure(port)
    file = shop.folder / "config.toml"
    file.write_text(file.read_text() + CONFIG.format(imap=imap))
    rows = (f"{one},Person,Helsinki,real,yes,2026-01-01,shop" for one in addresses)
    shop.import_text("contacts", HEAD + "\n".join(rows) + "\n")
    return shop.campaign("real")


def later(mailer: Mailer, **by: float) -> Mailer:
    """The same workspace so much later, by the clock on the wall."""
    clock = mailer.clock
    return replace(mailer, clock=lambda: clock() + timedelta(**by))


def tried_again(mailer: Mailer) -> None:
    """What `mailer run` does at that hour."""
    pipeline.tick(mailer)
    pipeline.send_due(mailer, pipeline.Stop())


def reasons(found: dict[str, Standing], addresses: list[str]) -> set[tuple[str, str]]:
    """How their messages stand."""
    return {(found[one].state.value, found[one].reason) for one in addresses}


def suppressed(mailer: Mailer, addresses: list[str]) -> dict[str, bool]:
    """Whether we would never write to them again."""
    numbers = {one: audience.find(mailer.store, one) for one in addresses}
    known = audience.standings(mailer.store, mailer.keys, list(numbers.values()))
    return {one: known[number].suppressed for one, number in numbers.items()}


def fetched(shop: Shop, capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """`mailer bounce fetch`."""
    capsys.readouterr()
    assert 0 == run(["--workspace", str(shop.folder), "bounce", "fetch", "--format", "json"])
    counts: dict[str, int] = json.loads(capsys.readouterr().out)
    return counts


def test_every_message_ends_in_the_right_class(
    shop: Shop, postfix: MailSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    everybody = WELL + GREY + GONE + FULL + DEAD + LATE_FULL
    name = prepared(shop, postfix.port, postfix.imap, everybody)
    mailer = shop.open()
    sent = pipeline.send(mailer, name, None, "once", mailer.clock(), agreed, quiet)

    found = dict(standings(mailer, sent.plan_id))
    assert {("sent", "")} == reasons(found, WELL + DEAD + LATE_FULL)
    assert {("refused", "unknown_address")} == reasons(found, GONE)
    assert {("deferred", "greylisted")} == reasons(found, GREY)
    assert {("deferred", "mailbox_full")} == reasons(found, FULL)
    assert dict.fromkeys(GONE, True) == suppressed(mailer, GONE)
    assert {False} == set(suppressed(mailer, WELL + GREY + FULL).values())

    # The greylist opens after some seconds of Postgrey's; our schedule asks after minutes of ours, and not before.
    time.sleep(GREY_SECONDS + 1)
    tried_again(mailer)
    assert {1} == {one.attempts for one in standings(mailer, sent.plan_id).values()}
    tried_again(later(mailer, minutes=20))
    found = dict(standings(mailer, sent.plan_id))
    assert {("sent", "")} == reasons(found, GREY)
    assert {("deferred", "mailbox_full")} == reasons(found, FULL)
    until(lambda: len(postfix.mails("grey")) == len(GREY), "the greylisted have not come")
    assert {found[one].message_id for one in GREY} == {
        str(one["Message-ID"]).strip("<>").partition("@")[0] for one in postfix.mails("grey")
    }, "another Message-ID than at the first try"

    # Somebody tidies up.
    postfix.tidy_up()
    tried_again(later(mailer, hours=30))
    found = dict(standings(mailer, sent.plan_id))
    assert {("sent", "")} == reasons(found, FULL)

    # What came back.
    until(lambda: len(postfix.mails("bounces")) == len(DEAD + LATE_FULL), f"no bounces: {postfix.said()[-3000:]}")
    counts = fetched(shop, capsys)
    assert (4, 3) == (counts["mails"], counts["suppressed"])
    assert dict.fromkeys(DEAD, True) == suppressed(mailer, DEAD)
    assert dict.fromkeys(LATE_FULL + FULL, False) == suppressed(mailer, LATE_FULL + FULL)
    for email in DEAD + LATE_FULL:
        assert "bounce" in [step["what"] for step in pipeline.why(mailer, email, name, mailer.clock())["steps"]]
    assert 0 == fetched(shop, capsys)["mails"], "the same bounce twice"

    # Nobody got two.
    inbox = Counter(str(one["Delivered-To"]) for box in ("ok", "grey") for one in postfix.mails(box))
    assert dict.fromkeys(WELL + GREY + FULL, 1) == inbox
    found = dict(standings(mailer, sent.plan_id))
    assert set(everybody) == in_state(found, MessageState.SENT) | set(GONE)


def test_a_server_that_throttles_is_sent_to_more_slowly_and_gets_everything(
    sqlite_shop: Shop, postfix: MailSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    people = [f"many{n}@ok.test" for n in range(4 * RATE_LIMIT)]
    name = prepared(sqlite_shop, postfix.impatient, postfix.imap, people)
    mailer = sqlite_shop.open()

    sent = pipeline.send(mailer, name, None, "once", mailer.clock(), agreed, quiet)
    first = dict(sent.counts)
    rounds = 0
    while len(in_state(standings(mailer, sent.plan_id), MessageState.SENT)) < len(people):
        rounds += 1
        left = Counter((one.state.value, one.reason) for one in standings(mailer, sent.plan_id).values())
        assert rounds < 90, (left, first)
        time.sleep(5)  # the pace is kept by the database's clock, a minute of silence after each throttle
        tried_again(later(mailer, minutes=20 * rounds))

    found = standings(mailer, sent.plan_id)
    too_much = postfix.said().count("rate limit exceeded")
    with capsys.disabled():
        tries = dict(Counter(one.attempts for one in found.values()))
        print(f"\nat first {first}; {rounds} rounds later all sent; {too_much} times told to slow down; tries {tries}")
    assert first["sent"] < len(people)
    assert first["refused"] == 0
    assert 0 < too_much < len(people), "it did not slow down"
    until(lambda: len(postfix.mails("ok")) == len(people), "somebody got nothing")
    assert dict.fromkeys(people, 1) == Counter(str(one["Delivered-To"]) for one in postfix.mails("ok"))
    assert {False} == set(suppressed(mailer, people).values())
